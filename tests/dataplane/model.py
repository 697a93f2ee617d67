"""What docs/life-of-a-packet.md and docs/wire-format.md say, as plain Python over bytes: the other opinion that the
fuzzer compares the programs with. Written from those two pages, not from bpf/; shares no code with rookery.dataplane."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address

from tests.dataplane import model_ipv6, model_services
from tests.dataplane.model_services import Question, Refused

MASK32 = 0xFFFFFFFF
WRAPPING = 66
NOT_OUTSIDE = [IPv4Network(block) for block in ("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
                                                "172.16.0.0/12", "192.168.0.0/16", "224.0.0.0/3")]  # fmt: skip
HAVE_PORTS = (1, 6, 17)  # ICMPv6 inside IPv4 is a protocol like any other
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
    resolver: IPv4Address | None = None
    router_ipv6: IPv6Address | None = None


@dataclass(frozen=True)
class Services:
    """Where they are."""

    ifindex: int
    mac: bytes
    host_mac: bytes


@dataclass(frozen=True)
class Place:
    """Where an address lives. At a cell: `host` is the number of a set of nodes, as a little-endian machine writes it."""

    host: IPv4Address
    interface: int
    subnet: int
    mac: bytes
    at_cell: bool = False
    source_check: bool = True


@dataclass(frozen=True)
class Local:
    ifindex: int
    mac: bytes
    router_mac: bytes
    subnet: int
    mtu: int = 1500
    source_check: bool = True


@dataclass(frozen=True)
class Route:
    kind: str  # local, blackhole, interface, peer, internet, none
    target: int = 0


@dataclass(frozen=True)
class Forwarder:
    """An interface to which routes lead, or which speaks for others."""

    host: IPv4Address
    subnet: int
    mac: bytes
    source_check: bool
    at_cell: bool = False  # as in Place


@dataclass(frozen=True)
class Tops:
    """The nodes of a cell that serve somebody."""

    living: tuple[IPv4Address, ...]
    others: tuple[IPv4Address, ...] = ()


@dataclass(frozen=True)
class Hop:
    """Where a packet goes next."""

    host: IPv4Address
    vni: int
    subnet: int
    mac: bytes
    led_to: int = 0
    outside: bool = False
    at_cell: bool = False
    to_endpoint: bool = False


@dataclass(frozen=True)
class Claim:
    """What a wrapped packet says of itself."""

    vni: int
    origin_vni: int
    interface: int
    led_to: int


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
    routes: dict[tuple[int, IPv4Network], Route] = field(default_factory=dict)
    delegated: dict[tuple[int, IPv4Network], Place] = field(default_factory=dict)
    forwarders: dict[tuple[int, int], Forwarder] = field(default_factory=dict)
    peerings: set[tuple[int, int]] = field(default_factory=set)
    services: Services | None = None
    spent: int = 0  # packets to services, of everybody, in this second
    edges: tuple[IPv4Address, ...] = ()  # that live
    edge_nodes: set[IPv4Address] = field(default_factory=set)
    gateways: set[int] = field(default_factory=set)  # VPCs with an internet gateway
    tops: dict[IPv4Address, Tops] = field(default_factory=dict)  # by number, as a Place has it


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
    later: bool  # a fragment without ports
    headers: int  # bytes in front of the payload, Ethernet's too


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
    first = not fragment & 0x1FFF
    ports, transport, is_error = read_transport(ip[header:total], ip[9]) if first else ((0, 0), 0, False)
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
        not first,
        14 + headers,
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


def follow_first(inner: Inner) -> None:
    """A made packet leaves no trace, so no first fragment was ever seen."""
    if inner.later and inner.protocol in HAVE_PORTS:
        raise Dropped("DROP_UNKNOWN_FRAGMENT")


def place_of(host: Host, vni: int, address: IPv4Address) -> Place | None:
    """An address of its own, or the longest delegated prefix."""
    found = [n for (v, n) in host.delegated if v == vni and address in n]
    longest = max(found, key=lambda n: n.prefixlen, default=None)
    prefix = host.delegated[vni, longest] if longest else None
    return host.mappings.get((vni, address), prefix)


def owns(host: Host, me: Interface, address: IPv4Address) -> bool:
    place = place_of(host, me.vni, address)
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
    resolver_near = me.resolver if me.resolver and int(me.resolver) == int(me.router) + 1 else None
    if target in (me.router, resolver_near, *model_services.SERVICES):
        return me.router_mac
    place = place_of(host, me.vni, target)
    if place is None or place.interface == me.number or place.subnet != me.subnet:
        return None
    return place.mac


def longest_route(host: Host, me: Interface, destination: IPv4Address) -> Route:
    found = [n for (table, n) in host.routes if table == me.route_table and destination in n]
    longest = max(found, key=lambda n: n.prefixlen, default=None)
    route = host.routes[me.route_table, longest] if longest else Route("none")
    if route.kind == "none":
        raise Dropped("DROP_NO_ROUTE")
    if route.kind == "blackhole":
        raise Dropped("DROP_BLACKHOLE")
    return route


def owner(host: Host, vni: int, inner: Inner) -> Hop:
    place = place_of(host, vni, inner.destination)
    if place is None:
        raise Dropped("DROP_NO_MAPPING")
    at = top_for(host, place.host, inner) if place.at_cell else place.host
    endpoint = place.at_cell and place.source_check
    return Hop(at, vni, place.subnet, place.mac, at_cell=place.at_cell, to_endpoint=endpoint)


def top_for(host: Host, number: IPv4Address, inner: Inner) -> IPv4Address:
    """The heaviest of those that live."""
    living = host.tops[number].living if number in host.tops else ()
    if not living:
        raise Dropped("DROP_NO_TOP")
    return max(living, key=lambda node: weight(flow_hash(inner), node))


def weight(value: int, node: IPv4Address) -> int:
    value ^= struct.unpack("<I", node.packed)[0] * 0x85EBCA6B & MASK32
    value ^= value >> 15
    value = value * 0x2C1B3C6D & MASK32
    return value ^ value >> 12


def next_hop(host: Host, me: Interface, inner: Inner) -> Hop:
    if inner.frame[:6] != me.router_mac:
        hop = owner(host, me.vni, inner)
        if hop.subnet != me.subnet:
            raise Dropped("DROP_WRONG_SUBNET")
        return hop
    route = longest_route(host, me, inner.destination)
    if route.kind == "internet":
        return edge_for(host, me, inner)
    if route.kind != "interface":
        return owner(host, route.target if route.kind == "peer" else me.vni, inner)
    forwarder = host.forwarders.get((me.vni, route.target))
    if forwarder is None:
        raise Dropped("DROP_NO_FORWARDER")
    at = top_for(host, forwarder.host, inner) if forwarder.at_cell else forwarder.host
    return Hop(at, me.vni, forwarder.subnet, forwarder.mac, route.target, at_cell=forwarder.at_cell)


def edge_for(host: Host, me: Interface, inner: Inner) -> Hop:
    if me.vni not in host.gateways:
        raise Dropped("DROP_NO_GATEWAY")
    if not host.edges:
        raise Dropped("DROP_NO_EDGE")
    chosen = host.edges[(flow_hash(inner) >> 16) * len(host.edges) >> 16]
    return Hop(chosen, me.vni, 0, inner.frame[:6], outside=True)


def fragmentation_needed(me: Interface, inner: Inner, mtu: int, ifindex: int) -> Outcome:
    if not inner.dont_fragment or inner.unanswerable or len(inner.frame) < 142:
        raise Dropped("DROP_TOO_BIG")
    quoted = inner.frame[14:142]
    icmp = struct.pack("!BBHHH", 3, 4, 0, 0, mtu)
    icmp = icmp[:2] + struct.pack("!H", checksum(icmp + quoted)) + icmp[4:]
    header = ipv4_header(156, 1, me.router.packed, inner.source.packed, False)
    return Outcome("ANSWERED", me.mac + me.router_mac + b"\x08\x00" + header + icmp + quoted, ifindex)


def flow_hash(inner: Inner) -> int:
    """Words as a little-endian machine loads them."""
    prefix = struct.unpack("<I", b"\0\0\xff\xff")[0]
    source, destination = (struct.unpack("<I", a.packed)[0] ^ prefix for a in (inner.source, inner.destination))
    ports = [struct.unpack("<H", struct.pack(">H", port))[0] for port in inner.ports]
    value = inner.protocol
    for word in (source, destination, ports[0] << 16 | ports[1]):
        value = (value ^ word) * 0x9E3779B1 & MASK32
    return value


def wrap(substrate: Substrate, number: int, vni: int, inner: Inner, hop: Hop) -> Outcome:
    """`number` and `vni`: of the origin."""
    total = len(inner.frame) - 14 + WRAPPING
    total = total if total <= 0xFFFF else 0
    ip = ipv4_header(total, 17, substrate.address.packed, hop.host.packed, True)
    udp = struct.pack("!HHHH", 0xC000 | flow_hash(inner) >> 18, 6081, total - 20 if total else 0, 0)
    geneve = struct.pack("!BBHI", 4, 0, 0x6558, hop.vni << 8)
    origin = struct.pack("!HBBIII", 0xFF52, 1, 3, number, vni << 8, hop.led_to)
    carried = hop.mac + inner.frame[6:]
    return Outcome("SENT", bytes(12) + b"\x08\x00" + ip + udp + geneve + origin + carried, substrate.ifindex)


def verify(host: Host, claim: Claim, inner: Inner, outer_source: IPv4Address) -> tuple[int, bytes]:
    """Subnet and MAC of the interface that sent it; of what comes from outside, none."""
    if claim.interface == 0:
        check_edge(host, claim, inner, outer_source)
        return 0, b""
    return verify_interface(host, claim, inner, outer_source)


def verify_interface(host: Host, claim: Claim, inner: Inner, outer_source: IPv4Address) -> tuple[int, bytes]:
    if claim.origin_vni != claim.vni and (claim.vni, claim.origin_vni) not in host.peerings:
        raise Dropped("DROP_NOT_PEERED")
    place = place_of(host, claim.origin_vni, inner.source)
    if place and place.interface == claim.interface and lives_at(host, place, outer_source):
        return place.subnet, place.mac
    forwarder = host.forwarders.get((claim.origin_vni, claim.interface))
    if forwarder and lives_at(host, forwarder, outer_source) and not forwarder.source_check:
        return forwarder.subnet, forwarder.mac
    raise Dropped("DROP_SOURCE_NOT_AT_HOST" if place else "DROP_SOURCE_NOT_MAPPED")


def lives_at(host: Host, row: Place | Forwarder, address: IPv4Address) -> bool:
    if not row.at_cell:
        return row.host == address
    tops = host.tops.get(row.host)
    return tops is not None and address in (*tops.living, *tops.others)


def check_edge(host: Host, claim: Claim, inner: Inner, outer_source: IPv4Address) -> None:
    if outer_source not in host.edge_nodes:
        raise Dropped("DROP_NOT_AN_EDGE")
    if claim.origin_vni != claim.vni:
        raise Dropped("DROP_NOT_PEERED")
    if claim.vni not in host.gateways:
        raise Dropped("DROP_NO_GATEWAY")
    if any(inner.source in network for network in NOT_OUTSIDE) or place_of(host, claim.vni, inner.source):
        raise Dropped("DROP_PRIVATE_SOURCE")


def receiver(host: Host, claim: Claim, inner: Inner) -> Local:
    assert host.substrate
    place = place_of(host, claim.vni, inner.destination)
    owned_here = place.interface if place and not place.at_cell and place.host == host.substrate.address else 0
    local = host.local.get((claim.vni, claim.led_to or owned_here))
    if local is None:
        raise Dropped("DROP_DESTINATION_NOT_HERE")
    takes_any = not local.source_check and claim.origin_vni == claim.vni
    if claim.led_to not in (0, owned_here) and not takes_any:
        raise Dropped("DROP_DESTINATION_CHECK")
    if inner.largest > local.mtu:
        raise Dropped("DROP_TOO_BIG")
    follow_first(inner)
    return local


def deliver(host: Host, claim: Claim, inner: Inner, outer_source: IPv4Address) -> Outcome:
    subnet, mac = verify(host, claim, inner, outer_source)
    local = receiver(host, claim, inner)
    neighbours = subnet == local.subnet and claim.origin_vni == claim.vni
    sender = mac if neighbours else local.router_mac
    return Outcome("DELIVERED", local.mac + sender + b"\x08\x00" + inner.frame[14:], local.ifindex)


def check_instance_packet(host: Host, me: Interface, inner: Inner) -> None:
    limited = IPv4Address("255.255.255.255")
    if inner.frame[0] & 1 or inner.destination.is_multicast or inner.destination == limited:
        raise Dropped("DROP_MULTICAST")
    if me.source_check and not owns(host, me, inner.source):
        raise Dropped("DROP_SOURCE_ADDRESS")


def ask_services(host: Host, me: Interface, inner: Inner, question: Question, gso_size: int) -> Outcome:
    services = host.services
    if services is None:
        raise Dropped("DROP_NOT_CONFIGURED")
    model_services.check_question(model_services.look_at(inner.frame), inner.largest, me.mtu)
    payload = struct.unpack_from("!H", inner.frame, 16)[0] + 14 - inner.headers
    packets = -(-payload // gso_size) if gso_size and payload > 0 else 1
    if host.spent + packets > model_services.LIMIT:
        raise Dropped("DROP_SERVICE_ALLOWANCE")
    macs = services.mac + services.host_mac
    return Outcome("SERVED", model_services.served(inner.frame, question, me.number, macs), services.ifindex)


def egress(host: Host, frame: bytes, ifindex: int, gso_size: int) -> Outcome:
    me = host.interfaces.get(ifindex)
    if me is None:
        raise Dropped("DROP_NOT_CONFIGURED")
    if frame[6:12] != me.mac:
        raise Dropped("DROP_SOURCE_MAC")
    if frame[12:14] == b"\x08\x06":
        return answer_arp(host, me, frame, ifindex)
    inner = read_ip(frame, gso_size)
    seen = model_services.look_at(frame)
    if question := model_services.asks_for_address(seen, me.router, owns(host, me, inner.source)):
        return ask_services(host, me, inner, question, gso_size)
    check_instance_packet(host, me, inner)
    question = model_services.asks_service(seen, me.resolver)
    if inner.source.is_link_local:
        raise Dropped("DROP_LINK_LOCAL")
    if question:
        return ask_services(host, me, inner, question, gso_size)
    follow_first(inner)
    return forward(host, me, inner, next_hop(host, me, inner), ifindex)


def forward(host: Host, me: Interface, inner: Inner, hop: Hop, ifindex: int) -> Outcome:
    substrate = host.substrate
    if substrate is None:
        raise Dropped("DROP_NOT_CONFIGURED")
    mtu = min(me.mtu, max(substrate.mtu - WRAPPING, 0), 8500 if hop.at_cell else 1 << 16)
    most = min(mtu, 1500) if hop.outside and inner.dont_fragment else mtu
    if inner.largest > most:
        if hop.to_endpoint and mtu == 8500:
            raise Dropped("DROP_TOO_BIG")
        return fragmentation_needed(me, inner, most, ifindex)
    if hop.host == substrate.address:
        return deliver(host, Claim(hop.vni, me.vni, me.number, hop.led_to), inner, substrate.address)
    if hop.host not in substrate.network and not substrate.gateway:
        raise Dropped("DROP_NOT_CONFIGURED")
    return wrap(substrate, me.number, me.vni, inner, hop)


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


def read_geneve(frame: bytes) -> tuple[Claim, bytes]:
    """And the inner frame."""
    geneve = frame[42:]
    if len(geneve) < 8:
        raise Dropped("DROP_TRUNCATED")
    if geneve[0] & 0xC0 or geneve[1] & 0x80 or geneve[2:4] != b"\x65\x58":
        raise Dropped("DROP_MALFORMED_GENEVE")
    end = 8 + (geneve[0] & 0x3F) * 4
    if len(geneve) < end:
        raise Dropped("DROP_TRUNCATED")
    interface, vpc, led_to = struct.unpack("!III", find_origin(geneve[8:end]))
    return Claim(int.from_bytes(geneve[4:7], "big"), vpc >> 8, interface, led_to), geneve[end:]


def find_origin(options: bytes) -> bytes:
    origins = []
    while options:
        length = 4 + (options[3] & 0x1F) * 4
        if length > len(options):
            raise Dropped("DROP_MALFORMED_GENEVE")
        if options[2] & 0x80:
            raise Dropped("DROP_UNKNOWN_OPTION")
        if options[:3] == b"\xff\x52\x01":
            origins.append(options[4:length])
            if length != 16 or len(origins) > 1:
                raise Dropped("DROP_MALFORMED_GENEVE")
        options = options[length:]
    if not origins:
        raise Dropped("DROP_MALFORMED_GENEVE")
    return origins[0]


def ingress(host: Host, frame: bytes, gso_size: int) -> Outcome:
    if not is_overlay(frame):
        return Outcome("NOT_OURS", frame)
    if host.substrate is None:
        raise Dropped("DROP_NOT_CONFIGURED")
    if frame[30:34] != host.substrate.address.packed:
        return Outcome("NOT_OURS", frame)
    check_outer(frame, gso_size)
    claim, carried = read_geneve(frame)
    if len(carried) < 14:
        raise Dropped("DROP_TRUNCATED")
    inner = read_ip(carried, gso_size)
    outer_source = IPv4Address(frame[26:30])
    if outer_source == host.substrate.address:
        raise Dropped("DROP_SOURCE_NOT_AT_HOST")
    return deliver(host, claim, inner, outer_source)


def read_answer(frame: bytes, gso_size: int) -> model_services.Answer | None:
    """None: whatever it is, it is no answer of a service. Raises Dropped."""
    if frame[12:14] == b"\x08\x00":
        read_ip(frame, gso_size)
        return None
    if frame[12:14] != b"\x86\xdd":
        raise Dropped("DROP_NOT_IP")
    try:
        read = model_ipv6.read(frame)
    except model_ipv6.Unreadable as reason:
        raise Dropped(str(reason)) from reason
    if frame[20] in model_ipv6.EXTENSIONS or read.protocol not in (6, 17):
        return None
    headers = 40 + ((frame[66] >> 4) * 4 if read.protocol == 6 else 8)
    total = 40 + struct.unpack_from("!H", frame, 18)[0]
    largest = headers + gso_size if gso_size and total > headers else len(frame) - 14
    ports = read.source_port, read.destination_port
    return model_services.Answer(read.source, frame[38:54], read.protocol, ports, largest)


def answer(host: Host, frame: bytes, gso_size: int) -> Outcome:
    read = read_answer(frame, gso_size)
    number = int.from_bytes(frame[42:46], "big")
    found = [(ifindex, me) for ifindex, me in host.interfaces.items() if me.number == number]
    if read is None or not model_services.is_answer(read) or not found:
        raise Dropped("DROP_SERVICE_REPLY")
    ifindex, me = found[0]
    guest = model_services.Guest(number, me.router, me.router_ipv6, me.resolver, me.mac, me.router_mac, me.mtu)
    return Outcome("DELIVERED", model_services.heard(frame, read, guest), ifindex)


def run(host: Host, program: str, frame: bytes, ifindex: int, *, gso_size: int = 0) -> Outcome:
    try:
        if program == "host_egress":
            return egress(host, frame, ifindex, gso_size)
        if program == "host_services":
            return answer(host, frame, gso_size)
        return ingress(host, frame, gso_size)
    except (Dropped, Refused) as reason:
        return Outcome(str(reason))
