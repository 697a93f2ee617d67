"""Health checks at a cell of four nodes: packets of a node's own checks, and what answers them. Nobody's memory but the slots' is asked.

    checks of node 2, 240.255.255.254 -- slot 5 -- balancer 10.7.9.10 -- target 10.7.1.6 (12) at host B
                                                                                           tests/dataplane/plan_cell.py
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from scapy.layers.inet import ICMP, TCP, UDP
from scapy.packet import Packet, Raw

from rookery.dataplane.addresses import address_bytes
from rookery.dataplane.formats import (
    ChainStep,
    ChecksConfig,
    CheckWay,
    Direction,
    MappingKey,
    RowNumber,
    Step,
    Verdict,
)
from rookery.dataplane.node import WhatIf
from rookery.host.lines import line_of
from rookery.hyperplane.check_ways import address_of, local_address, ports_of
from rookery.trace.telling import step_line
from tests.dataplane import cells, plan, plan_cell, rule_rows
from tests.dataplane.cells import Cell, Journey, to_top
from tests.dataplane.packets import IP, Ether
from tests.dataplane.packets_chain import chain_of
from tests.dataplane.packets_edge import ip
from tests.dataplane.plan_cell import BALANCER, BALANCER_ADDRESS, NAT, NAT_ADDRESS, SERVICES
from tests.dataplane.rule_rows import TCP as TCP_ONLY
from tests.dataplane.rule_rows import into, out

PROGRAM = "hyperplane_checks"
CHECKER, SLOT, TARGET, PORT = 2, 5, "10.7.1.6", 8001
ENTRANCE = ChecksConfig(78, bytes.fromhex("025200000004"), bytes.fromhex("025200000003"))
FIRST = ports_of(CHECKER)[0]
POLICY = 77


one_cell = cells.shared(cells.kinds(4))


@pytest.fixture
def cell(cell: Cell) -> Cell:
    for node in cell.nodes:
        node.real.configure_checks(ENTRANCE)
        put_slot(cell, node.place, SLOT, TARGET)
    return cell


def put_slot(cell: Cell, place: int, slot: int, target: str, interface: int = BALANCER) -> None:
    way = CheckWay(plan.VPC, interface, address_bytes(target))
    cell.nodes[place].real.check_slots.put_many({RowNumber(slot): way})
    cell.nodes[place].real.check_numbers.put_many({way: RowNumber(slot)})


def take_slot(cell: Cell, place: int, slot: int, target: str) -> None:
    cell.nodes[place].real.check_slots.delete_many([RowNumber(slot)])
    cell.nodes[place].real.check_numbers.delete_many([CheckWay(plan.VPC, BALANCER, address_bytes(target))])


def check(cell: Cell, content: Packet, source: str = "", slot: int = SLOT) -> WhatIf:
    """As the kernel of the checks' namespace sends it."""
    frame = Ether(dst="ff:ff:ff:ff:ff:ff") / ip(source or local_address(), address_of(slot)) / content
    return cell.nodes[CHECKER].real.what_if(PROGRAM, bytes(frame), plan.DEVICE, 3)


def syn(sport: int = FIRST, dport: int = PORT) -> Packet:
    return TCP(sport=sport, dport=dport, flags="S")


def answer(cell: Cell, content: Packet, source: str = TARGET, to: str = BALANCER_ADDRESS, top: int = 0, **geneve: int) -> Journey:
    return cell.travel(to_top(ip(source, to) / content, top, **geneve))


def syn_ack(port: int = FIRST) -> Packet:
    return TCP(sport=PORT, dport=port, flags="SA")


def test_a_check_comes_from_the_balancer_and_reaches_the_slots_target(cell: Cell) -> None:
    went = check(cell, syn() / Raw(b"GET /"))
    packet, outer = IP(went.frame[80:]), IP(went.frame[14:34])
    expected = ip(BALANCER_ADDRESS, TARGET, ttl=63) / syn() / Raw(b"GET /")
    assert (went.verdict, bytes(packet)) == (Verdict.SENT, bytes(expected))
    assert (outer.src, outer.dst) == (str(plan_cell.NODES[CHECKER]), str(plan.HOST_B))
    claim = cells.Journey(went.frame, []).claim
    assert (claim.vni, claim.origin_vni, claim.interface, claim.target) == (plan.VPC, plan.VPC, BALANCER, 0)
    assert Step.CHECK_FOUND in [event.step for event in went.events]


@pytest.mark.parametrize("top", range(4))
def test_an_answer_reaches_the_node_that_checks_wherever_it_enters_the_cell(cell: Cell, top: int) -> None:
    went = answer(cell, syn_ack() / Raw(b"200 OK"), top=top)
    expected = Ether(dst="02:52:00:00:00:04", src="02:52:00:00:00:03") / ip(address_of(SLOT), local_address(), ttl=63) / syn_ack() / Raw(b"200 OK")
    assert (went.verdict, went.frame) == (Verdict.SENT, bytes(expected))
    assert went.path == ([CHECKER] if top == CHECKER else [top, CHECKER])


def test_nothing_is_remembered_of_a_check(cell: Cell) -> None:
    check(cell, syn())
    answer(cell, syn_ack(), top=1)
    assert [rows for _, table in (*cell.each("trackers"), *cell.each("directives")) if (rows := list(table.items()))] == []  # type: ignore[attr-defined]


@pytest.mark.parametrize("place", range(4))
def test_each_node_has_ports_of_its_own(cell: Cell, place: int) -> None:
    for port in (ports_of(place)[0], ports_of(place)[-1]):
        assert answer(cell, syn_ack(port), top=0).path[-1] == place
        verdict = check(cell, syn(sport=port)).verdict
        assert verdict is (Verdict.SENT if place == CHECKER else Verdict.DROP_NOT_A_CHECK)


NOT_CHECKS = {
    "not TCP": (UDP(sport=FIRST, dport=PORT), ""),
    "an echo": (ICMP(id=FIRST), ""),
    "in somebody else's name": (syn(), "10.7.1.5"),
    "from a port that is no check's": (syn(sport=40000), ""),
    "from a port below": (syn(sport=1023), ""),
}


@pytest.mark.parametrize(("content", "source"), NOT_CHECKS.values(), ids=NOT_CHECKS.keys())
def test_what_is_no_check_goes_nowhere(cell: Cell, content: Packet, source: str) -> None:
    assert check(cell, content, source).verdict is Verdict.DROP_NOT_A_CHECK


def test_a_fragment_or_another_protocol_is_no_check(cell: Cell) -> None:
    real = cell.nodes[CHECKER].real
    cut = Ether(dst="ff:ff:ff:ff:ff:ff") / ip(local_address(), address_of(SLOT), flags="MF") / syn()
    assert real.what_if(PROGRAM, bytes(cut), plan.DEVICE, 3).verdict is Verdict.DROP_NOT_A_CHECK
    arp = Ether(type=0x0806) / Raw(b"x" * 46)
    assert real.what_if(PROGRAM, bytes(arp), plan.DEVICE, 3).verdict is Verdict.DROP_NOT_IP


@pytest.mark.parametrize("slot", [0, 6, 0xFFFFFF])
def test_a_slot_that_there_is_not_leads_nowhere(cell: Cell, slot: int) -> None:
    assert check(cell, syn(), slot=slot).verdict is Verdict.DROP_NO_CHECK


def test_an_address_that_names_no_slot_leads_nowhere(cell: Cell) -> None:
    """Not even the target's own."""
    for address in (TARGET, "241.0.0.5", "192.0.2.80"):
        frame = Ether(dst="ff:ff:ff:ff:ff:ff") / ip(local_address(), address) / syn()
        assert cell.nodes[CHECKER].real.what_if(PROGRAM, bytes(frame), plan.DEVICE, 3).verdict is Verdict.DROP_NO_CHECK


def test_only_a_balancer_checks(cell: Cell) -> None:
    put_slot(cell, CHECKER, 9, TARGET, NAT)
    assert check(cell, syn(), slot=9).verdict is Verdict.DROP_NO_ATTACHMENT
    put_slot(cell, CHECKER, 9, TARGET, 99)
    assert check(cell, syn(), slot=9).verdict is Verdict.DROP_NO_ATTACHMENT


def guard(cell: Cell, rules: list[rule_rows.Rule]) -> None:
    for node in cell.nodes:
        rule_rows.remove_lists(node.real, POLICY)
        rule_rows.put_policy(node.real, POLICY, rules)
        row = plan_cell.attachment(BALANCER, group_set=5, policy=POLICY)
        node.real.attachments.put_many({plan_cell.attachment_key(BALANCER): row})


def test_the_balancers_groups_are_asked_for_the_way_out_and_not_for_the_answer(cell: Cell) -> None:
    """T7-14."""
    guard(cell, [out(TCP_ONLY, PORT, "10.7.1.6/32")])
    assert check(cell, syn()).verdict is Verdict.SENT
    assert answer(cell, syn_ack()).verdict is Verdict.SENT
    assert check(cell, syn(dport=9000)).verdict is Verdict.DROP_SECURITY_GROUP_EGRESS
    guard(cell, [into()])
    assert check(cell, syn()).verdict is Verdict.DROP_SECURITY_GROUP_EGRESS


def test_the_network_acl_of_the_balancers_subnet_is_asked_both_ways(cell: Cell) -> None:
    for denied, expected in ((Direction.EGRESS, (Verdict.DROP_NETWORK_ACL_EGRESS, Verdict.SENT)),
                             (Direction.INGRESS, (Verdict.SENT, Verdict.DROP_NETWORK_ACL_INGRESS))):  # fmt: skip
        deny(cell, denied)
        assert (check(cell, syn()).verdict, answer(cell, syn_ack()).verdict) == expected


def deny(cell: Cell, denied: Direction) -> None:
    """The ACL of the balancer's subnet; the other direction is open."""
    for node in cell.nodes:
        rule_rows.remove_lists(node.real, POLICY)
        rule_rows.put_acl(node.real, POLICY, [rule_rows.Rule(direction, allow=direction is not denied) for direction in Direction])
        row = plan_cell.attachment(BALANCER, acl=POLICY, open_egress=0, open_ingress=0)
        node.real.attachments.put_many({plan_cell.attachment_key(BALANCER): row})


def test_a_check_needs_a_way_and_a_target(cell: Cell) -> None:
    put_slot(cell, CHECKER, 9, "10.7.1.99")
    assert check(cell, syn(), slot=9).verdict is Verdict.DROP_NO_MAPPING
    cell.nodes[CHECKER].real.routes.delete_many([key for key, _ in cell.nodes[CHECKER].real.routes.items() if key.table == 8])
    assert check(cell, syn()).verdict is Verdict.DROP_NO_ROUTE


def test_whoever_is_not_checked_is_not_heard(cell: Cell) -> None:
    """Neither another instance, nor a target whose slot was freed, nor with a port of a place where nobody is."""
    assert answer(cell, syn_ack(), source="10.7.1.5").verdict is Verdict.DROP_NO_CHECK
    assert answer(cell, syn_ack(ports_of(4)[0])).verdict is Verdict.DROP_NO_CHECK
    take_slot(cell, CHECKER, SLOT, TARGET)
    assert answer(cell, syn_ack(), top=CHECKER).verdict is Verdict.DROP_NO_CHECK
    assert answer(cell, syn_ack(), top=1).path == [1, CHECKER]


def test_a_target_begins_no_connection_with_a_node(cell: Cell) -> None:
    assert answer(cell, syn(sport=PORT, dport=FIRST)).verdict is Verdict.DROP_NO_CHECK


def test_an_answer_of_whoever_has_not_the_address_is_not_believed(cell: Cell) -> None:
    """Interface 12 has 10.7.1.6, at host B."""
    wire = bytearray(to_top(ip(TARGET, BALANCER_ADDRESS) / syn_ack(), CHECKER))
    wire[26:30] = plan.HOST_A.packed
    outer = IP(bytes(wire[14:34]))
    del outer.chksum
    assert cell.travel(bytes(wire[:14]) + bytes(outer) + bytes(wire[34:])).verdict is Verdict.DROP_SOURCE_NOT_AT_HOST


def test_an_answer_is_passed_on_once(cell: Cell) -> None:
    """Node 1 asks node 2; to node 3, which did not make the check, it is no reason to go on."""
    went = answer(cell, syn_ack(), top=1)
    assert chain_of(went.wires[1]).step == ChainStep.CHECK
    wire = bytearray(went.wires[1])
    wire[30:34] = plan_cell.NODES[3].packed
    outer = IP(bytes(wire[14:34]))
    del outer.chksum
    lost = cell.travel(bytes(wire[:14]) + bytes(outer) + bytes(wire[34:]))
    assert (lost.path, lost.verdict) == ([3], Verdict.DROP_NO_CHECK)


def test_who_listens_at_a_checks_port_has_it(cell: Cell) -> None:
    """A client's connection, and no answer to a check: the checker chooses another port."""
    for node in cell.nodes:
        row = plan_cell.service(BALANCER, *next((p, port) for i, p, port in SERVICES if i == BALANCER and p == 6))
        node.real.cell_services.put_many({plan_cell.service_key(BALANCER, 6, FIRST): row})
    try:
        went = cell.travel(to_top(ip("10.7.1.5", BALANCER_ADDRESS) / syn(sport=1111, dport=FIRST), 0))
        assert (went.verdict, went.packet.src) == (Verdict.SENT, "10.7.1.5")
    finally:
        for node in cell.nodes:
            node.real.cell_services.delete_many([plan_cell.service_key(BALANCER, 6, FIRST)])


def test_datagrams_and_a_nat_gateways_flows_know_no_checks(cell: Cell) -> None:
    assert answer(cell, UDP(sport=PORT, dport=FIRST)).verdict is Verdict.DROP_NO_FLOW
    assert answer(cell, syn_ack(), to=NAT_ADDRESS).verdict is Verdict.DROP_NO_FLOW


def test_a_checks_port_is_handed_out_at_nat_gateways_alone(one_cell: Cell) -> None:
    """One of sixty flows has one there: of so many none would be a wonder."""
    one_cell.restore()
    assert all(port >= 2048 for port in handed_out(one_cell, BALANCER_ADDRESS, 8080, 0, 400))
    assert any(1024 <= port < 2048 for port in handed_out(one_cell, "192.0.2.80", 443, NAT, 4000))


def handed_out(cell: Cell, to: str, dport: int, led_to: int, flows: int) -> Iterator[int]:
    for sport in range(2000, 2000 + flows):
        went = cell.travel(to_top(ip("10.7.1.5", to) / TCP(sport=sport, dport=dport, flags="S"), led_to=led_to))
        assert went.verdict is Verdict.SENT, (sport, went.path, went.verdict)
        yield went.packet.sport


def test_a_node_without_a_way_to_its_checks_drops_what_answers_them(cell: Cell) -> None:
    cell.nodes[CHECKER].real.configure_checks(ChecksConfig(0, bytes(6), bytes(6)))
    assert answer(cell, syn_ack(), top=CHECKER).verdict is Verdict.DROP_NOT_CONFIGURED


def test_a_node_without_a_file_makes_no_checks(cell: Cell) -> None:
    cell.nodes[CHECKER].real.switch(plan_cell.config(CHECKER, epoch=0))
    assert check(cell, syn()).verdict is Verdict.DROP_NOT_CONFIGURED


def test_a_trace_tells_of_both_directions(cell: Cell) -> None:
    out_told = check(cell, syn()).events
    back_told = [event for told in cell.what_if(to_top(ip(TARGET, BALANCER_ADDRESS) / syn_ack(), 1)) for event in told.events]
    assert [event.detail for event in (*out_told, *back_told) if event.step == Step.CHECK_FOUND] == [SLOT, SLOT]
    line = step_line(line_of(back_told[-1], host="node-3", names={}, boot=0.0), hosts={})
    assert line == f"given to the health check: {address_of(SLOT)} -> {local_address()}"
    assert back_told[-1].verdict == Verdict.CHECKED


def test_nobody_is_checked_in_the_name_of_a_balancer_that_is_gone(cell: Cell) -> None:
    """The node's own mappings say so, as hosts' do, before the cell's file does."""
    node = cell.nodes[CHECKER].real
    key = MappingKey(plan.VPC, address_bytes(BALANCER_ADDRESS))
    row = node.mappings.get(key)
    assert row is not None and check(cell, syn()).verdict is Verdict.SENT
    for gone in (None, row._replace(interface=11)):  # its address may be another's at once
        node.mappings.delete_many([key])
        node.mappings.put_many({key: gone} if gone else {})
        assert check(cell, syn()).verdict is Verdict.DROP_NO_ATTACHMENT
