"""Availability zones: the zone numbers of the Rookery region's hosts, as letters of the request's AWS region."""

from __future__ import annotations

import string
from typing import NamedTuple

from rookery.api.errors import invalid_value
from rookery.api.operation import Request, View
from rookery.intent.zones import numbered_zone_id


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
    return [Zone(n, region + string.ascii_lowercase[n], numbered_zone_id(region, n)) for n in numbers]


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
