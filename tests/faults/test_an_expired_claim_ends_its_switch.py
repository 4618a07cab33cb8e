"""Found by a fault: a run that is stopped at its claim, whose claim then expires."""

from simulator.trials.pool import Servers
from simulator.trials.run import RunSpec

SEED = 1


def test_a_record_without_claim_and_instance_does_not_stay() -> None:
    """Whoever takes the expired claim ends the record in the same transaction."""
    with Servers(1) as servers:
        (clean,) = servers.run([RunSpec("overtaken", SEED)])
        calls = [call for call, *_ in clean.calls]
        claim = next(
            number
            for number, call in enumerate(calls, start=1)
            if call.endswith(" dynamodb.TransactWriteItems by UpdateLedger")
        )
        spec = RunSpec("overtaken", SEED, (f"{claim}:aborted",))
        print(spec.command)
        (result,) = servers.run([spec])
    assert result.violation is None
    assert sorted(result.outcomes) == ["web DONE", "web FAILED"]
