"""What docs/life-of-a-packet.md and docs/wire-format.md say, as plain Python over bytes: the other opinion that the
fuzzer compares the programs with. Written from those two pages, not from bpf/; shares no code with rookery.dataplane."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network

MASK32 = 0xFFFFFFFF
WRAPPING = 62
ANSWERS_ICMP = (0, 8, 13, 14)


@dataclass(frozen=True)
class Interface:
    vni: int
    number: int
    subnet: int
    route_table: int
    router: IPv4Address
    primary: IPv4Address
    mac: bytes
    router_mac: bytes
    mtu: int = 1500
    source_check: bool = True


@dataclass(frozen=True)
class Place:
    """Where an address lives."""

    host: IPv4Address
    interface: int
    subnet: int
    mac: bytes


@dataclass(frozen=True)
class Local:
    ifindex: int
    mac: bytes
    router_mac: bytes
    subnet: int
    mtu: int = 1500


@dataclass(frozen=True)
class Substrate:
    address: IPv4Address
    network: IPv4Network
    ifindex: int
    mtu: int
    gateway: IPv4Address | None = None


@dataclass
class Host:
    """All tables of one host."""

    substrate: Substrate | None = None
    interfaces: dict[int, Interface] = field(default_factory=dict)
    mappings: dict[tuple[int, IPv4Address], Place] = field(default_factory=dict)
    local: dict[tuple[int, int], Local] = field(default_factory=dict)
    routes: dict[tuple[int, IPv4Network], str] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    verdict: str
    frame: bytes | None = None  # None: dropped or left alone
    target: int = 0


class Dropped(Exception):
    pass


@dataclass
class Inner:
    """An instance's frame, read."""

    frame: bytes
    source: IPv4Address
    destination: IPv4Address
    protocol: int
    ports: tuple[int, int]
    largest: int
    dont_fragment: bool
    unanswerable: bool


def checksum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def ipv4_header(total: int, protocol: int, source: bytes, destination: bytes, dont_fragment: bool) -> bytes:
    flags = 0x4000 if dont_fragment else 0
    blank = struct.pack("!BBHHHBBH4s4s", 0x45, 0, total, 0, flags, 64, protocol, 0, source, destination)
    return blank[:10] + struct.pack("!H", checksum(blank)) + blank[12:]


def read_ip(frame: bytes, gso_size: int) -> Inner:
    if frame[12:14] != b"\x08\x00":
        raise Dropped("DROP_NOT_IP")
    ip = frame[14:]
    if len(ip) < 20:
        raise Dropped("DROP_TRUNCATED")
    total, fragment = struct.unpack_from("!H2xH", ip, 2)
    header = (ip[0] & 15) * 4
    if ip[0] >> 4 != 4 or header < 20 or total < header:
        raise Dropped("DROP_MALFORMED_IP")
    if len(ip) < header:
        raise Dropped("DROP_TRUNCATED")
    if total > len(ip):
        raise Dropped("DROP_MALFORMED_IP")
    later = bool(fragment & 0x1FFF)
    ports, transport, is_error = ((0, 0), 0, False) if later else read_transport(ip[header:total], ip[9])
    if fragment & 0x2000:
        ports = (0, 0)  # of the outer source port: alike for all fragments of a packet
    headers = header + transport
    largest = headers + gso_size if gso_size and total > headers else len(ip)
    return Inner(
        frame,
        IPv4Address(ip[12:16]),
        IPv4Address(ip[16:20]),
        ip[9],
        ports,
        largest,
        bool(fragment & 0x4000),
        bool(fragment & 0x1FFF) or is_error,
    )


def read_transport(payload: bytes, protocol: int) -> tuple[tuple[int, int], int, bool]:
    """Ports, length of the transport's header, whether it is an ICMP error."""
    least = {6: 20, 17: 8, 1: 8}.get(protocol, 0)
    if len(payload) < least:
        raise Dropped("DROP_TRUNCATED")
    if protocol == 1:
        identifier = struct.unpack_from("!H", payload, 4)[0] if payload[0] in (0, 8) else 0
        return (identifier, 0), 8, payload[0] not in ANSWERS_ICMP
    if least:
        ports = struct.unpack_from("!HH", payload)
        return ports, (payload[12] >> 4) * 4 if protocol == 6 else 8, False
    return (0, 0), 0, False


def owns(host: Host, me: Interface, address: IPv4Address) -> bool:
    place = host.mappings.get((me.vni, address))
    return address == me.primary or (place is not None and place.interface == me.number)


def answer_arp(host: Host, me: Interface, frame: bytes, ifindex: int) -> Outcome:
    if len(frame) < 42:
        raise Dropped("DROP_TRUNCATED")
    kind, operation = frame[14:20], struct.unpack_from("!H", frame, 20)[0]
    if kind != b"\x00\x01\x08\x00\x06\x04" or operation not in (1, 2):
        raise Dropped("DROP_MALFORMED_ARP")
    sender_mac, sender, target = frame[22:28], IPv4Address(frame[28:32]), IPv4Address(frame[38:42])
    if sender_mac != me.mac:
        raise Dropped("DROP_SOURCE_MAC")
    if int(sender) and not owns(host, me, sender):
        raise Dropped("DROP_SOURCE_ADDRESS")
    mac = who_has(host, me, target) if operation == 1 else None
    if mac is None:
        raise Dropped("DROP_ARP_UNANSWERED")
    arp = kind + b"\x00\x02" + mac + target.packed + sender_mac + sender.packed
    return Outcome("ANSWERED", sender_mac + mac + b"\x08\x06" + arp + frame[42:], ifindex)


def who_has(host: Host, me: Interface, target: IPv4Address) -> bytes | None:
    if target == me.router:
        return me.router_mac
    place = host.mappings.get((me.vni, target))
    if place is None or place.interface == me.number or place.subnet != me.subnet:
        return None
    return place.mac


def route(host: Host, me: Interface, destination: IPv4Address) -> None:
    found = [n for (table, n) in host.routes if table == me.route_table and destination in n]
    if not found:
        raise Dropped("DROP_NO_ROUTE")
    if host.routes[me.route_table, max(found, key=lambda n: n.prefixlen)] == "blackhole":
        raise Dropped("DROP_BLACKHOLE")


def fragmentation_needed(me: Interface, inner: Inner, mtu: int, ifindex: int) -> Outcome:
    if not inner.dont_fragment or inner.unanswerable or len(inner.frame) < 142:
        raise Dropped("DROP_TOO_BIG")
    quoted = inner.frame[14:142]
    icmp = struct.pack("!BBHHH", 3, 4, 0, 0, mtu)
    icmp = icmp[:2] + struct.pack("!H", checksum(icmp + quoted)) + icmp[4:]
    header = ipv4_header(156, 1, me.router.packed, inner.source.packed, False)
    return Outcome("ANSWERED", me.mac + me.router_mac + b"\x08\x00" + header + icmp + quoted, ifindex)


def flow_port(inner: Inner) -> int:
    """Words as a little-endian machine loads them."""
    prefix = struct.unpack("<I", b"\0\0\xff\xff")[0]
    source, destination = (struct.unpack("<I", a.packed)[0] ^ prefix for a in (inner.source, inner.destination))
    ports = [struct.unpack("<H", struct.pack(">H", port))[0] for port in inner.ports]
    value = inner.protocol
    for word in (source, destination, ports[0] << 16 | ports[1]):
        value = (value ^ word) * 0x9E3779B1 & MASK32
    return 0xC000 | value >> 18


def wrap(substrate: Substrate, me: Interface, inner: Inner, place: Place, trace: int) -> Outcome:
    total = len(inner.frame) - 14 + WRAPPING
    total = total if total <= 0xFFFF else 0
    ip = ipv4_header(total, 17, substrate.address.packed, place.host.packed, True)
    udp = struct.pack("!HHHH", flow_port(inner), 6081, total - 20 if total else 0, 0)
    geneve = struct.pack("!BBHI", 3, 0, 0x6558, me.vni << 8)
    origin = struct.pack("!HBBII", 0xFF52, 1, 2, me.number, trace)
    carried = place.mac + inner.frame[6:]
    return Outcome("SENT", bytes(12) + b"\x08\x00" + ip + udp + geneve + origin + carried, substrate.ifindex)


def verify(host: Host, vni: int, inner: Inner, outer_source: IPv4Address) -> Place:
    place = host.mappings.get((vni, inner.source))
    if place is None:
        raise Dropped("DROP_SOURCE_NOT_MAPPED")
    if place.host != outer_source:
        raise Dropped("DROP_SOURCE_NOT_AT_HOST")
    return place


def deliver(host: Host, vni: int, inner: Inner, source: Place) -> Outcome:
    assert host.substrate
    place = host.mappings.get((vni, inner.destination))
    local = host.local.get((vni, place.interface)) if place and place.host == host.substrate.address else None
    if local is None:
        raise Dropped("DROP_DESTINATION_NOT_HERE")
    if inner.largest > local.mtu:
        raise Dropped("DROP_TOO_BIG")
    sender = source.mac if source.subnet == local.subnet else local.router_mac
    return Outcome("DELIVERED", local.mac + sender + b"\x08\x00" + inner.frame[14:], local.ifindex)


def check_instance_packet(host: Host, me: Interface, frame: bytes, gso_size: int) -> Inner:
    inner = read_ip(frame, gso_size)
    limited = IPv4Address("255.255.255.255")
    if frame[0] & 1 or inner.destination.is_multicast or inner.destination == limited:
        raise Dropped("DROP_MULTICAST")
    if me.source_check and not owns(host, me, inner.source):
        raise Dropped("DROP_SOURCE_ADDRESS")
    if inner.destination.is_link_local or inner.source.is_link_local:
        raise Dropped("DROP_LINK_LOCAL")
    return inner


def egress(host: Host, frame: bytes, ifindex: int, gso_size: int, trace: int) -> Outcome:
    me = host.interfaces.get(ifindex)
    if me is None:
        raise Dropped("DROP_NOT_CONFIGURED")
    if frame[6:12] != me.mac:
        raise Dropped("DROP_SOURCE_MAC")
    if frame[12:14] == b"\x08\x06":
        return answer_arp(host, me, frame, ifindex)
    inner = check_instance_packet(host, me, frame, gso_size)
    to_router = frame[:6] == me.router_mac
    if to_router:
        route(host, me, inner.destination)
    place = host.mappings.get((me.vni, inner.destination))
    if place is None:
        raise Dropped("DROP_NO_MAPPING")
    if not to_router and place.subnet != me.subnet:
        raise Dropped("DROP_WRONG_SUBNET")
    return forward(host, me, inner, place, ifindex=ifindex, trace=trace)


def forward(host: Host, me: Interface, inner: Inner, place: Place, *, ifindex: int, trace: int) -> Outcome:
    substrate = host.substrate
    if substrate is None:
        raise Dropped("DROP_NOT_CONFIGURED")
    mtu = min(me.mtu, max(substrate.mtu - WRAPPING, 0))
    if inner.largest > mtu:
        return fragmentation_needed(me, inner, mtu, ifindex)
    if place.host == substrate.address:
        return deliver(host, me.vni, inner, verify(host, me.vni, inner, substrate.address))
    if place.host not in substrate.network and not substrate.gateway:
        raise Dropped("DROP_NOT_CONFIGURED")
    return wrap(substrate, me, inner, place, trace)


def is_overlay(frame: bytes) -> bool:
    ip = frame[14:]
    if len(ip) < 20 or frame[12:14] != b"\x08\x00" or ip[0] >> 4 != 4 or ip[0] & 15 < 5:
        return False
    if ip[9] != 17 or struct.unpack_from("!H", ip, 6)[0] & 0x1FFF:
        return False
    udp = ip[(ip[0] & 15) * 4 :]
    return len(udp) >= 8 and udp[2:4] == b"\x17\xc1"


def check_outer(frame: bytes, gso_size: int) -> None:
    ip = frame[14:]
    header, total, fragment = ip[0] & 15, *struct.unpack_from("!H2xH", ip, 2)
    udp = ip[header * 4 :]
    if header != 5 or fragment & 0x2000 or udp[6:8] != b"\0\0":
        raise Dropped("DROP_MALFORMED_GENEVE")
    if gso_size:
        return
    if total > len(ip):
        raise Dropped("DROP_TRUNCATED")
    if total < len(ip) or struct.unpack_from("!H", udp, 4)[0] + 20 != total:
        raise Dropped("DROP_MALFORMED_GENEVE")


def read_geneve(frame: bytes) -> tuple[int, bytes]:
    """VNI and inner frame."""
    geneve = frame[42:]
    if len(geneve) < 8:
        raise Dropped("DROP_TRUNCATED")
    if geneve[0] & 0xC0 or geneve[1] & 0x80 or geneve[2:4] != b"\x65\x58":
        raise Dropped("DROP_MALFORMED_GENEVE")
    end = 8 + (geneve[0] & 0x3F) * 4
    if len(geneve) < end:
        raise Dropped("DROP_TRUNCATED")
    check_options(geneve[8:end])
    return int.from_bytes(geneve[4:7], "big"), geneve[end:]


def check_options(options: bytes) -> None:
    origins = 0
    while options:
        length = 4 + (options[3] & 0x1F) * 4
        if length > len(options):
            raise Dropped("DROP_MALFORMED_GENEVE")
        if options[2] & 0x80:
            raise Dropped("DROP_UNKNOWN_OPTION")
        if options[:3] == b"\xff\x52\x01":
            origins += 1
            if length != 12 or origins > 1:
                raise Dropped("DROP_MALFORMED_GENEVE")
        options = options[length:]
    if not origins:
        raise Dropped("DROP_MALFORMED_GENEVE")


def ingress(host: Host, frame: bytes, gso_size: int) -> Outcome:
    if not is_overlay(frame):
        return Outcome("NOT_OURS", frame)
    if host.substrate is None:
        raise Dropped("DROP_NOT_CONFIGURED")
    if frame[30:34] != host.substrate.address.packed:
        return Outcome("NOT_OURS", frame)
    check_outer(frame, gso_size)
    vni, carried = read_geneve(frame)
    if len(carried) < 14:
        raise Dropped("DROP_TRUNCATED")
    inner = read_ip(carried, gso_size)
    outer_source = IPv4Address(frame[26:30])
    if outer_source == host.substrate.address:
        raise Dropped("DROP_SOURCE_NOT_AT_HOST")
    return deliver(host, vni, inner, verify(host, vni, inner, outer_source))


def run(host: Host, program: str, frame: bytes, ifindex: int, *, gso_size: int = 0, trace: int = 0) -> Outcome:
    try:
        if program == "host_egress":
            return egress(host, frame, ifindex, gso_size, trace)
        return ingress(host, frame, gso_size)
    except Dropped as reason:
        return Outcome(str(reason))
