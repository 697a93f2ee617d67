"""Which rows of a node's tables of flows have an end? A page of packed rows is compared whole, and only what fits is decoded: a million
rows take a second of one CPU in a thread, most of it in the kernel, and nobody waits for it."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from rookery.dataplane.addresses import address_bytes
from rookery.dataplane.formats import LAYOUTS, Directive, FlowKey
from rookery.dataplane.table import Table
from rookery.hyperplane.flow_end import End

V = TypeVar("V", bound=tuple)
Rows = NDArray[np.uint8]  # row x byte
Fits = NDArray[np.bool_]


class Found(NamedTuple):
    rows: list[tuple[FlowKey, Any]]
    more: bool  # than were asked for


def search(table: Table[FlowKey, V], ends: Sequence[End], most: int) -> Found:
    """Rows whose flow begins or ends at one of `ends`, as it arrives or as it goes on. The table's values begin with a directive.
    Raises ValueError for what is no address, DataplaneError."""
    rows = list(islice(table.pick(lambda keys, values: _fitting(keys, values, ends)), most + 1))
    return Found(rows[:most], len(rows) > most)


def _fitting(keys: bytes, values: bytes, ends: Iterable[End]) -> list[int]:
    """Their numbers in the page."""
    count = len(keys) // LAYOUTS[FlowKey].size
    if not count:
        return []
    arrives, goes_on = (np.frombuffer(packed, np.uint8).reshape(count, -1) for packed in (keys, values))
    fits = np.zeros(count, np.bool_)
    for end in ends:
        fits |= _has_end(arrives, FlowKey, end) | _has_end(goes_on, Directive, end)
    return [int(row) for row in np.flatnonzero(fits)]


def _has_end(rows: Rows, kind: type, end: End) -> Fits:
    either = _is_at(rows, kind, "source", end) | _is_at(rows, kind, "destination", end)
    return either & _holds(rows, kind, "vni", struct.pack("=I", end.vni)) if end.vni else either


def _is_at(rows: Rows, kind: type, side: str, end: End) -> Fits:
    there = _holds(rows, kind, side, address_bytes(end.address))
    return there & _holds(rows, kind, f"{side}_port", end.port.to_bytes(2, "big")) if end.port else there


def _holds(rows: Rows, kind: type, field: str, wanted: bytes) -> Fits:
    at = _offset(kind, field)
    return (rows[:, at : at + len(wanted)] == np.frombuffer(wanted, np.uint8)).all(axis=1)


def _offset(kind: type, field: str) -> int:
    before = kind._fields.index(field)  # type: ignore[attr-defined]
    return struct.calcsize("=" + "".join(re.findall(r"\d+s|\w", LAYOUTS[kind].format)[:before]))
