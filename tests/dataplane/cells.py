"""A cell's nodes for test runs: bytes that leave one are given to the next, until they leave the cell.

Of either build. Where XDP runs, TC goes on with what that leaves, which must be what came, byte by byte."""

from __future__ import annotations

import os
import resource
import secrets
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest
from _pytest.mark import ParameterSet
from scapy.layers.inet6 import IPv6
from scapy.packet import Packet

from rookery.dataplane.attach import AttachMode
from rookery.dataplane.cell import CellDataplane
from rookery.dataplane.formats import CachedDirective, CellConstant, CellPresence, FlowKey, Tracker, Verdict
from rookery.dataplane.node import XDP_BUILD, WhatIf
from rookery.dataplane.syscall import RunContext, RunResult
from tests.dataplane import plan, plan_cell, plan_edge
from tests.dataplane.edges import HOME
from tests.dataplane.namespaces import inside
from tests.dataplane.objects import built_objects
from tests.dataplane.packets import GENEVE_PORT, IP, ROUTER, UDP, Ether, RookeryGeneve, mac_text
from tests.dataplane.packets_edge import INSIDE, NOWHERE
from tests.faults.size import SIZE

ANY_TRACE = 4
REDIRECTED, DROPPED = 7, 2  # TC_ACT_REDIRECT, TC_ACT_SHOT
XDP_PASSED = 2
AS_TC_SAYS = {1: DROPPED, 4: REDIRECTED}  # XDP_DROP, XDP_REDIRECT
T = TypeVar("T")
SECOND = 1_000_000_000
PAUSE = 0.1  # seconds between two packets that count as none: a machine that is busy elsewhere must not make a flow rest
HOPS_MAX = 24  # of two chains, one after the other
ENTERS_AGAIN = 0x43450001  # what the kernel keeps of a packet that a node gives to itself
FLOW_TABLES = ("directives", "trackers", "fragments")


def ends_here(verdict: int) -> bool:
    """As a heartbeat does, or what is dropped."""
    return verdict == Verdict.KEPT or verdict >= Verdict.DROP_NOT_CONFIGURED


@dataclass
class Node:
    real: CellDataplane
    place: int
    device: int = plan.DEVICE  # from which packets come: its substrate device where XDP runs, for that asks who is there
    ended: dict[Verdict, int] = field(default_factory=dict)
    deferred: int = 0  # packets that XDP left to TC

    @property
    def address(self) -> str:
        return str(plan_cell.NODES[self.place])

    @property
    def xdp(self) -> bool:
        return self.real.attach_mode == "xdp"

    def run(self, wire: bytes, mark: int = 0) -> RunResult:
        """As TC puts it. `mark`: what the kernel keeps of a packet that a node gives to itself, behind XDP."""
        context = RunContext(mark=mark, ifindex=self.device)
        if self.xdp and not mark:
            result = self.real.test_run(f"hyperplane{XDP_BUILD}", wire, context._replace(xdp=True))
            if result.action != XDP_PASSED:
                return self.as_tc(result)
            assert result.frame == wire
            self.deferred += 1
        return self.real.test_run("hyperplane", wire, context)

    def as_tc(self, result: RunResult) -> RunResult:
        """TC leaves the ends of the wire to the kernel."""
        action, frame = AS_TC_SAYS[result.action], result.frame
        if action == REDIRECTED:
            assert frame[:12] == plan_cell.ends_to(self.place, frame[30:34])
            frame = bytes(12) + frame[12:]
        return result._replace(action=action, frame=frame)

    def why(self) -> Verdict:
        """Why the last packet ended here."""
        counted = {Verdict(key.verdict): row.packets for key, row in self.real.counters().items() if ends_here(key.verdict)}
        new = [verdict for verdict, packets in counted.items() if packets != self.ended.get(verdict, 0)]
        self.ended = counted
        assert len(new) == 1, new
        return new[0]

    def tracked(self) -> dict[FlowKey, Tracker]:
        return dict(self.real.trackers.items())


@dataclass
class Journey:
    frame: bytes
    path: list[int]  # places
    verdict: Verdict = Verdict.SENT
    wires: list[bytes] = field(default_factory=list)  # as each node of the path got it

    @property
    def packet(self) -> Packet:
        """What the frame carries."""
        return IPv6(self.frame[80:]) if self.frame[80] >> 4 == 6 else IP(self.frame[80:])

    @property
    def claim(self) -> RookeryGeneve:
        return RookeryGeneve(self.frame[42:66])

    @property
    def host(self) -> str:
        return str(IP(self.frame[14:34]).dst)


@dataclass
class Cell:
    nodes: list[Node]
    namespace: str = ""  # of the nodes' devices; empty: there are none
    moved: float = field(default_factory=time.monotonic)  # when the last packet had

    def within(self, work: Callable[[], T]) -> T:
        """Where the devices are, and always on one processor: shortcuts are of one."""
        if not self.namespace:
            return work()
        processor = min(os.sched_getaffinity(0))

        def there() -> T:
            os.sched_setaffinity(0, {processor})
            return work()

        return inside(self.namespace, there)

    @property
    def deferred(self) -> int:
        return sum(node.deferred for node in self.nodes)

    def travel(self, wire: bytes) -> Journey:
        if time.monotonic() - self.moved > PAUSE:
            age(self, self.moved - time.monotonic())
        journey = self.within(lambda: self._travel(wire))
        self.moved = time.monotonic()
        return journey

    def _travel(self, wire: bytes) -> Journey:
        """From the node that the wire names to where the cell sends it; state moves as it does with real packets."""
        at = {node.address: node for node in self.nodes}
        path: list[int] = []
        wires: list[bytes] = []
        while (node := at.get(IP(wire[14:34]).dst)) and len(path) < HOPS_MAX:
            again = path[-1:] == [node.place]
            path.append(node.place)
            wires.append(wire)
            result = node.run(wire, ENTERS_AGAIN if again else 0)
            wire = result.frame
            if result.action != REDIRECTED:
                assert result.action == DROPPED
                return Journey(wire, path, node.why(), wires)
        assert len(path) < HOPS_MAX, path
        return Journey(wire, path, wires=wires)

    def what_if(self, wire: bytes) -> list[WhatIf]:
        """At each node; nothing is left behind."""
        return self.within(lambda: self._what_if(wire))

    def _what_if(self, wire: bytes) -> list[WhatIf]:
        at = {node.address: node for node in self.nodes}
        told: list[WhatIf] = []
        while (node := at.get(IP(wire[14:34]).dst)) and len(told) < HOPS_MAX:
            told.append(node.real.what_if("hyperplane", wire, node.device, ANY_TRACE))
            wire = told[-1].frame
            if told[-1].verdict is not Verdict.SENT:
                break
        return told

    def keepers(self, key: FlowKey) -> list[int]:
        """Places of the nodes that have a row of it."""
        return [node.place for node in self.nodes if node.real.trackers.get(key)]

    def each(self, table: str) -> Iterator[tuple[Node, object]]:
        for node in self.nodes:
            yield node, getattr(node.real, table)

    def restore(self, young: bool = False) -> None:
        """Nobody remembers anything; tables as in the plan."""
        for node in self.nodes:
            for name in FLOW_TABLES:
                table = getattr(node.real, name)
                table.delete_many([key for key, _ in table.items()])
            node.real.tenants.delete_many([key for key, _ in node.real.tenants.items() if key.tenant])
            plan_cell.fill_node(node.real, node.place, len(self.nodes), node.device if node.xdp else plan_cell.NO_DEVICE)
            node.real.cell_living = 0
            node.real.note_presence(dict.fromkeys(range(CellConstant.NODES_MAX), CellPresence(0, 0)))
            node.deferred = 0
            node.ended = {Verdict(k.verdict): row.packets for k, row in node.real.counters().items() if ends_here(k.verdict)}


def earlier(row: CachedDirective, seconds: float) -> CachedDirective:
    """Had and used so long before; never is never."""
    seen, told, leased = (max(at - int(seconds * SECOND), 1) if at else 0 for at in (row.seen, row.told, row.leased))
    return row._replace(seen=seen, told=told, leased=leased)


def age(cell: Cell, seconds: float) -> None:
    """As if so much time had passed since anything was seen."""
    for node in cell.nodes:
        rows = {one: earlier(row, seconds) for one, row in node.real.directives.items()}
        node.real.directives.put_many(rows)
        kept = {one: row._replace(deadline=max(row.deadline - int(seconds * SECOND), 1)) for one, row in node.real.trackers.items()}
        node.real.trackers.put_many(kept)


def kinds(*counts: int, always: Collection[int] = ()) -> list[ParameterSet]:
    """What `cell` makes: of so many nodes, of either build. XDP's `always` of these counts, and of all where `make faults` asks for it."""
    return [*(_kind(n) for n in counts), *(_kind(n, "xdp") for n in counts if SIZE or n in always)]


def _kind(count: int, build: str = "tc") -> ParameterSet:
    return pytest.param((count, build), id=f"{count} nodes" + ", xdp" * (build == "xdp"))


def shared(kinds: Iterable[ParameterSet]) -> Callable[..., Iterator[Cell]]:
    """A fixture: the cell of a file, of one kind after the other. `one_cell` is what conftest's `cell` restores for each test."""

    @pytest.fixture(scope="module", params=[*kinds])
    def one(request: pytest.FixtureRequest) -> Iterator[Cell]:
        with cell(*request.param) as made:
            yield made

    return one


def shared_alike(count: int, build: str = "tc") -> Callable[..., Iterator[Cell]]:
    """As shared(), of one kind, also where `make faults` asks for more."""
    return shared([_kind(count, build)])


@contextmanager
def cell(count: int, build: str = "tc") -> Iterator[Cell]:
    """`build`: "tc", or "xdp" in front of it."""
    if build == "tc":
        with _nodes(count) as nodes:
            yield Cell(nodes)
        return
    namespace = f"rookery-t{secrets.token_hex(4)}"
    with plan_cell.lonely_nodes(namespace, count) as devices, _nodes(count, "xdp") as nodes:
        for node, device in zip(nodes, devices, strict=True):
            node.device = device
        yield Cell(nodes, namespace)


@contextmanager
def _nodes(count: int, mode: AttachMode | None = None) -> Iterator[list[Node]]:
    made: dict[Path, Node] = {}
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # each object of each node has some fifty maps open
    try:
        for place in range(count):
            path = Path("/sys/fs/bpf") / f"rookery-t{secrets.token_hex(4)}"
            made[path] = Node(CellDataplane.open(path, built_objects(), 256, plan_cell.SIZES, mode), place)
        yield list(made.values())
    finally:
        for path, node in made.items():
            node.real.close()
            CellDataplane.remove_pins(path)


def _wrapped(inner: Packet, sender: str, top: int, claim: RookeryGeneve) -> bytes:
    outer = IP(src=sender, dst=str(plan_cell.NODES[top]), flags="DF", id=0) / UDP(sport=50000, dport=GENEVE_PORT, chksum=0)
    return bytes(Ether(src=NOWHERE, dst=NOWHERE) / outer / claim / inner)


def to_top(packet: Packet, top: int = 0, led_to: int = 0, **geneve: int) -> bytes:
    """As the host of the packet's source wraps it."""
    number = INSIDE.get(packet.src, 11)
    vni = {31: plan.PEER, 41: plan.THIRD}.get(number, plan.VPC)
    claim = RookeryGeneve(**{"vni": vni, "origin_vni": vni, "interface": number, "target": led_to, **geneve})
    return _wrapped(Ether(src=mac_text(number), dst=ROUTER) / packet, HOME[number], top, claim)


def from_outside(packet: Packet, top: int = 0) -> bytes:
    """As an edge wraps it, its destination translated."""
    claim = RookeryGeneve(vni=plan.VPC, origin_vni=plan.VPC, interface=0, target=0)
    return _wrapped(Ether(src=plan_edge.ROUTER_MAC, dst=ROUTER) / packet, str(plan_edge.EDGE_1), top, claim)
