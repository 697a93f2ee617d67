"""From what a table should hold and what it holds to what must change. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, NamedTuple, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class TableChange(NamedTuple, Generic[K, V]):
    """No key is in both."""

    put: dict[K, V]
    delete: list[K]

    def __bool__(self) -> bool:
        return bool(self.put or self.delete)


def reconcile(wanted: Mapping[K, V], found: Mapping[K, V]) -> TableChange[K, V]:
    """Applied to `found` it makes `wanted`; a row that is right is not touched, so that packets see no gap."""
    return TableChange(
        put={key: row for key, row in wanted.items() if found.get(key) != row},
        delete=[key for key in found if key not in wanted],
    )
