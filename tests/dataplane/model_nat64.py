"""What RFC 7915 makes of a packet, written apart from bpf/stages: from its tables, with scapy's checksums."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6EchoReply,
    ICMPv6EchoRequest,
    IPv6,
)
from scapy.packet import Packet, Raw

PREFIX = int(IPv6Address("64:ff9b::"))
MAY_CUT = 1260

# 4.2: (type, code) -> type, code; None: dropped.
TO_IPV6: dict[tuple[int, int], tuple[int, int] | None] = {
    **dict.fromkeys([(3, code) for code in (0, 1, 5, 6, 7, 8, 11, 12)], (1, 0)),
    **dict.fromkeys([(3, code) for code in (9, 10, 13, 15)], (1, 1)),
    (3, 2): (4, 1), (3, 3): (1, 4), (3, 4): (2, 0), (3, 14): None, (3, 16): None,
    (11, 0): (3, 0), (11, 1): (3, 1),
    (12, 0): (4, 0), (12, 1): None, (12, 2): (4, 0), (12, 3): None,
}  # fmt: skip
# 5.2
TO_IPV4: dict[tuple[int, int], tuple[int, int] | None] = {
    (1, 0): (3, 1), (1, 1): (3, 10), (1, 2): (3, 1), (1, 3): (3, 1), (1, 4): (3, 3), (1, 5): None, (1, 6): None,
    (2, 0): (3, 4), (3, 0): (11, 0), (3, 1): (11, 1), (4, 0): (12, 0), (4, 1): (3, 2), (4, 2): None,
}  # fmt: skip
POINTER_TO_IPV6 = {0: 0, 1: 1, 2: 4, 3: 4, 8: 7, 9: 6, **dict.fromkeys(range(12, 16), 8), **dict.fromkeys(range(16, 20), 24)}
POINTER_TO_IPV4 = {0: 0, 1: 1, 4: 2, 5: 2, 6: 9, 7: 8, **dict.fromkeys(range(8, 24), 12), **dict.fromkeys(range(24, 40), 16)}
PLATEAUS = (65535, 32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296, 68)  # RFC 1191, 7.1
CELL_PLATEAUS = tuple(one for one in PLATEAUS if one <= 8166)  # no packet of a cell is larger


def beside(address: str) -> str:
    """An IPv4 address as IPv6 sees it."""
    return str(IPv6Address(PREFIX | int(IPv4Address(address))))


def mtu_to_ipv6(mtu: int, bytes_sent: int) -> int:
    named = mtu or next(one for one in CELL_PLATEAUS if one < bytes_sent)
    return max(1280, named + 20)


def mtu_to_ipv4(mtu: int) -> int:
    return mtu - 20


def _transport(content: Packet, sport: int, dport: int) -> Packet:
    """With new ports or identifier, and no checksum."""
    again = content.copy()
    if isinstance(again, (TCP, UDP)):
        again.sport, again.dport, again.chksum = sport, dport, None
        del again.chksum
    return again


def _echo_to_ipv4(echo: Packet, identifier: int) -> Packet:
    kind = 8 if isinstance(echo, ICMPv6EchoRequest) else 0
    return ICMP(type=kind, code=0, id=identifier, seq=echo.seq) / Raw(bytes(echo.data))


def _echo_to_ipv6(echo: Packet, identifier: int) -> Packet:
    kind = ICMPv6EchoRequest if echo.type == 8 else ICMPv6EchoReply
    return kind(id=identifier, seq=echo.seq, data=bytes(echo.payload))


def to_ipv4(packet: Packet, source: str, destination: str, ports: tuple[int, int], identification: int) -> bytes:
    """`ports`: an echo request has its identifier as the first, a reply as the second. `identification`: the translator's own choice, where it has one."""
    (sport, dport), content = ports, packet.payload
    if isinstance(content, (ICMPv6EchoRequest, ICMPv6EchoReply)):
        behind = _echo_to_ipv4(content, sport if isinstance(content, ICMPv6EchoRequest) else dport)
        protocol = 1
    else:
        behind, protocol = _transport(content, sport, dport), packet.nh
    whole = 20 + len(bytes(behind))
    small = whole <= MAY_CUT
    ip = IP(src=source, dst=destination, tos=packet.tc, ttl=packet.hlim - 1, proto=protocol, flags=0 if small else "DF", id=identification if small else 0)
    return bytes(ip / behind)


def to_ipv6(packet: Packet, source: str, destination: str, ports: tuple[int, int]) -> bytes:
    """`ports`: as to_ipv4()."""
    (sport, dport), content = ports, packet.payload
    if isinstance(content, ICMP):
        behind, protocol = _echo_to_ipv6(content, sport if content.type == 8 else dport), 58
    else:
        behind, protocol = _transport(content, sport, dport), packet.proto
    return bytes(IPv6(src=source, dst=destination, tc=packet.tos, hlim=packet.ttl - 1, nh=protocol) / behind)
