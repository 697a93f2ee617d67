"""How long a top believes what it was told, and what all that keep a flow do meanwhile. No heartbeat gets through here: test runs send
no copies.

    instance 11 (10.7.1.5) -- host A -- nodes 0 .. 3, NAT gateway 10.7.8.10 -- edge -- server 192.0.2.80    (plan_cell.py)
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from scapy.layers.inet import TCP, UDP
from scapy.packet import Packet, Raw

from rookery.dataplane.addresses import address_bytes
from rookery.dataplane.formats import (
    CellConstant,
    CellNodeFlag,
    CellPresence,
    ChainStep,
    DirectiveFlag,
    FlowKey,
    Tracker,
    Verdict,
)
from tests.dataplane import cells, model_cell, plan, plan_cell
from tests.dataplane.cells import SECOND, Cell, Journey, age, from_outside, to_top
from tests.dataplane.packets_chain import chain_of, with_chain
from tests.dataplane.packets_edge import ip
from tests.dataplane.plan_cell import NAT
from tests.dataplane.plan_edge import SERVER

CLIENT, OTHER = "10.7.1.5", "10.7.1.8"
ALL = range(4)
LEASE = CellConstant.REST_SECONDS // 2


one_cell = cells.shared_alike(4)


def segment(flags: str = "A", sport: int = 1111) -> Packet:
    return TCP(sport=sport, dport=443, flags=flags)


def out(cell: Cell, content: Packet, top: int = 0) -> Journey:
    return cell.travel(to_top(ip(CLIENT, SERVER) / content, top, led_to=NAT))


def back(cell: Cell, sent: Packet, flags: str = "A", top: int = 1) -> Journey:
    return cell.travel(from_outside(ip(SERVER, sent.src) / TCP(sport=443, dport=sent.sport, flags=flags), top))


def established(cell: Cell, sport: int = 1111) -> Packet:
    """Long ago."""
    sent = out(cell, segment("S", sport)).packet
    back(cell, sent, "SA")
    out(cell, segment(sport=sport))
    age(cell, LEASE // 4)
    out(cell, segment(sport=sport))
    back(cell, sent)
    return sent


def key(sport: int = 1111) -> FlowKey:
    return FlowKey(plan.VPC, NAT, 6, sport.to_bytes(2, "big"), (443).to_bytes(2, "big"), 0, address_bytes(CLIENT), address_bytes(SERVER))


def answers(sent: Packet) -> FlowKey:
    return FlowKey(plan.VPC, NAT, 6, sent.dport.to_bytes(2, "big"), sent.sport.to_bytes(2, "big"), 0, address_bytes(SERVER), address_bytes(sent.src))


def keepers(of: FlowKey) -> list[int]:
    return model_cell.keepers(plan_cell.SECRET, of, ALL, handed_out=of.destination != address_bytes(SERVER))[:2]


def left(cell: Cell, of: FlowKey) -> list[float]:
    """Seconds that each of its keepers is bound to keep it; who only knows whom to ask is left out."""
    rows = [cell.nodes[place].real.trackers.get(of) for place in keepers(of)]
    return [(row.deadline - time.monotonic_ns()) / SECOND if row else 0 for row in rows if not row or not row.pending]


def test_a_top_whose_heartbeats_are_all_lost_uses_no_port_that_its_trackers_might_give_away(cell: Cell) -> None:
    """Its flow is busy all the time, for many times what trackers keep without a word."""
    sent = established(cell)
    for _ in range(100):
        age(cell, 10)
        again = out(cell, segment())
        assert (again.packet.src, again.packet.sport) == (sent.src, sent.sport)
        assert min(left(cell, answers(sent)) + left(cell, key())) > LEASE


def test_a_busy_top_asks_once_a_minute(cell: Cell) -> None:
    established(cell)
    asks = []
    for half_seconds in range(4 * LEASE + 20):
        age(cell, 0.5)
        if len(out(cell, segment()).path) > 1:
            asks.append(half_seconds)
    first, second = asks
    assert 2 * LEASE - 10 < first < 2 * LEASE + 2 and 2 * LEASE - 10 < second - first < 2 * LEASE + 2


def test_before_its_handshakes_end_is_known_a_decision_is_believed_for_a_shorter_time(cell: Cell) -> None:
    """Trackers keep it for half a minute, until they hear more."""
    sent = out(cell, segment("S")).packet
    out(cell, segment())
    age(cell, CellConstant.PROVISIONAL_SECONDS // 2 + 1)
    assert len(out(cell, segment()).path) > 1
    assert min(left(cell, answers(sent)) + left(cell, key())) > 2 * LEASE


def test_a_lease_counts_from_when_it_was_asked_for(cell: Cell) -> None:
    """What tells it was a minute on its way: trackers may have forgotten it."""
    established(cell)
    sport = next(port for port in range(2000, 2064) if 2 not in keepers(key(port)) and established(cell, port))
    slow = next(wire for wire in out(cell, segment(sport=sport), top=2).wires[1:] if chain_of(wire).step == ChainStep.TELL)
    when = int(chain_of(slow).seconds)
    for ago, path in ((LEASE + 1, None), (LEASE // 2, [2])):
        assert cell.travel(with_chain(slow, seconds=(when - ago) % 65536)).verdict is Verdict.SENT
        age(cell, 0)  # no shortcut is left
        taken = out(cell, segment(sport=sport), top=2).path
        assert taken == path if path else len(taken) > 1


def test_who_is_asked_has_all_that_keep_a_flow_write_it_down(cell: Cell) -> None:
    """By either direction, whoever of them asks for it first."""
    sent = established(cell)
    for ask in (lambda top: out(cell, segment(), top), lambda top: back(cell, sent, top=top)):
        for lost in (*keepers(key()), *keepers(answers(sent))) * 2:
            age(cell, LEASE + 1)
            cell.nodes[lost].real.trackers.delete_many([one for one, _ in cell.nodes[lost].real.trackers.items()])
            assert ask(3).verdict is Verdict.SENT
            assert min(left(cell, answers(sent)) + left(cell, key())) > LEASE


def given_away(cell: Cell, sent: Packet, versions: int) -> Tracker:
    """Its port is another flow's, say those that keep it; as if decided `versions` after it."""
    row = cell.nodes[keepers(answers(sent))[0]].real.trackers.get(answers(sent))
    assert row
    theirs = row._replace(destination=address_bytes(OTHER), version=row.version + 16 * versions)
    for place in keepers(answers(sent)):
        cell.nodes[place].real.trackers.put_many({answers(sent): theirs})
    return theirs


def test_a_connection_whose_port_was_given_to_a_later_one_is_reset(cell: Cell) -> None:
    """And forgotten where it is still known. The later one is left alone."""
    sent = established(cell)
    theirs = given_away(cell, sent, +1)
    told = out(cell, segment(), top=3).packet
    assert (told.dst, str(told[TCP].flags)) == (CLIENT, "R")
    assert not any(cell.nodes[place].real.trackers.get(key()) for place in keepers(key()))
    assert back(cell, sent, top=2).packet.dst == OTHER
    held = [cell.nodes[place].real.trackers.get(answers(sent)) for place in keepers(answers(sent))]
    assert all(row and row.version == theirs.version for row in held)


@pytest.mark.parametrize("sport", range(2000, 2008))
def test_who_begins_anew_then_gets_another_port(cell: Cell, sport: int) -> None:
    sent = established(cell, sport)
    given_away(cell, sent, +1)
    again = out(cell, segment("S", sport), top=3).packet
    assert (again.src, again.sport) != (sent.src, sent.sport)
    assert back(cell, again, "SA", top=2).packet.dst == CLIENT
    assert out(cell, segment(sport=sport), top=2).packet.sport == again.sport


def test_what_was_decided_earlier_gives_way_to_a_flow_that_is_known(cell: Cell) -> None:
    """As a node keeps it that was away, and comes back with what it knew."""
    sent = established(cell)
    given_away(cell, sent, -1)
    again = out(cell, segment(), top=3)
    assert (again.packet.src, again.packet.sport) == (sent.src, sent.sport)
    assert back(cell, sent, top=2).packet.dst == CLIENT


def lose_memory(cell: Cell) -> None:
    """All that kept anything died at once, and tops live on."""
    for node in cell.nodes:
        node.real.trackers.delete_many([one for one, _ in node.real.trackers.items()])


SILENCE = CellConstant.LEASE_SECONDS + 1


def test_a_quiet_flow_outlives_all_that_kept_it_at_a_top_that_was_told_within_a_minute(cell: Cell) -> None:
    """It asks, for it has been silent, and nobody knows more: neither of what the client sends nor of the answers."""
    sent = established(cell)
    lose_memory(cell)
    age(cell, SILENCE)
    again = out(cell, segment())
    assert (again.packet.src, again.packet.sport) == (sent.src, sent.sport)
    assert back(cell, sent).packet.dst == CLIENT


@pytest.mark.parametrize("flags", ["A", "FA"], ids=["goes on", "ends"])
def test_who_keeps_it_gets_it_back_from_there(cell: Cell, flags: str) -> None:
    """By a heartbeat, here to the top itself. An end is told as one."""
    sport = next(port for port in range(2000, 2400) if keepers(key(port))[0] == 0)
    established(cell, sport)
    lose_memory(cell)
    age(cell, SILENCE)
    assert out(cell, segment(flags, sport)).packet.dst == SERVER
    kept = cell.nodes[0].real.trackers.get(key(sport))
    assert kept and bool(kept.flags & DirectiveFlag.CLOSING) is (flags == "FA")
    assert out(cell, segment(sport=sport), top=3).packet.dst == SERVER


def test_other_tops_know_nothing_of_it(cell: Cell) -> None:
    sent = established(cell)
    lose_memory(cell)
    age(cell, SILENCE)
    assert "R" in str(out(cell, segment(), top=3).packet[TCP].flags)
    assert back(cell, sent, top=2).verdict is Verdict.DROP_NO_FLOW


def test_what_a_top_was_told_longer_ago_counts_no_more(cell: Cell) -> None:
    """Its port may be another's."""
    sent = established(cell)
    lose_memory(cell)
    age(cell, LEASE + 1)
    assert "R" in str(out(cell, segment()).packet[TCP].flags)
    assert back(cell, sent).verdict is Verdict.DROP_NO_FLOW


def test_who_begins_anew_gets_a_new_decision_whatever_the_top_has(cell: Cell) -> None:
    established(cell)
    before = cell.nodes[0].real.directives.get(key())
    lose_memory(cell)
    age(cell, SILENCE)
    assert out(cell, segment("S")).verdict is Verdict.SENT
    after = cell.nodes[0].real.directives.get(key())
    assert before and after and after.version > before.version


def test_a_top_does_not_bring_back_what_ended_or_whose_port_is_anothers(cell: Cell) -> None:
    sent = established(cell)
    given_away(cell, sent, +1)
    age(cell, SILENCE)
    assert "R" in str(out(cell, segment()).packet[TCP].flags)
    established(cell, 2000)
    out(cell, segment("FA", 2000))
    lose_memory(cell)
    age(cell, SILENCE)
    assert "R" in str(out(cell, segment(sport=2000)).packet[TCP].flags)


def suspect(cell: Cell, node: int, *places: int) -> None:
    """It thinks them dead since a moment."""
    real = cell.nodes[node].real
    real.cell_living = sum(1 << place for place in ALL if place not in places)


def leaves(cell: Cell, *places: int, ago: float = 0) -> None:
    """All notice it."""
    for node in cell.nodes:
        node.real.note_presence({place: CellPresence(0, time.monotonic_ns() - int(ago * SECOND)) for place in places})
        suspect(cell, node.place, *places)


def one_of(places: list[int]) -> int:
    """A flow's port, whose first two keepers are these, in this order."""
    return next(port for port in range(2000, 4000) if keepers(key(port)) == places)


def third_of(of: FlowKey) -> int:
    """Who is next when nodes 1 and 2 are dead."""
    return model_cell.keepers(plan_cell.SECRET, of, [0, 3])[0]


@pytest.mark.parametrize("third", [3, 0], ids=["asks another node", "would be next itself"])
def test_a_syn_that_comes_again_gets_no_other_decision_though_its_top_thinks_both_dead_that_know_it(cell: Cell, third: int) -> None:
    """They live, say all others: whom it asks leaves the decision to them."""
    ports = [port for port in range(2000, 4000) if keepers(key(port)) == [1, 2] and third_of(key(port)) == third]
    for sport in ports[:6]:
        sent = out(cell, segment("S", sport), top=1).packet
        suspect(cell, 0, 1, 2)
        cell.nodes[0].real.note_presence({place: CellPresence(0, time.monotonic_ns()) for place in (1, 2)})
        again = out(cell, segment("S", sport), top=0)
        if third:
            assert again.verdict is Verdict.SENT and (again.packet.src, again.packet.sport) == (sent.src, sent.sport)
        else:
            assert again.verdict is Verdict.DROP_NO_TOP
        suspect(cell, 0)


def test_nobody_decides_in_the_place_of_two_that_may_live(cell: Cell) -> None:
    """All think them dead, since two seconds: who begins anew waits. After five seconds, or where one of them lives, nobody does."""
    sport = one_of([1, 2])
    leaves(cell, 1, 2, ago=2)
    assert out(cell, segment("S", sport), top=0).verdict is Verdict.DROP_NO_TOP
    leaves(cell, 1, 2, ago=CellConstant.DOUBT_SECONDS + 1)
    assert out(cell, segment("S", sport), top=0).verdict is Verdict.SENT
    cell.restore()
    leaves(cell, 1, ago=0)
    assert out(cell, segment("S", sport), top=0).verdict is Verdict.SENT


def test_a_syn_that_was_lost_with_who_decides_is_decided_by_the_next_when_it_comes_again(cell: Cell) -> None:
    """The decider is the second keeper, too, and died before anybody noticed."""
    for sport in range(2000, 2400):
        cell.restore()
        out(cell, segment("S", sport))
        asked, decider = keepers(key(sport))
        pending = cell.nodes[asked].real.trackers.get(key(sport))
        if asked != 0 and pending and pending.pending and pending.decider == pending.tail == decider:
            break
    leaves(cell, decider)
    assert out(cell, segment("S", sport), top=asked).verdict is Verdict.DROP_NO_TOP
    age(cell, CellConstant.LEASE_SECONDS)
    again = out(cell, segment("S", sport), top=asked)
    assert again.verdict is Verdict.SENT and decider not in again.path
    assert back(cell, again.packet, "SA", top=asked).packet.dst == CLIENT


def test_a_syn_that_comes_again_when_its_first_keeper_is_back_leaves_as_before_where_the_same_decides(cell: Cell) -> None:
    """The second one had asked for a decision in its place, and a top leads by it; the first one knows of nothing, and asks once more."""
    asked = 0
    for sport in [port for port in range(2000, 4000) if keepers(key(port)) == [1, 2]]:
        cell.restore()
        leaves(cell, 1, ago=0)
        sent = out(cell, segment("S", sport)).packet
        leaves(cell)
        pending = cell.nodes[2].real.trackers.get(key(sport))
        again = out(cell, segment("S", sport), top=1)
        begun = cell.nodes[1].real.trackers.get(key(sport))
        if not pending or not begun or not pending.pending or not begun.pending or begun.decider != pending.decider:
            continue
        assert again.verdict is Verdict.SENT and (again.packet.src, again.packet.sport) == (sent.src, sent.sport)
        assert back(cell, again.packet, "SA", top=1).packet.dst == CLIENT
        asked += 1
        if asked > 3:
            break
    assert asked > 3


def comes_back(cell: Cell, place: int) -> None:
    """All notice it, itself too."""
    for node in cell.nodes:
        node.real.note_presence({place: CellPresence(time.monotonic_ns(), 0)})
        suspect(cell, node.place)


@pytest.mark.parametrize("top", ALL)
def test_who_comes_back_asks_what_was_begun_in_its_place_before_it_begins_anything(cell: Cell, top: int) -> None:
    """A SYN left the cell while its first keeper was dead, its answer was lost, and it comes again: whoever would decide now."""
    for sport in [port for port in range(2000, 4000) if keepers(key(port)) == [1, 2]][:12]:
        cell.restore()
        leaves(cell, 1)
        sent = out(cell, segment("S", sport)).packet
        comes_back(cell, 1)
        age(cell, CellConstant.LEASE_SECONDS)
        again = out(cell, segment("S", sport), top=top)
        assert again.verdict is Verdict.SENT and (again.packet.src, again.packet.sport) == (sent.src, sent.sport)
        assert back(cell, again.packet, "SA", top=3).packet.dst == CLIENT
        assert out(cell, segment(sport=sport), top=2).packet.sport == sent.sport


def test_a_second_keeper_that_asked_somebody_who_died_takes_the_next_decision(cell: Cell) -> None:
    """When it thought the first keeper dead: of both decisions the later one counts, once nobody can be using the other."""
    sport = one_of([1, 2])
    out(cell, segment("S", sport))
    pending = next(row for row in (cell.nodes[1].real.trackers.get(key(sport)),) if row)
    cell.restore()
    leaves(cell, 3)
    cell.nodes[2].real.trackers.put_many({key(sport): pending._replace(pending=1, decider=3, tail=2)})
    assert out(cell, segment("S", sport)).verdict is Verdict.DROP_CONFLICT
    age(cell, CellConstant.LEASE_SECONDS)
    assert out(cell, segment("S", sport)).verdict is Verdict.SENT


@pytest.mark.parametrize("ago", [0, CellConstant.ABSENCE_SECONDS + 1])
def test_answers_are_found_with_who_would_keep_them_in_the_place_of_two_that_others_thought_dead(cell: Cell, ago: int) -> None:
    """Two nodes come and go within a second, and not all notice it at once."""
    sent = out(cell, segment("S")).packet
    rows = [(cell.nodes[place].real.trackers, cell.nodes[place].real.trackers.get(answers(sent))) for place in keepers(answers(sent))]
    for table, _ in rows:
        table.delete_many([answers(sent)])
    third = next(place for place in ALL if place not in keepers(answers(sent)))
    cell.nodes[third].real.trackers.put_many({answers(sent): rows[0][1]})
    for node in cell.nodes:
        node.real.note_presence({place: CellPresence(time.monotonic_ns() - int(ago * SECOND), 0) for place in ALL})
    journey = back(cell, sent, "SA")
    assert journey.verdict is (Verdict.DROP_NO_FLOW if ago else Verdict.SENT)
    if not ago:
        assert max(left(cell, answers(sent))) > LEASE, "one of its keepers has it again"


@pytest.mark.parametrize("ago", [10, CellConstant.ABSENCE_SECONDS + 1])
def test_ports_of_blocks_that_only_the_dead_knew_are_not_handed_out_as_long_as_a_top_may_use_them(cell: Cell, ago: int) -> None:
    leaves(cell, 1, 2, ago=ago)
    first = [keepers(answers(out(cell, segment("S", sport)).packet)) for sport in range(2000, 2040)]
    assert any(set(places) == {1, 2} for places in first) is (ago > CellConstant.ABSENCE_SECONDS)


def came(cell: Cell, *places: int, ago: float = 0) -> None:
    """All saw it, and the first of them came first."""
    for node in cell.nodes:
        now = time.monotonic_ns() - int(ago * SECOND)
        node.real.note_presence({place: CellPresence(now + n, 0) for n, place in enumerate(places)})


def deciders(cell: Cell, first: int, top: int = 0) -> set[int]:
    """Of forty new flows."""
    ports = range(first, first + 40)
    assert all(out(cell, segment("S", sport), top).verdict is Verdict.SENT for sport in ports)
    told = [cell.nodes[top].real.directives.get(key(sport)) for sport in ports]
    return {row.version % CellConstant.NODES_MAX for row in told if row}


def test_who_came_back_decides_nothing_for_a_minute(cell: Cell) -> None:
    came(cell, 2)
    assert deciders(cell, 2000) == {0, 1, 3}
    came(cell, 2, ago=CellConstant.ABSENCE_SECONDS + 1)
    came(cell, 0, 1, 3)
    assert deciders(cell, 4000) == {2}


def test_where_all_came_within_a_minute_who_came_first_decides(cell: Cell) -> None:
    """It has heard the others for longest. One that drains is not asked, nor one that died again."""
    came(cell, 2, 0, 3, 1)
    assert deciders(cell, 2000) == {2}
    for node in cell.nodes:
        node.real.cell_nodes.put_many({node.real.node_row(0, 2): plan_cell.node(2, CellNodeFlag.CURRENT | CellNodeFlag.PREVIOUS)})
    assert deciders(cell, 3000) == {0}
    leaves(cell, 0, ago=CellConstant.ABSENCE_SECONDS + 1)
    assert deciders(cell, 4000, top=1) == {3}


def test_a_cell_that_begins_works_at_once(cell: Cell) -> None:
    """Each of its nodes saw itself come, and nobody else."""
    for node in cell.nodes:
        node.real.note_presence({node.place: CellPresence(time.monotonic_ns(), 0)})
    assert deciders(cell, 2000) == set(ALL)


def test_datagrams_whose_port_was_given_to_a_later_flow_leave_by_another(cell: Cell) -> None:
    question = UDP(sport=1111, dport=443) / Raw(b"?")
    sent = out(cell, question).packet
    out(cell, question)
    theirs = answers(sent)._replace(protocol=17)
    row = cell.nodes[keepers(theirs)[0]].real.trackers.get(theirs)
    assert row
    for place in keepers(theirs):
        cell.nodes[place].real.trackers.put_many({theirs: row._replace(destination=address_bytes(OTHER), version=row.version + 16)})
    again = out(cell, question, top=3).packet
    assert (again.src, again.sport) != (sent.src, sent.sport)


@pytest.mark.parametrize("flags", ["FA", "R"])
@pytest.mark.parametrize("answers_end", [False, True])
def test_a_quiet_connections_end_is_written_down_though_its_top_has_to_ask(cell: Cell, flags: str, answers_end: bool) -> None:
    """Of more than a second's pause: the end itself is what walks the chain."""
    sent = established(cell)
    age(cell, 5)
    ended = back(cell, sent, flags, top=3) if answers_end else out(cell, segment(flags), top=3)
    assert len(ended.path) > 1
    rows = [cell.nodes[place].real.trackers.get(of) for of in (key(), answers(sent)) for place in keepers(of)]
    assert all(row and row.flags & DirectiveFlag.CLOSING for row in rows)
    assert max(left(cell, key()) + left(cell, answers(sent))) <= CellConstant.REST_SECONDS
    assert out(cell, segment("S")).packet.sport != sent.sport


def datagrams(sport: int) -> FlowKey:
    return key(sport)._replace(protocol=17)


def said_once(cell: Cell, where: Callable[[Tracker, list[int]], bool]) -> tuple[int, Packet]:
    """A datagram that nobody answers, of a flow whose first keeper knows only whom it asked. `where`: that one's row, and the flow's keepers."""
    for sport in range(5000, 5064):
        sent = out(cell, UDP(sport=sport, dport=443)).packet
        row = cell.nodes[keepers(datagrams(sport))[0]].real.trackers.get(datagrams(sport))
        if row and row.pending and where(row, keepers(datagrams(sport))):
            return sport, sent
    raise AssertionError("no such flow")


def die(cell: Cell, place: int) -> None:
    living = sum(1 << node.place for node in cell.nodes if node.place != place)
    for node in cell.nodes:
        node.real.cell_living = living


def test_datagrams_that_nobody_answers_keep_their_port_when_the_only_one_that_knew_it_dies(cell: Cell) -> None:
    """Its second keeper decided, and no heartbeat comes where they are seconds apart: with the second one the first keeper writes it down."""
    sport, sent = said_once(cell, lambda row, both: row.decider == row.tail == both[1] and 0 not in both)
    age(cell, 5)
    again = out(cell, UDP(sport=sport, dport=443)).packet
    die(cell, keepers(datagrams(sport))[1])
    age(cell, 5)
    third = out(cell, UDP(sport=sport, dport=443)).packet
    assert sent.sport == again.sport == third.sport


def test_who_only_knows_whom_it_asked_is_told_by_a_copy(cell: Cell) -> None:
    """Then the other two that know may die."""
    sport, sent = said_once(cell, lambda row, both: row.decider not in both and 0 not in both)
    first, second = keepers(datagrams(sport))
    age(cell, 5)
    for _ in range(cell.nodes[second].real.find_resting(1, 0).found):
        frame = cell.nodes[second].real.send_copies(1)
        if any(frame[14:34]):
            cell.travel(frame)
    row = cell.nodes[first].real.trackers.get(datagrams(sport))
    assert row and not row.pending and row.source_port == sent.sport.to_bytes(2, "big")
