"""The packets that a trace makes, byte by byte as a guest's kernel would, and the little it must read of the answers.

MalformedFrame   bytes that a program gave back are no frame we know: a fault of the data plane, told to the user
"""

from __future__ import annotations

import ipaddress
import struct
from typing import NamedTuple

from rookery.dataplane.addresses import mac_bytes, mac_text
from rookery.dataplane.addresses import substrate_bytes as ipv4_bytes
from rookery.region.errors import RegionError

ETHERTYPE_IPV4 = 0x0800
ETHERTYPE_ARP = 0x0806
ETHERTYPE_IPV6 = 0x86DD
ARP_REQUEST, ARP_REPLY = 1, 2
ARP_ETHERNET_IPV4 = struct.pack("!HHBB", 1, ETHERTYPE_IPV4, 6, 4)
ICMP, TCP, UDP, ICMPV6 = 1, 6, 17, 58
ECHO_REQUEST = {4: 8, 6: 128}  # by IP version
NEIGHBOUR_SOLICITATION, NEIGHBOUR_ADVERTISEMENT = 135, 136
SOURCE_MAC, TARGET_MAC = 1, 2  # options of neighbour discovery
NEIGHBOUR_HOP_LIMIT = 255
BROADCAST = "ff:ff:ff:ff:ff:ff"
NO_MAC = "00:00:00:00:00:00"
SOURCE_PORT = 49_152  # the first of the dynamic ports (RFC 6335)
ECHO_IDENTIFIER = 0x524B  # "RK": a capture shows whose ping it was
TTL = 64
SYN = 0x02
WINDOW = 64_240
PROTOCOLS = {ICMP: "icmp", TCP: "tcp", UDP: "udp", ICMPV6: "icmpv6"}


class MalformedFrame(RegionError):
    pass


class Probe(NamedTuple):
    """What to send: `port` of TCP and UDP."""

    protocol: int
    port: int = 0

    @classmethod
    def of(cls, tcp: int | None, udp: int | None) -> Probe:
        if tcp is not None:
            return cls(TCP, _port(tcp))
        return cls(UDP, _port(udp)) if udp is not None else cls(ICMP)

    def __str__(self) -> str:
        return f"{PROTOCOLS[self.protocol]} port {self.port}" if self.port else "icmp echo request"


def arp_request(mac: str, address: str, wanted: str) -> bytes:
    """Who has `wanted`? 60 bytes, the least that Ethernet carries."""
    sender = mac_bytes(mac) + ipv4_bytes(address)
    target = mac_bytes(NO_MAC) + ipv4_bytes(wanted)
    operation = struct.pack("!H", ARP_REQUEST)
    body = ARP_ETHERNET_IPV4 + operation + sender + target
    return (_ethernet(BROADCAST, mac, ETHERTYPE_ARP) + body).ljust(60, b"\0")


def arp_answer(frame: bytes, asked: str) -> str:
    """The MAC that an ARP reply for `asked` gives. Raises MalformedFrame."""
    if len(frame) < 42 or frame[12:14] != struct.pack("!H", ETHERTYPE_ARP):
        raise MalformedFrame(f"the answer to the ARP request is no ARP: {frame[:42].hex()}")
    (operation,) = struct.unpack("!H", frame[20:22])
    if operation != ARP_REPLY or frame[28:32] != ipv4_bytes(asked):
        raise MalformedFrame(f"the answer to the ARP request for {asked} is another: {frame[:42].hex()}")
    return mac_text(frame[22:28])


def neighbour_solicitation(mac: str, address: str, wanted: str) -> bytes:
    """Who has `wanted`? To the group that its last 24 bits name (RFC 4291, 2.7.1)."""
    last = _packed(wanted)[13:]
    group = str(ipaddress.IPv6Address(bytes.fromhex("ff0200000000000000000001ff") + last))
    asked = _packed(wanted) + bytes((SOURCE_MAC, 1)) + mac_bytes(mac)
    body = _icmpv6(address, group, NEIGHBOUR_SOLICITATION, bytes(4) + asked)
    start = _ethernet(f"33:33:ff:{last.hex(':')}", mac, ETHERTYPE_IPV6)
    return start + _ipv6(address, group, ICMPV6, body, NEIGHBOUR_HOP_LIMIT)


def neighbour_answer(frame: bytes, asked: str) -> str:
    """The MAC that a neighbour advertisement for `asked` gives. Raises MalformedFrame."""
    if len(frame) < 86 or frame[12:14] != struct.pack("!H", ETHERTYPE_IPV6) or frame[20] != ICMPV6:
        raise MalformedFrame(f"the answer to the neighbour solicitation is no ICMPv6: {frame[:86].hex()}")
    if frame[54] != NEIGHBOUR_ADVERTISEMENT or frame[62:78] != _packed(asked) or frame[78] != TARGET_MAC:
        raise MalformedFrame(f"the answer to the neighbour solicitation for {asked} is another: {frame[:86].hex()}")
    return mac_text(frame[80:86])


def ip_frame(source_mac: str, next_hop_mac: str, source: str, destination: str, probe: Probe) -> bytes:
    """Of the family that both addresses have."""
    family = ipv6_frame if ":" in destination else ipv4_frame
    return family(source_mac, next_hop_mac, source, destination, probe)


def ipv6_frame(source_mac: str, next_hop_mac: str, source: str, destination: str, probe: Probe) -> bytes:
    payload = _payload(source, destination, probe)
    protocol = ICMPV6 if probe.protocol == ICMP else probe.protocol
    start = _ethernet(next_hop_mac, source_mac, ETHERTYPE_IPV6)
    return start + _ipv6(source, destination, protocol, payload, TTL)


def ipv4_frame(source_mac: str, next_hop_mac: str, source: str, destination: str, probe: Probe) -> bytes:
    payload = _payload(source, destination, probe)
    return _ethernet(next_hop_mac, source_mac, ETHERTYPE_IPV4) + _ipv4(
        source, destination, probe.protocol, payload
    )


def outer_destination(frame: bytes) -> str:
    """Of an Ethernet frame with IPv4 inside. Raises MalformedFrame."""
    if len(frame) < 34 or frame[12:14] != struct.pack("!H", ETHERTYPE_IPV4):
        raise MalformedFrame(f"what left the host is no IPv4: {frame[:34].hex()}")
    return str(ipaddress.IPv4Address(frame[30:34]))


def on_the_substrate(frame: bytes) -> bytes:
    """The same bytes as the receiver's device hands them up: the kernel writes the outer Ethernet header after our
    program (its neighbour table knows the MACs), so a test run has not seen it."""
    return _ethernet("02:00:00:00:00:02", "02:00:00:00:00:01", ETHERTYPE_IPV4) + frame[14:]


def checksum(data: bytes) -> int:
    """RFC 1071."""
    padded = data + b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _port(number: int) -> int:
    if not 1 <= number <= 65535:
        raise RegionError(f"port {number}: 1 to 65535")
    return number


def _ethernet(destination: str, source: str, kind: int) -> bytes:
    return mac_bytes(destination) + mac_bytes(source) + struct.pack("!H", kind)


def _ipv4(source: str, destination: str, protocol: int, payload: bytes) -> bytes:
    addresses = ipv4_bytes(source) + ipv4_bytes(destination)
    dont_fragment = 0x4000
    start = struct.pack("!BBHHHBB", 0x45, 0, 20 + len(payload), 0, dont_fragment, TTL, protocol)
    return start + struct.pack("!H", checksum(start + b"\0\0" + addresses)) + addresses + payload


def _ipv6(source: str, destination: str, protocol: int, payload: bytes, hop_limit: int) -> bytes:
    start = struct.pack("!IHBB", 6 << 28, len(payload), protocol, hop_limit)
    return start + _packed(source) + _packed(destination) + payload


def _packed(address: str) -> bytes:
    return ipaddress.ip_address(address).packed


def _pseudo(source: str, destination: str, protocol: int, length: int) -> bytes:
    """What a checksum covers besides the payload. IPv6 writes the same numbers wider (RFC 8200, 8.1), and they sum up alike."""
    return _packed(source) + _packed(destination) + struct.pack("!HH", protocol, length)


def _icmpv6(source: str, destination: str, kind: int, rest: bytes) -> bytes:
    start = struct.pack("!BB", kind, 0)
    pseudo = _pseudo(source, destination, ICMPV6, len(rest) + 4)
    return start + struct.pack("!H", checksum(pseudo + start + b"\0\0" + rest)) + rest


def _echo(source: str, destination: str) -> bytes:
    rest = struct.pack("!HH", ECHO_IDENTIFIER, 1) + bytes(range(56))
    if ":" in destination:
        return _icmpv6(source, destination, ECHO_REQUEST[6], rest)
    start = struct.pack("!BB", ECHO_REQUEST[4], 0)
    return start + struct.pack("!H", checksum(start + b"\0\0" + rest)) + rest


def _payload(source: str, destination: str, probe: Probe) -> bytes:
    if probe.protocol == ICMP:
        return _echo(source, destination)
    if probe.protocol == UDP:
        start, end = struct.pack("!HHH", SOURCE_PORT, probe.port, 8), b""
    else:
        start = struct.pack("!HHIIBBH", SOURCE_PORT, probe.port, 0, 0, 5 << 4, SYN, WINDOW)
        end = b"\0\0"
    pseudo = _pseudo(source, destination, probe.protocol, len(start) + 2 + len(end))
    return start + struct.pack("!H", checksum(pseudo + start + b"\0\0" + end) or 0xFFFF) + end
