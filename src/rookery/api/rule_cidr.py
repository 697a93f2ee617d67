"""The blocks that rules name, of either family, in the one spelling that AWS answers: 10.1.2.3/8 is 10.0.0.0/8."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv6Network

from rookery.api.cidr import parse_cidr
from rookery.api.errors import invalid_parameter
from rookery.api.operation import ApiError

_FORM = re.compile(r"[0-9A-Fa-f:.]{2,45}/[0-9]{1,3}\Z")

# IPv4 in the clothes of IPv6: no packet may carry it, and the data plane writes IPv4 itself so.
_MAPPED = IPv6Network("::ffff:0:0/96")


def ipv4_block(text: str) -> str:
    """Raises InvalidParameterValue."""
    try:
        return str(parse_cidr(text))
    except ApiError:
        raise malformed(text) from None


def ipv6_block(text: str) -> str:
    """Raises InvalidParameterValue."""
    block = _ipv6(text)
    if block is None or block.subnet_of(_MAPPED):
        raise malformed(text)
    return str(block)


@lru_cache(maxsize=16384)
def _ipv6(text: str) -> IPv6Network | None:
    try:
        return IPv6Network(text, strict=False) if _FORM.match(text) else None
    except ValueError:
        return None


def malformed(text: str) -> ApiError:
    return invalid_parameter(f"CIDR block {text[:80]} is malformed")


def is_ipv6(cidr: str) -> bool:
    """Of a block in the store."""
    return ":" in cidr
