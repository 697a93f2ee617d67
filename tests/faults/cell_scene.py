"""A region with a cell, what runs through it, and the history of all that entered and left it.

    wren's client, targets, owl's client -- host-1, host-2 -- node-1 .. node-4 -- edge-1 -- router -- the server outside
                                                    rookery.testing.cell_stage, cell_load; captured at the substrate's ports
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from ipaddress import IPv4Address
from typing import NamedTuple

from rookery.dataplane.formats import DirectiveFlag, FlowKey, Tracker
from rookery.host.instances.namespace import named
from rookery.hyperplane.ring import ranked, seed
from rookery.intent.cell import BALANCER, NAT, AttachmentIntent
from rookery.region.layout import Layout
from rookery.testing import cell_flows
from rookery.testing.capture import Capture, Missed
from rookery.testing.cell_flows import Cell, file_of
from rookery.testing.cell_stage import BALANCER as BALANCER_ADDRESS
from rookery.testing.cell_stage import Tenant, both_tenants
from rookery.testing.cell_wire import Reader, captured
from rookery.testing.history import TCP, History
from tests.conftest import RunningRegion, bring_up
from tests.dataplane.model_cell import place_hash
from tests.executing import execute
from tests.faults.size import IS_WHOLE
from tests.waiting import until

SENDERS = ("host-1", "host-2", "edge-1")
OBSERVED = 0.999  # of all packets; what is less is not observed, and no verdict
CLIENT = "10.60.2.10"  # wren's
PORTS, REST = "/proc/sys/net/ipv4/ip_local_port_range", "/proc/sys/net/ipv4/tcp_tw_reuse"


class Scale(NamedTuple):
    """How much of it."""

    held: int  # connections
    every: float  # seconds between two blocks of each, each way
    flows: int  # of datagrams, through either product
    rate: float  # visits a second
    deaths: int  # of each node, each way to die
    rounds: int  # of nodes that come and go
    frozen: float  # seconds
    flood: int  # SYNs
    weathers: int  # floods, and as often none
    visits: int  # in each
    tried: int  # visits while a way between two trackers loses packets
    gap: float  # seconds that datagrams may be silent
    extra: int  # connections that may break, because both of their trackers die


USUAL = Scale(held=1000, every=2.0, flows=2, rate=10, deaths=1, rounds=1, frozen=2.5, flood=10_000, weathers=2, visits=100, tried=300, gap=1.5, extra=200)
WHOLE = Scale(held=5000, every=2.5, flows=4, rate=200, deaths=6, rounds=12, frozen=60, flood=100_000, weathers=7, visits=200, tried=3000, gap=0.3, extra=1000)
SCALE = WHOLE if IS_WHOLE else USUAL


class Kept(NamedTuple):
    """A connection of wren's client, and what happens to it when some nodes die."""

    way: str  # nat, balancer
    port: int
    primary_dies: bool
    top_dies: bool
    is_doomed: bool  # who knows either of its directions dies


class Scene:
    def __init__(self, region: RunningRegion, wren: Tenant, owl: Tenant, capture: Capture):
        self.region, self.wren, self.owl = region, wren, owl
        self.cell = Cell(region.name, SENDERS)
        file = file_of(region.name)
        nats = [one for one in file.intent.attachments if one.kind == NAT]
        balancers = [one for one in file.intent.attachments if one.kind == BALANCER]
        self.history = History(numbered(nats))
        self._nats = {one.interface: one for one in nats}
        self._secret = file.key
        self._capture = capture
        self._reader = Reader({node.address for node in self.cell.nodes.values()}, numbered(balancers))

    @contextmanager
    def few_ports(self, first: int, last: int) -> Iterator[None]:
        """wren's client uses its ports again before long, and has none rest for a minute that it closed itself."""
        before = execute(self.region.name, self.wren.client, "cat", PORTS, REST).stdout.decode().split()
        self._set_ports(first, last, 1)
        yield
        self._set_ports(*before)

    def _set_ports(self, first: object, last: object, rest: object) -> None:
        done = execute(self.region.name, self.wren.client, "sh", "-c", f"echo {first} {last} > {PORTS}; echo {rest} > {REST}")
        assert done.returncode == 0, done.stderr.decode()

    @property
    def nodes(self) -> tuple[str, ...]:
        return tuple(self.cell.nodes)

    def hear(self) -> History:
        """What has come since it was asked last is history, too."""
        with in_no_hurry():
            for one in self._capture.heard():
                if isinstance(one, Missed):
                    self.history.miss(one.until, one.frames)
                    continue
                for seen in self._reader.read(one.time, one.content):
                    self.history.take(seen)
        return self.history

    def finish_history(self) -> History:
        self._capture.finish()
        return self.hear()

    def shard(self, tenant: Tenant | None = None) -> frozenset[str]:
        """Nodes that serve wren, or that one, and are taken to live."""
        nat = (tenant or self.wren).nat
        account = next(one.account for one in self._nats.values() if one.of == nat)
        addresses = cell_flows.leads_for(self.region.name, "edge-1", account)
        return frozenset(name for name, node in self.cell.nodes.items() if node.address in addresses)

    def keepers(self, key: FlowKey) -> tuple[str, str]:
        """The two nodes that keep it, while all live: by the papers (tests/dataplane/model_cell.py), not by the programs."""
        nat = self._nats.get(key.interface)
        handed_out = nat is not None and key.destination[12:] == IPv4Address(nat.primary).packed
        flow = place_hash(self._secret, key, handed_out)
        names = {node.place: name for name, node in self.cell.nodes.items()}
        first, second = ranked(flow, {place: seed(name) for place, name in names.items()})[:2]
        return names[first], names[second]

    def confirmed(self) -> int:
        """Directions of TCP flows that two nodes keep, and both have heard that they live."""
        rows = [row for node in self.nodes for row in cell_flows.trackers(self.region.name, node).items()]
        over = DirectiveFlag.PROVISIONAL | DirectiveFlag.CLOSING
        known = Counter(key for key, row in rows if key.protocol == TCP and not row.pending and not row.flags & over)
        return sum(count >= 2 for count in known.values())

    def unheard(self, ports: range) -> set[FlowKey]:
        """Connections of wren's client from these ports whose newest decision one of their two nodes has not heard of yet. Should it be the
        other that dies now, those were two faults at once."""
        trackers = {node: cell_flows.trackers_from(self.region.name, node, CLIENT, ports) for node in self.nodes}
        newest: dict[FlowKey, Tracker] = {}
        for rows in trackers.values():
            for key, row in rows.items():
                if begun_by_wren(key, row) and (key not in newest or row.version > newest[key].version):
                    newest[key] = row
        lives = [key for key, row in newest.items() if not row.flags & DirectiveFlag.CLOSING]

        def has_heard(node: str, key: FlowKey) -> bool:
            row = trackers[node].get(key)
            return row is not None and row.version == newest[key].version

        return {key for key in lives if not all(has_heard(node, key) for node in self.keepers(key))}

    def flows(self, dying: tuple[str, ...]) -> list[Kept]:
        """Should these nodes die now. Who lives then is asked, all of them: there are two."""
        trackers = {node: cell_flows.trackers(self.region.name, node) for node in self.nodes}
        directives = {node: cell_flows.directives(self.region.name, node) for node in self.nodes}
        living, tops = set(self.nodes) - set(dying), self.shard()

        def known(key: FlowKey) -> bool:
            return any(key in trackers[node] for node in living) or any(key in directives[node] for node in living & tops)

        def kept(key: FlowKey, answers: FlowKey) -> Kept:
            way = "balancer" if key.destination[12:] == IPv4Address(BALANCER_ADDRESS).packed else "nat"
            through = [node for node in tops if key in directives[node]]
            doomed = not known(key) or (way == "balancer" and not known(answers))  # a NAT's outside is told nothing, and answers nobody
            return Kept(way, int.from_bytes(key.source_port, "big"), self.keepers(key)[0] in dying, set(through) <= set(dying), doomed)

        found = {key: answers_of(key, row) for rows in trackers.values() for key, row in rows.items() if begun_by_wren(key, row)}
        return [kept(key, answers) for key, answers in found.items()]


def observed(history: History) -> str:
    """What of it was seen. A verdict on less than OBSERVED is none."""
    hidden = f"{history.missed} missed by the capture, {history.unseen} of connections whose beginning it missed, {history.unjudged} that contradict what was before"
    return f"observed {history.crossed} packets of {history.begun} flows through the cell, {100 * history.observed():.3f} %; not: {hidden}"


@contextmanager
def in_no_hurry() -> Iterator[None]:
    """Who carries packets goes first: what is observed is not to suffer from being looked at."""
    this = threading.get_native_id()
    before = os.getpriority(os.PRIO_PROCESS, this)
    os.setpriority(os.PRIO_PROCESS, this, before + 5)
    try:
        yield
    finally:
        os.setpriority(os.PRIO_PROCESS, this, before)


def numbered(attachments: list[AttachmentIntent]) -> frozenset[tuple[int, int]]:
    """(VNI, address) of each."""
    return frozenset((one.vni, int(IPv4Address(one.primary))) for one in attachments)


def kinds_at(region: str) -> Counter[str]:
    """Of attachments in the cell's file, how many."""
    return Counter(one.kind for one in file_of(region).intent.attachments)


def begun_by_wren(key: FlowKey, row: Tracker) -> bool:
    client = key.protocol == TCP and key.source[12:] == IPv4Address(CLIENT).packed
    return client and bool(row.flags & DirectiveFlag.OUTWARD) and not row.pending


def answers_of(key: FlowKey, row: Tracker) -> FlowKey:
    """The flow of the answers."""
    way = row
    return key._replace(
        vni=way.vni,
        interface=way.interface,
        source_port=way.destination_port,
        destination_port=way.source_port,
        source=way.destination,
        destination=way.source,
    )


@contextmanager
def cell_scene() -> Iterator[Scene]:
    """Nothing is left of it afterwards."""
    region = bring_up(2, 1, "--edges", "1", "--nodes", "4")
    try:
        keys = region.new_account()[1], region.new_account()[1]
        wren, owl = both_tenants(region.name, *(lambda service, key=key: region.client(service, key=key) for key in keys))
        until(lambda: kinds_at(region.name) == {NAT: 2, BALANCER: 2}, "the cell's file has what both made: by it checks are told from flows")
        nodes = {node.address for node in file_of(region.name).intent.nodes}
        with closing(captured(Layout(region.name).substrate_namespace, nodes)) as capture:
            yield Scene(region, wren, owl, capture)
    finally:
        done = region.rookery("down")
    assert done.returncode == 0, done.stderr.decode()
    assert named(Layout(region.name).namespace_prefix) == []
