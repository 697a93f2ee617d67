"""The host's four tables, kept to what the intent says. Pure choice of rows in rookery.host.rows; here they are applied.

An order that never opens a hole: what takes away a device's right to speak goes before the mappings change, what gives it
comes after; mappings and routes are there before the first packet of an interface.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from rookery.host import rows
from rookery.host.kept_table import KeptTable
from rookery.host.ports import Table
from rookery.intent.host import HostIntent, InstanceIntent
from rookery.mapping.protocol import Delta


class Tables(Protocol):
    """The dataplane's."""

    @property
    def interfaces(self) -> Table[Any, Any]: ...

    @property
    def local_interfaces(self) -> Table[Any, Any]: ...

    @property
    def mappings(self) -> Table[Any, Any]: ...

    @property
    def routes(self) -> Table[Any, Any]: ...


class Kernel:
    """`devices`: (instance, number of its interface) -> ifindex of the host side."""

    def __init__(self, tables: Tables):
        self.interfaces = KeptTable(tables.interfaces)
        self.local_interfaces = KeptTable(tables.local_interfaces)
        self.mappings = KeptTable(tables.mappings)
        self.routes = KeptTable(tables.routes)
        self._instances: Mapping[str, InstanceIntent] = {}
        self._devices: rows.Devices = {}
        self._switching = threading.Lock()

    def become(self, intent: HostIntent, devices: rows.Devices) -> None:
        """Whatever the tables hold, afterwards they hold this. Blocks: a million rows take seconds."""
        with self._switching:
            self._instances, self._devices = dict(intent.instances), dict(devices)
            speaking = self._speaking()
            self.interfaces.keep_only(speaking)
            self.routes.become(rows.routes(intent.routes.values()))
            self.mappings.become(rows.mappings(intent.mappings.values()))
            self.local_interfaces.become(self._local())
            self.interfaces.become(speaking)

    def change(self, delta: Delta, instances: Mapping[str, InstanceIntent]) -> None:
        """Only the rows that the delta names. `instances`: all of them, afterwards."""
        with self._switching:
            instances_change = bool(delta.put_instances or delta.delete_instances)
            if instances_change:
                self._instances = dict(instances)
                self._silence()
            self.routes.change(rows.routes(delta.put_routes), rows.route_keys(delta.delete_routes))
            self.mappings.change(rows.mappings(delta.put_mappings), rows.mapping_keys(delta.delete_mappings))
            if instances_change:
                self._let_speak()

    def have_devices(self, devices: rows.Devices) -> None:
        """Devices came or went; nobody speaks through a new one before its row is there."""
        with self._switching:
            self._devices = dict(devices)
            self._silence()
            self._let_speak()

    def _speaking(self) -> dict[Any, Any]:
        return rows.interfaces(self._instances, self._devices)

    def _local(self) -> dict[Any, Any]:
        return rows.local_interfaces(self._instances, self._devices)

    def _silence(self) -> None:
        """Those that may speak no more, now; those that changed change later, or they would lose packets."""
        self.interfaces.shift(_only(self.interfaces.wanted, self._speaking()))
        self.local_interfaces.shift(_only(self.local_interfaces.wanted, self._local()))

    def _let_speak(self) -> None:
        self.local_interfaces.shift(self._local())
        self.interfaces.shift(self._speaking())

    def heal(self) -> int:
        """One pass over every table; how many rows had to be mended. Blocks; safe beside `change`."""
        tables: Iterable[KeptTable[Any, Any]] = (self.interfaces, self.local_interfaces, self.routes, self.mappings)
        return sum(table.heal() for table in tables)


def _only(rows_now: Mapping[Any, Any], kept: Mapping[Any, Any]) -> dict[Any, Any]:
    return {key: row for key, row in rows_now.items() if key in kept}
