"""What packets that entered and left a cell tell of it: rules that hold for every history, whichever of its nodes died. Pure.

    enters                      from a host or an edge, to a node             leaves      from a node, to a host or an edge
      flow K --------------------> [ cell ] -----------------------------------> K's way: other addresses, other ports
      answer <-- reverse of K <--- [ cell ] <--- reverse of the way

TwoTargets        a flow that was led one way is led another
SynChanged        a SYN that came again was led another way than before
OthersAnswer      an answer was led to somebody who did not ask
CrossedVpcs       a packet left in another VPC than it entered in
SharedTuple       two flows that live go by the same addresses, ports and protocol
Silent            a connection's packets vanish, and nobody resets it
ResetAlive        the cell itself reset a connection that both ends used, and neither had ended

Nothing is judged across a gap (History.miss): what may have ended or begun while nobody looked is learnt anew, and accuses nobody. And a
packet whose numbers follow on none of the connections that are known on its port is of one whose beginning was not seen. Both are counted:
who asks for a verdict asks first how much was observed.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import NamedTuple

TCP, UDP = 6, 17
FIN, SYN, RST, ACK = 1, 2, 4, 16
CROSSES_WITHIN = 3.0  # seconds: what has not left by then was lost
PROVISIONAL_SECONDS, IDLE_SECONDS = 30.0, {TCP: 350.0, UDP: 120.0}  # of a balancer's datagrams; a NAT gateway's live longer
REST_SECONDS = 120.0  # of a connection that one end has finished, if the other says no more: as long as its port is kept (CELL_REST_SECONDS)
SILENT_SECONDS, SILENT_PACKETS = 5.0, 3
UNDER_WAY = 1 << 20  # bytes that a connection's numbers may be apart: another's, by chance, are within in one of two thousand
RECENT, AROUND = 100_000, 30  # packets: of all that are remembered, and before and after of what was broken

TwoTargets, SynChanged, OthersAnswer = "TwoTargets", "SynChanged", "OthersAnswer"
CrossedVpcs, SharedTuple, Silent = "CrossedVpcs", "SharedTuple", "Silent"
ResetAlive = "ResetAlive"


class Ends(NamedTuple):
    """Addresses as 32 bits."""

    vni: int
    protocol: int
    source: int
    source_port: int
    destination: int
    destination_port: int

    @property
    def reverse(self) -> Ends:
        return Ends(self.vni, self.protocol, self.destination, self.destination_port, self.source, self.source_port)

    def __str__(self) -> str:
        source, destination = (".".join(map(str, one.to_bytes(4, "big"))) for one in (self.source, self.destination))
        return f"{self.protocol} {source}:{self.source_port} -> {destination}:{self.destination_port} in {self.vni}"


class Seen(NamedTuple):
    """A packet as it enters the cell, or as it leaves it."""

    time: float
    leaves: bool
    ends: Ends
    flags: int  # TCP's; 0 of others
    sequence: int
    mark: tuple  # what a cell does not change, by which the packet is known again
    node: int = 0  # where it enters or leaves: an address
    acknowledged: int = 0  # 0 of what is not TCP

    def __str__(self) -> str:
        flags = "".join(letter for bit, letter in enumerate("FSRPA") if self.flags >> bit & 1)
        at = ".".join(map(str, self.node.to_bytes(4, "big")))
        return f"{self.time:.6f} {'leaves' if self.leaves else 'enters'} {at} {self.ends} {flags} {self.sequence}"

    @property
    def begins(self) -> bool:
        return self.flags & (SYN | ACK) == SYN


@dataclass
class Broken:
    rule: str
    time: float
    what: str
    around: list[Seen]  # packets of these flows: the last before, and what came after

    def __str__(self) -> str:
        return "\n    ".join([f"{self.rule} at {self.time:.6f}: {self.what}", *map(str, self.around)])


@dataclass
class Flow:
    key: Ends
    way: Ends
    first: int | None  # sequence number of its SYN; None: it was not seen to begin
    last: float
    answered: bool = False
    finished: set[bool] = field(default_factory=set)  # who sent a FIN: who asked, who answered
    reset: bool = False
    before: Flow | None = None  # of the same client's port
    sequences: dict[bool, int] = field(default_factory=dict)  # the newest of who asked, and of who answered
    gaps: int = 0  # that there had been when it was last seen: after another one it may be over

    def takes(self, seen: Seen, answers: bool) -> bool:
        """By its numbers, this packet is one of its: it enters the cell or is the cell's own word, from who asked or from who answers."""
        if seen.ends.protocol != TCP:
            return True
        own, others = self.sequences.get(answers), self.sequences.get(not answers)
        if own is not None:
            return is_near(seen.sequence, own)
        return others is None or not seen.flags & ACK or is_near(seen.acknowledged, others)

    def lives(self, now: float) -> bool:
        patience = IDLE_SECONDS[self.key.protocol] if self.answered else PROVISIONAL_SECONDS
        if self.finished:
            patience = REST_SECONDS
        return not self.reset and len(self.finished) < 2 and now - self.last < patience


def is_near(one: int, other: int) -> bool:
    """Of two numbers of 32 bits, which begin anew."""
    return (one - other + UNDER_WAY) % (1 << 32) <= 2 * UNDER_WAY


@dataclass
class Silence:
    since: float
    packets: int = 0
    told: bool = False


class Knocks:
    """SYNs until the first of them left the cell: how often was each connection tried?"""

    def __init__(self) -> None:
        self.tries: Counter[int] = Counter()  # of those that got through
        self._waiting: Counter[tuple[Ends, int]] = Counter()

    def enter(self, seen: Seen) -> None:
        self._waiting[seen.ends, seen.sequence] += 1

    def cross(self, seen: Seen) -> None:
        tries = self._waiting.pop((seen.ends, seen.sequence), 0)
        if tries:
            self.tries[tries] += 1

    def forget(self) -> None:
        """Those that wait: they may have got through."""
        self._waiting.clear()

    def within(self, most: int) -> tuple[int, int]:
        """Connections that got through within so many tries, and those that did not."""
        through = sum(count for tries, count in self.tries.items() if tries <= most)
        late = sum(count for tries, count in self.tries.items() if tries > most)
        return through, late + sum(tries >= most for tries in self._waiting.values())


class History:
    """Takes packets in the order of their times. `quiet`: (VNI, address) of NAT gateways: who is unknown there gets no answer.
    `broken`: what no history should have. `forgets`: both nodes that keep a flow may be dead at once. Datagrams that nobody knows then
    begin a new one, and a third node may know of a client's earlier connection on the port alone (docs/decisions/0033)."""

    def __init__(self, quiet: frozenset[tuple[int, int]] = frozenset()):
        self.broken: list[Broken] = []
        self.forgets = False
        self.flows: dict[Ends, Flow] = {}
        self.begun = 0  # flows
        self.crossed, self.lost, self.of_the_cell, self.resets = 0, 0, 0, 0  # packets: those of the cell entered nowhere
        self.missed, self.unseen, self.unjudged = 0, 0, 0  # packets of a gap; beginnings that nobody saw; contradictions after a gap
        self.knocks = Knocks()
        self._gaps, self._blind_until = 0, float("-inf")
        self._quiet = quiet
        self._answers: dict[Ends, Flow] = {}
        self._former: dict[Ends, Flow] = {}  # answers to flows that are over: their client uses the port again
        self._inside: dict[tuple, deque[Seen]] = {}
        self._order: deque[tuple[float, tuple]] = deque()
        self._silences: dict[Ends, Silence] = {}
        self._recent: deque[Seen] = deque(maxlen=RECENT)
        self._watched: dict[Ends, list[Seen]] = {}  # packets to come, of flows that broke a rule

    def told(self, most: int = 3) -> str:
        """How many broke each rule, and the first of each with the packets around it."""
        counts = Counter(one.rule for one in self.broken)
        first = [one for rule in counts for one in [one for one in self.broken if one.rule == rule][:most]]
        return "\n".join([f"broken: {dict(counts)}", *map(str, first)])

    def observed(self) -> float:
        """The share of what it should have seen, 0 to 1."""
        hidden = self.missed + self.unseen + self.unjudged
        return self.crossed / (self.crossed + hidden) if hidden else 1.0

    def miss(self, until: float, packets: int) -> None:
        """From now until then so many packets were not seen."""
        self.missed += packets
        self._gaps += 1
        self._blind_until = max(self._blind_until, until)
        self._silences.clear()
        self.knocks.forget()

    def _is_doubtful(self, flow: Flow) -> bool:
        return flow.gaps < self._gaps

    def take(self, seen: Seen) -> None:
        self._give_up(seen.time - CROSSES_WITHIN)
        self._recent.append(seen)
        around = self._watched.get(seen.ends)
        if around is not None and len(around) < 2 * AROUND:
            around.append(seen)
        if not seen.leaves:
            self._enter(seen)
            return
        waiting = self._inside.get(seen.mark)
        if waiting:
            self._cross(waiting.popleft(), seen)
        else:
            self._appear(seen)

    def _give_up(self, before: float) -> None:
        while self._order and self._order[0][0] < before:
            mark = self._order.popleft()[1]
            waiting = self._inside.get(mark)
            while waiting and waiting[0].time < before:
                waiting.popleft()
                self.lost += 1
            if not waiting:
                self._inside.pop(mark, None)

    def _enter(self, seen: Seen) -> None:
        self._inside.setdefault(seen.mark, deque()).append(seen)
        self._order.append((seen.time, seen.mark))
        if seen.begins and not self._has_begun(seen):
            self.knocks.enter(seen)
        if seen.ends.protocol == TCP and not seen.begins and (seen.ends.vni, seen.ends.destination) not in self._quiet:
            self._mind_silence(seen)

    def _has_begun(self, seen: Seen) -> bool:
        flow = self.flows.get(seen.ends)
        return flow is not None and flow.first == seen.sequence

    def _mind_silence(self, seen: Seen) -> None:
        if seen.time < self._blind_until:
            return
        silence = self._silences.setdefault(seen.ends, Silence(seen.time))
        silence.packets += 1
        lasts = seen.time - silence.since
        if lasts >= SILENT_SECONDS and silence.packets > SILENT_PACKETS and not silence.told and not seen.flags & RST:
            silence.told = True
            self._break(Silent, seen.time, f"{seen.ends}: {silence.packets} packets in {lasts:.1f} s", seen.ends)

    def _appear(self, seen: Seen) -> None:
        """The cell's own: a reset, or a check."""
        self.of_the_cell += 1
        if not seen.flags & RST:
            return
        self.resets += 1
        asked = seen.ends.reverse
        self._silences.pop(asked, None)
        asks, answers = self.flows.get(asked), self._answers.get(asked)
        flow = asks or answers
        if flow is None:
            return
        if not flow.takes(seen, answers=asks is not None):  # what was reset is another, whose beginning nobody saw
            self.unseen += 1
            return
        if flow.answered and flow.lives(seen.time) and not self.forgets and not self._is_doubtful(flow):
            self._break(ResetAlive, seen.time, f"{seen.ends} resets {flow.key}", flow.key, flow.way)
        flow.reset = True

    def _cross(self, entered: Seen, left: Seen) -> None:
        self.crossed += 1
        self._silences.pop(entered.ends, None)
        if entered.begins:
            self.knocks.cross(entered)
        if entered.ends.vni != left.ends.vni:
            self._break(CrossedVpcs, left.time, f"{entered.ends} left as {left.ends}", entered.ends, left.ends)
        asker = self._answers.get(entered.ends)
        former = self._former.get(entered.ends)
        flow = self.flows.get(entered.ends)
        if asker or former:
            self._answer([one for one in (asker, former) if one], entered, left)
        elif flow is None or self._is_anew(flow, entered, left):
            self._begin(entered, left)
        else:
            self._go_on(flow, entered, left)

    def _is_anew(self, flow: Flow, entered: Seen, left: Seen) -> bool:
        if entered.ends.protocol == UDP:
            return self.forgets and flow.way != left.ends
        return entered.begins and (flow.first != entered.sequence or not flow.lives(entered.time))

    def _begin(self, entered: Seen, left: Seen) -> None:
        flow = self._found(entered.ends, left.ends, entered, left)
        flow.first = entered.sequence if entered.begins else None
        self._note(flow, entered, answers=False)

    def _found(self, key: Ends, way: Ends, entered: Seen, left: Seen) -> Flow:
        """Of a client that uses a port again the flow before is over."""
        before = self.flows.get(key)
        if before and self._answers.get(before.way.reverse) is before:
            self._former[before.way.reverse] = self._answers.pop(before.way.reverse)
        other = self._answers.get(way.reverse)
        if other and other.lives(left.time) and not self._is_doubtful(other):
            told = f"{other.key}, {left.time - other.last:.1f} s silent, finished by {len(other.finished)},"
            self._break(SharedTuple, left.time, f"{key} and {told} both go as {way}", key, other.key, way)
        flow = Flow(key, way, None, left.time, gaps=self._gaps)
        if before:
            before.before, flow.before = None, before
        self.flows[key] = self._answers[way.reverse] = flow
        self.begun += 1
        return flow

    def _learn(self, key: Ends, way: Ends, entered: Seen, left: Seen) -> Flow:
        """The flow of a packet that none of those takes which were seen to begin."""
        other = self._answers.get(way.reverse)
        if other:
            other.gaps = -1  # nobody saw its end, either
        return self._found(key, way, entered, left)

    def _go_on(self, flow: Flow, entered: Seen, left: Seen) -> None:
        late = flow.before
        if not flow.takes(entered, answers=False):
            if late is not None and late.takes(entered, answers=False) and late.way == left.ends:
                return
            if self._tells_nothing(entered, left.ends == flow.way):
                return
            self.unseen += 1
            flow = self._learn(entered.ends, left.ends, entered, left)
        elif left.ends != flow.way and not (self.forgets and late and left.ends == late.way):
            if self._is_doubtful(flow):
                self.unjudged += 1
                flow = self._learn(entered.ends, left.ends, entered, left)
            else:
                flow = self._tell_astray(flow, entered, left)
        self._note(flow, entered, answers=False)

    def _tell_astray(self, flow: Flow, entered: Seen, left: Seen) -> Flow:
        """Whoever answers there answers this flow: one accusation, and none of what follows from it."""
        rule = SynChanged if entered.begins else TwoTargets
        self._break(rule, left.time, f"{entered.ends} went as {flow.way}, and then as {left.ends}", entered.ends, flow.way, left.ends)
        if not entered.begins:
            self._answers.setdefault(left.ends.reverse, flow)
            return flow
        anew = self._found(entered.ends, left.ends, entered, left)
        anew.first = entered.sequence
        return anew

    def _tells_nothing(self, entered: Seen, is_led_as_known: bool) -> bool:
        """A reset whose numbers are of no connection that is known: it answers what came astray or late, and begins nothing."""
        if not entered.flags & RST:
            return False
        self.unseen += not is_led_as_known
        return True

    def _answer(self, askers: list[Flow], entered: Seen, left: Seen) -> None:
        """`askers`: who has that port now, and who had it before."""
        flow = next((one for one in askers if one.takes(entered, answers=True)), None)
        if flow is None:
            if self._tells_nothing(entered, any(one.key.reverse == left.ends for one in askers)):
                return
            self.unseen += 1
            flow = self._learn(left.ends.reverse, entered.ends.reverse, entered, left)
        elif left.ends != flow.key.reverse:
            if self._is_doubtful(flow):
                self.unjudged += 1
                flow = self._learn(left.ends.reverse, entered.ends.reverse, entered, left)
            else:
                self._break(OthersAnswer, left.time, f"{entered.ends} answers {flow.key}, and was led as {left.ends}", entered.ends, flow.key, left.ends)
        flow.answered = True
        self._note(flow, entered, answers=True)

    def _note(self, flow: Flow, entered: Seen, answers: bool) -> None:
        flow.last = entered.time
        if entered.time >= self._blind_until:
            flow.gaps = self._gaps
        if entered.ends.protocol == TCP:
            flow.sequences[answers] = entered.sequence
        flow.reset |= bool(entered.flags & RST)
        if entered.flags & FIN:
            flow.finished.add(answers)

    def _break(self, rule: str, when: float, what: str, *flows: Ends) -> None:
        ends = {one for flow in flows for one in (flow, flow.reverse)}
        around = [seen for seen in self._recent if seen.ends in ends][-AROUND:]
        self.broken.append(Broken(rule, when, what, around))
        self._watched |= dict.fromkeys(ends, around)
