"""A table of the data plane in the form that reconciling needs: an absent row is None, a missing key is no fault."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Generic, Protocol, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class StrictTable(Protocol[K, V]):
    """rookery.dataplane.table.Table: raises KeyError for what is not there."""

    def items(self) -> Mapping[K, V]: ...

    def get(self, key: K) -> V: ...

    def put_many(self, rows: Mapping[K, V]) -> None: ...

    def delete_many(self, keys: Iterable[K]) -> None: ...


class KernelTable(Generic[K, V]):
    def __init__(self, table: StrictTable[K, V]):
        self._table = table

    def items(self) -> Iterable[tuple[K, V]]:
        return self._table.items().items()

    def get(self, key: K) -> V | None:
        try:
            return self._table.get(key)
        except KeyError:
            return None

    def put_many(self, rows: Mapping[K, V]) -> None:
        self._table.put_many(rows)

    def delete_many(self, keys: Iterable[K]) -> None:
        with suppress(KeyError):
            self._table.delete_many(keys)
