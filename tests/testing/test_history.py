"""Histories that break a rule are found, and those that break none are not. 10.0.0.5 asks 192.0.2.80 through a NAT at 10.0.1.9, and a
balancer at 10.0.1.40 with the targets .21 and .22."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from ipaddress import IPv4Address

import pytest

from rookery.testing import history
from rookery.testing.history import ACK, FIN, RST, SYN, TCP, UDP, Ends, History, Seen

VPC, OTHER_VPC = 7, 8
CLIENT, SECOND, NAT, SERVER = "10.0.0.5", "10.0.0.6", "10.0.1.9", "192.0.2.80"
BALANCER, TARGETS = "10.0.1.40", ("10.0.2.21", "10.0.2.22")


def number(address: str) -> int:
    return int(IPv4Address(address))


def ends(source: str, source_port: int, destination: str, destination_port: int) -> Ends:
    return Ends(VPC, TCP, number(source), source_port, number(destination), destination_port)


OUT = ends(CLIENT, 4000, SERVER, 80)
OUT_AS = ends(NAT, 2000, SERVER, 80)
IN = ends(CLIENT, 4000, BALANCER, 80)
IN_AS = ends(CLIENT, 4000, TARGETS[0], 80)


class Tale:
    """Packets one after the other, a hundredth of a second apart."""

    def __init__(self) -> None:
        self.history = History(quiet=frozenset({(VPC, number(NAT))}))
        self.now = 0.0
        self.marks = itertools.count()

    def passes(self, entered: Ends, left: Ends | None, flags: int = ACK, sequence: int = 1, acknowledged: int = 1) -> Tale:
        """`left` None: it vanishes."""
        self.now += 0.01
        mark = (next(self.marks),)
        self.history.take(Seen(self.now, False, entered, flags, sequence, mark, 0, acknowledged))
        if left is not None:
            self.history.take(Seen(self.now, True, left, flags, sequence, mark, 0, acknowledged))
        return self

    def talks(self, key: Ends, way: Ends, sequence: int = 1) -> Tale:
        """A handshake, and something each way."""
        self.passes(key, way, SYN, sequence, 0).passes(way.reverse, key.reverse, SYN | ACK, sequence, sequence)
        return self.goes_on(key, way, sequence)

    def goes_on(self, key: Ends, way: Ends, sequence: int) -> Tale:
        """Of a connection that has begun."""
        for _ in range(2):
            self.passes(key, way, ACK, sequence, sequence)
        return self.passes(way.reverse, key.reverse, ACK, sequence, sequence)

    def misses(self, seconds: float = 1.0) -> Tale:
        """What passes then is for nobody to see."""
        self.history.miss(self.now + seconds, 7)
        return self.rest(seconds)

    def told(self, left: Ends, flags: int) -> Tale:
        """By the cell itself."""
        self.history.take(Seen(self.now, True, left, flags, 1, (next(self.marks),)))
        return self

    def rest(self, seconds: float) -> Tale:
        self.now += seconds
        return self

    @property
    def broken(self) -> list[str]:
        return [one.rule for one in self.history.broken]


@pytest.mark.parametrize(("key", "way"), [(OUT, OUT_AS), (IN, IN_AS)])
def test_a_flow_that_is_always_led_one_way_breaks_nothing(key: Ends, way: Ends):
    tale = Tale().talks(key, way).talks(ends(SECOND, 4000, SERVER, 80), ends(NAT, 2001, SERVER, 80))
    assert tale.broken == []
    assert (tale.history.begun, tale.history.crossed, tale.history.lost) == (2, 10, 0)


def test_a_flow_has_one_target_for_life():
    tale = Tale().talks(IN, IN_AS).passes(IN, IN_AS._replace(destination=number(TARGETS[1])))
    assert tale.broken == [history.TwoTargets]


def test_a_flow_keeps_its_port():
    assert Tale().talks(OUT, OUT_AS).passes(OUT, OUT_AS._replace(source_port=2001)).broken == [history.TwoTargets]


def test_a_syn_that_comes_again_is_led_as_before():
    again = Tale().passes(OUT, OUT_AS, SYN, 5).passes(OUT, OUT_AS, SYN, 5)
    assert again.broken == []
    assert again.passes(OUT, OUT_AS._replace(source_port=2001), SYN, 5).broken == [history.SynChanged]


def test_what_follows_from_a_flow_that_was_led_astray_is_not_told_again():
    """Who answers there answers it, and its client's later connections are others."""
    elsewhere, later = (OUT_AS._replace(source_port=port) for port in (2001, 2002))
    again = Tale().passes(OUT, OUT_AS, SYN, 5).passes(OUT, elsewhere, SYN, 5)
    assert closed(again.goes_on(OUT, elsewhere, 5), elsewhere).talks(OUT, later, 9).broken == [history.SynChanged]
    astray = Tale().talks(OUT, OUT_AS).passes(OUT, elsewhere).passes(elsewhere.reverse, OUT.reverse, RST)
    assert astray.talks(OUT, later, 9).broken == [history.TwoTargets]


def test_how_often_a_connection_was_tried_is_counted():
    tale = Tale().passes(OUT, None, SYN, 5).passes(OUT, None, SYN, 5).passes(OUT, OUT_AS, SYN, 5).passes(OUT, OUT_AS, SYN, 5)
    other = ends(SECOND, 4000, SERVER, 80)
    for _ in range(3):
        tale.passes(other, None, SYN, 6)
    assert tale.history.knocks.within(3) == (1, 1)
    assert tale.history.knocks.within(2) == (0, 2)
    assert tale.history.knocks.within(4) == (1, 0)


def test_a_syn_that_comes_late_when_its_connection_is_over_begins_anew():
    elsewhere = OUT_AS._replace(source_port=2001)
    assert closed(Tale().talks(OUT, OUT_AS, 5)).passes(OUT, elsewhere, SYN, 5).broken == []
    assert Tale().passes(OUT, OUT_AS, SYN, 5).rest(31).passes(OUT, elsewhere, SYN, 5).broken == []
    half_closed = Tale().talks(OUT, OUT_AS, 5).passes(OUT, OUT_AS, FIN | ACK)
    assert half_closed.passes(OUT, elsewhere, SYN, 5).broken == [history.SynChanged]


def test_a_syn_that_vanished_at_first_has_been_decided_nowhere():
    assert Tale().passes(OUT, None, SYN, 5).talks(OUT, OUT_AS, 5).broken == []


def test_a_connection_that_begins_anew_may_be_led_elsewhere():
    elsewhere = IN_AS._replace(destination=number(TARGETS[1]))
    assert Tale().talks(IN, IN_AS, 1).talks(IN, elsewhere, 2).broken == []


def test_an_answer_goes_to_who_asked():
    tale = Tale().talks(OUT, OUT_AS).passes(OUT_AS.reverse, ends(SERVER, 80, SECOND, 4000))
    assert tale.broken == [history.OthersAnswer]


def test_no_packet_leaves_in_another_vpc():
    tale = Tale().passes(OUT, OUT_AS._replace(vni=OTHER_VPC), SYN)
    assert tale.broken == [history.CrossedVpcs]


def test_the_same_addresses_in_two_vpcs_are_two_flows():
    assert Tale().talks(OUT, OUT_AS).talks(OUT._replace(vni=OTHER_VPC), OUT_AS._replace(vni=OTHER_VPC)).broken == []


def closed(tale: Tale, way: Ends = OUT_AS) -> Tale:
    return tale.passes(OUT, way, FIN | ACK).passes(way.reverse, OUT.reverse, FIN | ACK)


def reset(tale: Tale) -> Tale:
    return tale.passes(OUT_AS.reverse, OUT.reverse, RST)


@pytest.mark.parametrize(
    ("ends_by", "broken"),
    [
        (lambda tale: tale, [history.SharedTuple]),
        (lambda tale: tale.rest(349), [history.SharedTuple]),
        (lambda tale: tale.passes(OUT, OUT_AS, FIN | ACK).rest(119), [history.SharedTuple]),  # the other half is open
        (lambda tale: tale.passes(OUT, OUT_AS, FIN | ACK).rest(121), []),
        (lambda tale: tale.rest(351), []),
        (closed, []),
        (reset, []),
        (lambda tale: tale.told(OUT.reverse, RST), [history.ResetAlive]),
    ],
    ids=["lives", "idle", "half closed", "half closed for long", "expired", "closed", "reset", "reset by the cell"],
)
def test_two_flows_that_live_do_not_share_a_port_towards_one_destination(ends_by, broken):
    tale = ends_by(Tale().talks(OUT, OUT_AS))
    tale.passes(ends(SECOND, 4000, SERVER, 80), OUT_AS, SYN, 9)
    assert tale.broken == broken


def test_a_port_serves_many_destinations():
    other = "192.0.2.81"
    assert Tale().talks(OUT, OUT_AS).talks(ends(SECOND, 4000, other, 80), ends(NAT, 2000, other, 80)).broken == []


def test_the_port_of_a_syn_that_nobody_answers_is_soon_free():
    other = ends(SECOND, 4000, SERVER, 80)
    assert Tale().passes(OUT, OUT_AS, SYN).passes(other, OUT_AS, SYN, 9).broken == [history.SharedTuple]
    assert Tale().passes(OUT, OUT_AS, SYN).rest(31).passes(other, OUT_AS, SYN, 9).broken == []


def test_datagrams_are_flows_too():
    key, way = OUT._replace(protocol=UDP), OUT_AS._replace(protocol=UDP)
    tale = Tale().passes(key, way, 0).passes(way.reverse, key.reverse, 0).passes(key, way, 0)
    assert tale.broken == []
    tale.passes(ends(SECOND, 4000, SERVER, 80)._replace(protocol=UDP), way, 0)
    assert tale.broken == [history.SharedTuple]


def test_datagrams_that_are_led_elsewhere_begin_anew_only_where_all_that_keep_them_may_die():
    key, way = OUT._replace(protocol=UDP), OUT_AS._replace(protocol=UDP)
    elsewhere = way._replace(source_port=2001)
    assert Tale().passes(key, way, 0).passes(key, elsewhere, 0).broken == [history.TwoTargets]
    tale = Tale()
    tale.history.forgets = True
    assert tale.passes(key, way, 0).passes(key, elsewhere, 0).passes(elsewhere.reverse, key.reverse, 0).broken == []
    assert tale.talks(OUT, OUT_AS).passes(OUT, OUT_AS._replace(source_port=3001)).broken == [history.TwoTargets]


def used_again(tale: Tale) -> Tale:
    return closed(tale.talks(OUT, OUT_AS, 1)).talks(OUT, OUT_AS._replace(source_port=2001), 2)


def test_a_port_that_is_used_again_leads_to_where_it_led_before_only_where_all_that_keep_it_may_die():
    assert used_again(Tale()).passes(OUT, OUT_AS).broken == [history.TwoTargets]
    tale = used_again(Tale())
    tale.history.forgets = True
    assert tale.passes(OUT, OUT_AS).passes(OUT_AS.reverse, OUT.reverse, RST).broken == []
    assert tale.passes(OUT, OUT_AS._replace(source_port=2002)).broken == [history.TwoTargets]


def test_what_still_comes_for_a_connection_that_is_over_goes_to_who_asked():
    assert used_again(Tale()).passes(OUT_AS.reverse, OUT.reverse, RST).broken == []
    assert used_again(Tale()).passes(OUT_AS.reverse, ends(SERVER, 80, SECOND, 4000), RST).broken == [history.OthersAnswer]


def vanishing(tale: Tale, key: Ends, times: int = 6) -> Tale:
    for _ in range(times):
        tale.rest(1).passes(key, None)
    return tale


@pytest.mark.parametrize("key", [OUT, IN, IN_AS.reverse], ids=["NAT", "balancer", "its target"])
def test_a_connection_whose_packets_vanish_is_reset(key: Ends):
    tale = vanishing(Tale().talks(OUT, OUT_AS).talks(IN, IN_AS), key)
    assert tale.broken == [history.Silent]


def test_a_connection_that_was_reset_is_not_silent():
    tale = vanishing(Tale().talks(OUT, OUT_AS), OUT, 3).told(OUT.reverse, RST)
    assert vanishing(tale, OUT, 3).broken == [history.ResetAlive]
    assert tale.history.resets == 1


@pytest.mark.parametrize("ends_by", [closed, lambda tale: tale.rest(351)], ids=["closed", "idle"])
def test_the_cell_resets_what_is_over(ends_by: Callable[[Tale], Tale]):
    assert ends_by(Tale().talks(OUT, OUT_AS)).told(OUT.reverse, RST).broken == []


def test_the_cell_resets_what_lives_only_where_all_that_keep_it_may_die():
    tale = Tale().talks(OUT, OUT_AS)
    tale.history.forgets = True
    assert tale.told(OUT.reverse, RST).broken == []


def test_what_was_broken_is_told_with_the_packets_around_it():
    tale = Tale().talks(ends(SECOND, 4000, SERVER, 80), ends(NAT, 2001, SERVER, 80)).talks(OUT, OUT_AS)
    tale.passes(OUT, OUT_AS._replace(source_port=2002)).passes(OUT_AS.reverse, OUT.reverse)
    around = tale.history.broken[0].around
    assert len(around) == 10 + 2 + 2
    assert {seen.ends.source_port for seen in around if seen.ends.source == number(NAT)} == {2000, 2002}
    assert around == sorted(around, key=lambda seen: seen.time)


def test_a_while_without_a_node_is_no_silence():
    tale = vanishing(Tale().talks(OUT, OUT_AS), OUT, 4).passes(OUT, OUT_AS)
    assert vanishing(tale, OUT, 4).broken == []
    assert tale.rest(5).passes(OUT, None).history.lost == 8


def test_who_is_unknown_to_a_nat_outside_is_told_nothing():
    assert vanishing(Tale(), OUT_AS.reverse).broken == []


FAR = 1 << 30  # from the numbers of all other connections here
ELSEWHERE = OUT_AS._replace(source_port=2001)


def test_a_connection_that_nobody_saw_begin_accuses_nobody_and_is_counted():
    """Its client has used the port before, and by that connection's way it never went."""
    tale = Tale().talks(OUT, OUT_AS).goes_on(OUT, ELSEWHERE, FAR)
    assert tale.broken == []
    assert (tale.history.unseen, tale.history.begun) == (1, 2)
    assert tale.passes(OUT, OUT_AS, ACK, FAR).broken == [history.TwoTargets]


def test_an_answer_on_a_port_whose_new_client_nobody_saw_begin_accuses_nobody_and_is_counted():
    second = ends(SECOND, 4000, SERVER, 80)
    tale = Tale().talks(OUT, OUT_AS).passes(OUT_AS.reverse, second.reverse, SYN | ACK, FAR, FAR)
    assert (tale.broken, tale.history.unseen) == ([], 1)
    assert tale.goes_on(second, OUT_AS, FAR).broken == []
    assert tale.passes(OUT_AS.reverse, OUT.reverse, ACK, FAR, FAR).broken == [history.OthersAnswer]


def test_an_answer_to_a_handshake_is_of_who_began_it():
    tale = Tale().passes(OUT, OUT_AS, SYN, 5, 0)
    assert tale.passes(OUT_AS.reverse, ends(SERVER, 80, SECOND, 4000), SYN | ACK, FAR, 6).broken == [history.OthersAnswer]


def test_numbers_begin_anew_after_the_last():
    tale = Tale().talks(OUT, OUT_AS, (1 << 32) - 10)
    assert tale.passes(OUT, ELSEWHERE, ACK, 50, 50).broken == [history.TwoTargets]


def test_a_reset_whose_numbers_nobody_knows_begins_nothing():
    tale = Tale().talks(OUT, OUT_AS).passes(OUT_AS.reverse, OUT.reverse, RST, FAR, 0)
    assert (tale.broken, tale.history.unseen, tale.history.begun) == ([], 0, 1)
    assert tale.passes(OUT, ELSEWHERE).broken == [history.TwoTargets]


def test_nothing_is_judged_across_a_gap_and_all_of_it_after():
    tale = Tale().talks(OUT, OUT_AS).misses().passes(OUT, ELSEWHERE)
    assert (tale.broken, tale.history.unjudged) == ([], 1)
    assert tale.passes(OUT, OUT_AS).broken == [history.TwoTargets]


def test_what_agrees_with_what_was_before_a_gap_is_judged_by_it():
    assert Tale().talks(OUT, OUT_AS).misses().passes(OUT, OUT_AS).passes(OUT, ELSEWHERE).broken == [history.TwoTargets]


def test_a_connection_that_may_have_ended_in_a_gap_has_its_port_no_more():
    second = ends(SECOND, 4000, SERVER, 80)
    assert Tale().talks(OUT, OUT_AS).misses().passes(second, OUT_AS, SYN, 9).broken == []
    assert Tale().talks(OUT, OUT_AS).misses().passes(OUT, OUT_AS).passes(second, OUT_AS, SYN, 9).broken == [history.SharedTuple]


def test_a_connection_that_may_have_ended_in_a_gap_may_be_reset():
    assert Tale().talks(OUT, OUT_AS).misses().told(OUT.reverse, RST).broken == []


def test_a_gap_is_no_silence():
    tale = vanishing(Tale().talks(OUT, OUT_AS), OUT, 4).misses()
    assert vanishing(tale, OUT, 4).broken == []


def test_what_was_not_seen_is_a_share_of_all():
    tale = Tale().talks(OUT, OUT_AS)
    assert tale.history.observed() == 1
    assert tale.misses().history.observed() == 5 / (5 + 7)


class World:
    """Connections of a cell that does all right, by a client that has few ports, through a NAT that has few; somebody looks away at times."""

    def __init__(self, seed: int):
        self.chance, self.tale = random.Random(seed), Tale()
        self.looks = True
        self.open: dict[Ends, tuple[Ends, int]] = {}  # their ways and numbers
        self.rests: list[int] = []

    def passes(self, entered: Ends, left: Ends, *numbers: int) -> None:
        if self.looks:
            self.tale.passes(entered, left, *numbers)

    def step(self) -> None:
        free = [port for port in range(4000, 4008) if OUT._replace(source_port=port) not in self.open]
        if free and self.chance.random() < 0.3:
            self.begin(OUT._replace(source_port=self.chance.choice(free)))
        elif self.open:
            key = self.chance.choice(list(self.open))
            way, number_now = self.open[key]
            self.open[key] = way, (number_now + 88) % (1 << 32)
            self.tale.goes_on(key, way, number_now) if self.looks else None
            if self.chance.random() < 0.2:
                self.end(key)

    def begin(self, key: Ends) -> None:
        held = {way.source_port for way, _ in self.open.values()}
        way = OUT_AS._replace(source_port=self.chance.choice([port for port in range(2000, 2020) if port not in held]))
        first = self.chance.getrandbits(32)
        self.open[key] = way, first
        self.passes(key, way, SYN, first, 0)
        self.passes(way.reverse, key.reverse, SYN | ACK, first, first)

    def end(self, key: Ends) -> None:
        way, number_now = self.open.pop(key)
        self.passes(key, way, FIN | ACK, number_now, number_now)
        self.passes(way.reverse, key.reverse, FIN | ACK, number_now, number_now)

    def look_away(self, steps: int) -> None:
        self.looks = False
        self.tale.history.miss(self.tale.now + 1, steps)
        for _ in range(steps):
            self.step()
        self.tale.rest(1)
        self.looks = True


@pytest.mark.parametrize("seed", range(5))
def test_whenever_somebody_looks_away_a_cell_that_does_all_right_is_accused_of_nothing(seed: int):
    world = World(seed)
    for _ in range(100):
        for _ in range(20):
            world.step()
        world.look_away(world.chance.randrange(1, 30))
    assert world.tale.broken == []
    assert world.tale.history.unseen + world.tale.history.unjudged > 10
