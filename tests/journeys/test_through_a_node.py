"""From an instance through a cell of two real nodes to the outside, and back: bytes that leave one go into the next. Nodes of either build.

    11 (10.7.1.5) -- [host A] -- [node-0, node-1: NAT gateway 10.7.8.10, 203.0.113.51] -- [edge 1] -- server 192.0.2.80
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from scapy.layers.inet import ICMP, TCP, UDP
from scapy.packet import Packet, Raw

from rookery.dataplane import formats
from rookery.dataplane.addresses import address_bytes
from rookery.dataplane.formats import ForwarderKey, MappingKey, PublicKey, RouteKind, Verdict
from rookery.dataplane.syscall import RunContext
from tests.dataplane import cells, edges, plan, plan_cell, plan_edge
from tests.dataplane.cells import Cell
from tests.dataplane.edges import Region
from tests.dataplane.gated import DROPPED
from tests.dataplane.packets import IP, ROUTER, Ether, mac_text
from tests.dataplane.packets_edge import ip
from tests.dataplane.plan_cell import NAT, NAT_ADDRESS, NODES
from tests.dataplane.plan_edge import SERVER

CLIENT, PUBLIC = "10.7.1.5", "203.0.113.51"


@dataclass
class Way:
    region: Region
    cell: Cell

    def out(self, packet: Packet) -> Packet:
        """As the server gets what instance 11 sends."""
        host = self.region.hosts[str(plan.HOST_A)]
        frame = bytes(Ether(src=mac_text(11), dst=ROUTER) / packet)
        left = self.region.leave(11, packet)
        assert left.verdict is Verdict.SENT
        host.test_run("host_egress", frame, RunContext(ifindex=plan.DEVICE))  # as real traffic, too: the host remembers whom it let out
        went = self.cell.travel(left.frame)
        assert went.verdict is Verdict.SENT and went.host == str(plan_edge.EDGE_1)
        outside = self.region.edge.outward(went.frame)
        assert outside.verdict is Verdict.SENT
        return IP(outside.frame[14:])

    def back(self, packet: Packet) -> Packet:
        """As instance 11 gets what the server sends."""
        inward = self.region.edge.inward(packet)
        assert inward.verdict is Verdict.SENT
        went = self.cell.travel(inward.frame)
        assert went.verdict is Verdict.SENT
        host = self.region.hosts[went.host]
        assert host.test_run("host_ingress", went.frame, RunContext(ifindex=plan.DEVICE)).action != DROPPED
        return IP(self.region.arrive(went.frame).frame[14:])


@pytest.fixture(scope="module", params=("tc", "xdp"))
def made(request: pytest.FixtureRequest) -> Iterator[Way]:
    with edges.region([str(plan.HOST_A)]) as region, cells.cell(2, request.param) as cell:
        yield Way(region, cell)


@pytest.fixture
def way(made: Way) -> Way:
    """The instances' way out is the NAT gateway at node 0, and so is the outside's to its public address."""
    made.region.restore()
    made.cell.restore()
    host, edge, private = made.region.hosts[str(plan.HOST_A)], made.region.edge.real, address_bytes(NAT_ADDRESS)
    node = NODES[0].packed
    nat = formats.Forwarder(node, 8, plan.mac(NAT), 0, 0)
    host.forwarders.put_many({ForwarderKey(plan.VPC, NAT): nat})
    host.routes.put_many(plan_edge.default_route(1, RouteKind.INTERFACE, target=NAT))
    edge.forwarders.put_many({ForwarderKey(plan.VPC, NAT): nat})
    edge.mappings.put_many({MappingKey(plan.VPC, private): formats.Mapping(node, NAT, 8, plan.mac(NAT), 1, 0, 1_700_000_000, 5, 0)})
    edge.publics.put_many({PublicKey(address_bytes(PUBLIC)): formats.Public(plan.VPC, NAT, private)})
    edge.translations.put_many({MappingKey(plan.VPC, private): formats.Translation(address_bytes(PUBLIC), NAT)})
    one = plan_cell.attachment(NAT, addresses=1)
    for each in made.cell.nodes:
        each.real.attachments.put_many({plan_cell.attachment_key(NAT): one})
    return made


def as_sent(packet: Packet) -> bytes:
    """With checksums that scapy computes."""
    again = packet.copy()
    del again.chksum, again.payload.chksum
    return bytes(again)


def test_a_connection_from_its_handshake_to_its_end(way: Way) -> None:
    for out_flags, back_flags, data in (("S", "SA", b""), ("A", "A", b""), ("PA", "PA", b"penguins"), ("FA", "FA", b"")):
        sent = way.out(ip(CLIENT, SERVER) / TCP(sport=1111, dport=443, flags=out_flags) / Raw(data))
        assert (sent.src, sent.dst, sent.dport) == (PUBLIC, SERVER, 443) and as_sent(sent) == bytes(sent)
        came = way.back(ip(SERVER, PUBLIC) / TCP(sport=443, dport=sent.sport, flags=back_flags) / Raw(data))
        assert (came.src, came.dst, came.dport) == (SERVER, CLIENT, 1111) and as_sent(came) == bytes(came)


def test_datagrams_and_echoes(way: Way) -> None:
    sent = way.out(ip(CLIENT, SERVER) / UDP(sport=1111, dport=53) / Raw(b"where?"))
    came = way.back(ip(SERVER, sent.src) / UDP(sport=53, dport=sent.sport) / Raw(b"there"))
    assert (came.dst, came.dport, bytes(came[UDP].payload)) == (CLIENT, 1111, b"there") and as_sent(came) == bytes(came)
    asked = way.out(ip(CLIENT, SERVER) / ICMP(id=77, seq=1) / Raw(b"there?"))
    answered = way.back(ip(SERVER, PUBLIC) / ICMP(type=0, id=asked[ICMP].id, seq=1) / Raw(b"there?"))
    assert (answered.dst, answered[ICMP].id) == (CLIENT, 77) and as_sent(answered) == bytes(answered)
