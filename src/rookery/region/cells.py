"""The region's cells of Hyperplane: their nodes' files and rows, and what `rookery cell` shows and changes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence

import msgspec

from rookery.files import write_whole
from rookery.hyperplane.cell_file import CellFile, Damaged, decode, hash_of
from rookery.hyperplane.config import CellNodeConfig
from rookery.hyperplane.object_store import file_key, measures_key, report_key
from rookery.hyperplane.pace import TICK_SECONDS
from rookery.hyperplane.report import NodeReport
from rookery.hyperplane.report import decode as decode_report
from rookery.model.codec import decode as decode_thing
from rookery.model.codec import encode
from rookery.model.keys import CELLS, SHARDS, cell_key, cell_status_key, room_key, target_health_key
from rookery.model.objects import Cell, CellStatus, Host, Shard
from rookery.region.errors import NotFound, RegionError
from rookery.region.node_settings import node_settings
from rookery.region.settings import CellShape, NodePlace, Settings
from rookery.region.status import current
from rookery.store.interface import Compare, Conflict, Entry, Store
from rookery.store.sqlite import SqliteStore
from rookery.store.sqlite import opened as opened_store

PATIENCE = 90.0  # seconds: rings change by one node, and each change takes some ticks
POLL = 0.2
OLD_FILE = 10.0  # seconds: five ticks


class NodeRow(msgspec.Struct, kw_only=True):
    name: str
    address: str
    draining: bool
    in_ring: bool
    shards: int  # accounts that it serves
    report: NodeReport | None = None
    problem: str = ""


class NodeCause(msgspec.Struct, kw_only=True):
    node: str
    what: str  # a verdict; "reset"
    cause: str
    seen: int
    last: float  # unix seconds


class CellRow(msgspec.Struct, kw_only=True):
    name: str
    epoch: int = 0  # of the newest file; 0: there is none
    hash: str = ""
    generation: int = 0
    rings_settled: bool = True
    closed: bool = False
    attachments: int = 0
    services: int = 0
    targets: int = 0
    accounts: int = 0
    left_out: tuple[str, ...] = ()  # what the file has no room for and nobody serves
    nodes: list[NodeRow]
    alarms: list[str] = []  # what somebody has to do something about
    causes: list[NodeCause] = []  # why packets were dropped and connections reset last, the newest first
    problem: str = ""


# What `up` prepares


def write_files(settings: Settings) -> None:
    for node in settings.node_places:
        path = settings.layout.host_run(node.name) / "node.json"
        write_whole(path, msgspec.json.format(msgspec.json.encode(node_config(settings, node))))


def node_config(settings: Settings, node: NodePlace) -> CellNodeConfig:
    return CellNodeConfig(
        **node_settings(settings, node.name, node.address),
        cell=node.cell,
        objects=str(settings.layout.objects),
        checks_namespace=settings.layout.checks_namespace(node.name),
    )


def hosts(settings: Settings) -> list[Host]:
    return [Host(name=one.name, zone=one.zone, address=one.address, cell=one.cell) for one in settings.node_places]


async def register(settings: Settings, store: SqliteStore) -> None:
    """The cells' rows: every node keeps its place. A cell that is no more leaves nothing, and none of its shards."""
    names = {cell.name for cell in settings.the_cells}
    for entry in (await store.range(CELLS)).entries:
        gone = entry.key.removeprefix(CELLS)
        if gone not in names:
            await store.txn([], {}, await _rows_of(store, gone))
    for cell in settings.the_cells:
        await _register(settings, store, cell)


async def _register(settings: Settings, store: SqliteStore, cell: CellShape) -> None:
    entry = await store.get(cell_key(cell.name))
    held = decode_thing(Cell, entry.value) if entry else Cell(name=cell.name, zones=(), nodes=())
    wanted = msgspec.structs.replace(
        held,
        zones=tuple(range(settings.zones)),
        nodes=placed(held.nodes, cell.node_names),
        draining=tuple(name for name in held.draining if name in cell.node_names),
    )
    if entry is None or wanted != held:
        await store.txn([Compare(cell_key(cell.name), entry.revision if entry else 0)], {cell_key(cell.name): encode(wanted)})


async def _rows_of(store: SqliteStore, cell: str) -> list[str]:
    """All that is stored of a cell."""
    shards = [entry.key for entry in (await store.range(f"{SHARDS}{cell}/")).entries]
    return [cell_key(cell), room_key(cell), cell_status_key(cell), target_health_key(cell), *shards]


def placed(held: Iterable[str], wanted: Iterable[str]) -> tuple[str, ...]:
    """Who stays keeps the place, who is new gets the first free one."""
    names = list(wanted)
    places = [name if name in names else "" for name in held]
    for name in names:
        if name not in places:
            if "" in places:
                places[places.index("")] = name
            else:
                places.append(name)
    while places and not places[-1]:
        places.pop()
    return tuple(places)


# What `rookery cell` shows


def look(name: str, cell: str = "") -> CellRow | None:
    """`cell`: its name; empty: the only one. None: the region has no cell. Raises NotRunning, NotFound, Ambiguous: there are several."""
    shape = current(name)
    return asyncio.run(_look(shape, shape.cell(cell))) if shape.the_cells or cell else None


def look_at_all(name: str) -> list[CellRow]:
    """Raises NotRunning."""
    shape = current(name)
    return [asyncio.run(_look(shape, cell)) for cell in shape.the_cells]


async def _look(shape: Settings, which: CellShape) -> CellRow:
    async with opened_store(shape.layout.database) as store:
        cell, _ = await _cell(store, which.name)
        shards = await _shards(store, which.name)
        left_out = await _left_out(store, which.name)
    file, told = _file(shape, which.name)
    nodes = [_node_row(shape, node, cell, file, shards) for node in shape.node_places if node.cell == which.name]
    row = CellRow(name=which.name, nodes=nodes, alarms=alarms_of(nodes), causes=causes_of(nodes), closed=cell.closed)
    row.accounts, row.left_out = len(shards), left_out
    row.problem = no_room(left_out) if file else told
    if file:
        row.epoch, row.hash, row.generation = file.epoch, told, file.intent.generation
        row.rings_settled = file.current == file.previous
        row.attachments, row.services, row.targets = map(
            len, (file.intent.attachments, file.intent.services, file.intent.targets)
        )
    return row


def _node_row(shape: Settings, node: NodePlace, cell: Cell, file: CellFile | None, shards: Iterable[Shard]) -> NodeRow:
    packed = _object(shape, report_key(cell.name, node.name))
    row = NodeRow(
        name=node.name,
        address=node.address,
        draining=node.name in cell.draining,
        in_ring=bool(file and node.name in cell.nodes and cell.nodes.index(node.name) in file.current),
        shards=sum(node.name in shard.nodes for shard in shards),
        report=decode_report(packed) if packed else None,
    )
    row.problem = _problem(row)
    return row


async def _cell(store: Store, name: str) -> tuple[Cell, Entry]:
    entry = await store.get(cell_key(name))
    if entry is None:
        raise NotFound(f"the region has no cell {name}")
    return decode_thing(Cell, entry.value), entry


async def _shards(store: SqliteStore, cell: str) -> list[Shard]:
    return [decode_thing(Shard, entry.value) for entry in (await store.range(f"{SHARDS}{cell}/")).entries]


async def _left_out(store: SqliteStore, cell: str) -> tuple[str, ...]:
    entry = await store.get(cell_status_key(cell))
    return decode_thing(CellStatus, entry.value).left_out if entry else ()


def no_room(left_out: tuple[str, ...]) -> str:
    """In words; empty: there is room for all."""
    return f"its file has no room for, and nobody serves: {'; '.join(left_out)}" if left_out else ""


def _object(shape: Settings, key: str) -> bytes | None:
    """On one machine the object store is a folder, whose objects are whole or not there. A command that reads them needs no threads, which
    may call back when it has ended: obstore's do, and then Python aborts."""
    try:
        return (shape.layout.objects / key).read_bytes()
    except FileNotFoundError:
        return None


def _file(shape: Settings, cell: str) -> tuple[CellFile | None, str]:
    """And its hash, or what is wrong."""
    packed = _object(shape, file_key(cell))
    if packed is None:
        return None, "the controller has written no file yet"
    try:
        return decode(packed), hash_of(packed)
    except Damaged as error:
        return None, str(error)


def causes_of(nodes: Iterable[NodeRow]) -> list[NodeCause]:
    found = (
        NodeCause(node=node.name, what=one.what, cause=one.cause, seen=one.seen, last=one.last)
        for node in nodes
        if node.report
        for one in node.report.causes
    )
    return sorted(found, key=lambda one: -one.last)


def alarms_of(nodes: Sequence[NodeRow]) -> list[str]:
    """What is wrong with nodes, and what is missing at somebody's attachment: as long as that is not older than a few minutes."""
    wrong = [f"{node.name}: {node.problem}" for node in nodes if node.problem]
    causes = (one for node in nodes if node.report for one in node.report.causes)
    missing = [one for one in causes if one.is_alarm(time.time())]
    return [*wrong, *dict.fromkeys(one.cause for one in sorted(missing, key=lambda one: -one.last))]


def _problem(row: NodeRow) -> str:
    report = row.report
    if report is None:
        return "it has reported nothing yet"
    silent = time.time() - report.time
    if silent > OLD_FILE:
        return f"silent for {silent:.0f} s"
    if report.refused:
        return report.refused
    return f"it goes by a file of {report.file_age:.0f} s ago" if report.file_age > OLD_FILE else ""


# What it changes


def cell_of(shape: Settings, node: str) -> str:
    """Name of the cell whose node it is. Raises NotFound."""
    for one in shape.node_places:
        if one.name == node:
            return one.cell
    raise NotFound(f"there is no node {node!r}; there are: {', '.join(shape.node_names) or 'none'}")


def wait_until_unused(name: str, node: str, tell: Callable[[str], None]) -> None:
    """Of a node that drains: until others keep all that it kept, and no packet passes through it. Raises NotFound, RegionError."""
    shape = current(name)
    cell = cell_of(shape, node)
    wait_drained(shape, cell, {node}, tell)
    wait_idle(shape, cell, {node}, tell)


def drain(name: str, node: str, draining: bool) -> None:
    """Raises NotFound, RegionError: it is the last of its cell."""
    shape = current(name)
    asyncio.run(_set_draining(shape, cell_of(shape, node), {node}, draining))


async def _set_draining(shape: Settings, name: str, nodes: set[str], draining: bool) -> None:
    def changed(cell: Cell) -> Cell:
        wanted = set(cell.draining) | nodes if draining else set(cell.draining) - nodes
        if not set(filter(None, cell.nodes)) - wanted:
            raise RegionError("a cell needs a node that takes new flows: this is the last")
        return msgspec.structs.replace(cell, draining=tuple(sorted(wanted)))

    async with opened_store(shape.layout.database) as store:
        await _change(store, name, changed)


async def _change(store: Store, name: str, changed: Callable[[Cell], Cell]) -> Cell:
    """The cell's row; as it was before. Whoever places something in the cell at the same moment is tried again, and sees it."""
    while True:
        cell, entry = await _cell(store, name)
        rows = {cell_key(name): encode(changed(cell)), room_key(name): b"changed"}
        try:
            await store.txn([Compare(cell_key(name), entry.revision)], rows)
        except Conflict:
            continue
        return cell


def set_closed(shape: Settings, name: str, closed: bool) -> bool:
    """Whether it takes nothing new; whether that was so before. Raises NotFound."""

    async def work() -> bool:
        async with opened_store(shape.layout.database) as store:
            return await close(store, name, closed)

    return asyncio.run(work())


async def close(store: Store, name: str, closed: bool) -> bool:
    """As set_closed."""
    return (await _change(store, name, lambda cell: msgspec.structs.replace(cell, closed=closed))).closed


def wait_drained(shape: Settings, cell: str, nodes: set[str], tell: Callable[[str], None]) -> None:
    """Until no shard and no ring names them any more, and every living node uses that ring. Raises RegionError."""
    deadline = time.monotonic() + PATIENCE
    tell(f"waiting until {', '.join(sorted(nodes))} keep no flow any more")
    while not asyncio.run(_drained(shape, cell, nodes)):
        if time.monotonic() > deadline:
            raise RegionError(f"{', '.join(sorted(nodes))} still drain after {PATIENCE:.0f} s; see: rookery cell")
        time.sleep(POLL)


def wait_idle(shape: Settings, cell: str, nodes: set[str], tell: Callable[[str], None]) -> None:
    """Until each has reported that it sends no packet on any more. Raises RegionError."""
    deadline = time.monotonic() + PATIENCE
    tell(f"waiting until no packet passes through {', '.join(sorted(nodes))} any more")
    began = time.time()
    while not _idle(shape, cell, nodes, began):
        if time.monotonic() > deadline:
            raise RegionError(f"packets still pass through {', '.join(sorted(nodes))} after {PATIENCE:.0f} s; see: rookery cell")
        time.sleep(POLL)


def _idle(shape: Settings, cell: str, nodes: set[str], since: float) -> bool:
    """By reports of a time that lies wholly after `since`: a rate is of the ticks between two reports."""
    packed = [_object(shape, report_key(cell, node)) for node in nodes]
    reports = [decode_report(one) for one in packed if one]
    return len(reports) == len(nodes) and all(one.time > since + TICK_SECONDS and not one.rate for one in reports)


async def _drained(shape: Settings, cell: str, nodes: set[str]) -> bool:
    file, _ = _file(shape, cell)
    if file is None:
        return False
    async with opened_store(shape.layout.database) as store:
        shards = await _shards(store, cell)
    if any(nodes.intersection(shard.nodes) for shard in shards):
        return False
    places = {node.place for node in file.intent.nodes if node.name in nodes}
    return file.current == file.previous and not places & set(file.current)


def forget_reports(shape: Settings, cell: str, nodes: Iterable[str]) -> None:
    """Of nodes that are gone; what they counted, too."""
    for node in nodes:
        for key in (report_key(cell, node), measures_key(cell, node)):
            (shape.layout.objects / key).unlink(missing_ok=True)


async def forget_cell(shape: Settings, cell: str) -> None:
    """What is left of one that is gone: what its controller told of it last, and its file, by which it is found (rookery.region.departed)."""
    async with opened_store(shape.layout.database) as store:
        await store.txn([], {}, await _rows_of(store, cell))
    (shape.layout.objects / file_key(cell)).unlink(missing_ok=True)


def begin_removal(shape: Settings, cell: str, nodes: set[str]) -> None:
    """They take no new flows, and others take over what they keep. Raises RegionError."""
    asyncio.run(_set_draining(shape, cell, nodes, draining=True))
