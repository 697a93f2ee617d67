"""`rookery cell scale N`: nodes come into the running cell, or leave it, without breaking a flow."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable

import msgspec

from rookery.region import cells, namespaces, owned, processes, settings
from rookery.region.errors import CannotStart
from rookery.region.lock import only_one
from rookery.region.prepare import prepare
from rookery.region.ready import wait_ready
from rookery.region.settings import Settings
from rookery.region.status import current
from rookery.region.supervisor import launch, running

GRACE = 3.0


def scale(name: str, nodes: int, tell: Callable[[str], None]) -> None:
    """Raises CannotStart, NotRunning, RegionError."""
    with only_one(name):
        before = current(name)
        shape = msgspec.structs.replace(before, nodes=nodes)
        settings.check(shape)
        if not before.nodes or not nodes:
            raise CannotStart("a region begins and ends with its cell: `up --nodes N` while it is down")
        leaving = set(before.node_names) - set(shape.node_names)
        if leaving:
            cells.begin_removal(before, leaving)
            cells.wait_drained(before, leaving, tell)
        _apply(shape, tell)
        _remove(before, leaving)
        tell(f"the cell has {nodes} nodes")


def _apply(shape: Settings, tell: Callable[[str], None]) -> None:
    """The supervisor's successor takes over the parts that live, and starts those that are new."""
    supervisor = running(shape.layout)
    if supervisor:
        processes.end([supervisor], GRACE)
    prepare(shape, tell)
    settings.write(shape)
    launch(shape.layout)
    wait_ready(shape, tell)


def _remove(before: Settings, leaving: set[str]) -> None:
    plan = before.layout
    for node in leaving:
        namespace = plan.host_namespace(node)
        inode = namespaces.inode(namespace)
        inside = [one for one in owned.region_processes(plan) if processes.network_namespace(one.pid) == inode]
        processes.end(inside, GRACE)
        namespaces.remove(namespace)
        namespaces.remove(plan.checks_namespace(node))
        for folder in (plan.pins / node, plan.host_run(node), plan.state / node):
            shutil.rmtree(folder, ignore_errors=True)
    asyncio.run(cells.forget_reports(before, leaving))


