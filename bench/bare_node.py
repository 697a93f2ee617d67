"""A node of a cell by itself, at place 0, with its substrate device: its tables filled, nothing attached, and the packets of the flows that it serves.

    clients 10.1.0.0 + n, targets 10.2.0.0 + n -- host 100.64.1.11 --+-- [100.64.1.31, this node]   NAT gateway 51, 10.255.0.10
    192.0.2.1 -- edge 100.64.1.20 -----------------------------------+-- 100.64.1.32 .. 34          balancer 61, 10.255.0.20
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntFlag

from bench.bare_host import SMALL, THERE, UDP, VPC
from bench.topology import inside, ip
from rookery.dataplane import formats
from rookery.dataplane.addresses import IPV4_PREFIX, substrate_bytes
from rookery.dataplane.cell import CellDataplane, CellSizes
from rookery.dataplane.formats import (
    LAYOUTS,
    AttachmentKind,
    CellConstant,
    CellNodeFlag,
    ChainStep,
    Directive,
    DirectiveFlag,
    FlowKey,
    InterfaceFlag,
    RouteConstant,
    RouteKind,
    ServiceFlag,
    TargetFlag,
)

NODES = tuple(f"100.64.1.{31 + place}" for place in range(4))
EDGE = "100.64.1.20"
NAT, BALANCER, INSTANCE = 51, 61, 6
CLIENTS, TARGETS = 0x0A010000, 0x0A020000
NAT_ADDRESS, BALANCER_ADDRESS, SERVER = bytes((10, 255, 0, 10)), bytes((10, 255, 0, 20)), bytes((192, 0, 2, 1))
PRESERVED, HIDDEN, OUTSIDE = 53, 54, 443  # ports
SOME_TARGETS, VERSION, CHECKSUM = 16, 16, 0x1234
SECRET = bytes(range(16))
IN_RING = CellNodeFlag.CURRENT | CellNodeFlag.PREVIOUS | CellNodeFlag.DECIDES
A_MOMENT = 50_000_000  # nanoseconds: the programs' clock is behind by a tick


CHAIN_HEAD = struct.Struct("!HBBII6BHHH")  # of struct chain_option, in front of the directive


class ChainFlag(IntFlag):
    HANDED_OUT = 1
    OWN_ADDRESS = 2


def mapped(address: bytes) -> bytes:
    return IPV4_PREFIX + address


def word(number: int) -> bytes:
    return number.to_bytes(4, "big")


def port(number: int) -> bytes:
    return number.to_bytes(2, "big")


def mac(number: int) -> bytes:
    return bytes((2, 0, 0, 0, 0, number))


class Flow:
    """A client, one of a thousand, and one of its ports."""

    def __init__(self, number: int):
        self.client = word(CLIENTS + number % SMALL)
        self.port = 1024 + number // SMALL
        self.target = word(TARGETS + number % SOME_TARGETS)
        self.handed_out = 1024 + number % 64_000
        self.server = word(int.from_bytes(SERVER, "big") + number // 64_000)


def sizes(flows: int) -> CellSizes:
    """With room for `flows` of one kind, and for some of every kind; a cache must not throw out what is measured."""
    rows = 2 * flows + 20 * SMALL
    return CellSizes(attachments=8, nat_addresses=8, services=8, targets=SOME_TARGETS, flows=rows, directives=rows,
                     flows_per_tenant=1 << 30)  # fmt: skip


def _attachment(number: int, kind: AttachmentKind, address: bytes) -> formats.Attachment:
    """Measured, as every attachment is."""
    gates = formats.Gates(1, 1, 432_000, 180, 30, 3, 3, 0)
    return formats.Attachment(1, number, 8, kind, 0, mapped(address), mac(number), mac(1), CellConstant.MTU, int(kind is AttachmentKind.NAT),
                              1, 0, 0, *gates, endpoint=bytes(24), primary_ipv6=bytes(16))  # fmt: skip


def _service(number: int, flags: int) -> formats.CellService:
    return formats.CellService(number, flags, 350, VPC, BALANCER, 0)


def ring(real: CellDataplane, nodes: int, own: int = IN_RING) -> None:
    """`own`: what this node is of it."""
    for place in range(CellConstant.NODES_MAX):
        flags = own if place == 0 else IN_RING
        row = formats.CellNode(substrate_bytes(NODES[place]), flags, 0x9E3779B97F4A7C15 * (place + 1) % (1 << 64)) if place < nodes else None
        real.cell_nodes.put_many({real.node_row(0, place): row or formats.CellNode(bytes(4), 0, 0)})
    real.cell_living = (1 << nodes) - 1  # as an agent says it


def _file(real: CellDataplane) -> None:
    for number, kind, address in ((NAT, AttachmentKind.NAT, NAT_ADDRESS), (BALANCER, AttachmentKind.BALANCER, BALANCER_ADDRESS)):
        real.attachments.put_many({formats.AttachmentKey(0, VPC, number): _attachment(number, kind, address)})
    real.nat_addresses.put_many({formats.NatAddressKey(0, VPC, NAT, 0): formats.NatAddress(mapped(NAT_ADDRESS))})
    for number, (at, flags) in enumerate(((PRESERVED, ServiceFlag.PRESERVE_CLIENT), (HIDDEN, 0))):
        real.cell_services.put_many({formats.CellServiceKey(0, VPC, BALANCER, UDP, port(at)): _service(number, flags)})
        chosen = b"".join((place % SOME_TARGETS).to_bytes(2, "little") for place in range(CellConstant.CHOICES))
        real.cell_choices.put_many({real.choices_row(0, number): formats.CellChoices(chosen, bytes(6))})
    for number in range(SOME_TARGETS):
        target = formats.CellTarget(mapped(word(TARGETS + number)), VPC, INSTANCE, port(8000), TargetFlag.HEALTHY, 1)
        real.cell_targets.put_many({real.target_row(0, number): target})
    real.switch(formats.CellConfig(SECRET, 1, epoch=7, half=0, number=1, self=0, services=0, targets=0))


def _places(real: CellDataplane) -> None:
    there = formats.Mapping(substrate_bytes(THERE), INSTANCE, 1, mac(INSTANCE), 1, 1, 0, 1, group_set=0)
    real.mappings.put_many({formats.MappingKey(VPC, mapped(word(base + n))): there for base in (CLIENTS, TARGETS) for n in range(SMALL)})
    for number, address in ((NAT, NAT_ADDRESS), (BALANCER, BALANCER_ADDRESS)):
        row = formats.Mapping(word(1)[::-1], number, number, mac(number), 1, InterfaceFlag.AT_CELL, 0, 1, group_set=0)
        real.mappings.put_many({formats.MappingKey(VPC, mapped(address)): row})


@contextmanager
def device(namespace: str) -> Iterator[None]:
    """u0, with all neighbours known: XDP asks for them before it does anything."""
    ip("netns", "add", namespace)
    try:
        ip("-n", namespace, "link", "add", "u0", "type", "veth", "peer", "name", "u0-end")
        for end in ("u0", "u0-end"):
            ip("-n", namespace, "link", "set", end, "up")
        ip("-n", namespace, "address", "add", f"{NODES[0]}/16", "dev", "u0")
        for neighbour in (THERE, EDGE, *NODES[1:]):
            ip("-n", namespace, "neighbour", "add", neighbour, "lladdr", "02:00:00:00:00:01", "dev", "u0", "nud", "permanent")
        inside(namespace, "sysctl", "-qw", "net.ipv4.conf.u0.forwarding=1")
        yield
    finally:
        ip("netns", "delete", namespace)


def fill(real: CellDataplane, ifindex: int) -> None:
    network = substrate_bytes("100.64.0.0"), substrate_bytes("255.255.0.0"), bytes(4)
    real.configure_substrate(formats.SubstrateConfig(substrate_bytes(NODES[0]), *network, ifindex=ifindex, mtu=1900))
    real.reserve_counters(ifindex)
    real.choose_edges(formats.EdgeSet(1, substrate_bytes(EDGE).ljust(LAYOUTS[formats.EdgeSet].size - 4, b"\0")))
    real.edge_nodes.put_many({formats.EdgeAddress(substrate_bytes(EDGE)): formats.EdgeNode(1)})
    real.gateways.put_many({formats.VpcNumber(VPC): formats.Gateway(formats.GatewayFlag.INTERNET, route_table=0)})
    bits = RouteConstant.TABLE_BITS + RouteConstant.IPV4_BITS
    real.routes.put_many({
        formats.RouteKey(bits + 8, 8, mapped(bytes((10, 0, 0, 0)))): formats.Route(RouteKind.LOCAL, 0),
        formats.RouteKey(bits, 8, mapped(bytes(4))): formats.Route(RouteKind.INTERNET, 0),
    })  # fmt: skip
    _places(real)
    _file(real)
    ring(real, 1)


def _udp(source: bytes, destination: bytes, ports: tuple[int, int]) -> bytes:
    payload = b"x" * 64
    total = 28 + len(payload)
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, total, 0, 0x4000, 64, UDP, CHECKSUM, source, destination)
    return head + struct.pack("!HHHH", *ports, total - 20, CHECKSUM) + payload


def _wrapped(packet: bytes, sender: str, origin: int, led_to: int, chain: bytes = b"") -> bytes:
    inner = mac(1) + mac(INSTANCE) + b"\x08\x00" + packet
    words = (16 + len(chain)) // 4
    geneve = struct.pack("!BBHI", words, 0x40 if chain else 0, 0x6558, VPC << 8)
    geneve += struct.pack("!HBBIII", 0xFF52, 1, 3, origin, VPC << 8, led_to) + chain
    udp = struct.pack("!HHHH", 50000, 6081, 8 + len(geneve) + len(inner), 0)
    ends = substrate_bytes(sender), substrate_bytes(NODES[0])
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp + geneve + inner), 0, 0x4000, 64, UDP, 0, *ends)
    return bytes(12) + b"\x08\x00" + head + udp + geneve + inner


def nat_out(number: int) -> bytes:
    flow = Flow(number)
    return _wrapped(_udp(flow.client, flow.server, (flow.port, OUTSIDE)), THERE, INSTANCE, NAT)


def nat_in(number: int) -> bytes:
    flow = Flow(number)
    return _wrapped(_udp(flow.server, NAT_ADDRESS, (OUTSIDE, flow.handed_out)), EDGE, 0, 0)


def preserved(number: int) -> bytes:
    flow = Flow(number)
    return _wrapped(_udp(flow.client, BALANCER_ADDRESS, (flow.port, PRESERVED)), THERE, INSTANCE, 0)


def preserved_back(number: int) -> bytes:
    flow = Flow(number)
    return _wrapped(_udp(flow.target, flow.client, (8000, flow.port)), THERE, INSTANCE, BALANCER)


def hidden(number: int) -> bytes:
    flow = Flow(number)
    return _wrapped(_udp(flow.client, BALANCER_ADDRESS, (flow.port, HIDDEN)), THERE, INSTANCE, 0)


def hidden_back(number: int) -> bytes:
    flow = Flow(number)
    return _wrapped(_udp(flow.target, BALANCER_ADDRESS, (8000, flow.handed_out)), THERE, INSTANCE, 0)


def nat_key(number: int) -> FlowKey:
    flow = Flow(number)
    return FlowKey(VPC, NAT, UDP, port(flow.port), port(OUTSIDE), 0, mapped(flow.client), mapped(flow.server))


def nat_directive(number: int) -> Directive:
    flow = Flow(number)
    return Directive(mapped(NAT_ADDRESS), mapped(flow.server), port(flow.handed_out), port(OUTSIDE), VPC, NAT, DirectiveFlag.OUTWARD,
                     CellConstant.NO_TARGET, 0, 350, 0, 0, VERSION)  # fmt: skip


def balancer_key(number: int, service: int) -> FlowKey:
    flow = Flow(number)
    return FlowKey(VPC, BALANCER, UDP, port(flow.port), port(service), 0, mapped(flow.client), mapped(BALANCER_ADDRESS))


def balancer_directive(number: int, service: int) -> Directive:
    flow = Flow(number)
    kept = service == PRESERVED
    source, out = (flow.client, flow.port) if kept else (BALANCER_ADDRESS, flow.handed_out)
    return Directive(mapped(source), mapped(flow.target), port(out), port(8000), VPC, BALANCER, DirectiveFlag.OUTWARD,
                     number % SOME_TARGETS, 1, 350, 0, 0, VERSION)  # fmt: skip


def answers(key: FlowKey, directive: Directive) -> tuple[FlowKey, Directive]:
    """As turn_key() and turn_directive() of bpf/stages/key.h."""
    turned = FlowKey(directive.vni, directive.interface, key.protocol, directive.destination_port, directive.source_port, 0,
                     directive.destination, directive.source)  # fmt: skip
    back = directive._replace(source=key.destination, destination=key.source, source_port=key.destination_port,
                              destination_port=key.source_port, flags=directive.flags ^ DirectiveFlag.OUTWARD)  # fmt: skip
    return turned, back


def flows_of(kind: str, number: int) -> list[tuple[FlowKey, Directive]]:
    """Both directions."""
    if kind == "nat":
        there = nat_key(number), nat_directive(number)
    else:
        service = PRESERVED if kind == "preserved" else HIDDEN
        there = balancer_key(number, service), balancer_directive(number, service)
    return [there, answers(*there)]


def cache(real: CellDataplane, kind: str, numbers: range | list[int]) -> None:
    """As if the flows' trackers had been told a moment ago that they are used."""
    then = time.monotonic_ns() - A_MOMENT
    rows = {key: formats.CachedDirective(*directive, then, then, 0, bytes(4), then) for n in numbers for key, directive in flows_of(kind, n)}
    real.directives.put_many(rows)


def track(real: CellDataplane, kind: str, numbers: range | list[int]) -> None:
    late = time.monotonic_ns() + 3600 * 1_000_000_000
    real.trackers.put_many({key: formats.Tracker(*directive, late, 1, 0, 0, 0) for n in numbers for key, directive in flows_of(kind, n)})


def forget(real: CellDataplane) -> None:
    for table in (real.trackers, real.directives):
        table.delete_many([key for key, _ in table.items()])
    real.tenants.delete_many([key for key, _ in real.tenants.items() if key.tenant])


def chained(packet: bytes, step: ChainStep, attachment: int, directive: Directive | None = None, flags: int = 0) -> bytes:
    """`packet`, wrapped, as another node passes it on."""
    told = LAYOUTS[Directive].pack(*directive) if directive else bytes(LAYOUTS[Directive].size)
    words = (CHAIN_HEAD.size - 4 + len(told)) // 4
    chain = CHAIN_HEAD.pack(0xFF52, 0x82, words, 7, attachment, step, 1, 0, flags, 0, 0, 0, 0, 0) + told
    origin, led_to = struct.unpack_from("!I4xI", packet, 54)
    return _wrapped(packet[80:], NODES[1], origin, led_to, chain)
