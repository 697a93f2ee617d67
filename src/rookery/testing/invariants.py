"""What is true of every store, whatever happened to its writers: each broken rule as a sentence. Pure.

assert broken((await store.range("")).entries) == []
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_network
from itertools import combinations
from typing import TypeVar

from rookery.api.state import claim_key, public_address_of
from rookery.intent.balancer_names import zone_name
from rookery.intent.regional import BLOCK as REGIONAL_BLOCK
from rookery.model import keys
from rookery.model.balancers import BalancerZone, Listener, LoadBalancer, TargetGroup
from rookery.model.codec import decode, decode_resource
from rookery.model.objects import (
    NO_OPTIONS,
    Cell,
    CidrAssociation,
    DhcpOptions,
    EgressOnlyInternetGateway,
    ElasticIp,
    Host,
    Instance,
    InternetGateway,
    KeyPair,
    Live,
    MetadataDefaults,
    NatGateway,
    NetworkAcl,
    NetworkInterface,
    PeeringSide,
    PrivateZone,
    Resource,
    RouteTable,
    RouteTableAssociation,
    SecurityGroup,
    SecurityGroupRule,
    Shard,
    Subnet,
    Vpc,
    VpcEndpoint,
    VpcEndpointService,
    VpcPeering,
)
from rookery.store.interface import Entry

R = TypeVar("R", bound=Resource)

WITHOUT_GROUPS = ("nat_gateway", "network_load_balancer")  # network ACLs alone guard it; a balancer may be born with some
RESERVED_AT_START = 4  # network, router, resolver, future use; and the last: VPC guide, "Subnet CIDR blocks"


class Held:
    """A store's content by kind."""

    def __init__(self, entries: Iterable[Entry]):
        self.entries = {entry.key: entry for entry in entries}
        self.resources = {
            entry.key: decode_resource(entry.key, entry.value)
            for entry in self.entries.values()
            if entry.key.startswith(keys.INTENDED)
        }
        self.by_id = {one.id: one for one in self.resources.values()}
        self.hosts = {e.key.removeprefix(keys.HOSTS): decode(Host, e.value) for e in self.under(keys.HOSTS)}

    def under(self, prefix: str) -> list[Entry]:
        return [entry for key, entry in self.entries.items() if key.startswith(prefix)]

    def all(self, kind: type[R]) -> list[R]:
        return [one for one in self.resources.values() if isinstance(one, kind)]

    def get(self, kind: type[R], resource_id: str, like: Resource) -> R | None:
        """Of the account and region of `like`."""
        found = self.by_id.get(resource_id)
        same = isinstance(found, kind) and (found.account, found.region) == (like.account, like.region)
        return found if same and isinstance(found, kind) else None


def broken(entries: Iterable[Entry]) -> list[str]:
    """Empty: the store is sound."""
    held = Held(entries)
    return [sentence for rule in RULES for sentence in rule(held)]


def keys_name_what_lies_there(held: Held) -> Iterator[str]:
    for key, one in held.resources.items():
        if key != keys.key_of(one):
            yield f"{key} holds {keys.key_of(one)}"
    if len(held.by_id) != len(held.resources):
        yield "an id is used twice"


def claims_match_resources(held: Held) -> Iterator[str]:
    wanted = {claim: one.id for one in held.resources.values() if (claim := claim_key(one))}
    wanted |= {
        keys.public_claim(address): one.id
        for one in held.resources.values()
        if (address := public_address_of(one))
    }
    found = {entry.key: entry.value.decode() for entry in held.under(keys.CLAIMS)}
    for claim in sorted(wanted.keys() | found.keys()):
        if wanted.get(claim) != found.get(claim):
            yield f"{claim} belongs to {wanted.get(claim)}, and names {found.get(claim)}"


def heads_are_as_new_as_what_they_guard(held: Held) -> Iterator[str]:
    for key, one in held.resources.items():
        head = held.entries.get(keys.head_key(one.account, one.region))
        if head is None or head.revision < held.entries[key].revision:
            yield f"{key} changed at {held.entries[key].revision}, its head at {head and head.revision}"


def subnets_lie_in_their_vpc_and_apart(held: Held) -> Iterator[str]:
    for subnet in held.all(Subnet):
        vpc = held.get(Vpc, subnet.vpc_id, subnet)
        blocks = [IPv4Network(a.cidr) for a in vpc.cidr_associations] if vpc else []
        if not any(IPv4Network(subnet.cidr).subnet_of(block) for block in blocks):
            yield f"{subnet.id} {subnet.cidr} is in no block of {subnet.vpc_id}"
    for one, other in combinations(held.all(Subnet), 2):
        if one.vpc_id == other.vpc_id and IPv4Network(one.cidr).overlaps(IPv4Network(other.cidr)):
            yield f"{one.id} {one.cidr} and {other.id} {other.cidr} overlap"


def vpcs_have_one_main_table_and_blocks_apart(held: Held) -> Iterator[str]:
    mains = Counter(table.vpc_id for table in held.all(RouteTable) if table.is_main)
    for vpc in held.all(Vpc):
        if mains[vpc.id] != 1:
            yield f"{vpc.id} has {mains[vpc.id]} main route tables"
        for one, other in combinations(vpc.cidr_associations, 2):
            if IPv4Network(one.cidr).overlaps(IPv4Network(other.cidr)):
                yield f"{vpc.id}: {one.cidr} and {other.cidr} overlap"
    defaults = Counter((vpc.account, vpc.region) for vpc in held.all(Vpc) if vpc.is_default)
    yield from (f"{realm} has {count} default VPCs" for realm, count in defaults.items() if count > 1)


def route_tables_belong_to_their_vpc(held: Held) -> Iterator[str]:
    associated: Counter[str] = Counter()
    for table in held.all(RouteTable):
        if held.get(Vpc, table.vpc_id, table) is None:
            yield f"{table.id} is of {table.vpc_id}, which is gone"
        for association in table.associations:
            subnet = held.get(Subnet, association.subnet_id, table)
            if association.subnet_id and (subnet is None or subnet.vpc_id != table.vpc_id):
                yield f"{association.id} of {table.id} names {association.subnet_id}"
            associated[association.subnet_id] += bool(association.subnet_id)
            associated[association.gateway_id] += bool(association.gateway_id)
            yield from _of_gateway(held, table, association)
    yield from (f"{subnet} is associated {count} times" for subnet, count in associated.items() if count > 1)


def _of_gateway(held: Held, table: RouteTable, association: RouteTableAssociation) -> Iterator[str]:
    if not association.gateway_id:
        return
    gateway = held.get(InternetGateway, association.gateway_id, table)
    if gateway is None or gateway.attached_vpc_id != table.vpc_id or association.subnet_id:
        yield f"{association.id} of {table.id} names {association.gateway_id}"
    yield from (
        f"{table.id} is of a gateway, and leads to {route.target}"
        for route in table.routes
        if not route.target.startswith(f"{NetworkInterface.PREFIX}-")
    )


def vpcs_have_one_gateway_of_a_kind(held: Held) -> Iterator[str]:
    gateways: list[InternetGateway | EgressOnlyInternetGateway] = [
        *held.all(InternetGateway),
        *held.all(EgressOnlyInternetGateway),
    ]
    attached = Counter((one.KIND, one.attached_vpc_id) for one in gateways if one.attached_vpc_id)
    yield from (f"{vpc} has {count} of {kind}" for (kind, vpc), count in attached.items() if count > 1)
    for one in gateways:
        if one.attached_vpc_id and held.get(Vpc, one.attached_vpc_id, one) is None:
            yield f"{one.id} is attached to {one.attached_vpc_id}, which is gone or elsewhere"


def public_addresses_have_one_holder_and_stand_for_one_address(held: Held) -> Iterator[str]:
    holders = Counter(address for one in held.resources.values() if (address := public_address_of(one)))
    yield from (f"{address} has {count} holders" for address, count in holders.items() if count > 1)
    covered = Counter((one.interface_id, one.private_address) for one in held.all(ElasticIp) if one.interface_id)
    covered.update((one.id, one.primary) for one in held.all(NetworkInterface) if one.public_address)
    yield from (f"{private} has {count} public addresses" for private, count in covered.items() if count > 1)


def elastic_ips_are_associated_with_what_is_there(held: Held) -> Iterator[str]:
    attached = {one.attached_vpc_id for one in held.all(InternetGateway)}
    for one in held.all(ElasticIp):
        if len({bool(one.association_id), bool(one.interface_id), bool(one.private_address)}) > 1:
            yield f"{one.id} is half associated"
        if not one.interface_id:
            continue
        interface = held.get(NetworkInterface, one.interface_id, one)
        if interface is None or one.private_address not in interface.addresses:
            yield f"{one.id} stands for {one.private_address} of {one.interface_id}, which is not there"
        elif interface.vpc_id not in attached:
            yield f"{one.id} is in {interface.vpc_id}, which has no internet gateway"


def what_stopped_has_no_public_address_of_its_own(held: Held) -> Iterator[str]:
    for interface in held.all(NetworkInterface):
        if not interface.public_address or interface.cell_attachment:
            continue
        attached = interface.attachment
        instance = held.get(Instance, attached.instance_id, interface) if attached else None
        if instance is None or instance.wanted != "running" or (attached and attached.device_index):
            yield f"{interface.id} has {interface.public_address}, and is no running instance's first"


def addresses_are_their_subnets_and_nobody_elses(held: Held) -> Iterator[str]:
    holders: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for interface in held.all(NetworkInterface):
        if not interface.subnet_id:
            yield from _in_no_subnet(held, interface)
            for address in interface.addresses:
                holders[interface.vpc_id, address].append(interface.id)
            continue
        subnet = held.get(Subnet, interface.subnet_id, interface)
        if subnet is None or (subnet.vpc_id, subnet.zone) != (interface.vpc_id, interface.zone):
            yield f"{interface.id} is in {interface.subnet_id}, which is gone or elsewhere"
            continue
        for address in interface.addresses:
            holders[subnet.vpc_id, address].append(interface.id)
            if not _usable(IPv4Address(address), IPv4Network(subnet.cidr)):
                yield f"{interface.id} has {address}, which {subnet.cidr} does not give"
    yield from (f"{address} is held by {ids}" for (_, address), ids in holders.items() if len(ids) > 1)


def _in_no_subnet(held: Held, interface: NetworkInterface) -> Iterator[str]:
    attached = interface.cell_attachment
    gateway = held.get(NatGateway, attached.of, interface) if attached else None
    if gateway is None or not any((one.interface_id, one.zone) == (interface.id, interface.zone) for one in gateway.zones):
        yield f"{interface.id} is in no subnet, and of no regional NAT gateway"
    if any(not _usable(IPv4Address(address), IPv4Network(REGIONAL_BLOCK)) for address in interface.addresses):
        yield f"{interface.id} has {interface.addresses}, which are not of regional NAT gateways"


def _usable(address: IPv4Address, block: IPv4Network) -> bool:
    return address in block and RESERVED_AT_START <= int(address) - int(block[0]) < block.num_addresses - 1


def macs_are_unique_in_a_vpc(held: Held) -> Iterator[str]:
    seen = Counter((interface.vpc_id, interface.mac) for interface in held.all(NetworkInterface))
    yield from (f"{mac} is used {count} times in {vpc}" for (vpc, mac), count in seen.items() if count > 1)


def attachments_name_an_instance_that_names_them(held: Held) -> Iterator[str]:
    for interface in held.all(NetworkInterface):
        attached = interface.attachment
        if attached is None:
            continue
        instance = held.get(Instance, attached.instance_id, interface)
        if instance is None or interface.id not in instance.interface_ids:
            yield f"{interface.id} is attached to {attached.instance_id}, which does not name it"
        elif (instance.host, instance.zone) != (attached.host, interface.zone):
            yield f"{interface.id} is at {attached.host}, its {instance.id} at {instance.host}"


def instances_have_their_interfaces_and_a_host(held: Held) -> Iterator[str]:
    for instance in held.all(Instance):
        for eni in instance.interface_ids:
            interface = held.get(NetworkInterface, eni, instance)
            attached = interface and interface.attachment
            if not attached or attached.instance_id != instance.id:
                yield f"{instance.id} names {eni}, which is gone or elsewhere"
        if instance.wanted != "terminated":
            yield from _of_living(held, instance)


def _of_living(held: Held, instance: Instance) -> Iterator[str]:
    host = held.hosts.get(instance.host)
    if host is None or "abcdef"[host.zone] != instance.zone[-1]:
        yield f"{instance.id} in {instance.zone} is on {instance.host}, which is gone or elsewhere"
    if not instance.interface_ids:
        yield f"{instance.id} has no interface"
    subnet = held.get(Subnet, instance.subnet_id, instance)
    if subnet is None or subnet.vpc_id != instance.vpc_id:
        yield f"{instance.id} is in {instance.subnet_id}, which is gone or elsewhere"


def hosts_hold_no_more_than_they_can(held: Held) -> Iterator[str]:
    load = Counter(instance.host for instance in held.all(Instance) if instance.wanted != "terminated")
    for host in held.hosts.values():
        if load[host.name] > host.capacity:
            yield f"{host.name} holds {load[host.name]} instances of {host.capacity}"


def edges_and_nodes_hold_no_instances(held: Held) -> Iterator[str]:
    for instance in held.all(Instance):
        host = held.hosts.get(instance.host)
        if host and (host.is_edge or host.cell):
            yield f"{instance.id} is on {host.name}, which holds no instances"


def cells_have_their_own_nodes(held: Held) -> Iterator[str]:
    """A node's row may come later than its place."""
    for entry in held.under(keys.CELLS):
        cell = decode(Cell, entry.value)
        names = [name for name in cell.nodes if name]
        if len(set(names)) != len(names) or not set(cell.draining) <= set(names):
            yield f"{cell.name} has the nodes {names}, of which {cell.draining} drain"
        found = (held.hosts[name] for name in names if name in held.hosts)
        yield from (f"{host.name} is at {cell.name}, and says {host.cell!r}" for host in found if host.cell != cell.name)


def key_pairs_have_names_of_their_own(held: Held) -> Iterator[str]:
    names = Counter((pair.account, pair.region, pair.name) for pair in held.all(KeyPair))
    yield from (f"{name} is used {count} times" for name, count in names.items() if count > 1)


def nothing_is_live_that_was_not_made(held: Held) -> Iterator[str]:
    newest = max((entry.revision for entry in held.entries.values()), default=0)
    for entry in held.under(keys.LIVE):
        live = decode(Live, entry.value).generation
        if live > newest:
            yield f"{live} is said to be live, {newest} is the newest"


def ipv6_blocks_lie_in_their_vpc_and_apart(held: Held) -> Iterator[str]:
    for vpc in held.all(Vpc):
        blocks = [IPv6Network(association.cidr) for association in vpc.ipv6_cidr_associations]
        subnets = [subnet for subnet in held.all(Subnet) if subnet.vpc_id == vpc.id]
        yield from _overlaps(vpc.id, blocks)
        yield from _overlaps(vpc.id, [block for subnet in subnets for block in _ipv6_of(subnet)])
        for subnet in subnets:
            if len(subnet.ipv6_cidr_associations) > 1:
                yield f"{subnet.id} has {len(subnet.ipv6_cidr_associations)} IPv6 blocks"
            for block in _ipv6_of(subnet):
                if not any(block.subnet_of(whole) for whole in blocks):
                    yield f"{subnet.id} {block} is in no IPv6 block of {vpc.id}"


def _ipv6_of(subnet: Subnet) -> list[IPv6Network]:
    return [IPv6Network(association.cidr) for association in subnet.ipv6_cidr_associations]


def what_interfaces_have_is_their_subnets_and_apart(held: Held) -> Iterator[str]:
    """Addresses and delegated prefixes of both families."""
    taken: defaultdict[str, list[IPv4Network | IPv6Network]] = defaultdict(list)
    for interface in held.all(NetworkInterface):
        subnet = held.get(Subnet, interface.subnet_id, interface)
        blocks = [ip_network(subnet.cidr), *_ipv6_of(subnet)] if subnet else []
        blocks += [ip_network(REGIONAL_BLOCK)] if not interface.subnet_id else []
        for text in (*interface.addresses, *interface.ipv6_addresses, *interface.prefixes):
            had = ip_network(text)
            taken[interface.vpc_id].append(had)
            if not any(_within(had, block) for block in blocks):
                yield f"{interface.id} has {text}, which is not of {interface.subnet_id}"
    for vpc, networks in taken.items():
        yield from _overlaps(vpc, networks)


def _within(inner: IPv4Network | IPv6Network, outer: IPv4Network | IPv6Network) -> bool:
    return inner.version == outer.version and inner[0] in outer and inner[-1] in outer


def _overlaps(vpc: str, networks: Iterable[IPv4Network | IPv6Network]) -> Iterator[str]:
    """In ascending order only neighbours can overlap: where the first pair does, it is named."""
    ordered = sorted(networks, key=lambda one: (one.version, int(one[0]), one.prefixlen))
    for one, other in zip(ordered, ordered[1:], strict=False):
        if one.version == other.version and other[0] in one:
            yield f"{vpc}: {one} and {other} overlap"


def vpcs_and_subnets_are_guarded(held: Held) -> Iterator[str]:
    """A default group and a default network ACL for a VPC, and one network ACL for a subnet."""
    groups = Counter(group.vpc_id for group in held.all(SecurityGroup) if group.is_default)
    acls = Counter(acl.vpc_id for acl in held.all(NetworkAcl) if acl.is_default)
    for vpc in held.all(Vpc):
        if (groups[vpc.id], acls[vpc.id]) != (1, 1):
            yield f"{vpc.id} has {groups[vpc.id]} default groups and {acls[vpc.id]} default network ACLs"
    guards = Counter(a.subnet_id for acl in held.all(NetworkAcl) for a in acl.associations)
    for subnet in held.all(Subnet):
        if guards[subnet.id] != 1:
            yield f"{subnet.id} has {guards[subnet.id]} network ACLs"


def acls_belong_to_their_vpc_and_count_each_number_once(held: Held) -> Iterator[str]:
    for acl in held.all(NetworkAcl):
        if held.get(Vpc, acl.vpc_id, acl) is None:
            yield f"{acl.id} is of {acl.vpc_id}, which is gone"
        for association in acl.associations:
            subnet = held.get(Subnet, association.subnet_id, acl)
            if subnet is None or subnet.vpc_id != acl.vpc_id:
                yield f"{association.id} of {acl.id} names {association.subnet_id}"
        numbers = Counter((entry.is_egress, entry.number) for entry in acl.entries)
        yield from (f"{acl.id} has {number} twice" for number, count in numbers.items() if count > 1)


def groups_belong_to_their_vpc_and_their_rules_to_them(held: Held) -> Iterator[str]:
    ids: Counter[str] = Counter()
    names: Counter[tuple[str, str]] = Counter()
    for group in held.all(SecurityGroup):
        ids.update(rule.id for rule in group.rules)
        names[group.vpc_id, group.name] += 1
        if held.get(Vpc, group.vpc_id, group) is None:
            yield f"{group.id} is of {group.vpc_id}, which is gone"
        for rule in group.rules:
            if _peers_of(rule) != 1:
                yield f"{rule.id} of {group.id} has {_peers_of(rule)} peers"
    yield from (f"{rule} is {count} rules" for rule, count in ids.items() if count > 1)
    yield from (f"{name} is used {count} times" for name, count in names.items() if count > 1)


def _peers_of(rule: SecurityGroupRule) -> int:
    return sum(map(bool, (rule.cidr, rule.prefix_list_id, rule.group_id)))


def interfaces_have_groups_of_their_vpc(held: Held) -> Iterator[str]:
    for interface in held.all(NetworkInterface):
        if not interface.groups and interface.interface_type not in WITHOUT_GROUPS:
            yield f"{interface.id} has no security group"
        for identity in interface.groups:
            group = held.get(SecurityGroup, identity, interface)
            if group is None or group.vpc_id != interface.vpc_id:
                yield f"{interface.id} has {identity}, which is gone or elsewhere"


def destinations_are_in_a_table_once(held: Held) -> Iterator[str]:
    """Their targets may be gone: such a route is a black hole."""
    for table in held.all(RouteTable):
        seen = Counter(route.destination for route in table.routes)
        yield from (f"{table.id} has {count} routes for {to}" for to, count in seen.items() if count > 1)


def two_vpcs_have_one_live_peering_at_most(held: Held) -> Iterator[str]:
    """One whose time was over when the next was asked for does not count, whatever is stored of it."""
    between: defaultdict[frozenset[str], list[VpcPeering]] = defaultdict(list)
    for peering in held.all(VpcPeering):
        sides = frozenset((peering.requester.vpc_id, peering.accepter.vpc_id))
        if len(sides) != 2:
            yield f"{peering.id} joins {peering.requester.vpc_id} with itself"
        if peering.status in ("active", "pending-acceptance"):
            between[sides].append(peering)
    for found in between.values():
        found.sort(key=lambda peering: peering.created)
        for one, later in combinations(found, 2):
            if one.status == "active" or one.expires > later.created:
                yield f"{one.id} and {later.id} join the same VPCs"


def the_vpcs_of_an_active_peering_exist(held: Held) -> Iterator[str]:
    """Deleting a VPC deletes its peerings. One that is only asked for, and that nobody answered in time, may outlive its VPCs."""
    for peering in held.all(VpcPeering):
        for side in (peering.requester, peering.accepter):
            if peering.status == "active" and _of_side(held, side) is None:
                yield f"{peering.id} is active, and {side.vpc_id} is gone"


def peered_vpcs_are_apart(held: Held) -> Iterator[str]:
    for peering in held.all(VpcPeering):
        if peering.status not in ("pending-acceptance", "active"):
            continue
        vpcs = [vpc for side in (peering.requester, peering.accepter) if (vpc := _of_side(held, side))]
        if len(vpcs) < 2:
            continue  # then there is nothing to lie apart from
        blocks = [[ip_network(one.cidr) for one in _blocks_of(vpc)] for vpc in vpcs]
        if any(one.version == two.version and one.overlaps(two) for one in blocks[0] for two in blocks[1]):
            yield f"{peering.id} is {peering.status}, and the blocks of its VPCs overlap"


def _of_side(held: Held, side: PeeringSide) -> Vpc | None:
    found = held.by_id.get(side.vpc_id)
    return found if isinstance(found, Vpc) and found.account == side.account else None


def _blocks_of(vpc: Vpc) -> tuple[CidrAssociation, ...]:
    return (*vpc.cidr_associations, *vpc.ipv6_cidr_associations)


def vpcs_have_an_options_set_or_want_none(held: Held) -> Iterator[str]:
    for vpc in held.all(Vpc):
        chosen = vpc.dhcp_options_id
        if chosen != NO_OPTIONS and held.get(DhcpOptions, chosen, vpc) is None:
            yield f"{vpc.id} has the DHCP options {chosen}, which are gone or elsewhere"
    defaults = Counter((one.account, one.region) for one in held.all(DhcpOptions) if one.is_default)
    yield from (f"{realm} has {count} default sets" for realm, count in defaults.items() if count > 1)


def dns_hostnames_need_dns_support(held: Held) -> Iterator[str]:
    for vpc in held.all(Vpc):
        if vpc.enable_dns_hostnames and not vpc.enable_dns_support:
            yield f"{vpc.id} has DNS hostnames and no DNS support"


def zones_are_of_vpcs_and_one_of_a_name_in_each(held: Held) -> Iterator[str]:
    names: Counter[tuple[str, str]] = Counter()
    for zone in held.all(PrivateZone):
        names.update((vpc_id, zone.name) for vpc_id in zone.vpc_ids)
        gone = (vpc_id for vpc_id in zone.vpc_ids if not isinstance(held.by_id.get(vpc_id), Vpc))
        yield from (f"{zone.id} is of {vpc_id}, which is gone" for vpc_id in gone)
    yield from (f"{name} has {count} zones" for name, count in names.items() if count > 1)


def balancers_have_their_interfaces_at_cells_and_names(held: Held) -> Iterator[str]:
    owned = Counter(one.cell_attachment.of for one in held.all(NetworkInterface) if one.cell_attachment)
    names = {zone.name for zone in held.all(PrivateZone)}
    for balancer in held.all(LoadBalancer):
        if owned[balancer.id] != len(balancer.zones) or not balancer.zones:
            yield f"{balancer.id} has {len(balancer.zones)} zones and {owned[balancer.id]} interfaces"
        for zone in balancer.zones:
            yield from _of_front(held, balancer, zone)
        if zone_name(balancer) not in names:
            yield f"{balancer.id} has no names"


def _of_front(held: Held, balancer: LoadBalancer, zone: BalancerZone) -> Iterator[str]:
    front = held.get(NetworkInterface, zone.interface_id, balancer)
    attachment = front.cell_attachment if front else None
    if front is None or attachment is None or attachment.of != balancer.id:
        yield f"{balancer.id} names {zone.interface_id}, which is gone or elsewhere"
        return
    place = (front.vpc_id, front.subnet_id, front.zone, front.groups)
    if place != (balancer.vpc_id, zone.subnet_id, zone.zone, balancer.groups):
        yield f"{front.id} of {balancer.id} is in {place}"
    elastic_ips = [one.id for one in held.all(ElasticIp) if one.interface_id == front.id]
    public = [*elastic_ips, *filter(None, [front.public_address])]
    if len(public) != (0 if balancer.is_internal else 1) or elastic_ips != [*filter(None, [zone.allocation_id])]:
        yield f"{front.id} of {balancer.id} has the public addresses {public}"


def listeners_send_to_groups_that_are_there(held: Held) -> Iterator[str]:
    ports = Counter((one.balancer_id, one.port) for one in held.all(Listener))
    yield from (f"{balancer} listens {count} times on {port}" for (balancer, port), count in ports.items() if count > 1)
    users: defaultdict[str, set[str]] = defaultdict(set)
    for listener in held.all(Listener):
        balancer = held.get(LoadBalancer, listener.balancer_id, listener)
        for forward in listener.forwards:
            users[forward.group_id].add(listener.balancer_id)
            group = held.get(TargetGroup, forward.group_id, listener)
            if group is None or balancer is None or group.vpc_id != balancer.vpc_id:
                yield f"{listener.id} of {listener.balancer_id} sends to {forward.group_id}, which is gone or elsewhere"
            elif group.protocol not in (listener.protocol, "TCP_UDP"):
                yield f"{listener.id} of {listener.protocol} sends to {group.id} of {group.protocol}"
    yield from (f"{group} serves {len(balancers)} balancers" for group, balancers in users.items() if len(balancers) > 1)


def what_balances_has_names_of_its_own_and_each_target_once(held: Held) -> Iterator[str]:
    things: list[LoadBalancer | TargetGroup] = [*held.all(LoadBalancer), *held.all(TargetGroup)]
    names = Counter((one.KIND, one.account, one.region, one.name) for one in things)
    yield from (f"{name} names {count} things" for name, count in names.items() if count > 1)
    for group in held.all(TargetGroup):
        if len({target.key for target in group.targets}) < len(group.targets):
            yield f"{group.id} has a target twice"


def metadata_can_be_asked_for(held: Held) -> Iterator[str]:
    for instance in held.all(Instance):
        if instance.metadata.tags == "enabled" and any("/" in key or " " in key for key in instance.tags):
            yield f"{instance.id} shows tags whose keys are no part of a path"
        if not 1 <= instance.metadata.hop_limit <= 64:
            yield f"{instance.id} has the hop limit {instance.metadata.hop_limit}"
    defaults = Counter((one.account, one.region) for one in held.all(MetadataDefaults))
    yield from (f"{realm} has {count} defaults of metadata" for realm, count in defaults.items() if count > 1)


def interfaces_of_cells_have_an_owner_and_a_shard(held: Held) -> Iterator[str]:
    for interface in held.all(NetworkInterface):
        attached = interface.cell_attachment
        if attached is None:
            if interface.interface_type != "interface":
                yield f"{interface.id} is a {interface.interface_type}, and no cell works in its name"
            continue
        if interface.attachment is not None:
            yield f"{interface.id} is of {attached.of}, and attached to {interface.attachment.instance_id}"
        owner = held.by_id.get(attached.of)
        if owner is None or owner.account != interface.account:
            yield f"{interface.id} is of {attached.of}, which is gone or elsewhere"
        if keys.shard_key(attached.cell, interface.account) not in held.entries:
            yield f"{interface.id} is of the cell {attached.cell}, in which {interface.account} has no shard"


def shards_are_of_nodes_that_are_there(held: Held) -> Iterator[str]:
    cells = {e.key.removeprefix(keys.CELLS): decode(Cell, e.value) for e in held.under(keys.CELLS)}
    for entry in held.under(keys.SHARDS):
        shard = decode(Shard, entry.value)
        nodes = cells[shard.cell].nodes if shard.cell in cells else ()
        if not shard.nodes or list(shard.nodes) != sorted(set(shard.nodes) & set(nodes)):
            yield f"{shard.account} is served by {shard.nodes} of {nodes}"


def nat_gateways_have_what_they_say(held: Held) -> Iterator[str]:
    for gateway in held.all(NatGateway):
        if gateway.is_regional:
            yield from _of_regional(held, gateway)
            continue
        interface = held.get(NetworkInterface, gateway.interface_id, gateway)
        if (gateway.state == "failed") != bool(gateway.failure_code) and gateway.state != "deleted":
            yield f"{gateway.id} is {gateway.state}, and its failure is '{gateway.failure_code}'"
        if gateway.state in ("failed", "deleted"):
            if interface is not None:
                yield f"{gateway.id} is {gateway.state}, and has {interface.id}"
            continue
        if interface is None or not interface.cell_attachment or interface.cell_attachment.of != gateway.id:
            yield f"{gateway.id} is {gateway.state}, and {gateway.interface_id} is gone or another's"
            continue
        if tuple(one.private_address for one in gateway.addresses) != interface.addresses:
            yield f"{gateway.id} has {gateway.addresses}, its interface {interface.addresses}"
        if [one.is_primary for one in gateway.addresses] != [True] + [False] * (len(gateway.addresses) - 1):
            yield f"{gateway.id} has not one primary address before all others"
        yield from _of_nat_addresses(held, gateway)


def _of_regional(held: Held, gateway: NatGateway) -> Iterator[str]:
    if (gateway.state == "failed") != bool(gateway.failure_code) and gateway.state != "deleted":
        yield f"{gateway.id} is {gateway.state}, and its failure is '{gateway.failure_code}'"
    table = held.get(RouteTable, gateway.route_table_id, gateway)
    if gateway.state in ("failed", "deleted"):
        if gateway.zones or gateway.route_table_id:
            yield f"{gateway.id} is {gateway.state}, and has {gateway.zones} and {gateway.route_table_id}"
        return
    if table is None or table.vpc_id != gateway.vpc_id:
        yield f"{gateway.id} has the route table {gateway.route_table_id}, which is gone or elsewhere"
    if len({one.zone for one in gateway.zones}) < len(gateway.zones):
        yield f"{gateway.id} is in a zone twice: {gateway.zones}"
    for zone in gateway.zones:
        interface = held.get(NetworkInterface, zone.interface_id, gateway)
        private = tuple(one.private_address for one in gateway.addresses if one.zone == zone.zone)
        if interface is None or interface.addresses != private:
            yield f"{gateway.id} has {private} in {zone.zone}, {zone.interface_id} {interface and interface.addresses}"
    if {one.zone for one in gateway.addresses} != {one.zone for one in gateway.zones}:
        yield f"{gateway.id} has {gateway.addresses} in {gateway.zones}"
    yield from _of_nat_addresses(held, gateway)


def _of_nat_addresses(held: Held, gateway: NatGateway) -> Iterator[str]:
    by_zone = {one.zone: one.interface_id for one in gateway.zones}
    for one in gateway.addresses:
        elastic_ip = held.get(ElasticIp, one.allocation_id, gateway)
        interface_id = by_zone.get(one.zone, "") if gateway.is_regional else gateway.interface_id
        said = (one.association_id, one.public_address, interface_id, one.private_address)
        if gateway.connectivity == "private":
            if one.allocation_id or one.public_address:
                yield f"{gateway.id} is private, and has {one.public_address}"
        elif elastic_ip is None or said != (
            elastic_ip.association_id,
            elastic_ip.address,
            elastic_ip.interface_id,
            elastic_ip.private_address,
        ):
            yield f"{gateway.id} has {said}, and {one.allocation_id} stands elsewhere"


def what_the_region_allocated_is_its_gateways(held: Held) -> Iterator[str]:
    for elastic_ip in held.all(ElasticIp):
        gateway = held.get(NatGateway, elastic_ip.managed_by, elastic_ip) if elastic_ip.managed_by else None
        if elastic_ip.managed_by and (gateway is None or elastic_ip.id not in {one.allocation_id for one in gateway.addresses}):
            yield f"{elastic_ip.id} was allocated for {elastic_ip.managed_by}, which is gone or does not have it"


def endpoints_have_what_they_say(held: Held) -> Iterator[str]:
    for endpoint in held.all(VpcEndpoint):
        if held.get(Vpc, endpoint.vpc_id, endpoint) is None:
            yield f"{endpoint.id} is of {endpoint.vpc_id}, which is gone"
        for subnet_id, eni in endpoint.interfaces.items():
            interface = held.get(NetworkInterface, eni, endpoint)
            attached = interface and interface.cell_attachment
            if interface is None or not attached or attached.of != endpoint.id:
                yield f"{endpoint.id} has {eni}, which is gone or another's"
            elif (interface.subnet_id, interface.vpc_id) != (subnet_id, endpoint.vpc_id):
                yield f"{endpoint.id} has {eni} in {subnet_id}, which is elsewhere"
            elif interface.groups != endpoint.groups:
                yield f"{endpoint.id} has {endpoint.groups}, its {eni} {interface.groups}"
        named = [one for one in held.all(PrivateZone) if one.of == endpoint.id]
        places = len(endpoint.interfaces)  # each is in a zone of its own
        wanted = 0 if endpoint.deleted or not places else 1 + places + endpoint.private_dns
        if len(named) != wanted:
            yield f"{endpoint.id} answers to {[one.name for one in named]}"


def zones_of_endpoints_go_with_them(held: Held) -> Iterator[str]:
    for zone in held.all(PrivateZone):
        if zone.of and zone.of not in held.by_id:
            yield f"{zone.id} names {zone.of}, which is gone"


def balancers_serve_one_service_each(held: Held) -> Iterator[str]:
    services = held.all(VpcEndpointService)
    seen = Counter((one.account, one.region, arn) for one in services for arn in one.balancers)
    yield from (f"{arn} serves {count} services" for arn, count in seen.items() if count > 1)
    for service in services:
        if not service.balancers:
            yield f"{service.id} has no balancer"
        for said in (service.accepted, service.rejected):
            if len(set(said)) < len(said):
                yield f"{service.id} says something twice: {said}"


RULES: tuple[Callable[[Held], Iterator[str]], ...] = (
    keys_name_what_lies_there,
    claims_match_resources,
    heads_are_as_new_as_what_they_guard,
    subnets_lie_in_their_vpc_and_apart,
    vpcs_have_one_main_table_and_blocks_apart,
    route_tables_belong_to_their_vpc,
    addresses_are_their_subnets_and_nobody_elses,
    macs_are_unique_in_a_vpc,
    attachments_name_an_instance_that_names_them,
    instances_have_their_interfaces_and_a_host,
    hosts_hold_no_more_than_they_can,
    edges_and_nodes_hold_no_instances,
    cells_have_their_own_nodes,
    key_pairs_have_names_of_their_own,
    nothing_is_live_that_was_not_made,
    ipv6_blocks_lie_in_their_vpc_and_apart,
    what_interfaces_have_is_their_subnets_and_apart,
    vpcs_and_subnets_are_guarded,
    acls_belong_to_their_vpc_and_count_each_number_once,
    groups_belong_to_their_vpc_and_their_rules_to_them,
    interfaces_have_groups_of_their_vpc,
    destinations_are_in_a_table_once,
    two_vpcs_have_one_live_peering_at_most,
    the_vpcs_of_an_active_peering_exist,
    peered_vpcs_are_apart,
    vpcs_have_an_options_set_or_want_none,
    dns_hostnames_need_dns_support,
    zones_are_of_vpcs_and_one_of_a_name_in_each,
    balancers_have_their_interfaces_at_cells_and_names,
    listeners_send_to_groups_that_are_there,
    what_balances_has_names_of_its_own_and_each_target_once,
    metadata_can_be_asked_for,
    vpcs_have_one_gateway_of_a_kind,
    public_addresses_have_one_holder_and_stand_for_one_address,
    elastic_ips_are_associated_with_what_is_there,
    what_stopped_has_no_public_address_of_its_own,
    interfaces_of_cells_have_an_owner_and_a_shard,
    shards_are_of_nodes_that_are_there,
    nat_gateways_have_what_they_say,
    what_the_region_allocated_is_its_gateways,
    endpoints_have_what_they_say,
    zones_of_endpoints_go_with_them,
    balancers_serve_one_service_each,
)
