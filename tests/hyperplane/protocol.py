"""The chain of a cell of Hyperplane as a model: nodes with nothing but what a node knows, and a network that loses, repeats, reorders.

One address, translated for a few inside flows towards a few destinations by handing out ports; every port is a block. It is the hard
case: a balancer's choice of a target is the same chain without a tuple that must be nobody else's.

    top --ask--> primary(K) --decide--> D = primary(K') --walk--> secondary(K') --walk--> secondary(K) --answer--> top
                     |  known: --walk--> secondary(K) --> primary(K') --> secondary(K') --answer--> top
    top --beat--> both trackers of K, and of K' --ack--> top

The rules are docs/decisions/0021's. Each can be broken (`Rules`): the tests show that without it the model fails.
Time is in ticks; every node has a clock of its own that runs as fast as others': no message says what time it is elsewhere, a top's own
stamp comes back to it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from rookery.hyperplane.ring import mix64, ranked, seed

NODES = 5  # at first four of them are in the ring
PORTS = 6
LIFE = 2  # ticks: a packet does not live longer between two nodes
DETECT = 3  # a node's death or return is known to all after so long
LEASE = 6  # a top may use what it was told: counted from its own stamp
PROVISIONAL = 9  # "who decides" at a primary: longer than a lease
KEEP = 9  # a tracker's record after the last word of it: a lease, and what messages take
WAIT = 15  # until what is new to a key leads it: longer than leases it cannot know of

SEEDS = {place: seed(f"node-{place + 1}") for place in range(NODES)}


class Flow(NamedTuple):
    """As it arrives from inside: K."""

    tenant: int
    source: int
    destination: int

    @property
    def hash(self) -> int:
        return mix64(1 + self.tenant + 16 * self.source + 256 * self.destination)


class Back(NamedTuple):
    """As its answers arrive: K'. Where it lives depends on the port alone."""

    port: int
    destination: int

    @property
    def hash(self) -> int:
        return mix64(7_000_000 + self.port)


Key = Flow | Back


class Decision(NamedTuple):
    flow: Flow
    port: int
    decider: int

    @property
    def back(self) -> Back:
        return Back(self.port, self.flow.destination)


@dataclass(frozen=True)
class Rules:
    """All true: the protocol."""

    tail_keeps_what_it_has: bool = True  # and substitutes it
    conflict_is_told: bool = True  # else: the tail only drops, as designed first
    port_is_checked_at_the_second: bool = True
    young_do_not_lead: bool = True
    top_two_of_late: bool = True
    leases: bool = True
    stamps_are_the_tops: bool = True  # else: a lease counts from arrival
    beats_never_overwrite: bool = True
    decider_remembers_flows: bool = True
    known_flows_walk: bool = True
    tail_is_kept: bool = True  # a primary whose decider died changes the decider, never the tail
    confirmations_name_the_question: bool = True  # else: a heartbeat confirms what the same decider decided, be it long ago
    previous_rings_count: bool = True  # among all that were living of late, until every node has the new ring
    rings_change_one_by_one: bool = True


@dataclass
class Record:
    until: int
    decision: Decision | None = None
    decider: int = -1  # provisional: who decides ...
    tail: int | None = None  # ... who is to write it last ...
    asked: tuple[int, int] = (-1, -1)  # ... and the last who asked: top, its stamp


@dataclass
class Entry:
    """A top's."""

    decision: Decision
    until: int
    asked: tuple[int, int]  # top, and its stamp: of the question that this answers
    acknowledged: dict[tuple[int, Key], int] = field(default_factory=dict)  # (tracker, key) -> newest stamp


@dataclass(frozen=True)
class Message:
    kind: str  # ask, decide, walk, refused, answer, beat, ack, no
    to: int
    sent: int
    top: int
    stamp: int
    key: Key
    begins: bool = True
    second: bool = False
    decision: Decision | None = None
    other: Decision | None = None  # the one that was there first
    walk: tuple[tuple[int, Key], ...] = ()
    primary: int = -1
    tail: int | None = None
    decider: int = -1  # who is to be told of a conflict
    corrects: bool = False
    written: frozenset[int] = frozenset()
    alone: bool = False
    asked: tuple[int, int] = (-1, -1)


class Violation(AssertionError):
    """What must never be."""


@dataclass
class Node:
    place: int
    alive: bool = True
    born: int = -10 * WAIT  # its memory
    changed: int = -10 * WAIT  # when it last died or came back
    records: dict[Key, Record] = field(default_factory=dict)
    by_flow: dict[Flow, Decision] = field(default_factory=dict)
    cache: dict[Flow, Entry] = field(default_factory=dict)
    suspects: set[int] = field(default_factory=set)
    wrongly: int = -1  # whom it suspects though it lives
    ring: frozenset[int] = frozenset()
    previous: frozenset[int] = frozenset()  # the file names it until all living nodes use the current one
    step: int = 0  # of the ring that it uses
    seen: dict[int, int] = field(default_factory=dict)  # place -> when it last was among the living, here


class World:
    def __init__(self, rules: Rules | None = None):
        self.rules = rules or Rules()
        self.now = 0
        self.ring = self.before = frozenset(range(NODES - 1))
        self.step = 0
        self.step_since = -10 * WAIT
        self.nodes = [Node(place, ring=self.ring) for place in range(NODES)]
        self.net: list[Message] = []
        self.visible: set[Decision] = set()  # ever
        self.emissions = 0
        for node in self.nodes:
            self._look(node)

    # What a node knows

    def living(self, node: Node) -> list[int]:
        return [place for place in node.ring if place == node.place or place not in node.suspects] or list(node.ring)

    def ranks(self, node: Node, key: Key) -> list[int]:
        return ranked(key.hash, {place: SEEDS[place] for place in self.living(node)})

    def next_to(self, node: Node, key: Key, *but: int) -> int | None:
        return next((place for place in self.ranks(node, key) if place not in (node.place, *but)), None)

    def may_lead(self, node: Node, key: Key) -> bool:
        if self.rules.young_do_not_lead and self.now - node.born < WAIT:
            return False
        if not self.rules.top_two_of_late:
            return True
        late = {place: SEEDS[place] for place, when in node.seen.items() if self.now - when < WAIT}
        return node.place in ranked(key.hash, late)[:2]

    def record(self, node: Node, key: Key) -> Record | None:
        found = node.records.get(key)
        if found and found.until <= self.now:
            del node.records[key]
            return None
        return found

    def _look(self, node: Node) -> None:
        """What its probes and its file told it by now."""
        for other in self.nodes:
            if self.now - other.changed >= DETECT:
                (node.suspects.discard if other.alive else node.suspects.add)(other.place)
        if node.wrongly >= 0:
            node.suspects.add(node.wrongly)
        if self.settled and self.rules.previous_rings_count:
            node.previous = frozenset()
        for place in {*self.living(node), *(node.previous - node.suspects)}:
            node.seen[place] = self.now

    # From outside: time, death, suspicion, rings

    def tick(self, ticks: int) -> None:
        for _ in range(ticks):
            self.now += 1
            self.net = [message for message in self.net if self.now - message.sent <= LIFE]
            for node in self.nodes:
                if node.alive:
                    self._look(node)

    def kill(self, place: int) -> None:
        node = self.nodes[place]
        if node.alive:
            node.alive, node.changed, node.wrongly = False, self.now, -1
            if not self._enough:
                for one in self.nodes:
                    self.trust(one.place)

    def restart(self, place: int) -> None:
        """Empty, with the newest file."""
        if not self.nodes[place].alive:
            fresh = Node(place, born=self.now, changed=self.now, ring=self.ring, previous=self.before, step=self.step)
            self.nodes[place] = fresh
            self._look(fresh)

    def suspect(self, place: int, other: int) -> None:
        """Wrongly. Two replicas bear one disagreement: each node suspects one at most, no ring changes, three and more live."""
        node = self.nodes[place]
        if node.alive and place != other and self.settled and self._enough and node.wrongly < 0:
            node.wrongly = other
            self._look(node)

    @property
    def _enough(self) -> bool:
        return sum(self.nodes[place].alive for place in self.ring) >= 3

    def trust(self, place: int) -> None:
        node = self.nodes[place]
        if node.wrongly >= 0:
            node.suspects.discard(node.wrongly)
            node.wrongly = -1

    @property
    def settled(self) -> bool:
        """Every living node uses the newest ring, for long enough."""
        return all(not node.alive or node.step == self.step for node in self.nodes) and self.now - self.step_since >= WAIT

    def change_ring(self, place: int) -> None:
        """Joins, or leaves."""
        changed = self.ring ^ {place}
        quiet = self.settled and all(node.wrongly < 0 for node in self.nodes)
        if len(changed) < 2 or (self.rules.rings_change_one_by_one and not quiet):
            return
        self.before, self.ring, self.step, self.step_since = self.ring, changed, self.step + 1, self.now

    def adopt(self, place: int) -> None:
        node = self.nodes[place]
        if node.alive and node.step != self.step:
            if node.place in self.ring and node.place not in node.ring:
                node.born = self.now  # new to every key
            node.previous = node.ring if self.rules.previous_rings_count else frozenset()
            node.ring, node.step, self.step_since = self.ring, self.step, self.now
            self._look(node)

    # Packets from clients

    def packet(self, flow: Flow, top: int, begins: bool = True) -> None:
        node = self.nodes[top]
        if not node.alive:
            return
        entry = node.cache.get(flow)
        if entry and entry.until > self.now:
            self._emit(node, entry.decision)
        else:
            self._ask(node, flow, begins)

    def answer_from_outside(self, back: Back, top: int) -> None:
        node = self.nodes[top]
        if not node.alive:
            return
        entry = next((one for one in node.cache.values() if one.decision.back == back and one.until > self.now), None)
        if entry:
            self._emit(node, entry.decision)
        else:
            self._ask(node, back, begins=False)

    def _ask(self, node: Node, key: Key, begins: bool) -> None:
        self._send("ask", self.ranks(node, key)[0], top=node.place, stamp=self.now, key=key, begins=begins)

    def beat(self, top: int) -> None:
        node = self.nodes[top]
        if not node.alive:
            return
        for flow, entry in node.cache.items():
            for key in (flow, entry.decision.back):
                for tracker in self.ranks(node, key)[:2]:
                    self._send("beat", tracker, top=top, stamp=self.now, key=key, decision=entry.decision, asked=entry.asked)

    # The network

    def _send(self, kind: str, to: int, **what: object) -> None:
        self.net.append(Message(kind, to, self.now, **what))  # type: ignore[arg-type]

    def _pass_on(self, message: Message, kind: str, to: int, **changed: object) -> None:
        self.net.append(replace(message, kind=kind, to=to, sent=self.now, **changed))

    def lose(self, number: int) -> None:
        self.net.pop(number % len(self.net))

    def repeat(self, number: int) -> None:
        self.net.append(self.net[number % len(self.net)])

    def deliver(self, number: int) -> None:
        message = self.net.pop(number % len(self.net))
        node = self.nodes[message.to]
        if node.alive:
            getattr(self, f"_take_{message.kind}")(node, message)

    def deliver_all(self, most: int = 200) -> None:
        while self.net and most:
            self.deliver(0)
            most -= 1

    # What a node does with a message

    def _take_ask(self, node: Node, message: Message) -> None:
        key, record = message.key, self.record(node, message.key)
        if record and record.decision:
            self._walk_known(node, message, record.decision)
        elif record:
            self._to_decider(node, message, record)
        elif message.begins and self.may_lead(node, key):
            self._to_decider(node, message, Record(0, tail=self.next_to(node, key)))
        elif not message.second and (second := self.next_to(node, key)) is not None:
            self._pass_on(message, "ask", second, second=True)

    def _to_decider(self, node: Node, message: Message, record: Record) -> None:
        there = self.living(node)
        if record.decider not in there:
            if not self.rules.tail_is_kept:
                record.tail = self.next_to(node, message.key)
            elif record.tail is not None and record.tail not in there:
                return  # a decision may be visible that only it wrote: not before "who decides" is forgotten
            record.decider = ranked(mix64(message.key.hash + 1), {place: SEEDS[place] for place in there})[0]
        record.until, record.asked = self.now + PROVISIONAL, (message.top, message.stamp)
        node.records[message.key] = record
        self._pass_on(message, "decide", record.decider, primary=node.place, tail=record.tail)

    def _walk_known(self, node: Node, message: Message, known: Decision) -> None:
        mine = message.key
        other: Key = known.back if isinstance(mine, Flow) else known.flow
        steps: list[tuple[int, Key]] = []
        if self.rules.known_flows_walk:
            second = self.next_to(node, mine)
            steps = [(second, mine)] if second is not None else []
            steps += [(place, other) for place in self.ranks(node, other)[:2]]
        self._walk(node, replace(message, decision=known, walk=tuple(steps), written=frozenset(), alone=len(self.living(node)) == 1), mine)

    def _take_decide(self, node: Node, message: Message) -> None:
        assert isinstance(message.key, Flow)
        wanted = message.top if message.tail == node.place else message.tail  # writes, or is told, anyway
        decision = self._decide(node, message.key, wanted)
        if decision is None:
            return  # no port is free here: counted, the client tries again
        second = self.next_to(node, decision.back)
        steps: list[tuple[int, Key]] = [(second, decision.back)] if second is not None else []
        if message.tail is not None:
            steps.append((message.tail, decision.flow))
        alone = len(self.living(node)) == 1
        self._walk(node, replace(message, decision=decision, walk=tuple(steps), decider=node.place, alone=alone), decision.back)

    def _decide(self, node: Node, flow: Flow, wanted: int | None) -> Decision | None:
        """A port whose second keeper is `wanted`, if one is free."""
        known = node.by_flow.get(flow)
        held = self.record(node, known.back) if known else None
        if known and held and held.decision == known and self.rules.decider_remembers_flows:
            return known
        by_chance = [Back((number + node.born) % PORTS, flow.destination) for number in range(PORTS)]  # another after it came back
        for back in sorted(by_chance, key=lambda back: self.next_to(node, back) != wanted):
            first = self.ranks(node, back)[0] == node.place
            if first and self.may_lead(node, back) and self.record(node, back) is None:
                node.by_flow[flow] = decision = Decision(flow, back.port, node.place)
                return decision
        return None

    def _walk(self, node: Node, message: Message, key: Key) -> None:
        """Write, and go on."""
        assert message.decision is not None
        node.records[key] = Record(self.now + KEEP, message.decision)
        written = message.written | {node.place}
        rest = [step for step in message.walk if step[0] != node.place or not self._written_here(node, message, step[1])]
        if rest:
            self._pass_on(message, "walk", rest[0][0], key=rest[0][1], walk=tuple(rest[1:]), written=written)
        else:
            self._pass_on(message, "answer", message.top, written=written)

    def _written_here(self, node: Node, message: Message, key: Key) -> bool:
        """A step whose node is this one is taken in place, where nothing is in the way."""
        held = self.record(node, key)
        if held and held.decision != message.decision:
            return False
        node.records[key] = Record(self.now + KEEP, message.decision)
        return True

    def _take_walk(self, node: Node, message: Message) -> None:
        held, decision = self.record(node, message.key), message.decision
        assert decision is not None
        if held is None or held.decision == decision or self._may_replace(held, message):
            self._walk(node, message, message.key)
        elif isinstance(message.key, Back):
            if message.decider >= 0 and held.decision:
                self._pass_on(message, "refused", message.decider, other=held.decision, walk=())
        elif held.decision and not message.corrects and self.rules.conflict_is_told:
            self._substitute(node, message, held.decision)

    def _may_replace(self, held: Record, message: Message) -> bool:
        assert message.decision is not None
        if isinstance(message.key, Back):
            return not self.rules.port_is_checked_at_the_second
        if held.decision:
            return not self.rules.tail_keeps_what_it_has
        return message.corrects or held.asked == (message.top, message.stamp)

    def _substitute(self, node: Node, message: Message, known: Decision) -> None:
        """Two decided: what the tail has is what may have been seen. The primary learns it, too."""
        steps: list[tuple[int, Key]] = [(message.primary, known.flow)] if message.primary >= 0 else []
        steps += [(place, known.back) for place in self.ranks(node, known.back)[:2]]
        corrected = replace(message, decision=known, walk=tuple(steps), corrects=True, decider=-1, written=frozenset())
        self._walk(node, corrected, known.flow)

    def _take_refused(self, node: Node, message: Message) -> None:
        """The port is another's: so its record is, and the flow gets another one next time."""
        mine, taken = message.decision, message.other
        assert mine is not None and taken is not None
        held = self.record(node, mine.back)
        if held and held.decision == mine:
            node.records[mine.back] = Record(self.now + KEEP, taken)
            node.by_flow.pop(mine.flow, None)

    def _take_answer(self, node: Node, message: Message) -> None:
        decision = message.decision
        assert decision is not None
        until = (message.stamp if self.rules.stamps_are_the_tops else self.now) + LEASE
        if until <= self.now:
            return  # too long on its way
        held = node.cache.get(decision.flow)
        if held and held.decision != decision and held.until > self.now:
            return
        if held and held.decision == decision:
            until = max(until, held.until)
        node.cache[decision.flow] = Entry(decision, until if self.rules.leases else 10**9, (message.top, message.stamp))
        if decision not in self.visible and len(message.written) < 2 and not message.alone:
            raise Violation(f"{decision} is visible, and only {set(message.written)} wrote it")
        self._emit(node, decision)

    def _take_beat(self, node: Node, message: Message) -> None:
        held, decision = self.record(node, message.key), message.decision
        assert decision is not None
        if held is None or held.decision == decision or self._confirms(held, message) or not self.rules.beats_never_overwrite:
            node.records[message.key] = Record(self.now + KEEP, decision)
            self._pass_on(message, "ack", message.top, primary=node.place)
        elif held.decision:
            self._pass_on(message, "no", message.top)

    def _confirms(self, held: Record, message: Message) -> bool:
        if held.decision:
            return False
        if self.rules.confirmations_name_the_question:
            return held.asked == message.asked
        return message.decision is not None and held.decider == message.decision.decider

    def _take_ack(self, node: Node, message: Message) -> None:
        entry = node.cache.get(message.decision.flow) if message.decision else None
        if entry is None or entry.decision != message.decision:
            return
        tracker = (message.primary, message.key)
        entry.acknowledged[tracker] = max(message.stamp, entry.acknowledged.get(tracker, message.stamp))
        keys: tuple[Key, ...] = (entry.decision.flow, entry.decision.back)
        both = [(place, key) for key in keys for place in self.ranks(node, key)[:2]]
        stamps = [entry.acknowledged.get(one, -10 * WAIT) for one in both]
        entry.until = max(entry.until, min(stamps) + LEASE)

    def _take_no(self, node: Node, message: Message) -> None:
        """It is another's by now."""
        entry = node.cache.get(message.decision.flow) if message.decision else None
        if entry and entry.decision == message.decision and entry.until <= self.now:
            del node.cache[message.decision.flow]

    # What must never be

    def _emit(self, node: Node, decision: Decision) -> None:
        self.emissions += 1
        self.visible.add(decision)
        for other, entry in self.in_use():
            said = f"at {self.now} node {node.place} sends by {decision}; node {other.place} still may by {entry.decision}"
            if entry.decision.flow == decision.flow and entry.decision.port != decision.port:
                raise Violation(f"two decisions of one flow: {said}")
            if entry.decision.back == decision.back and entry.decision.flow != decision.flow:
                raise Violation(f"two flows on one port towards one destination: {said}")

    def in_use(self) -> Iterable[tuple[Node, Entry]]:
        living = (node for node in self.nodes if node.alive)
        return ((node, entry) for node in living for entry in node.cache.values() if entry.until > self.now)

