"""Rules that every host has which holds the VPC: there once for all of them, as its mappings are, with a digest of each VPC's.

A group set does not name its VPC. Should a fault give one to two VPCs, a host of both has the row once, until it goes from the last.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from rookery.intent.digest import MODULUS, hash_of
from rookery.intent.host import RuleIntent, RuleKey

Changes = dict[RuleKey, RuleIntent | None]  # None: it is gone


class VpcRules:
    def __init__(self) -> None:
        self._rows: dict[int, dict[RuleKey, RuleIntent]] = {}  # by VNI
        self._sums: defaultdict[int, int] = defaultdict(int)
        self._before: defaultdict[int, Changes] = defaultdict(dict)  # of what was put or deleted since changes()
        self._homes: Counter[RuleKey] = Counter()  # VPCs that have it, of those that several might
        self._shared: set[RuleKey] = set()  # those that several have: none, but for a fault

    def of(self, vni: int) -> dict[RuleKey, RuleIntent]:
        """Do not change it."""
        return self._rows.get(vni, {})

    def put(self, vni: int, row: RuleIntent) -> None:
        rows = self._rows.setdefault(vni, {})
        self._before[vni].setdefault(row.key, rows.get(row.key))
        if row.key not in rows:
            self._count(vni, row.key, 1)
        rows[row.key] = row

    def delete(self, vni: int, key: RuleKey) -> None:
        rows = self._rows.get(vni, {})
        if key not in rows:
            return
        self._before[vni].setdefault(key, rows[key])
        self._count(vni, key, -1)
        del rows[key]
        if not rows:
            del self._rows[vni]

    def changes(self) -> dict[int, Changes]:
        """What differs since they were last asked for, by VNI."""
        before, self._before = self._before, defaultdict(dict)
        found = {vni: self._differing(vni, rows) for vni, rows in before.items()}
        return {vni: changes for vni, changes in found.items() if changes}

    def sum_of(self, vnis: Iterable[int]) -> int:
        """Of the hashes of all rows of these VPCs, as of the last changes()."""
        held = list(vnis)
        twice = (self._copies(key, held) for key in self._shared)
        return (sum(self._sums.get(vni, 0) for vni in held) - sum(twice)) % MODULUS

    def is_held(self, key: RuleKey, vnis: Iterable[int]) -> bool:
        """By one of these VPCs at least."""
        return any(key in self.of(vni) for vni in vnis)

    def _differing(self, vni: int, before: Changes) -> Changes:
        rows = self.of(vni)
        changes = {key: rows.get(key) for key, was in before.items() if rows.get(key) != was}
        gained = sum(hash_of(row) for row in changes.values() if row is not None)
        lost = sum(hash_of(was) for key in changes if (was := before[key]) is not None)
        self._sums[vni] = (self._sums[vni] + gained - lost) % MODULUS
        return changes

    def _count(self, vni: int, key: RuleKey, more: int) -> None:
        if key[1] == vni:
            return
        self._homes[key] += more
        if self._homes[key] > 1:
            self._shared.add(key)
            return
        self._shared.discard(key)
        if not self._homes[key]:
            del self._homes[key]

    def _copies(self, key: RuleKey, held: list[int]) -> int:
        """The hashes of the second and every further of them."""
        rows = [row for vni in held if (row := self.of(vni).get(key))]
        return sum(map(hash_of, rows[1:]))
