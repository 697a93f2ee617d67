"""A host's part of the way out and in: which edge, how large, and whom it believes that something comes from outside.

    instance 11 (10.7.1.5, 2001:db8:7:1::5) -- [host A] -- edges 100.64.1.20 and .21 -- server 192.0.2.80, 2001:db8:ff::80
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scapy.layers.inet import ICMP, IP, UDP, IPerror
from scapy.layers.inet6 import ICMPv6DestUnreach, ICMPv6EchoReply, ICMPv6EchoRequest, ICMPv6PacketTooBig, IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from rookery.dataplane import formats
from rookery.dataplane.formats import Direction, GatewayFlag, Ifindex, RouteKind, Step, Verdict, VpcNumber
from rookery.dataplane.host import HostDataplane
from tests.dataplane import plan, plan_edge, plan_ipv6
from tests.dataplane.gated import EGRESS, INGRESS, Gated, tcp, udp
from tests.dataplane.packets import ROUTER, frame_from_11, mac_text, steps
from tests.dataplane.packets_edge import claim_of, from_edge, ip, packet_in
from tests.dataplane.packets_ipv6 import ipv6_from_11
from tests.dataplane.plan_edge import EDGE_1, EDGE_2, SERVER, SERVER_IPV6
from tests.dataplane.rule_rows import ALL, Rule, into, out
from tests.dataplane.rule_rows import TCP as TCP_ONLY

PRIVATE, OWN_IPV6, PUBLIC = "10.7.1.5", "2001:db8:7:1::5", "203.0.113.5"
BOTH = GatewayFlag.INTERNET | GatewayFlag.EGRESS_ONLY


@pytest.fixture
def gated(host_a: HostDataplane) -> Gated:
    """Host A with both edges; instance 11 speaks both families."""
    host_a.edge_nodes.delete_many([key for key, _ in host_a.edge_nodes.items()])
    host_a.gateways.delete_many([key for key, _ in host_a.gateways.items()])
    plan_ipv6.fill(host_a, {11: plan.DEVICE})
    plan_edge.fill_host(host_a)
    return Gated(host_a)


def leaving(content: Packet, to: str = SERVER, **fields: object) -> tuple[str, bytes]:
    make = ipv6_from_11 if ":" in to else frame_from_11
    return EGRESS, bytes(make(to, ROUTER, content, **fields))


def coming(content: Packet, source: str = SERVER, **fields: object) -> tuple[str, bytes]:
    return INGRESS, from_edge(ip(source, OWN_IPV6 if ":" in source else PRIVATE) / content, **fields)


def outer(frame: bytes) -> Packet:
    return IP(frame[14:34])


def test_a_packet_to_the_internet_goes_to_an_edge_as_it_is(gated: Gated) -> None:
    program, frame = leaving(udp(1111, 53))
    told = gated.ask((program, frame))
    assert told.verdict is Verdict.SENT
    assert steps(told) == ["RECEIVED", "SOURCE_CHECKED", "ROUTE_FOUND", "EDGE_CHOSEN", "WRAPPED"]
    assert outer(told.frame).dst in (str(EDGE_1), str(EDGE_2))
    claim = claim_of(told.frame)
    assert (claim.vni, claim.origin_vni, claim.interface, claim.target) == (plan.VPC, plan.VPC, 11, 0)
    assert told.frame[66:] == frame


def test_ipv6_goes_to_an_edge_as_well(gated: Gated) -> None:
    told = gated.ask(leaving(UDP(sport=1, dport=53), SERVER_IPV6))
    assert told.verdict is Verdict.SENT
    assert packet_in(told.frame) == bytes(ip(OWN_IPV6, SERVER_IPV6) / UDP(sport=1, dport=53))


def edge_of(gated: Gated, packet: tuple[str, bytes]) -> str:
    return str(outer(gated.ask(packet).frame).dst)


def test_a_flow_stays_with_its_edge_and_flows_are_spread(gated: Gated) -> None:
    chosen = {port: {edge_of(gated, leaving(udp(port, 53))) for _ in range(3)} for port in range(1000, 1100)}
    assert {len(edges) for edges in chosen.values()} == {1}
    first = sum(edges == {str(EDGE_1)} for edges in chosen.values())
    assert 25 <= first <= 75


def test_all_fragments_of_a_packet_go_to_one_edge(gated: Gated) -> None:
    for number in range(20):
        whole = IP(bytes(IP(src=PRIVATE, dst=f"192.0.2.{number}", id=number) / UDP(sport=number, dport=53) / Raw(b"x" * 3000)))
        parts = [bytes(Ether(src=mac_text(11), dst=ROUTER) / IP(bytes(part))) for part in whole.fragment(1400)]
        assert gated.passes((EGRESS, parts[0]))  # the ports of the first are kept
        assert len({edge_of(gated, (EGRESS, part)) for part in parts}) == 1


def test_only_living_edges_get_anything(gated: Gated) -> None:
    gated.real.choose_edges(plan_edge.living(EDGE_2))
    assert {edge_of(gated, leaving(udp(port, 53))) for port in range(1000, 1050)} == {str(EDGE_2)}


def test_where_no_edge_lives_nothing_leaves(gated: Gated) -> None:
    gated.real.choose_edges(plan_edge.living())
    assert gated.verdict(leaving(udp(1, 53))) == "DROP_NO_EDGE"


def test_a_set_of_more_edges_than_there_is_room_for_is_none(gated: Gated) -> None:
    gated.real.choose_edges(plan_edge.living(EDGE_1)._replace(living=17))
    assert gated.verdict(leaving(udp(1, 53))) == "DROP_NO_EDGE"


def test_a_route_to_a_gateway_that_is_not_there_leads_nowhere(gated: Gated) -> None:
    gated.real.gateways.delete_many([VpcNumber(plan.VPC)])
    assert gated.verdict(leaving(udp(1, 53))) == "DROP_NO_GATEWAY"
    plan_edge.put_gateway(gated.real, plan.VPC, formats.Gateway(GatewayFlag.EGRESS_ONLY, 0))
    assert gated.verdict(leaving(udp(1, 53))) == "DROP_NO_GATEWAY"
    assert gated.verdict(leaving(UDP(), SERVER_IPV6)) == "DROP_NO_GATEWAY"  # its route leads to an internet gateway


def test_the_way_out_crosses_the_border_of_the_subnet(gated: Gated) -> None:
    gated.acl(Rule(Direction.EGRESS, cidr="10.0.0.0/8"), Rule(Direction.INGRESS))
    assert gated.verdict(leaving(udp(1, 53))) == "DROP_NETWORK_ACL_EGRESS"


def test_groups_are_asked_for_the_way_out(gated: Gated) -> None:
    gated.policy(out(TCP_ONLY, 443, "192.0.2.0/24"))
    assert gated.verdict(leaving(udp(1, 53))) == "DROP_SECURITY_GROUP_EGRESS"
    assert gated.verdict(leaving(tcp(1, 443, "S"))) == "SENT"


def jumbo(gated: Gated) -> None:
    row = plan_ipv6.interface_row(11, mtu=1600)
    gated.real.interfaces.put_many({Ifindex(plan.DEVICE): row})


def test_no_packet_larger_than_1500_goes_out_through_a_gateway(gated: Gated) -> None:
    jumbo(gated)
    told = gated.ask(leaving(UDP(sport=1, dport=2) / Raw(b"x" * (1501 - 28))))
    assert told.verdict is Verdict.ANSWERED
    refusal = IP(told.frame[14:])
    assert (refusal.src, refusal.dst, refusal[ICMP].type, refusal[ICMP].code) == ("10.7.1.1", PRIVATE, 3, 4)
    assert (refusal[ICMP].nexthopmtu, refusal[IPerror].dst) == (1500, SERVER)
    assert gated.verdict(leaving(UDP(sport=1, dport=2) / Raw(b"x" * (1500 - 28)))) == "SENT"


def test_no_ipv6_packet_larger_than_1500_either(gated: Gated) -> None:
    jumbo(gated)
    told = gated.ask(leaving(UDP(sport=1, dport=2) / Raw(b"x" * (1501 - 48)), SERVER_IPV6))
    assert told.verdict is Verdict.ANSWERED
    assert (IPv6(told.frame[14:]).src, IPv6(told.frame[14:])[ICMPv6PacketTooBig].mtu) == ("2001:db8:7:1::1", 1500)


def test_within_the_vpc_larger_ones_go_on(gated: Gated) -> None:
    jumbo(gated)
    assert gated.verdict((EGRESS, bytes(frame_from_11("10.7.1.6", content=UDP() / Raw(b"x" * 1572))))) == "SENT"


def test_what_may_be_cut_is_cut_by_the_edge(gated: Gated) -> None:
    jumbo(gated)
    assert gated.verdict(leaving(UDP(sport=1, dport=2) / Raw(b"x" * 1572), flags=0)) == "SENT"
    assert gated.verdict(leaving(UDP(sport=1, dport=2) / Raw(b"x" * 1573), flags=0)) == "DROP_TOO_BIG"


def test_an_error_too_large_for_the_internet_is_not_answered_with_another(gated: Gated) -> None:
    jumbo(gated)
    assert gated.verdict(leaving(ICMP(type=3, code=1) / Raw(b"x" * 1550))) == "DROP_TOO_BIG"


def test_what_an_edge_brings_is_delivered(gated: Gated) -> None:
    program, frame = coming(udp(53, 1111))
    told = gated.ask((program, frame))
    assert told.verdict is Verdict.DELIVERED
    assert steps(told) == ["RECEIVED", "FROM_EDGE", "UNWRAPPED", "DELIVERED"]
    assert told.frame == bytes(Ether(src=ROUTER, dst=mac_text(11)) / ip(SERVER, PRIVATE) / udp(53, 1111))


def test_any_edge_of_the_region_is_believed_chosen_or_not(gated: Gated) -> None:
    gated.real.choose_edges(plan_edge.living(EDGE_1))
    assert gated.verdict(coming(udp(53, 1111), sender=str(EDGE_2))) == "DELIVERED"


@pytest.mark.parametrize("sender", [str(plan.HOST_B), "100.64.1.77"])
def test_nobody_but_an_edge_speaks_for_the_internet(gated: Gated, sender: str) -> None:
    assert gated.verdict(coming(udp(53, 1111), sender=sender)) == "DROP_NOT_AN_EDGE"


def test_an_edge_does_not_speak_for_instances(gated: Gated) -> None:
    assert gated.verdict(coming(udp(53, 1111), "10.7.1.6", interface=12)) == "DROP_SOURCE_NOT_AT_HOST"
    assert gated.verdict(coming(udp(53, 1111), interface=16)) == "DROP_SOURCE_NOT_MAPPED"  # nor for an appliance


@pytest.mark.parametrize("source", ["10.7.1.6", "10.9.9.9", "192.168.1.1", "169.254.169.254", "127.0.0.1", "224.0.0.1", "fd00::1", "fe80::1",
                                    "2001:db8:7:1::6"])  # fmt: skip
def test_an_edge_brings_nothing_from_an_address_of_the_vpc_or_a_private_one(gated: Gated, source: str) -> None:
    assert gated.verdict(coming(UDP(), source)) == "DROP_PRIVATE_SOURCE"


def test_nothing_comes_in_where_no_gateway_is(gated: Gated) -> None:
    gated.real.gateways.delete_many([VpcNumber(plan.VPC)])
    assert gated.verdict(coming(udp(53, 1111))) == "DROP_NO_GATEWAY"


def test_nothing_comes_in_over_a_peering(gated: Gated) -> None:
    assert gated.verdict(coming(udp(53, 1111), origin_vni=plan.PEER)) == "DROP_NOT_PEERED"


def test_an_appliance_gets_what_a_gateway_leads_to_it(gated: Gated) -> None:
    """18 has its check off, 11 has it on."""
    outsider = ip(SERVER, "10.7.1.6") / udp(53, 1111)
    assert gated.verdict((INGRESS, from_edge(outsider, target=18))) == "DELIVERED"
    assert gated.verdict((INGRESS, from_edge(outsider, target=11))) == "DROP_DESTINATION_CHECK"


def test_the_border_is_crossed_on_the_way_in(gated: Gated) -> None:
    gated.acl(Rule(Direction.EGRESS), Rule(Direction.INGRESS, cidr="10.0.0.0/8"))
    assert gated.verdict(coming(udp(53, 1111))) == "DROP_NETWORK_ACL_INGRESS"


def test_a_public_source_is_admitted_by_its_address_and_by_no_group(gated: Gated) -> None:
    """T5-05: what turned round at the edge comes from 203.0.113.6; that 10.7.1.6 has a group does not matter."""
    gated.set_groups("10.7.1.6", 77)
    gated.policy(into(ALL, (0, 65535), "10.9.0.0/16", 77))
    assert gated.verdict(coming(tcp(1, 80, "S"), "203.0.113.6")) == "DROP_SECURITY_GROUP_INGRESS"
    gated.policy(into(TCP_ONLY, 80, "203.0.113.6/32"), number=0x5001)
    assert gated.verdict(coming(tcp(1, 80, "S"), "203.0.113.6")) == "DELIVERED"
    assert gated.verdict(coming(tcp(1, 80, "S"), "203.0.113.7")) == "DROP_SECURITY_GROUP_INGRESS"


def test_a_tracked_flow_comes_back_by_whatever_edge(gated: Gated) -> None:
    gated.policy(out(TCP_ONLY, 443))
    assert gated.passes(leaving(tcp(1111, 443, "S")))
    assert gated.passes(coming(tcp(443, 1111, "SA"), sender=str(EDGE_1)))
    assert gated.passes(leaving(tcp(1111, 443, "A")))
    assert gated.passes(coming(tcp(443, 1111, "A"), sender=str(EDGE_2)))
    assert gated.verdict(coming(tcp(443, 1112, "SA"))) == "DROP_SECURITY_GROUP_INGRESS"


def test_a_flow_that_was_idle_for_an_hour_goes_on(gated: Gated) -> None:
    """T5-12: the only memory of it is the host's own, of five days; edges have none (tests/journeys)."""
    gated.policy(out(TCP_ONLY, 443))
    assert gated.all_pass([leaving(tcp(1111, 443, "S")), coming(tcp(443, 1111, "SA")), leaving(tcp(1111, 443, "A"))])
    gated.wait(3600)
    assert gated.real.sweep_connections() == (1, 0)
    assert gated.passes(coming(tcp(443, 1111, "PA")))
    assert gated.passes(leaving(tcp(1111, 443, "A")))


def egress_only(gated: Gated, flags: int = GatewayFlag.EGRESS_ONLY) -> None:
    """Instance 11's way out for IPv6 is an egress-only gateway, and its groups admit everything."""
    gated.real.routes.put_many(plan_edge.default_route(1, RouteKind.EGRESS_ONLY, ipv6=True))
    plan_edge.put_gateway(gated.real, plan.VPC, formats.Gateway(flags, 0))
    gated.policy(into(), into(cidr="::/0"), out(), out(cidr="::/0"))


QUESTIONS: list[tuple[Callable[[], Packet], Callable[[], Packet]]] = [
    (lambda: tcp(1111, 443, "S"), lambda: tcp(443, 1111, "SA")),
    (lambda: udp(1111, 53), lambda: udp(53, 1111)),
    (lambda: ICMPv6EchoRequest(id=7), lambda: ICMPv6EchoReply(id=7)),
]


@pytest.mark.parametrize("flags", [GatewayFlag.EGRESS_ONLY, BOTH])
@pytest.mark.parametrize(("question", "answer"), QUESTIONS, ids=["TCP", "UDP", "echo"])
def test_through_an_egress_only_gateway_only_answers_come_in(gated: Gated, flags: int, question, answer) -> None:
    """T5-10. Whatever the groups admit: the same flow, untracked through an internet gateway, is tracked here."""
    egress_only(gated, flags)
    assert gated.verdict(coming(answer(), SERVER_IPV6)) == "DROP_UNASKED"
    assert gated.passes(leaving(question(), SERVER_IPV6))
    assert Step.CONNECTION_FOUND in gated.steps(coming(answer(), SERVER_IPV6))
    assert gated.verdict(coming(answer(), SERVER_IPV6)) == "DELIVERED"


def test_nobody_begins_a_flow_through_an_egress_only_gateway_from_outside(gated: Gated) -> None:
    egress_only(gated)
    for question, _ in QUESTIONS:
        assert gated.verdict(coming(question(), SERVER_IPV6)) == "DROP_UNASKED"
    assert gated.connections == {}


def test_an_error_about_an_asked_flow_comes_in(gated: Gated) -> None:
    egress_only(gated)
    asked = ip(OWN_IPV6, SERVER_IPV6) / udp(1111, 53)
    error = ICMPv6DestUnreach(code=4) / Raw(bytes(asked))
    assert gated.verdict(coming(error, "2001:db8:fe::1")) == "DROP_UNASKED"
    assert gated.passes(leaving(udp(1111, 53), SERVER_IPV6))
    assert gated.verdict(coming(error, "2001:db8:fe::1")) == "DELIVERED"


def test_an_internet_gateway_lets_in_whom_nobody_asked(gated: Gated) -> None:
    egress_only(gated, GatewayFlag.INTERNET)
    assert gated.verdict(coming(tcp(1, 80, "S"), SERVER_IPV6)) == "DELIVERED"
    egress_only(gated, BOTH)
    gated.real.routes.put_many(plan_edge.default_route(1, RouteKind.INTERNET, ipv6=True))
    assert gated.verdict(coming(tcp(1, 80, "S"), SERVER_IPV6)) == "DELIVERED"


def test_ipv4_does_not_mind_an_egress_only_gateway(gated: Gated) -> None:
    egress_only(gated, BOTH)
    assert gated.verdict(coming(tcp(1, 80, "S"))) == "DELIVERED"


def test_through_an_internet_gateway_an_open_flow_is_not_tracked(gated: Gated) -> None:
    egress_only(gated, BOTH)
    gated.real.routes.put_many(plan_edge.default_route(1, RouteKind.INTERNET, ipv6=True))
    assert Step.UNTRACKED in gated.steps(leaving(udp(1111, 53), SERVER_IPV6))
    gated.real.routes.put_many(plan_edge.default_route(1, RouteKind.EGRESS_ONLY, ipv6=True))
    assert Step.CONNECTION_MADE in gated.steps(leaving(udp(1111, 53), SERVER_IPV6))
