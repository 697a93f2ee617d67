"""Nodes that a region has no more and that are still on its machine: what is left when a command that takes nodes away is killed.

Found as `down` finds a region, by names alone (rookery.region.owned): namespaces, folders, pins, keys, the file of a cell. A node has left as soon
as the region's shape is written without it; what comes after that can be done again, by whoever comes next."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from rookery.hyperplane.object_store import file_key
from rookery.region import layout, owned, port_table
from rookery.region.called import COMMAND
from rookery.region.settings import MOST_CELLS, Settings

NODE = re.compile(r"(?:(cell-\d+)-)?node-\d+")


def found(shape: Settings) -> dict[str, set[str]]:
    """By the name of their cell. Of a cell that is gone as well, there may be no node left but its file."""
    staying, left = set(shape.node_names), dict[str, set[str]]()
    for name in _names(shape.layout):
        node = NODE.fullmatch(name)
        if node and name not in staying:
            left.setdefault(node[1] or layout.CELL, set()).add(name)
    cells = {cell.name for cell in shape.the_cells}
    for cell in (layout.cell_name(number) for number in range(1, MOST_CELLS + 1)):
        if cell not in cells and (shape.layout.objects / file_key(cell)).exists():
            left.setdefault(cell, set())
    return left


def in_words(shape: Settings) -> dict[str, str]:
    """By cell: what somebody has to do."""
    held = {cell.name: len(cell.node_names) for cell in shape.the_cells}
    told = {}
    for cell, nodes in sorted(found(shape).items()):
        what = ", ".join(sorted(nodes)) or "its file"
        how = f"cell scale {held[cell]} --cell {cell}" if cell in held else f"cell remove {cell}"
        told[cell] = f"{what} left the region, and something of it is still here; `{COMMAND} {how} --name {shape.name}` takes it away"
    return told


def _names(plan: layout.Layout) -> Iterator[str]:
    for namespace in owned.region_namespaces(plan):
        yield namespace.removeprefix(plan.namespace_prefix).removesuffix("-checks")
    for folder in (plan.run, plan.state, plan.pins, port_table.pin_of(plan).parent):
        yield from (found.name for found in _inside(folder))


def _inside(folder: Path) -> list[Path]:
    try:
        return [*folder.iterdir()]
    except FileNotFoundError:
        return []
