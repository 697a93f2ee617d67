"""When a change of the intended state is real: every host concerned has applied it."""

from __future__ import annotations

from rookery.api.operation import View
from rookery.model.objects import NetworkInterface, Resource


def state_of(view: View, resource: Resource, vpc_id: str) -> str:
    """'pending' or 'available', of a VPC or of something in it. What no host holds is available at once."""
    if view.made_at(resource) <= view.live:
        return "available"
    return "pending" if _is_held(view, vpc_id) else "available"


def _is_held(view: View, vpc_id: str) -> bool:
    return any(interface.attachment is not None for interface in view.in_vpc(NetworkInterface, vpc_id))
