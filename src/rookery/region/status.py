"""What `rookery status` shows: parts, hosts, generations, health."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from rookery.model import keys
from rookery.model.codec import decode
from rookery.model.objects import Live
from rookery.region import departed, namespaces, settings, supervisor
from rookery.region.called import COMMAND
from rookery.region.errors import NotRunning
from rookery.region.parts import parts_of, services_of
from rookery.region.processes import Process, is_alive
from rookery.region.ready import HostState, api_answers, edge_states, host_states, node_states
from rookery.region.settings import Settings
from rookery.store.interface import Compacted
from rookery.store.sqlite import SqliteStore, opened


class PartState(msgspec.Struct, kw_only=True):
    name: str
    pid: int = 0
    since: float = 0.0
    restarts: int = 0
    last_end: str = ""
    problem: str = ""


class Status(msgspec.Struct, kw_only=True):
    name: str
    endpoint: str
    revision: int  # the store's
    live: int  # applied by every host concerned
    parts: list[PartState]
    hosts: list[HostState]
    edges: list[HostState] = []
    nodes: list[HostState] = []  # of cells
    departed: dict[str, str] = {}  # by cell: nodes that have left, and what to do about what is still here of them

    @property
    def healthy(self) -> bool:
        return not self.troubles

    @property
    def troubles(self) -> dict[str, str]:
        """By name. Of a host whose process is gone that is said, and not also that it does not answer."""
        told: list[PartState | HostState] = [*self.hosts, *self.edges, *self.nodes, *self.parts]
        return {one.name: one.problem for one in told if one.problem} | self.departed


def current(name: str) -> Settings:
    """Of a region that is up, though parts of it may be dead. Raises NotRunning."""
    shape = settings.read(settings.check_name(name))
    if shape is None or not shape.layout.run.exists():
        raise NotRunning(name)
    return shape


def look(name: str) -> Status:
    shape = current(name)
    hosts, edges, nodes = host_states(shape), edge_states(shape), node_states(shape)
    _notice_lost_namespaces(shape, [*hosts, *edges, *nodes])
    revision, live = asyncio.run(_revisions(shape.layout.database))
    return Status(
        name=name,
        endpoint=f"http://127.0.0.1:{shape.port}",
        revision=revision,
        live=live,
        parts=[_supervisor(shape), *_parts(shape, hosts, [*edges, *nodes])],
        hosts=hosts,
        edges=edges,
        nodes=nodes,
        departed=departed.in_words(shape),
    )


def _notice_lost_namespaces(shape: Settings, hosts: list[HostState]) -> None:
    """A living agent keeps a namespace whose name was deleted, and nobody finds it again after that agent."""
    for host in hosts:
        name = shape.layout.host_namespace(host.name)
        if not host.problem and not namespaces.is_sound(name):
            host.problem = (
                f"the namespace {name} has lost its name: packets go on, but when its agent ends no other can start; "
                f"then: rookery up --name {shape.name}"
            )


def live_generation(name: str) -> int:
    """Every host concerned has applied the state up to this revision."""
    return asyncio.run(_revisions(current(name).layout.database))[1]


def held_up(name: str, generation: int) -> list[str]:
    """Why the hosts are not there yet, in sentences."""
    found = look(name)
    if generation > found.revision:
        return [f"the store itself is only at {found.revision}"]
    reasons = [f"{part.name}: {part.problem}" for part in found.parts if part.problem]
    return reasons or [
        "the mapping service has not passed it on yet, a host is still applying it, or a kernel refused a row; "
        f"see: rookery status --name {name}"
    ]


def _supervisor(shape: Settings) -> PartState:
    process = supervisor.running(shape.layout)
    if process is None:
        problem = f"dead: nothing restarts what dies; run: {COMMAND} up --name {shape.name}"
        return PartState(name="supervisor", problem=problem)
    return PartState(name="supervisor", pid=process.pid, since=shape.layout.supervisor_pid.stat().st_mtime)


def _parts(shape: Settings, hosts: list[HostState], others: list[HostState]) -> list[PartState]:
    records = {record.name: record for record in supervisor.read_records(shape.layout)}
    trouble = {node.name: node.problem for node in (*hosts, *others) if node.problem}
    trouble |= {services_of(host.name): said for host in hosts if host.status and (said := host.status.services)}
    if not api_answers(shape.port):
        trouble["api"] = f"no answer on 127.0.0.1:{shape.port}"
    if not any(host.status and host.status.connected for host in hosts):
        trouble["mapping"] = "no host is connected to it: what changes now reaches none of them, what runs goes on"
    return [_part(part.name, records.get(part.name), trouble.get(part.name, "")) for part in parts_of(shape)]


def _part(name: str, record: supervisor.PartRecord | None, trouble: str) -> PartState:
    if record is None:
        return PartState(name=name, problem="was never started")
    alive = record.pid and is_alive(Process(record.pid, record.started))
    problem = trouble if alive else f"not running; last: {record.last_end or 'ended'}"
    return PartState(
        name=name,
        pid=record.pid if alive else 0,
        since=record.since if alive else 0.0,
        restarts=record.restarts,
        last_end=record.last_end,
        problem=problem,
    )


async def _revisions(database: Path) -> tuple[int, int]:
    """The store's newest, and the one up to which every host concerned has applied all that is intended.

    The mapping service tells the latter when intended state changes; revisions that change none are live by nature."""
    async with opened(database) as store:
        newest = await store.revision()
        entry = await store.get(keys.LIVE)
        told = decode(Live, entry.value).generation if entry else 0
        waiting = await _intended_after(store, told)
        return newest, newest if waiting is None else max(told, waiting - 1)


async def _intended_after(store: SqliteStore, revision: int) -> int | None:
    """The first revision after `revision` that changed intended state; None: none did."""
    try:
        batches = await store.changes_since(revision, keys.INTENDED)
    except Compacted:  # so long ago that its history is gone
        return revision + 1
    return batches[0].revision if batches else None
