"""What one subscribed host holds of the index: which VPCs, which tables, and a digest of it."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from rookery.intent.digest import MODULUS, hash_of, sum_of
from rookery.intent.host import InstanceIntent, RouteIntent
from rookery.intent.instance import RUNNING


class _Held(NamedTuple):
    hash: int
    vnis: frozenset[int]
    tables: frozenset[int]


_NOTHING = _Held(0, frozenset(), frozenset())


class Share:
    def __init__(self) -> None:
        self.instances: dict[str, _Held] = {}
        self.vnis: Counter[int] = Counter()  # -> how many running instances need it
        self.tables: Counter[int] = Counter()
        self.routes: dict[tuple[int, str], RouteIntent] = {}
        self._instance_sum = 0

    def row_sum(self) -> int:
        """Of all but the mappings."""
        return self._instance_sum + sum_of(self.routes.values())

    def take(self, identity: str, intent: InstanceIntent | None) -> bool:
        """Whether that differs from what the host holds."""
        old = self.instances.pop(identity, _NOTHING)
        new = _held(intent) if intent else _NOTHING
        if intent:
            self.instances[identity] = new
        if old == new:
            return False
        self._instance_sum = (self._instance_sum + new.hash - old.hash) % MODULUS
        _recount(self.vnis, old.vnis, new.vnis)
        _recount(self.tables, old.tables, new.tables)
        return True


def _held(intent: InstanceIntent) -> _Held:
    active = intent.interfaces if intent.wanted == RUNNING else ()
    return _Held(
        hash_of(intent),
        frozenset(interface.vni for interface in active),
        frozenset(interface.route_table for interface in active),
    )


def _recount(counts: Counter[int], old: frozenset[int], new: frozenset[int]) -> None:
    for gained in new - old:
        counts[gained] += 1
    for lost in old - new:
        counts[lost] -= 1
        if not counts[lost]:
            del counts[lost]
