"""`up`: from nothing, from a reboot, from a crash, or from a running region to a running region."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from rookery.region import build, departed, left_behind, owned, requirements, settings
from rookery.region.called import COMMAND
from rookery.region.errors import DifferentRegion, RegionError
from rookery.region.lock import only_one
from rookery.region.prepare import prepare
from rookery.region.ready import wait_ready, waiting_for
from rookery.region.scale import clear as clear_departed
from rookery.region.scale import finish
from rookery.region.settings import Settings
from rookery.region.stop import clear
from rookery.region.supervisor import launch, running

Wanted = dict[str, int | bool | tuple[str, ...]]


def bring_up(name: str, wanted: Wanted, tell: Callable[[str], None]) -> Settings:
    """`wanted`: those of hosts, zones, port, jumbo, edges, cells (how many), nodes (of each), public_pools, dns_upstreams that the user named; the rest is as it was, or the default.

    Raises BadName, CannotStart, DifferentRegion.
    """
    _shape(name, settings.read(settings.check_name(name)), wanted)  # refused before the machine is looked at
    requirements.check_machine()
    with only_one(name):
        before = settings.read(name)
        shape = _shape(name, before, wanted)
        alive = bool(before and owned.region_namespaces(shape.layout))
        if before and alive:
            _refuse_changes(before, shape)
        if alive and running(shape.layout):
            return _already_up(shape, tell)
        left_behind.check(shape)
        requirements.check_port(shape)
        _start(shape, tell, undo=not alive, keep_data=before is not None)
        return shape


def _start(shape: Settings, tell: Callable[[str], None], undo: bool, keep_data: bool) -> None:
    """`undo`: nothing of it lived before, so nothing of it stays when it does not start."""
    try:
        prepare(shape, tell)
        settings.write(shape)
        for cell in departed.found(shape):
            clear_departed(shape, cell)
        if undo:
            build.note(shape.layout)
        tell("starting the parts")
        launch(shape.layout)
        wait_ready(shape, tell)
    except (RegionError, KeyboardInterrupt):
        if undo:
            clear(shape.layout, keep_data, tell)
        raise


def _shape(name: str, before: Settings | None, wanted: Wanted) -> Settings:
    cells, nodes = _number(wanted, "cells"), _number(wanted, "nodes")
    others = {key: value for key, value in wanted.items() if key not in ("cells", "nodes")}
    shape = settings.resized(msgspec.structs.replace(before or Settings(name=name), **others), cells, nodes)
    settings.check(shape)
    if before and 0 < (cells or 0) < len(before.the_cells):
        raise DifferentRegion(
            f"the region {name} has {before.cells_in_words}: a cell leaves it while it runs, when it serves nothing: {COMMAND} cell remove NAME"
        )
    if before and (shape.zones != before.zones or shape.hosts < before.hosts):
        raise DifferentRegion(
            f"the region {name} was made with {before.hosts} hosts in {before.zones} zones, and its instances live there: "
            f"it can get more hosts while it is down, but not fewer, nor other zones. "
            f"For another region: --name OTHER --port PORT; to begin anew: {COMMAND} down --name {name}"
        )
    return shape


def _number(wanted: Wanted, key: str) -> int | None:
    found = wanted.get(key)
    return found if isinstance(found, int) else None


def _refuse_changes(before: Settings, shape: Settings) -> None:
    if len(shape.the_cells) > len(before.the_cells) > 0:
        raise DifferentRegion(f"the region {before.name} is running with {before.cells_in_words}; one more: {COMMAND} cell add --name {before.name}")
    if msgspec.structs.replace(shape, nodes=before.nodes) != before:
        raise DifferentRegion(
            f"the region {before.name} is running with {before.hosts} hosts on port {before.port}"
            f"{', jumbo' if before.jumbo else ''}, asking {', '.join(before.asked_for_names) or 'nobody'} for public names, "
            f"with {before.edges} edges for {', '.join(before.public_pools) or 'no public addresses'} and {before.cells_in_words}; first: {COMMAND} down --keep-data --name {before.name}"
        )


def _already_up(shape: Settings, tell: Callable[[str], None]) -> Settings:
    for cell in departed.found(shape):
        finish(shape, cell, tell)
    if waiting_for(shape):
        prepare(shape, tell)  # somebody may have removed a piece of it
        wait_ready(shape, tell)
    tell(f"the region {shape.name} is already running")
    if build.runs_another(shape.layout):
        tell(
            f"it was started by another build, and goes on with that one's programs and substrate; to change to this one (instances boot anew): "
            f"{COMMAND} down --keep-data --name {shape.name}, then up"
        )
    return shape
