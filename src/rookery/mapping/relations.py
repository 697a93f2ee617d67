"""The facts in memory with the relations between them, and what a change to one of them touches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rookery.intent.vpc import NO_TABLE, effective_table, effective_tables
from rookery.mapping.facts import (
    HOST,
    TYPES,
    Fact,
    HostFacts,
    InstanceFacts,
    InterfaceFacts,
    SubnetFacts,
    TableFacts,
    VpcFacts,
)
from rookery.mapping.groups import Groups
from rookery.model.objects import Instance, NetworkInterface, RouteTable, Subnet, Vpc


class Touched:
    """What must be derived again."""

    def __init__(self) -> None:
        self.interfaces: set[str] = set()
        self.instances: set[str] = set()
        self.tables: set[int] = set()  # numbers: their routes
        self.vpcs: set[str] = set()  # which table is in effect in their subnets
        self.gone: list[InterfaceFacts] = []


class Relations:
    def __init__(self) -> None:
        self._facts: dict[str, dict[str, Any]] = {kind: {} for kind in TYPES}
        self.interfaces: dict[str, InterfaceFacts] = self._facts[NetworkInterface.KIND]
        self.instances: dict[str, InstanceFacts] = self._facts[Instance.KIND]
        self.subnets: dict[str, SubnetFacts] = self._facts[Subnet.KIND]
        self.tables: dict[str, TableFacts] = self._facts[RouteTable.KIND]
        self.vpcs: dict[str, VpcFacts] = self._facts[Vpc.KIND]
        self.hosts: dict[str, HostFacts] = self._facts[HOST]
        self.table_numbered: dict[int, TableFacts] = {}
        self.effective: dict[str, int] = {}  # subnet id -> number of its table
        self.attached = Groups()  # instance id -> interface ids
        self.placed = Groups()  # host -> instance ids
        self._on_host = Groups()  # host -> interface ids
        self._in_subnet = Groups()  # subnet id -> interface ids
        self._subnets_of = Groups()  # VPC id -> subnet ids
        self._tables_of = Groups()  # VPC id -> table ids
        self._changed: dict[str, Callable[[str, Any, Any, Touched], None]] = {
            NetworkInterface.KIND: self._interface_changed,
            Instance.KIND: self._instance_changed,
            Subnet.KIND: self._subnet_changed,
            RouteTable.KIND: self._table_changed,
            Vpc.KIND: self._vpc_changed,
            HOST: self._host_changed,
        }

    def ids(self) -> set[tuple[str, str]]:
        return {(kind, identity) for kind, facts in self._facts.items() for identity in facts}

    def change(self, kind: str, identity: str, new: Fact | None, touched: Touched) -> None:
        facts = self._facts[kind]
        old = facts.pop(identity, None)
        if new is not None:
            facts[identity] = new
        if old is not None or new is not None:
            self._changed[kind](identity, old, new, touched)

    def settle_tables(self, touched: Touched) -> None:
        """Finds which table is in effect in the subnets of touched VPCs: who uses another than before is touched."""
        for vpc in touched.vpcs:
            tables = effective_tables(self.tables[table] for table in self._tables_of.of(vpc))
            for subnet in self._subnets_of.of(vpc):
                number = effective_table(self.subnets[subnet], tables)
                if self.effective.get(subnet, NO_TABLE) != number:
                    self.effective[subnet] = number
                    self._touch_instances_in(subnet, touched)

    def vpc_of(self, interface: InterfaceFacts) -> tuple[VpcFacts | None, SubnetFacts | None]:
        subnet = self.subnets.get(interface.subnet_id)
        return (self.vpcs.get(subnet.vpc_id) if subnet else None), subnet

    def _interface_changed(
        self, identity: str, old: InterfaceFacts | None, new: InterfaceFacts | None, touched: Touched
    ) -> None:
        if new and new.attachment and new.instance_id in self.instances:
            new.attachment.instance_id = self.instances[new.instance_id].id  # one string, not two
        self.attached.move(identity, _get(old, "instance_id"), _get(new, "instance_id"))
        self._in_subnet.move(identity, _get(old, "subnet_id"), _get(new, "subnet_id"))
        self._on_host.move(identity, _host(old), _host(new))
        touched.instances |= {fact.instance_id for fact in (old, new) if fact and fact.instance_id}
        touched.interfaces.add(identity)
        if old and new:
            new.rows = old.rows
        elif old:
            touched.gone.append(old)

    def _instance_changed(
        self, identity: str, old: InstanceFacts | None, new: InstanceFacts | None, touched: Touched
    ) -> None:
        self.placed.move(identity, _get(old, "host"), _get(new, "host"))
        touched.instances.add(identity)
        if _get(old, "wanted") != _get(new, "wanted"):
            touched.interfaces.update(self.attached.of(identity))

    def _subnet_changed(
        self, identity: str, old: SubnetFacts | None, new: SubnetFacts | None, touched: Touched
    ) -> None:
        if old == new:
            return
        self._subnets_of.move(identity, _get(old, "vpc_id"), _get(new, "vpc_id"))
        touched.vpcs |= {fact.vpc_id for fact in (old, new) if fact}
        if new is None:
            self.effective.pop(identity, None)
        self._touch_instances_in(identity, touched)
        touched.interfaces.update(self._in_subnet.of(identity))

    def _table_changed(
        self, identity: str, old: TableFacts | None, new: TableFacts | None, touched: Touched
    ) -> None:
        if old == new:
            return
        self._tables_of.move(identity, _get(old, "vpc_id"), _get(new, "vpc_id"))
        touched.vpcs |= {fact.vpc_id for fact in (old, new) if fact}
        if old:
            touched.tables.add(old.number)
            self.table_numbered.pop(old.number, None)
        if new:
            touched.tables.add(new.number)
            self.table_numbered[new.number] = new

    def _vpc_changed(
        self, identity: str, old: VpcFacts | None, new: VpcFacts | None, touched: Touched
    ) -> None:
        if old == new:
            return
        touched.tables |= {self.tables[table].number for table in self._tables_of.of(identity)}
        if old is None or new is None:
            for subnet in self._subnets_of.of(identity):
                self._touch_instances_in(subnet, touched)
                touched.interfaces.update(self._in_subnet.of(subnet))

    def _host_changed(
        self, identity: str, old: HostFacts | None, new: HostFacts | None, touched: Touched
    ) -> None:
        if _get(old, "address") != _get(new, "address"):
            touched.interfaces.update(self._on_host.of(identity))

    def _touch_instances_in(self, subnet: str, touched: Touched) -> None:
        for interface in self._in_subnet.of(subnet):
            if self.interfaces[interface].instance_id:
                touched.instances.add(self.interfaces[interface].instance_id)


def _get(fact: Fact | None, name: str) -> Any:
    return getattr(fact, name) if fact is not None else None


def _host(interface: InterfaceFacts | None) -> str | None:
    return interface.attachment.host if interface and interface.attachment else None
