"""The facts in memory with the relations between them, and what a change to one of them touches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from rookery.intent.gateways import gateway_intent
from rookery.intent.host import GatewayIntent, TopsIntent
from rookery.intent.peering import joined, peers_of
from rookery.intent.regional import (
    OpenAcl,
    RegionalPlace,
    interfaces_of,
    open_acl,
    place_without_subnet,
    regional_place,
)
from rookery.intent.route import is_prefix_list
from rookery.intent.tops import first_shard, tops_intent, tops_number, tops_of
from rookery.intent.vpc import (
    InEffect,
    effective_acl,
    effective_acls,
    effective_table,
    effective_tables,
)
from rookery.mapping.facts import (
    CELL,
    HOST,
    SHARD,
    TYPES,
    AclFacts,
    CellFacts,
    DhcpOptionsFacts,
    ElasticIpFacts,
    Fact,
    GatewayFacts,
    GroupFacts,
    HostFacts,
    InstanceFacts,
    InterfaceFacts,
    NatFacts,
    PeeringFacts,
    PrefixListFacts,
    PrivateZoneFacts,
    ShardFacts,
    SubnetFacts,
    TableFacts,
    VpcFacts,
)
from rookery.mapping.groups import Groups
from rookery.model.objects import (
    DhcpOptions,
    EgressOnlyInternetGateway,
    ElasticIp,
    Instance,
    InternetGateway,
    NatGateway,
    NetworkAcl,
    NetworkInterface,
    PrefixList,
    PrivateZone,
    RouteTable,
    SecurityGroup,
    Subnet,
    Vpc,
    VpcPeering,
)


class Touched:
    """What must be derived again."""

    def __init__(self) -> None:
        self.interfaces: set[str] = set()
        self.instances: set[str] = set()
        self.tables: set[int] = set()  # numbers: their routes
        self.vpcs: set[str] = set()  # which table and network ACL are in effect in their subnets
        self.rules: set[int] = set()  # VNIs: policies, network ACLs, peerings, zones, gateways
        self.edges = False  # out of which VPCs something leads
        self.cells: set[str] = set()  # names: which interfaces live there, and what these need
        self.everywhere = False  # which edges there are
        self.moved: set[str] = set()  # hosts that are in another zone
        self.gone: list[InterfaceFacts] = []


class Relations:
    def __init__(self) -> None:
        self._facts: dict[str, dict[str, Any]] = {kind: {} for kind in TYPES}
        self.interfaces: dict[str, InterfaceFacts] = self._facts[NetworkInterface.KIND]
        self.instances: dict[str, InstanceFacts] = self._facts[Instance.KIND]
        self.subnets: dict[str, SubnetFacts] = self._facts[Subnet.KIND]
        self.tables: dict[str, TableFacts] = self._facts[RouteTable.KIND]
        self.acls: dict[str, AclFacts] = self._facts[NetworkAcl.KIND]
        self.security_groups: dict[str, GroupFacts] = self._facts[SecurityGroup.KIND]
        self.prefix_lists: dict[str, PrefixListFacts] = self._facts[PrefixList.KIND]
        self.peerings: dict[str, PeeringFacts] = self._facts[VpcPeering.KIND]
        self.dhcp_options: dict[str, DhcpOptionsFacts] = self._facts[DhcpOptions.KIND]
        self.zones: dict[str, PrivateZoneFacts] = self._facts[PrivateZone.KIND]
        self.internet_gateways: dict[str, GatewayFacts] = self._facts[InternetGateway.KIND]
        self.egress_only_gateways: dict[str, GatewayFacts] = self._facts[EgressOnlyInternetGateway.KIND]
        self.elastic_ips: dict[str, ElasticIpFacts] = self._facts[ElasticIp.KIND]
        self.nat_gateways: dict[str, NatFacts] = self._facts[NatGateway.KIND]
        self.vpcs: dict[str, VpcFacts] = self._facts[Vpc.KIND]
        self.hosts: dict[str, HostFacts] = self._facts[HOST]
        self._cells: dict[str, CellFacts] = self._facts[CELL]
        self._shards: dict[str, ShardFacts] = self._facts[SHARD]
        self.table_numbered: dict[int, TableFacts] = {}
        self.acl_numbered: dict[int, AclFacts | OpenAcl] = {}
        self.vpc_numbered: dict[int, VpcFacts] = {}
        self.effective: dict[str, InEffect] = {}  # by subnet id, or that of what is in its place
        self.attached = Groups()  # instance id -> interface ids
        self.placed = Groups()  # host -> instance ids
        self._on_host = Groups()  # host -> interface ids
        self._in_subnet = Groups()  # subnet id -> interface ids
        self._subnets_of = Groups()  # VPC id -> subnet ids
        self._tables_of = Groups()  # VPC id -> table ids
        self._acls_of = Groups()  # VPC id -> network ACL ids
        self._peerings_of = Groups()  # VPC id -> ids of active peerings
        self._zones_of = Groups()  # VPC id -> ids of private zones
        self._vpcs_with = Groups()  # id of a DHCP options set -> VPC ids
        self._gateways_of = Groups()  # VPC id -> ids of gateways of both kinds
        self._elastic_ips_of = Groups()  # interface id -> ids of Elastic IPs
        self._nats_of = Groups()  # interface id -> ids of NAT gateways
        self._regional_in = Groups()  # VPC id -> ids of regional NAT gateways
        self._in_no_subnet = Groups()  # id of a regional NAT gateway -> interface ids
        self.at_cell = Groups()  # name of a cell -> interface ids
        self._served_by = Groups()  # number of a set of nodes, as text -> interface ids
        self._shards_of = Groups()  # name of a cell -> ids of shards
        self._shards_with = Groups()  # name of a host -> ids of shards
        self._shards_numbered = Groups()  # number of a set of nodes, as text -> ids of shards
        self._cells_with = Groups()  # name of a host -> names of cells whose node it is, by their rows
        self._members: Counter[str] = Counter()  # security group id -> interfaces
        self._led_by = Groups()  # id of a route's target -> table ids
        self._reads = Groups()  # prefix list id -> ids of tables and security groups
        self._changed: dict[str, Callable[[str, Any, Any, Touched], None]] = {
            NetworkInterface.KIND: self._interface_changed,
            Instance.KIND: self._instance_changed,
            Subnet.KIND: self._subnet_changed,
            RouteTable.KIND: self._table_changed,
            NetworkAcl.KIND: self._acl_changed,
            SecurityGroup.KIND: self._security_group_changed,
            PrefixList.KIND: self._prefix_list_changed,
            VpcPeering.KIND: self._peering_changed,
            DhcpOptions.KIND: self._dhcp_options_changed,
            PrivateZone.KIND: self._zone_changed,
            InternetGateway.KIND: self._gateway_changed,
            EgressOnlyInternetGateway.KIND: self._gateway_changed,
            ElasticIp.KIND: self._elastic_ip_changed,
            NatGateway.KIND: self._nat_changed,
            Vpc.KIND: self._vpc_changed,
            HOST: self._host_changed,
            CELL: self._cell_changed,
            SHARD: self._shard_changed,
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

    def settle(self, touched: Touched) -> None:
        """Follows what was touched to what depends on it."""
        for vpc in touched.vpcs:
            self._settle_subnets_of(vpc, touched)
        for interface in touched.interfaces:
            touched.tables |= self._tables_to(interface)
            for nat in self._nats_of.of(interface):
                touched.tables |= self._tables_to(nat)

    def _settle_subnets_of(self, vpc: str, touched: Touched) -> None:
        """Finds which table and network ACL are in effect: who uses others than before is touched."""
        tables = effective_tables(self.tables[table] for table in self._tables_of.of(vpc))
        acls = effective_acls(self.acls[acl] for acl in self._acls_of.of(vpc))
        for subnet in self._subnets_of.of(vpc):
            fact = self.subnets[subnet]
            found = InEffect(effective_table(fact, tables), effective_acl(fact, acls))
            if self.in_effect(subnet) != found:
                self.effective[subnet] = found
                self._touch_instances_in(subnet, touched)

    def in_effect(self, subnet: str) -> InEffect:
        return self.effective.get(subnet, InEffect())

    def is_target(self, interface: str, vpc: str) -> bool:
        """Whether a route of one of the VPC's tables leads to the interface."""
        return any(self.tables[table].vpc_id == vpc for table in self._led_by.of(interface))

    def peers(self, vpc: VpcFacts) -> list[VpcFacts]:
        return peers_of(vpc, (self.peerings[one] for one in self._peerings_of.of(vpc.id)), self.vpcs)

    def zones_of(self, vpc: VpcFacts) -> list[PrivateZoneFacts]:
        return [self.zones[zone] for zone in self._zones_of.of(vpc.id)]

    def gateway_of(self, vpc: VpcFacts) -> GatewayIntent | None:
        """None: nothing leads out of the VPC."""
        ids = self._gateways_of.of(vpc.id)
        return gateway_intent(
            vpc,
            [self.internet_gateways[one] for one in ids if one in self.internet_gateways],
            [self.egress_only_gateways[one] for one in ids if one in self.egress_only_gateways],
            [self.tables[table] for table in self._tables_of.of(vpc.id)],
        )

    def vpcs_with_gateways(self) -> list[VpcFacts]:
        return [self.vpcs[vpc] for vpc in self._gateways_of if vpc in self.vpcs]

    def tops_numbered(self, number: int) -> TopsIntent | None:
        """None: no shard has that number, yet."""
        shard = first_shard([self._shards[one] for one in self._shards_numbered.of(str(number))])
        return tops_intent(shard, self._cells.get(shard.cell), self.hosts) if shard else None

    def elastic_ips_of(self, interface_id: str) -> list[ElasticIpFacts]:
        return [self.elastic_ips[one] for one in self._elastic_ips_of.of(interface_id)]

    def zone_of(self, host: str) -> int | None:
        """In the name of which it sends: none that holds no instances."""
        found = self.hosts.get(host)
        return found.zone if found and not found.is_edge and not found.cell else None

    def vpc_of(self, interface: InterfaceFacts) -> tuple[VpcFacts | None, SubnetFacts | RegionalPlace | None]:
        subnet = self.subnets.get(interface.subnet_id) or place_without_subnet(interface, self.nat_gateways)
        return (self.vpcs.get(subnet.vpc_id) if subnet else None), subnet

    def _interface_changed(
        self, identity: str, old: InterfaceFacts | None, new: InterfaceFacts | None, touched: Touched
    ) -> None:
        if new and new.attachment and new.instance_id in self.instances:
            new.attachment.instance_id = self.instances[new.instance_id].id  # one string, not two
        self.attached.move(identity, _get(old, "instance_id"), _get(new, "instance_id"))
        self._in_subnet.move(identity, _get(old, "subnet_id"), _get(new, "subnet_id"))
        self._in_no_subnet.move(identity, _regional(old), _regional(new))
        self._on_host.move(identity, _host(old), _host(new))
        self.at_cell.move(identity, _get(old, "cell"), _get(new, "cell"))
        self._served_by.move(identity, _tops(old), _tops(new))
        touched.cells |= {fact.cell for fact in (old, new) if fact and fact.cell}
        self._count_members(old, -1)
        self._count_members(new, 1)
        touched.instances |= {fact.instance_id for fact in (old, new) if fact and fact.instance_id}
        touched.interfaces.add(identity)
        if old and new:
            new.rows = old.rows
        elif old:
            touched.gone.append(old)

    def _count_members(self, interface: InterfaceFacts | None, one: int) -> None:
        for group in set(interface.groups) if interface else ():
            self._members[group] += one
            if not self._members[group]:
                del self._members[group]

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
        self._led_by.move_all(identity, _targets(old), _targets(new))
        self._reads.move_all(identity, _lists_of_table(old), _lists_of_table(new))
        touched.interfaces |= self.interfaces.keys() & (_targets(old) | _targets(new))
        touched.vpcs |= {fact.vpc_id for fact in (old, new) if fact}
        if _leads_in(old) or _leads_in(new):
            touched.edges = True
            for fact in filter(None, (old, new)):
                self._touch_rules(fact.vpc_id, touched)
        if old:
            touched.tables.add(old.number)
            self.table_numbered.pop(old.number, None)
        if new:
            touched.tables.add(new.number)
            self.table_numbered[new.number] = new

    def _acl_changed(
        self, identity: str, old: AclFacts | None, new: AclFacts | None, touched: Touched
    ) -> None:
        if old == new:
            return
        self._acls_of.move(identity, _get(old, "vpc_id"), _get(new, "vpc_id"))
        touched.vpcs |= {fact.vpc_id for fact in (old, new) if fact}
        if old:
            self._touch_rules(old.vpc_id, touched)
            self.acl_numbered.pop(old.number, None)
        if new:
            self._touch_rules(new.vpc_id, touched)
            self.acl_numbered[new.number] = new

    def _security_group_changed(
        self, identity: str, old: GroupFacts | None, new: GroupFacts | None, touched: Touched
    ) -> None:
        if old == new:
            return
        self._reads.move_all(identity, _lists_of_group(old), _lists_of_group(new))
        if _get(old, "name") != _get(new, "name"):
            self._touch_members_of(identity, touched)
        for fact in (old, new):
            if fact:
                self._touch_rules(fact.vpc_id, touched)

    def _touch_members_of(self, group: str, touched: Touched) -> None:
        """Of a group that has another name now. No request makes one that has members, deletes one, or renames it: who they
        are is not worth an index."""
        if not self._members[group]:
            return
        members = (interface for interface in self.interfaces.values() if group in interface.groups)
        touched.instances |= {interface.instance_id for interface in members if interface.instance_id}

    def _prefix_list_changed(
        self, identity: str, old: PrefixListFacts | None, new: PrefixListFacts | None, touched: Touched
    ) -> None:
        if old == new:
            return
        for reader in self._reads.of(identity):
            if reader in self.tables:
                touched.tables.add(self.tables[reader].number)
            else:
                self._touch_rules(self.security_groups[reader].vpc_id, touched)

    def _peering_changed(
        self, identity: str, old: PeeringFacts | None, new: PeeringFacts | None, touched: Touched
    ) -> None:
        if old == new:
            return
        before, now = joined(old) if old else frozenset(), joined(new) if new else frozenset()
        self._peerings_of.move_all(identity, before, now)
        self._touch_peering(identity, before | now, touched)

    def _touch_peering(self, identity: str, sides: Iterable[str], touched: Touched) -> None:
        touched.tables |= self._tables_to(identity)
        for vpc in sides:
            self._touch_rules(vpc, touched)

    def _dhcp_options_changed(
        self, identity: str, old: DhcpOptionsFacts | None, new: DhcpOptionsFacts | None, touched: Touched
    ) -> None:
        if old == new:
            return
        for vpc in self._vpcs_with.of(identity):
            self._touch_instances_of(vpc, touched)

    def _zone_changed(
        self, identity: str, old: PrivateZoneFacts | None, new: PrivateZoneFacts | None, touched: Touched
    ) -> None:
        if old == new:
            return
        before, now = (set(fact.vpc_ids) if fact else set() for fact in (old, new))
        self._zones_of.move_all(identity, before, now)
        for vpc in before | now:
            self._touch_rules(vpc, touched)

    def _gateway_changed(
        self, identity: str, old: GatewayFacts | None, new: GatewayFacts | None, touched: Touched
    ) -> None:
        if old == new:
            return
        self._gateways_of.move(identity, _attached(old), _attached(new))
        touched.tables |= self._tables_to(identity)
        touched.edges = True
        for vpc in filter(None, (_attached(old), _attached(new))):
            self._touch_rules(vpc, touched)

    def _elastic_ip_changed(
        self, identity: str, old: ElasticIpFacts | None, new: ElasticIpFacts | None, touched: Touched
    ) -> None:
        before, now = (fact.interface_id or None if fact else None for fact in (old, new))
        self._elastic_ips_of.move(identity, before, now)
        for interface in self.interfaces.keys() & {before, now}:
            touched.interfaces.add(interface)
            if self.interfaces[interface].instance_id:
                touched.instances.add(self.interfaces[interface].instance_id)

    def _nat_changed(
        self, identity: str, old: NatFacts | None, new: NatFacts | None, touched: Touched
    ) -> None:
        if old == new:
            return
        self._nats_of.move_all(identity, _interfaces(old), _interfaces(new))
        touched.tables |= self._tables_to(identity)
        self._regional_in.move(identity, _place_vpc(old), _place_vpc(new))
        before, now = (regional_place(fact) if fact else None for fact in (old, new))
        if before:
            self._touch_place(identity, before, touched)
            self.acl_numbered.pop(before.number, None)
            self.effective.pop(before.id, None)
        if new and now and (acl := open_acl(new)):
            self._touch_place(identity, now, touched)
            self.acl_numbered[now.number] = acl
            self.effective[now.id] = now.in_effect

    def _touch_place(self, nat: str, place: RegionalPlace, touched: Touched) -> None:
        """What is in no subnet, and the network ACL that it has instead."""
        self._touch_rules(place.vpc_id, touched)
        for interface in self._in_no_subnet.of(nat):
            touched.interfaces.add(interface)
            touched.cells.add(self.interfaces[interface].cell)

    def _tables_to(self, target: str) -> set[int]:
        return {self.tables[table].number for table in self._led_by.of(target)}

    def _touch_rules(self, vpc: str, touched: Touched) -> None:
        """While there is no such VPC nobody holds it, and when it comes it is touched."""
        if vpc in self.vpcs:
            touched.rules.add(self.vpcs[vpc].vni)

    def _vpc_changed(
        self, identity: str, old: VpcFacts | None, new: VpcFacts | None, touched: Touched
    ) -> None:
        if old == new:
            return
        touched.tables |= {self.tables[table].number for table in self._tables_of.of(identity)}
        if self._gateways_of.of(identity):
            touched.edges = True
            touched.rules |= {fact.vni for fact in (old, new) if fact}
        self._vpcs_with.move(identity, _get(old, "dhcp_options_id"), _get(new, "dhcp_options_id"))
        self._touch_instances_of(identity, touched)
        if old and new:
            self.vpc_numbered[new.vni] = new
        else:
            self._vpc_came_or_went(identity, old, new, touched)

    def _vpc_came_or_went(
        self, identity: str, old: VpcFacts | None, new: VpcFacts | None, touched: Touched
    ) -> None:
        if old:
            touched.rules.add(old.vni)
            self.vpc_numbered.pop(old.vni, None)
        if new:
            touched.rules.add(new.vni)
            self.vpc_numbered[new.vni] = new
        for peering in self._peerings_of.of(identity):
            self._touch_peering(peering, joined(self.peerings[peering]), touched)
        for subnet in self._subnets_of.of(identity):
            touched.interfaces.update(self._in_subnet.of(subnet))
        for nat in self._regional_in.of(identity):
            if place := regional_place(self.nat_gateways[nat]):
                self._touch_place(nat, place, touched)

    def _host_changed(
        self, identity: str, old: HostFacts | None, new: HostFacts | None, touched: Touched
    ) -> None:
        if _get(old, "address") != _get(new, "address"):
            touched.interfaces.update(self._on_host.of(identity))
        if old != new and any(fact.is_edge for fact in (old, new) if fact):
            touched.everywhere = touched.edges = True
        if old != new:
            touched.moved.add(identity)
            touched.cells |= {fact.cell for fact in (old, new) if fact and fact.cell}
            self._touch_sets_with(identity, touched)

    def _touch_sets_with(self, host: str, touched: Touched) -> None:
        for shard in self._shards_with.of(host):
            self._touch_served_by(self._shards[shard], touched)
        for cell in self._cells_with.of(host):
            self._touch_shards_of(cell, touched)

    def _cell_changed(
        self, identity: str, old: CellFacts | None, new: CellFacts | None, touched: Touched
    ) -> None:
        if old == new:
            return
        self._cells_with.move_all(identity, _nodes(old), _nodes(new))
        self._touch_shards_of(identity, touched)

    def _touch_shards_of(self, cell: str, touched: Touched) -> None:
        for shard in self._shards_of.of(cell):
            self._touch_served_by(self._shards[shard], touched)

    def _shard_changed(
        self, identity: str, old: ShardFacts | None, new: ShardFacts | None, touched: Touched
    ) -> None:
        if old == new:
            return
        self._shards_of.move(identity, _get(old, "cell"), _get(new, "cell"))
        self._shards_with.move_all(identity, _nodes(old), _nodes(new))
        self._shards_numbered.move(identity, _number(old), _number(new))
        for fact in filter(None, (old, new)):
            self._touch_served_by(fact, touched)

    def _touch_served_by(self, shard: ShardFacts, touched: Touched) -> None:
        """The VPCs of the interfaces that its nodes serve."""
        for interface in self._served_by.of(str(tops_number(shard.cell, shard.account))):
            vpc, _ = self.vpc_of(self.interfaces[interface])
            if vpc is not None:
                touched.rules.add(vpc.vni)

    def _touch_instances_of(self, vpc: str, touched: Touched) -> None:
        for subnet in self._subnets_of.of(vpc):
            self._touch_instances_in(subnet, touched)

    def _touch_instances_in(self, subnet: str, touched: Touched) -> None:
        for interface in self._in_subnet.of(subnet):
            fact = self.interfaces[interface]
            if fact.instance_id:
                touched.instances.add(fact.instance_id)
            if fact.cell:
                touched.cells.add(fact.cell)


def _get(fact: Fact | None, name: str) -> Any:
    return getattr(fact, name) if fact is not None else None


def _host(interface: InterfaceFacts | None) -> str | None:
    return interface.attachment.host if interface and interface.attachment else None


def _tops(interface: InterfaceFacts | None) -> str | None:
    return str(tops_of(interface)) if interface and interface.cell_attachment else None


def _regional(interface: InterfaceFacts | None) -> str | None:
    """The regional NAT gateway whose it is."""
    attached = interface.cell_attachment if interface and not interface.subnet_id else None
    return attached.of if attached else None


def _place_vpc(nat: NatFacts | None) -> str | None:
    place = regional_place(nat) if nat else None
    return place.vpc_id if place else None


def _interfaces(nat: NatFacts | None) -> set[str]:
    return set(interfaces_of(nat)) if nat else set()


def _nodes(of: ShardFacts | CellFacts | None) -> set[str]:
    return set(of.nodes) if of else set()


def _number(shard: ShardFacts | None) -> str | None:
    return str(tops_number(shard.cell, shard.account)) if shard else None


def _attached(gateway: GatewayFacts | None) -> str | None:
    return gateway.attached_vpc_id or None if gateway else None


def _leads_in(table: TableFacts | None) -> bool:
    """It is a gateway's."""
    return table is not None and any(association.gateway_id for association in table.associations)


def _targets(table: TableFacts | None) -> set[str]:
    return {route.target for route in table.routes} if table else set()


def _lists_of_table(table: TableFacts | None) -> set[str]:
    destinations = (route.destination for route in table.routes) if table else ()
    return set(filter(is_prefix_list, destinations))


def _lists_of_group(group: GroupFacts | None) -> set[str]:
    return {rule.prefix_list_id for rule in group.rules if rule.prefix_list_id} if group else set()
