"""The next file of a cell, from the one before, the state, and what nodes report. Pure but for the secret of a first file.

StateBehind   the file was made of a newer state: this controller has not caught up, or the store was lost; it leaves the file alone
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Set

import msgspec

from rookery.hyperplane.cell_file import KEY_BYTES, CellFile, place_targets
from rookery.hyperplane.membership import Rings, first_rings, next_rings, slowest_epoch
from rookery.hyperplane.report import NodeReport
from rookery.intent.cell import CellIntent
from rookery.intent.state import State


class StateBehind(Exception):
    """Caught by the controller, and tried again at the next tick."""


def next_file(
    held: CellFile | None,
    intent: CellIntent,
    state: State,
    *,
    reached: int,
    reports: Mapping[str, NodeReport],
    living: Set[str],
    early: bool = False,
) -> CellFile:
    """`reached`: revision up to which the store is known; `early`: it comes between two beats. Raises StateBehind; TooLarge for more than a cell has room for."""
    epoch = 1 + max(held.epoch if held else 0, *(report.epoch for report in reports.values()), 0)
    beat = (held.beat if held else 0) + (0 if early else 1)
    wanted = [node.place for node in intent.nodes if not node.draining]
    if held is None:
        rings, key = first_rings(wanted, epoch, beat), secrets.token_bytes(KEY_BYTES)
    else:
        if reached < held.intent.generation:
            raise StateBehind(f"the file is of the state at {held.intent.generation}, here it is known up to {reached}")
        before, slowest = Rings(held.current, held.previous, held.ring_since, held.ring_beat), slowest_epoch(living, reports, held.epoch)
        rings = next_rings(before, wanted, epoch, beat, slowest) if held.current else first_rings(wanted, epoch, beat)
        key = held.key
    generation = max(intent.generation, held.intent.generation if held else 0)  # who read all counts others' writings as well
    return CellFile(
        intent=msgspec.structs.replace(intent, generation=generation),
        rows=place_targets(intent.targets, held.rows if held else ()),
        key=key,
        epoch=epoch,
        current=rings.current,
        previous=rings.previous,
        ring_since=rings.since,
        beat=beat,
        ring_beat=rings.beat,
        removal_epoch=_removal_epoch(held, intent, state, epoch),
    )


def _removal_epoch(held: CellFile | None, new: CellIntent, state: State, epoch: int) -> int:
    if held is None:
        return epoch
    return epoch if removal_is_meant(held.intent, new, state) else held.removal_epoch


def removal_is_meant(held: CellIntent, new: CellIntent, state: State) -> bool:
    """Rows go because the state moved on; and of every attachment that goes the interface or its owner was changed or deleted. Of the
    same things the same attachments are made: where one is missing nevertheless, something is wrong with who makes them."""
    kept = {attachment.key for attachment in new.attachments}
    gone = [attachment for attachment in held.attachments if attachment.key not in kept]
    return new.generation > held.generation and all(
        state.changed_since(one.id, held.generation) or state.changed_since(one.of, held.generation) for one in gone
    )
