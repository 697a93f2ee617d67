"""What an edge does with what lives at a cell (plan_cells.py).

    NAT gateway 10.7.2.61 -- nodes 1, 2 -- [edge 1] -- server 192.0.2.80        10.7.2.61 is 203.0.113.61 outside
"""

from __future__ import annotations

import pytest
from scapy.layers.inet import TCP
from scapy.packet import Packet

from rookery.dataplane import formats
from rookery.dataplane.formats import GatewayFlag, RouteKind, TopsNumber, Verdict
from tests.dataplane import plan, plan_cells, plan_edge
from tests.dataplane.edges import Edge
from tests.dataplane.packets import IP, steps
from tests.dataplane.packets_edge import claim_of, ip, packet_in
from tests.dataplane.plan_cells import (
    ADDRESS,
    BALANCER,
    DRAINING,
    NAT,
    NAT_PUBLIC,
    NODE_1,
    NODE_2,
    SET,
    STRANGER,
    from_node,
    top_set,
)
from tests.dataplane.plan_edge import SERVER


@pytest.fixture
def celled(edge: Edge) -> Edge:
    plan_cells.fill_edge(edge.real)
    return edge


def answer(sport: int = 443, dport: int = 20000) -> Packet:
    return ip(SERVER, NAT_PUBLIC) / TCP(sport=sport, dport=dport, flags="SA")


def outward(attachment: int = NAT, source: str = ADDRESS[NAT], **fields: object) -> bytes:
    packet = ip(source, SERVER) / TCP(sport=20000, dport=443, flags="S")
    return from_node(packet, attachment, to=plan_edge.EDGE_1, **fields)


def test_what_comes_in_for_a_nat_gateway_goes_to_one_of_its_nodes(celled: Edge) -> None:
    told = celled.inward(answer())
    assert told.verdict is Verdict.SENT
    assert steps(told) == ["RECEIVED", "DESTINATION_TRANSLATED", "TOP_CHOSEN", "MAPPING_FOUND", "WRAPPED"]
    assert IP(told.frame[14:34]).dst in (str(NODE_1), str(NODE_2))
    claim = claim_of(told.frame)
    assert (claim.vni, claim.origin_vni, claim.interface, claim.target) == (plan.VPC, plan.VPC, 0, 0)
    assert packet_in(told.frame) == bytes(ip(SERVER, ADDRESS[NAT]) / TCP(sport=443, dport=20000, flags="SA"))


def test_flows_are_spread_over_the_nodes_and_stay(celled: Edge) -> None:
    chosen = [{IP(celled.inward(answer(dport=port)).frame[14:34]).dst for _ in range(2)} for port in range(20000, 20060)]
    assert {len(nodes) for nodes in chosen} == {1}
    assert set.union(*chosen) == {str(NODE_1), str(NODE_2)}


def test_where_no_node_lives_nothing_comes_in(celled: Edge) -> None:
    celled.real.tops.put_many({TopsNumber(SET): top_set(others=(NODE_1, NODE_2))})
    assert celled.inward(answer()).verdict is Verdict.DROP_NO_TOP


def test_a_gateways_route_table_may_lead_to_an_interface_at_a_cell(celled: Edge) -> None:
    """As to an endpoint of a firewall."""

    celled.real.routes.put_many(plan_edge.default_route(9, RouteKind.INTERFACE, target=BALANCER))
    plan_edge.put_gateway(celled.real, plan.VPC, formats.Gateway(GatewayFlag.INTERNET, 9))
    told = celled.inward(ip(SERVER, "203.0.113.5") / TCP(sport=1, dport=2))
    assert (told.verdict, claim_of(told.frame).target) == (Verdict.SENT, BALANCER)
    assert IP(told.frame[14:34]).dst in (str(NODE_1), str(NODE_2))


@pytest.mark.parametrize("sender", [NODE_1, NODE_2, DRAINING])
def test_what_a_node_sends_in_a_nat_gateways_name_leaves_with_its_public_address(celled: Edge, sender) -> None:
    told = celled.outward(outward(sender=sender))
    assert told.verdict is Verdict.SENT
    assert steps(told) == ["RECEIVED", "FROM_TOP", "SOURCE_TRANSLATED", "UNWRAPPED", "SENT_OUTSIDE"]
    assert told.frame[14:] == bytes(ip(NAT_PUBLIC, SERVER) / TCP(sport=20000, dport=443, flags="S"))


@pytest.mark.parametrize("sender", [STRANGER, plan.HOST_A, plan_edge.EDGE_2])
def test_nobody_else_speaks_for_it(celled: Edge, sender) -> None:
    assert celled.outward(outward(sender=sender)).verdict is Verdict.DROP_SOURCE_NOT_AT_HOST


def test_a_node_does_not_speak_for_an_instance(celled: Edge) -> None:
    """Not with its interface, and with an attachment's only as a forwarder: then the public address is still the instance's."""
    as_instance = outward(attachment=NAT, source="10.7.1.5", interface=11)
    assert celled.outward(as_instance).verdict is Verdict.DROP_SOURCE_NOT_AT_HOST


def test_one_public_address_reaches_another_through_the_cell(celled: Edge) -> None:
    """From an instance to the NAT gateway's: turned back by the edge, to a node."""
    packet = ip(ADDRESS[NAT], "203.0.113.5") / TCP(sport=20000, dport=443, flags="S")
    told = celled.outward(from_node(packet, NAT, to=plan_edge.EDGE_1))
    assert told.verdict is Verdict.SENT
    assert packet_in(told.frame) == bytes(ip(NAT_PUBLIC, "10.7.1.5") / TCP(sport=20000, dport=443, flags="S"))
    assert IP(told.frame[14:34]).dst == str(plan.HOST_A)
