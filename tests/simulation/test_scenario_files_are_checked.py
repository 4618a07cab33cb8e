"""A scenario file is read as it stands, or one line reports each fault."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from simulator.api_calls import ApiCall
from simulator.faults.kinds import FaultKind
from simulator.faults.places import PlacedFault
from simulator.limits import LIMITS, Bucket
from simulator.scenario import Curve
from simulator.scenario_events import PriceSurge, UserTags
from simulator.scenario_file import InvalidScenario, builtin_names, builtin_run, read_scenario
from spot_optimizer.contracts.boundary import parse
from spot_optimizer.contracts.command import CommandRequest

WORKLOAD: dict[str, Any] = {
    "name": "shop",
    "type": "m5.large",
    "lifecycle": "spot",
    "cpu_vcpu": 1,
}
SCENARIO: dict[str, Any] = {"schema": 1, "shows": "a test", "hours": 2, "workloads": [WORKLOAD]}


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    return path


def accept_request(request: object) -> None:
    """As the command line does it: by the contract of the function Command."""
    parse(CommandRequest, request)


def fault_of(tmp_path: Path, text: str) -> str:
    """The one line that the file gets."""
    with pytest.raises(InvalidScenario) as refused:
        read_scenario(written(tmp_path, text), accept_request)
    (line,) = str(refused.value).splitlines()
    return line.removeprefix("mine.yaml: ")


def with_event(**event: Any) -> dict[str, Any]:
    return {**SCENARIO, "events": [event]}


def with_fault(**fault: Any) -> dict[str, Any]:
    return {**SCENARIO, "faults": [fault]}


def with_workload(**changes: Any) -> dict[str, Any]:
    return {**SCENARIO, "workloads": [{**WORKLOAD, **changes}]}


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ({**SCENARIO, "color": "red"}, "color: unknown key; allowed are schema, shows"),
        ({**SCENARIO, "schema": 2}, "schema = 2: allowed is 1"),
        ({**SCENARIO, "hours": 0}, "hours = 0: allowed is 0.5 to 2160"),
        ({**SCENARIO, "hours": float("nan")}, "hours = "),
        ({**SCENARIO, "hours": True}, "hours = true: allowed is 0.5 to 2160"),
        ({**SCENARIO, "seed": -1}, "seed = -1: allowed is 0 or more"),
        ({**SCENARIO, "start": "soon"}, 'start = "soon": allowed is a date'),
        ({**SCENARIO, "start": "0001-01-01"}, 'start = "0001-01-01": allowed is a date'),
        ({**SCENARIO, "region": ""}, "region = '': not a region"),
        ({**SCENARIO, "region": "mars-1"}, "region = 'mars-1': not a region"),
        (
            {**SCENARIO, "region": "eu-west-1", "market": {"prices": "mine.yaml"}},
            "region = 'eu-west-1': a recorded market has its own",
        ),
        ({**SCENARIO, "market": {"prices": "p.csv"}}, "market.prices: "),
        ({**SCENARIO, "quotas": {"spot-standart-vcpu": 1}}, "quotas = {"),
        ({**SCENARIO, "quotas": {"spot-p-vcpu": -1}}, 'quotas = {"spot-p-vcpu": -1}: allowed is'),
        ({**SCENARIO, "limits": {"boot": [1, 2]}}, 'limits = {"boot": [1, 2]}: allowed is figure'),
        ({**SCENARIO, "limits": {"boot_s": [2, 1]}}, 'limits = {"boot_s": [2, 1]}: allowed is'),
        ({**SCENARIO, "limits": {"boot_s": 5}}, 'limits = {"boot_s": 5}: allowed is'),
        ({**SCENARIO, "limits": {"tags_per_resource": 9}}, 'limits = {"tags_per_resource": 9}:'),
        (
            {**SCENARIO, "limits": {"api_ec2_run_instances": [0.5, 1]}},
            'limits = {"api_ec2_run_instances": [0.5, 1]}: allowed is',
        ),
        ({**SCENARIO, "limits": {"quota_elastic_ips": True}}, 'limits = {"quota_elastic_ips": true}'),
        ({**SCENARIO, "workloads": []}, "workloads = []: allowed is 1 to 100"),
        ({**SCENARIO, "subnets": 4}, "subnets = 4: allowed is 1 to 3"),
        (
            {**SCENARIO, "events": [{"at": 0, "event": "no-capacity", "subnet": 2}]},
            "events[0].subnet = 2: allowed is up to subnets = 1",
        ),
        ({**SCENARIO, "workloads": [WORKLOAD, WORKLOAD]}, "workloads: the name 'shop' is given 2"),
        ({**SCENARIO, "parameters": {"Foo": 1}}, "parameters: parameter Foo is unknown"),
        ({**SCENARIO, "parameters": {"DryRun": "maybe"}}, "parameters: parameter DryRun: 'maybe'"),
        (
            {**SCENARIO, "workloads": [{k: v for k, v in WORKLOAD.items() if k != "type"}]},
            "workloads[0].type is missing; allowed is an instance type",
        ),
        (with_workload(size=3), "workloads[0].size: unknown key; allowed are name, shows, count"),
        (with_workload(name="A B"), 'workloads[0].name = "A B": allowed is 1 to 28'),
        (with_workload(type="m5.giant"), 'workloads[0].type = "m5.giant": allowed is an instance'),
        (with_workload(zone="us-east-1z"), "workloads[0].zone = 'us-east-1z': allowed is one of"),
        (with_workload(cpu_vcpu=-1), "workloads[0].cpu_vcpu = -1: allowed is a number, or a list"),
        (with_workload(cpu_vcpu=[[2, 1], [1, 1]]), "workloads[0].cpu_vcpu = [[2, 1], [1, 1]]"),
        (with_workload(memory_gib=[[0, "x"]]), 'workloads[0].memory_gib = [[0, "x"]]: allowed'),
        (with_workload(tags={"types": ["m5*"]}), 'workloads[0].tags.types = ["m5*"]: allowed'),
        (with_workload(tags={"": "x"}), "workloads[0].tags.: allowed are keys of 1 to 128"),
        (with_workload(other_tags={"k" * 129: "x"}), "...: allowed are keys of 1 to 128 characters"),
        (with_workload(other_tags={"k": "x" * 257}), "xxx...': allowed are 256 characters at most"),
        (with_workload(other_tags={"aws:a": "x"}), "workloads[0].other_tags.aws:a: allowed are keys"),
        (
            with_workload(other_tags={f"k{n}": "x" for n in range(48)}),
            "workloads[0]: 51 tags with ours are too many; allowed are 50",
        ),
        (with_workload(count=6, elastic_ip=True), "workloads: 6 elastic IPs are wanted; 5"),
        ({**SCENARIO, "workloads": ["shop"]}, 'workloads[0] = "shop": a mapping of keys is needed'),
        ({**SCENARIO, "faults": ["ec2:CreateFleet"]}, 'faults[0] = "ec2:CreateFleet": a mapping of k'),
        ({**SCENARIO, "events": [5]}, "events[0] = 5: a mapping of keys is needed"),
        (with_event(at=1), "events[0]: the key event is missing; allowed is one of advisor"),
        (with_event(at=1, event="explode"), 'events[0].event = "explode": allowed is one of'),
        (with_event(at=2, event="terminate", workload="shop"), "events[0].at = 2: allowed is less"),
        (with_event(at=1, event="terminate", workload="x"), "events[0].workload = 'x': allowed"),
        (with_event(at=1, event="advisor", type="m5*", bucket=5), "events[0].bucket = 5: allowed"),
        (with_event(at=1, event="advisor", type="zz*", bucket=1), 'events[0].type = "zz*": allowed'),
        (with_workload(lifecycle="on-demand", persistent=True), "workloads[0].persistent = true: al"),
        (
            with_event(at=1, event="interruption", workload="shop", deliveries=6),
            "events[0].deliveries = 6: allowed is 1 to 5",
        ),
        (
            with_event(at=1, event="interruption", workload="shop", deliveries=2, warned=False),
            "events[0].deliveries = 2: allowed is 1 where warned is false",
        ),
        (
            with_event(at=1, event="interruption", workload="shop", late_seconds=9, warned=False),
            "events[0].late_seconds = 9: allowed is 0 where warned is false",
        ),
        (
            with_event(at=1, event="interruption", workload="shop", action="pause"),
            'events[0].action = "pause": allowed is terminate, stop, hibernate',
        ),
        (with_event(at=1, event="interruption-wave", zone="z*"), "events[0].zone = 'z*': allowed"),
        (with_event(at=1, event="rebalance", workload="x"), "events[0].workload = 'x': allowed"),
        (with_event(at=1, event="checks-fail", zone="z*"), "events[0].zone = 'z*': allowed is one"),
        (with_event(at=1, until=1, event="checks-fail"), "events[0].until = 1: allowed is more than"),
        (
            with_event(at=1, event="price-surge", type="m5*", factor=0),
            "events[0].factor = 0: allowed is above 0",
        ),
        (
            with_event(at=1, event="command", request={"command": "stop"}),
            "(asked_by is missing)",
        ),
        ({**SCENARIO, "rates": [1, 2]}, "rates = [1, 2]: allowed is service:Operation: [burst"),
        ({**SCENARIO, "rates": {"ec2:RunInstance": [5, 2]}}, "near are RunInstances"),
        ({**SCENARIO, "rates": {"states:StartExecution": [5, 2]}}, "none of the services cloudwatch"),
        ({**SCENARIO, "rates": {"ec2:RunInstances": [0.5, 2]}}, "ec2:RunInstances = [0.5, 2] is not"),
        ({**SCENARIO, "rates": {"ec2:RunInstances": 5}}, "ec2:RunInstances = 5 is not [burst of 1"),
        ({**SCENARIO, "rates": {"ec2:RunInstances": [5, float("inf")]}}, "is not [burst of 1 or more"),
        ({**SCENARIO, "faults": {"kind": "error"}}, 'faults = {"kind": "error"}: allowed is a list'),
        (with_fault(call="ec2:CreateFleet"), "faults[0].kind is missing; allowed is error, throttle"),
        (with_fault(call="ec2:CreateFleet", kind="lost"), 'faults[0].kind = "lost": allowed is error'),
        (with_fault(call="ec2:CreateFleets", kind="error"), "near are CreateFleet"),
        (with_fault(call="CreateFleet", kind="error"), "service and operation are needed, such as"),
        (with_fault(call="ec2:CreateFleet", kind="error", when=1), "faults[0].when: unknown key; all"),
        (
            with_fault(call="ec2:CreateFleet", kind="error", occurrence=0),
            "faults[0].occurrence = 0: allowed is 1 to",
        ),
        (
            with_fault(call="ec2:CreateFleet", kind="error", at=2),
            "faults[0].at = 2: allowed is less than hours = 2",
        ),
        (
            with_fault(call="ec2:CreateFleet", kind="error", caller="Launcher"),
            "faults[0].caller = 'Launcher': allowed is one of ",
        ),
        (
            with_fault(call="ec2:CreateFleet", kind="error", state="LaunchReplacment"),
            "faults[0].state = 'LaunchReplacment': no state machine has it; allowed is LaunchRep",
        ),
        (
            with_fault(call="ec2:DescribeInstances", kind="lost-reply"),
            "faults[0].kind = 'lost-reply': does not happen to ec2:DescribeInstances; allowed is err",
        ),
        (
            with_fault(call="ec2:TerminateInstances", kind="killed", caller="SwitchInstance"),
            "faults[0].kind = 'killed': does not happen to ec2:TerminateInstances by SwitchInstance",
        ),
        (
            with_fault(call="ec2:CreateFleet", kind="not-delivered"),
            "faults[0].kind = 'not-delivered': does not happen to ec2:CreateFleet; allowed is error",
        ),
        (with_fault(kind="error"), "faults[0].call is missing; error needs one (delivered-twice, del"),
        (
            with_fault(kind="not-delivered", caller="SwitchInstance"),
            "faults[0].caller = 'SwitchInstance': allowed is one of ",
        ),
        (with_fault(kind="not-delivered", state="HandOver"), "faults[0].state = 'HandOver': allowed w"),
        (
            {**SCENARIO, "faults": [{"call": "ec2:CreateFleet", "kind": "error"}] * 2},
            "faults[0]: the same fault is given again below; count it by occurrence",
        ),
        (
            with_fault(call="ec2:CreateFleet", kind="error", workload="x"),
            "faults[0].workload = 'x': allowed is one of shop",
        ),
        ({**SCENARIO, "expect": {"faults": -1}}, "expect.faults = -1: allowed is a number, or [least"),
        ({**SCENARIO, "expect": {"workloads": {"x*": {"done": 1}}}}, "expect.workloads.x* = 'x*'"),
        (
            {**SCENARIO, "expect": {"workloads": {"shop": {"done": [3, 1]}}}},
            "expect.workloads.shop.done = [3, 1]: allowed is a number, or [least, most]",
        ),
        (
            {**SCENARIO, "expect": {"workloads": {"shop": {"color": 1}}}},
            "expect.workloads.shop.color: unknown key; allowed are status, decisions",
        ),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)  # fmt: skip
def test_impossible_value_is_reported_in_one_line(
    tmp_path: Path, content: dict[str, Any], line: str
) -> None:
    """The line names key, value, and what is allowed."""
    assert line in fault_of(tmp_path, yaml.safe_dump(content))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "the file = null: a mapping of keys is needed"),
        ("workloads: [", "line 1, column 13: "),
        ("schema: 1\nschema: 1", "line 1, column 1: the key 'schema' is given twice"),
        ("a: 1\n---\nb: 1", "but found another document"),
        ("schema: 1\nstart: 2026-02-30", "line 2, column 8: '2026-02-30' cannot be: day is out of"),
        (f"seed: {'9' * 5000}", "line 1, column 7: '9999"),
        (
            "events: {a: [&a {b: *a}]}\nschema: 1\nshows: x\nworkloads: [{name: a, type: m5.large,"
            " lifecycle: spot, cpu_vcpu: 1}]",
            "events = {'a': [{'b': {...}}]}: allowed is a list",
        ),
        ("a: !!python/object:os.system {}", "could not determine a constructor"),
    ],
)
def test_unreadable_yaml_is_reported_with_its_place(tmp_path: Path, text: str, line: str) -> None:
    """The one line names the place in the file if the YAML parser knows it."""
    assert line in fault_of(tmp_path, text)


def test_all_faults_are_reported_at_once(tmp_path: Path) -> None:
    """A file with three faults gets three lines."""
    content = {**with_workload(type="m5.giant", cpu_vcpu=-1), "hours": 0}
    with pytest.raises(InvalidScenario) as refused:
        read_scenario(written(tmp_path, yaml.safe_dump(content)))
    assert len(str(refused.value).splitlines()) == 3


def test_scenario_is_read_as_the_file_has_it(tmp_path: Path) -> None:
    """Words that YAML 1.1 takes for booleans or times stay words; numbers in tags become text."""
    path = written(
        tmp_path,
        """
schema: 1
shows: everything
start: 2026-03-02
market: {prices: prices.csv, on_demand: lists/od.csv}
workloads:
  - name: shop
    count: 2
    type: m5.large
    lifecycle: on-demand
    cpu_vcpu: [[0, 0.5], [1, 1.5]]
    tags: {mode: off, switch-gain-points: 3, auto-terminate: false, note: 1:30}
events:
  - {at: 8.5, until: 9, event: price-surge, type: m5.*, zone: "*a", factor: 2}
  - {at: 9, event: tag, workload: shop-02, tag: "spot-optimizer:mode", value: null}
""",
    )
    (tmp_path / "lists").mkdir()
    for name in ("prices.csv", "lists/od.csv"):
        (tmp_path / name).touch()
    run = read_scenario(path)
    first, second = run.scenario.workloads
    assert (first.name, second.name) == ("shop-01", "shop-02")
    assert first.tags == {
        "mode": "off", "switch-gain-points": "3", "auto-terminate": "false", "note": "1:30",
    }  # fmt: skip
    assert first.cpu_vcpu == Curve(((0.0, 0.5), (1.0, 1.5)))
    assert first.memory_gib is None
    assert run.scenario.scripted == (
        PriceSurge(hour=8.5, until=9, instance_type="m5.*", factor=2, availability_zone="*a"),
        UserTags(hour=9, workload="shop-02", tag="spot-optimizer:mode", value=None),
    )
    assert run.prices == tmp_path / "prices.csv"
    assert run.on_demand == tmp_path / "lists" / "od.csv"
    assert run.start is not None
    assert run.start.isoformat() == "2026-03-02T00:00:00+00:00"


@pytest.mark.parametrize("name", builtin_names())
def test_bundled_scenario_begins_with_a_comment_and_a_summary(name: str) -> None:
    """A comment explains it to readers of the file, a line of at most 100 characters to the list."""
    run = builtin_run(name)
    path = Path(__file__).parents[2] / "simulator" / "scenarios" / f"{name}.yaml"
    assert path.read_text().startswith("# ")
    assert len(run.shows) <= 100


def test_former_spellings_are_still_read(tmp_path: Path) -> None:
    """``dearest`` is ``most-expensive``, ``rescued`` is ``failed_over``; both at once are refused."""
    content = {**with_workload(zone="dearest"), "expect": {"workloads": {"shop": {"rescued": 1}}}}
    run = read_scenario(written(tmp_path, yaml.safe_dump(content)))
    assert run.scenario.workloads[0].placement == "most-expensive"
    assert run.expected.workloads["shop"].failed_over == (1, 1)
    content["expect"] = {"workloads": {"shop": {"rescued": 1, "failed_over": 1}}}
    assert "expect.workloads.shop.rescued" in fault_of(tmp_path, yaml.safe_dump(content))


def test_limits_and_quotas_of_the_file_replace_those_of_aws(tmp_path: Path) -> None:
    """Figures that are left out stay AWS's; a refusal names figure, value and what is allowed."""
    content = {
        **SCENARIO,
        "limits": {"api_ec2_run_instances": [1, 0.5], "quota_vcpu": 64},
        "quotas": {"spot-standard-vcpu": 8, "on-demand-g-and-vt-vcpu": 4},
    }
    scenario = read_scenario(written(tmp_path, yaml.safe_dump(content))).scenario
    assert scenario.limits == replace(LIMITS, api_ec2_run_instances=Bucket(1, 0.5), quota_vcpu=64)
    assert scenario.quotas_vcpu == {("spot", "Standard"): 8, ("on-demand", "G and VT"): 4}
    line = fault_of(tmp_path, yaml.safe_dump({**SCENARIO, "limits": {"boot_s": [0, 9999]}}))
    assert "boot_s = [0, 9999]: allowed is [least, most], each 0 to 3,600" in line


def test_faults_and_rates_of_the_file_are_those_of_the_scenario(tmp_path: Path) -> None:
    """A fault keeps call, caller, state, occurrence, hour and kind; an operation gets its own bucket."""
    content = {
        **SCENARIO,
        "rates": {"dynamodb:Query": [5, 0.5]},
        "faults": [
            {"call": "ec2:CreateFleet", "kind": "lost-reply"},
            {
                "call": "lambda:Invoke", "caller": "FailOver", "state": "HandOver",
                "workload": "shop", "occurrence": 3, "at": 0.5, "kind": "denied",
            },
            {"kind": "delivered-late", "caller": "HandleSignal"},
        ],
    }  # fmt: skip
    scenario = read_scenario(written(tmp_path, yaml.safe_dump(content))).scenario
    assert scenario.rates == {("dynamodb", "Query"): Bucket(5, 0.5)}
    assert scenario.faults == (
        PlacedFault(FaultKind.LOST_REPLY, ApiCall("ec2", "CreateFleet")),
        PlacedFault(
            FaultKind.DENIED, ApiCall("lambda", "Invoke"), "FailOver", "HandOver", "shop",
            3, timedelta(minutes=30),
        ),
        PlacedFault(FaultKind.DELIVERED_LATE, None, "HandleSignal"),
    )  # fmt: skip
