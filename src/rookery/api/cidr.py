"""IPv4 blocks: reading them, and which may stand in one VPC (the VPC guide's "IPv4 CIDR block association restrictions")."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from ipaddress import IPv4Network
from typing import Any

from rookery.api.errors import invalid_value, missing_parameter
from rookery.api.operation import ApiError

_FORM = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}/[0-9]{1,2}\Z")

SHORTEST_PREFIX, LONGEST_PREFIX = 16, 28
RESERVED_FIRST, RESERVED_LAST = 4, 1  # network, router, resolver, future; broadcast


@lru_cache(maxsize=16384)
def network(cidr: str) -> IPv4Network:
    """Of a block in the store."""
    return IPv4Network(cidr)


def parse_cidr(text: str, parameter: str = "cidrBlock") -> IPv4Network:
    """Host bits are dropped, as AWS does. Raises InvalidParameterValue."""
    try:
        if _FORM.match(text):
            return IPv4Network(text, strict=False)
    except ValueError:
        pass
    raise invalid_value(parameter, text[:80], "This is not a valid CIDR block.")


def given_block(parameters: Mapping[str, Any]) -> IPv4Network:
    """CidrBlock, of calls whose model does not require it though AWS does. Raises MissingParameter,
    InvalidParameterValue."""
    if "CidrBlock" not in parameters:
        raise missing_parameter("cidrBlock")
    return parse_cidr(parameters["CidrBlock"])


TEN, TEN_FIRST, TEN_FIRST_TWO = network("10.0.0.0/8"), network("10.0.0.0/16"), network("10.0.0.0/15")
SEVENTEEN, SEVENTEEN_DEFAULT = network("172.16.0.0/12"), network("172.31.0.0/16")
NINETEEN_TWO, BENCHMARK = network("192.168.0.0/16"), network("198.19.0.0/16")

_NEVER = tuple(map(network, ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4")))

# A VPC that holds a block of the first may not get one of the others; the last row is for every other block.
_REFUSED: tuple[tuple[IPv4Network, tuple[IPv4Network, ...]], ...] = (
    (TEN_FIRST_TWO, (TEN_FIRST,)),
    (TEN, (SEVENTEEN, NINETEEN_TWO, BENCHMARK)),
    (SEVENTEEN, (TEN, NINETEEN_TWO, SEVENTEEN_DEFAULT, BENCHMARK)),
    (NINETEEN_TWO, (TEN, SEVENTEEN, BENCHMARK)),
    (BENCHMARK, (TEN, SEVENTEEN, NINETEEN_TWO)),
)
_REFUSED_TO_PUBLIC = (TEN, SEVENTEEN, NINETEEN_TWO, BENCHMARK)
_CLASSES = (TEN, SEVENTEEN, NINETEEN_TWO, BENCHMARK)


def check_vpc_block(block: IPv4Network) -> None:
    """Raises InvalidVpc.Range."""
    if not SHORTEST_PREFIX <= block.prefixlen <= LONGEST_PREFIX or any(block.overlaps(n) for n in _NEVER):
        raise ApiError("InvalidVpc.Range", f"The CIDR '{block}' is invalid.")


def check_secondary(block: IPv4Network, held: Iterable[IPv4Network]) -> None:
    """Whether `block` may join a VPC that holds `held`. Raises InvalidVpc.Range."""
    check_vpc_block(block)
    for other in held:
        if block.overlaps(other):
            why = f"The CIDR '{block}' conflicts with the CIDR '{other}' of this VPC."
            raise ApiError("InvalidVpc.Range", why)
        if any(block.overlaps(refused) for refused in _refused_beside(other)):
            why = f"The CIDR '{block}' is restricted. Use a CIDR from the same private address range as the current VPC CIDR, or use a publicly-routable CIDR."
            raise ApiError("InvalidVpc.Range", why)


def _refused_beside(held: IPv4Network) -> list[IPv4Network]:
    refused = [one for space, ones in _REFUSED if held.overlaps(space) for one in ones]
    if not any(held.overlaps(space) for space in _CLASSES):
        refused += _REFUSED_TO_PUBLIC
    return refused


def check_subnet_block(block: IPv4Network, blocks_of_vpc: Iterable[str], siblings: Iterable[str]) -> None:
    """Raises InvalidSubnet.Range, InvalidSubnet.Conflict."""
    fits = any(block.subnet_of(network(one)) for one in blocks_of_vpc)
    if not fits or not SHORTEST_PREFIX <= block.prefixlen <= LONGEST_PREFIX:
        raise ApiError("InvalidSubnet.Range", f"The CIDR '{block}' is invalid.")
    if any(block.overlaps(network(sibling)) for sibling in siblings):
        raise ApiError("InvalidSubnet.Conflict", f"The CIDR '{block}' conflicts with another subnet")


def usable_addresses(cidr: str) -> int:
    """Of a subnet, before anything is in it."""
    return network(cidr).num_addresses - RESERVED_FIRST - RESERVED_LAST
