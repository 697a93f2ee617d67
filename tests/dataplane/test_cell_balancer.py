"""A balancer and an endpoint at a cell of one, two and four nodes.

    client 11 (10.7.1.5, host A) -- cell, balancer 10.7.9.10 -- targets 10.7.1.6:8001 (12) and 10.7.2.7:8002 (13) at host B
    consumer 31 (10.6.1.5, host B, VPC 6) -- endpoint 10.6.1.50 --/                        tests/dataplane/plan_cell.py
"""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, TCP, UDP
from scapy.packet import Packet, Raw

from rookery.dataplane.addresses import address_bytes
from rookery.dataplane.formats import (
    AttachmentFlag,
    Forwarder,
    ForwarderKey,
    MappingKey,
    ServiceFlag,
    Step,
    TargetFlag,
    Verdict,
)
from tests.dataplane import cells, plan, plan_cell, rule_rows
from tests.dataplane.cells import Cell, Journey, to_top
from tests.dataplane.packets_edge import ip
from tests.dataplane.plan_cell import BALANCER, BALANCER_ADDRESS, ENDPOINT, ENDPOINT_ADDRESS, TARGETS
from tests.dataplane.rule_rows import TCP as TCP_ONLY
from tests.dataplane.rule_rows import into, out

CLIENT, CONSUMER = "10.7.1.5", "10.6.1.5"
PRESERVED, HIDDEN = 80, 8080
PLACES = {(address, port) for address, port, _ in TARGETS}
POLICY = 77


one_cell = cells.shared(cells.kinds(1, 2, 4))


def ask(cell: Cell, content: Packet, source: str = CLIENT, to: str = BALANCER_ADDRESS, top: int = 0) -> Journey:
    return cell.travel(to_top(ip(source, to) / content, top % len(cell.nodes)))


def answer(cell: Cell, content: Packet, source: str, to: str, led_to: int = 0) -> Journey:
    """A target's host leads answers to a preserved client back to the balancer."""
    return cell.travel(to_top(ip(source, to) / content, 1 % len(cell.nodes), led_to=led_to))


def syn(dport: int = PRESERVED, sport: int = 1111, seq: int = 0) -> Packet:
    return TCP(sport=sport, dport=dport, flags="S", seq=seq)


def rows(cell: Cell, name: str, row: dict[object, object]) -> None:
    for _, table in cell.each(name):
        table.put_many(row)  # type: ignore[attr-defined]


def put_target(cell: Cell, number: int, **changed: int) -> None:
    rows(cell, "cell_targets", {cell.nodes[0].real.target_row(0, number): plan_cell.target(number, **changed)})


def put_choices(cell: Cell, service: int, *targets: int) -> None:
    rows(cell, "cell_choices", {cell.nodes[0].real.choices_row(0, service): plan_cell.choices(*targets)})


def test_a_target_sees_the_client_where_that_is_preserved(cell: Cell) -> None:
    """T7-01."""
    went = ask(cell, syn())
    got = went.packet
    assert (got.src, got.sport) == (CLIENT, 1111) and (got.dst, got.dport) in PLACES
    assert went.host == str(plan.HOST_B) and (went.claim.vni, went.claim.interface) == (plan.VPC, BALANCER)
    back = answer(cell, TCP(sport=got.dport, dport=1111, flags="SA"), got.dst, CLIENT, led_to=BALANCER)
    assert (back.packet.src, back.packet.sport, back.packet.dst, back.packet.dport) == (BALANCER_ADDRESS, PRESERVED, CLIENT, 1111)
    assert back.host == str(plan.HOST_A)


def test_a_target_sees_the_balancer_where_the_client_is_hidden(cell: Cell) -> None:
    """T7-01."""
    got = ask(cell, syn(HIDDEN)).packet
    assert got.src == BALANCER_ADDRESS and got.sport >= 1024 and (got.dst, got.dport) in PLACES
    back = answer(cell, TCP(sport=got.dport, dport=got.sport, flags="SA"), got.dst, BALANCER_ADDRESS).packet
    assert (back.src, back.sport, back.dst, back.dport) == (BALANCER_ADDRESS, HIDDEN, CLIENT, 1111)


@pytest.mark.parametrize(("port", "translated"), [(PRESERVED, {Step.DESTINATION_TRANSLATED}), (HIDDEN, {Step.SOURCE_TRANSLATED, Step.DESTINATION_TRANSLATED})])
def test_a_trace_says_which_address_changes(cell: Cell, port: int, translated: set[Step]) -> None:
    told = {Step(event.step) for outcome in cell.what_if(to_top(ip(CLIENT, BALANCER_ADDRESS) / syn(port))) for event in outcome.events}
    assert told & {Step.SOURCE_TRANSLATED, Step.DESTINATION_TRANSLATED} == translated


def test_connections_are_spread_and_stay_where_they_are(cell: Cell) -> None:
    chosen = {sport: ask(cell, syn(sport=sport)).packet.dst for sport in range(2000, 2100)}
    assert 25 <= sum(target == TARGETS[0][0] for target in chosen.values()) <= 75
    put_choices(cell, 0, 0)
    for sport, target in chosen.items():
        assert ask(cell, TCP(sport=sport, dport=PRESERVED, flags="A"), top=1).packet.dst == target


def test_who_connects_anew_may_reach_another_target_unless_sticky(cell: Cell) -> None:
    """T7-04."""
    for flags, many in ((ServiceFlag.PRESERVE_CLIENT, 2), (ServiceFlag.PRESERVE_CLIENT | ServiceFlag.STICKY, 1)):
        cell.restore()
        service = plan_cell.service(BALANCER, 6, PRESERVED)._replace(flags=flags)
        rows(cell, "cell_services", {plan_cell.service_key(BALANCER, 6, PRESERVED): service})
        seen = {ask(cell, syn(sport=3000 + n, seq=n * 7919)).packet.dst for n in range(24)}
        assert len(seen) == many


def test_datagrams_of_a_flow_go_to_one_target(cell: Cell) -> None:
    seen = {ask(cell, UDP(sport=1111, dport=53) / Raw(b"?"), top=top).packet.dst for top in range(4)}
    assert len(seen) == 1


def test_what_nobody_listens_for_is_dropped_in_silence(cell: Cell) -> None:
    """T7-07."""
    for content in (syn(81), UDP(sport=1, dport=80), ICMP(id=7), TCP(sport=1, dport=81, flags="A")):
        assert ask(cell, content).verdict is Verdict.DROP_NO_SERVICE


def test_a_stray_segment_to_a_listener_is_reset(cell: Cell) -> None:
    """T7-07."""
    told = ask(cell, TCP(sport=1111, dport=PRESERVED, flags="A", ack=99)).packet
    assert (told.src, told.dst, told.sport, str(told[TCP].flags), told[TCP].seq) == (BALANCER_ADDRESS, CLIENT, PRESERVED, "R", 99)


def test_a_stray_segment_of_a_target_is_reset_too(cell: Cell) -> None:
    """T7-05."""
    told = answer(cell, TCP(sport=8001, dport=1111, flags="PA", ack=5) / Raw(b"late"), TARGETS[0][0], CLIENT, led_to=BALANCER)
    assert (told.packet.src, told.packet.dst, str(told.packet[TCP].flags)) == (CLIENT, TARGETS[0][0], "R")
    assert told.host == str(plan.HOST_B)


def test_without_targets_a_flow_goes_nowhere(cell: Cell) -> None:
    put_choices(cell, 0)
    assert ask(cell, syn()).verdict is Verdict.DROP_NO_TARGET


def test_the_connections_of_a_target_that_ends_are_reset(cell: Cell) -> None:
    """T7-08, at every top, and of the target's answers."""
    put_choices(cell, 0, 0)
    got = ask(cell, syn()).packet
    put_target(cell, 0, flags=TargetFlag.TERMINATES)
    for top in range(2):
        told = ask(cell, TCP(sport=1111, dport=PRESERVED, flags="A", ack=3), top=top).packet
        assert (told.src, str(told[TCP].flags)) == (BALANCER_ADDRESS, "R")
    late = answer(cell, TCP(sport=got.dport, dport=1111, flags="A", ack=4), got.dst, CLIENT, led_to=BALANCER).packet
    assert (late.dst, str(late[TCP].flags)) == (TARGETS[0][0], "R")


def test_datagrams_of_a_target_that_ends_move_on(cell: Cell) -> None:
    """As do connections that begin anew."""
    put_choices(cell, 0, 0)
    put_choices(cell, 2, 0)
    for content in (UDP(sport=1111, dport=53) / Raw(b"?"), syn()):
        assert ask(cell, content).packet.dst == TARGETS[0][0]
    put_choices(cell, 0, 1)
    put_choices(cell, 2, 1)
    put_target(cell, 0, flags=TargetFlag.TERMINATES)
    for content in (UDP(sport=1111, dport=53) / Raw(b"?"), syn()):
        assert ask(cell, content).packet.dst == TARGETS[1][0]


def test_a_draining_target_keeps_its_flows(cell: Cell) -> None:
    """T7-10."""
    put_choices(cell, 0, 0)
    ask(cell, syn())
    put_choices(cell, 0, 1)
    put_target(cell, 0, flags=TargetFlag.HEALTHY | TargetFlag.DRAINING)
    assert ask(cell, TCP(sport=1111, dport=PRESERVED, flags="A")).packet.dst == TARGETS[0][0]
    assert ask(cell, syn(sport=1112)).packet.dst == TARGETS[1][0]


def test_a_row_that_goes_to_another_target_ends_the_flows_of_the_first(cell: Cell) -> None:
    put_choices(cell, 0, 0)
    ask(cell, syn())
    put_target(cell, 0, generation=2)
    assert str(ask(cell, TCP(sport=1111, dport=PRESERVED, flags="A", ack=3)).packet[TCP].flags) == "R"


def test_the_balancers_groups_are_asked_when_a_flow_begins(cell: Cell) -> None:
    """T7-13."""
    guarded = plan_cell.attachment(BALANCER, group_set=5, policy=POLICY)
    for node in cell.nodes:
        rule_rows.put_policy(node.real, POLICY, [into(TCP_ONLY, PRESERVED, "10.7.1.0/28"), out()])
    rows(cell, "attachments", {plan_cell.attachment_key(BALANCER): guarded})
    assert ask(cell, syn()).verdict is Verdict.SENT
    assert ask(cell, syn(HIDDEN)).verdict is Verdict.DROP_SECURITY_GROUP_INGRESS
    for node in cell.nodes:
        rule_rows.put_policy(node.real, POLICY + 1, [into(TCP_ONLY, PRESERVED, "192.0.2.0/24")])
    rows(cell, "attachments", {plan_cell.attachment_key(BALANCER): guarded._replace(policy=POLICY + 1)})
    assert ask(cell, syn(sport=1112)).verdict is Verdict.DROP_SECURITY_GROUP_INGRESS
    assert ask(cell, TCP(sport=1111, dport=PRESERVED, flags="A"), top=1).verdict is Verdict.SENT


def guard(cell: Cell, rules: list[rule_rows.Rule], **changed: int) -> None:
    """The balancer has a group with these rules."""
    for node in cell.nodes:
        rule_rows.remove_lists(node.real, POLICY)
        rule_rows.put_policy(node.real, POLICY, rules)
    rows(cell, "attachments", {plan_cell.attachment_key(BALANCER): plan_cell.attachment(BALANCER, group_set=5, policy=POLICY, **changed)})


def test_the_balancers_groups_are_asked_for_the_way_to_a_target(cell: Cell) -> None:
    put_choices(cell, 0, 0)
    guard(cell, [into(), out(TCP_ONLY, 8001, "10.7.1.6/32")])
    assert ask(cell, syn()).verdict is Verdict.SENT
    guard(cell, [into(), out(TCP_ONLY, 8001, "10.7.2.0/24")])
    assert ask(cell, syn(sport=1112)).verdict is Verdict.DROP_SECURITY_GROUP_EGRESS
    assert ask(cell, TCP(sport=1111, dport=PRESERVED, flags="A")).verdict is Verdict.SENT


@pytest.mark.parametrize(
    ("sees", "admitted", "verdict"),
    [
        (AttachmentFlag.GROUPS_SEE_CLIENT, "10.6.1.0/28", Verdict.SENT),
        (AttachmentFlag.GROUPS_SEE_CLIENT, "10.6.2.0/24", Verdict.DROP_SECURITY_GROUP_INGRESS),
        (0, "10.6.2.0/24", Verdict.SENT),
    ],
    ids=["it is admitted", "others are", "nobody asks"],
)
def test_the_balancer_behind_an_endpoint_may_ask_its_groups_for_the_consumer(cell: Cell, sees: int, admitted: str, verdict: Verdict) -> None:
    """T8-10."""
    guard(cell, [into(TCP_ONLY, 443, admitted), out()], flags=sees)
    assert ask(cell, syn(443), CONSUMER, ENDPOINT_ADDRESS).verdict is verdict


def test_an_endpoints_consumer_is_hidden_from_another_vpc(cell: Cell) -> None:
    """And the answer comes back to where it was asked, in a VPC that may have the same addresses."""
    went = ask(cell, syn(443), CONSUMER, ENDPOINT_ADDRESS)
    got = went.packet
    assert got.src == BALANCER_ADDRESS and (got.dst, got.dport) in PLACES
    assert (went.claim.vni, went.claim.origin_vni, went.claim.interface) == (plan.VPC, plan.VPC, BALANCER)
    back = answer(cell, TCP(sport=got.dport, dport=got.sport, flags="SA"), got.dst, BALANCER_ADDRESS)
    assert (back.packet.src, back.packet.sport, back.packet.dst) == (ENDPOINT_ADDRESS, 443, CONSUMER)
    assert (back.claim.vni, back.claim.origin_vni, back.claim.interface) == (plan.PEER, plan.PEER, ENDPOINT)


def test_an_endpoint_that_is_not_accepted_takes_nothing(cell: Cell) -> None:
    """T8-01."""
    rows(cell, "attachments", {plan_cell.attachment_key(ENDPOINT): plan_cell.attachment(ENDPOINT, flags=AttachmentFlag.CLOSED)})
    assert ask(cell, syn(443), CONSUMER, ENDPOINT_ADDRESS).verdict is Verdict.DROP_NO_SERVICE


def at_node(cell: Cell, place: int, address: str, number: int) -> None:
    """An attachment's packets go to this node of its cell."""
    here = MappingKey(plan.VPC, address_bytes(address))
    row = plan_cell.at_cell()[here]._replace(host=plan_cell.NODES[place].packed, flags=0)
    rows(cell, "mappings", {here: row})
    assert row.interface == number


@pytest.mark.parametrize("place", [0, 1])
def test_a_balancer_is_reached_through_a_nat_gateway_of_the_same_cell(cell: Cell, place: int) -> None:
    """Where that is the same node, too: the packet enters it once more."""
    place %= len(cell.nodes)
    at_node(cell, place, BALANCER_ADDRESS, BALANCER)
    rows(cell, "forwarders", {ForwarderKey(plan.VPC, plan_cell.NAT): Forwarder(plan_cell.NODES[0].packed, 8, plan.mac(51), 0, 0)})
    went = cell.travel(to_top(ip(CLIENT, BALANCER_ADDRESS, ttl=9) / syn(), led_to=plan_cell.NAT))
    assert went.verdict is Verdict.SENT
    got = went.packet
    assert got.src in (plan_cell.NAT_ADDRESS, plan_cell.NAT_SECOND) and (got.dst, got.dport) in PLACES and got.ttl == 7
    for address in (plan_cell.NAT_ADDRESS, plan_cell.NAT_SECOND):
        at_node(cell, 0, address, plan_cell.NAT)
    rows(cell, "forwarders", {ForwarderKey(plan.VPC, BALANCER): Forwarder(plan_cell.NODES[place].packed, 9, plan.mac(61), 0, 0)})
    back = cell.travel(to_top(ip(got.dst, got.src) / TCP(sport=got.dport, dport=got.sport, flags="SA"), place, led_to=BALANCER))
    assert back.verdict is Verdict.SENT
    assert (back.packet.src, back.packet.sport, back.packet.dst, back.packet.dport) == (BALANCER_ADDRESS, PRESERVED, CLIENT, 1111)


def test_a_balancer_that_is_its_own_target_goes_round_no_longer_than_a_packet_lives(cell: Cell) -> None:
    at_node(cell, 0, BALANCER_ADDRESS, BALANCER)
    target = plan_cell.target(0)._replace(address=address_bytes(BALANCER_ADDRESS), port=PRESERVED.to_bytes(2, "big"))
    rows(cell, "cell_targets", {cell.nodes[0].real.target_row(0, number): target for number in range(2)})
    ended = cell.travel(to_top(ip(CLIENT, BALANCER_ADDRESS, ttl=3) / syn()))
    assert ended.verdict in (Verdict.DROP_HOP_LIMIT, Verdict.DROP_SOURCE_NOT_AT_HOST)


def test_nobody_speaks_in_the_nodes_own_name(cell: Cell) -> None:
    wire = to_top(ip(CLIENT, BALANCER_ADDRESS) / syn())
    forged = wire[:26] + plan_cell.NODES[0].packed + wire[30:]
    assert cell.travel(forged).verdict is Verdict.DROP_SOURCE_NOT_AT_HOST
