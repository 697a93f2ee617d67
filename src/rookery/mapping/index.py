"""From batches of the store to changes for each subscribed host, at a cost that follows the change and not the VPC.

The result is at every step that of rookery.intent.whole.host_intent over the whole state; tests/mapping/test_index.py
holds one against the other.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable

from rookery.intent.digest import digest_of_sum
from rookery.intent.host import HostIntent, InstanceIntent, InterfaceIntent, MappingIntent, RouteIntent
from rookery.intent.instance import RUNNING, instance_intent, interface_intent, interface_mappings
from rookery.intent.vpc import NO_TABLE, routes_of
from rookery.mapping.addresses import Addresses, Changes, Key
from rookery.mapping.change import HostChange
from rookery.mapping.facts import InterfaceFacts, Unreadable, identify, read_fact
from rookery.mapping.relations import Relations, Touched
from rookery.mapping.share import Share
from rookery.store.interface import Batch, Range

log = logging.getLogger("rookery.mapping.index")


class Index:
    """`mtu`: of instances in this Rookery region. `generation`: the revision of the last batch or range it was fed."""

    def __init__(self, mtu: int):
        self.generation = 0
        self._mtu = mtu
        self._relations = Relations()
        self._addresses = Addresses()
        self._shares: dict[str, Share] = {}
        self._holders: defaultdict[int, set[str]] = defaultdict(set)  # VNI -> subscribed hosts
        self._users: defaultdict[int, set[str]] = defaultdict(set)  # table number -> subscribed hosts
        self._keeper: dict[str, str] = {}  # instance id -> the subscribed host that holds it

    def load(self, found: Range) -> dict[str, HostChange]:
        """Takes over a whole range: at the start, and when batches were missed. What is not in it is gone."""
        touched = Touched()
        vanished = self._relations.ids()
        for entry in found.entries:
            if vanished and (identified := identify(entry.key)):
                vanished.discard(identified)
            self._take(entry.key, entry.value, entry.revision, entry.time, touched)
        for kind, identity in vanished:
            self._relations.change(kind, identity, None, touched)
        self.generation = found.revision
        return self._settle(touched)

    def feed(self, batch: Batch) -> dict[str, HostChange]:
        """By host; those that are not in it have nothing to do."""
        touched = Touched()
        for key, value in batch.changes:
            self._take(key, value, batch.revision, batch.time, touched)
        self.generation = batch.revision
        return self._settle(touched)

    def knows_host(self, host: str) -> bool:
        return host in self._relations.hosts

    def hosts(self) -> list[str]:
        return list(self._relations.hosts)

    def host_of(self, instance: str) -> str | None:
        """The host that is to run it; None: there is no such instance."""
        found = self._relations.instances.get(instance)
        return found.host if found else None

    def has_instances(self, host: str) -> bool:
        return any(True for _ in self._relations.placed.of(host))

    def rows(self) -> int:
        """All mappings of the region."""
        return self._addresses.rows()

    def subscribe(self, host: str) -> None:
        """From now on `feed` tells what changes for it."""
        self._shares[host] = Share()
        for identity in self._relations.placed.of(host):
            self._hand(identity, host, self._instance(identity))
        share = self._shares[host]
        for vni in share.vnis:
            self._holders[vni].add(host)
        for table in share.tables:
            self._users[table].add(host)
        share.routes = self._routes(share)

    def unsubscribe(self, host: str) -> None:
        share = self._shares.pop(host)
        _withdraw(self._holders, share.vnis, host)
        _withdraw(self._users, share.tables, host)
        for identity in share.instances:
            del self._keeper[identity]

    def intent(self, host: str) -> HostIntent:
        """All that a subscribed host holds."""
        share = self._shares[host]
        mappings: dict[Key, MappingIntent] = {}
        for vni in share.vnis:
            mappings |= self._rows_in(vni)
        return HostIntent(
            host=host,
            generation=self.generation,
            instances={identity: self._instance(identity) for identity in share.instances},
            mappings=mappings,
            routes=dict(share.routes),
        )

    def _rows_in(self, vni: int) -> dict[Key, MappingIntent]:
        return {(vni, address): row for address, row in self._addresses.of.get(vni, {}).items()}

    def digest(self, host: str) -> str:
        """That of `intent(host)`, without going through its mappings."""
        share = self._shares[host]
        return digest_of_sum(host, share.row_sum() + sum(map(self._addresses.sum_of, share.vnis)))

    def _take(self, key: str, value: bytes | None, revision: int, time: float, touched: Touched) -> None:
        found = identify(key)
        if found is None:
            return
        try:
            fact = read_fact(*found, value, revision, time) if value is not None else None
        except Unreadable as error:
            log.error(
                "%s at revision %d is unreadable, what was there before stays: %s", key, revision, error
            )
            return
        self._relations.change(*found, fact, touched)

    def _settle(self, touched: Touched) -> dict[str, HostChange]:
        self._relations.settle_tables(touched)
        rows = self._claim_rows(touched)
        changes: defaultdict[str, HostChange] = defaultdict(HostChange)
        before = self._settle_instances(touched, changes)
        self._settle_mappings(rows, before, changes)
        self._settle_routes(touched, before, changes)
        return {host: change for host, change in changes.items() if len(change)}

    def _claim_rows(self, touched: Touched) -> Changes:
        withdrawn = [row for fact in touched.gone for row in fact.rows]
        claimed: list[MappingIntent] = []
        for identity in touched.interfaces:
            fact = self._relations.interfaces.get(identity)
            if fact is not None:
                withdrawn += fact.rows
                fact.rows = self._rows_of(fact)
                claimed += fact.rows
        return self._addresses.replace(withdrawn, claimed)

    def _rows_of(self, interface: InterfaceFacts) -> tuple[MappingIntent, ...]:
        relations = self._relations
        vpc, subnet = relations.vpc_of(interface)
        instance = relations.instances.get(interface.instance_id)
        host = relations.hosts.get(interface.attachment.host) if interface.attachment else None
        if vpc is None or subnet is None or host is None or instance is None or instance.wanted != RUNNING:
            return ()
        return tuple(
            interface_mappings(
                interface, vpc, subnet, host.address, generation=interface.revision, issued=interface.time
            )
        )

    def _settle_instances(self, touched: Touched, changes: dict[str, HostChange]) -> dict[str, Share]:
        """Gives and takes instances; returns what the hosts concerned held of VPCs and tables before."""
        before: dict[str, Share] = {}
        for identity in touched.instances:
            wanted, had = self.host_of(identity), self._keeper.get(identity)
            for host in self._shares.keys() & {wanted, had}:
                before.setdefault(host, _copy(self._shares[host]))
                intent = self._instance(identity) if host == wanted else None
                if self._hand(identity, host, intent):
                    changes[host].instances[identity] = intent
        return before

    def _hand(self, identity: str, host: str, intent: InstanceIntent | None) -> bool:
        """To the host; None: takes it away from there. Whether the host's share differs."""
        if intent is not None:
            self._keeper[identity] = host
        elif self._keeper.get(identity) == host:
            del self._keeper[identity]
        return self._shares[host].take(identity, intent)

    def _instance(self, identity: str) -> InstanceIntent:
        interfaces = (self._relations.interfaces[i] for i in self._relations.attached.of(identity))
        intents = (self._interface(interface) for interface in interfaces)
        return instance_intent(self._relations.instances[identity], filter(None, intents))

    def _interface(self, interface: InterfaceFacts) -> InterfaceIntent | None:
        vpc, subnet = self._relations.vpc_of(interface)
        if vpc is None or subnet is None:
            return None
        table = self._relations.effective.get(subnet.id, NO_TABLE)
        return interface_intent(interface, vpc, subnet, table, self._mtu)

    def _settle_mappings(
        self, rows: Changes, before: dict[str, Share], changes: dict[str, HostChange]
    ) -> None:
        by_vni: defaultdict[int, Changes] = defaultdict(dict)
        for key, row in rows.items():
            by_vni[key[0]][key] = row
        for host, held in before.items():
            self._move_vpcs(host, held.vnis.keys(), by_vni, changes)
        for vni, changed in by_vni.items():
            for host in self._holders.get(vni, ()):
                changes[host].mappings |= changed

    def _move_vpcs(
        self, host: str, held: Iterable[int], changed: dict[int, Changes], changes: dict[str, HostChange]
    ) -> None:
        """The whole of the VPCs that the host now has, and none of those that it has no more."""
        holds = self._shares[host].vnis.keys()
        for vni in holds - held:
            self._holders[vni].add(host)
            changes[host].mappings |= self._rows_in(vni)
        for vni in held - holds:
            _withdraw(self._holders, (vni,), host)
            addresses = self._addresses.of.get(vni, {})
            changes[host].mappings |= dict.fromkeys(((vni, address) for address in addresses), None)
            changes[host].mappings |= dict.fromkeys(changed.get(vni, ()), None)

    def _settle_routes(
        self, touched: Touched, before: dict[str, Share], changes: dict[str, HostChange]
    ) -> None:
        concerned = {host for table in touched.tables for host in self._users.get(table, ())}
        for host, held in before.items():
            uses = self._shares[host].tables.keys()
            _withdraw(self._users, held.tables.keys() - uses, host)
            for table in uses - held.tables.keys():
                self._users[table].add(host)
        for host in concerned | before.keys():
            share = self._shares[host]
            routes = self._routes(share)
            changes[host].routes |= dict.fromkeys(share.routes.keys() - routes.keys(), None)
            changes[host].routes |= dict(routes.items() - share.routes.items())
            share.routes = routes

    def _routes(self, share: Share) -> dict[tuple[int, str], RouteIntent]:
        tables = (self._relations.table_numbered.get(number) for number in share.tables)
        pairs = ((table, self._relations.vpcs.get(table.vpc_id)) for table in tables if table)
        return {route.key: route for table, vpc in pairs if vpc for route in routes_of(table, vpc)}


def _copy(share: Share) -> Share:
    copy = Share()
    copy.vnis, copy.tables = share.vnis.copy(), share.tables.copy()
    return copy


def _withdraw(groups: dict[int, set[str]], keys: Iterable[int], host: str) -> None:
    for key in keys:
        groups[key].discard(host)
        if not groups[key]:
            del groups[key]
