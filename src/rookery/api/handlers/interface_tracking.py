"""After how many idle seconds an interface forgets a tracked flow (ConnectionTrackingSpecification)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from rookery.api.errors import invalid_value
from rookery.model.objects import ConnectionTracking

# Member -> field, least and most seconds: the user guide's "Idle connection tracking timeout".
TIMEOUTS = {
    "TcpEstablishedTimeout": ("tcp_established", 60, 432_000),
    "UdpTimeout": ("udp", 30, 60),
    "UdpStreamTimeout": ("udp_stream", 60, 180),
}


def tracking_with(before: ConnectionTracking, asked: Mapping[str, Any] | None) -> ConnectionTracking:
    """What is not asked for stays. Raises InvalidParameterValue."""
    changes: dict[str, int] = {}
    for member, (field, least, most) in TIMEOUTS.items():
        seconds = (asked or {}).get(member)
        if seconds is None:
            continue
        if not least <= seconds <= most:
            raise invalid_value(member, seconds, f"Expecting a value between {least} and {most}.")
        changes[field] = seconds
    return replace(before, **changes)


def tracking_shape(tracking: ConnectionTracking) -> dict[str, Any]:
    """Empty, as at AWS, while nobody has chosen anything."""
    if tracking == ConnectionTracking():
        return {}
    chosen = {member: getattr(tracking, field) for member, (field, _, _) in TIMEOUTS.items()}
    return {"ConnectionTrackingConfiguration": chosen}
