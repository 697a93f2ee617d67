"""The edge's tables, kept to what the intent says: the ways that hosts have too (rookery.host.ways), and public addresses.

A public address comes into its table when the interface's mapping is there, and goes before it. The table inward (`publics`) says which
row outward belongs to an address that goes: with it goes `translations`' row, unless another address has taken the place."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from rookery.blackfoot import rows
from rookery.dataplane.formats import MappingKey, PublicKey
from rookery.host.kept_table import KeptTable
from rookery.host.ports import Table
from rookery.host.ways import Ways, WayTables
from rookery.intent.host import HostIntent, RuleIntent, RuleKey
from rookery.mapping.protocol import Delta


class EdgeTables(WayTables, Protocol):
    """The dataplane's."""

    @property
    def publics(self) -> Table[Any, Any]: ...

    @property
    def translations(self) -> Table[Any, Any]: ...

    @property
    def blocks(self) -> Table[Any, Any]: ...


@contextmanager
def collector_at_rest() -> Iterator[None]:
    """Rows are no garbage: Python's collector would walk through all of them again and again while they are made, and later on."""
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()


class EdgeKernel:
    def __init__(self, tables: EdgeTables):
        self.ways = Ways(tables)
        self.publics = KeptTable(tables.publics)
        self.translations = KeptTable(tables.translations)
        self.blocks = KeptTable(tables.blocks)
        self._switching = threading.Lock()
        self._whole = False  # until the first intent is in, nothing in the tables is known to be wrong

    def become(self, intent: HostIntent) -> None:
        """Whatever the tables hold, afterwards they hold this. Blocks: a million rows take seconds."""
        with self._switching, collector_at_rest():
            self.ways.become(intent)
            self.translations.become(rows.translations(intent.rules.values()))
            self.publics.become(rows.publics(intent.rules.values()))
            self.blocks.become(rows.blocks(intent.rules.values()))
            self._whole = True

    def change(self, delta: Delta) -> None:
        """Only the rows that the delta names."""
        with self._switching:
            self._take_away(delta.put_rules, delta.delete_rules)
            self.ways.change(delta)
            self.translations.change(rows.translations(delta.put_rules), ())
            self.publics.change(rows.publics(delta.put_rules), ())
            self.blocks.change(rows.blocks(delta.put_rules), ())

    def _take_away(self, put: Iterable[RuleIntent], delete: Iterable[RuleKey]) -> None:
        """Addresses that nobody has any more, and the ways out of interfaces whose address is another's now."""
        kept = rows.publics(put)
        gone = [key for key in rows.public_keys(delete) if key not in kept]
        outward = self._outward_of([*gone, *kept]) - rows.translations(put).keys()
        self.publics.change({}, gone)
        self.translations.change({}, outward)
        self.blocks.change({}, rows.block_keys(delete))

    def _outward_of(self, addresses: Iterable[PublicKey]) -> set[MappingKey]:
        """Rows outward that lead to these addresses now."""
        found = set()
        for address in addresses:
            row = self.publics.wanted.get(address)
            key = rows.translation_key(row) if row else None
            held = self.translations.wanted.get(key) if key else None
            if key and held and held.public == address.address:
                found.add(key)
        return found

    @property
    def announced_blocks(self) -> list[str]:
        """IPv6 CIDRs that lead to VPCs, sorted."""
        return sorted(rows.block_text(key) for key in list(self.blocks.wanted))

    def heal(self) -> int:
        """One pass over every table; how many rows had to be mended. Blocks; safe beside `change`."""
        if not self._whole:
            return 0
        tables: Iterable[KeptTable[Any, Any]] = (*self.ways.tables, self.translations, self.publics, self.blocks)
        return sum(table.heal() for table in tables)
