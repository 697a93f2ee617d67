"""The chain as it is built, in a bad network: what happens to a cell of tests/hyperplane/built_chain.py's nodes, and what must never be.

Clients open connections, close them and begin anew on the same port, and send datagrams, each packet by whichever top; others answer. Nodes die and come back
empty, wrongly think others dead, join the ring and drain, by the file that the controller's own rules make (rookery.hyperplane.membership): while a ring is young some
nodes go by it and some by the one before. Packets between nodes are lost, repeated and overtaken; heartbeats may all be.

What is borne no more (docs/decisions/0031, 0040) stands in `_forget`, `_is_with_newcomers`, `suspect` and `packet`, and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rookery.hyperplane.membership import KEPT_BEATS, first_rings, next_rings
from tests.hyperplane.built_chain import (
    ABSENCE,
    DOUBTED,
    PROVISIONAL,
    REST,
    USED,
    YOUNG,
    Built,
    Chain,
    Decision,
    Directive,
    Node,
    Packet,
    first_two,
    is_connection,
)
from tests.hyperplane.protocol import NODES, PORTS, Back, Flow, Key, Violation

LIFE = 1  # of a packet between two nodes
DETECT = 3  # a death or a return is known to all after so long: less than USED
PASSES, PASS = 3, 2  # copies after a change, all of them before DOUBTED is over
LEAST = 2  # nodes of a ring
LATE = 6  # until a node has read a new file: later nobody listens to it (CELL_EPOCHS_APART), and before those that have read it forget the ring before
ENOUGH = 3  # nodes that must be left to one that wrongly thinks others dead


@dataclass
class Client:
    """Of one flow."""

    turn: int = 0  # which connection on its port
    state: str = "closed"  # opening, open
    last: int = -100


@dataclass
class Bound:
    """By what a connection's packets were last seen to leave, and until when its keepers are bound to know."""

    turn: int
    decision: Decision
    until: int


class World(Chain):
    def __init__(self, built: Built | None = None, suspicions: int = 1, mute: bool = False, ports: int = PORTS):
        """`suspicions`: how many others a node may wrongly think dead at once; `mute`: no heartbeat gets through."""
        self.ports = ports
        self.built = built or Built()
        self.suspicions, self.mute = suspicions, mute
        self.now = self.versions = self.emissions = 0
        self.wanted = frozenset(range(NODES - 1))
        self.epoch = 1
        self.rings = first_rings(self.wanted, 1, 0)
        self.made = {1: 0}  # files, and when
        self.nodes = [Node(place, ring=self.wanted, previous=self.wanted, decides=self.wanted, epoch=1) for place in range(NODES)]
        self.net: list[Packet] = []
        self.clients: dict[Flow, Client] = {}
        self.bound: dict[Flow, Bound] = {}
        self.lost: set[Decision] = set()

    @property
    def visible(self) -> set[Decision]:
        return {one.decision for one in self.bound.values() if self.now < one.until}

    # Time

    def tick(self, ticks: int) -> None:
        for _ in range(ticks):
            self.now += 1
            self.net = [packet for packet in self.net if self.now - packet.sent <= LIFE]
            self._end_doubts()
            self._next_file()
            self._read_late()
            for node in self.nodes:
                if node.alive:
                    self._look(node)
                    self._copy_by_the_clock(node)
            self.lost = {one for one in self.lost if not self._is_safe(one)}

    def pause(self, ticks: int) -> None:
        self.tick(ticks)

    def _look(self, node: Node) -> None:
        """What its probes say."""
        if self.now - node.changed < DETECT:
            return
        first = node.changed > 0 and self.now - node.changed == DETECT
        known = frozenset(one.place for one in self.nodes if (one.alive if self.now - one.changed >= DETECT else one.place in node.living))
        if len((known - node.wrong.keys()) & node.ring) < ENOUGH:
            node.wrong.clear()
        living = (known - node.wrong.keys()) | {node.place}
        for place in node.living - living if not first else ():
            node.left[place] = self.now
        for place in living - node.living:
            node.came[place] = self.now
            node.left.pop(place, None)
        if living != node.living:
            node.living, node.passes, node.next_pass = living, PASSES, self.now

    def _copy_by_the_clock(self, node: Node) -> None:
        if node.passes and self.now >= node.next_pass:
            node.passes, node.next_pass = node.passes - 1, self.now + PASS
            before = len(self.net)
            self.copy(node)
            if not node.passes:
                self._arrive(before)

    def _arrive(self, first: int) -> None:
        """Of three copies of a flow one does: what is on its way from this one on."""
        copies, self.net = self.net[first:], self.net[:first]
        for packet in copies:
            if self.nodes[packet.to].alive:
                self.walk(self.nodes[packet.to], packet, mine=True)

    # Deaths, and doubts

    def kill(self, place: int, remembers: bool = False) -> None:
        """`remembers`: it is cut off, and will come back with what it knows now."""
        node = self.nodes[place]
        if node.alive:
            kept = {one for one in self._in_use() if self._is_kept(one)}
            node.alive, node.changed, node.remembers = False, self.now, remembers
            node.wrong.clear()
            self._forget(kept)

    def restart(self, place: int) -> None:
        """Not before its death was noticed: its memory is made anew, and a node answers nobody until its agent has read its file."""
        held = self.nodes[place]
        if held.alive or self.now - held.changed < DETECT:
            return
        if held.remembers:
            held.alive, held.changed = True, self.now
            self._of_file(held)
            if self.built.who_was_cut_off_knows_that_it_came:
                held.came[place] = self.now
        else:
            self.nodes[place] = self._of_file(Node(place, changed=self.now, came={place: self.now}))
            self.lost |= {one for one in self._in_use() if self._is_with_newcomers(one)}

    def cut(self, place: int) -> None:
        self.kill(place, remembers=True)

    def _forget(self, kept: set[Decision]) -> None:
        """Both keepers of one direction died at once, or one after the other before copies came. Where nobody is left who remembers anything, ports begin anew."""
        self.lost |= {one for one in kept if not self._is_kept(one)} | {one for one in self._in_use() if self._is_with_newcomers(one)}
        living = [node for node in self.nodes if node.alive and node.place in node.ring]
        if all(self.now - node.changed < ABSENCE for node in living):
            self.lost |= self._in_use()

    def _in_use(self) -> set[Decision]:
        cached = {row.directive.decision for node in self.nodes if node.alive for row in node.directives.values() if self.now - row.leased < ABSENCE}
        return self.visible | cached

    def _is_kept(self, decision: Decision) -> bool:
        """For as long as it must be: who was a keeper once, and heard no more of it, is none."""
        until = self._until(decision)
        return all(any(self._holds(node, key, decision, until) for node in self.nodes) for key in (decision.flow, decision.back))

    def _until(self, decision: Decision) -> int:
        bound = self.bound.get(decision.flow)
        return bound.until if bound and bound.decision == decision else self.now

    def _sees(self, node: Node, decision: Decision) -> bool:
        """Anybody who knows what becomes of the flow: what its second keeper decided itself only that one does, until an answer or a heartbeat comes."""
        return any(self._holds(self.nodes[place], decision.flow, decision) for place in node.living)

    def _holds(self, node: Node, key: Key, decision: Decision, until: int = 0) -> bool:
        row = self.row(node, key) if node.alive else None
        return bool(row and row.directive and row.directive.decision == decision and row.deadline >= until)

    def _rightful(self, key: Key) -> list[Node]:
        there = frozenset(node.place for node in self.nodes if node.alive) & frozenset(self.rings.current)
        return [self.nodes[place] for place in first_two(key.hash, there) if place >= 0]

    def _is_with_newcomers(self, decision: Decision) -> bool:
        """Both that are to keep one direction came back empty, and whoever stayed has not noticed, or its copies have not reached them."""
        return any(self._is_new_to(self._rightful(key), key, decision) for key in (decision.flow, decision.back))

    def _is_new_to(self, keepers: list[Node], key: Key, decision: Decision) -> bool:
        empty = not any(self._holds(node, key, decision) for node in keepers)
        unnoticed = any(self.now - node.changed <= DETECT + PASSES * PASS for node in keepers)
        return all(self.now - node.changed < ABSENCE for node in keepers) and (empty or unnoticed)

    def _is_safe(self, decision: Decision) -> bool:
        keepers = [(node, key) for key in (decision.flow, decision.back) for node in self._rightful(key)]
        return bool(keepers) and all(self._holds(node, key, decision, self._until(decision)) for node, key in keepers)

    def suspect(self, place: int, other: int) -> None:
        """Wrongly; not while a ring is young, and three are left."""
        node = self.nodes[place]
        left = (node.living & node.ring) - {other}
        if node.alive and place != other and self.settled and len(left) >= ENOUGH and len(node.wrong) < self.suspicions:
            node.wrong[other] = self.now
            self._look(node)
            self.lost |= {one for one in self._in_use() if node in self._rightful(one.flow) and not self._sees(node, one)}

    def trust(self, place: int) -> None:
        self.nodes[place].wrong.clear()

    def _end_doubts(self) -> None:
        """Whoever thinks more than one dead at once is soon told better: its probes are answered again."""
        for node in self.nodes:
            if len(node.wrong) > 1:
                node.wrong = {place: since for place, since in node.wrong.items() if self.now - since < DOUBTED - 2}

    # Rings

    @property
    def settled(self) -> bool:
        return self.rings.current == self.rings.previous and all(node.epoch == self.epoch for node in self.nodes if node.alive)

    def change_ring(self, place: int) -> None:
        """It is added, or drained. The ring follows."""
        wanted = self.wanted ^ {place}
        if len(wanted) >= LEAST and not any(node.wrong for node in self.nodes):
            self.wanted = wanted
            self._write_file()

    def _next_file(self) -> None:
        beat, slowest = self.now * KEPT_BEATS // YOUNG, min((node.epoch for node in self.nodes if node.alive), default=self.epoch)
        rings = next_rings(self.rings, self.wanted, self.epoch + 1, beat, slowest)
        if rings != self.rings and not any(node.wrong for node in self.nodes):
            self.rings = rings
            self._write_file()

    def _write_file(self) -> None:
        self.epoch += 1
        self.made[self.epoch] = self.now

    def _read_late(self) -> None:
        for node in self.nodes:
            if node.epoch != self.epoch and self.now - self.made[node.epoch + 1] >= LATE:
                self.adopt(node.place)

    def adopt(self, place: int) -> None:
        if self.nodes[place].alive and self.nodes[place].epoch != self.epoch:
            self._of_file(self.nodes[place])

    def _of_file(self, node: Node) -> Node:
        ring = frozenset(self.rings.current)
        if node.ring != ring:
            node.ring_since, node.passes, node.next_pass = self.now, PASSES, self.now
        node.ring, node.previous, node.decides, node.epoch = ring, frozenset(self.rings.previous), self.wanted, self.epoch
        return node

    # Clients, and those that answer them

    def packet(self, flow: Flow, top: int, begins: bool = True) -> None:
        """A client takes its port for another connection when it has sent nothing for a second: sooner a top may not have seen the new one (0033)."""
        client = self.clients.setdefault(flow, Client())
        if not is_connection(flow):
            self._send(flow, top, begins=True)
        elif client.state == "closed" and begins and self.now - client.last >= USED:
            client.state, client.turn = "opening", client.turn + 1
            self._send(flow, top, begins=True, shakes=True)
        elif client.state == "opening":
            bound = self.bound.get(flow)
            if begins or not bound or bound.turn != client.turn:
                self._send(flow, top, begins=True, shakes=True)
            else:
                self._answer(bound.decision.back, top)
        elif client.state == "open":
            self._send(flow, top)

    def close(self, flow: Flow, top: int) -> None:
        client = self.clients.setdefault(flow, Client())
        if is_connection(flow) and client.state == "open" and self.nodes[top].alive:
            self._send(flow, top, closes=True)
            client.state = "closed"

    def _send(self, flow: Flow, top: int, **what: bool) -> None:
        node, client = self.nodes[top], self.clients[flow]
        if node.alive:
            client.last = self.now
            self.enter(node, Packet(flow, turn=client.turn, **what))

    def answer_from_outside(self, back: Back, top: int) -> None:
        self._answer(back, top)

    def _answer(self, back: Back, top: int) -> None:
        """To whom a packet was last seen to leave by that port."""
        for flow, bound in self.bound.items():
            if bound.decision.back == back and self.now < bound.until and self.nodes[top].alive:
                client = self.clients[flow]
                opening = client.state == "opening" and client.turn == bound.turn
                self.enter(self.nodes[top], Packet(back, turn=bound.turn, shakes=opening))
                return

    # The network

    def lose(self, number: int) -> None:
        self.net.pop(number % len(self.net))

    def repeat(self, number: int) -> None:
        self.net.append(self.net[number % len(self.net)])

    def deliver(self, number: int) -> None:
        packet = self.net.pop(number % len(self.net))
        node = self.nodes[packet.to]
        if node.alive:
            self.walk(node, packet, mine=True)

    def deliver_all(self, most: int = 200) -> None:
        while self.net and most:
            self.deliver(0)
            most -= 1

    def beat(self, node: Node, packet: Packet, directive: Directive) -> None:
        if not self.mute:
            super().beat(node, packet, directive)

    # What must never be

    def told(self, node: Node, packet: Packet) -> None:
        if packet.new and len(packet.written) < 2 and len(node.ring & node.living) > 1:
            raise Violation(f"{packet.decided.decision} is told, and only {set(packet.written)} wrote it")

    def reset(self, node: Node, packet: Packet) -> None:
        """Its sender is told that nobody knows its connection."""
        client = self.clients.get(packet.key) if isinstance(packet.key, Flow) else None
        if client and client.turn == packet.turn:
            client.state, client.last = "closed", self.now

    def emit(self, node: Node, packet: Packet, decision: Decision) -> None:
        self.emissions += 1
        if isinstance(packet.key, Back):
            self._reach_client(node, packet, decision)
        elif packet.turn == self.clients[packet.key].turn:
            self._leave(node, packet, decision)

    def _reach_client(self, node: Node, packet: Packet, decision: Decision) -> None:
        meant = [flow for flow, one in self.bound.items() if one.decision.back == packet.key and self.now < one.until and one.decision not in self.lost]
        if meant and decision.flow not in meant:
            raise Violation(f"at {self.now} node {node.place} leads what answers {meant[0]} to {decision.flow}")
        client = self.clients[decision.flow]
        if packet.shakes and client.state == "opening" and client.turn == packet.turn:
            client.state = "open"
            self._send(decision.flow, packet.top if packet.top >= 0 else node.place)

    def _leave(self, node: Node, packet: Packet, decision: Decision) -> None:
        flow, bound = decision.flow, self.bound.get(decision.flow)
        said = f"at {self.now} node {node.place} sends by {decision}"
        if bound and bound.turn == packet.turn and bound.decision.port != decision.port and self.now < bound.until and bound.decision not in self.lost:
            raise Violation(f"two decisions of one flow: {said}; before by {bound.decision}")
        for other, one in self.bound.items():
            if other != flow and one.decision.back == decision.back and self.now < one.until and one.decision not in self.lost:
                raise Violation(f"two flows on one port towards one destination: {said}; {one.decision}")
        self._look_at_other_tops(packet, decision, said)
        self._bind(node, packet, decision)
        if packet.closes:
            self._close_too(node, packet, decision)

    def _close_too(self, node: Node, packet: Packet, decision: Decision) -> None:
        """Who answers ends its half at once, by a top of its own choice."""
        top = self.nodes[(node.place + packet.turn) % NODES]
        self.enter(top if top.alive else node, Packet(decision.back, turn=packet.turn, closes=True))

    def _look_at_other_tops(self, packet: Packet, decision: Decision, said: str) -> None:
        later = replace(packet, begins=not packet.connection, shakes=False)
        for other in self.nodes:
            for key, row in other.directives.items() if other.alive else ():
                one = row.directive.decision
                if one.port == decision.port and one.flow == decision.flow or one in self.lost or not self.is_fresh(later, row):
                    continue
                if key == decision.flow:
                    raise Violation(f"two decisions of one flow: {said}; node {other.place} still may by {one}")
                if one.back == decision.back:
                    raise Violation(f"two flows on one port towards one destination: {said}; node {other.place} still may by {one}")

    def _bind(self, node: Node, packet: Packet, decision: Decision) -> None:
        row, held = node.directives[packet.key], self.bound.get(decision.flow)
        self.clients[decision.flow].last = self.now
        until = row.asked + (PROVISIONAL if packet.shakes else REST)
        same = held and held.turn == packet.turn and held.decision.port == decision.port
        self.bound[decision.flow] = Bound(packet.turn, decision, max(until, held.until) if held and same else until)
        seen = all(self._sees(node, decision) for node in self._rightful(decision.flow))
        if not seen or not self._is_kept(decision) or self._is_with_newcomers(decision):
            self.lost.add(decision)
