"""Along the nodes of a cell: who is asked, who decides, who writes what down, and what becomes of it when they disagree.

    instance 11 (10.7.1.5) -- host A -- nodes 0 .. 3, NAT gateway 10.7.8.10 -- edge -- server 192.0.2.80    (plan_cell.py)
"""

from __future__ import annotations

import time

import pytest
from scapy.layers.inet import TCP, UDP
from scapy.packet import Packet, Raw

from rookery.dataplane.addresses import address_bytes, substrate_bytes
from rookery.dataplane.formats import (
    Allowance,
    CellConstant,
    CellNodeFlag,
    ChainStep,
    DirectiveFlag,
    FlowKey,
    LeavingKey,
    Step,
    TenantNumber,
    Tracker,
    Verdict,
)
from rookery.host.lines import line_of
from rookery.trace.telling import step_line
from tests.dataplane import cells, model_cell, plan, plan_cell
from tests.dataplane.cells import SECOND, Cell, Journey, age, earlier, from_outside, to_top
from tests.dataplane.packets import GATES, IP
from tests.dataplane.packets_chain import INNER_AT, chain_of, with_chain
from tests.dataplane.packets_edge import ip
from tests.dataplane.plan_cell import ACCOUNT, NAT, NAT_ADDRESS, NAT_SECOND, NODES
from tests.dataplane.plan_edge import SERVER

CLIENT = "10.7.1.5"
ALL = range(4)
RING = CellNodeFlag.CURRENT | CellNodeFlag.DECIDES


one_cell = cells.shared(cells.kinds(4))


alone = cells.shared(cells.kinds(1))


def syn(sport: int = 1111, flags: str = "S", seq: int = 0) -> Packet:
    return TCP(sport=sport, dport=443, flags=flags, seq=seq)


def syn_anew(sport: int = 1111) -> Packet:
    """Of the client's next connection on its port: it has another number (RFC 6528)."""
    return syn(sport, seq=65_600)


def out(cell: Cell, content: Packet | None = None, top: int = 0, source: str = CLIENT) -> Journey:
    return cell.travel(to_top(ip(source, SERVER) / (content or syn()), top, led_to=NAT))


def key(sport: int = 1111, protocol: int = 6, dport: int = 443) -> FlowKey:
    return FlowKey(plan.VPC, NAT, protocol, sport.to_bytes(2, "big"), dport.to_bytes(2, "big"), 0, address_bytes(CLIENT), address_bytes(SERVER))


def answers(sent: Packet, protocol: int = 6) -> FlowKey:
    return FlowKey(plan.VPC, NAT, protocol, sent.dport.to_bytes(2, "big"), sent.sport.to_bytes(2, "big"), 0, address_bytes(SERVER), address_bytes(sent.src))


def keepers(of: FlowKey, places: range | list[int] = ALL) -> list[int]:
    return model_cell.keepers(plan_cell.SECRET, of, places, handed_out=of.destination != address_bytes(SERVER))


def forget(cell: Cell, *places: int, tables: tuple[str, ...] = ("directives", "trackers")) -> None:
    for place in places or ALL:
        for name in tables:
            table = getattr(cell.nodes[place].real, name)
            table.delete_many([one for one, _ in table.items()])


def put_ring(cell: Cell, flags: dict[int, int], since: int) -> None:
    for node in cell.nodes:
        node.real.cell_nodes.put_many({node.real.node_row(0, place): plan_cell.node(place, flags[place]) for place in flags})
        node.real.switch(plan_cell.config(node.place, ring_since=since))


def now() -> int:
    return time.monotonic_ns()


def chained(cell: Cell, sport: int = 1111) -> bytes:
    """What a top sends to a tracker of a flow that it does not know."""
    for port in range(sport, sport + 64):
        journey = out(cell, syn(port))
        if len(journey.wires) > 1:
            return journey.wires[1]
    raise AssertionError("all decided by node 0")


def at_node(cell: Cell, wire: bytes) -> Journey:
    return cell.travel(wire)


def test_a_top_asks_the_flows_primary(cell: Cell) -> None:
    """Which the model knows, and every node: the order in which nodes are asked is nobody's secret but the key's."""
    for sport in range(2000, 2032):
        first, path = keepers(key(sport))[0], out(cell, syn(sport)).path
        assert path[0] == 0 and (path[1] == first if first else True)


def test_what_is_decided_travels_with_the_packet(cell: Cell) -> None:
    journey = out(cell, next(syn(sport) for sport in range(3000, 3100) if keepers(key(sport))[0]))
    told = [chain_of(wire) for wire in journey.wires[1:]]
    assert told[0].step == ChainStep.ASK and told[-1].step == ChainStep.TELL
    assert {(one.interface, one.top, one.epoch, one.option_length) for one in told} == {(NAT, 0, 7, 23)}
    sent = journey.packet
    assert (told[-1].source, told[-1].new_source_port) == (address_bytes(sent.src), sent.sport)
    assert (told[-1].vni, told[-1].exit, told[-1].idle_seconds) == (plan.VPC, NAT, 350)


def test_a_flow_and_its_answers_share_a_second_keeper_where_there_is_such_a_port(cell: Cell) -> None:
    """Which then writes down both, so that a flow's first packet is spared a way. Of 64, for a few find no such block among those looked at."""
    shared = []
    for sport in range(5000, 5064):
        sent = out(cell, syn(sport)).packet
        second, (decider, other) = keepers(key(sport))[1], keepers(answers(sent))
        wanted = 0 if second == decider else second  # the top is told in any case
        if wanted != decider:
            shared.append(other == wanted)
    assert len(shared) > 40 and sum(shared) >= 0.75 * len(shared)


def test_a_flows_second_keeper_that_decides_has_written_it_and_is_not_passed_again(cell: Cell) -> None:
    """For as long as if it had been told in its turn."""
    seen = 0
    for sport in range(6000, 6200):
        journey = out(cell, UDP(sport=sport, dport=443), top=sport % 4)
        decider = next((node for node, wire in zip(journey.path[1:], journey.wires[1:], strict=False) if chain_of(wire).step == ChainStep.DECIDE), None)
        if decider is None or decider != keepers(key(sport, 17))[1]:
            continue
        seen += 1
        assert journey.path.count(decider) == 1 or decider == journey.path[-1]
        kept = {place: dict(cell.nodes[place].real.trackers.items()) for place in ALL}
        assert kept[decider][key(sport, 17)].deadline - now() > 300 * SECOND
        assert sum(answers(journey.packet, 17) in rows for rows in kept.values()) == 2
    assert seen > 20


def test_a_cache_that_is_lost_costs_one_detour(cell: Cell) -> None:
    sent = out(cell).packet
    out(cell, syn(flags="A"))
    forget(cell, tables=("directives",))
    again = out(cell, syn(flags="A"), top=3)
    assert (again.packet.src, again.packet.sport) == (sent.src, sent.sport)
    assert len(again.path) <= 6 and out(cell, syn(flags="A"), top=3).path == [3]


def test_the_secondary_knows_when_the_primary_has_lost_everything(cell: Cell) -> None:
    sent = out(cell).packet
    forget(cell, keepers(key())[0])
    forget(cell, tables=("directives",))
    again = out(cell, syn(flags="A"), top=2).packet
    assert (again.src, again.sport) == (sent.src, sent.sport)


@pytest.mark.parametrize("lost", [0, 1], ids=["primary", "secondary"])
def test_while_a_node_is_dead_the_next_one_keeps_its_flows(cell: Cell, lost: int) -> None:
    sent = out(cell).packet
    dead = keepers(key())[lost]
    forget(cell, dead)
    forget(cell, tables=("directives",))
    for node in cell.nodes:
        node.real.cell_living = sum(1 << place for place in ALL if place != dead)
    top = next(place for place in ALL if place != dead)
    again = out(cell, syn(flags="A"), top=top)
    assert dead not in again.path and (again.packet.src, again.packet.sport) == (sent.src, sent.sport)


def test_while_a_ring_is_young_those_of_the_ring_before_are_asked(cell: Cell) -> None:
    """Two nodes kept everything; now two others do."""
    put_ring(cell, {0: RING, 1: RING, 2: 0, 3: 0}, since=1)
    sent = out(cell).packet
    out(cell, syn(flags="A"))
    out(cell, syn(1112))
    out(cell, syn(1112, "A"))
    forget(cell, tables=("directives",))
    put_ring(cell, {0: CellNodeFlag.PREVIOUS, 1: CellNodeFlag.PREVIOUS, 2: RING, 3: RING}, since=now())
    again = out(cell, syn(flags="A"), top=2)
    assert (again.packet.src, again.packet.sport) == (sent.src, sent.sport)
    put_ring(cell, {0: CellNodeFlag.PREVIOUS, 1: CellNodeFlag.PREVIOUS, 2: RING, 3: RING}, since=now() - 40 * SECOND)
    assert str(out(cell, syn(1112, "A"), top=3).packet[TCP].flags) == "R"
    assert str(out(cell, syn(1111, "A"), top=3).packet[TCP].flags) == "A"  # who was asked had it written down


def test_a_ring_that_is_very_young_resets_nobody(cell: Cell) -> None:
    put_ring(cell, dict.fromkeys(ALL, RING | CellNodeFlag.PREVIOUS), since=now())
    assert out(cell, syn(flags="A")).verdict is Verdict.DROP_NO_FLOW


def test_a_new_owner_of_ports_hands_out_none_while_the_ring_is_young(cell: Cell) -> None:
    put_ring(cell, {0: RING | CellNodeFlag.PREVIOUS, 1: RING, 2: RING | CellNodeFlag.PREVIOUS, 3: RING}, since=now())
    for sport in range(2000, 2032):
        sent = out(cell, syn(sport)).packet
        owner = keepers(answers(sent))[0]
        assert owner in (0, 2) and owner == keepers(answers(sent), [0, 2])[0]


def test_a_draining_node_decides_nothing(cell: Cell) -> None:
    put_ring(cell, {place: RING if place == 2 else CellNodeFlag.CURRENT for place in ALL}, since=1)
    for sport in range(2000, 2016):
        assert keepers(answers(out(cell, syn(sport)).packet))[0] == 2
    put_ring(cell, dict.fromkeys(ALL, CellNodeFlag.CURRENT), since=1)
    assert out(cell, syn(4000)).verdict is Verdict.DROP_NO_TOP


def test_of_two_decisions_the_first_counts(cell: Cell) -> None:
    """The primary has forgotten; whoever decides anew is told by the secondary what was decided."""
    sent = out(cell).packet
    secondary = keepers(key())[1]
    forget(cell, *(place for place in ALL if place != secondary))
    again = out(cell, top=2).packet
    assert (again.src, again.sport) == (sent.src, sent.sport)


def test_a_port_that_another_flow_has_is_taken_back(cell: Cell) -> None:
    """Known to its secondary alone: the decider takes another one."""
    sent = out(cell).packet
    row = cell.nodes[keepers(answers(sent))[1]].real.trackers.get(answers(sent))
    assert row
    port = sent.sport // 64 * 64
    cell.restore()
    for address in (NAT_ADDRESS, NAT_SECOND):
        for at in range(port, port + 48):
            theirs = answers(sent)._replace(destination=address_bytes(address), destination_port=at.to_bytes(2, "big"))
            other = row._replace(destination=address_bytes("10.7.1.8"), version=row.version + 16)
            cell.nodes[keepers(theirs)[1]].real.trackers.put_many({theirs: other})
    for sport in range(2000, 2064):
        journey = out(cell, syn(sport))
        assert journey.verdict is Verdict.SENT
        taken = answers(journey.packet)
        held = [cell.nodes[place].real.trackers.get(taken) for place in keepers(taken)]
        assert all(one and one.destination == address_bytes(CLIENT) for one in held)


@pytest.mark.parametrize("flags", (0, DirectiveFlag.CLOSING), ids=["lives", "rests"])
def test_a_secondary_gives_no_port_of_another_flow_away(cell: Cell, flags: int) -> None:
    """Known to it alone, for three of eight ports of every block. Whoever begins, it is not over before its time."""
    sent = out(cell).packet
    row = cell.nodes[keepers(answers(sent))[0]].real.trackers.get(answers(sent))
    assert row
    cell.restore()
    theirs = row._replace(destination=address_bytes("10.7.1.8"), version=row.version + 16, flags=flags, deadline=now() + 100 * SECOND)
    placed: dict[int, dict[FlowKey, Tracker]] = {place: {} for place in ALL}
    for node in cell.nodes:
        node.real.attachments.put_many({plan_cell.attachment_key(NAT): plan_cell.attachment(NAT, addresses=1)})
    for block in range(CellConstant.PORT_FIRST, 65536, CellConstant.PORT_BLOCK):
        first = answers(sent)._replace(destination=address_bytes(NAT_ADDRESS), destination_port=block.to_bytes(2, "big"))
        ports = [first._replace(destination_port=port.to_bytes(2, "big")) for port in range(block, block + 24)]
        placed[keepers(first)[1]] |= dict.fromkeys(ports, theirs)
    for place, rows in placed.items():
        cell.nodes[place].real.trackers.put_many(rows)
    verdicts = [out(cell, syn(sport)).verdict for sport in range(2000, 2040)]
    assert set(verdicts) <= {Verdict.SENT, Verdict.DROP_CONFLICT} and verdicts.count(Verdict.SENT) > 30
    for place, rows in placed.items():
        held = cell.nodes[place].tracked()
        assert all(held[one].destination == theirs.destination for one in rows)


def answered(cell: Cell, sent: Packet, flags: str) -> Journey:
    return cell.travel(from_outside(ip(SERVER, sent.src) / TCP(sport=443, dport=sent.sport, flags=flags)))


def established(cell: Cell, sport: int = 1111) -> Packet:
    sent = out(cell, syn(sport)).packet
    answered(cell, sent, "SA")
    out(cell, syn(sport, flags="A"))
    return sent


def closed(cell: Cell) -> None:
    """As heartbeats say it to the trackers."""
    for node in cell.nodes:
        closing = {one: row._replace(flags=row.flags | DirectiveFlag.CLOSING) for one, row in node.tracked().items() if not row.pending}
        node.real.trackers.put_many(closing)


def over(cell: Cell, sport: int) -> Packet:
    """A connection from this port that was, and has closed: how its SYN left."""
    before = established(cell, sport)
    closed(cell)
    return before


def misses(cell: Cell, place: int, sport: int, what: int = DirectiveFlag.CLOSING) -> None:
    """As if this keeper had not heard of the end."""
    held = cell.nodes[place].real.trackers
    row = held.get(key(sport))
    assert row
    held.put_many({key(sport): row._replace(flags=row.flags & ~what)})


def later(cell: Cell, seconds: int) -> None:
    """By the tops' clocks."""
    for node in cell.nodes:
        held = dict(node.real.directives.items())
        node.real.directives.put_many({one: earlier(row, seconds) for one, row in held.items()})


def test_the_answer_to_a_handshake_is_not_led_to_a_connection_that_has_closed(cell: Cell) -> None:
    """Its port is another's, of which only the secondary has heard."""
    sent = out(cell).packet
    answered(cell, sent, "SA")
    out(cell, syn(flags="FA"))
    closed(cell)
    assert answered(cell, sent, "FA").packet.dst == CLIENT
    assert answered(cell, sent, "SA").verdict is Verdict.DROP_NO_FLOW
    first, second = keepers(answers(sent))
    row = cell.nodes[second].real.trackers.get(answers(sent))
    assert row and cell.nodes[first].real.trackers.get(answers(sent))
    other = row._replace(destination=address_bytes("10.7.1.8"), version=row.version + 16, flags=DirectiveFlag.PROVISIONAL)
    cell.nodes[second].real.trackers.put_many({answers(sent): other})
    assert answered(cell, sent, "SA").packet.dst == "10.7.1.8"


@pytest.mark.parametrize(("seconds", "believed"), [(0, True), (CellConstant.LEASE_SECONDS, False)])
def test_a_top_does_not_believe_for_long_that_a_closed_connections_port_is_still_its(cell: Cell, seconds: int, believed: bool) -> None:
    """Meanwhile trackers may give it to another."""
    sent = out(cell).packet
    answered(cell, sent, "SA")
    out(cell, syn(flags="FA"))
    answered(cell, sent, "FA")
    forget(cell, tables=("trackers",))
    later(cell, seconds)
    assert (answered(cell, sent, "A").verdict is Verdict.SENT) is believed


def test_a_top_that_saw_no_end_leads_no_handshake_to_who_had_the_port_before(cell: Cell) -> None:
    """The client's reset went another way: a later owner of the port begins, and only the trackers know of it."""
    sent = established(cell)
    out(cell, syn(flags="R"))
    forget(cell, tables=("trackers",))
    assert answered(cell, sent, "A").verdict is Verdict.SENT
    assert answered(cell, sent, "SA").verdict is Verdict.DROP_NO_FLOW
    later(cell, CellConstant.REST_SECONDS // 2)
    assert answered(cell, sent, "A").verdict is Verdict.DROP_NO_FLOW


def test_a_top_that_saw_no_end_begins_anew_where_its_client_does(cell: Cell) -> None:
    """The server's reset went another way: what the client's next handshake leaves by is asked for, for the old port is soon another's."""
    sent = established(cell)
    assert out(cell).packet.sport == sent.sport
    closed(cell)
    assert out(cell).packet.sport != sent.sport


def test_a_top_that_missed_a_connection_asks_before_it_leads_its_packets_as_the_one_before(cell: Cell) -> None:
    """One client's port: a connection passes by top 0 and ends by top 1, where the next one begins; then top 1 dies."""
    before = established(cell)
    out(cell, syn(flags="FA"), top=1)
    closed(cell)
    later(cell, CellConstant.LEASE_SECONDS)
    begun = out(cell, syn_anew(), top=1).packet
    assert begun.sport != before.sport
    answered(cell, begun, "SA")
    assert out(cell, syn(flags="A"), top=1).packet.sport == begun.sport
    assert out(cell, syn(flags="PA"), top=0).packet.sport == begun.sport


def test_a_secondary_that_missed_an_end_is_told_that_its_client_begins_anew(cell: Cell) -> None:
    """It was dead when the connection closed. The SYN comes again, too, and the one after it."""
    for sport in range(4000, 4016):  # of each, others decide
        before = over(cell, sport)
        secondary = cell.nodes[keepers(key(sport))[1]].real.trackers
        row = secondary.get(key(sport))
        assert row
        secondary.put_many({key(sport): row._replace(flags=row.flags & ~DirectiveFlag.CLOSING)})
        later(cell, CellConstant.LEASE_SECONDS)
        begun = out(cell, syn_anew(sport)).packet
        assert begun.sport != before.sport
        later(cell, CellConstant.LEASE_SECONDS)
        assert out(cell, syn_anew(sport)).packet.sport == begun.sport
        assert answered(cell, begun, "SA").packet.dst == CLIENT
        assert out(cell, syn(sport, flags="A")).packet.sport == begun.sport
        secondary.put_many({key(sport): row._replace(flags=row.flags & ~DirectiveFlag.CLOSING)})  # who stands in for it knows no more
        later(cell, CellConstant.LEASE_SECONDS)
        assert out(cell, syn(sport, flags="PA")).packet.sport == begun.sport


def test_a_syn_that_comes_again_where_a_connection_has_closed_leaves_as_before_when_who_decided_is_dead(cell: Cell) -> None:
    """Its second keeper knows what was decided, and it is not what is over."""
    asked = 0
    for sport in range(4000, 4200):
        cell.restore()
        over(cell, sport)
        later(cell, CellConstant.LEASE_SECONDS)
        begun = out(cell, syn_anew(sport)).packet
        first, second = keepers(key(sport))[:2]
        pending = cell.nodes[first].real.trackers.get(key(sport))
        if not pending or not pending.pending or pending.decider == second:
            continue
        for node in cell.nodes:
            node.real.cell_living = sum(1 << place for place in ALL if place != pending.decider)
        later(cell, CellConstant.LEASE_SECONDS)
        again = out(cell, syn_anew(sport), top=first)
        assert again.verdict is Verdict.SENT and again.packet.sport == begun.sport
        asked += 1
        if asked == 4:
            return
    raise AssertionError("no such port")


def test_when_both_that_keep_a_flow_missed_its_end_who_keeps_its_answers_tells_them_as_its_client_begins_anew(cell: Cell) -> None:
    """One was dead when the connection closed, and told the other one, who came back without a memory."""
    for sport in range(4000, 4016):
        before = over(cell, sport)
        for place in keepers(key(sport))[:2]:
            misses(cell, place, sport)
        later(cell, CellConstant.LEASE_SECONDS)
        begun = out(cell, syn_anew(sport)).packet
        assert begun.sport != before.sport
        assert answered(cell, begun, "SA").packet.dst == CLIENT
        assert out(cell, syn(sport, flags="A")).packet.sport == begun.sport


def kept_at(cell: Cell, of: FlowKey) -> list[int]:
    return [place for place in ALL if cell.nodes[place].real.trackers.get(of)]


def test_who_decided_and_heard_of_no_end_decides_anew_for_another_syn(cell: Cell) -> None:
    """It keeps neither the flow nor its answers, so no heartbeat told it; and who keeps the flow came back without a memory."""
    for sport in range(4000, 4016):
        before = over(cell, sport)
        for place in keepers(key(sport))[:2]:
            row = cell.nodes[place].real.trackers.get(key(sport))
            if row and not row.flags & DirectiveFlag.PROVISIONAL:
                cell.nodes[place].real.trackers.delete_many([key(sport)])
        for node in cell.nodes:
            row = node.real.trackers.get(key(sport))
            if row:
                node.real.trackers.put_many({key(sport): row._replace(flags=row.flags & ~DirectiveFlag.CLOSING)})
        begun = out(cell, syn_anew(sport), top=3).packet
        assert begun.sport != before.sport
        assert answered(cell, begun, "SA").packet.dst == CLIENT


def test_a_port_whose_connection_has_closed_rests_though_who_decided_gives_it_up(cell: Cell) -> None:
    """Who decided keeps the flow and its answers, and has heard of the end by the answers alone."""
    for sport in range(4000, 4200):
        cell.restore()
        before = out(cell, syn(sport)).packet
        first, second = keepers(key(sport))[:2]
        asked = cell.nodes[first].real.trackers.get(key(sport))
        if not asked or not asked.pending or asked.decider != second:
            continue
        answered(cell, before, "SA")
        out(cell, syn(sport, flags="A"))
        closed(cell)
        misses(cell, second, sport, DirectiveFlag.CLOSING | DirectiveFlag.PROVISIONAL)
        cell.nodes[first].real.trackers.delete_many([key(sport)])
        rests = kept_at(cell, answers(before))
        assert len(rests) == 2
        begun = out(cell, syn_anew(sport), top=3).packet
        assert begun.sport != before.sport
        assert kept_at(cell, answers(before)) == rests
        return
    raise AssertionError("no such port")


def test_a_client_that_gives_up_a_handshake_and_begins_another_one_gets_a_port_of_its_own(cell: Cell) -> None:
    """Whichever of its nodes it comes to. A SYN that comes again is the same one's."""
    for top in (0, 3):
        cell.restore()
        before = out(cell).packet
        assert out(cell, top=top).packet.sport == before.sport
        begun = out(cell, syn_anew(), top=top).packet
        assert begun.sport != before.sport
        assert out(cell, syn_anew(), top=0).packet.sport == begun.sport
        assert answered(cell, begun, "SA").packet.dst == CLIENT


def test_answers_that_belong_to_another_flow_are_a_conflict(cell: Cell) -> None:
    """Of a balancer whose target sees one client twice."""
    asked = ip(CLIENT, plan_cell.BALANCER_ADDRESS) / TCP(sport=1111, dport=80, flags="S")
    got = cell.travel(to_top(asked)).packet
    theirs = FlowKey(plan.VPC, plan_cell.BALANCER, 6, got.dport.to_bytes(2, "big"), got.sport.to_bytes(2, "big"), 0,
                     address_bytes(got.dst), address_bytes(got.src))  # fmt: skip
    place = next(place for place in ALL if cell.nodes[place].real.trackers.get(theirs))
    row = cell.nodes[place].real.trackers.get(theirs)
    assert row
    forget(cell)
    for node in cell.nodes:
        node.real.trackers.put_many({theirs: row._replace(version=row.version + 16, source_port=b"\x1f\x90")})
    assert cell.travel(to_top(asked)).verdict is Verdict.DROP_CONFLICT


FORGED = {
    "of an epoch long ago": {"epoch": 7 - 9},
    "of an epoch far ahead": {"epoch": 7 + 9},
    "with a step that there is not": {"step": ChainStep.END},
    "with no step": {"step": 0},
}


@pytest.mark.parametrize("changed", FORGED.values(), ids=FORGED.keys())
def test_a_chain_is_refused(cell: Cell, changed: dict[str, int]) -> None:
    wire = chained(cell)
    changed = {name: value % (1 << 32) for name, value in changed.items()}
    assert at_node(cell, with_chain(wire, **changed)).verdict is Verdict.DROP_CHAIN


@pytest.mark.parametrize("epoch", [6, 8, 15])
def test_a_node_with_a_file_of_nearly_the_same_time_is_listened_to(cell: Cell, epoch: int) -> None:
    assert at_node(cell, with_chain(chained(cell), epoch=epoch)).verdict is Verdict.SENT


@pytest.mark.parametrize("sender", [str(plan.HOST_A), "100.64.1.35"])
def test_only_nodes_of_the_cell_speak_of_chains(cell: Cell, sender: str) -> None:
    wire = chained(cell)
    outer = IP(wire[14:34])
    outer.src = sender
    del outer.chksum
    assert at_node(cell, wire[:14] + bytes(outer) + wire[34:]).verdict is Verdict.DROP_CHAIN


def test_an_attachment_of_another_cell_is_not_served(cell: Cell) -> None:
    assert cell.travel(to_top(ip(CLIENT, SERVER) / syn(), led_to=16)).verdict is Verdict.DROP_NO_ATTACHMENT
    assert cell.travel(to_top(ip(CLIENT, "10.7.2.7") / syn())).verdict is Verdict.DROP_NO_ATTACHMENT
    assert at_node(cell, with_chain(chained(cell), interface=99)).verdict is Verdict.DROP_NO_ATTACHMENT


def test_without_a_file_nothing_passes(alone: Cell) -> None:
    alone.restore()
    alone.nodes[0].real.switch(plan_cell.config(0, epoch=0))
    assert out(alone).verdict is Verdict.DROP_NOT_CONFIGURED


def test_the_other_half_is_read_in_one_step(alone: Cell) -> None:
    alone.restore()
    node = alone.nodes[0].real
    plan_cell.fill_file(node, 0, 1, half=1)
    node.attachments.delete_many([plan_cell.attachment_key(NAT, half=1)])
    assert out(alone).verdict is Verdict.DROP_NO_ATTACHMENT
    node.switch(plan_cell.config(0, half=0))
    assert out(alone).verdict is Verdict.SENT


def test_an_account_holds_no_more_flows_than_it_may(alone: Cell) -> None:
    alone.restore()
    node = alone.nodes[0].real
    node.tenants.put_many({TenantNumber(ACCOUNT): Allowance(0, 5)})
    verdicts = [out(alone, syn(sport)).verdict for sport in range(2000, 2004)]
    assert verdicts == [Verdict.SENT, Verdict.SENT, Verdict.DROP_FLOWS_FULL, Verdict.DROP_FLOWS_FULL]
    held = node.tenants.get(TenantNumber(ACCOUNT))
    assert held and held.tracked == len(dict(node.trackers.items())) == 5


def test_what_is_over_is_swept_and_given_back(alone: Cell) -> None:
    alone.restore()
    node = alone.nodes[0].real
    for sport in range(2000, 2010):
        out(alone, syn(sport))
    rows = dict(node.trackers.items())
    old = list(rows)[:7]
    node.trackers.put_many({one: rows[one]._replace(deadline=1) for one in old})
    outcome, _ = node.sweep_flows()
    assert (outcome.held, outcome.forgotten) == (len(rows) - 7, 7)
    held = node.tenants.get(TenantNumber(ACCOUNT))
    assert held and held.tracked == len(rows) - 7 and not set(old) & set(dict(node.trackers.items()))


@pytest.mark.parametrize(("quiet", "over"), [(CellConstant.CLOSED_SECONDS + 1, True), (0, False)], ids=["over", "half closed, and used"])
def test_a_connection_that_is_over_is_counted_apart(alone: Cell, quiet: int, over: bool) -> None:
    """Its port rests; the address by which it left may go. Who still answers is not over."""
    alone.restore()
    node = alone.nodes[0].real
    sent = [out(alone, syn(sport)).packet for sport in range(2000, 2006)]
    left = {address: LeavingKey(plan.VPC, NAT, address_bytes(address)) for address in (NAT_ADDRESS, NAT_SECOND)}
    ends = now() + (CellConstant.REST_SECONDS - quiet) * SECOND
    closing = {one: row._replace(flags=DirectiveFlag.CLOSING | row.flags & DirectiveFlag.OUTWARD, deadline=ends) for one, row in node.trackers.items()}
    node.trackers.put_many(closing)
    outcome, counted = node.sweep_flows(left.values())
    assert (outcome.held, outcome.closed) == (12, 12 * over)
    assert {address: counted[one] for address, one in left.items()} == {
        address: 0 if over else sum(one.src == address for one in sent) for address in left
    }


def establish(cell: Cell) -> Packet:
    sent = out(cell).packet
    cell.travel(from_outside(ip(SERVER, sent.src) / TCP(sport=443, dport=sent.sport, flags="SA")))
    out(cell, syn(flags="A"))
    return sent


@pytest.mark.parametrize(("seconds", "lives"), [(300, True), (351, False)])
def test_an_idle_connection_ends_after_350_seconds(alone: Cell, seconds: int, lives: bool) -> None:
    """T6-05, T6-06: the inside is told, the outside is not."""
    alone.restore()
    sent = establish(alone)
    age(alone, seconds)
    inside = out(alone, TCP(sport=1111, dport=443, flags="PA", ack=7) / Raw(b"still there?"))
    assert (str(inside.packet[TCP].flags) == "R") is not lives
    outside = alone.travel(from_outside(ip(SERVER, sent.src) / TCP(sport=443, dport=sent.sport, flags="PA") / Raw(b"news")))
    assert (outside.verdict is Verdict.SENT) is lives


def test_a_keepalive_now_and_then_is_enough(alone: Cell) -> None:
    """T6-07: of 20 minutes, every minute."""
    alone.restore()
    sent = establish(alone)
    for _ in range(20):
        age(alone, 60)
        assert (out(alone, syn(flags="A")).packet.src) == sent.src
    row = alone.nodes[0].real.trackers.get(answers(sent))
    assert row and row.deadline > now() + 340 * SECOND


def test_a_flow_that_nobody_answers_keeps_its_port(alone: Cell) -> None:
    """Datagrams now and then, each after more than half of the time: both directions live on, so nobody else gets the port."""
    alone.restore()
    log = UDP(sport=2000, dport=514) / Raw(b"log")
    ports = {out(alone, log).packet.sport for _ in range(2)}
    for _ in range(4):
        age(alone, 200)
        ports.add(out(alone, log).packet.sport)
        assert min(row.deadline for row in alone.nodes[0].tracked().values()) > now() + 340 * SECOND
    assert len(ports) == 1


def test_a_closed_connections_port_rests(alone: Cell) -> None:
    alone.restore()
    sent = establish(alone)
    out(alone, syn(flags="FA"))
    row = alone.nodes[0].real.trackers.get(answers(sent))
    assert row and row.flags & DirectiveFlag.CLOSING
    assert now() + 100 * SECOND < row.deadline <= now() + 120 * SECOND
    again = out(alone).packet
    assert again.sport != sent.sport


def test_a_syn_that_nobody_answers_is_forgotten_soon(alone: Cell) -> None:
    alone.restore()
    out(alone)
    rows = dict(alone.nodes[0].real.trackers.items()).values()
    assert rows and all(row.deadline <= now() + CellConstant.PROVISIONAL_SECONDS * SECOND for row in rows)


def test_heartbeats_fill_who_has_lost_everything(cell: Cell) -> None:
    """Primary, secondary, and both of the answers, one after the other; the packet itself ends there."""
    sport = next(sport for sport in range(3000, 3100) if len(out(cell, syn(sport)).wires) > 1 and keepers(key(sport))[0])
    cell.restore()
    journey = out(cell, syn(sport))
    told, sent = journey.wires[-1], journey.packet
    forget(cell)
    flags = chain_of(told).directive_flags & ~DirectiveFlag.PROVISIONAL
    beat = with_chain(told, step=ChainStep.BEAT_FIRST, directive_flags=flags)
    to_primary = beat[:30] + substrate_bytes(str(NODES[keepers(key(sport))[0]])) + beat[34:]
    # The sender is whoever it is not sent to.
    sender = next(place for place in ALL if place != keepers(key(sport))[0])
    to_primary = to_primary[:26] + substrate_bytes(str(NODES[sender])) + to_primary[30:]
    journey = cell.travel(to_primary)
    assert journey.verdict is Verdict.KEPT and len(journey.path) <= 4
    assert cell.keepers(key(sport)) == sorted(keepers(key(sport)))
    assert cell.keepers(answers(sent)) == sorted(keepers(answers(sent)))
    row = cell.nodes[keepers(answers(sent))[0]].real.trackers.get(answers(sent))
    assert row and row.deadline > now() + 300 * SECOND


def test_a_late_heartbeat_of_an_older_decision_changes_nothing(alone: Cell, cell: Cell) -> None:
    wire = chained(cell)
    place = next(place for place in ALL if str(NODES[place]) == IP(wire[14:34]).dst)
    flow = key(TCP(wire[INNER_AT + 34 :]).sport)
    newer = Tracker(address_bytes("10.7.8.10"), address_bytes(SERVER), b"\x08\0", b"\x01\xbb", plan.VPC, NAT, DirectiveFlag.OUTWARD,
                    0xFFFF, 0, 350, 0, 0, 1 << 62, now() + 99 * SECOND, ACCOUNT, 0, 0, 0)  # fmt: skip
    cell.nodes[place].real.trackers.put_many({flow: newer})
    at_node(cell, with_chain(wire, step=ChainStep.BEAT_FIRST, version=5, source=address_bytes(NAT_SECOND)))
    assert cell.nodes[place].real.trackers.get(flow) == newer


def fill_ports(cell: Cell, protocol: int, addresses: tuple[str, ...], free: tuple[int, ...] = ()) -> None:
    """Everything towards the server's port 443 but `free`, where it is kept."""
    row = Tracker(address_bytes(SERVER), address_bytes("10.7.1.8"), b"\x01\xbb", b"\0\x09", plan.VPC, NAT, 0, 0xFFFF, 0, 350, 0, 0, 1, now() + 99 * SECOND, 1, 0, 0, 0)
    taken = {}
    for address in addresses:
        packed = address_bytes(address)
        for port in range(1024, 65536):
            if port not in free:
                taken[FlowKey(plan.VPC, NAT, protocol, b"\x01\xbb", port.to_bytes(2, "big"), 0, address_bytes(SERVER), packed)] = row
    for node in cell.nodes:
        node.real.trackers.put_many(taken)


def test_when_all_ports_are_taken_a_flow_is_refused(alone: Cell) -> None:
    """T6-03: towards this destination; another one, and another protocol, has all of them; T6-04: as has another address."""
    alone.restore()
    only = plan_cell.attachment(NAT, addresses=1)
    alone.nodes[0].real.attachments.put_many({plan_cell.attachment_key(NAT): only})
    fill_ports(alone, 6, (NAT_ADDRESS,))
    assert out(alone).verdict is Verdict.DROP_PORTS_EXHAUSTED
    assert out(alone, UDP(sport=1111, dport=443)).verdict is Verdict.SENT
    assert alone.travel(to_top(ip(CLIENT, "192.0.2.81") / syn(), led_to=NAT)).verdict is Verdict.SENT
    alone.nodes[0].real.attachments.put_many({plan_cell.attachment_key(NAT): plan_cell.attachment(NAT)})
    assert out(alone, syn(2000)).packet.src == NAT_SECOND


def probe_of(place: int) -> bytes:
    asked = bytes.fromhex("020000000a01020000000b01 0800".replace(" ", ""))
    return asked + bytes(IP(src=str(plan.HOST_A), dst=str(NODES[place])) / UDP(sport=40000, dport=6081, chksum=0) / Raw(bytes.fromhex("0080655800000000") + b"x" * 16))


def test_a_probe_is_answered_by_the_program(alone: Cell) -> None:
    alone.restore()
    node, probe = alone.nodes[0].real, probe_of(0)
    told = node.what_if("hyperplane", probe, plan.DEVICE, 3)
    assert told.verdict is Verdict.ANSWERED
    assert (IP(told.frame[14:]).src, IP(told.frame[14:]).dst, told.frame[-16:]) == (str(NODES[0]), str(plan.HOST_A), b"x" * 16)
    node.switch(plan_cell.config(0, epoch=0))
    assert node.what_if("hyperplane", probe, plan.DEVICE, 3).verdict is Verdict.DROP_NOT_CONFIGURED


def says(cell: Cell, sender: int, epoch: int) -> None:
    """To node 0: what a node that goes by that file sends along."""
    wire = with_chain(chained(cell, 1111 + 64 * sender), epoch=epoch)
    outer = IP(wire[14:34])
    outer.src, outer.dst = str(NODES[sender]), str(NODES[0])
    del outer.chksum
    assert at_node(cell, wire[:14] + bytes(outer) + wire[34:]).verdict is Verdict.DROP_CHAIN


def keeps_silent(cell: Cell) -> bool:
    told = cell.nodes[0].real.what_if("hyperplane", probe_of(0), plan.DEVICE, 3).verdict
    assert told in (Verdict.ANSWERED, Verdict.DROP_PROBE_UNANSWERED)
    return told is Verdict.DROP_PROBE_UNANSWERED


@pytest.mark.parametrize("epoch", [30, 49], ids=["behind", "ahead"])
def test_a_node_that_goes_by_another_file_than_most_keeps_silent_until_it_takes_one(cell: Cell, epoch: int) -> None:
    """Most, not all: one node that others have lost is wrong, and not they."""
    cell.nodes[0].real.switch(plan_cell.config(0, epoch=epoch))
    says(cell, 1, 40)
    assert not keeps_silent(cell)
    says(cell, 2, 40)
    assert keeps_silent(cell)
    cell.nodes[0].real.switch(plan_cell.config(0, epoch=41))
    assert not keeps_silent(cell)


def test_who_is_dead_says_nothing_of_files(cell: Cell) -> None:
    cell.nodes[0].real.switch(plan_cell.config(0, epoch=30))
    says(cell, 1, 40)
    cell.nodes[0].real.cell_living = 0b11
    assert keeps_silent(cell)


def test_of_two_nodes_the_one_with_the_older_file_keeps_silent(cell: Cell) -> None:
    cell.nodes[0].real.cell_living = 0b11
    for epoch, silent in ((49, False), (30, True)):
        cell.nodes[0].real.switch(plan_cell.config(0, epoch=epoch))
        says(cell, 1, 40)
        assert keeps_silent(cell) is silent


NODE_STEPS = {
    Step.ATTACHMENT_FOUND, Step.DIRECTIVE_CACHED, Step.ASKED, Step.TRACKED, Step.DECIDED, Step.STORED, Step.TOLD, Step.PASSED_ON, Step.RESET,
}  # fmt: skip


def test_every_step_of_a_node_is_told_in_words(cell: Cell) -> None:
    told: dict[Step, str] = {}
    for sport in range(3000, 3020):
        wires = [to_top(ip(CLIENT, SERVER) / syn(sport, flags), led_to=NAT) for flags in ("S", "A")]
        for wire in wires:
            for outcome in cell.what_if(wire):
                told |= {event.step: step_line(line_of(event, host="node-0", names={}, boot=0.0), hosts={}) for event in outcome.events}
            cell.travel(wire)
    forget(cell, tables=("directives",))
    for top in ALL:
        for outcome in cell.what_if(to_top(ip(CLIENT, SERVER) / syn(3001, "A"), top, led_to=NAT)):
            told |= {event.step: step_line(line_of(event, host="node-0", names={}, boot=0.0), hosts={}) for event in outcome.events}
    forget(cell)
    for outcome in cell.what_if(to_top(ip(CLIENT, SERVER) / syn(3001, "A"), led_to=NAT)):
        told |= {event.step: step_line(line_of(event, host="node-0", names={}, boot=0.0), hosts={}) for event in outcome.events}
    assert told.keys() | GATES >= NODE_STEPS


def test_a_what_if_leaves_nothing_behind(cell: Cell) -> None:
    told = cell.what_if(to_top(ip(CLIENT, SERVER) / syn(), led_to=NAT))
    assert told[-1].verdict is Verdict.SENT and IP(told[-1].frame[80:]).dst == SERVER
    assert all(not node.tracked() and not dict(node.real.directives.items()) for node in cell.nodes)
