"""Blocks of either family: destinations of routes, entries of prefix lists, reservations, blocks of IPv6."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network

from rookery.api.cidr import parse_cidr
from rookery.api.errors import invalid_value

Block = IPv4Network | IPv6Network

_IPV6_FORM = re.compile(r"[0-9A-Fa-f:.]{2,45}/[0-9]{1,3}\Z")


@lru_cache(maxsize=16384)
def block(cidr: str) -> Block:
    """Of a block in the store."""
    return ip_network(cidr)


def parse_ipv6_cidr(text: str, parameter: str) -> IPv6Network:
    """Host bits are dropped. An IPv4 address in the clothes of IPv6 is nobody's block. Raises InvalidParameterValue."""
    try:
        if _IPV6_FORM.match(text):
            parsed = IPv6Network(text, strict=False)
            if parsed.network_address.ipv4_mapped is None:
                return parsed
    except ValueError:
        pass
    raise invalid_value(parameter, text[:80], "This is not a valid IPv6 CIDR block.")


def parse_block(text: str, parameter: str) -> Block:
    """Of either family. Raises InvalidParameterValue."""
    return parse_ipv6_cidr(text, parameter) if ":" in text else parse_cidr(text, parameter)


def is_within(inner: Block, outer: Block) -> bool:
    """Equal counts; of different families never."""
    if isinstance(inner, IPv4Network):
        return isinstance(outer, IPv4Network) and inner.subnet_of(outer)
    return isinstance(outer, IPv6Network) and inner.subnet_of(outer)


def overlap(one: Block, other: Block) -> bool:
    return is_within(one, other) or is_within(other, one)


def is_ipv6(cidr: str) -> bool:
    return ":" in cidr
