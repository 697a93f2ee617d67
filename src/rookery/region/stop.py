"""Removes a region, whatever is left of it: the same way after a clean life and after a crash of everything."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

from rookery.files import remove_if_empty
from rookery.region import namespaces, owned, processes
from rookery.region.errors import RegionError
from rookery.region.layout import Layout
from rookery.region.lock import only_one
from rookery.region.supervisor import running

GRACE = 3.0
PATIENCE = 10.0


def exists(plan: Layout) -> bool:
    """Anything of it: a process, a namespace, a folder."""
    found = owned.region_folders(plan) or owned.region_namespaces(plan)
    return bool(found) or bool(owned.region_processes(plan))


def tear_down(name: str, keep_data: bool, tell: Callable[[str], None]) -> None:
    """Returns when nothing is left (of the state: unless `keep_data`). Raises RegionError naming what stayed."""
    with only_one(name):
        clear(Layout(name), keep_data, tell)


def clear(plan: Layout, keep_data: bool, tell: Callable[[str], None]) -> None:
    """As tear_down, for who holds the lock."""
    _end_processes(plan, tell)
    tell("removing namespaces, pins and files")
    _remove_namespaces(plan)
    _remove_mounts(plan)
    kept = {plan.state} if keep_data else set()
    for folder in owned.region_folders(plan):
        if folder not in kept:
            shutil.rmtree(folder)
            remove_if_empty(folder.parent)
    _check_gone(plan, kept)


def _end_processes(plan: Layout, tell: Callable[[str], None]) -> None:
    supervisor = running(plan)
    if supervisor:  # first, or it would start again what we end
        processes.end([supervisor], GRACE)
    services = [part for part in owned.region_processes(plan) if _is_ours(part)]
    tell(f"ending {len(services)} parts")
    processes.end(services, GRACE)
    deadline = time.monotonic() + PATIENCE
    while left := owned.region_processes(plan):  # instances: all they run; a dying one may have made more
        processes.end(left, 0.0)
        if time.monotonic() > deadline:
            raise RegionError(f"these processes do not end: {sorted(process.pid for process in left)}")


def _is_ours(process: processes.Process) -> bool:
    words = processes.arguments(process.pid)
    return any(word in owned.PROGRAMS | owned.OF_NODES | owned.OTHERS for word in words)


def _remove_namespaces(plan: Layout) -> None:
    for name in owned.region_namespaces(plan):
        namespaces.remove(name)


def _remove_mounts(plan: Layout) -> None:
    for point in owned.region_mounts(plan):
        namespaces.run("umount", "--lazy", point)


def _check_gone(plan: Layout, kept: set[Path]) -> None:
    left = [str(folder) for folder in owned.region_folders(plan) if folder not in kept]
    left += owned.region_namespaces(plan)
    left += [f"process {process.pid}" for process in owned.region_processes(plan)]
    if left:
        raise RegionError(f"could not be removed: {', '.join(left)}")
