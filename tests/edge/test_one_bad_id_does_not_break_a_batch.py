"""An id that AWS does not know costs a few calls, and none of the other ids their answer."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from spot_optimizer.aws import instances, load_balancing
from spot_optimizer.aws.batches import IDS_MAX, read_known

_UNKNOWN = "Invalid.NotFound"


def _error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "whatever"}}, "Describe")


@settings(max_examples=60)
@given(st.sets(st.integers(0, 999), max_size=3 * IDS_MAX), st.data())
def test_known_ids_are_all_read_in_few_calls(numbers: set[int], data: st.DataObject) -> None:
    ids = {f"i-{number:04}" for number in numbers}
    bad = data.draw(st.sets(st.sampled_from(sorted(ids)), max_size=5)) if ids else set()
    calls = []

    def read(some: list[str]) -> list[str]:
        assert 0 < len(some) <= IDS_MAX
        calls.append(some)
        if bad & set(some):
            raise _error(_UNKNOWN)
        return some

    assert sorted(read_known(ids, read, lambda code: code == _UNKNOWN)) == sorted(ids - bad)
    assert len(calls) <= -(-len(ids) // IDS_MAX) + 2 * 8 * len(bad)  # 200 ids are halved 8 times


def test_another_error_is_raised() -> None:
    def read(_some: list[str]) -> list[str]:
        raise _error("UnauthorizedOperation")

    with pytest.raises(ClientError, match="Unauthorized"):
        read_known(["i-1", "i-2"], read, lambda code: code == _UNKNOWN)


class _Aws:
    """Any call about ids, of which AWS does not know the first."""

    def __init__(self, code: str, reply: Callable[[list[str]], dict[str, Any]]) -> None:
        self._code, self._reply = code, reply

    def __getattr__(self, _operation: str) -> Callable[..., dict[str, Any]]:
        def call(**parameters: Any) -> dict[str, Any]:
            ids = next(each for each in parameters.values() if isinstance(each, list))
            if "x-0" in ids:
                raise _error(self._code)
            return self._reply(ids)

        return call


@pytest.mark.parametrize(
    ("read", "code", "reply"),
    [
        (
            instances.read_credit_modes,
            code,
            lambda ids: {
                "InstanceCreditSpecifications": [
                    {"InstanceId": i, "CpuCredits": "standard"} for i in ids
                ]
            },
        )
        for code in (
            "InvalidInstanceID.NotFound",
            "InvalidInstanceID.Malformed",
            "InstanceCreditSpecification.NotSupported",
        )
    ]
    + [
        (instances.read_image_devices, code, lambda ids: {"Images": [{"ImageId": i} for i in ids]})
        for code in ("InvalidAMIID.NotFound", "InvalidAMIID.Unavailable", "AuthFailure")
    ]
    + [
        (
            instances.read_fleet_tokens,
            "InvalidFleetId.NotFound",
            lambda ids: {"Fleets": [{"FleetId": i} for i in ids]},
        ),
        (
            load_balancing.read_enabled_zones,
            "LoadBalancerNotFound",
            lambda ids: {"LoadBalancers": [{"LoadBalancerArn": i} for i in ids]},
        ),
    ],
)
def test_every_call_about_ids_leaves_the_unknown_one_out(
    monkeypatch: pytest.MonkeyPatch,
    read: Callable[[list[str]], dict[str, Any]],
    code: str,
    reply: Callable[[list[str]], dict[str, Any]],
) -> None:
    ids = [f"x-{number}" for number in range(7)]
    for module in (instances, load_balancing):
        monkeypatch.setattr(module, "client", lambda _service: _Aws(code, reply))
    assert read(ids).keys() == set(ids[1:])
