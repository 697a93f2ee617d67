"""What one node of a cell does with a packet of a chain, as it is built (bpf/stages/chain.h, chained.h, decide.h, trackers.h, resting.h, rendezvous.h, top.h, held.h), step by step:

    top --ASK--> primary(K) --DECIDE--> D, primary(K') --> SECOND_ANSWERS --> LAST, the other keeper of K --TELL--> top
                     |  known: --> FIRST_ANSWERS --> SECOND_ANSWERS --> LAST --TELL--> top
    top --BEAT x 4--> keepers of K, then of K'        keeper --COPY--> the other keeper, of what rests

What a step is about travels with the packet. Nodes know their own clock, file and view of who lives. Times are ticks; their order is that of CELL_*_SECONDS."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import IntEnum
from functools import lru_cache
from typing import Any, NamedTuple

from rookery.hyperplane.ring import mix64, ranked
from tests.hyperplane.protocol import NODES, SEEDS, Back, Flow, Key

USED = 3  # CELL_LEASE_SECONDS
COPIED = 3
SETTLED = 4
DOUBTED = 6
PROVISIONAL = YOUNG = 14
ABSENCE = BELIEVED = 16
REST = 2 * BELIEVED
IDLE = 40
ASKED, ALL, REFUSALS = 4, 99, 3
NOBODY = -1
LONG_AGO = -1000
AT_ONCE = 16  # steps


class Step(IntEnum):
    ASK = 1
    DECIDE = 2
    FIRST_ANSWERS = 3
    SECOND_ANSWERS = 4
    LAST = 5
    TELL = 6
    BEAT = 7  # the first keeper of K, and so on
    BEAT_END = 11
    COPY = 12


@dataclass(frozen=True)
class Built:
    """As it is: as it is built."""

    leases: bool = True  # else: a top believes for ever what it uses
    unused_is_asked_again: bool = True  # a top believes its copy for a second after it used it
    known_flows_walk: bool = True  # all four that keep a flow say so again
    substitutes_walk: bool = True  # what the last one had first: all that keep its answers say so
    the_last_keeps_what_it_has: bool = True
    the_second_checks_ports: bool = True
    who_begins_names_the_tail: bool = True  # else: whoever sends the packet there thinks of one
    the_tail_asks_its_own_decider: bool = True  # a tail that has begun such a chain itself; else: it writes what comes
    the_tail_is_kept: bool = True  # when the decider has died: what it decided may be known to the tail alone
    blocks_wait_for_leases: bool = True  # else: whoever is next owns the ports of a block at once
    doubt_is_left_to_keepers: bool = True  # else: whoever is asked decides, whomever else it knows
    newcomers_do_not_decide: bool = True
    copies_are_no_sign_of_life: bool = True
    copies_take_nobodys_place: bool = True
    copies_answer_questions: bool = True  # take the place of what only says whom this node asked
    who_lost_a_port_is_forgotten: bool = True  # else: it goes on by what it was told
    a_decision_is_its_syns: bool = True  # by that one's number; else: what a handshake left is the next one's, too
    the_forgotten_give_way: bool = True  # ... to a later decision: who was told nothing for as long as a port rests
    previous_rings_count: bool = True  # while a ring is young: who hands out ports, and who is asked
    an_end_is_written_down: bool = True  # by whoever is asked about the packet that ends a connection
    an_end_stays: bool = True  # whatever the top of the other direction says
    who_asks_again_writes_it_down: bool = True  # where the decider is the other keeper: else it alone has it
    stand_ins_are_asked: bool = True  # after somebody came or left: others may have thought otherwise
    tops_hold: bool = True  # what nobody knows any more: a top that was told within its lease goes on
    answers_tell_an_end: bool = True  # ... that K's keepers, or who decided, missed: its client begins anew by what is over
    copies_tell_an_end: bool = True
    newcomers_ask_before_they_begin: bool = True  # and so does who saw one come: a SYN may come again
    the_latest_is_over: bool = True  # of what who asks says and what a keeper knows
    a_port_that_closed_rests: bool = True  # though its decider gives it up
    who_was_cut_off_knows_that_it_came: bool = True
    # Not built: a top that saw the end names it when its client begins anew (0042), and what would mend most of the histories that still break (0040).
    tops_name_what_is_over: bool = False
    own_decisions_are_checked_again: bool = False  # until a heartbeat says them; else: the later of two takes a port
    what_is_used_gives_no_way: bool = False  # answers' rows: to a later decision, while a top may believe them


class Decision(NamedTuple):
    flow: Flow
    port: int
    version: int
    syn: int = 0  # number of the SYN for which it was taken

    @property
    def back(self) -> Back:
        return Back(self.port, self.flow.destination)


@dataclass(frozen=True)
class Directive:
    """What a node knows of a decision: how far its connection is."""

    decision: Decision
    provisional: bool = False
    closing: bool = False

    @property
    def lifetime(self) -> int:
        return PROVISIONAL if self.provisional else REST if self.closing else IDLE

    def other(self, key: Key) -> Key:
        return self.decision.back if isinstance(key, Flow) else self.decision.flow


@dataclass
class Row:
    """A tracker. Without a directive it only says whom this node asked for one."""

    deadline: int
    directive: Directive | None = None
    decider: int = NOBODY
    tail: int = NOBODY
    over: int = 0  # version of what was before
    syn: int = 0  # of a question: number of the SYN
    provisional: bool = False
    mine: bool = False  # decided here, and nobody has said yet that it is written down elsewhere

    @property
    def lifetime(self) -> int:
        return self.directive.lifetime if self.directive else PROVISIONAL if self.provisional else IDLE

    @property
    def heard(self) -> int:
        return self.deadline - self.lifetime


@dataclass
class Cached:
    """A top's."""

    directive: Directive
    seen: int
    leased: int
    asked: int  # from then on its keepers are bound to keep it: of this only `leased` is known here
    told: int = LONG_AGO


@dataclass(frozen=True)
class Packet:
    """On its way between two nodes: what it is, and what the option in front of it says."""

    key: Key
    begins: bool = False  # may be a flow's first
    shakes: bool = False  # of a handshake
    closes: bool = False
    turn: int = 0  # which of the connections that its client had on this port: nobody in the cell knows
    step: int = Step.ASK
    to: int = NOBODY
    sent: int = 0
    top: int = NOBODY
    stamp: int = 0
    asked: int = 0
    refused: int = 0
    taken: bool = False
    kept: bool = False
    unknown: bool = False
    held: bool = False  # its top has a copy
    decider: int = NOBODY
    tail: int = NOBODY
    over: int = 0  # version
    ended: bool = False  # ... as its top saw
    directive: Directive | None = None
    quiet: int = 0  # of a copy
    written: frozenset[int] = frozenset()  # by whom; nobody in the cell knows that either
    new: bool = False

    @property
    def connection(self) -> bool:
        return is_connection(self.key)

    @property
    def said(self) -> int:
        """The version in the option: of what was decided, or of what is over."""
        return self.directive.decision.version if self.directive else self.over

    @property
    def decided(self) -> Directive:
        assert self.directive is not None
        return self.directive


def is_connection(key: Key) -> bool:
    """The others are datagrams: each may begin a flow, and nothing ends one."""
    return not isinstance(key, Flow) or key.source == 1


@dataclass
class Node:
    place: int
    alive: bool = True
    changed: int = LONG_AGO  # when it last died or came back
    remembers: bool = False  # it is only cut off, and sees that of all the others nobody answers: so all of them live, it thinks
    epoch: int = 0  # of its file
    ring: frozenset[int] = frozenset()
    previous: frozenset[int] = frozenset()
    decides: frozenset[int] = frozenset()
    ring_since: int = LONG_AGO
    living: frozenset[int] = frozenset(range(NODES))
    wrong: dict[int, int] = field(default_factory=dict)  # whom it wrongly thinks dead, since when
    came: dict[int, int] = field(default_factory=dict)
    left: dict[int, int] = field(default_factory=dict)
    passes: int = 0  # copies of all that rests are to be sent ...
    next_pass: int = 0  # ... then
    trackers: dict[Key, Row] = field(default_factory=dict)
    directives: dict[Key, Cached] = field(default_factory=dict)


@lru_cache(maxsize=1 << 16)
def order(number: int, places: frozenset[int]) -> tuple[int, ...]:
    return tuple(ranked(number, {place: SEEDS[place] for place in places}))


def first_two(number: int, places: frozenset[int]) -> tuple[int, int]:
    return (*order(number, places), NOBODY, NOBODY)[:2]


class Chain:
    """Of all nodes: each method acts for one, by what that one knows."""

    built: Built
    ports: int
    now: int
    versions: int
    net: list[Packet]

    # Who keeps what (rendezvous.h)

    def young(self, node: Node, ticks: int = YOUNG) -> bool:
        return self.now < node.ring_since + ticks

    def lately(self, when: dict[int, int], ticks: int) -> frozenset[int]:
        return frozenset(place for place, since in when.items() if self.now < since + ticks)

    def keepers(self, node: Node, key: Key) -> tuple[int, int]:
        return first_two(key.hash, node.ring & node.living)

    def keepers_before(self, node: Node, key: Key) -> tuple[int, int]:
        return first_two(key.hash, node.previous & node.living)

    def other_keeper(self, node: Node, key: Key) -> int:
        first, second = self.keepers(node, key)
        return second if first == node.place else first

    def keeps_of_late(self, node: Node, key: Key, ticks: int) -> bool:
        absent = self.lately(node.left, ticks) - node.living
        return not absent or node.place in first_two(key.hash, node.ring & (node.living | absent))

    def choose_decider(self, node: Node, key: Key) -> int:
        settled = node.ring & node.decides & node.living
        both = settled & node.previous if self.young(node) and self.built.previous_rings_count else settled
        came = self.lately(node.came, ABSENCE) if self.built.newcomers_do_not_decide else frozenset()
        found = first_two(mix64(key.hash), both - came)[0]
        return found if found != NOBODY else self.longest_there(node, both or settled)

    def longest_there(self, node: Node, places: frozenset[int]) -> int:
        return min(places, key=lambda place: (node.came.get(place, LONG_AGO), place), default=NOBODY)

    # What a node remembers (trackers.h)

    def row(self, node: Node, key: Key) -> Row | None:
        found = node.trackers.get(key)
        if found and found.deadline <= self.now:
            del node.trackers[key]
            return None
        return found

    def tracker(self, node: Node, packet: Packet) -> Row | None:
        found = self.row(node, packet.key)
        return None if found and self.is_over(found, packet) else found

    def is_over(self, row: Row, packet: Packet) -> bool:
        syn = row.directive.decision.syn if row.directive else row.syn
        if self.is_of_earlier_syn(packet, row.directive.provisional if row.directive else row.provisional, syn):
            return True
        return bool(row.directive and row.directive.closing and (packet.begins or packet.shakes))

    def is_followed(self, row: Row, decision: Decision) -> bool:
        assert row.directive is not None
        another = row.directive.decision.syn != decision.syn and self.built.a_decision_is_its_syns
        forgotten = row.heard + REST <= self.now and self.built.the_forgotten_give_way
        return row.directive.decision.version < decision.version and (another or forgotten)

    def is_of_earlier_syn(self, packet: Packet, provisional: bool, syn: int) -> bool:
        """What it began has come to nothing, or this node has not heard of its end. A SYN that comes again has its number."""
        return self.built.a_decision_is_its_syns and packet.begins and provisional and syn != packet.turn

    def have_answers_ended(self, packet: Packet, row: Row) -> bool:
        """Of what its client begins anew by."""
        same = row.directive and row.directive.closing and row.directive.decision.version == packet.decided.decision.version
        return bool(same and packet.begins and self.built.answers_tell_an_end)

    def store(self, node: Node, packet: Packet, key: Key, answers: bool) -> bool:
        """False: another decision is there."""
        row, directive = self.row(node, key), packet.decided
        if answers and row and self.have_answers_ended(packet, row):
            return False
        if row and row.directive and row.directive.decision.version != directive.decision.version:
            there, other = row.directive.decision, row.directive.decision.flow != directive.decision.flow
            over = (not other and self.is_over(row, packet)) if answers else self.is_over(row, packet) or self.is_followed(row, directive.decision)
            silent = not other or row.heard + ABSENCE <= self.now or not self.built.what_is_used_gives_no_way
            later = packet.decider == NOBODY and there.version < directive.decision.version and silent
            way = there[:2] == directive.decision[:2] or later or not self.built.the_second_checks_ports
            if not over and not (answers and way):
                return False
        self.renew(node, key, directive)
        return True

    def renew(self, node: Node, key: Key, directive: Directive) -> None:
        """That a connection ends is never taken back."""
        row = self.row(node, key)
        same = row and row.directive and row.directive.decision.version == directive.decision.version
        if row and row.directive and same and row.directive.closing and self.built.an_end_stays:
            directive = replace(directive, closing=True)
        node.trackers[key] = Row(self.now + directive.lifetime, directive, mine=bool(row and same and row.mine))

    def merge(self, node: Node, key: Key, directive: Directive) -> None:
        row = self.row(node, key)
        if not (row and row.directive and row.directive.decision.version > directive.decision.version):
            self.renew(node, key, directive)
            node.trackers[key].mine = False

    def give_up(self, node: Node, key: Key, packet: Packet) -> None:
        """It turned out to be over, as it was decided then."""
        row = self.row(node, key)
        if row and row.directive and row.directive.decision.version == packet.said and not self.rests(key, row.directive):
            del node.trackers[key]

    def rests(self, key: Key, directive: Directive) -> bool:
        return self.built.a_port_that_closed_rests and isinstance(key, Back) and directive.closing

    def refresh(self, packet: Packet, row: Row) -> Directive:
        assert row.directive is not None
        ends = packet.closes and not row.directive.closing and self.built.an_end_is_written_down
        row.directive = replace(row.directive, provisional=row.directive.provisional and packet.begins, closing=row.directive.closing or ends)
        deadline = self.now + row.directive.lifetime
        row.deadline = deadline if ends else max(row.deadline, deadline)
        return row.directive

    def came_to_nothing(self, node: Node, row: Row) -> bool:
        return row.decider not in node.living and row.heard + USED <= self.now

    # From step to step (chain.h)

    def walk(self, node: Node, packet: Packet, mine: bool) -> None:
        going: Packet | None = packet
        for number in range(AT_ONCE):
            if going is None:
                return
            place = node.place if mine and not number else self.place_of(node, going)
            if place == node.place:
                going = self.take(node, going)
            elif place == NOBODY:
                going = self.skip(node, going)
            else:
                self.net.append(replace(going, to=place, sent=self.now))
                return

    def place_of(self, node: Node, packet: Packet) -> int:
        step = packet.step
        if step == Step.ASK:
            return self.place_asked(node, packet)
        if step == Step.DECIDE:
            return packet.decider
        if step in (Step.FIRST_ANSWERS, Step.SECOND_ANSWERS):
            return self.keepers(node, packet.decided.other(packet.key))[step - Step.FIRST_ANSWERS]
        if step == Step.LAST:
            return packet.tail if self.built.who_begins_names_the_tail else self.other_keeper(node, packet.key)
        if step == Step.TELL:
            return packet.top
        turn = step - Step.BEAT
        return self.keepers(node, packet.key if turn < 2 else packet.decided.other(packet.key))[turn % 2]

    def place_asked(self, node: Node, packet: Packet) -> int:
        if packet.asked == ALL:
            return self.keepers(node, packet.key)[0]
        if packet.asked < 2:
            return self.keepers(node, packet.key)[packet.asked]
        return self.asked_beside(node, packet.key)[packet.asked & 1]

    def asked_beside(self, node: Node, key: Key) -> tuple[int, int]:
        before = self.keepers_before(node, key)
        if self.young(node) and self.built.previous_rings_count:
            return before
        if not self.built.stand_ins_are_asked or not self.lately(node.came, ABSENCE) | self.lately(node.left, ABSENCE):
            return NOBODY, NOBODY
        return first_two(key.hash, (node.ring & node.living) - {*self.keepers(node, key)})

    def skip(self, node: Node, packet: Packet) -> Packet | None:
        if packet.step == Step.ASK:
            return self.not_known(node, packet)
        if packet.step in (Step.SECOND_ANSWERS, Step.LAST) or Step.BEAT <= packet.step < Step.BEAT_END - 1:
            return replace(packet, step=packet.step + 1)
        return None

    def take(self, node: Node, packet: Packet) -> Packet | None:
        if packet.step == Step.ASK:
            return self.take_ask(node, packet)
        if packet.step == Step.DECIDE:
            return self.take_decide(node, packet)
        if packet.step in (Step.FIRST_ANSWERS, Step.SECOND_ANSWERS):
            return self.take_answers(node, packet)
        if packet.step == Step.LAST:
            return self.take_last(node, packet)
        if packet.step == Step.TELL:
            self.take_tell(node, packet)
        elif packet.step == Step.COPY:
            self.take_copy(node, packet)
        else:
            return self.take_beat(node, packet)
        return None

    # Who is asked

    def take_ask(self, node: Node, packet: Packet) -> Packet | None:
        if packet.taken or packet.ended:
            self.give_up(node, packet.key, packet)
        row = None if packet.asked == ALL else self.tracker(node, packet)
        if row is None:
            return self.not_known(node, packet)
        return self.take_known(node, packet, row) if row.directive else self.ask_decider(node, packet, row)

    def take_known(self, node: Node, packet: Packet, row: Row) -> Packet:
        mine = row.mine and self.built.own_decisions_are_checked_again
        known = replace(packet, directive=self.refresh(packet, row), decider=node.place if mine else NOBODY, taken=False, kept=False, tail=self.other_keeper(node, packet.key), **self.known_here(node))
        return replace(known, step=Step.FIRST_ANSWERS if self.built.known_flows_walk else Step.TELL)

    def known_here(self, node: Node) -> dict[str, Any]:
        return {"written": frozenset({node.place}), "new": len(node.ring & node.living) > 1}

    def ask_decider(self, node: Node, packet: Packet, row: Row) -> Packet | None:
        asked = replace(packet, over=max(row.over, packet.said))
        if row.decider not in node.living:
            others = node.living - {node.place}
            waits = self.built.the_tail_is_kept and row.tail != NOBODY and row.tail not in others and not self.came_to_nothing(node, row)
            return None if waits else self.not_known(node, asked)
        if self.built.who_asks_again_writes_it_down and row.tail == row.decider:
            row.tail = node.place
        row.tail = row.tail if row.tail in node.living else self.other_keeper(node, packet.key)
        row.deadline = self.now + row.lifetime
        return replace(asked, decider=row.decider, tail=row.tail, step=Step.DECIDE)

    def not_known(self, node: Node, packet: Packet) -> Packet | None:
        came = self.built.newcomers_ask_before_they_begin and bool(self.lately(node.came, DOUBTED))
        asks_others = packet.taken or (not packet.connection and self.young(node)) or came
        if packet.begins and (packet.asked == ALL or (not packet.asked and not asks_others)):
            return self.begin_flow(node, packet)
        if packet.asked + 1 < ASKED:
            return replace(packet, asked=packet.asked + 1)
        return replace(packet, asked=ALL) if packet.begins else self.refuse_unknown(node, packet)

    def refuse_unknown(self, node: Node, packet: Packet) -> Packet | None:
        return replace(packet, unknown=True, step=Step.TELL) if packet.held or self.is_to_be_reset(node, packet) else None

    def is_to_be_reset(self, node: Node, packet: Packet) -> bool:
        """A NAT's outside is told nothing."""
        return packet.connection and isinstance(packet.key, Flow) and not self.young(node, SETTLED)

    def begin_flow(self, node: Node, packet: Packet) -> Packet | None:
        if not isinstance(packet.key, Flow):
            return None
        doubt = self.built.doubt_is_left_to_keepers and not self.keeps_of_late(node, packet.key, DOUBTED)
        if node.place not in self.keepers(node, packet.key) or doubt:
            return self.leave_to_keepers(node, packet)
        decider = self.choose_decider(node, packet.key)
        if decider == NOBODY:
            return None
        begun = replace(packet, taken=False, ended=False, directive=None, over=self.version_that_is_over(node, packet))
        begun = replace(begun, decider=decider, tail=self.tail_of(node, packet), step=Step.DECIDE)
        if decider != node.place:
            row = Row(0, decider=decider, tail=begun.tail, over=begun.over, syn=packet.turn, provisional=packet.connection)
            row.deadline = self.now + row.lifetime
            node.trackers[packet.key] = row
        return begun

    def leave_to_keepers(self, node: Node, packet: Packet) -> Packet | None:
        left = replace(packet, refused=packet.refused + 1, asked=0)
        return None if packet.refused >= REFUSALS or self.place_asked(node, left) == node.place else left

    def version_that_is_over(self, node: Node, packet: Packet) -> int:
        row = self.row(node, packet.key)
        closed = row.directive.decision.version if row and row.directive and row.directive.closing else 0
        return max(closed, packet.said) if self.built.the_latest_is_over or not packet.said else packet.said

    def tail_of(self, node: Node, packet: Packet) -> int:
        row = self.tracker(node, packet)
        kept = row and not row.directive and row.tail in node.living and self.built.the_tail_is_kept
        return row.tail if row and kept else self.other_keeper(node, packet.key)

    # Who decides (decide.h)

    def take_decide(self, node: Node, packet: Packet) -> Packet | None:
        if packet.taken:
            for key in (packet.key, packet.decided.other(packet.key)):
                self.give_up(node, key, packet)
        over = packet.decided.decision.version if packet.taken else packet.over
        going = replace(packet, taken=False, kept=False) if packet.taken else packet
        row = self.tracker(node, packet)
        if row and row.directive and row.directive.decision.version > over:
            return replace(going, directive=self.refresh(packet, row), step=Step.FIRST_ANSWERS, **self.known_here(node))
        if row and not row.directive and row.decider != node.place and row.decider in node.living:
            return self.ask_own_decider(node, going, row)
        if not packet.begins:
            return self.refuse_unknown(node, packet)
        decision = self.decide(node, going)
        if decision is None:
            return None
        directive = Directive(decision, provisional=packet.connection)
        node.trackers[decision.back] = Row(self.now + directive.lifetime, directive)
        node.trackers[decision.flow] = Row(self.now + directive.lifetime, directive, mine=True)
        kept = going.kept or going.tail == node.place
        return replace(going, directive=directive, kept=kept, step=Step.SECOND_ANSWERS, **self.known_here(node))

    def decide(self, node: Node, packet: Packet) -> Decision | None:
        assert isinstance(packet.key, Flow)
        wanted = packet.top if packet.tail == node.place else packet.tail
        for back in sorted(self.own_blocks(node, packet.key), key=lambda back: self.keepers(node, back)[1] != wanted):
            if self.row(node, back) is None:
                self.versions += 1
                return Decision(packet.key, back.port, NODES * self.versions + node.place, packet.turn)
        return None

    def own_blocks(self, node: Node, flow: Flow) -> list[Back]:
        """A port is a block. They come in another order after a node came back."""
        backs = [Back((number + node.changed) % self.ports, flow.destination) for number in range(self.ports)]
        return [back for back in backs if self.owns_block(node, back)]

    def owns_block(self, node: Node, back: Back) -> bool:
        if self.keepers(node, back)[0] != node.place:
            return False
        if self.built.previous_rings_count and self.young(node) and self.keepers_before(node, back)[0] != node.place:
            return False
        return not self.built.blocks_wait_for_leases or self.keeps_of_late(node, back, ABSENCE)

    def ask_own_decider(self, node: Node, packet: Packet, row: Row) -> Packet | None:
        if packet.refused >= REFUSALS or row.decider not in node.living:
            return None
        return replace(packet, refused=packet.refused + 1, decider=row.decider, tail=row.tail, kept=False, step=Step.DECIDE)

    # Who writes it down

    def take_answers(self, node: Node, packet: Packet) -> Packet | None:
        if not self.store(node, packet, packet.decided.other(packet.key), answers=True):
            return self.refuse_answers(packet)
        done = replace(packet, written=packet.written | {node.place})
        if packet.step == Step.FIRST_ANSWERS:
            return replace(done, step=Step.SECOND_ANSWERS)
        return replace(done, step=Step.TELL if packet.kept and packet.tail == packet.decider else Step.LAST)

    def refuse_answers(self, packet: Packet) -> Packet | None:
        known = packet.decider == NOBODY
        if packet.refused >= REFUSALS:
            return None
        if known and not self.built.who_lost_a_port_is_forgotten:
            return replace(packet, step=packet.step + 1)
        return replace(packet, refused=packet.refused + 1, taken=True, asked=0, step=Step.ASK if known else Step.DECIDE)

    def take_last(self, node: Node, packet: Packet) -> Packet | None:
        row = self.tracker(node, packet)
        asked = row and not row.directive and packet.decider != NOBODY and self.built.the_tail_asks_its_own_decider
        answered = row and row.decider == packet.decider and self.built.who_asks_again_writes_it_down
        if row and asked and not answered and not self.came_to_nothing(node, row):
            return self.ask_own_decider(node, packet, row)
        if self.store(node, packet, packet.key, answers=False) or not self.built.the_last_keeps_what_it_has:
            node.trackers[packet.key] = Row(self.now + packet.decided.lifetime, packet.decided)
            return replace(packet, step=Step.TELL, written=packet.written | {node.place})
        row = self.tracker(node, packet)
        if row is None or row.directive is None:
            return None
        known = replace(packet, directive=row.directive, decider=NOBODY, kept=False, tail=node.place, **self.known_here(node))
        return replace(known, step=Step.FIRST_ANSWERS if self.built.substitutes_walk else Step.TELL)

    def take_beat(self, node: Node, packet: Packet) -> Packet | None:
        turn = packet.step - Step.BEAT
        self.merge(node, packet.key if turn < 2 else packet.decided.other(packet.key), packet.decided)
        return replace(packet, step=packet.step + 1) if packet.step + 1 < Step.BEAT_END else None

    # What rests (resting.h)

    def copy(self, node: Node) -> None:
        for key, row in list(node.trackers.items()):
            place = self.place_of_copy(node, key)
            if row.directive and row.deadline > self.now and row.heard + COPIED <= self.now and place != NOBODY:
                quiet = self.now - row.heard + 1
                self.net.append(Packet(key, step=Step.COPY, to=place, sent=self.now, directive=row.directive, quiet=quiet))

    def place_of_copy(self, node: Node, key: Key) -> int:
        first, second = self.keepers(node, key)
        if node.place in (first, second):
            return second if node.place == first else first
        came, before = self.lately(node.came, ABSENCE), self.young(node) and node.place in self.keepers_before(node, key)
        return first if {first, second} <= came or before else NOBODY

    def take_copy(self, node: Node, packet: Packet) -> None:
        row, directive = self.row(node, packet.key), packet.decided
        deadline = self.now + directive.lifetime - (packet.quiet if self.built.copies_are_no_sign_of_life else 0)
        if deadline <= self.now:
            return
        if row is None or not self.built.copies_take_nobodys_place or row.directive is None and directive.decision.version > row.over and self.built.copies_answer_questions:
            node.trackers[packet.key] = Row(deadline, directive)
            return
        if row.directive and row.directive.decision == directive.decision and directive.closing and not row.directive.closing and self.built.copies_tell_an_end:
            row.directive, row.deadline = replace(row.directive, closing=True), deadline
        if row.directive == directive:
            row.deadline = max(row.deadline, deadline)

    # Tops (top.h)

    def is_fresh(self, packet: Packet, row: Cached) -> bool:
        if self.built.unused_is_asked_again and self.now - row.seen >= USED:
            return False
        if row.directive.provisional:
            return not self.is_of_earlier_syn(packet, True, row.directive.decision.syn)
        return not (packet.connection and packet.shakes) and (self.now - row.leased < BELIEVED or not self.built.leases)

    def is_held(self, packet: Packet, row: Cached) -> bool:
        """Of a handshake or an end a top may have seen less than others."""
        if packet.begins or packet.shakes or row.directive.provisional or row.directive.closing or not self.built.tops_hold:
            return False
        return self.now - row.leased < BELIEVED

    def enter(self, node: Node, packet: Packet) -> None:
        """From a client, or from outside."""
        cached = node.directives.get(packet.key)
        if cached and self.is_fresh(packet, cached):
            self.follow(node, packet, cached)
        else:
            self.walk(node, self.asked_about(node, packet, cached), mine=False)

    def asked_about(self, node: Node, packet: Packet, cached: Cached | None) -> Packet:
        """It says what this top had of the flow, and does not use."""
        asks = replace(packet, top=node.place, stamp=self.now, held=cached is not None and self.is_held(packet, cached))
        if not cached or not packet.begins or not cached.directive.closing or not self.built.tops_name_what_is_over:
            return asks
        return replace(asks, over=cached.directive.decision.version, ended=True)

    def follow(self, node: Node, packet: Packet, cached: Cached) -> None:
        ends = packet.closes and not cached.directive.closing
        begins_again = packet.connection and packet.begins
        due = not begins_again and (ends or self.now - cached.told >= USED)
        if not begins_again:
            cached.seen = self.now
            cached.directive = replace(cached.directive, provisional=False, closing=cached.directive.closing or packet.closes)
        if due:
            cached.told = self.now
            self.beat(node, packet, cached.directive)
        self.emit(node, packet, cached.directive.decision)

    def beat(self, node: Node, packet: Packet, directive: Directive) -> None:
        self.walk(node, Packet(packet.key, step=Step.BEAT, directive=directive, top=node.place), mine=False)

    def take_tell(self, node: Node, packet: Packet) -> None:
        if packet.unknown:
            self.take_unknown(node, packet)
            return
        directive = packet.decided
        cut = BELIEVED - PROVISIONAL // 2 if directive.provisional else 0
        node.directives[packet.key] = Cached(directive, self.now, packet.stamp - cut, packet.stamp)
        self.told(node, packet)
        self.emit(node, packet, directive.decision)

    def take_unknown(self, node: Node, packet: Packet) -> None:
        cached = node.directives.get(packet.key)
        if packet.held and not packet.taken and cached and self.is_held(packet, cached):
            cached.seen, cached.told = self.now, LONG_AGO
            cached.directive = replace(cached.directive, closing=packet.closes)
            self.beat(node, packet, cached.directive)
            self.emit(node, packet, cached.directive.decision)
        elif self.is_to_be_reset(node, packet):
            self.reset(node, packet)

    # What the world sees

    def told(self, node: Node, packet: Packet) -> None:
        raise NotImplementedError

    def emit(self, node: Node, packet: Packet, decision: Decision) -> None:
        raise NotImplementedError

    def reset(self, node: Node, packet: Packet) -> None:
        raise NotImplementedError
