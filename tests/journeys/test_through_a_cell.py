"""From an instance to a node of a cell, and on to another instance or outside: bytes that leave one go into the next.

    11 (10.7.1.5) -- [host A] --+-- node (rewritten by the test) --+-- [host B] -- 13 (10.7.2.7), a target of the balancer 10.7.2.60
       (2001:db8:7:1::5)                                           |                   (2001:db8:7:2::7)                   2001:db8:7:2::60
                                                                   +-- [edge 1] -- server 192.0.2.80, sees the NAT gateway as 203.0.113.61
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from scapy.layers.inet import ICMP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from rookery.dataplane import formats
from rookery.dataplane.addresses import address_bytes
from rookery.dataplane.formats import RouteKind, Step, Verdict
from rookery.dataplane.syscall import RunContext
from rookery.host.lines import line_of
from rookery.trace.telling import step_line
from tests.dataplane import edges, plan, plan_cells, plan_edge, plan_ipv6
from tests.dataplane.edges import HOME, Region
from tests.dataplane.gated import DROPPED
from tests.dataplane.packets import IP, ROUTER, mac_text
from tests.dataplane.packets_edge import claim_of, ip
from tests.dataplane.plan_cells import ADDRESS, BALANCER, BALANCER_IPV6, NAT, NAT_PUBLIC
from tests.dataplane.plan_edge import SERVER
from tests.journeys.fake_node import FakeNode

CLIENT, TARGET, FRONT, NATTED = "10.7.1.5", "10.7.2.7", ADDRESS[BALANCER], ADDRESS[NAT]
LISTENS, SERVES, CHOSEN = 443, 8080, 20001
CLIENT_IPV6, TARGET_IPV6, OUTSIDE_IPV6 = plan_ipv6.address(11), plan_ipv6.address(13), "2620:fe::9"
FAMILIES = {"IPv4": (CLIENT, FRONT, TARGET), "IPv6": (CLIENT_IPV6, BALANCER_IPV6, TARGET_IPV6)}
in_each_family = pytest.mark.parametrize(("client", "front", "target"), FAMILIES.values(), ids=FAMILIES)


@pytest.fixture(scope="module")
def two_hosts() -> Iterator[Region]:
    with edges.region([str(plan.HOST_A), str(plan.HOST_B)]) as made:
        yield made


@pytest.fixture
def celled(two_hosts: Region) -> Region:
    """Both hosts and the edge know the nodes; the way out of VPC 7 is the NAT gateway."""
    two_hosts.restore()
    for host in two_hosts.hosts.values():
        plan_cells.fill(host)
        host.mappings.put_many(plan_cells.balancer_ipv6())
        host.routes.put_many(plan_edge.default_route(1, RouteKind.INTERFACE, target=NAT))
    plan_cells.fill_edge(two_hosts.edge.real)
    two_hosts.edge.real.mappings.put_many(plan_cells.balancer_ipv6())
    return two_hosts


def handed_over(number: int, packet: Packet, neighbour: str = ROUTER) -> bytes:
    return bytes(Ether(src=neighbour, dst=mac_text(number)) / packet)


def take_in(region: Region, wire: bytes) -> bytes:
    """The host that the wire names takes it as real traffic, and remembers; what the instance gets."""
    host = region.hosts[IP(wire[14:34]).dst]
    assert host.test_run("host_ingress", wire, RunContext(ifindex=plan.DEVICE)).action != DROPPED
    return region.arrive(wire).frame


def to_node(region: Region, number: int, packet: Packet) -> FakeNode:
    left = region.leave(number, packet)
    assert left.verdict is Verdict.SENT
    return FakeNode(left.frame)


def tcp(sport: int, dport: int, flags: str = "S") -> Packet:
    return TCP(sport=sport, dport=dport, flags=flags)


@in_each_family
def test_a_connection_through_a_balancer_that_keeps_its_clients_address(celled: Region, client: str, front: str, target: str) -> None:
    asked = to_node(celled, 11, ip(client, front) / tcp(1111, LISTENS))
    came = take_in(celled, asked.emit(BALANCER, plan.HOST_B, dst=target, dport=SERVES))
    assert came == handed_over(13, ip(client, target) / tcp(1111, SERVES), mac_text(BALANCER))

    answered = to_node(celled, 13, ip(target, client) / tcp(SERVES, 1111, "SA"))
    assert (answered.claim.target, answered.claim.interface) == (BALANCER, 13)
    back = answered.emit(BALANCER, plan.HOST_A, src=front, sport=LISTENS)
    assert take_in(celled, back) == handed_over(11, ip(front, client) / tcp(LISTENS, 1111, "SA"))


@in_each_family
def test_a_connection_through_a_balancer_in_its_own_name(celled: Region, client: str, front: str, target: str) -> None:
    asked = to_node(celled, 11, ip(client, front) / tcp(1111, LISTENS))
    came = take_in(celled, asked.emit(BALANCER, plan.HOST_B, src=front, sport=CHOSEN, dst=target, dport=SERVES))
    assert came == handed_over(13, ip(front, target) / tcp(CHOSEN, SERVES), mac_text(BALANCER))
    answered = to_node(celled, 13, ip(target, front) / tcp(SERVES, CHOSEN, "SA"))
    assert answered.claim.target == 0  # it is the destination


def test_a_client_of_ipv6_from_outside_reaches_a_target_that_has_no_way_out(celled: Region) -> None:
    """Nothing is translated at the edge: the balancer's address is the world's."""
    celled.hosts[HOME[13]].routes.delete_many(plan_edge.default_route(1, RouteKind.INTERNET, ipv6=True))
    inward = celled.edge.inward(ip(OUTSIDE_IPV6, BALANCER_IPV6) / tcp(5555, LISTENS))
    assert inward.verdict is Verdict.SENT
    came = take_in(celled, FakeNode(inward.frame).emit(BALANCER, plan.HOST_B, dst=TARGET_IPV6, dport=SERVES))
    assert came == handed_over(13, ip(OUTSIDE_IPV6, TARGET_IPV6) / tcp(5555, SERVES), mac_text(BALANCER))
    answered = to_node(celled, 13, ip(TARGET_IPV6, OUTSIDE_IPV6) / tcp(SERVES, 5555, "SA"))
    assert (answered.claim.target, answered.claim.interface) == (BALANCER, 13)
    out = celled.edge.outward(answered.emit(BALANCER, plan_edge.EDGE_1, src=BALANCER_IPV6, sport=LISTENS))
    assert out.frame[14:] == bytes(ip(BALANCER_IPV6, OUTSIDE_IPV6) / tcp(LISTENS, 5555, "SA"))
    assert celled.leave(13, ip(TARGET_IPV6, OUTSIDE_IPV6) / tcp(SERVES, 5556, "SA")).verdict is Verdict.DROP_NO_ROUTE


def test_a_client_from_outside_reaches_a_target_that_has_no_way_out(celled: Region) -> None:
    """Its subnet knows no route but the local one."""
    celled.hosts[HOME[13]].routes.delete_many(plan_edge.default_route(1, RouteKind.INTERFACE, target=NAT))
    asked = FakeNode(plan_cells.from_node(ip(SERVER, FRONT) / tcp(5555, LISTENS), BALANCER, to=plan_cells.NODE_1))
    came = take_in(celled, asked.emit(BALANCER, plan.HOST_B, dst=TARGET, dport=SERVES))
    assert came == handed_over(13, ip(SERVER, TARGET) / tcp(5555, SERVES), mac_text(BALANCER))
    answered = to_node(celled, 13, ip(TARGET, SERVER) / tcp(SERVES, 5555, "SA"))
    out = celled.edge.outward(answered.emit(BALANCER, plan_edge.EDGE_1, src=NATTED, sport=LISTENS))
    assert out.frame[14:] == bytes(ip(NAT_PUBLIC, SERVER) / tcp(LISTENS, 5555, "SA"))
    assert celled.leave(13, ip(TARGET, SERVER) / tcp(SERVES, 5556, "SA")).verdict is Verdict.DROP_NO_ROUTE


def test_a_target_that_is_a_neighbour_of_its_client(celled: Region) -> None:
    """12 (10.7.1.6) on host B is in the subnet of 11."""
    asked = to_node(celled, 11, ip(CLIENT, FRONT) / tcp(1111, LISTENS))
    came = take_in(celled, asked.emit(BALANCER, plan.HOST_B, dst="10.7.1.6", dport=SERVES))
    assert came == handed_over(12, ip(CLIENT, "10.7.1.6") / tcp(1111, SERVES))
    answered = to_node(celled, 12, ip("10.7.1.6", CLIENT) / tcp(SERVES, 1111, "SA"))
    assert answered.claim.target == BALANCER


def test_out_through_a_nat_gateway_and_back(celled: Region) -> None:
    asked = to_node(celled, 11, ip(CLIENT, SERVER) / tcp(1111, 443))
    assert asked.claim.target == NAT
    out = celled.edge.outward(asked.emit(NAT, plan_edge.EDGE_1, src=NATTED, sport=CHOSEN))
    assert out.frame[14:] == bytes(ip(NAT_PUBLIC, SERVER) / tcp(CHOSEN, 443))

    inward = celled.edge.inward(ip(SERVER, NAT_PUBLIC) / tcp(443, CHOSEN, "SA"))
    assert inward.verdict is Verdict.SENT
    back = FakeNode(inward.frame).emit(NAT, plan.HOST_A, dst=CLIENT, dport=1111)
    assert take_in(celled, back) == handed_over(11, ip(SERVER, CLIENT) / tcp(443, 1111, "SA"))


def test_ipv6_goes_to_the_nat_gateway_and_comes_from_behind_its_prefix(celled: Region) -> None:
    """NAT64: its host sees nothing but IPv6; what the node makes of it: tests/dataplane/test_cell_nat64.py."""
    client, there = plan_ipv6.address(11), f"64:ff9b::{SERVER}"
    way = formats.RouteKey(formats.RouteConstant.TABLE_BITS + 96, 1, address_bytes("64:ff9b::"))
    celled.hosts[HOME[11]].routes.put_many({way: formats.Route(RouteKind.INTERFACE, NAT)})
    asked = to_node(celled, 11, ip(client, there) / tcp(1111, 443))
    assert (asked.claim.target, asked.claim.interface) == (NAT, 11)
    answer = ip(there, client) / tcp(443, 1111, "SA")
    assert take_in(celled, plan_cells.from_node(answer, NAT)) == handed_over(11, answer)
    refused = celled.arrive(plan_cells.from_node(answer, NAT, sender=str(plan.HOST_B)))
    assert refused.verdict is Verdict.DROP_SOURCE_NOT_MAPPED


def test_an_error_from_outside_comes_back_through_the_nat_gateway(celled: Region) -> None:
    asked = ip(CLIENT, SERVER) / UDP(sport=1111, dport=53) / Raw(b"nobody listens there")
    frame = bytes(Ether(src=mac_text(11), dst=ROUTER) / asked)
    real = celled.hosts[HOME[11]].test_run("host_egress", frame, RunContext(ifindex=plan.DEVICE))
    assert real.action != DROPPED
    error = ip("192.0.2.254", CLIENT) / ICMP(type=3, code=3) / Raw(bytes(asked))
    assert take_in(celled, plan_cells.from_node(error, NAT)) == handed_over(11, error)


def test_an_error_of_a_target_reaches_the_balancer(celled: Region) -> None:
    asked = to_node(celled, 11, ip(CLIENT, FRONT) / UDP(sport=1111, dport=53) / Raw(b"?"))
    came = take_in(celled, asked.emit(BALANCER, plan.HOST_B, dst=TARGET, dport=5353))
    refusal = to_node(celled, 13, ip(TARGET, CLIENT) / ICMP(type=3, code=3) / Raw(came[14:]))
    assert refusal.claim.target == BALANCER


def test_every_step_is_told_in_words(celled: Region) -> None:
    left = celled.leave(11, ip(CLIENT, FRONT) / tcp(1111, LISTENS))
    node = FakeNode(left.frame)
    arrived = celled.arrive(node.emit(BALANCER, plan.HOST_B, dst=TARGET, dport=SERVES))
    told = {
        event.step: step_line(line_of(event, host="host-1", names={}, boot=0.0), {str(node.address): "node-1"})
        for event in (*left.events, *arrived.events)
    }
    assert told[Step.TOP_CHOSEN] == "node chosen: node-1 of the cell takes the flow"
    assert told[Step.MAPPING_FOUND].startswith("mapping found: 10.7.2.60 lives at node-1")
    assert told[Step.FROM_TOP] == "verified: node-1 is a node of the cell, and speaks for interface 0x0000003c"
    assert claim_of(left.frame).target == 0
