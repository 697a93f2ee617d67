"""Availability zones: the zone numbers of the Rookery region's hosts, as letters of the request's AWS region."""

from __future__ import annotations

import string
from typing import Any, NamedTuple

from rookery.api.errors import invalid_value
from rookery.api.operation import Request, View

_DIRECTIONS = {
    "northeast": "ne",
    "northwest": "nw",
    "southeast": "se",
    "southwest": "sw",
    "north": "n",
    "south": "s",
    "east": "e",
    "west": "w",
    "central": "c",
}


class Zone(NamedTuple):
    number: int  # 0 is the first
    name: str  # us-east-1a
    id: str  # use1-az1


def zone_numbers(view: View) -> list[int]:
    return sorted({host.zone for host in view.hosts()}) or [0]


def zones(request: Request, view: View) -> list[Zone]:
    """In order. A Rookery region without hosts still has its first zone: subnets can be planned before machines."""
    return zones_of(request.region, zone_numbers(view))


def zones_of(region: str, numbers: list[int]) -> list[Zone]:
    return [Zone(n, region + string.ascii_lowercase[n], f"{_short(region)}-az{n + 1}") for n in numbers]


def zone_named(request: Request, view: View, name: str, parameter: str = "availabilityZone") -> Zone:
    """Raises InvalidParameterValue, which lists the valid ones."""
    known = zones(request, view)
    for zone in known:
        if name == zone.name:
            return zone
    names = ", ".join(zone.name for zone in known)
    raise invalid_value(
        parameter,
        name,
        f"Subnets can currently only be created in the following availability zones: {names}.",
    )


def zone_id(region: str, zone_name: str) -> str:
    """use1-az1 of us-east-1a."""
    return f"{_short(region)}-az{string.ascii_lowercase.index(zone_name[-1]) + 1}"


def _short(region: str) -> str:
    """us-east-1 -> use1, ap-southeast-2 -> apse2; a name of another form is taken as it is."""
    parts: Any = region.split("-")
    if len(parts) < 3:
        return region
    *area, direction, number = parts
    return "".join(area) + _DIRECTIONS.get(direction, direction) + number
