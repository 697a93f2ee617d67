"""Things worth keeping for a while: bounded by number and by bytes; what was not used for longest goes first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, NamedTuple, TypeVar

Value = TypeVar("Value")


class Kept(NamedTuple, Generic[Value]):
    value: Value
    since: float  # seconds, as the caller's clock says
    until: float
    size: int  # bytes


class Cache(Generic[Value]):
    def __init__(self, entries: int, size: int) -> None:
        """`size`: bytes, of all values together."""
        self._entries = entries
        self._most = size
        self._size = 0
        self._kept: OrderedDict[Hashable, Kept[Value]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def size(self) -> int:
        return self._size

    def get(self, key: Hashable, now: float) -> Kept[Value] | None:
        kept = self._kept.get(key)
        if kept is None:
            return None
        if kept.until <= now:
            self._drop(key)
            return None
        self._kept.move_to_end(key)
        return kept

    def put(self, key: Hashable, kept: Kept[Value]) -> None:
        self._drop(key)
        if kept.size > self._most:
            return
        self._kept[key] = kept
        self._size += kept.size
        while len(self._kept) > self._entries or self._size > self._most:
            self._drop(next(iter(self._kept)))

    def clear(self) -> None:
        self._kept.clear()
        self._size = 0

    def _drop(self, key: Hashable) -> None:
        if gone := self._kept.pop(key, None):
            self._size -= gone.size
