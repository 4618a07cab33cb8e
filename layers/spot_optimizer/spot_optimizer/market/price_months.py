"""Calendar months: the price archive has one object per month, so that none grows forever."""

from dataclasses import dataclass
from datetime import UTC, datetime

from spot_optimizer.market.coverage import Span


@dataclass(frozen=True, slots=True)
class Month:
    """A calendar month in UTC."""

    year: int
    number: int

    @classmethod
    def of(cls, time_s: int) -> "Month":
        """The month in which a moment (epoch seconds) lies."""
        moment = datetime.fromtimestamp(time_s, UTC)
        return cls(moment.year, moment.month)

    @property
    def next(self) -> "Month":
        return Month(self.year + self.number // 12, self.number % 12 + 1)

    @property
    def span(self) -> Span:
        """From its first second to the first second of the next."""
        return self._start_s, self.next._start_s

    @property
    def _start_s(self) -> int:
        return int(datetime(self.year, self.number, 1, tzinfo=UTC).timestamp())

    def __str__(self) -> str:
        return f"{self.year}-{self.number:02}"


def months_in(span: Span) -> list[Month]:
    """The months that a span overlaps, in order; none for an empty span."""
    months: list[Month] = []
    if span[0] < span[1]:
        months.append(Month.of(span[0]))
        while months[-1].span[1] < span[1]:
            months.append(months[-1].next)
    return months
