"""What the agent needs of the others, as small as it needs it: the kernel's tables and programs, and the mapping service.

rookery.dataplane.host.HostDataplane and rookery.mapping.client.Subscription are the real ones; tests ship fakes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Table(Protocol[K, V]):
    """A map of the kernel."""

    def items(self) -> Iterable[tuple[K, V]]:
        """All rows, in batches; rows that change meanwhile may be missing or old."""

    def get(self, key: K) -> V | None: ...

    def put_many(self, rows: Mapping[K, V]) -> None: ...

    def delete_many(self, keys: Iterable[K]) -> None:
        """Those that are not there are not missed."""
