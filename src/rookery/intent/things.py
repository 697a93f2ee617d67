"""The little that intent reads of each thing: the model's resources have it, and so have the facts that the mapping service
keeps of them (rookery.mapping.facts)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from rookery.model.objects import (
    CidrAssociation,
    ConnectionTracking,
    DnsRecord,
    MetadataOptions,
    NetworkAclAssociation,
    NetworkAclEntry,
    PrivateNameOptions,
    Route,
    RouteTableAssociation,
)


class VpcThing(Protocol):
    @property
    def id(self) -> str: ...

    @property
    def account(self) -> str: ...

    @property
    def vni(self) -> int: ...

    @property
    def cidr_associations(self) -> tuple[CidrAssociation, ...]: ...

    @property
    def ipv6_cidr_associations(self) -> tuple[CidrAssociation, ...]: ...

    @property
    def dhcp_options_id(self) -> str: ...

    @property
    def enable_dns_support(self) -> bool: ...

    @property
    def enable_dns_hostnames(self) -> bool: ...


class SubnetThing(Protocol):
    @property
    def id(self) -> str: ...

    @property
    def number(self) -> int: ...

    @property
    def vpc_id(self) -> str: ...

    @property
    def cidr(self) -> str: ...

    @property
    def ipv6_cidr_associations(self) -> tuple[CidrAssociation, ...]: ...

    @property
    def enable_dns64(self) -> bool: ...


class TableThing(Protocol):
    @property
    def id(self) -> str: ...

    @property
    def number(self) -> int: ...

    @property
    def vpc_id(self) -> str: ...

    @property
    def associations(self) -> tuple[RouteTableAssociation, ...]: ...

    @property
    def routes(self) -> tuple[Route, ...]: ...


class AclThing(Protocol):
    @property
    def id(self) -> str: ...

    @property
    def number(self) -> int: ...

    @property
    def is_default(self) -> bool: ...

    @property
    def associations(self) -> tuple[NetworkAclAssociation, ...]: ...

    @property
    def entries(self) -> tuple[NetworkAclEntry, ...]: ...


class GroupRuleThing(Protocol):
    @property
    def id(self) -> str: ...

    @property
    def is_egress(self) -> bool: ...

    @property
    def protocol(self) -> str: ...

    @property
    def from_port(self) -> int: ...

    @property
    def to_port(self) -> int: ...

    @property
    def cidr(self) -> str: ...

    @property
    def prefix_list_id(self) -> str: ...

    @property
    def group_id(self) -> str: ...

    @property
    def group_vpc_id(self) -> str: ...


class GroupThing(Protocol):
    @property
    def vpc_id(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def rules(self) -> Sequence[GroupRuleThing]: ...


class PrefixListEntryThing(Protocol):
    @property
    def cidr(self) -> str: ...


class PrefixListThing(Protocol):
    @property
    def versions(self) -> Sequence[Sequence[PrefixListEntryThing]]: ...


class PeeringSideThing(Protocol):
    @property
    def vpc_id(self) -> str: ...


class PeeringThing(Protocol):
    @property
    def requester(self) -> PeeringSideThing: ...

    @property
    def accepter(self) -> PeeringSideThing: ...

    @property
    def status(self) -> str: ...


class DhcpOptionsThing(Protocol):
    @property
    def configurations(self) -> tuple[tuple[str, tuple[str, ...]], ...]: ...


class PrivateZoneThing(Protocol):
    @property
    def id(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def vpc_ids(self) -> tuple[str, ...]: ...

    @property
    def records(self) -> tuple[DnsRecord, ...]: ...

    @property
    def is_public(self) -> bool: ...


class AttachmentThing(Protocol):
    @property
    def instance_id(self) -> str: ...

    @property
    def detaching(self) -> bool: ...

    @property
    def device_index(self) -> int: ...


class CellAttachmentThing(Protocol):
    @property
    def cell(self) -> str: ...

    @property
    def of(self) -> str: ...


class InterfaceThing(Protocol):
    @property
    def id(self) -> str: ...

    @property
    def account(self) -> str: ...

    @property
    def number(self) -> int: ...

    @property
    def subnet_id(self) -> str: ...

    @property
    def mac(self) -> str: ...

    @property
    def addresses(self) -> Sequence[str]: ...

    @property
    def primary(self) -> str: ...

    @property
    def ipv6_addresses(self) -> Sequence[str]: ...

    @property
    def prefixes(self) -> Sequence[str]: ...

    @property
    def groups(self) -> Sequence[str]: ...

    @property
    def tracking(self) -> ConnectionTracking: ...

    @property
    def source_dest_check(self) -> bool: ...

    @property
    def public_address(self) -> str: ...

    @property
    def attachment(self) -> AttachmentThing | None: ...

    @property
    def cell_attachment(self) -> CellAttachmentThing | None: ...


class InstanceThing(Protocol):
    @property
    def id(self) -> str: ...

    @property
    def region(self) -> str: ...

    @property
    def wanted(self) -> str: ...

    @property
    def boot(self) -> int: ...

    @property
    def user_data(self) -> str: ...

    @property
    def kind(self) -> str: ...

    @property
    def account(self) -> str: ...

    @property
    def zone(self) -> str: ...

    @property
    def image_id(self) -> str: ...

    @property
    def instance_type(self) -> str: ...

    @property
    def reservation_id(self) -> str: ...

    @property
    def launch_index(self) -> int: ...

    @property
    def launched(self) -> float: ...

    @property
    def key_name(self) -> str: ...

    @property
    def public_key(self) -> str: ...

    @property
    def tags(self) -> Mapping[str, str]:
        """Not kept of one whose metadata does not show them."""

    @property
    def metadata(self) -> MetadataOptions: ...

    @property
    def private_names(self) -> PrivateNameOptions: ...


class GatewayThing(Protocol):
    """Of either kind."""

    @property
    def id(self) -> str: ...

    @property
    def attached_vpc_id(self) -> str: ...


class ElasticIpThing(Protocol):
    @property
    def id(self) -> str: ...

    @property
    def address(self) -> str: ...

    @property
    def interface_id(self) -> str: ...

    @property
    def private_address(self) -> str: ...


class NatZoneThing(Protocol):
    @property
    def zone(self) -> str: ...

    @property
    def interface_id(self) -> str: ...

    @property
    def serves(self) -> bool: ...

    @property
    def leaving(self) -> bool: ...


class NatThing(Protocol):
    @property
    def vpc_id(self) -> str: ...

    @property
    def interface_id(self) -> str: ...

    @property
    def state(self) -> str: ...

    @property
    def route_table_id(self) -> str: ...

    @property
    def zones(self) -> Sequence[NatZoneThing]: ...

    @property
    def automatic(self) -> bool: ...


class CellThing(Protocol):
    @property
    def nodes(self) -> Sequence[str]: ...

    @property
    def draining(self) -> Sequence[str]: ...


class ShardThing(Protocol):
    @property
    def cell(self) -> str: ...

    @property
    def account(self) -> str: ...

    @property
    def nodes(self) -> Sequence[str]: ...


class HostThing(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def address(self) -> str: ...

    @property
    def is_edge(self) -> bool: ...

    @property
    def cell(self) -> str: ...


class Things(Protocol):
    """All that there is, by id, where one thing names another: what it names may be gone."""

    @property
    def vpcs(self) -> Mapping[str, VpcThing]: ...

    @property
    def subnets(self) -> Mapping[str, SubnetThing]: ...

    @property
    def interfaces(self) -> Mapping[str, InterfaceThing]: ...

    @property
    def instances(self) -> Mapping[str, InstanceThing]: ...

    @property
    def security_groups(self) -> Mapping[str, GroupThing]: ...

    @property
    def prefix_lists(self) -> Mapping[str, PrefixListThing]: ...

    @property
    def peerings(self) -> Mapping[str, PeeringThing]: ...

    @property
    def dhcp_options(self) -> Mapping[str, DhcpOptionsThing]: ...

    @property
    def internet_gateways(self) -> Mapping[str, GatewayThing]: ...

    @property
    def egress_only_gateways(self) -> Mapping[str, GatewayThing]: ...

    @property
    def nat_gateways(self) -> Mapping[str, NatThing]: ...

    def elastic_ips_of(self, interface_id: str) -> Iterable[ElasticIpThing]:
        """Those that are associated with the interface."""
