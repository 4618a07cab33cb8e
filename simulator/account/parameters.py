"""Stack parameters, refused where CloudFormation refuses them.

Sources: AWS CloudFormation User Guide, "CloudFormation template Parameters syntax" and "Rules section
syntax" with "Rule-specific intrinsic functions".
"""

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["ParameterError", "check_parameters"]


class ParameterError(Exception):
    """A stack parameter is unknown, missing or outside what the template allows."""


def check_parameters(template: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, str]:
    """The value of every parameter of the template, as text.

    Raises:
        ParameterError: naming every parameter at fault, its value and what is allowed.
    """
    declared: Mapping[str, Any] = template.get("Parameters", {})
    faults = [
        f"parameter {name} is unknown; the template has {', '.join(sorted(declared)) or 'none'}"
        for name in given
        if name not in declared
    ]
    values = {}
    for name, rules in declared.items():
        if name not in given and "Default" not in rules:
            faults.append(f"parameter {name} needs a value; it has no default")
            continue
        values[name] = str(given.get(name, rules.get("Default")))
        faults += [f"parameter {name}: {fault}" for fault in _faults(values[name], rules)]
    faults = faults or _broken_rules(template.get("Rules", {}), values)
    if faults:
        raise ParameterError("; ".join(faults))
    return values


def _broken_rules(rules: Mapping[str, Any], values: Mapping[str, str]) -> list[str]:
    """What the assertions say of parameters that are at odds with each other."""
    return [
        f"rule {name}: {assertion['AssertDescription']}"
        for name, rule in rules.items()
        if _holds(rule.get("RuleCondition", {"Fn::Equals": ["", ""]}), values)
        for assertion in rule["Assertions"]
        if not _holds(assertion["Assert"], values)
    ]


def _holds(condition: Mapping[str, Any], values: Mapping[str, str]) -> bool:
    ((function, given),) = condition.items()
    match function:
        case "Fn::And":
            return all(_holds(each, values) for each in given)
        case "Fn::Or":
            return any(_holds(each, values) for each in given)
        case "Fn::Not":
            return not _holds(given[0], values)
        case "Fn::Equals":
            return _value(given[0], values) == _value(given[1], values)
        case "Fn::Contains":
            return _value(given[1], values) in [_value(each, values) for each in given[0]]
    raise NotImplementedError(f"the rule function {function} is not evaluated here")


def _value(given: Any, values: Mapping[str, str]) -> str:
    return values[given["Ref"]] if isinstance(given, dict) else str(given)


def _faults(value: str, rules: Mapping[str, Any]) -> list[str]:
    kind = rules["Type"]
    as_list = kind == "CommaDelimitedList" or kind.startswith("List<")
    items = [item.strip() for item in value.split(",")] if as_list else [value]
    faults = []
    for item in items:
        faults += _item_faults(item, rules)
        if kind in ("Number", "List<Number>"):
            faults += _number_faults(item, rules)
    return faults


def _item_faults(item: str, rules: Mapping[str, Any]) -> list[str]:
    faults = []
    if "AllowedValues" in rules:
        allowed = [str(value) for value in rules["AllowedValues"]]
        if item not in allowed:
            faults.append(f"{item!r} is not one of {', '.join(allowed)}")
    if "AllowedPattern" in rules and not re.fullmatch(rules["AllowedPattern"], item):
        hint = rules.get("ConstraintDescription", f"the pattern {rules['AllowedPattern']}")
        faults.append(f"{item!r} does not match: {hint}")
    if len(item) < int(rules.get("MinLength", 0)):
        faults.append(f"{item!r} is shorter than {rules['MinLength']} characters")
    if len(item) > int(rules.get("MaxLength", len(item))):
        faults.append(f"{item!r} is longer than {rules['MaxLength']} characters")
    return faults


def _number_faults(item: str, rules: Mapping[str, Any]) -> list[str]:
    try:
        number = float(item)
    except ValueError:
        return [f"{item!r} is not a number"]
    if number < float(rules.get("MinValue", number)):
        return [f"{item} is less than {rules['MinValue']}"]
    if number > float(rules.get("MaxValue", number)):
        return [f"{item} is more than {rules['MaxValue']}"]
    return []
