"""The host's tables, kept to what the intent says. Pure choice of rows in rookery.host.rows; here they are applied.

An order that never opens a hole: what takes away a device's right to speak goes before the mappings change, what gives it
comes after; mappings, routes and rules are there before the first packet of an interface (rookery.host.ways). Other rules are another list: its
rows are there before an interface goes over to it, and the old one's go when no interface needs them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from rookery.dataplane.formats import LocalInterfaceKey
from rookery.host import rows
from rookery.host.allowances import NO_FLOWS, NO_PACKETS, Allowances
from rookery.host.kept_table import KeptTable
from rookery.host.ports import Table
from rookery.host.rule_book import RuleBook
from rookery.host.rule_lists import CompiledList
from rookery.host.sender_ways import SenderTables, SenderWays
from rookery.intent.host import HostIntent, InstanceIntent
from rookery.mapping.protocol import Delta


class Tables(SenderTables, Protocol):
    """The dataplane's."""

    @property
    def interfaces(self) -> Table[Any, Any]: ...

    @property
    def local_interfaces(self) -> Table[Any, Any]: ...

    @property
    def allowances(self) -> Table[Any, Any]: ...

    @property
    def service_budgets(self) -> Table[Any, Any]: ...

    @property
    def interface_devices(self) -> Table[Any, Any]: ...


class Kernel:
    """`devices`: (instance, number of its interface) -> ifindex of the host side."""

    def __init__(self, tables: Tables):
        self.interfaces = KeptTable(tables.interfaces)
        self.local_interfaces = KeptTable(tables.local_interfaces)
        self.ways = SenderWays(tables)
        self.rule_addresses = KeptTable(tables.rule_addresses)
        self.rule_groups = KeptTable(tables.rule_groups)
        self.rule_ports = KeptTable(tables.rule_ports)
        self.interface_devices = KeptTable(tables.interface_devices)
        self.allowances = (
            Allowances(tables.allowances, NO_FLOWS),
            Allowances(tables.service_budgets, NO_PACKETS),
        )
        self.book = RuleBook()
        self._instances: Mapping[str, InstanceIntent] = {}
        self._devices: rows.Devices = {}
        self._switching = threading.Lock()
        self._whole = False  # until the first intent is in, nothing in the tables is known to be wrong

    def become(self, intent: HostIntent, devices: rows.Devices) -> None:
        """Whatever the tables hold, afterwards they hold this. Blocks: a million rows take seconds."""
        with self._switching:
            self._instances, self._devices = dict(intent.instances), dict(devices)
            self.book.become(intent.rules)
            speaking = self._speaking()
            self.interfaces.keep_only(speaking)
            lists = self.book.lists.values()
            addresses, ports, groups = _addresses(lists), _ports(lists), self.book.group_rows()
            self.rule_addresses.include(addresses)
            self.rule_ports.include(ports)
            self.rule_groups.include(groups)
            self.ways.become(intent)
            local = self._local()
            self._give_allowances(local)
            self.local_interfaces.become(local)
            self.interface_devices.become(rows.interface_devices(local))
            self.interfaces.become(speaking)
            self.rule_groups.shift(groups)
            self.rule_ports.shift(ports)
            self.rule_addresses.shift(addresses)
            self._take_allowances_back(local)
            for allowances in self.allowances:
                allowances.heal()
            self._whole = True

    @property
    def edges(self) -> tuple[str, ...]:
        """Substrate addresses of the region's edges, living or not."""
        return self.ways.edges

    def change(self, delta: Delta, instances: Mapping[str, InstanceIntent]) -> None:
        """Only the rows that the delta names. `instances`: all of them, afterwards."""
        with self._switching:
            instances_change = bool(delta.put_instances or delta.delete_instances)
            rules_change = bool(delta.put_rules or delta.delete_rules)
            before = self.book.lists if rules_change else {}
            if rules_change:
                self.book.change(delta.put_rules, delta.delete_rules)
                self._add_lists(before)
            if instances_change:
                self._instances = dict(instances)
                self._silence()
            self.ways.change(delta)
            if instances_change or rules_change:
                self._let_speak()
            if rules_change:
                self._remove_lists(before)

    def _add_lists(self, before: Mapping[int, CompiledList]) -> None:
        new = [found for number, found in self.book.lists.items() if number not in before]
        self.rule_addresses.change(_addresses(new), ())
        self.rule_ports.change(_ports(new), ())
        held = self.rule_groups.wanted
        self.rule_groups.change({k: row for k, row in self.book.group_rows().items() if held.get(k) != row}, ())

    def _remove_lists(self, before: Mapping[int, CompiledList]) -> None:
        now = self.book.lists
        gone = [found for number, found in before.items() if number not in now]
        self.rule_groups.shift(self.book.group_rows())
        self.rule_ports.change({}, _ports(gone))
        self.rule_addresses.change({}, _addresses(gone))

    def have_devices(self, devices: rows.Devices) -> None:
        """Devices came or went; nobody speaks through a new one before its row is there."""
        with self._switching:
            self._devices = dict(devices)
            self._silence()
            self._let_speak()

    def _speaking(self) -> dict[Any, Any]:
        return rows.interfaces(self._instances, self._devices, self.book)

    def _local(self) -> dict[Any, Any]:
        return rows.local_interfaces(self._instances, self._devices, self.book)

    def _silence(self) -> None:
        """Those that may speak no more, now; those that changed change later, or they would lose packets."""
        local = self._local()
        self.interfaces.shift(_only(self.interfaces.wanted, self._speaking()))
        self.interface_devices.shift(_only(self.interface_devices.wanted, rows.interface_devices(local)))
        self.local_interfaces.shift(_only(self.local_interfaces.wanted, local))

    def _let_speak(self) -> None:
        local = self._local()
        self._give_allowances(local)
        self.local_interfaces.shift(local)
        self.interface_devices.shift(rows.interface_devices(local))
        self.interfaces.shift(self._speaking())
        self._take_allowances_back(local)

    def _give_allowances(self, local: Iterable[LocalInterfaceKey]) -> None:
        numbers = [key.interface for key in local]
        for allowances in self.allowances:
            allowances.give(numbers)

    def _take_allowances_back(self, local: Iterable[LocalInterfaceKey]) -> None:
        numbers = [key.interface for key in local]
        for allowances in self.allowances:
            allowances.take_back(numbers)

    def heal(self) -> int:
        """One pass over every table; how many rows had to be mended. Blocks; safe beside `change`."""
        if not self._whole:
            return 0
        tables: Iterable[KeptTable[Any, Any]] = (
            self.interfaces,
            self.local_interfaces,
            self.interface_devices,
            self.rule_addresses,
            self.rule_ports,
            self.rule_groups,
            *self.ways.tables,
        )
        return sum(table.heal() for table in tables) + sum(allowances.heal() for allowances in self.allowances)


def _addresses(lists: Iterable[CompiledList]) -> dict[Any, Any]:
    return {key: row for one in lists for key, row in one.addresses.items()}


def _ports(lists: Iterable[CompiledList]) -> dict[Any, Any]:
    return {key: row for one in lists for key, row in one.ports.items()}


def _only(rows_now: Mapping[Any, Any], kept: Mapping[Any, Any]) -> dict[Any, Any]:
    return {key: row for key, row in rows_now.items() if key in kept}
