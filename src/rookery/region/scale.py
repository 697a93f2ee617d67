"""`rookery cell scale N`: nodes come into a running cell, or leave it, without breaking a flow."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Collection

from rookery.region import cells, departed, namespaces, owned, port_guard, processes, settings, supervisor
from rookery.region.errors import CannotStart
from rookery.region.lock import only_one
from rookery.region.prepare import prepare
from rookery.region.ready import wait_ready
from rookery.region.settings import CellShape, Settings
from rookery.region.status import current

GRACE = 3.0


def scale(name: str, nodes: int, tell: Callable[[str], None], cell: str = "") -> None:
    """`cell`: its name; empty: the only one. Raises CannotStart, NotRunning, NotFound, Ambiguous, RegionError."""
    with only_one(name):
        before = current(name)
        if not before.the_cells or not nodes:
            raise CannotStart("a region begins and ends with its cell: `up --nodes N` while it is down")
        held = before.cell(cell)
        finish(before, held.name, tell)
        wanted = CellShape(held.number, nodes)
        shape = before.with_cells(wanted)
        settings.check(shape)
        leaving = set(held.node_names) - set(wanted.node_names)
        if leaving:
            cells.begin_removal(before, held.name, leaving)
            cells.wait_drained(before, held.name, leaving, tell)
            cells.wait_idle(before, held.name, leaving, tell)
            take_away(shape, held.name, tell)
        else:
            become(shape, wanted.node_names, tell)
        tell(f"{held.name} has {nodes} nodes")


def finish(shape: Settings, cell: str, tell: Callable[[str], None]) -> bool:
    """What a command left that was killed while it took nodes of this cell away, or the cell whole; whether there was anything."""
    if cell not in departed.found(shape):
        return False
    tell(f"taking away what is left of nodes of {cell}")
    take_away(shape, cell, tell)
    return True


def take_away(shape: Settings, cell: str, tell: Callable[[str], None]) -> None:
    """The nodes of this cell that `shape` has no more; the cell, too, when it has none. Whoever is killed at any step leaves what finish() finds.
    Raises CannotStart."""
    settings.write(shape)
    staying = [one for one in shape.the_cells if one.name == cell]
    become(shape, [node for one in staying for node in one.node_names], tell)
    clear(shape, cell)


def become(shape: Settings, wait_for: Collection[str], tell: Callable[[str], None]) -> None:
    """The supervisor's successor takes over the parts that live, and starts those that are new; returns when the nodes `wait_for` are ready:
    what is wrong with other cells is no reason to wait. Raises CannotStart."""
    prepare(shape, tell)
    settings.write(shape)
    supervisor.replace(shape.layout)
    wait_ready(shape, tell, among=wait_for)


def clear(shape: Settings, cell: str) -> None:
    """Nodes of this cell that have left, once nobody starts them again: processes, namespaces, pins, files. Of a cell that has left, its file and rows."""
    _remove_nodes(shape, cell, departed.found(shape).get(cell, ()))
    if all(one.name != cell for one in shape.the_cells):
        asyncio.run(cells.forget_cell(shape, cell))


def _remove_nodes(shape: Settings, cell: str, leaving: Collection[str]) -> None:
    plan = shape.layout
    for node in leaving:
        namespace = plan.host_namespace(node)
        inode = namespaces.inode(namespace)
        inside = [one for one in owned.region_processes(plan) if processes.network_namespace(one.pid) == inode]
        processes.end(inside, GRACE)
        namespaces.remove(namespace)
        namespaces.remove(plan.checks_namespace(node))
        port_guard.pin_of(plan, node).unlink(missing_ok=True)
        for folder in (plan.pins / node, plan.host_run(node), plan.state / node):
            shutil.rmtree(folder, ignore_errors=True)
    cells.forget_reports(shape, cell, leaving)
