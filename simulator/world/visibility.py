"""Eventual consistency: new resources are not visible everywhere at once.

Source: EC2 developer guide, "Eventual consistency in the Amazon EC2 API": a command that follows
too soon answers that the resource does not exist. How long is drawn for each resource, and apart
for asking by its id, for listings and for its tags, which other servers answer.
"""

from typing import Literal

from simulator.world.model import Instance
from simulator.world.state import WorldState

Way = Literal["id", "list", "tags"]


def hide_instance(state: WorldState, instance: Instance) -> None:
    """An instance that has just been launched, its tags and its spot request."""
    limits = state.limits
    for resource_id in (instance.instance_id, instance.spot_request_id):
        if resource_id is not None:
            for way, span in (
                ("id", limits.visible_by_id_s),
                ("list", limits.visible_in_lists_s),
                ("tags", limits.visible_tags_s),
            ):
                _hide(state, resource_id, way, span.low_s, span.high_s)


def hide_template(state: WorldState, template_id: str, version: int) -> None:
    """A version of a launch template that has just been made, with the template if it is new."""
    span = state.limits.visible_template_s
    if version == 1:
        _hide(state, template_id, "id", span.low_s, span.high_s)
    _hide(state, f"{template_id}:{version}", "id", span.low_s, span.high_s)


def is_hidden(state: WorldState, resource_id: str, way: Way = "id") -> bool:
    """Whether a resource cannot be seen in this way yet."""
    if not state.hidden_until:
        return False
    until = state.hidden_until.get((resource_id, way))
    if until is None:
        return False
    if state.now() < until:
        return True
    del state.hidden_until[(resource_id, way)]
    return False


def version_is_hidden(state: WorldState, template_id: str, version: int) -> bool:
    """Whether a version of a launch template cannot be seen yet."""
    return is_hidden(state, f"{template_id}:{version}")


def _hide(state: WorldState, resource_id: str, way: str, low_s: float, high_s: float) -> None:
    delay = state.seconds(low_s, high_s, "visible", way, resource_id)
    if delay:
        state.hidden_until[(resource_id, way)] = state.now() + delay
