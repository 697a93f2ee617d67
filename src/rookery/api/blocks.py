"""Blocks of either family: destinations of routes, entries of prefix lists, what rules name, reservations, blocks of IPv6."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network

from rookery.api.cidr import parse_cidr
from rookery.api.errors import invalid_parameter, invalid_value
from rookery.api.operation import ApiError

Block = IPv4Network | IPv6Network

_IPV6_FORM = re.compile(r"[0-9A-Fa-f:.]{2,45}/[0-9]{1,3}\Z")


@lru_cache(maxsize=16384)
def block(cidr: str) -> Block:
    """Of a block in the store."""
    return ip_network(cidr)


@lru_cache(maxsize=16384)
def _ipv6(text: str) -> IPv6Network | None:
    """Host bits are dropped. IPv4 in the clothes of IPv6 is nobody's block: no packet may carry it, and the data plane
    writes IPv4 itself so."""
    try:
        parsed = IPv6Network(text, strict=False) if _IPV6_FORM.match(text) else None
    except ValueError:
        return None
    return parsed if parsed and parsed.network_address.ipv4_mapped is None else None


def parse_ipv6_cidr(text: str, parameter: str) -> IPv6Network:
    """Raises InvalidParameterValue."""
    parsed = _ipv6(text)
    if parsed is None:
        raise invalid_value(parameter, text[:80], "This is not a valid IPv6 CIDR block.")
    return parsed


def parse_block(text: str, parameter: str) -> Block:
    """Of either family. Raises InvalidParameterValue."""
    return parse_ipv6_cidr(text, parameter) if ":" in text else parse_cidr(text, parameter)


def ipv4_block(text: str) -> str:
    """Of a rule, in the one spelling that AWS answers: 10.1.2.3/8 is 10.0.0.0/8. Raises InvalidParameterValue."""
    try:
        return str(parse_cidr(text))
    except ApiError:
        raise _malformed(text) from None


def ipv6_block(text: str) -> str:
    """The same for IPv6."""
    parsed = _ipv6(text)
    if parsed is None:
        raise _malformed(text)
    return str(parsed)


def _malformed(text: str) -> ApiError:
    return invalid_parameter(f"CIDR block {text[:80]} is malformed")


def is_within(inner: Block, outer: Block) -> bool:
    """Equal counts; of different families never."""
    if isinstance(inner, IPv4Network):
        return isinstance(outer, IPv4Network) and inner.subnet_of(outer)
    return isinstance(outer, IPv6Network) and inner.subnet_of(outer)


def overlap(one: Block, other: Block) -> bool:
    return is_within(one, other) or is_within(other, one)


def is_ipv6(cidr: str) -> bool:
    """Of a block in the store."""
    return ":" in cidr
