"""The output of `make build` works under Lambda's own runtime: a workload goes through a whole switch and
a failover, with every function in its own process under the runtime interface emulator.

Only its clock and its way to AWS are the test's (``inside/sitecustomize.py``).
"""

import json
import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.house.repository import resources
from tests.runtime.built import BUILDS, RUNTIME, local_architecture, why_not_here
from tests.runtime.emulation import Emulation
from tests.runtime.life import Life, live

REASON = why_not_here()
pytestmark = pytest.mark.skipif(REASON is not None, reason=f"not emulated: {REASON}")
OF_THE_RUNTIME = re.compile(r"(START|END|REPORT) RequestId: ")
"""Lines that Lambda itself writes."""


@pytest.fixture(scope="module")
def life() -> Life:
    """One run for all claims."""
    return live()


def test_every_function_of_the_template_has_run_without_an_error(
    life: Life, record_property: Callable[[str, object], None]
) -> None:
    """No function fails because its layers lack something. Start times are reported, not asserted: they
    depend on the computer."""
    for seen in life.environments:
        figures = f"started in {seen.init_s:.2f} s, held {seen.peak_mb:.0f} MB at most"
        record_property("measured", f"{seen.function}: {figures}")
    failed = [(i.function, i.error, i.error_message) for i in life.trace if i.error]
    assert not failed
    functions = set(resources("AWS::Serverless::Function"))
    assert {i.function for i in life.trace} == functions
    assert {seen.function for seen in life.environments} == functions


def test_a_whole_switch_and_a_failover_succeed(life: Life) -> None:
    """The last instance has everything that the first one had, and is the only one."""
    ends = [(e.state_machine, e.status) for e in life.executions]
    assert ends == [("SwitchInstance", "SUCCEEDED"), ("FailOver", "SUCCEEDED")]
    assert len(set(life.instances)) == 3
    last = life.instances[-1]
    assert life.alive == {last}
    assert life.address_holder == last
    assert [i for i, health in life.targets.items() if health != "draining"] == [last]
    assert not life.swept


def test_prices_are_forecast_by_the_model_that_is_shipped(life: Life) -> None:
    """LightGBM and libgomp load from the layer, and the forecast is theirs."""
    assert not life.snapshot.degraded
    loaded = _libraries(life, "RefreshMarket")
    assert _from_the_build(loaded, "lib_lightgbm.so")
    assert _from_the_build(loaded, "libgomp.so.1")


@pytest.mark.parametrize("library", ["lib_lightgbm", "libgomp", "openblas"])
def test_heavy_libraries_load_only_where_needed(life: Life, library: str) -> None:
    """RefreshMarket loads LightGBM; it and the functions that evaluate the market load numpy."""
    users = {"RefreshMarket"} if library != "openblas" else {"RefreshMarket", "Decide", "Command"}
    loading = {
        seen.function for seen in life.environments if any(library in x for x in seen.libraries)
    }
    assert loading == users


def test_extension_modules_come_from_the_build_and_the_runtime_only(life: Life) -> None:
    """A package of the local Python does not exist in Lambda."""
    ours = (str(BUILDS[local_architecture()]), str(RUNTIME))
    for seen in life.environments:
        packages = [x for x in seen.libraries if ".cpython-" in x and "lib-dynload" not in x]
        assert [x for x in packages if "pydantic_core" in x], seen.function
        assert all(x.startswith(ours) for x in packages), seen.function


def test_every_line_that_a_function_writes_is_json(life: Life) -> None:
    """Logs Insights reads fields of JSON lines only; metrics are such lines too."""
    for invocation in life.trace:
        for line in filter(None, map(str.strip, invocation.logs.splitlines())):
            assert OF_THE_RUNTIME.match(line) or isinstance(json.loads(line), dict), line


def test_a_switch_can_be_followed_through_the_logs(life: Life) -> None:
    """The switch's id is on a line of each function that works for it."""
    switch_id = life.executions[0].name
    logging = {i.function for i in life.trace if f'"switch_id":"{switch_id}"' in i.logs}
    assert logging == {"HandOver", "InspectReplacement", "LaunchReplacement", "UpdateLedger"}


def test_every_function_is_traced(life: Life) -> None:
    """X-Ray's daemon receives a subsegment of each handler and of its AWS calls."""
    bodies = [json.loads(segment.split(b"\n", 1)[1]) for segment in life.segments]
    names = {body["name"] for body in bodies}
    assert {"## handler", "dynamodb", "ec2", "s3"} <= names
    handlers = sum(body["name"] == "## handler" for body in bodies)
    assert handlers == len(life.trace)


def test_a_function_that_lacks_a_layer_fails(life: Life) -> None:
    """A locally installed package does not replace one that a layer lacks."""
    decide = next(each for each in life.functions if each.logical_id == "Decide")
    without_numpy = tuple(layer for layer in decide.layers if layer.parent.name != "NumpyLayer")
    with Emulation() as emulation:
        outcome = emulation.run(replace(decide, layers=without_numpy), b"{}")
    assert outcome.failed
    assert outcome.value()["errorType"] == "Runtime.ImportModuleError"
    assert "numpy" in outcome.value()["errorMessage"]


def _libraries(life: Life, function: str) -> set[str]:
    return {x for seen in life.environments if seen.function == function for x in seen.libraries}


def _from_the_build(libraries: set[str], name: str) -> bool:
    build = str(BUILDS[local_architecture()])
    return any(x.startswith(build) and x.endswith(f"/{name}") for x in libraries)
