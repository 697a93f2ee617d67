"""The id of an availability zone, which follows from its name. Nobody shuffles zones between accounts here, as AWS does."""

from __future__ import annotations

import string

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


def zone_id(region: str, zone_name: str) -> str:
    """use1-az1 of us-east-1a. Raises ValueError: the name ends in no letter."""
    return numbered_zone_id(region, string.ascii_lowercase.index(zone_name[-1:]))


def numbered_zone_id(region: str, number: int) -> str:
    """`number` 0 is the first zone."""
    return f"{_short(region)}-az{number + 1}"


def _short(region: str) -> str:
    """us-east-1 -> use1, ap-southeast-2 -> apse2; a name of another form is taken as it is."""
    parts = region.split("-")
    if len(parts) < 3:
        return region
    *area, direction, number = parts
    return "".join(area) + _DIRECTIONS.get(direction, direction) + number
