"""What the store holds: one frozen struct per kind of thing, plain data, no I/O.

Every resource is owned by an account and lives in one AWS region (the region of the request's credential scope).
`KIND` is the word of its store key, `PREFIX` that of its AWS id. Objects are immutable: change them with
`msgspec.structs.replace`.

Numbers: the data plane knows a VPC by the last six hex digits of its id (the VNI) and subnets, interfaces and route
tables by the last eight of theirs (docs/decisions/0003-numbers-from-ids.md), so that a human who reads a capture or a map
recognises the id.
"""

from __future__ import annotations

from typing import ClassVar, TypeVar

import msgspec


class Resource(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A thing with an AWS id. Times are unix seconds."""

    KIND: ClassVar[str]
    PREFIX: ClassVar[str]

    account: str
    region: str
    id: str
    created: float = 0.0
    tags: dict[str, str] = {}


class CidrAssociation(msgspec.Struct, frozen=True):
    """One IPv4 block of a VPC. `id` is vpc-cidr-assoc-...; the first of a VPC is its primary block."""

    id: str
    cidr: str


class Vpc(Resource, frozen=True, kw_only=True):
    KIND: ClassVar[str] = "vpc"
    PREFIX: ClassVar[str] = "vpc"

    cidr_associations: tuple[CidrAssociation, ...]
    is_default: bool = False
    instance_tenancy: str = "default"
    dhcp_options_id: str = "default"
    enable_dns_support: bool = True
    enable_dns_hostnames: bool = False
    enable_network_address_usage_metrics: bool = False

    @property
    def vni(self) -> int:
        """The 24-bit identity of this VPC on the substrate."""
        return int(self.id[-6:], 16)

    @property
    def cidr(self) -> str:
        """The primary IPv4 block."""
        return self.cidr_associations[0].cidr


class Subnet(Resource, frozen=True, kw_only=True):
    KIND: ClassVar[str] = "subnet"
    PREFIX: ClassVar[str] = "subnet"

    vpc_id: str
    cidr: str
    zone: str  # "us-east-1a"
    default_for_zone: bool = False
    map_public_ip_on_launch: bool = False
    assign_ipv6_on_creation: bool = False
    enable_dns64: bool = False
    private_dns_hostname_type: str = "ip-name"
    resource_name_dns_a: bool = False
    resource_name_dns_aaaa: bool = False

    @property
    def number(self) -> int:
        return int(self.id[-8:], 16)


class RouteTableAssociation(msgspec.Struct, frozen=True):
    """`subnet_id` empty: the main association of the VPC."""

    id: str
    subnet_id: str = ""


class RouteTable(Resource, frozen=True, kw_only=True):
    """Local routes are not stored: they follow from the VPC's blocks."""

    KIND: ClassVar[str] = "route-table"
    PREFIX: ClassVar[str] = "rtb"

    vpc_id: str
    associations: tuple[RouteTableAssociation, ...] = ()

    @property
    def number(self) -> int:
        return int(self.id[-8:], 16)

    @property
    def is_main(self) -> bool:
        return any(not a.subnet_id for a in self.associations)


class Attachment(msgspec.Struct, frozen=True, kw_only=True):
    """An interface on an instance. `host` is the name of the host that holds it: the mapping follows this."""

    id: str
    instance_id: str
    host: str
    device_index: int = 0
    attached: float = 0.0
    delete_on_termination: bool = False
    detaching: bool = False  # asked for: no host shall hold it any more; stays until its host has said so


class NetworkInterface(Resource, frozen=True, kw_only=True):
    KIND: ClassVar[str] = "network-interface"
    PREFIX: ClassVar[str] = "eni"

    vpc_id: str
    subnet_id: str
    zone: str
    mac: str  # "02:..", lower case
    addresses: tuple[str, ...]  # primary first, then secondaries
    description: str = ""
    source_dest_check: bool = True
    attachment: Attachment | None = None

    @property
    def number(self) -> int:
        return int(self.id[-8:], 16)

    @property
    def primary(self) -> str:
        return self.addresses[0]


class KeyPair(Resource, frozen=True, kw_only=True):
    KIND: ClassVar[str] = "key-pair"
    PREFIX: ClassVar[str] = "key"

    name: str
    key_type: str  # rsa, ed25519
    fingerprint: str
    public_key: str


class Instance(Resource, frozen=True, kw_only=True):
    """What the user wants of an instance. What really runs is `InstanceStatus`, told by its host."""

    KIND: ClassVar[str] = "instance"
    PREFIX: ClassVar[str] = "i"

    image_id: str
    instance_type: str
    subnet_id: str
    vpc_id: str
    zone: str
    host: str
    interface_ids: tuple[str, ...]  # by device index
    wanted: str = "running"  # running, stopped, terminated
    boot: int = 1  # raised by every start and reboot: the host runs this boot, or is about to
    wanted_since: float = 0.0
    launched: float = 0.0  # the last RunInstances or StartInstances
    user_data: str = ""  # base64, as given
    key_name: str = ""
    reservation_id: str = ""
    launch_index: int = 0
    client_token: str = ""
    disable_api_termination: bool = False
    disable_api_stop: bool = False
    shutdown_behavior: str = "stop"
    state_reason: str = ""


class InstanceStatus(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a host last said of an instance (`observed/instance/<id>`)."""

    id: str
    state: str  # running, stopped, terminated, failed
    boot: int = 0
    since: float = 0.0
    message: str = ""
    interfaces: tuple[str, ...] = ()  # ids of those that are plugged in and may speak


class Live(msgspec.Struct, frozen=True, kw_only=True):
    """How far the hosts are (`observed/live`): every host concerned has applied intent up to `generation`."""

    generation: int
    hosts: dict[str, int] = {}


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """A physical host (`infrastructure/host/<name>`). `zone` 0 is the first zone: 'a' in every AWS region."""

    name: str
    zone: int
    address: str
    capacity: int = 500  # instances


class AccessKey(msgspec.Struct, frozen=True, kw_only=True):
    """A signing key (`credentials/<access key>`). `sealed_secret` is AES-GCM under the region's sealing key."""

    access_key: str
    account: str
    sealed_secret: bytes


RESOURCES: tuple[type[Resource], ...] = (Vpc, Subnet, RouteTable, NetworkInterface, KeyPair, Instance)

R = TypeVar("R", bound=Resource)
