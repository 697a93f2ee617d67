"""Flows that rest, at nodes that lost their memory or are new in the ring: what one node keeps is copied to the other that is to keep it.

    instance 11 (10.7.1.5) -- host A -- nodes 0 .. 3, NAT gateway 10.7.8.10 -- edge -- server 192.0.2.80    (plan_cell.py)
"""

from __future__ import annotations

import time

import pytest
from scapy.layers.inet import ICMP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
from scapy.packet import Packet, Raw

from rookery.dataplane.addresses import address_bytes
from rookery.dataplane.formats import (
    CellConstant,
    CellNodeFlag,
    ChainStep,
    DirectiveFlag,
    FlowKey,
    TenantNumber,
    Tracker,
    Verdict,
)
from tests.dataplane import cells, model_cell, plan, plan_cell
from tests.dataplane.cells import SECOND, Cell, Journey, Node, age, from_outside, to_top
from tests.dataplane.packets_chain import chain_of, with_chain
from tests.dataplane.packets_edge import ip
from tests.dataplane.plan_cell import ACCOUNT, BALANCER_ADDRESS, NAT
from tests.dataplane.plan_edge import SERVER

CLIENT = "10.7.1.5"
ALL = range(4)
RING = CellNodeFlag.CURRENT | CellNodeFlag.DECIDES
QUEUE = 1 << 14  # keys in it
QUIET = 100  # seconds that flows rest here
IDLE = CellConstant.NAT_IDLE_SECONDS


one_cell = cells.shared_alike(4)


@pytest.fixture
def cell(cell: Cell) -> Cell:
    for node in cell.nodes:
        node.real.send_copies(QUEUE)
    return cell


def segment(flags: str = "S", sport: int = 1111) -> Packet:
    return TCP(sport=sport, dport=443, flags=flags)


def out(cell: Cell, content: Packet, top: int = 0) -> Journey:
    return cell.travel(to_top(ip(CLIENT, SERVER) / content, top, led_to=NAT))


def answered(cell: Cell, sent: Packet, content: Packet, top: int = 1) -> Journey:
    return cell.travel(from_outside(ip(SERVER, sent.src) / content, top))


def established(cell: Cell, sport: int = 1111) -> Packet:
    sent = out(cell, segment(sport=sport)).packet
    answered(cell, sent, TCP(sport=443, dport=sent.sport, flags="SA"))
    out(cell, segment("A", sport))
    return sent


def key(sport: int = 1111) -> FlowKey:
    return FlowKey(plan.VPC, NAT, 6, sport.to_bytes(2, "big"), (443).to_bytes(2, "big"), 0, address_bytes(CLIENT), address_bytes(SERVER))


def answers(sent: Packet) -> FlowKey:
    return FlowKey(plan.VPC, NAT, 6, sent.dport.to_bytes(2, "big"), sent.sport.to_bytes(2, "big"), 0, address_bytes(SERVER), address_bytes(sent.src))


def keepers(of: FlowKey, places: range | list[int] = ALL) -> list[int]:
    return model_cell.keepers(plan_cell.SECRET, of, places, handed_out=of.destination != address_bytes(SERVER))


def lose_memory(cell: Cell, *places: int) -> None:
    for place in places:
        for name in ("directives", "trackers", "tenants"):
            table = getattr(cell.nodes[place].real, name)
            table.delete_many([one for one, _ in table.items() if name != "tenants" or one.tenant])


def copies(node: Node) -> list[bytes]:
    """That it sends of all that rests."""
    found = node.real.find_resting(1, 0).found
    frames = [node.real.send_copies(1) for _ in range(found)]
    return [frame for frame in frames if any(frame[14:34])]


def tell_each_other(cell: Cell) -> list[Journey]:
    return [cell.travel(frame) for node in cell.nodes for frame in copies(node)]


def kept(cell: Cell, of: FlowKey) -> dict[int, Tracker]:
    return {node.place: row for node in cell.nodes if (row := node.real.trackers.get(of))}


def on_two_nodes(cell: Cell, *flows: FlowKey) -> bool:
    return all(set(keepers(one)[:2]) <= kept(cell, one).keys() for one in flows)


def test_what_one_node_lost_the_other_keeper_tells_it(cell: Cell) -> None:
    """Each node in turn, and nobody sends a packet: a flow's both directions are on two nodes again."""
    sent = established(cell)
    age(cell, QUIET)
    tell_each_other(cell)
    for place in ALL:
        lose_memory(cell, place)
        tell_each_other(cell)
        assert on_two_nodes(cell, key(), answers(sent))
    again = out(cell, segment("A"), top=3).packet
    assert (again.src, again.sport) == (sent.src, sent.sport)


@pytest.mark.parametrize("content", [TCP(sport=1111, dport=443, flags="S"), UDP(sport=1111, dport=443), ICMPv6EchoRequest(id=1111)], ids=["TCP", "UDP", "echo"])
def test_what_nat64_translates_is_told_too(cell: Cell, content: Packet) -> None:
    """The flow is IPv6, and its answers IPv4."""
    client, there = "2001:db8:7:1::5", f"64:ff9b::{SERVER}"
    sent = cell.travel(to_top(IPv6(src=client, dst=there) / content, 0, led_to=NAT)).packet
    (rows,) = {one: row for one, row in cell.nodes[0].real.directives.items() if one.source == address_bytes(client)}
    inward = FlowKey(plan.VPC, NAT, rows.protocol, rows.destination_port, bytes(sent.payload)[4:6] if ICMP in sent else sent.sport.to_bytes(2, "big"), 0,
                     address_bytes(SERVER), address_bytes(sent.src))  # fmt: skip
    if TCP in content:
        answered(cell, sent, TCP(sport=443, dport=sent.sport, flags="SA"))
        content = segment("A")
    cell.travel(to_top(IPv6(src=client, dst=there) / content, 0, led_to=NAT))
    age(cell, QUIET)
    for node in cell.nodes:  # heartbeats, which leave no node in a test run, would have told who asked a decider
        node.real.trackers.delete_many([one for one, row in node.real.trackers.items() if row.pending])
    tell_each_other(cell)
    for place in ALL:
        lose_memory(cell, place)
        tell_each_other(cell)
        assert set(model_cell.keepers(plan_cell.SECRET, rows, ALL)[:2]) <= kept(cell, rows).keys()
        assert set(model_cell.keepers(plan_cell.SECRET, inward, ALL, handed_out=True)[:2]) <= kept(cell, inward).keys()


def test_a_copy_ends_where_it_is_told(cell: Cell) -> None:
    established(cell)
    age(cell, QUIET)
    journeys = tell_each_other(cell)
    assert journeys and all(one.verdict is Verdict.KEPT and len(one.path) == 1 for one in journeys)
    told = [chain_of(one.wires[0]) for one in journeys]
    assert all(one.step == ChainStep.COPY and QUIET <= one.seconds <= QUIET + 4 for one in told)


def test_a_copy_is_no_sign_of_life(cell: Cell) -> None:
    """Told ten times, to and fro: the flow ends when it would have."""
    sent = established(cell)
    age(cell, QUIET)
    ends = max(row.deadline for row in kept(cell, key()).values())
    for place in keepers(key()) * 5:
        lose_memory(cell, place)
        tell_each_other(cell)
    rows = [kept(cell, one)[place] for one in (key(), answers(sent)) for place in keepers(one)[:2]]
    assert all(ends - 60 * SECOND < row.deadline <= ends for row in rows)


def test_who_has_heard_less_learns_how_long_a_flow_lives(cell: Cell) -> None:
    established(cell)
    age(cell, QUIET)
    first, second = keepers(key())
    row = cell.nodes[first].real.trackers.get(key())
    assert row
    cell.nodes[first].real.trackers.put_many({key(): row._replace(deadline=row.deadline - 200 * SECOND)})
    tell_each_other(cell)
    rows = kept(cell, key())
    assert abs(rows[first].deadline - rows[second].deadline) < 4 * SECOND


@pytest.mark.parametrize("content", [UDP(sport=1111, dport=53) / Raw(b"?"), ICMP(type=8, id=1111)], ids=["datagram", "echo"])
def test_flows_of_every_protocol_are_copied(cell: Cell, content: Packet) -> None:
    sent = out(cell, content).packet
    age(cell, 40)
    before = [{one: row for one, row in node.tracked().items() if not row.pending} for node in cell.nodes]
    held = {one for rows in before for one in rows}
    lose_memory(cell, 2)
    tell_each_other(cell)
    for one in held:
        assert {place for place in ALL if one in before[place]} & set(keepers(one)[:2]) <= kept(cell, one).keys()
    lose_memory(cell, *(place for place in ALL if place != 2))
    tell_each_other(cell)
    again = out(cell, content, top=3).packet
    assert 2 not in keepers(next(one for one in held if one.source == address_bytes(CLIENT))) or again.payload == sent.payload


def test_a_connection_that_has_closed_rests_at_two_nodes_and_no_longer(cell: Cell) -> None:
    """A port is not given away before its time, nor kept."""
    sent = established(cell)
    for node in cell.nodes:
        rows = {one: row._replace(flags=row.flags | DirectiveFlag.CLOSING, deadline=time.monotonic_ns() + 60 * SECOND)
                for one, row in node.tracked().items()}  # fmt: skip
        node.real.trackers.put_many(rows)
    lose_memory(cell, keepers(answers(sent))[0])
    tell_each_other(cell)
    assert on_two_nodes(cell, answers(sent))
    rows = kept(cell, answers(sent))
    assert all(0 < row.deadline - time.monotonic_ns() <= 60 * SECOND and row.flags & DirectiveFlag.CLOSING for row in rows.values())


def test_who_missed_a_connections_end_is_told_by_a_copy(cell: Cell) -> None:
    established(cell)
    for place in ALL:
        row = cell.nodes[place].real.trackers.get(key())
        if row:
            cell.nodes[place].real.trackers.put_many({key(): row._replace(flags=row.flags | DirectiveFlag.CLOSING, deadline=time.monotonic_ns() + 60 * SECOND)})
    first, second = keepers(key())[:2]
    missed = cell.nodes[second].real.trackers.get(key())
    assert missed
    cell.nodes[second].real.trackers.put_many({key(): missed._replace(flags=missed.flags & ~DirectiveFlag.CLOSING)})
    tell_each_other(cell)
    rows = kept(cell, key())
    assert all(rows[place].flags & DirectiveFlag.CLOSING for place in (first, second))


def test_an_active_flow_is_not_copied(cell: Cell) -> None:
    """Heartbeats tell of it."""
    established(cell)
    assert not any(copies(node) for node in cell.nodes)


def test_nobody_is_told_of_a_flow_that_is_over(cell: Cell) -> None:
    established(cell)
    age(cell, IDLE + 1)
    assert not any(copies(node) for node in cell.nodes)


def a_copy(cell: Cell) -> tuple[bytes, int]:
    """Of K, from its secondary, and to whom."""
    established(cell)
    age(cell, QUIET)
    first, second = keepers(key())
    return next(frame for frame in copies(cell.nodes[second]) if chain_of(frame).source_port == 1111), first


def test_a_copy_takes_no_other_decisions_place(cell: Cell) -> None:
    """Whichever is newer: what may have been seen stays."""
    frame, place = a_copy(cell)
    row = cell.nodes[place].real.trackers.get(key())
    assert row
    for version in (row.version - 16, row.version + 16):
        other = row._replace(version=version, source_port=b"\x12\x34", deadline=row.deadline - 50 * SECOND)
        cell.nodes[place].real.trackers.put_many({key(): other})
        assert cell.travel(frame).verdict is Verdict.KEPT
        assert cell.nodes[place].real.trackers.get(key()) == other


def test_a_first_keeper_that_missed_what_followed_leads_nobody_astray_and_a_heartbeat_brings_it_up(cell: Cell) -> None:
    """What its client's port had before, and has no more: the tail knows better, and the flow's next packet hears of it. No copy need."""
    sport = next(port for port in range(2000, 2400) if keepers(key(port))[0] == 0)
    sent = established(cell, sport)
    age(cell, QUIET)
    first = cell.nodes[0].real
    now = first.trackers.get(key(sport))
    assert now
    before = now._replace(version=now.version - 16, source_port=(4660).to_bytes(2, "big"))
    first.trackers.put_many({key(sport): before})
    tell_each_other(cell)
    assert first.trackers.get(key(sport)) == before
    assert out(cell, segment("A", sport)).packet.sport == sent.sport
    assert out(cell, segment("A", sport)).packet.sport == sent.sport
    brought = first.trackers.get(key(sport))
    assert brought and (brought.version, brought.source_port) == (now.version, now.source_port)


def test_a_copy_takes_no_place_of_who_is_asked_for_a_decision(cell: Cell) -> None:
    """It may be of an older question."""
    frame, place = a_copy(cell)
    row = cell.nodes[place].real.trackers.get(key())
    assert row
    pending = row._replace(pending=1, decider=2)
    cell.nodes[place].real.trackers.put_many({key(): pending})
    assert cell.travel(frame).verdict is Verdict.KEPT
    assert cell.nodes[place].real.trackers.get(key()) == pending


def test_a_copy_that_comes_after_its_flows_end_is_nothing(cell: Cell) -> None:
    frame, place = a_copy(cell)
    lose_memory(cell, place)
    assert cell.travel(with_chain(frame, seconds=IDLE)).verdict is Verdict.KEPT
    assert not cell.nodes[place].real.trackers.get(key())


def test_a_copy_takes_no_more_room_than_its_account_has(cell: Cell) -> None:
    frame, place = a_copy(cell)
    lose_memory(cell, place)
    assert cell.travel(frame).verdict is Verdict.KEPT
    held = cell.nodes[place].real.tenants.get(TenantNumber(ACCOUNT))
    assert held and held.tracked == 1
    lose_memory(cell, place)
    cell.nodes[place].real.tenants.put_many({TenantNumber(ACCOUNT): held._replace(tracked=held.allowed)})
    assert cell.travel(frame).verdict is Verdict.DROP_FLOWS_FULL


def test_when_a_node_dies_the_next_in_rank_is_told(cell: Cell) -> None:
    sent = established(cell)
    age(cell, QUIET)
    dead = keepers(key())[0]
    lose_memory(cell, dead)
    left = [place for place in ALL if place != dead]
    for node in cell.nodes:
        node.real.cell_living = sum(1 << place for place in left)
    for place in left:
        for frame in copies(cell.nodes[place]):
            cell.travel(frame)
    for one in (key(), answers(sent)):
        assert set(keepers(one, left)[:2]) <= kept(cell, one).keys()


def test_who_kept_flows_in_the_ring_before_tells_who_keeps_them_now(cell: Cell) -> None:
    """First its first, who then tells the second."""

    def put_ring(flags: dict[int, int], since: int) -> None:
        for node in cell.nodes:
            node.real.cell_nodes.put_many({node.real.node_row(0, place): plan_cell.node(place, flags[place]) for place in flags})
            node.real.switch(plan_cell.config(node.place, ring_since=since))

    put_ring({0: RING, 1: RING, 2: 0, 3: 0}, since=1)
    sent = established(cell)
    age(cell, QUIET)
    before = CellNodeFlag.PREVIOUS
    put_ring({0: before, 1: before, 2: RING, 3: RING}, since=time.monotonic_ns())
    tell_each_other(cell)
    tell_each_other(cell)
    assert all({2, 3} <= kept(cell, one).keys() for one in (key(), answers(sent)))


def test_of_many_flows_each_is_in_one_slice(cell: Cell) -> None:
    for sport in range(2000, 2030):
        established(cell, sport)
    age(cell, QUIET)
    node = cell.nodes[0].real
    found = [node.find_resting(4, slice_).found for slice_ in range(4)]
    rest = [row for _, row in node.trackers.items() if not row.pending and row.deadline > time.monotonic_ns()]
    assert sum(found) == len(rest)
    assert max(found) < sum(found)


def test_what_finds_no_room_in_the_queue_is_told(cell: Cell) -> None:
    """It takes another slice."""
    established(cell)
    age(cell, QUIET)
    node = cell.nodes[keepers(key())[0]].real
    row = node.trackers.get(key())
    assert row
    node.trackers.put_many({key(port)._replace(interface=99): row for port in range(QUEUE + 10)})
    found = node.find_resting(1, 0)
    assert found.found == QUEUE and found.left >= 10
    node.send_copies(QUEUE)


def test_a_balancers_flow_is_copied_as_well(cell: Cell) -> None:
    got = cell.travel(to_top(ip(CLIENT, BALANCER_ADDRESS) / TCP(sport=1111, dport=80, flags="S"))).packet
    held = {one for node in cell.nodes for one, row in node.tracked().items() if not row.pending}
    age(cell, 20)
    for place in ALL:
        lose_memory(cell, place)
        tell_each_other(cell)
    assert all(set(model_cell.keepers(plan_cell.SECRET, one, ALL, handed_out=False)[:2]) <= kept(cell, one).keys() for one in held)
    again = cell.travel(to_top(ip(CLIENT, BALANCER_ADDRESS) / TCP(sport=1111, dport=80, flags="S"), 3)).packet
    assert (again.dst, again.dport) == (got.dst, got.dport)
