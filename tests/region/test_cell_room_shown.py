"""`rookery cell` names what the cell's file has no room for; here without a region: a store, an object store and a controller."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

from rookery.hyperplane.cell_file import ATTACHMENTS
from rookery.hyperplane.controller import Controller
from rookery.hyperplane.object_store import opened
from rookery.intent.cell_whole import Part
from rookery.model.codec import encode
from rookery.model.keys import cell_key
from rookery.model.objects import Cell
from rookery.region import cells
from rookery.region.layout import CELL
from rookery.region.settings import CellShape
from rookery.store.sqlite import opened as opened_store
from tests.hyperplane.files import attachment


def look(folder, attachments):
    """What is shown when so many attachments are wanted."""
    layout = SimpleNamespace(objects=folder / "objects", database=folder / "store.db")
    shape = SimpleNamespace(layout=layout, node_places=())
    wanted = Part(attachments=tuple(attachment(n) for n in range(1, attachments + 1)))

    async def work():
        async with opened_store(layout.database) as store:
            await store.txn([], {cell_key(CELL): encode(Cell(name=CELL, zones=(0,), nodes=("node-1",)))})
            await Controller(store, opened(str(layout.objects)), products=(lambda *_: wanted,)).tick()
        return await cells._look(shape, CellShape(1, 1))

    return asyncio.run(work())


def test_a_cell_with_room_for_all_has_no_problem(tmp_path):
    shown = look(tmp_path, ATTACHMENTS.rows)
    assert (shown.problem, shown.left_out, shown.attachments) == ("", (), ATTACHMENTS.rows)


def test_what_a_cell_has_no_room_for_is_its_problem(tmp_path):
    shown = look(tmp_path, ATTACHMENTS.rows + 1)
    late = attachment(ATTACHMENTS.rows + 1)
    assert shown.attachments == ATTACHMENTS.rows
    assert shown.problem == f"its file has no room for, and nobody serves: {late.of} of {late.account} ({late.id})"
