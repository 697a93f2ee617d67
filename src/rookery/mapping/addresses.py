"""Who has which address, per VPC: rows claimed by interfaces, one winner per address, and a digest of each VPC's rows."""

from __future__ import annotations

from collections.abc import Iterable

from rookery.intent.digest import MODULUS, hash_of
from rookery.intent.host import MappingIntent
from rookery.intent.instance import rank

Key = tuple[int, str]
Changes = dict[Key, MappingIntent | None]  # None: nobody has it any more


class Addresses:
    """`of[vni][address]` is the row that counts. The store admits one claim per address; should a fault make two, the
    later change wins until one is withdrawn, whatever the order in which they came."""

    def __init__(self) -> None:
        self.of: dict[int, dict[str, MappingIntent]] = {}
        self._sums: dict[int, int] = {}
        self._rivals: dict[Key, list[MappingIntent]] = {}

    def sum_of(self, vni: int) -> int:
        """Of the hashes of the VPC's rows."""
        return self._sums.get(vni, 0)

    def rows(self) -> int:
        return sum(map(len, self.of.values()))

    def replace(self, withdrawn: Iterable[MappingIntent], claimed: Iterable[MappingIntent]) -> Changes:
        """What differs for a reader afterwards."""
        before: dict[Key, MappingIntent | None] = {}
        for row in withdrawn:
            before.setdefault(row.key, self._get(row))
            self._withdraw(row)
        for row in claimed:
            before.setdefault(row.key, self._get(row))
            self._claim(row)
        return {key: now for key, was in before.items() if self._note(key, was, now := self._at(key))}

    def _note(self, key: Key, was: MappingIntent | None, now: MappingIntent | None) -> bool:
        """Brings the digest up to date; whether the row differs."""
        if was == now:
            return False
        change = (hash_of(now) if now else 0) - (hash_of(was) if was else 0)
        self._sums[key[0]] = (self._sums.get(key[0], 0) + change) % MODULUS
        return True

    def _at(self, key: Key) -> MappingIntent | None:
        return self.of.get(key[0], {}).get(key[1])

    def _get(self, row: MappingIntent) -> MappingIntent | None:
        return self._at((row.vni, row.address))

    def _claim(self, row: MappingIntent) -> None:
        rows = self.of.setdefault(row.vni, {})
        holder = rows.get(row.address)
        if holder is None:
            rows[row.address] = row
            return
        rivals = self._rivals.setdefault(row.key, [holder])
        rivals.append(row)
        rows[row.address] = max(rivals, key=rank)

    def _withdraw(self, row: MappingIntent) -> None:
        rows = self.of[row.vni]
        rivals = self._rivals.get(row.key)
        if rivals is None:
            del rows[row.address]
            if not rows:
                del self.of[row.vni]
            return
        rivals.remove(row)
        rows[row.address] = max(rivals, key=rank)
        if len(rivals) == 1:
            del self._rivals[row.key]
