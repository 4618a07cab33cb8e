"""Requests to ``refresh_market``."""

from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import (
    AwareDatetime,
    Field,
    model_validator,
)

from spot_optimizer.contracts.boundary import Boundary, ModelVersion, TypeName
from spot_optimizer.contracts.patterns import IMPORTED_KEY, UPLOADED_KEY
from spot_optimizer.vocabulary import RowsAre


class CollectPrices(Boundary):
    """Input of ``refresh_market`` every cycle."""

    task: Literal["prices"]


class HealGaps(Boundary):
    """Input of ``refresh_market`` every 15 minutes: read missing prices of the last 24 hours again, and
    extend the archive by one slice."""

    task: Literal["gaps"]


class ReadReferenceData(Boundary):
    """Input of ``refresh_market`` every six hours."""

    task: Literal["reference"]
    accept_prices: tuple[TypeName, ...] = ()
    """Types whose new on-demand price is accepted although it changed by more than half."""


class AnalyseHistory(Boundary):
    """Which prices the archive lacks, and which source still has them."""

    task: Literal["analyse"]
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None

    @model_validator(mode="after")
    def _is_a_span(self) -> "AnalyseHistory":
        _demand_span(self.since, self.until)
        return self


class FillHistory(Boundary):
    """Extend the price archive by several slices at once."""

    task: Literal["fill"]


class HistoryStatus(Boundary):
    """How much of the wanted past the price archive holds."""

    task: Literal["status"]


class ImportPrices(Boundary):
    """Import a file of spot prices into the archive, in addition to those that AWS reported."""

    task: Literal["import"]
    key: str = Field(pattern=IMPORTED_KEY, max_length=1024)
    """Key of an object in the stack's bucket."""
    rows_are: RowsAre


class ShowPrices(Boundary):
    """Prices every five minutes with method and confidence, of one type, for up to a day."""

    task: Literal["grid"]
    instance_type: TypeName
    since: AwareDatetime
    until: AwareDatetime

    @model_validator(mode="after")
    def _is_a_day(self) -> "ShowPrices":
        _demand_span(self.since, self.until)
        if self.until - self.since > timedelta(days=1):
            raise ValueError(f"until {self.until} is more than a day after since {self.since}")
        return self


def _demand_span(since: datetime | None, until: datetime | None) -> None:
    if since is not None and until is not None and until <= since:
        raise ValueError(f"until {until} must be after since {since}")


class ModelUploaded(Boundary):
    """Input of ``refresh_market`` from S3's event that an object was put under ``models/uploads/``."""

    task: Literal["model-uploaded"]
    key: str = Field(pattern=UPLOADED_KEY, max_length=1024)
    requester: str = Field(max_length=200)
    """Account or AWS service that uploaded it, as S3 names it."""


class ValidateModel(Boundary):
    """Input of ``refresh_market`` from ``command``: validate an upload (again)."""

    task: Literal["validate-model"]
    version: ModelVersion
    asked_by: str = Field(min_length=1, max_length=200)


RefreshMarketRequest = Annotated[
    CollectPrices
    | HealGaps
    | ReadReferenceData
    | AnalyseHistory
    | FillHistory
    | HistoryStatus
    | ImportPrices
    | ShowPrices
    | ModelUploaded
    | ValidateModel,
    Field(discriminator="task"),
]
