"""What an EventBridge target receives: ``Input``, ``InputPath``, ``InputTransformer`` or the event.

Source: Amazon EventBridge User Guide, "Amazon EventBridge input transformation".
"""

import json
import re
from typing import Any

__all__ = ["target_input"]

_PLACEHOLDER = re.compile(r"<([A-Za-z0-9_.-]+)>")
_STEP = re.compile(r"\.([A-Za-z0-9_-]+)|\[(\d+)\]|\['([^']+)'\]")
_MISSING = object()


def target_input(target: dict[str, Any], event: dict[str, Any], rule_arn: str) -> str:
    """The text that the rule sends to the target for the event."""
    if target.get("Input"):
        return str(target["Input"])
    if target.get("InputPath"):
        value = _look_up(target["InputPath"], event)
        return json.dumps(None if value is _MISSING else value)
    transformer = target.get("InputTransformer")
    if not transformer:
        return json.dumps(event)
    values = {
        name: _look_up(path, event) for name, path in transformer.get("InputPathsMap", {}).items()
    }
    values |= {
        "aws.events.rule-arn": rule_arn,
        "aws.events.rule-name": rule_arn.rsplit("/", 1)[-1],
        "aws.events.event.ingestion-time": event["time"],
        "aws.events.event.json": event,
        "aws.events.event": event,
    }
    return _fill(str(transformer["InputTemplate"]), values)


def _fill(template: str, values: dict[str, Any]) -> str:
    """Inside quotes a value becomes text; outside quotes it becomes JSON."""
    filled = []
    quoted = False
    position = 0
    for match in _PLACEHOLDER.finditer(template):
        before = template[position : match.start()]
        quoted ^= before.replace('\\"', "").count('"') % 2 == 1
        value = values.get(match[1], _MISSING)
        filled += [before, _shown(value, quoted)]
        position = match.end()
    return "".join([*filled, template[position:]])


def _shown(value: Any, quoted: bool) -> str:
    if value is _MISSING:
        return "" if quoted else '""'
    if not quoted:
        return json.dumps(value)
    return json.dumps(value if isinstance(value, str) else json.dumps(value))[1:-1]


def _look_up(path: str, event: Any) -> Any:
    value = event
    for name, index, quoted in _STEP.findall(path.removeprefix("$")):
        try:
            value = value[int(index)] if index else value[name or quoted]
        except (KeyError, IndexError, TypeError):
            return _MISSING
    return value
