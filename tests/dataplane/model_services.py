"""What docs/life-of-a-packet.md (steps 6, 9, 26 to 28) and docs/wire-format.md say of services, as plain Python over bytes: part of the
other opinion (model.py). Written from those pages, not from bpf/."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from typing import NamedTuple

TCP, UDP = 6, 17
TIME, DNS, METADATA, DHCP, DHCPV6 = "123", "253", "254", "67", "547"
OFFERED = {(METADATA, TCP, 80), (DNS, TCP, 53), (DNS, UDP, 53), (TIME, UDP, 123), (DHCP, UDP, 67), (DHCPV6, UDP, 547)}
AT_SERVICE, AT_RESOLVER, AT_ROUTER, OF_EVERYBODY = 1, 2, 3, 4
LINK_LOCAL = IPv4Network("169.254.0.0/16")
SERVICES = {IPv4Address("169.254.169.254"): METADATA, IPv4Address("169.254.169.253"): DNS, IPv4Address("169.254.169.123"): TIME}
EVERYBODY, NOBODY = IPv4Address("255.255.255.255"), IPv4Address("0.0.0.0")
DHCPV6_ROUTER = IPv6Address("fe80:ec2::1")
LIMIT = 1024
EXTENSIONS = {0, 43, 44, 60}


class Refused(Exception):
    """Its argument is the verdict."""


class Question(NamedTuple):
    service: str
    asked: int


class Seen(NamedTuple):
    """What of an IPv4 packet counts here; `ports` None: it is a later fragment, or has none."""

    source: IPv4Address
    destination: IPv4Address
    protocol: int
    ports: tuple[int, int] | None
    header: int
    fragment: bool
    later: bool


def look_at(frame: bytes) -> Seen:
    """A frame that step 4 has passed."""
    ip = frame[14:]
    header, fragment = (ip[0] & 15) * 4, struct.unpack_from("!H", ip, 6)[0] & 0x3FFF
    later = bool(fragment & 0x1FFF)
    ported = ip[9] in (TCP, UDP) and not later
    ports = struct.unpack_from("!HH", ip, header) if ported else None
    return Seen(IPv4Address(ip[12:16]), IPv4Address(ip[16:20]), ip[9], ports, header, bool(fragment), later)


def asks_for_address(seen: Seen, router: IPv4Address, owned: bool) -> Question | None:
    """Step 6. `owned`: the interface has the source. Raises Refused."""
    if seen.protocol != UDP or seen.ports != (68, 67) or seen.destination not in (EVERYBODY, router):
        return None
    if seen.source != NOBODY and not owned:
        raise Refused("DROP_SOURCE_ADDRESS")
    return Question(DHCP, OF_EVERYBODY if seen.destination == EVERYBODY else AT_ROUTER)


def asks_service(seen: Seen, resolver: IPv4Address | None) -> Question | None:
    """Step 9, what it is. Raises Refused."""
    port = seen.ports[1] if seen.ports else None
    if seen.destination not in LINK_LOCAL:
        return Question(DNS, AT_RESOLVER) if port == 53 and seen.destination == resolver else None
    service = SERVICES.get(seen.destination, "")
    if service and seen.later and seen.protocol in (TCP, UDP):
        raise Refused("DROP_SERVICE_FRAGMENT")
    if (service, seen.protocol, port) not in OFFERED:
        raise Refused("DROP_LINK_LOCAL")
    return Question(service, AT_SERVICE)


def check_question(seen: Seen, largest: int, mtu: int) -> None:
    """Step 9, the packet. Raises Refused."""
    if seen.fragment:
        raise Refused("DROP_SERVICE_FRAGMENT")
    if seen.header != 20:
        raise Refused("DROP_SERVICE_OPTIONS")
    if largest > mtu:
        raise Refused("DROP_TOO_BIG")


def caller(question: Question, interface: int, source: bytes) -> bytes:
    """Of an IPv4 address."""
    return b"\xfd\x52\x04" + bytes((question.asked,)) + interface.to_bytes(4, "big") + bytes(4) + source


def served(frame: bytes, question: Question, interface: int, macs: bytes) -> bytes:
    """`macs`: the services', then the host's."""
    ip = frame[14:]
    payload = struct.unpack_from("!H", ip, 2)[0] - 20
    start = struct.pack("!IHBB", 0x60000000 | ip[1] << 20, payload, ip[9], ip[8])
    ends = caller(question, interface, ip[12:16]) + IPv6Address(f"fd00:ec2::{question.service}").packed
    return macs + b"\x86\xdd" + start + ends + summed_anew(ip[20:], ip[9], ip[12:20], ends)


def summed_anew(segment: bytes, protocol: int, before: bytes, now: bytes) -> bytes:
    """With the checksum that other addresses make of it (RFC 1624)."""
    at = 16 if protocol == TCP else 6
    old = struct.unpack_from("!H", segment, at)[0]
    if protocol == UDP and old == 0:
        return segment
    total = ((0xFFFF - old) - word_sum(before) + word_sum(now)) % 0xFFFF or 0xFFFF
    new = 0xFFFF - total
    if protocol == UDP and new == 0:
        new = 0xFFFF
    return segment[:at] + new.to_bytes(2, "big") + segment[at + 2 :]


def word_sum(content: bytes) -> int:
    return sum(struct.unpack(f"!{len(content) // 2}H", content))


class Guest(NamedTuple):
    """The interface that asked, as steps 27 and 28 need it."""

    number: int
    router: IPv4Address
    router_ipv6: IPv6Address | None
    resolver: IPv4Address | None
    mac: bytes
    router_mac: bytes
    mtu: int


class Answer(NamedTuple):
    """A packet of IPv6 that step 26 has passed, without extension headers."""

    source: IPv6Address
    caller: bytes
    protocol: int
    ports: tuple[int, int]
    largest: int

    @property
    def service(self) -> str:
        return self.source.exploded[-4:].lstrip("0") if self.source.packed[:14] == b"\xfd\x00\x0e\xc2" + bytes(10) else ""


def is_answer(answer: Answer) -> bool:
    return (answer.service, answer.protocol, answer.ports[0]) in OFFERED and answer.caller[:2] == b"\xfd\x52"


Ends = tuple[IPv4Address, IPv4Address] | tuple[IPv6Address, IPv6Address]


def ends(answer: Answer, guest: Guest) -> Ends:
    """(from where the guest asked, its own address). Raises Refused."""
    family, asked, identifier = answer.caller[2], answer.caller[3], answer.caller[8:]
    if family == 4:
        return ipv4_source(answer, guest, asked, identifier[4:]), IPv4Address(identifier[4:])
    if guest.router_ipv6 and asked == AT_SERVICE:
        if family == 7 and answer.service == DHCPV6 and answer.ports[1] == 546:
            return DHCPV6_ROUTER, IPv6Address(b"\xfe\x80" + bytes(6) + identifier)
        if family == 6 and answer.service in (TIME, DNS, METADATA):
            return answer.source, IPv6Address(guest.router_ipv6.packed[:8] + identifier)
    raise Refused("DROP_SERVICE_REPLY")


def ipv4_source(answer: Answer, guest: Guest, asked: int, to: bytes) -> IPv4Address:
    if answer.service == DHCP and asked in (AT_ROUTER, OF_EVERYBODY) and answer.ports[1] == 68 and any(to):
        return guest.router
    if answer.service == DNS and asked == AT_RESOLVER:
        return guest.resolver or NOBODY
    for address, service in SERVICES.items():
        if service == answer.service and asked == AT_SERVICE:
            return address
    raise Refused("DROP_SERVICE_REPLY")


def heard(frame: bytes, answer: Answer, guest: Guest) -> bytes:
    """Steps 27 and 28. Raises Refused."""
    source, destination = ends(answer, guest)
    shorter = 20 if source.version == 4 else 0
    if answer.largest - shorter > guest.mtu:
        raise Refused("DROP_TOO_BIG")
    macs = (b"\xff" * 6 if destination == EVERYBODY else guest.mac) + guest.router_mac
    both = source.packed + destination.packed
    segment = summed_anew(frame[54:], answer.protocol, frame[22:54], both)
    if source.version == 6:
        return macs + frame[12:22] + both + segment
    return macs + b"\x08\x00" + ipv4_of(frame, both) + segment


def ipv4_of(frame: bytes, both: bytes) -> bytes:
    flow, payload, protocol, hops = struct.unpack_from("!IHBB", frame, 14)
    blank = struct.pack("!BBHHHBBH", 0x45, flow >> 20 & 0xFF, payload + 20 & 0xFFFF, 0, 0x4000, hops, protocol, 0) + both
    total = word_sum(blank) % 0xFFFF or 0xFFFF
    return blank[:10] + (0xFFFF - total).to_bytes(2, "big") + blank[12:]
