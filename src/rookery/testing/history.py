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
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import NamedTuple

TCP, UDP = 6, 17
FIN, SYN, RST, ACK = 1, 2, 4, 16
CROSSES_WITHIN = 3.0  # seconds: what has not left by then was lost
PROVISIONAL_SECONDS, IDLE_SECONDS = 30.0, {TCP: 350.0, UDP: 120.0}  # of a balancer's datagrams; a NAT gateway's live longer
SILENT_SECONDS, SILENT_PACKETS = 5.0, 3
RECENT, AROUND = 20_000, 30  # packets: of all that are remembered, and before and after of what was broken

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

    def __str__(self) -> str:
        flags = "".join(letter for bit, letter in enumerate("FSRPA") if self.flags >> bit & 1)
        return f"{self.time:.6f} {'leaves' if self.leaves else 'enters'} {self.ends} {flags} {self.sequence}"

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

    def lives(self, now: float) -> bool:
        patience = IDLE_SECONDS[self.key.protocol] if self.answered else PROVISIONAL_SECONDS
        return not self.reset and len(self.finished) < 2 and now - self.last < patience


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
        self.knocks = Knocks()
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
        flow = self.flows.get(asked) or self._answers.get(asked)
        if flow is None:
            return
        if flow.answered and flow.lives(seen.time) and not self.forgets:
            self._break(ResetAlive, seen.time, f"{seen.ends} resets {flow.key}", flow.key, flow.way)
        flow.reset = True

    def _cross(self, entered: Seen, left: Seen) -> None:
        self.crossed += 1
        self._silences.pop(entered.ends, None)
        if entered.begins:
            self.knocks.cross(entered)
        if entered.ends.vni != left.ends.vni:
            self._break(CrossedVpcs, left.time, f"{entered.ends} left as {left.ends}", entered.ends, left.ends)
        asker = self._answers.get(entered.ends) or self._former.get(entered.ends)
        flow = self.flows.get(entered.ends)
        if asker:
            self._answer(asker, entered, left)
        elif flow is None or self._is_anew(flow, entered, left):
            self._begin(entered, left)
        else:
            self._go_on(flow, entered, left)

    def _is_anew(self, flow: Flow, entered: Seen, left: Seen) -> bool:
        if entered.ends.protocol == UDP:
            return self.forgets and flow.way != left.ends
        return entered.begins and (flow.first != entered.sequence or not flow.lives(entered.time))

    def _begin(self, entered: Seen, left: Seen) -> None:
        """Of a client that uses a port again the flow before is over."""
        before = self.flows.get(entered.ends)
        if before and self._answers.get(before.way.reverse) is before:
            self._former[before.way.reverse] = self._answers.pop(before.way.reverse)
        other = self._answers.get(left.ends.reverse)
        if other and other.lives(left.time):
            self._break(SharedTuple, left.time, f"{entered.ends} and {other.key} both go as {left.ends}", entered.ends, other.key, left.ends)
        flow = Flow(entered.ends, left.ends, entered.sequence if entered.begins else None, left.time)
        if before:
            before.before, flow.before = None, before
        self.flows[entered.ends] = self._answers[left.ends.reverse] = flow
        self.begun += 1

    def _go_on(self, flow: Flow, entered: Seen, left: Seen) -> None:
        if left.ends != flow.way and not (self.forgets and flow.before and left.ends == flow.before.way):
            rule = SynChanged if entered.begins else TwoTargets
            self._break(rule, left.time, f"{entered.ends} went as {flow.way}, and then as {left.ends}", entered.ends, flow.way, left.ends)
        self._note(flow, entered, answers=False)

    def _answer(self, flow: Flow, entered: Seen, left: Seen) -> None:
        if left.ends != flow.key.reverse:
            self._break(OthersAnswer, left.time, f"{entered.ends} answers {flow.key}, and was led as {left.ends}", entered.ends, flow.key, left.ends)
        flow.answered = True
        self._note(flow, entered, answers=True)

    @staticmethod
    def _note(flow: Flow, entered: Seen, answers: bool) -> None:
        flow.last = entered.time
        flow.reset |= bool(entered.flags & RST)
        if entered.flags & FIN:
            flow.finished.add(answers)

    def _break(self, rule: str, when: float, what: str, *flows: Ends) -> None:
        ends = {one for flow in flows for one in (flow, flow.reverse)}
        around = [seen for seen in self._recent if seen.ends in ends][-AROUND:]
        self.broken.append(Broken(rule, when, what, around))
        self._watched |= dict.fromkeys(ends, around)
