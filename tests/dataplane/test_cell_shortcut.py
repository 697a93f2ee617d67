"""What a packet found out serves those that follow it, until something changes: then they ask again, at once.

    client 11 (10.7.1.5, host A) -- cell, one node -- NAT gateway 10.7.8.10 -- edge 1 (edge 2) -- server 192.0.2.80
                                                  \\-- balancer 10.7.9.10 -- targets 10.7.1.6:8001 and 10.7.2.7:8002, host B
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest
from scapy.layers.inet import ICMP, TCP, UDP
from scapy.packet import Packet, Raw

from rookery.dataplane import formats, syscall
from rookery.dataplane.addresses import address_bytes
from rookery.dataplane.cell import CellDataplane
from rookery.dataplane.formats import (
    Direction,
    EdgeAddress,
    GatewayFlag,
    InterfaceFlag,
    MappingKey,
    RouteKind,
    TargetFlag,
    Verdict,
)
from tests.dataplane import cells, plan, plan_cell, plan_edge, rule_rows
from tests.dataplane.cells import Cell, Journey, from_outside, to_top
from tests.dataplane.objects import built_objects
from tests.dataplane.packets_edge import ip
from tests.dataplane.plan_cell import BALANCER, BALANCER_ADDRESS, NAT
from tests.dataplane.plan_edge import EDGE_1, EDGE_2, SERVER
from tests.waiting import until

CLIENT = "10.7.1.5"
PRESERVED, HIDDEN = 80, 8080
DENIED = 89


@dataclass
class Flow:
    """A connection of which both sides have spoken, and whose trackers have heard of it."""

    cell: Cell
    send: Callable[[Packet, int], Journey]  # what the client sends, with this TTL
    answer: Callable[[Packet], Journey]
    ports: tuple[int, int]

    def out(self, flags: str = "A", ttl: int = 64, **fields: object) -> Journey:
        return self.send(TCP(sport=self.ports[0], dport=self.ports[1], flags=flags, **fields) / Raw(b"penguins"), ttl)


alone = cells.shared(cells.kinds(1, always=(1,)))


@pytest.fixture
def real(alone: Cell) -> CellDataplane:
    alone.restore()
    return alone.nodes[0].real


def nat_flow(cell: Cell) -> Flow:
    def send(content: Packet, ttl: int = 64) -> Journey:
        return cell.travel(to_top(ip(CLIENT, SERVER, ttl=ttl) / content, led_to=NAT))

    sent = send(TCP(sport=1111, dport=443, flags="S")).packet

    def answer(content: Packet) -> Journey:
        content.sport, content.dport = 443, sent.sport
        return cell.travel(from_outside(ip(SERVER, sent.src) / content))

    return known(Flow(cell, send, answer, (1111, 443)))


def balancer_flow(cell: Cell, port: int) -> Flow:
    def send(content: Packet, ttl: int = 64) -> Journey:
        return cell.travel(to_top(ip(CLIENT, BALANCER_ADDRESS, ttl=ttl) / content))

    sent = send(TCP(sport=1111, dport=port, flags="S")).packet

    def answer(content: Packet) -> Journey:
        content.sport, content.dport = sent.dport, sent.sport
        return cell.travel(to_top(ip(sent.dst, sent.src) / content, led_to=BALANCER if port == PRESERVED else 0))

    return known(Flow(cell, send, answer, (1111, port)))


def known(flow: Flow) -> Flow:
    assert flow.answer(TCP(flags="SA")).verdict is Verdict.SENT
    for _ in range(2):
        flow.out()
        flow.answer(TCP(flags="A"))
    return flow


FLOWS: dict[str, Callable[[Cell], Flow]] = {
    "NAT": nat_flow,
    "balancer, preserved": lambda cell: balancer_flow(cell, PRESERVED),
    "balancer, hidden": lambda cell: balancer_flow(cell, HIDDEN),
}


def at(host: object, interface: int, subnet: int = 1) -> formats.Mapping:
    return formats.Mapping(host.packed, interface, subnet, plan.mac(interface), 1, InterfaceFlag.SOURCE_DEST_CHECK, 1_700_000_000, 5, 0)  # type: ignore[attr-defined]


def client_moves(real: CellDataplane) -> None:
    real.mappings.put_many({MappingKey(plan.VPC, address_bytes(CLIENT)): at(plan.HOST_B, 11)})


def unsaid(real: CellDataplane, change: Callable[[CellDataplane], None]) -> None:
    """Behind the agent's back: nobody raises the number of the world."""
    said, real.mappings.after_write = real.mappings.after_write, None
    change(real)
    real.mappings.after_write = said


def test_a_known_flows_packets_ask_for_nothing(alone: Cell, real: CellDataplane) -> None:
    """What the other tests here rely on: without its number raised, a change is not seen."""
    flow = nat_flow(alone)

    def goes_unseen() -> bool:
        """A heartbeat may be due in between, which asks."""
        real.mappings.put_many({MappingKey(plan.VPC, address_bytes(CLIENT)): at(plan.HOST_A, 11)})
        flow.answer(TCP(flags="A"))
        unsaid(real, client_moves)
        return flow.answer(TCP(flags="A")).host == str(plan.HOST_A)

    until(goes_unseen, "the client moves unseen")
    client_moves(real)
    assert flow.answer(TCP(flags="A")).host == str(plan.HOST_B)


@pytest.mark.parametrize("make", FLOWS.values(), ids=FLOWS.keys())
@pytest.mark.parametrize("content", [TCP(flags="PA", seq=7, ack=9, window=99) / Raw(b"penguins"), TCP(flags="A", options=[("Timestamp", (1, 2))])],
                         ids=["data", "options"])  # fmt: skip
def test_a_shortcut_leads_where_the_long_way_does_byte_for_byte(alone: Cell, real: CellDataplane, make: Callable[[Cell], Flow],
                                                                content: Packet) -> None:  # fmt: skip
    flow = make(alone)
    content.sport, content.dport = flow.ports
    real.choose_edges(real.edges)  # the number is raised: this one asks
    long = [flow.send(content, 64), flow.answer(content.copy())]
    short = [flow.send(content, 64), flow.answer(content.copy())]
    assert [one.frame for one in short] == [one.frame for one in long]
    for sent in (one.packet for one in short):
        again = sent.copy()
        del again.chksum, again[TCP].chksum
        assert bytes(again) == bytes(sent)


@pytest.mark.parametrize("checksum", [None, 0], ids=["checksum", "none"])
def test_datagrams_take_it_too(alone: Cell, real: CellDataplane, checksum: int | None) -> None:
    wire = to_top(ip(CLIENT, SERVER) / UDP(sport=2222, dport=53, chksum=checksum) / Raw(b"penguins"), led_to=NAT)
    assert len({alone.travel(wire).frame for _ in range(4)}) == 1
    unsaid(real, client_moves)
    assert alone.travel(wire).verdict is Verdict.SENT


def deny(real: CellDataplane) -> None:
    rule_rows.put_acl(real, DENIED, [replace(rule_rows.into(rule_rows.TCP, 443), allow=False), *map(rule_rows.Rule, Direction)])
    guarded = plan_cell.attachment(NAT, acl=DENIED, open_egress=0, open_ingress=0)
    real.attachments.put_many({plan_cell.attachment_key(NAT): guarded})


def other_half(real: CellDataplane) -> None:
    """The other half of the file's tables has no attachments."""
    real.switch(plan_cell.config(0, half=1, epoch=8))


CHANGES: dict[str, tuple[Callable[[CellDataplane], object], Verdict | str]] = {
    "its sender moves": (client_moves, Verdict.DROP_SOURCE_NOT_AT_HOST),
    "its sender goes": (lambda real: real.mappings.delete_many([MappingKey(plan.VPC, address_bytes(CLIENT))]), Verdict.DROP_SOURCE_NOT_MAPPED),
    "its route leads nowhere": (lambda real: real.routes.put_many(plan_edge.default_route(8, RouteKind.BLACKHOLE)), Verdict.DROP_BLACKHOLE),
    "its gateway is detached": (lambda real: real.gateways.delete_many([formats.VpcNumber(plan.VPC)]), Verdict.DROP_NO_GATEWAY),
    "its edge dies": (lambda real: real.choose_edges(plan_edge.living(EDGE_2)), str(EDGE_2)),
    "its attachment goes": (lambda real: real.attachments.delete_many([plan_cell.attachment_key(NAT)]), Verdict.DROP_NO_ATTACHMENT),
    "the other half is read": (other_half, Verdict.DROP_NO_ATTACHMENT),
}


@pytest.mark.parametrize(("change", "then"), CHANGES.values(), ids=CHANGES.keys())
def test_a_change_applies_to_the_next_packet_out(alone: Cell, real: CellDataplane, change: Callable[[CellDataplane], object],
                                                 then: Verdict | str) -> None:  # fmt: skip
    flow = nat_flow(alone)
    assert flow.out().host == str(EDGE_1)
    change(real)
    went = flow.out()
    assert went.verdict is then if isinstance(then, Verdict) else went.host == then


def test_a_change_applies_to_the_next_packet_in(alone: Cell, real: CellDataplane) -> None:
    flow = nat_flow(alone)
    assert flow.answer(TCP(flags="A")).verdict is Verdict.SENT
    real.edge_nodes.delete_many([EdgeAddress(EDGE_1.packed)])
    assert flow.answer(TCP(flags="A")).verdict is Verdict.DROP_NOT_AN_EDGE
    real.edge_nodes.put_many({EdgeAddress(EDGE_1.packed): formats.EdgeNode(1)})
    assert flow.answer(TCP(flags="A")).verdict is Verdict.SENT
    plan_edge.put_gateway(real, plan.VPC, formats.Gateway(GatewayFlag.EGRESS_ONLY, 0))
    assert flow.answer(TCP(flags="A")).verdict is Verdict.DROP_NO_GATEWAY


def test_an_entry_of_the_network_acl_applies_to_the_next_packet(alone: Cell, real: CellDataplane) -> None:
    flow = nat_flow(alone)
    assert flow.out().verdict is Verdict.SENT
    deny(real)
    assert flow.out().verdict is Verdict.DROP_NETWORK_ACL_INGRESS
    rule_rows.remove_lists(real, DENIED)


def test_a_flow_whose_target_is_given_up_ends_with_its_next_packet(alone: Cell, real: CellDataplane) -> None:
    flow = balancer_flow(alone, PRESERVED)
    assert flow.out().verdict is Verdict.SENT
    gone = {real.target_row(0, n): plan_cell.target(n, flags=TargetFlag.TERMINATES) for n in range(2)}
    real.cell_targets.put_many(gone)
    assert "R" in str(flow.out(ack=1).packet[TCP].flags)


def test_what_is_written_into_the_other_half_makes_nobody_ask(alone: Cell, real: CellDataplane) -> None:
    flow = nat_flow(alone)
    unsaid(real, client_moves)
    real.attachments.put_many({plan_cell.attachment_key(NAT, half=1): plan_cell.attachment(NAT)})
    real.cell_targets.put_many({real.target_row(1, 0): plan_cell.target(0)})
    assert flow.answer(TCP(flags="A")).host == str(plan.HOST_A)


def test_nobody_else_takes_a_flows_shortcut(alone: Cell) -> None:
    """The same packet, from a host where its sender does not live."""
    alone.restore()
    flow = nat_flow(alone)
    wire = to_top(ip(CLIENT, SERVER) / TCP(sport=1111, dport=443, flags="A"), led_to=NAT)
    assert alone.travel(wire).verdict is Verdict.SENT
    forged = wire[:26] + plan.HOST_C.packed + wire[30:]
    assert alone.travel(forged).verdict is Verdict.DROP_SOURCE_NOT_AT_HOST
    other = to_top(ip(CLIENT, SERVER) / TCP(sport=1111, dport=443, flags="A"), led_to=NAT, interface=12)
    assert alone.travel(other).verdict is Verdict.DROP_SOURCE_NOT_AT_HOST
    assert flow.out().verdict is Verdict.SENT


def test_a_packet_that_cannot_leave_is_refused_on_a_known_way_too(alone: Cell, real: CellDataplane) -> None:
    flow = nat_flow(alone)
    assert flow.out().verdict is Verdict.SENT
    late = flow.out(ttl=1)
    assert (late.packet[ICMP].type, late.host) == (11, str(plan.HOST_A))
    large = flow.send(TCP(sport=1111, dport=443, flags="A") / Raw(bytes(1461)), 64)
    assert (large.packet[ICMP].type, large.packet[ICMP].code, large.packet[ICMP].nexthopmtu) == (3, 4, 1500)


def test_an_end_is_not_missed(alone: Cell, real: CellDataplane) -> None:
    flow = nat_flow(alone)
    flow.out()
    flow.out(flags="FA")
    assert any(row.flags & formats.DirectiveFlag.CLOSING for _, row in real.directives.items())
    assert any(row.flags & formats.DirectiveFlag.CLOSING for _, row in real.trackers.items())


def test_a_connection_that_begins_anew_from_its_port_goes_by_its_own_decision(alone: Cell, real: CellDataplane) -> None:
    flow = balancer_flow(alone, PRESERVED)
    before = flow.out().packet.dst
    flow.out(flags="R")
    targets = (flow.out(flags="S", seq=number).packet.dst for number in range(100) if flow.out(flags="R"))
    now = next(target for target in targets if target != before)
    assert flow.out().packet.dst == now


def only_row(real: CellDataplane, port: int) -> formats.CachedDirective:
    return next(row for key, row in real.directives.items() if key.source_port == port.to_bytes(2, "big"))


def test_who_goes_by_it_is_seen_and_owes_its_trackers_a_word_and_no_question(alone: Cell, real: CellDataplane) -> None:
    """A busy flow's row is touched once a second; that is no silence."""
    flow = nat_flow(alone)
    before = only_row(real, 1111)

    def told() -> bool:
        flow.out()
        return only_row(real, 1111).told > before.told

    until(told, "a heartbeat is due")
    now = only_row(real, 1111)
    assert now.told - now.leased > cells.SECOND // 2, "it has not asked since"


@contextmanager
def on_processor(number: int) -> Iterator[None]:
    """Test runs are where their caller is."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {number})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one processor has all packets of a flow")
def test_a_connection_that_begins_anew_is_led_by_no_other_processors_memory(alone: Cell, real: CellDataplane) -> None:
    here, there = sorted(os.sched_getaffinity(0))[:2]
    flow = balancer_flow(alone, PRESERVED)
    with on_processor(there):
        before = [flow.out().packet.dst for _ in range(2)][0]
    with on_processor(here):
        targets = (flow.out(flags="S", seq=number).packet.dst for number in range(100) if flow.out(flags="R"))
        now = next(target for target in targets if target != before)
    with on_processor(there):
        assert flow.out().packet.dst == now


def test_a_new_agent_begins_with_another_number(alone: Cell, real: CellDataplane) -> None:
    """Whatever the one before had not said yet."""
    flow = nat_flow(alone)
    unsaid(real, client_moves)
    assert flow.answer(TCP(flags="A")).host == str(plan.HOST_A)
    CellDataplane.open(real.pins, built_objects(), 256, plan_cell.SIZES).close()
    assert flow.answer(TCP(flags="A")).host == str(plan.HOST_B)


def test_where_no_agent_raises_the_number_there_are_no_shortcuts(alone: Cell, real: CellDataplane) -> None:
    flow = nat_flow(alone)
    world = syscall.pinned(real.pins / "maps" / "world")
    syscall.update(world, bytes(4), bytes(8))
    os.close(world)
    flow.answer(TCP(flags="A"))
    unsaid(real, client_moves)
    assert flow.answer(TCP(flags="A")).host == str(plan.HOST_B)
