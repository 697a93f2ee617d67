"""What becomes of the connections of a target group whose weight is 0 by now.

AWS closes them after a while, and does not say how long that is: here it is the group's deregistration delay, by which its owner has said
how long flows may go on at whoever gets no new ones (docs/decisions/0038)."""

from __future__ import annotations

from msgspec.structs import replace

from rookery.api.handlers.listener_actions import listeners_to
from rookery.api.operation import View
from rookery.intent.balancer_attributes import drain_seconds
from rookery.model.balancers import TargetGroup


def shut_or_open(view: View, group: TargetGroup, now: float) -> TargetGroup:
    """The group as its weights and time have made it; the same object where nothing is due."""
    weights = [forward.weight for one in listeners_to(view, group) for forward in one.forwards if forward.group_id == group.id]
    if not weights or any(weights):
        return replace(group, shut=0.0, shut_for_good=False) if group.shut else group
    if not group.shut:
        return replace(group, shut=now, shut_for_good=not drain_seconds(group))
    due = not group.shut_for_good and now - group.shut >= drain_seconds(group)
    return replace(group, shut_for_good=True) if due else group
