"""What one subscribed host holds of the index: which VPCs, tables, policies and network ACLs, and a digest of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from typing import Any, Generic, NamedTuple, TypeVar

from rookery.intent.digest import MODULUS, hash_of
from rookery.intent.host import InstanceIntent, RouteIntent, RuleIntent
from rookery.intent.instance import RUNNING

R = TypeVar("R", RouteIntent, RuleIntent)
GroupsIn = tuple[int, tuple[str, ...]]  # VNI, security groups: what a policy is made of


class Needs(NamedTuple):
    """What an instance that shall run needs on its host, or all of them together."""

    vnis: frozenset[int] = frozenset()
    tables: frozenset[int] = frozenset()
    acls: frozenset[int] = frozenset()
    groups: frozenset[GroupsIn] = frozenset()


class _Held(NamedTuple):
    hash: int
    needs: Needs


_NOTHING = _Held(0, Needs())


class Rows(Generic[R]):
    """Rows that are made anew as a whole: what differs, and a running digest."""

    def __init__(self) -> None:
        self.now: dict[Any, R] = {}
        self.sum = 0

    def replace(self, new: dict[Any, R]) -> Mapping[Any, R | None]:
        """What differs; None: it is gone."""
        old, self.now = self.now, new
        changes: dict[Any, R | None] = dict.fromkeys(old.keys() - new.keys(), None)
        for key, row in new.items():
            was = old.get(key)
            if was is not row and was != row:
                changes[key] = row
        gained = sum(hash_of(row) for row in changes.values() if row is not None)
        lost = sum(hash_of(old[key]) for key in changes if key in old)
        self.sum = (self.sum + gained - lost) % MODULUS
        return changes


class Share:
    """`held`: the VNIs of its instances, or of its cell's interfaces, and of their peers; of an edge, those out of which something
    leads. `told`: what an edge or a node needs; None: it is a host, and needs what its instances do."""

    def __init__(self, told: Needs | None = None, is_edge: bool = False) -> None:
        self.told = told
        self.is_edge = is_edge
        self.instances: dict[str, _Held] = {}
        self.held: frozenset[int] = frozenset()
        self.routes: Rows[RouteIntent] = Rows()
        self.rules: Rows[RuleIntent] = Rows()
        self._counts: tuple[Counter[Any], ...] = tuple(Counter() for _ in Needs._fields)
        self._instance_sum = 0

    def needs(self) -> Needs:
        return self.told if self.told is not None else Needs(*map(frozenset, self._counts))

    def row_sum(self) -> int:
        """Of its own; not of what its VPCs have."""
        return self._instance_sum + self.routes.sum + self.rules.sum

    def take(self, identity: str, intent: InstanceIntent | None, groups: tuple[GroupsIn, ...]) -> bool:
        """Whether that differs from what the host holds. `groups`: those of its interfaces."""
        old = self.instances.pop(identity, _NOTHING)
        new = _Held(hash_of(intent), _needs(intent, groups)) if intent else _NOTHING
        if intent:
            self.instances[identity] = new
        if old == new:
            return False
        self._instance_sum = (self._instance_sum + new.hash - old.hash) % MODULUS
        for counts, before, now in zip(self._counts, old.needs, new.needs, strict=True):
            _recount(counts, before, now)
        return True


def _needs(intent: InstanceIntent, groups: tuple[GroupsIn, ...]) -> Needs:
    if intent.wanted != RUNNING:
        return _NOTHING.needs
    places = tuple((interface.vni, interface.route_table, interface.acl) for interface in intent.interfaces)
    return _same_needs(places, groups)


@lru_cache(maxsize=65_536)
def _same_needs(places: tuple[tuple[int, int, int], ...], groups: tuple[GroupsIn, ...]) -> Needs:
    """The instances of a subnet mostly need the same: that exists once."""
    return needs_at(places, groups)


def needs_at(places: Collection[tuple[int, int, int]], groups: Iterable[GroupsIn]) -> Needs:
    """`places`: (VNI, number of the route table, of the network ACL) of interfaces; `groups`: theirs."""
    return Needs(
        frozenset(vni for vni, _, _ in places),
        frozenset(table for _, table, _ in places),
        frozenset(acl for _, _, acl in places),
        frozenset(groups),
    )


def _recount(counts: Counter[Any], old: frozenset[Any], new: frozenset[Any]) -> None:
    for gained in new - old:
        counts[gained] += 1
    for lost in old - new:
        counts[lost] -= 1
        if not counts[lost]:
            del counts[lost]
