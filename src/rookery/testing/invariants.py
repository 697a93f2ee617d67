"""What is true of every store, whatever happened to its writers: each broken rule as a sentence. Pure.

assert broken((await store.range("")).entries) == []
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network, ip_network
from itertools import combinations
from typing import TypeVar

from rookery.api.blocks import Block, is_within, overlap
from rookery.api.state import claim_key
from rookery.model import keys
from rookery.model.codec import decode, decode_resource
from rookery.model.objects import (
    Host,
    Instance,
    KeyPair,
    Live,
    NetworkInterface,
    Resource,
    RouteTable,
    Subnet,
    Vpc,
)
from rookery.store.interface import Entry

R = TypeVar("R", bound=Resource)

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
    yield from (f"{subnet} is associated {count} times" for subnet, count in associated.items() if count > 1)


def addresses_are_their_subnets_and_nobody_elses(held: Held) -> Iterator[str]:
    holders: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for interface in held.all(NetworkInterface):
        subnet = held.get(Subnet, interface.subnet_id, interface)
        if subnet is None or (subnet.vpc_id, subnet.zone) != (interface.vpc_id, interface.zone):
            yield f"{interface.id} is in {interface.subnet_id}, which is gone or elsewhere"
            continue
        for address in interface.addresses:
            holders[subnet.vpc_id, address].append(interface.id)
            if not _usable(IPv4Address(address), IPv4Network(subnet.cidr)):
                yield f"{interface.id} has {address}, which {subnet.cidr} does not give"
    yield from (f"{address} is held by {ids}" for (_, address), ids in holders.items() if len(ids) > 1)


def _usable(address: IPv4Address, block: IPv4Network) -> bool:
    return address in block and RESERVED_AT_START <= int(address) - int(block[0]) < block.num_addresses - 1


def prefixes_and_ipv6_are_their_subnets_and_nobody_elses(held: Held) -> Iterator[str]:
    by_subnet: defaultdict[str, list[tuple[Block, str]]] = defaultdict(list)
    for interface in held.all(NetworkInterface):
        subnet = held.get(Subnet, interface.subnet_id, interface)
        associations = subnet.ipv6_cidr_associations if subnet else ()
        homes = [subnet.cidr, *(one.cidr for one in associations)] if subnet else []
        for each in (*interface.ipv6_addresses, *interface.prefixes):
            if not any(is_within(ip_network(each), ip_network(home)) for home in homes):
                yield f"{interface.id} has {each}, which {interface.subnet_id} does not give"
        everything = (*interface.addresses, *interface.ipv6_addresses, *interface.prefixes)
        by_subnet[interface.subnet_id] += [(ip_network(each), interface.id) for each in everything]
    for ones in by_subnet.values():
        for (one, holder), (other, other_holder) in combinations(ones, 2):
            if overlap(one, other):
                yield f"{one} of {holder} and {other} of {other_holder} overlap"


def ipv6_blocks_lie_in_their_vpc_and_apart(held: Held) -> Iterator[str]:
    of_vpcs = [(ip_network(one.cidr), vpc.id) for vpc in held.all(Vpc) for one in vpc.ipv6_cidr_associations]
    of_subnets = [(ip_network(a.cidr), one) for one in held.all(Subnet) for a in one.ipv6_cidr_associations]
    for block, subnet in of_subnets:
        if not any(is_within(block, home) for home, vpc_id in of_vpcs if vpc_id == subnet.vpc_id):
            yield f"{subnet.id} {block} is in no block of {subnet.vpc_id}"
    for blocks in ([block for block, _ in of_vpcs], [block for block, _ in of_subnets]):
        for one, other in combinations(blocks, 2):
            if overlap(one, other):
                yield f"{one} and {other} overlap"


def tables_have_one_route_for_each_destination(held: Held) -> Iterator[str]:
    for table in held.all(RouteTable):
        seen = Counter(route.destination for route in table.routes)
        yield from (f"{table.id} has {count} routes to {one}" for one, count in seen.items() if count > 1)


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


def key_pairs_have_names_of_their_own(held: Held) -> Iterator[str]:
    names = Counter((pair.account, pair.region, pair.name) for pair in held.all(KeyPair))
    yield from (f"{name} is used {count} times" for name, count in names.items() if count > 1)


def nothing_is_live_that_was_not_made(held: Held) -> Iterator[str]:
    newest = max((entry.revision for entry in held.entries.values()), default=0)
    for entry in held.under(keys.LIVE):
        live = decode(Live, entry.value).generation
        if live > newest:
            yield f"{live} is said to be live, {newest} is the newest"


RULES: tuple[Callable[[Held], Iterator[str]], ...] = (
    keys_name_what_lies_there,
    claims_match_resources,
    heads_are_as_new_as_what_they_guard,
    subnets_lie_in_their_vpc_and_apart,
    vpcs_have_one_main_table_and_blocks_apart,
    route_tables_belong_to_their_vpc,
    addresses_are_their_subnets_and_nobody_elses,
    prefixes_and_ipv6_are_their_subnets_and_nobody_elses,
    ipv6_blocks_lie_in_their_vpc_and_apart,
    tables_have_one_route_for_each_destination,
    macs_are_unique_in_a_vpc,
    attachments_name_an_instance_that_names_them,
    instances_have_their_interfaces_and_a_host,
    hosts_hold_no_more_than_they_can,
    key_pairs_have_names_of_their_own,
    nothing_is_live_that_was_not_made,
)
