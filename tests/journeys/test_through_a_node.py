"""From an instance through a cell of two real nodes to the outside or to another instance, and back: bytes that leave one go into the next.
Nodes of either build.

    11 (10.7.1.5) -- [host A] -- [node-0, node-1: NAT gateway 10.7.8.10, 203.0.113.51] -- [edge 1] -- server 192.0.2.80
       (2001:db8:7:1::5)               balancer 10.7.9.10, 2001:db8:7:9::10 -- [host B] -- targets 12 and 13, of either family
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from scapy.layers.inet import ICMP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Packet, Raw

from rookery.dataplane import formats
from rookery.dataplane.addresses import address_bytes
from rookery.dataplane.formats import (
    ForwarderKey,
    InterfaceFlag,
    MappingKey,
    PublicKey,
    RouteKind,
    TopsNumber,
    Verdict,
)
from rookery.dataplane.syscall import RunContext
from tests.dataplane import cells, edges, plan, plan_cell, plan_edge, plan_ipv6
from tests.dataplane.cells import Cell, Journey
from tests.dataplane.edges import HOME, Region
from tests.dataplane.gated import DROPPED
from tests.dataplane.packets import IP, ROUTER, Ether, mac_text
from tests.dataplane.packets_edge import ip
from tests.dataplane.plan_cell import (
    BALANCER,
    BALANCER_ADDRESS,
    BALANCER_IPV6,
    NAT,
    NAT_ADDRESS,
    NODES,
    TARGETS,
    TARGETS_IPV6,
)
from tests.dataplane.plan_cells import SET, number_bytes, top_set
from tests.dataplane.plan_edge import SERVER

CLIENT, PUBLIC = "10.7.1.5", "203.0.113.51"
CLIENT_IPV6 = plan_ipv6.address(11)
HANDSHAKE = (("S", "SA", b""), ("A", "A", b""), ("PA", "PA", b"penguins"), ("FA", "FA", b""))  # there, back, and what both carry


@dataclass
class Way:
    region: Region
    cell: Cell

    def _leave(self, number: int, packet: Packet) -> Journey:
        """As it leaves the cell. As real traffic, too: the host remembers whom it let out."""
        frame = bytes(Ether(src=mac_text(number), dst=ROUTER) / packet)
        left = self.region.leave(number, packet)
        assert left.verdict is Verdict.SENT
        self.region.hosts[HOME[number]].test_run("host_egress", frame, RunContext(ifindex=plan.DEVICE))
        went = self.cell.travel(left.frame)
        assert went.verdict is Verdict.SENT
        return went

    def _arrive(self, went: Journey) -> Packet:
        """As an instance gets it; its host remembers."""
        host = self.region.hosts[went.host]
        assert host.test_run("host_ingress", went.frame, RunContext(ifindex=plan.DEVICE)).action != DROPPED
        got = self.region.arrive(went.frame).frame[14:]
        return IPv6(got) if got[0] >> 4 == 6 else IP(got)

    def across(self, number: int, packet: Packet) -> Packet:
        """As the other instance gets what this one sends."""
        return self._arrive(self._leave(number, packet))

    def out(self, packet: Packet) -> Packet:
        """As the server gets what instance 11 sends."""
        went = self._leave(11, packet)
        assert went.host == str(plan_edge.EDGE_1)
        outside = self.region.edge.outward(went.frame)
        assert outside.verdict is Verdict.SENT
        return IP(outside.frame[14:])

    def back(self, packet: Packet) -> Packet:
        """As instance 11 gets what the server sends."""
        inward = self.region.edge.inward(packet)
        assert inward.verdict is Verdict.SENT
        went = self.cell.travel(inward.frame)
        assert went.verdict is Verdict.SENT
        return self._arrive(went)


@pytest.fixture(scope="module", params=("tc", "xdp"))
def made(request: pytest.FixtureRequest) -> Iterator[Way]:
    with edges.region([str(plan.HOST_A), str(plan.HOST_B)]) as region, cells.cell(2, request.param) as cell:
        yield Way(region, cell)


@pytest.fixture
def way(made: Way) -> Way:
    """The instances' way out is the NAT gateway at node 0, and so is the outside's to its public address. The balancer is there, too."""
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
    nodes, at_cell = number_bytes(SET), InterfaceFlag.AT_CELL
    balancer = formats.Mapping(nodes, BALANCER, 9, plan.mac(BALANCER), 1, at_cell, 1_700_000_000, 5, 0)
    for each in made.region.hosts.values():
        each.tops.put_many({TopsNumber(SET): top_set(NODES[0], others=(NODES[1],))})
        each.mappings.put_many({MappingKey(plan.VPC, address_bytes(one)): balancer for one in (BALANCER_ADDRESS, BALANCER_IPV6)})
        each.forwarders.put_many({ForwarderKey(plan.VPC, BALANCER): formats.Forwarder(nodes, 9, plan.mac(BALANCER), at_cell, 0)})
    one = plan_cell.attachment(NAT, addresses=1)
    for each in made.cell.nodes:
        each.real.attachments.put_many({plan_cell.attachment_key(NAT): one})
    return made


def as_sent(packet: Packet) -> bytes:
    """With checksums that scapy computes."""
    again = packet.copy()
    again.fields.pop("chksum", None)
    del again.payload.chksum
    return bytes(again)


def test_a_connection_from_its_handshake_to_its_end(way: Way) -> None:
    for out_flags, back_flags, data in HANDSHAKE:
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


@pytest.mark.parametrize("port", (80, 8080, 90, 9090))
@pytest.mark.parametrize(("client", "balancer"), [(CLIENT, BALANCER_ADDRESS), (CLIENT_IPV6, BALANCER_IPV6)], ids=("IPv4", "IPv6"))
def test_a_connection_to_a_target_of_either_family(way: Way, client: str, balancer: str, port: int) -> None:
    """80 and 90 preserve their clients, where those speak their targets' family; targets of the latter two listeners speak IPv6."""
    targets = {address: number for address, _, number in (TARGETS if port in (80, 8080) else TARGETS_IPV6)}
    for flags, answered, data in HANDSHAKE:
        got = way.across(11, ip(client, balancer) / TCP(sport=1111, dport=port, flags=flags) / Raw(data))
        assert got.dst in targets and (got.src == client) == (port in (80, 90) and (":" in client) == (":" in got.dst))
        assert (str(got[TCP].flags), bytes(got[TCP].payload)) == (flags, data) and as_sent(got) == bytes(got)
        back = way.across(targets[got.dst], ip(got.dst, got.src) / TCP(sport=got.dport, dport=got.sport, flags=answered) / Raw(data))
        assert (back.src, back.sport, back.dst, back.dport) == (balancer, port, client, 1111)
        assert (str(back[TCP].flags), bytes(back[TCP].payload)) == (answered, data) and as_sent(back) == bytes(back)
