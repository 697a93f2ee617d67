"""What nodes of a cell tell of the flows that they keep, beside what is really in their maps and where the flows' hashes put them.

    instance 11 (10.7.1.5) -- host A -- four nodes, NAT gateway 10.7.8.10 and 10.7.8.11 -- edge -- server 192.0.2.80
"""

from __future__ import annotations

from typing import Any

import pytest

from rookery.dataplane import formats
from rookery.dataplane.addresses import address_bytes, address_text
from rookery.dataplane.formats import CellConstant, CellNodeFlag, FlowKey, LeavingKey, TargetFlag
from rookery.host.control import FlowRow
from rookery.hyperplane import flows
from rookery.hyperplane.flow_end import End
from rookery.hyperplane.flow_search import search
from tests.dataplane import cells, model_cell, plan, plan_cell
from tests.dataplane.cells import SECOND, Cell, Journey, from_outside, to_top
from tests.dataplane.packets import TCP, UDP
from tests.dataplane.packets_edge import ip
from tests.dataplane.plan_cell import BALANCER, BALANCER_ADDRESS, NAT
from tests.dataplane.plan_edge import SERVER

CLIENT, OTHER = "10.7.1.5", "10.7.1.8"
PLACES = range(4)


one_cell = cells.shared(cells.kinds(4))


def out(cell: Cell, source: str = CLIENT, sport: int = 1111, top: int = 0, flags: str = "S") -> Journey:
    return cell.travel(to_top(ip(source, SERVER) / TCP(sport=sport, dport=443, flags=flags), top, led_to=NAT))


def told(cell: Cell, *ends: End) -> dict[int, list[FlowRow]]:
    return {node.place: flows.find(f"node-{node.place}", node.real, ends).rows for node in cell.nodes}


def roles(cell: Cell, *ends: End, outward: bool) -> dict[int, set[str]]:
    """By place; who tells nothing is left out."""
    found = {place: {row.role for row in rows if row.outward == outward} for place, rows in told(cell, *ends).items()}
    return {place: names for place, names in found.items() if names}


def key(interface: int, source: str, sport: int, to: str, dport: int) -> FlowKey:
    ports = (sport.to_bytes(2, "big"), dport.to_bytes(2, "big"))
    return FlowKey(plan.VPC, interface, 6, *ports, 0, address_bytes(source), address_bytes(to))


def decided(cell: Cell, end: End) -> set[tuple[int, str, bool, str, int]]:
    """Which rows, but for those that wait for a decision, and so do not know the other ends."""
    return {
        (place, row.table, row.outward, row.source, row.source_port)
        for place, rows in told(cell, end).items()
        for row in rows
        if row.version
    }


def test_both_directions_are_found_by_the_ends_of_either(cell: Cell) -> None:
    sent = out(cell).packet
    cell.travel(from_outside(ip(SERVER, sent.src) / TCP(sport=443, dport=sent.sport, flags="SA"), 2))
    out(cell, OTHER, 1112)
    found = decided(cell, End(CLIENT, 1111))
    ways = {(table, outward) for _, table, outward, _, _ in found}
    assert ways == {("trackers", True), ("trackers", False), ("directives", True), ("directives", False)}
    for end in (End(sent.src, sent.sport), End(CLIENT, 1111, plan.VPC), End(CLIENT)):
        assert decided(cell, end) == found
    assert not any(told(cell, End(CLIENT, 1110)).values())
    assert not any(told(cell, End(CLIENT, 1111, plan.PEER)).values())
    assert decided(cell, End(SERVER, 443)) > found


def test_roles_are_those_that_the_hash_of_the_flow_gives(cell: Cell) -> None:
    for sport in range(1111, 1131):
        sent = out(cell, sport=sport, top=3).packet
        outward, answers = key(NAT, CLIENT, sport, SERVER, 443), key(NAT, SERVER, 443, sent.src, sent.sport)
        for flow, is_outward in ((outward, True), (answers, False)):
            first, second = model_cell.keepers(plan_cell.SECRET, flow, PLACES, handed_out=not is_outward)
            found = roles(cell, End(CLIENT, sport), outward=is_outward)
            assert {place for place, names in found.items() if "primary" in names} == {first}
            assert {place for place, names in found.items() if "secondary" in names} == {second}
            others = {place: names for place, names in found.items() if place not in {first, second}}
            assert set().union(*others.values()) <= {"top", "decider"}
        assert "top" in roles(cell, End(CLIENT, sport), outward=True)[3]


def test_what_becomes_of_a_flow_is_told_with_whose_decision_it_was(cell: Cell) -> None:
    sent = out(cell).packet
    rows = [row for rows in told(cell, End(CLIENT, 1111)).values() for row in rows if row.outward and row.version]
    assert {(row.new_source, row.new_source_port, row.new_destination, row.new_destination_port) for row in rows} == {
        (sent.src, sent.sport, SERVER, 443)
    }
    (version,), (decided_by,) = {row.version for row in rows}, {row.decided_by for row in rows}
    decider = version % formats.CellConstant.NODES_MAX
    assert decided_by == str(plan_cell.NODES[decider])
    ages = {place: {row.age for row in rows} for place, rows in told(cell, End(CLIENT, 1111)).items()}
    assert all((found != {None}) == (place == decider) for place, found in ages.items() if found)
    assert all(age < 60 for age in ages[decider] if age is not None)


def test_a_flow_is_provisional_then_established_then_closing(cell: Cell) -> None:
    states = []
    for flags in ("S", "A", "FA"):
        out(cell, flags=flags)
        (row,) = [row for row in told(cell, End(CLIENT, 1111))[0] if row.role == "top" and row.outward]
        states.append(row.state)
        assert 0 <= row.seen < 5 and row.left > 0
    assert states == ["provisional", "established", "closing"]


def test_a_row_whose_time_is_over_is_told_as_such(cell: Cell) -> None:
    out(cell)
    for node in cell.nodes:
        node.real.trackers.put_many({key: row._replace(deadline=1) for key, row in node.real.trackers.items()})
    rows = [row for rows in told(cell, End(CLIENT, 1111)).values() for row in rows if row.table == "trackers"]
    assert rows and all(row.state == "over" and row.left < 0 for row in rows)


@pytest.mark.parametrize(("silent", "asked"), [(CellConstant.LEASE_SECONDS, 0), (0, CellConstant.REST_SECONDS // 2)], ids=["silent", "busy"])
def test_of_a_top_it_is_told_when_it_asks_again(cell: Cell, silent: int, asked: int) -> None:
    """Whether its flow has been silent for a second, or it is long ago that it asked."""

    def top() -> Any:
        return next(row for row in told(cell, End(CLIENT, 1111))[0] if row.role == "top")

    out(cell)
    out(cell, flags="A")
    assert top().state == "established" and 0 < top().left <= CellConstant.LEASE_SECONDS
    table = cell.nodes[0].real.directives
    table.put_many({key: row._replace(seen=row.seen - silent * SECOND, leased=row.leased - asked * SECOND) for key, row in table.items()})
    assert top().state == "asks again" and top().left <= 0


def test_a_decision_that_somebody_else_takes_is_pending_here_and_names_who_was_asked(cell: Cell) -> None:
    pending = []
    for sport in range(1111, 1131):
        out(cell, sport=sport)
        pending += [row for rows in told(cell, End(CLIENT, sport)).values() for row in rows if row.state == "pending"]
    assert pending and all(row.decided_by in map(str, plan_cell.NODES) and row.outward and not row.version for row in pending)


def test_a_target_that_has_gone_is_told(cell: Cell) -> None:
    cell.travel(to_top(ip(CLIENT, BALANCER_ADDRESS) / TCP(sport=1111, dport=80, flags="S"), 0))
    rows = [row for rows in told(cell, End(CLIENT, 1111)).values() for row in rows]
    assert {(row.interface, row.has_target, row.target_gone) for row in rows if row.version} == {(BALANCER, True, False)}
    for node in cell.nodes:
        gone = {node.real.target_row(0, n): plan_cell.target(n, TargetFlag.TERMINATES) for n in range(2)}
        node.real.cell_targets.put_many(gone)
    rows = [row for rows in told(cell, End(CLIENT, 1111)).values() for row in rows]
    assert all(row.target_gone for row in rows if row.version)


def test_who_kept_a_flow_by_the_ring_before_is_told_as_such(cell: Cell) -> None:
    out(cell)
    first, _ = model_cell.keepers(plan_cell.SECRET, key(NAT, CLIENT, 1111, SERVER, 443), PLACES)
    for node in cell.nodes:
        leaves = {node.real.node_row(0, first): plan_cell.node(first, CellNodeFlag.PREVIOUS)}
        node.real.cell_nodes.put_many(leaves)
    assert "former" in roles(cell, End(CLIENT, 1111), outward=True)[first]


def test_of_many_rows_only_some_are_told_and_that_there_are_more(cell: Cell) -> None:
    table = cell.nodes[0].real.trackers
    out(cell)
    some = next(row for node in cell.nodes for row in node.tracked().values())
    table.put_many({key(NAT, CLIENT, sport, SERVER, 443): some for sport in range(2000, 7000)})
    found = search(table, [End(CLIENT)], 256)
    assert (len(found.rows), found.more) == (256, True)
    assert [key.source_port for key, _ in search(table, [End(CLIENT, 4242)], 256).rows] == [(4242).to_bytes(2, "big")]
    reply = flows.find("node-0", cell.nodes[0].real, [End(CLIENT)])
    assert reply.more and len(reply.rows) >= 256


def test_what_is_no_address_is_refused(cell: Cell) -> None:
    out(cell)
    with pytest.raises(ValueError, match="no IP address|not an IP address"):
        for node in cell.nodes:
            flows.find("node-0", node.real, [End("penguin")])


def test_datagrams_are_no_connections(cell: Cell) -> None:
    cell.travel(to_top(ip(CLIENT, SERVER) / UDP(sport=1111, dport=53), 0, led_to=NAT))
    rows = [row for rows in told(cell, End(CLIENT, 1111)).values() for row in rows]
    assert rows and {row.protocol for row in rows} == {17}
    assert {row.state for row in rows} <= {"established", "pending"}
    assert all(row.seen < 60 for row in rows)


def test_a_sweep_counts_what_stays_what_is_at_hand_and_what_still_leaves_by_an_address(cell: Cell) -> None:
    addresses = [out(cell, sport=sport).packet.src for sport in range(1111, 1131)]
    leaving = [LeavingKey(plan.VPC, NAT, address_bytes(address)) for address in ("10.7.8.10", "10.7.8.12")]
    counted = {"10.7.8.10": 0, "10.7.8.12": 0}
    for node in cell.nodes:
        outcome, left = node.real.sweep_flows(leaving)
        assert (outcome.held, outcome.forgotten) == (len(node.tracked()), 0)
        assert outcome.cached == len(dict(node.real.directives.items()))
        for key, still in left.items():
            counted[address_text(key.address)] += still
    assert counted == {"10.7.8.10": 2 * addresses.count("10.7.8.10"), "10.7.8.12": 0}  # primary and secondary of the answers
    assert addresses.count("10.7.8.10")


def test_a_sweep_counts_no_directive_that_was_not_used_within_its_idle_time(cell: Cell) -> None:
    out(cell, top=1)
    table = cell.nodes[1].real.directives
    assert cell.nodes[1].real.sweep_flows()[0].cached == 1
    table.put_many({key: row._replace(seen=max(0, row.seen - 351 * 10**9)) for key, row in table.items()})
    assert cell.nodes[1].real.sweep_flows()[0].cached == 0


def test_addresses_that_are_not_asked_for_any_more_are_counted_no_longer(cell: Cell) -> None:
    node = cell.nodes[0].real
    one, two = (LeavingKey(plan.VPC, NAT, address_bytes(address)) for address in ("10.7.8.10", "10.7.8.11"))
    assert set(node.sweep_flows([one, two])[1]) == {one, two}
    assert set(node.sweep_flows([two])[1]) == {two}
    assert node.sweep_flows()[1] == {}
