"""The part of the intended state that the mapping service keeps in memory: only the fields that reach a host.

A region has a million interfaces: what is not read is not decoded, and strings that many things share exist once.
The fields are named as in rookery.model.objects, so that the functions of rookery.intent read either.
"""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Annotated, TypeVar

import msgspec

from rookery.intent.dhcp import Configurations, dhcp_intent
from rookery.intent.host import MappingIntent
from rookery.intent.regional import zone_number
from rookery.intent.services import ENABLED
from rookery.intent.zones import zone_id
from rookery.model.codec import decode, kind_of
from rookery.model.keys import CELLS, HOSTS, INTENDED, SHARDS
from rookery.model.objects import (
    NAMESPACE,
    CidrAssociation,
    ConnectionTracking,
    DhcpOptions,
    DnsRecord,
    EgressOnlyInternetGateway,
    ElasticIp,
    Instance,
    InternetGateway,
    MetadataOptions,
    NatGateway,
    NetworkAcl,
    NetworkAclAssociation,
    NetworkAclEntry,
    NetworkInterface,
    PrefixList,
    PrivateNameOptions,
    PrivateZone,
    Route,
    RouteTable,
    RouteTableAssociation,
    SecurityGroup,
    Subnet,
    Vpc,
    VpcPeering,
)

Options = TypeVar("Options", MetadataOptions, PrivateNameOptions)


class Unreadable(Exception):
    """A row is not what it should be. Caught by the index, which says so and goes on without it."""


class VpcFacts(msgspec.Struct):
    id: str
    account: str
    cidr_associations: Annotated[tuple[CidrAssociation, ...], msgspec.Meta(min_length=1)]
    ipv6_cidr_associations: tuple[CidrAssociation, ...] = ()
    dhcp_options_id: str = "default"
    enable_dns_support: bool = True
    enable_dns_hostnames: bool = False

    def __post_init__(self) -> None:
        ipaddress.IPv4Network(self.cidr_associations[0].cidr)

    @property
    def vni(self) -> int:
        return int(self.id[-6:], 16)


class Numbered(msgspec.Struct):
    id: str

    @property
    def number(self) -> int:
        return int(self.id[-8:], 16)


class SubnetFacts(Numbered):
    vpc_id: str
    cidr: str
    ipv6_cidr_associations: tuple[CidrAssociation, ...] = ()
    enable_dns64: bool = False

    def __post_init__(self) -> None:
        ipaddress.IPv4Network(self.cidr)
        for association in self.ipv6_cidr_associations:
            ipaddress.IPv6Network(association.cidr)


class TableFacts(Numbered):
    vpc_id: str
    associations: tuple[RouteTableAssociation, ...] = ()
    routes: tuple[Route, ...] = ()


class AclFacts(Numbered):
    vpc_id: str
    is_default: bool = False
    associations: tuple[NetworkAclAssociation, ...] = ()
    entries: tuple[NetworkAclEntry, ...] = ()


class GroupRuleFacts(msgspec.Struct, gc=False):
    id: str
    is_egress: bool
    protocol: str
    from_port: int = -1
    to_port: int = -1
    cidr: str = ""
    prefix_list_id: str = ""
    group_id: str = ""
    group_vpc_id: str = ""


class GroupFacts(msgspec.Struct):
    id: str
    vpc_id: str
    name: str
    rules: tuple[GroupRuleFacts, ...] = ()


class PrefixListEntryFacts(msgspec.Struct, gc=False):
    cidr: str


class PrefixListFacts(msgspec.Struct):
    """Of its versions the last counts, and only that is kept."""

    id: str
    versions: tuple[tuple[PrefixListEntryFacts, ...], ...]

    def __post_init__(self) -> None:
        self.versions = self.versions[-1:]


class PeeringSideFacts(msgspec.Struct, gc=False):
    vpc_id: str


class PeeringFacts(msgspec.Struct):
    id: str
    requester: PeeringSideFacts
    accepter: PeeringSideFacts
    status: str


class DhcpOptionsFacts(msgspec.Struct):
    id: str
    configurations: Configurations

    def __post_init__(self) -> None:
        dhcp_intent(self.configurations)  # its numbers are numbers


class PrivateZoneFacts(msgspec.Struct):
    id: str
    name: str
    vpc_ids: tuple[str, ...]
    records: tuple[DnsRecord, ...] = ()
    is_public: bool = False


class AttachmentFacts(msgspec.Struct, gc=False):
    """`detaching`: read, and then there is no attachment."""

    instance_id: str
    host: str
    device_index: int = 0
    detaching: bool = False


class CellAttachmentFacts(msgspec.Struct, gc=False):
    cell: str
    of: str = ""


class InterfaceFacts(Numbered, gc=False):
    """`revision`, `time`: of its last change; `rows`: the mappings it claims now."""

    account: str
    subnet_id: str
    mac: str
    addresses: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    ipv6_addresses: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    tracking: ConnectionTracking = ConnectionTracking()
    source_dest_check: bool = True
    attachment: AttachmentFacts | None = None
    cell_attachment: CellAttachmentFacts | None = None
    public_address: str = ""
    revision: int = 0
    time: int = 0
    rows: tuple[MappingIntent, ...] = ()

    def __post_init__(self) -> None:
        if self.attachment and self.attachment.detaching:
            self.attachment = None  # as rookery.intent.instance.held_attachment
        self.groups = _same_groups(self.groups)

    @property
    def primary(self) -> str:
        return self.addresses[0]

    @property
    def instance_id(self) -> str:
        """Empty: it is not attached."""
        return self.attachment.instance_id if self.attachment else ""

    @property
    def cell(self) -> str:
        """Empty: it lives at none."""
        return self.cell_attachment.cell if self.cell_attachment else ""


NO_TAGS: Mapping[str, str] = {}


class InstanceFacts(msgspec.Struct, gc=False):
    """`tags`: only those that its metadata shows."""

    id: str
    account: str
    region: str
    zone: str
    host: str
    image_id: str
    instance_type: str
    wanted: str = "running"
    boot: int = 1
    user_data: str = ""
    kind: str = NAMESPACE
    reservation_id: str = ""
    launch_index: int = 0
    launched: float = 0.0
    key_name: str = ""
    public_key: str = ""
    tags: Mapping[str, str] = NO_TAGS
    metadata: MetadataOptions = MetadataOptions()
    private_names: PrivateNameOptions = PrivateNameOptions()

    def __post_init__(self) -> None:
        zone_id(self.region, self.zone)  # it has one
        if self.metadata.tags != ENABLED:
            self.tags = NO_TAGS
        self.metadata, self.private_names = _same(self.metadata), _same(self.private_names)


class GatewayFacts(msgspec.Struct):
    """Of either kind."""

    id: str
    attached_vpc_id: str = ""


class ElasticIpFacts(msgspec.Struct, gc=False):
    id: str
    address: str
    interface_id: str = ""
    private_address: str = ""


class NatZoneFacts(msgspec.Struct, gc=False):
    zone: str
    interface_id: str
    serves: bool = False
    leaving: bool = False

    def __post_init__(self) -> None:
        zone_number(self.zone)  # it has one


class NatFacts(msgspec.Struct, gc=False):
    id: str
    vpc_id: str
    interface_id: str = ""
    state: str = "pending"
    route_table_id: str = ""
    zones: tuple[NatZoneFacts, ...] = ()
    automatic: bool = False


class HostFacts(msgspec.Struct):
    name: str
    address: str
    zone: int = 0
    is_edge: bool = False
    cell: str = ""

    @property
    def id(self) -> str:
        return self.name


class CellFacts(msgspec.Struct):
    name: str
    nodes: tuple[str, ...] = ()
    draining: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return self.name


class ShardFacts(msgspec.Struct):
    cell: str
    account: str
    nodes: tuple[str, ...]

    @property
    def id(self) -> str:
        """As the end of its key in the store."""
        return f"{self.cell}/{self.account}"


Fact = (
    VpcFacts
    | SubnetFacts
    | TableFacts
    | AclFacts
    | GroupFacts
    | PrefixListFacts
    | PeeringFacts
    | DhcpOptionsFacts
    | PrivateZoneFacts
    | InterfaceFacts
    | InstanceFacts
    | GatewayFacts
    | ElasticIpFacts
    | NatFacts
    | HostFacts
    | CellFacts
    | ShardFacts
)

HOST, CELL, SHARD = "host", "cell", "shard"
INFRASTRUCTURE = {HOSTS: HOST, CELLS: CELL, SHARDS: SHARD}  # what of it hosts must know
TYPES: dict[str, type[Fact]] = {
    Vpc.KIND: VpcFacts,
    Subnet.KIND: SubnetFacts,
    RouteTable.KIND: TableFacts,
    NetworkAcl.KIND: AclFacts,
    SecurityGroup.KIND: GroupFacts,
    PrefixList.KIND: PrefixListFacts,
    VpcPeering.KIND: PeeringFacts,
    DhcpOptions.KIND: DhcpOptionsFacts,
    PrivateZone.KIND: PrivateZoneFacts,
    NetworkInterface.KIND: InterfaceFacts,
    Instance.KIND: InstanceFacts,
    InternetGateway.KIND: GatewayFacts,
    EgressOnlyInternetGateway.KIND: GatewayFacts,
    ElasticIp.KIND: ElasticIpFacts,
    NatGateway.KIND: NatFacts,
    HOST: HostFacts,
    CELL: CellFacts,
    SHARD: ShardFacts,
}
SHARED = (
    "account",
    "region",
    "zone",
    "vpc_id",
    "subnet_id",
    "host",
    "image_id",
    "instance_type",
    "wanted",
    "user_data",
    "kind",
    "key_name",
    "public_key",
)


def identify(key: str) -> tuple[str, str] | None:
    """(kind, id) of what lies at a store key; None when it is nothing that a host must know."""
    if key.startswith(INTENDED):
        kind = kind_of(key)
        return (kind, key.rpartition("/")[2]) if kind in TYPES else None
    for prefix, kind in INFRASTRUCTURE.items():
        if key.startswith(prefix):
            return kind, key[len(prefix) :]
    return None


def read_fact(kind: str, identity: str, value: bytes, revision: int, time: float) -> Fact:
    """Raises Unreadable."""
    try:
        fact = decode(TYPES[kind], value)
        if not isinstance(fact, HostFacts | CellFacts | ShardFacts):
            fact.id = identity  # one string, not two
            int(identity[-8:].replace("-", ""), 16)  # its number
    except (msgspec.DecodeError, ValueError) as error:
        raise Unreadable(str(error)) from error
    _share(fact, SHARED)
    if isinstance(fact, InterfaceFacts):
        fact.revision, fact.time = revision, int(time)
        if fact.attachment:
            _share(fact.attachment, ("host",))
    return fact


@lru_cache(maxsize=65_536)
def _same_groups(groups: tuple[str, ...]) -> tuple[str, ...]:
    """A million interfaces have few lists of groups: each exists once."""
    return tuple(map(sys.intern, groups))


@lru_cache(maxsize=4096)
def _same(options: Options) -> Options:
    """A million instances have few kinds of options: each exists once."""
    return options


def _share(thing: msgspec.Struct, names: Iterable[str]) -> None:
    for name in names:
        if name in thing.__struct_fields__ and isinstance(text := getattr(thing, name), str):
            setattr(thing, name, sys.intern(text))
