"""Cells come into a running region, and leave it.

One that comes takes what is placed from then on; what lives in others stays there. One that goes is closed first, so that nothing is placed
there meanwhile, and goes only when it serves nothing."""

from __future__ import annotations

import time
from collections.abc import Callable

from rookery.model.objects import NetworkInterface
from rookery.region import cells, directory, settings
from rookery.region.errors import CannotStart, StillInUse
from rookery.region.lock import only_one
from rookery.region.scale import become, finish, take_away
from rookery.region.settings import CellShape, Settings
from rookery.region.status import current

PATIENCE = 60.0  # seconds
POLL = 0.2
MOST_NAMED = 10


def add(name: str, nodes: int | None, tell: Callable[[str], None]) -> str:
    """Its name; returns when all its nodes work by its file. `nodes`: None: as many as a cell of this region has. Raises NotRunning, CannotStart."""
    with only_one(name):
        before = current(name)
        if not before.the_cells:
            raise CannotStart("a region begins and ends with its cell: `up --nodes N` while it is down")
        coming = before.next_cell
        finish(before, coming.name, tell)
        coming = coming if nodes is None else CellShape(coming.number, nodes)
        shape = before.with_cells(coming)
        settings.check(shape)
        become(shape, coming.node_names, tell)
        _wait_in_use(name, coming.name)
        return coming.name


def _wait_in_use(name: str, cell: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while problems := _problems(name, cell):
        if time.monotonic() > deadline:
            raise CannotStart(f"{cell} is not in use after {PATIENCE:.0f} s: {'; '.join(problems)}")
        time.sleep(POLL)


def _problems(name: str, cell: str) -> list[str]:
    found = cells.look(name, cell)
    assert found is not None
    told = [f"{node.name}: {node.problem or 'it has no file yet'}" for node in found.nodes if node.problem or not node.report or not node.report.epoch]
    return [*([found.problem] if found.problem else []), *told]


def remove(name: str, cell: str, tell: Callable[[str], None]) -> None:
    """Again after it was killed: goes on. Raises NotRunning, NotFound, CannotStart: it is the last; StillInUse: it serves something."""
    with only_one(name):
        before = current(name)
        if all(one.name != cell for one in before.the_cells) and finish(before, cell, tell):
            return
        going = before.cell(cell)
        if len(before.the_cells) == 1:
            raise CannotStart(f"{going.name} is the region's only cell: a region begins and ends with its cell")
        _close_unused(before, going.name)
        tell(f"removing {', '.join([going.name, *going.node_names])}")
        take_away(before.without_cell(going.number), going.name, tell)


def _close_unused(shape: Settings, cell: str) -> None:
    """Closed first, and then asked: nothing comes in between. Raises StillInUse, and all is as it was."""
    was_closed = cells.set_closed(shape, cell, True)
    served = _served(shape, cell)
    if not served:
        return
    if not was_closed:
        cells.set_closed(shape, cell, False)
    more = len(served) - MOST_NAMED
    names = ", ".join(served[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
    raise StillInUse(f"{cell} serves {names}: it goes when they are deleted; `cell close {cell}` keeps new ones away")


def _served(shape: Settings, cell: str) -> list[str]:
    """What it works for, as its owner calls it, and whose it is."""
    known = directory.read(shape.layout)
    found: set[str] = set()
    for one in known.all(NetworkInterface):
        if one.cell_attachment and one.cell_attachment.cell == cell:
            owner = known.resources.get(one.cell_attachment.of)
            found.add(f"{getattr(owner, 'path', '') or known.name_of(one.cell_attachment.of)} of {one.account}")
    return sorted(found)
