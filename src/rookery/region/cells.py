"""The region's cell of Hyperplane: its nodes' files and rows, and what `rookery cell` shows and changes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

import msgspec

from rookery.files import write_whole
from rookery.hyperplane.cell_file import CellFile, Damaged, decode, hash_of
from rookery.hyperplane.config import CellNodeConfig
from rookery.hyperplane.object_store import ObjectStore, file_key, opened, report_key
from rookery.hyperplane.report import NodeReport
from rookery.hyperplane.report import decode as decode_report
from rookery.model.codec import decode as decode_thing
from rookery.model.codec import encode
from rookery.model.keys import CELLS, SHARDS, cell_key
from rookery.model.objects import Cell, Host, Shard
from rookery.region.errors import NotFound, RegionError
from rookery.region.layout import CELL, node_name
from rookery.region.node_settings import node_settings
from rookery.region.settings import Settings
from rookery.region.status import current
from rookery.store.interface import Compare, Conflict, Entry
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


class CellRow(msgspec.Struct, kw_only=True):
    name: str
    epoch: int = 0  # of the newest file; 0: there is none
    hash: str = ""
    generation: int = 0
    rings_settled: bool = True
    attachments: int = 0
    services: int = 0
    targets: int = 0
    accounts: int = 0
    nodes: list[NodeRow]
    problem: str = ""


# What `up` prepares


def write_files(settings: Settings) -> None:
    for index in range(settings.nodes):
        path = settings.layout.host_run(node_name(index)) / "node.json"
        write_whole(path, msgspec.json.format(msgspec.json.encode(node_config(settings, index))))


def node_config(settings: Settings, index: int) -> CellNodeConfig:
    return CellNodeConfig(
        **node_settings(settings, node_name(index), settings.node_address_of(index)),
        cell=CELL,
        objects=str(settings.layout.objects),
        checks_namespace=settings.layout.checks_namespace(node_name(index)),
    )


def hosts(settings: Settings) -> list[Host]:
    return [
        Host(name=name, zone=settings.zone_of(i), address=settings.node_address_of(i), cell=CELL)
        for i, name in enumerate(settings.node_names)
    ]


async def register(settings: Settings, store: SqliteStore) -> None:
    """The cell's row: every node keeps its place. Without nodes there is no cell, and none of its shards."""
    if not settings.nodes:
        gone = [entry.key for prefix in (CELLS, SHARDS) for entry in (await store.range(prefix)).entries]
        await store.txn([], {}, gone)
        return
    entry = await store.get(cell_key(CELL))
    held = decode_thing(Cell, entry.value) if entry else Cell(name=CELL, zones=(), nodes=())
    wanted = msgspec.structs.replace(
        held,
        zones=tuple(range(settings.zones)),
        nodes=placed(held.nodes, settings.node_names),
        draining=tuple(name for name in held.draining if name in settings.node_names),
    )
    if entry is None or wanted != held:
        await store.txn([Compare(cell_key(CELL), entry.revision if entry else 0)], {cell_key(CELL): encode(wanted)})


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


def look(name: str) -> CellRow | None:
    """None: the region has no cell. Raises NotRunning."""
    shape = current(name)
    return asyncio.run(_look(shape)) if shape.nodes else None


async def _look(shape: Settings) -> CellRow:
    objects = opened(str(shape.layout.objects))
    async with opened_store(shape.layout.database) as store:
        cell, _ = await _cell(store)
        shards = [decode_thing(Shard, entry.value) for entry in (await store.range(f"{SHARDS}{CELL}/")).entries]
    file, told = await _file(objects)
    reports = [await objects.get(report_key(CELL, name)) for name in shape.node_names]
    nodes = [
        NodeRow(
            name=name,
            address=shape.node_address_of(index),
            draining=name in cell.draining,
            in_ring=bool(file and name in cell.nodes and cell.nodes.index(name) in file.current),
            shards=sum(name in shard.nodes for shard in shards),
            report=decode_report(packed) if packed else None,
        )
        for index, (name, packed) in enumerate(zip(shape.node_names, reports, strict=True))
    ]
    for node in nodes:
        node.problem = _problem(node)
    row = CellRow(name=CELL, nodes=nodes)
    row.accounts, row.problem = len(shards), "" if file else told
    if file:
        row.epoch, row.hash, row.generation = file.epoch, told, file.intent.generation
        row.rings_settled = file.current == file.previous
        row.attachments, row.services, row.targets = map(
            len, (file.intent.attachments, file.intent.services, file.intent.targets)
        )
    return row


async def _cell(store: SqliteStore) -> tuple[Cell, Entry]:
    entry = await store.get(cell_key(CELL))
    if entry is None:
        raise NotFound(f"the region has no cell {CELL}")
    return decode_thing(Cell, entry.value), entry


async def _file(objects: ObjectStore) -> tuple[CellFile | None, str]:
    """And its hash, or what is wrong."""
    packed = await objects.get(file_key(CELL))
    if packed is None:
        return None, "the controller has written no file yet"
    try:
        return decode(packed), hash_of(packed)
    except Damaged as error:
        return None, str(error)


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


def drain(name: str, node: str, draining: bool) -> None:
    """Raises NotFound, RegionError: it is the last."""
    shape = current(name)
    if node not in shape.node_names:
        raise NotFound(f"there is no node {node!r}; there are: {', '.join(shape.node_names) or 'none'}")
    asyncio.run(_set_draining(shape, {node}, draining))


async def _set_draining(shape: Settings, nodes: set[str], draining: bool) -> None:
    async with opened_store(shape.layout.database) as store:
        while True:
            cell, entry = await _cell(store)
            wanted = set(cell.draining) | nodes if draining else set(cell.draining) - nodes
            if not set(filter(None, cell.nodes)) - wanted:
                raise RegionError("a cell needs a node that takes new flows: this is the last")
            changed = msgspec.structs.replace(cell, draining=tuple(sorted(wanted)))
            try:
                await store.txn([Compare(cell_key(CELL), entry.revision)], {cell_key(CELL): encode(changed)})
            except Conflict:
                continue
            return


def wait_drained(shape: Settings, nodes: set[str], tell: Callable[[str], None]) -> None:
    """Until no shard and no ring names them any more, and every living node uses that ring. Raises RegionError."""
    deadline = time.monotonic() + PATIENCE
    tell(f"waiting until {', '.join(sorted(nodes))} keep no flow any more")
    while not asyncio.run(_drained(shape, nodes)):
        if time.monotonic() > deadline:
            raise RegionError(f"{', '.join(sorted(nodes))} still drain after {PATIENCE:.0f} s; see: rookery cell")
        time.sleep(POLL)


async def _drained(shape: Settings, nodes: set[str]) -> bool:
    file, _ = await _file(opened(str(shape.layout.objects)))
    if file is None:
        return False
    async with opened_store(shape.layout.database) as store:
        shards = [decode_thing(Shard, entry.value) for entry in (await store.range(f"{SHARDS}{CELL}/")).entries]
    if any(nodes.intersection(shard.nodes) for shard in shards):
        return False
    places = {node.place for node in file.intent.nodes if node.name in nodes}
    return file.current == file.previous and not places & set(file.current)


async def forget_reports(shape: Settings, nodes: Iterable[str]) -> None:
    """Of nodes that are gone."""
    for node in nodes:
        (shape.layout.objects / report_key(CELL, node)).unlink(missing_ok=True)


def begin_removal(shape: Settings, nodes: set[str]) -> None:
    """They take no new flows, and others take over what they keep. Raises RegionError."""
    asyncio.run(_set_draining(shape, nodes, draining=True))
