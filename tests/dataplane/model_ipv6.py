"""How an IPv6 packet is to be read, once more and from the RFCs: an independent opinion, slow and plain (model.py)."""

from __future__ import annotations

from ipaddress import IPv6Address
from typing import NamedTuple

TCP, UDP, ICMPV6 = 6, 17, 58
HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION = 0, 43, 44, 60
EXTENSIONS = {HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION}
MOST_EXTENSIONS = 8
LEAST = {TCP: 20, UDP: 8, ICMPV6: 8}
ECHOES = {128, 129}


class Read(NamedTuple):
    source: IPv6Address
    destination: IPv6Address
    protocol: int
    source_port: int = 0
    destination_port: int = 0
    icmp_type: int = -1


class Unreadable(Exception):
    """Its argument is the verdict."""


def read(frame: bytes) -> Read:
    """What follows Ethernet. Raises Unreadable."""
    packet = frame[14:]
    if len(packet) < 40:
        raise Unreadable("DROP_TRUNCATED")
    total = 40 + int.from_bytes(packet[4:6], "big")
    source, destination = IPv6Address(packet[8:24]), IPv6Address(packet[24:40])
    if packet[0] >> 4 != 6 or total > len(packet) or source.ipv4_mapped or destination.ipv4_mapped:
        raise Unreadable("DROP_MALFORMED_IP")
    protocol, body, later = _walk(packet[6], packet[40:total])
    if later or protocol not in LEAST:
        return Read(source, destination, protocol)
    if len(body) < LEAST[protocol]:
        raise Unreadable("DROP_TRUNCATED")
    return Read(source, destination, protocol, *_ports(protocol, body))


def _walk(protocol: int, rest: bytes) -> tuple[int, bytes, bool]:
    """(protocol of what the extension headers lead to, its bytes, it is a later fragment)."""
    walked = 0
    while protocol in EXTENSIONS:
        if walked == MOST_EXTENSIONS or (protocol == HOP_BY_HOP and walked):
            raise Unreadable("DROP_MALFORMED_IP")
        size = 8 if protocol == FRAGMENT or len(rest) < 8 else 8 + 8 * rest[1]
        if size > len(rest):
            raise Unreadable("DROP_TRUNCATED")
        later = protocol == FRAGMENT and int.from_bytes(rest[2:4], "big") >> 3 > 0
        protocol, rest = rest[0], rest[size:]
        walked += 1
        if later:
            return protocol, rest, True
    return protocol, rest, False


def _ports(protocol: int, body: bytes) -> tuple[int, int, int]:
    if protocol == ICMPV6:
        return int.from_bytes(body[4:6], "big") if body[0] in ECHOES else 0, 0, body[0]
    return int.from_bytes(body[:2], "big"), int.from_bytes(body[2:4], "big"), -1
