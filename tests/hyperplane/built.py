"""The chain as it is built (bpf/stages/chain.h, top.h, trackers.h, resting.h), as a model: nodes, clocks, deaths and a bad network are protocol.py's.

    top --ask--> primary(K) --decide--> D --> secondary(K') --> secondary(K) --tell--> top
                     |  known: --> primary(K') --> secondary(K') --> secondary(K) --tell--> top
    top --beat--> trackers of K, then of K', one after the other; keeper --copy--> the other keeper, of what rests

Every node computes from its own view who is next. A top's lease counts from its own stamp and is renewed by asking alone; heartbeats are one-way, and may all
be lost. Of two who disagree the later decision counts, but for who writes K last. Rings do not change here: while one is young, 0021's model says
what holds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from rookery.hyperplane.ring import mix64, ranked
from tests.hyperplane import protocol
from tests.hyperplane.protocol import PORTS, SEEDS, Back, Decision, Flow, Key, Node, Violation

LEASE = 14  # much longer than it takes to come back
KEEP = 28  # twice a lease, as of a closed connection
DOUBT = 4  # longer than it takes to notice a death, shorter than a lease
LONG_AGO = -1000
ALL = 99  # trackers that were asked
REFUSALS = 3
FIRST, SECOND, OTHER, TOLD = range(4)  # whose turn a walk is: primary of K', its secondary, the other one of K, the top


@dataclass(frozen=True)
class Built:
    """All true: as it is built."""

    leases: bool = True  # else: a top believes a flow that is used for ever
    known_flows_walk: bool = True
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
    who_lost_a_port_is_forgotten: bool = True  # else: it goes on by what it was told


@dataclass
class Kept:
    until: int
    decision: Decision | None = None
    decider: int = -1
    tail: int = -1


@dataclass(frozen=True)
class Message:
    kind: str  # ask, decide, walk, tell, beat, copy
    to: int
    sent: int
    key: Key
    top: int = -1
    stamp: int = 0
    begins: bool = True
    asked: int = 0
    refused: int = 0
    taken: bool = False
    decider: int = -1
    tail: int = -1  # who writes K last, says who began the chain ...
    begun: int = -1  # ... that one
    decision: Decision | None = None
    turn: int = FIRST
    written: frozenset[int] = frozenset()
    new: bool = False
    left: int = 0


@dataclass
class Leased:
    decision: Decision
    until: int


class World(protocol.World):
    def __init__(self, built: Built | None = None, suspicions: int = 1):
        """`suspicions`: how many others a node may wrongly think dead at once."""
        self.built = built or Built()
        self.suspicions = suspicions
        self.clock = 0
        self.lost: set[Decision] = set()  # whose two keepers of one direction died at once, or one after the other before copies came
        self.forgotten: set[Decision] = set()  # of a cell of which nobody was left who remembered anything
        self.came: dict[tuple[int, int], int] = {}
        self.wrong: dict[int, dict[int, int]] = {}  # node -> whom it wrongly thinks dead, since when
        super().__init__()

    # What a node knows

    def ranks(self, node: Node, key: Key) -> list[int]:
        return ranked(key.hash, {place: SEEDS[place] for place in self.living(node)})

    def keeps_of_late(self, node: Node, key: Key, ticks: int) -> bool:
        late = {place: SEEDS[place] for place, when in node.seen.items() if self.now - when < ticks and place in node.ring}
        return node.place in ranked(key.hash, late | {node.place: SEEDS[node.place]})[:2]

    def _look(self, node: Node) -> None:
        before = set(self.living(node)) if node.seen else set()
        super()._look(node)
        node.suspects |= self.wrong.get(node.place, {}).keys() - {node.place}
        for place in set(self.living(node)) - before if before else ():
            self.came[node.place, place] = self.now

    def kill(self, place: int) -> None:
        before = {one for one in self.visible if self._is_kept(one)}
        super().kill(place)
        self.wrong.pop(place, None)
        self.lost |= {one for one in before if not self._is_kept(one)}
        for node in self.nodes:
            if len(self.living(node)) < 4:
                self.trust(node.place)
        if all(self.now - node.born < LEASE + protocol.LIFE for node in self.nodes if node.alive and node.place in node.ring):
            self.forgotten |= self.visible

    def restart(self, place: int) -> None:
        """Not before its death was noticed: its memory is made anew, and a node answers nobody until its agent has read its file."""
        if not self.nodes[place].alive and self.now - self.nodes[place].changed >= protocol.DETECT:
            super().restart(place)
            self.came = {pair: when for pair, when in self.came.items() if pair[0] != place}
            self.came[place, place] = self.now

    def _is_kept(self, decision: Decision) -> bool:
        """By a living node, in both directions. Who only knows whom to ask does not keep it."""
        records = [node.records for node in self.nodes if node.alive]
        both = [[row for held in records if (row := held.get(key)) and row.decision == decision and row.until > self.now] for key in (decision.flow, decision.back)]
        return all(both)

    def suspect(self, place: int, other: int) -> None:
        node = self.nodes[place]
        if node.alive and place != other and len(self.living(node)) > 2 and len(self.wrong.get(place, ())) < self.suspicions:
            self.wrong.setdefault(place, {})[other] = self.now
            self._look(node)

    def trust(self, place: int) -> None:
        for other in self.wrong.pop(place, {}):
            self.nodes[place].suspects.discard(other)

    def tick(self, ticks: int) -> None:
        """Whoever thinks more than one dead at once is soon told better: its probes are answered again."""
        for _ in range(ticks):
            for place, others in self.wrong.items():
                if len(others) > 1:
                    for other in [one for one, since in others.items() if self.now - since >= DOUBT - 2]:
                        del others[other]
                        self.nodes[place].suspects.discard(other)
            super().tick(1)

    def change_ring(self, place: int) -> None:
        """Not here."""

    # Tops

    def _ask(self, node: Node, key: Key, begins: bool) -> None:
        self._to(node, Message("ask", 0, self.now, key, top=node.place, stamp=self.now, begins=begins), self.ranks(node, key)[0])

    def _to(self, node: Node, message: Message, place: int) -> None:
        """What a node would send to itself it does at once."""
        sent = replace(message, to=place, sent=self.now)
        if place == node.place:
            getattr(self, f"_take_{message.kind}")(node, sent)
        else:
            self.net.append(sent)  # type: ignore[arg-type]

    def beat(self, top: int) -> None:
        node = self.nodes[top]
        for entry in list(node.cache.values()) if node.alive else ():
            if entry.until > self.now:
                self._beat_on(node, Message("beat", 0, self.now, entry.decision.flow, decision=entry.decision))

    def _beat_on(self, node: Node, message: Message) -> None:
        """To the trackers of K, and of K'."""
        assert message.decision is not None
        for turn in range(message.turn, 4):
            ranks = self.ranks(node, message.decision.flow if turn < 2 else message.decision.back)
            if turn % 2 < len(ranks):
                self._to(node, replace(message, turn=turn), ranks[turn % 2])
                return

    def copy(self, place: int) -> None:
        node = self.nodes[place]
        for key, row in list(node.records.items()) if node.alive else ():
            ranks = self.ranks(node, key)[:2]
            left = row.until - self.now - protocol.LIFE
            back = all(self.now - self.came.get((node.place, place), LONG_AGO) < LEASE for place in ranks)
            if row.decision and left > 0 and len(ranks) == 2 and (node.place in ranks or back):
                other = ranks[1 - ranks.index(node.place)] if node.place in ranks else ranks[0]
                self.net.append(Message("copy", other, self.now, key, decision=row.decision, left=left))  # type: ignore[arg-type]

    # Who is asked

    def _take_ask(self, node: Node, message: Message) -> None:
        row = self.record(node, message.key)
        if message.taken and row and row.decision == message.decision:
            del node.records[message.key]
            row = None
        if message.asked == ALL or row is None:
            self._not_known(node, message)
        elif row.decision:
            row.until = self.now + KEEP
            self._known(node, replace(message, decision=row.decision, taken=False, decider=-1))
        elif row.decider in self.living(node):
            row.until = self.now + KEEP
            row.tail = row.tail if row.tail in self.living(node) else self._other(node, message.key)
            self._to(node, replace(message, kind="decide", decider=row.decider, tail=row.tail, begun=node.place), row.decider)
        elif row.tail in self.living(node) or not self.built.the_tail_is_kept:
            self._not_known(node, message)

    def _known(self, node: Node, message: Message) -> None:
        known = replace(message, kind="walk", turn=FIRST, tail=self._other(node, message.key), written=frozenset(), new=False)
        self._walk_on(node, known if self.built.known_flows_walk else replace(known, turn=TOLD))

    def _other(self, node: Node, key: Key) -> int:
        """Who keeps it beside this one."""
        return next((place for place in self.ranks(node, key) if place != node.place), node.place)

    def _not_known(self, node: Node, message: Message) -> None:
        if message.begins and (message.asked == ALL or (not message.asked and not message.taken)):
            self._begin(node, message)
            return
        ranks = self.ranks(node, message.key)
        if not message.asked and len(ranks) > 1:
            self._to(node, replace(message, asked=1), ranks[1])
        elif message.begins and message.asked != ALL:
            self._to(node, replace(message, asked=ALL), ranks[0])

    def _begin(self, node: Node, message: Message) -> None:
        if self.built.doubt_is_left_to_keepers and not self.keeps_of_late(node, message.key, DOUBT):
            first = self.ranks(node, message.key)[0]
            if message.refused < REFUSALS and first != node.place:
                self._to(node, replace(message, asked=0, refused=message.refused + 1), first)
            return
        there = self.living(node)
        settled = [place for place in there if self.now - self.came.get((node.place, place), LONG_AGO) >= LEASE]
        among = settled if settled and self.built.newcomers_do_not_decide else there
        decider = ranked(mix64(message.key.hash + 1), {place: SEEDS[place] for place in among})[0]
        held = self.record(node, message.key)
        tail = held.tail if held and not held.decision and self.built.the_tail_is_kept else self._other(node, message.key)
        if decider != node.place:
            node.records[message.key] = Kept(self.now + KEEP, decider=decider, tail=tail)  # type: ignore[assignment]
        self._to(node, replace(message, kind="decide", decider=decider, tail=tail, begun=node.place, taken=False, decision=None), decider)

    # Who decides

    def _take_decide(self, node: Node, message: Message) -> None:
        if message.taken and message.decision:
            for key in (message.decision.flow, message.decision.back):
                row = self.record(node, key)
                if row and row.decision == message.decision:
                    del node.records[key]
        row = self.record(node, message.key)
        if row and row.decision:
            row.until = self.now + KEEP
            self._walk_on(node, replace(message, kind="walk", decision=row.decision, taken=False, turn=FIRST, written=frozenset(), new=False))
        elif row and row.decider != node.place and row.decider in self.living(node) and self.built.the_tail_asks_its_own_decider:
            self._ask_own_decider(node, message, row)
        elif message.begins and isinstance(message.key, Flow) and (decision := self._decide(node, message.key)):
            for key in (decision.flow, decision.back):
                node.records[key] = Kept(self.now + KEEP, decision)  # type: ignore[assignment]
            written = frozenset({node.place})
            self._walk_on(node, replace(message, kind="walk", decision=decision, taken=False, turn=SECOND, written=written, new=len(self.living(node)) > 1))

    def _decide(self, node: Node, flow: Flow) -> Decision | None:
        for number in range(PORTS):
            back = Back((number + node.born) % PORTS, flow.destination)
            owns = self.ranks(node, back)[0] == node.place
            waits = self.built.blocks_wait_for_leases and not self.keeps_of_late(node, back, LEASE + protocol.LIFE)
            if owns and not waits and self.record(node, back) is None:
                self.clock += 1
                return Decision(flow, back.port, 16 * self.clock + node.place)
        return None

    # Who writes it down

    def _walk_on(self, node: Node, message: Message) -> None:
        decision = message.decision
        assert decision is not None
        other = decision.back if isinstance(message.key, Flow) else decision.flow
        for turn in range(message.turn, TOLD):
            ranks = self.ranks(node, other)
            if turn == OTHER:
                ranks = [message.tail if self.built.who_begins_names_the_tail else self._other(node, message.key)]
            number = turn if turn != OTHER else 0
            if number < len(ranks):
                self._to(node, replace(message, turn=turn), ranks[number])
                return
        self._to(node, replace(message, kind="tell"), message.top)

    def _take_walk(self, node: Node, message: Message) -> None:
        decision = message.decision
        assert decision is not None
        key = message.key if message.turn == OTHER else decision.back if isinstance(message.key, Flow) else decision.flow
        held = self.record(node, key)
        if held and not held.decision and message.turn == OTHER and node.place != message.begun and self.built.the_tail_asks_its_own_decider:
            self._ask_own_decider(node, message, held)
            return
        if held and held.decision and held.decision != decision:
            if message.turn == OTHER and self.built.the_last_keeps_what_it_has:
                known = replace(message, decision=held.decision, decider=-1, turn=FIRST, written=frozenset({node.place}), new=False)
                self._walk_on(node, known if self.built.substitutes_walk else replace(known, turn=TOLD))
                return
            same = held.decision[:2] == decision[:2]
            later = message.decider < 0 and held.decision.decider < decision.decider
            if message.turn != OTHER and not same and not later and self.built.the_second_checks_ports:
                self._refuse(node, message)
                return
        node.records[key] = Kept(self.now + KEEP, decision)  # type: ignore[assignment]
        self._walk_on(node, replace(message, turn=message.turn + 1, written=message.written | {node.place}))

    def _ask_own_decider(self, node: Node, message: Message, held: Kept) -> None:
        """This node has begun such a chain itself: what it asked for may have been told."""
        if message.refused < REFUSALS and held.decider in self.living(node):
            mine = replace(message, kind="decide", refused=message.refused + 1, decider=held.decider, tail=held.tail, begun=node.place)
            self._to(node, mine, held.decider)

    def _refuse(self, node: Node, message: Message) -> None:
        if message.refused >= REFUSALS:
            return
        taken = replace(message, refused=message.refused + 1, taken=True, asked=0)
        if message.decider >= 0:
            self._to(node, replace(taken, kind="decide"), message.decider)
        elif self.built.who_lost_a_port_is_forgotten:
            self._to(node, replace(taken, kind="ask"), self.ranks(node, message.key)[0])
        else:
            self._walk_on(node, replace(message, turn=message.turn + 1))

    # Who is told

    def _take_tell(self, node: Node, message: Message) -> None:
        decision = message.decision
        assert decision is not None
        until = message.stamp + LEASE
        if message.new and len(message.written) < 2 and len(self.living(node)) > 1:
            raise Violation(f"{decision} is visible, and only {set(message.written)} wrote it")
        node.cache[decision.flow] = Leased(decision, until if self.built.leases else 10**9)  # type: ignore[assignment]
        self.visible.add(decision)
        (self.lost.discard if self._is_kept(decision) else self.lost.add)(decision)
        self._emit(node, decision)

    def _take_beat(self, node: Node, message: Message) -> None:
        decision = message.decision
        assert decision is not None
        key: Key = decision.flow if message.turn < 2 else decision.back
        held = self.record(node, key)
        if not (held and held.decision and held.decision.decider > decision.decider):
            node.records[key] = Kept(self.now + KEEP, decision)  # type: ignore[assignment]
        self._beat_on(node, replace(message, turn=message.turn + 1))

    def _take_copy(self, node: Node, message: Message) -> None:
        held = self.record(node, message.key)
        until = self.now + (message.left if self.built.copies_are_no_sign_of_life else KEEP)
        if held and held.decision == message.decision:
            held.until = max(held.until, until)
        elif held is None or not self.built.copies_take_nobodys_place:
            node.records[message.key] = Kept(until, message.decision)  # type: ignore[assignment]

    # What must never be

    def in_use(self) -> Iterable[tuple[Node, Leased]]:  # type: ignore[override]
        living = (node for node in self.nodes if node.alive)
        return ((node, entry) for node in living for entry in node.cache.values() if entry.until > self.now)  # type: ignore[misc]

    def _emit(self, node: Node, decision: Decision) -> None:
        self.emissions += 1
        self.visible.add(decision)
        for other, entry in self.in_use():
            said = f"at {self.now} node {node.place} sends by {decision}; node {other.place} still may by {entry.decision}"
            gone = {decision, entry.decision} & self.lost
            if entry.decision.flow == decision.flow and entry.decision.port != decision.port and not gone:
                raise Violation(f"two decisions of one flow: {said}")
            if entry.decision.back == decision.back and entry.decision.flow != decision.flow and entry.decision not in self.forgotten:
                raise Violation(f"two flows on one port towards one destination: {said}")
