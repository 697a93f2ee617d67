"""The store's interface: keys with revisions, compare-and-swap transactions, a watch from a revision.

One revision counter for the whole store; a transaction is one revision, whole or not at all. What etcd can serve later
with the same conformance suite (tests/store/test_conformance.py).

StoreError
 +- Conflict        a compare did not hold: the caller reads again and tries again
 +- Compacted       the watch starts before what is kept: the caller reads a range and watches from there
 +- StoreUnavailable the store cannot answer now: the API says ServiceUnavailable, other parts try again
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import NamedTuple, Protocol


class StoreError(Exception):
    """Root of what a store may raise."""


class Conflict(StoreError):
    """A compare of a transaction did not hold; nothing was written."""


class Compacted(StoreError):
    """The history before `oldest` is gone."""

    def __init__(self, oldest: int):
        super().__init__(f"history before revision {oldest} is compacted")
        self.oldest = oldest


class StoreUnavailable(StoreError):
    """The store does not answer: locked too long, disk full, closed."""


class Entry(NamedTuple):
    key: str
    value: bytes
    revision: int  # of its last change
    time: float = 0.0  # unix seconds of its last change, by the writer's clock


class Range(NamedTuple):
    entries: list[Entry]  # by key
    revision: int  # the store's, when it was read


class Change(NamedTuple):
    key: str
    value: bytes | None  # None: deleted


class Batch(NamedTuple):
    """All changes of one revision."""

    revision: int
    changes: list[Change]  # by key
    time: float = 0.0  # unix seconds, by the writer's clock


class Compare(NamedTuple):
    """Holds when `key` was last changed at `revision`; 0: when it does not exist."""

    key: str
    revision: int


class Store(Protocol):
    async def range(self, prefix: str) -> Range:
        """All entries whose key starts with `prefix`, consistent at one revision."""

    async def get(self, key: str) -> Entry | None: ...

    async def txn(
        self, compares: Sequence[Compare], puts: Mapping[str, bytes], deletes: Sequence[str] = ()
    ) -> int:
        """Durable when it returns. The new revision; the current one if nothing changes (no put, and no delete of
        something that exists). Raises Conflict; ValueError for a key both put and deleted."""

    async def revision(self) -> int:
        """The newest. Cheap: asked before every request."""

    async def changes_since(self, revision: int, prefix: str) -> list[Batch]:
        """What `watch` would yield up to now, at once: a view catches up with it. Raises Compacted."""

    def watch(self, prefix: str, from_revision: int) -> AsyncGenerator[Batch, None]:
        """Every batch after `from_revision` that touches `prefix` (its other changes left out), in order, none
        twice, none missed, for ever. Raises Compacted."""

    async def compact(self, revision: int) -> None:
        """Forget the history up to `revision`; current values stay."""

    async def close(self) -> None: ...
