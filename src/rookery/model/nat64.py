"""Where IPv4 lies in IPv6, for instances that speak IPv6 alone: the prefix of RFC 6052, 2.1, that NAT gateways translate."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network

PREFIX = IPv6Network("64:ff9b::/96")


def nat64_address(address: IPv4Address) -> IPv6Address:
    return PREFIX.network_address + int(address)
