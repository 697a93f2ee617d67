"""From batches of the store to changes for each subscribed host, at a cost that follows the change and not the VPC.

The result is at every step that of rookery.intent.whole.host_intent over the whole state; tests/mapping/test_index.py
holds one against the other.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable

from rookery.intent.digest import digest_of_sum
from rookery.intent.gateways import public_addresses, public_intents
from rookery.intent.groups import distinct
from rookery.intent.host import (
    HostIntent,
    InstanceIntent,
    InterfaceIntent,
    MappingIntent,
    NameIntent,
    PublicIntent,
    RouteIntent,
)
from rookery.intent.instance import RUNNING, instance_intent, interface_intent, interface_mappings
from rookery.intent.names import has_resource_name, names_of
from rookery.intent.route import routes_of
from rookery.mapping.addresses import Addresses, Changes, Key
from rookery.mapping.change import HostChange
from rookery.mapping.facts import InstanceFacts, InterfaceFacts, Unreadable, identify, read_fact
from rookery.mapping.relations import Relations, Touched
from rookery.mapping.rules import Rules
from rookery.mapping.share import GroupsIn, Needs, Share, needs_at
from rookery.mapping.vpc_rules import Changes as RuleChanges
from rookery.mapping.vpc_rules import VpcRules
from rookery.store.interface import Batch, Range

log = logging.getLogger("rookery.mapping.index")


class Index:
    """`mtu`: of instances in this Rookery region. `generation`: the revision of the last batch or range it was fed."""

    def __init__(self, mtu: int):
        self.generation = 0
        self._mtu = mtu
        self._relations = Relations()
        self._addresses = Addresses()
        self._rules = Rules(self._relations)
        self._shares: dict[str, Share] = {}
        self._holders: defaultdict[int, set[str]] = defaultdict(set)  # VNI -> subscribed hosts, of peers too
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
        self._shares[host] = self._new_share(host)
        for identity in self._relations.placed.of(host):
            self._hand(identity, host, self._instance(identity))
        share = self._shares[host]
        needs = share.needs()
        share.held = self._held(share)
        for vni in share.held:
            self._holders[vni].add(host)
        for table in needs.tables:
            self._users[table].add(host)
        share.routes.replace(self._routes(needs.tables, host))
        share.rules.replace(self._rules.of(needs, share.is_edge, share.held))

    def unsubscribe(self, host: str) -> None:
        share = self._shares.pop(host)
        _withdraw(self._holders, share.held, host)
        _withdraw(self._users, share.needs().tables, host)
        for identity in share.instances:
            del self._keeper[identity]

    def intent(self, host: str) -> HostIntent:
        """All that a subscribed host holds."""
        share = self._shares[host]
        mappings: dict[Key, MappingIntent] = {}
        rules = dict(share.rules.now)
        for vni in share.held:
            mappings |= self._rows_in(vni)
            for layer in self._rules.layers(share.is_edge):
                rules |= layer.of(vni)
        return HostIntent(
            host=host,
            generation=self.generation,
            instances={identity: self._instance(identity) for identity in share.instances},
            mappings=mappings,
            routes=dict(share.routes.now),
            rules=rules,
        )

    def _rows_in(self, vni: int) -> dict[Key, MappingIntent]:
        return {(vni, address): row for address, row in self._addresses.of.get(vni, {}).items()}

    def digest(self, host: str) -> str:
        """That of `intent(host)`, without going through what whole VPCs have."""
        share = self._shares[host]
        mappings = sum(map(self._addresses.sum_of, share.held))
        ruled = sum(layer.sum_of(share.held) for layer in self._rules.layers(share.is_edge))
        return digest_of_sum(host, share.row_sum() + mappings + ruled)

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
        self._relations.settle(touched)
        rows = self._claim_rows(touched)
        self._settle_publics(touched)
        for identity in touched.instances:
            self._rules.settle_names(identity, self._names(identity))
        self._rules.forget(touched.rules)
        changes: defaultdict[str, HostChange] = defaultdict(HostChange)
        before = self._settle_instances(touched, changes) | self._settle_edges(touched) | self._settle_nodes(touched)
        needing = {host for host, needs in before.items() if needs != self._shares[host].needs()}
        ruled = needing.union(*(self._holders.get(vni, ()) for vni in touched.rules))
        if touched.everywhere:
            ruled.update(self._shares)
        self._settle_vpcs(rows, ruled, changes)
        self._settle_routes(touched, before, changes)
        for host in ruled:
            share = self._shares[host]
            changes[host].rules |= share.rules.replace(self._rules.of(share.needs(), share.is_edge, share.held))
        return {host: change for host, change in changes.items() if len(change)}

    def _claim_rows(self, touched: Touched) -> Changes:
        withdrawn: list[MappingIntent] = []
        claimed: list[MappingIntent] = []
        for gone in touched.gone:
            withdrawn += gone.rows
            touched.rules |= self._rules.settle_interface(gone, ())
        for identity in touched.interfaces:
            fact = self._relations.interfaces.get(identity)
            if fact is not None:
                rows = self._rows_of(fact)
                withdrawn += fact.rows
                claimed += rows
                touched.rules |= self._rules.settle_interface(fact, rows)
                fact.rows = rows
        return self._addresses.replace(withdrawn, claimed)

    def _rows_of(self, interface: InterfaceFacts) -> tuple[MappingIntent, ...]:
        relations = self._relations
        vpc, subnet = relations.vpc_of(interface)
        address = "" if interface.cell_attachment else self._host_address(interface)
        if vpc is None or subnet is None or address is None:
            return ()
        return tuple(
            interface_mappings(
                interface, vpc, subnet, address, generation=interface.revision, issued=interface.time
            )
        )

    def _host_address(self, interface: InterfaceFacts) -> str | None:
        """None: it lives at no host now."""
        instance = self._relations.instances.get(interface.instance_id)
        host = self._relations.hosts.get(interface.attachment.host) if interface.attachment else None
        return host.address if host and instance and instance.wanted == RUNNING else None

    def _settle_publics(self, touched: Touched) -> None:
        changed: dict[str, tuple[PublicIntent, ...]] = {gone.id: () for gone in touched.gone}
        for identity in touched.interfaces:
            fact = self._relations.interfaces.get(identity)
            if fact is not None:
                changed[identity] = self._publics(fact)
        self._rules.settle_publics(changed)

    def _publics(self, interface: InterfaceFacts) -> tuple[PublicIntent, ...]:
        vpc, _ = self._relations.vpc_of(interface)
        pairs = public_addresses(interface, self._relations.elastic_ips_of(interface.id))
        return public_intents(interface, vpc.vni, pairs) if vpc and pairs else ()

    def _is_edge(self, host: str) -> bool:
        found = self._relations.hosts.get(host)
        return found is not None and found.is_edge

    def _new_share(self, host: str) -> Share:
        if self._is_edge(host):
            return Share(self._edge_needs(), is_edge=True)
        cell = self._cell_of(host)
        return Share(self._node_needs(cell) if cell else None)

    def _edge_needs(self) -> Needs:
        """The VPCs out of which something leads, and the tables of what comes in."""
        gateways = filter(None, map(self._relations.gateway_of, self._relations.vpcs_with_gateways()))
        places = [(gateway.vni, gateway.route_table) for gateway in gateways]
        return Needs(vnis=frozenset(vni for vni, _ in places), tables=frozenset(table for _, table in places))

    def _settle_edges(self, touched: Touched) -> dict[str, Needs]:
        """What the edges needed before, should that differ."""
        edges = [host for host, share in self._shares.items() if share.is_edge] if touched.edges else []
        before = {host: self._shares[host].needs() for host in edges}
        needs = self._edge_needs() if edges else Needs()
        for host in edges:
            self._shares[host].told = needs
        return before

    def _cell_of(self, host: str) -> str:
        """Whose node it is; empty: of none."""
        found = self._relations.hosts.get(host)
        return found.cell if found else ""

    def _settle_nodes(self, touched: Touched) -> dict[str, Needs]:
        """As _settle_edges, of the nodes of cells that were touched; and of a node that was a cell's."""
        nodes = self._nodes() if touched.cells else {}
        needs = {cell: self._node_needs(cell) for cell in {*nodes.values()} & {*touched.cells, ""}}
        concerned = [host for host, cell in nodes.items() if cell in needs]
        before = {host: self._shares[host].needs() for host in concerned}
        for host in concerned:
            self._shares[host].told = needs[nodes[host]]
        return before

    def _nodes(self) -> dict[str, str]:
        """Those that are subscribed, and their cells."""
        told = (host for host, share in self._shares.items() if share.told is not None and not share.is_edge)
        return {host: self._cell_of(host) for host in told}

    def _node_needs(self, cell: str) -> Needs:
        """What its interfaces need, as if an instance of a host had them. At a cost that follows their number."""
        relations, places, groups = self._relations, [], set()
        for interface in map(relations.interfaces.__getitem__, relations.at_cell.of(cell)):
            vpc, subnet = relations.vpc_of(interface)
            if vpc is not None and subnet is not None:
                in_effect = relations.in_effect(subnet.id)
                places.append((vpc.vni, in_effect.table, in_effect.acl))
                groups.add((vpc.vni, distinct(interface.groups)))
        return needs_at(places, groups)

    def _settle_instances(self, touched: Touched, changes: dict[str, HostChange]) -> dict[str, Needs]:
        """Gives and takes instances; returns what the hosts concerned needed before."""
        before: dict[str, Needs] = {}
        for identity in touched.instances:
            wanted, had = self.host_of(identity), self._keeper.get(identity)
            for host in self._shares.keys() & {wanted, had}:
                before.setdefault(host, self._shares[host].needs())
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
        groups = self._groups_of(intent) if intent else ()
        return self._shares[host].take(identity, intent, groups)

    def _groups_of(self, instance: InstanceIntent) -> tuple[GroupsIn, ...]:
        facts = self._relations.interfaces
        return tuple(
            (interface.vni, distinct(facts[interface.id].groups)) for interface in instance.interfaces
        )

    def _instance(self, identity: str) -> InstanceIntent:
        interfaces = (self._relations.interfaces[i] for i in self._relations.attached.of(identity))
        intents = (self._interface(interface) for interface in interfaces)
        return instance_intent(self._relations.instances[identity], filter(None, intents))

    def _interface(self, interface: InterfaceFacts) -> InterfaceIntent | None:
        vpc, subnet = self._relations.vpc_of(interface)
        if vpc is None or subnet is None:
            return None
        in_effect = self._relations.in_effect(subnet.id)
        return interface_intent(interface, vpc, subnet, in_effect, mtu=self._mtu, things=self._relations)

    def _names(self, identity: str) -> tuple[NameIntent, ...]:
        fact = self._relations.instances.get(identity)
        return names_of(fact, self._instance(identity)) if fact and self._may_have_names(fact) else ()

    def _may_have_names(self, instance: InstanceFacts) -> bool:
        interfaces = (self._relations.interfaces[one] for one in self._relations.attached.of(instance.id))
        return has_resource_name(instance) or any(
            one.public_address or self._relations.elastic_ips_of(one.id) for one in interfaces
        )

    def _held(self, share: Share) -> frozenset[int]:
        """The VPCs that it needs, and a host's peers of them."""
        needs = share.needs()
        if share.is_edge:
            return needs.vnis
        own = filter(None, map(self._relations.vpc_numbered.get, needs.vnis))
        return needs.vnis | {peer.vni for vpc in own for peer in self._relations.peers(vpc)}

    def _settle_vpcs(self, rows: Changes, moved: Iterable[str], changes: dict[str, HostChange]) -> None:
        """What whole VPCs have. `moved`: hosts that may hold other VPCs now."""
        by_vni: defaultdict[int, Changes] = defaultdict(dict)
        for key, row in rows.items():
            by_vni[key[0]][key] = row
        ruled = {layer: layer.changes() for layer in self._rules.layers(is_edge=True)}
        for host in moved:
            self._move_vpcs(host, by_vni, ruled, changes)
        for vni, changed in by_vni.items():
            for host in self._holders.get(vni, ()):
                changes[host].mappings |= changed
        for layer, by_layer in ruled.items():
            for vni, rules in by_layer.items():
                for host in self._holders.get(vni, ()):
                    self._rule(host, layer, rules, changes)

    def _rule(self, host: str, layer: VpcRules, rules: RuleChanges, changes: dict[str, HostChange]) -> None:
        share = self._shares[host]
        if layer in self._rules.layers(share.is_edge):
            changes[host].rules |= _but_held(layer, rules, share.held)

    def _move_vpcs(
        self,
        host: str,
        changed: dict[int, Changes],
        ruled: dict[VpcRules, dict[int, RuleChanges]],
        changes: dict[str, HostChange],
    ) -> None:
        """The whole of the VPCs that the host now has, and none of those that it has no more."""
        share = self._shares[host]
        held, holds = share.held, self._held(share)
        share.held = holds
        for vni in holds - held:
            self._holders[vni].add(host)
            changes[host].mappings |= self._rows_in(vni)
        for vni in held - holds:
            _withdraw(self._holders, (vni,), host)
            addresses = self._addresses.of.get(vni, {})
            changes[host].mappings |= dict.fromkeys(((vni, address) for address in addresses), None)
            changes[host].mappings |= dict.fromkeys(changed.get(vni, ()), None)
        for layer in self._rules.layers(share.is_edge):
            for vni in holds - held:
                changes[host].rules |= layer.of(vni)
            for vni in held - holds:
                had = [*layer.of(vni), *ruled[layer].get(vni, ())]
                changes[host].rules |= _but_held(layer, dict.fromkeys(had, None), holds)

    def _settle_routes(
        self, touched: Touched, before: dict[str, Needs], changes: dict[str, HostChange]
    ) -> None:
        concerned = {host for table in touched.tables for host in self._users.get(table, ())}
        for host, needed in before.items():
            uses = self._shares[host].needs().tables
            _withdraw(self._users, needed.tables - uses, host)
            for table in uses - needed.tables:
                self._users[table].add(host)
        for host in concerned | before.keys() | (touched.moved & self._shares.keys()):
            share = self._shares[host]
            changes[host].routes |= share.routes.replace(self._routes(share.needs().tables, host))

    def _routes(self, numbers: Iterable[int], host: str) -> dict[tuple[int, str], RouteIntent]:
        relations = self._relations
        zone = relations.zone_of(host)
        tables = (relations.table_numbered.get(number) for number in numbers)
        pairs = ((table, relations.vpcs.get(table.vpc_id)) for table in tables if table)
        return {route.key: route for table, vpc in pairs if vpc for route in routes_of(table, vpc, relations, zone)}


def _but_held(layer: VpcRules, changes: RuleChanges, held: frozenset[int]) -> RuleChanges:
    """Without the end of a row that another VPC of the host still has."""
    return {key: row for key, row in changes.items() if row is not None or not layer.is_held(key, held)}


def _withdraw(groups: dict[int, set[str]], keys: Iterable[int], host: str) -> None:
    for key in keys:
        groups[key].discard(host)
        if not groups[key]:
            del groups[key]
