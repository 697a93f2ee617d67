"""What the store holds: one frozen struct per kind of thing, plain data, no I/O.

Every resource is owned by an account and lives in one AWS region (the region of the request's credential scope).
`KIND` is the word of its store key, `PREFIX` that of its AWS id. Objects are immutable: change them with
`msgspec.structs.replace`.

Numbers: the data plane knows a VPC by the last six hex digits of its id (the VNI) and subnets, interfaces and route
tables by the last eight of theirs (docs/decisions/0003-numbers-from-ids.md), so that a human who reads a capture or a map
recognises the id.
"""

from __future__ import annotations

from collections.abc import Collection
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
    """One block of a VPC or subnet: vpc-cidr-assoc-... or subnet-cidr-assoc-.... A VPC's first IPv4 block is its primary."""

    id: str
    cidr: str


NO_OPTIONS = "none"  # as Vpc.dhcp_options_id: DHCP says nothing beside addresses; what AWS calls "default"


class Vpc(Resource, frozen=True, kw_only=True):
    KIND: ClassVar[str] = "vpc"
    PREFIX: ClassVar[str] = "vpc"

    cidr_associations: tuple[CidrAssociation, ...]
    ipv6_cidr_associations: tuple[CidrAssociation, ...] = ()
    is_default: bool = False
    instance_tenancy: str = "default"
    dhcp_options_id: str = "default"  # or NO_OPTIONS; "default": from before there were sets (rookery.api.older_stores)
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
    ipv6_cidr_associations: tuple[CidrAssociation, ...] = ()  # at most one: a /64 of the VPC's blocks
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
    """`subnet_id` and `gateway_id` empty: the main association of the VPC. `gateway_id`: igw-..., for what comes in through it."""

    id: str
    subnet_id: str = ""
    gateway_id: str = ""


class Route(msgspec.Struct, frozen=True, omit_defaults=True):
    """A route that somebody wrote. Whether it is a black hole is not stored: it follows from its target."""

    destination: str  # CIDR of either family, canonical; or the id of a prefix list
    target: str  # id: eni-..., pcx-..., igw-..., eigw-..., nat-...


class RouteTable(Resource, frozen=True, kw_only=True):
    """Local routes are not stored: they follow from the VPC's blocks. A route whose destination is one of those blocks has
    taken the place of that local route."""

    KIND: ClassVar[str] = "route-table"
    PREFIX: ClassVar[str] = "rtb"

    vpc_id: str
    associations: tuple[RouteTableAssociation, ...] = ()
    routes: tuple[Route, ...] = ()

    @property
    def number(self) -> int:
        return int(self.id[-8:], 16)

    @property
    def is_main(self) -> bool:
        return any(not a.subnet_id and not a.gateway_id for a in self.associations)


class SecurityGroupRule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Admits what comes from (egress: goes to) exactly one peer: `cidr`, `prefix_list_id` or `group_id`."""

    id: str  # sgr-...
    is_egress: bool
    protocol: str  # "tcp", "udp", "icmp", "icmpv6", the number of any other, "-1": all
    from_port: int = -1  # of a range of ports, or the type of ICMP; -1: any
    to_port: int = -1  # ... or the code of ICMP; -1: any
    cidr: str = ""  # of either family, canonical
    prefix_list_id: str = ""
    group_id: str = ""
    group_account: str = ""  # owner of `group_id`
    group_vpc_id: str = ""  # VPC of `group_id`, where it is a peer's; it may be gone by now (a stale rule)
    description: str = ""
    tags: dict[str, str] = {}


class SecurityGroup(Resource, frozen=True, kw_only=True):
    KIND: ClassVar[str] = "security-group"
    PREFIX: ClassVar[str] = "sg"

    vpc_id: str
    name: str
    description: str
    rules: tuple[SecurityGroupRule, ...] = ()

    @property
    def is_default(self) -> bool:
        """Nobody else may have this name."""
        return self.name == "default"


class NetworkAclAssociation(msgspec.Struct, frozen=True):
    id: str  # aclassoc-...
    subnet_id: str


class NetworkAclEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The last entry of each list (deny all) is not stored: nobody can change it."""

    number: int  # 1..32766; unique per direction
    is_egress: bool
    allow: bool
    protocol: int  # 0..255; -1: all
    cidr: str  # of either family, canonical: source of ingress, destination of egress
    from_port: int = -1  # as in SecurityGroupRule
    to_port: int = -1


class NetworkAcl(Resource, frozen=True, kw_only=True):
    KIND: ClassVar[str] = "network-acl"
    PREFIX: ClassVar[str] = "acl"

    vpc_id: str
    is_default: bool = False
    associations: tuple[NetworkAclAssociation, ...] = ()
    entries: tuple[NetworkAclEntry, ...] = ()

    @property
    def number(self) -> int:
        return int(self.id[-8:], 16)


class PrefixListEntry(msgspec.Struct, frozen=True):
    cidr: str
    description: str = ""


class PrefixList(Resource, frozen=True, kw_only=True):
    """A customer-managed prefix list. `versions[n]` holds the entries of version n + 1; the last is the current one."""

    KIND: ClassVar[str] = "prefix-list"
    PREFIX: ClassVar[str] = "pl"

    name: str
    family: str  # "IPv4", "IPv6"
    max_entries: int
    versions: tuple[tuple[PrefixListEntry, ...], ...]
    state: str = "create-complete"  # what was last done to it: create-, modify-, restore-complete

    @property
    def entries(self) -> tuple[PrefixListEntry, ...]:
        return self.versions[-1]


class SubnetCidrReservation(Resource, frozen=True, kw_only=True):
    """Automatic assignment keeps out of `cidr`."""

    KIND: ClassVar[str] = "subnet-cidr-reservation"
    PREFIX: ClassVar[str] = "scr"

    vpc_id: str
    subnet_id: str
    cidr: str  # of either family
    kind: str  # "prefix": only delegated prefixes come from it; "explicit": only addresses that are asked for
    description: str = ""


class PeeringSide(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    account: str
    region: str
    vpc_id: str
    dns_resolution: bool = False  # AllowDnsResolutionFromRemoteVpc


class InternetGateway(Resource, frozen=True, kw_only=True):
    KIND: ClassVar[str] = "internet-gateway"
    PREFIX: ClassVar[str] = "igw"

    attached_vpc_id: str = ""  # empty: detached
    attached: float = 0.0


class EgressOnlyInternetGateway(Resource, frozen=True, kw_only=True):
    KIND: ClassVar[str] = "egress-only-internet-gateway"
    PREFIX: ClassVar[str] = "eigw"

    attached_vpc_id: str


class ElasticIp(Resource, frozen=True, kw_only=True):
    """A public IPv4 address of an account; which interface's private address it stands for, if any."""

    KIND: ClassVar[str] = "elastic-ip"
    PREFIX: ClassVar[str] = "eipalloc"

    address: str
    pool: str = "amazon"
    association_id: str = ""  # eipassoc-...
    interface_id: str = ""
    private_address: str = ""
    ended_association_id: str = ""  # the last one that ended: to end it again is no error
    domain_name: str = ""  # reverse DNS, as asked for
    managed_by: str = ""  # nat-...: the region allocated it for that gateway, and releases it


class NatAddress(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A private address of a NAT gateway, and what stands for it outside. `status`: associating (private gateways: assigning)
    until the cell works by it, then succeeded; disassociating (unassigning) until `drain_until`; failed."""

    private_address: str = ""  # empty: its gateway failed
    allocation_id: str = ""  # eipalloc-...; empty: of a private gateway
    association_id: str = ""  # eipassoc-...
    public_address: str = ""
    is_primary: bool = False
    status: str = "succeeded"
    drain_until: float = 0.0
    zone: str = ""  # of a regional gateway: "us-east-1a"


class NatZone(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A zone in which a regional NAT gateway is."""

    zone: str  # "us-east-1a"
    interface_id: str  # eni-..., in no subnet
    serves: bool = False  # the cell works in its name: the zone's packets go there
    leaving: bool = False  # no packet goes there any more; it is gone when the cell has let it go
    empty_since: float = 0.0  # the VPC has no network interface in the zone; 0: it has


class NatGateway(Resource, frozen=True, kw_only=True):
    """`state`: pending, available, deleting, deleted, failed. What has ended stays for about an hour, and holds nothing.

    A regional one is in no subnet and has no `interface_id`: it has an interface in each of its `zones`, and a route table of its own."""

    KIND: ClassVar[str] = "nat-gateway"
    PREFIX: ClassVar[str] = "nat"

    vpc_id: str
    subnet_id: str = ""  # empty: regional
    interface_id: str = ""  # eni-..., gone when it has ended; empty: it failed before it had one
    connectivity: str = "public"  # or "private"
    state: str = "pending"
    addresses: tuple[NatAddress, ...] = ()  # the primary one first; of a regional gateway those of all zones
    route_table_id: str = ""  # rtb-..., of a regional one, made with it
    zones: tuple[NatZone, ...] = ()  # of a regional one, in the order in which they came
    automatic: bool = False  # a regional one that follows the VPC's network interfaces from zone to zone
    failure_code: str = ""
    failure_message: str = ""
    ended: float = 0.0  # since when it is deleting, deleted or failed

    @property
    def is_regional(self) -> bool:
        return not self.subnet_id


class AllowedPrincipal(msgspec.Struct, frozen=True):
    id: str  # vpce-svc-perm-...
    arn: str  # "*", or arn:aws:iam::123456789012:root


class VpcEndpointService(Resource, frozen=True, kw_only=True):
    """What its owner offers by its network load balancers to endpoints in other VPCs. What was decided of each endpoint stands here,
    so that each of the two accounts writes its own things only."""

    KIND: ClassVar[str] = "vpc-endpoint-service"
    PREFIX: ClassVar[str] = "vpce-svc"

    balancers: tuple[str, ...]  # ARNs
    acceptance_required: bool = True
    private_dns_name: str = ""  # lower case, without the last dot
    principals: tuple[AllowedPrincipal, ...] = ()
    accepted: tuple[str, ...] = ()  # vpce-...
    rejected: tuple[str, ...] = ()
    address_types: tuple[str, ...] = ("ipv4",)  # ipv4, ipv6: of its endpoints

    @property
    def name(self) -> str:
        return f"com.amazonaws.vpce.{self.region}.{self.id}"


class VpcEndpoint(Resource, frozen=True, kw_only=True):
    """An interface endpoint: an interface in each of its subnets, and zones with its names. Whether packets pass is its service's
    word (rookery.intent.privatelink)."""

    KIND: ClassVar[str] = "vpc-endpoint"
    PREFIX: ClassVar[str] = "vpce"

    vpc_id: str
    service_id: str
    service_account: str
    service_name: str
    interfaces: dict[str, str] = {}  # subnet-... -> eni-...
    groups: tuple[str, ...] = ()
    name: str = ""  # first label of its DNS names: vpce-<id>-<random>
    private_dns: bool = False
    accepted: bool = False  # when it was made: its service asked for no acceptance
    settled: bool = False  # it has been available
    deleted: float = 0.0  # since when it is deleting
    address_type: str = "ipv4"  # or dualstack
    dns_record_type: str = "ipv4"  # to what its names lead: ipv4, ipv6, dualstack

    def takes(self, address_types: Collection[str]) -> bool:
        """Whether these, of a service, are enough for it."""
        return {"ipv4", "ipv6"} <= set(address_types) if self.address_type == "dualstack" else self.address_type in address_types


class VpcPeering(Resource, frozen=True, kw_only=True):
    """Stored in the requester's account and region. `status`: AWS's code; where the time alone decides ("expired"), what is
    stored is what was last decided."""

    KIND: ClassVar[str] = "vpc-peering-connection"
    PREFIX: ClassVar[str] = "pcx"

    requester: PeeringSide
    accepter: PeeringSide
    status: str  # pending-acceptance, active, failed, rejected, expired, deleted
    message: str = ""
    expires: float = 0.0  # while pending-acceptance
    ended: float = 0.0  # since when it has a final status
    ended_by: str = ""  # account


class DhcpOptions(Resource, frozen=True, kw_only=True):
    """A DHCP options set; immutable but for its tags. `configurations` in the order given, values as given:
    domain-name, domain-name-servers, ntp-servers, netbios-name-servers, netbios-node-type,
    ipv6-address-preferred-lease-time."""

    KIND: ClassVar[str] = "dhcp-options"
    PREFIX: ClassVar[str] = "dopt"

    configurations: tuple[tuple[str, tuple[str, ...]], ...]
    is_default: bool = False  # of its account and region: new VPCs get it


class DnsRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    name: str  # whole, lower case, without the last dot
    kind: str  # A, AAAA, CNAME, TXT
    values: tuple[str, ...]
    ttl: int = 60  # seconds


class PrivateZone(Resource, frozen=True, kw_only=True):
    """A zone that the resolver of some VPCs answers for, and nobody else. No API makes one by itself: balancers and endpoints do."""

    KIND: ClassVar[str] = "private-zone"
    PREFIX: ClassVar[str] = "zone"

    name: str  # lower case, without the last dot
    vpc_ids: tuple[str, ...]
    records: tuple[DnsRecord, ...] = ()
    of: str = ""  # id of the balancer or endpoint whose names they are; deleted with it
    is_public: bool = False  # at AWS all the world resolves it: VPCs without enableDnsHostnames do, too


class ConnectionTracking(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Idle seconds after which a tracked flow is forgotten."""

    tcp_established: int = 432_000
    udp_stream: int = 180
    udp: int = 30


class Attachment(msgspec.Struct, frozen=True, kw_only=True):
    """An interface on an instance. `host` is the name of the host that holds it: the mapping follows this."""

    id: str
    instance_id: str
    host: str
    device_index: int = 0
    attached: float = 0.0
    delete_on_termination: bool = False
    detaching: bool = False  # asked for: no host shall hold it any more; stays until its host has said so


class CellAttachment(msgspec.Struct, frozen=True, kw_only=True):
    """An interface in whose name a cell of Hyperplane works: no host holds it, the nodes of its owner's shard do."""

    cell: str  # name
    of: str  # id of the NAT gateway, load balancer or endpoint; deleted with it


class NetworkInterface(Resource, frozen=True, kw_only=True):
    KIND: ClassVar[str] = "network-interface"
    PREFIX: ClassVar[str] = "eni"

    vpc_id: str
    subnet_id: str  # empty: a regional NAT gateway's in one zone, of which nobody is told
    zone: str
    mac: str  # "02:..", lower case
    addresses: tuple[str, ...]  # IPv4, primary first, then secondaries
    ipv6_addresses: tuple[str, ...] = ()  # canonical text
    prefixes: tuple[str, ...] = ()  # delegated: IPv4 /28 and IPv6 /80
    primary_ipv6: bool = False  # the first of `ipv6_addresses` stays
    groups: tuple[str, ...] = ()  # sg-..., in the order asked for
    tracking: ConnectionTracking = ConnectionTracking()
    description: str = ""
    source_dest_check: bool = True
    attachment: Attachment | None = None
    public_address: str = ""  # assigned by itself, of the primary address; an Elastic IP takes its place
    wants_public_address: bool = False  # gets one whenever its instance starts
    interface_type: str = "interface"  # nat_gateway, network_load_balancer, vpc_endpoint: made by the region, not by its owner
    cell_attachment: CellAttachment | None = None  # instead of `attachment`

    @property
    def number(self) -> int:
        return int(self.id[-8:], 16)

    @property
    def primary(self) -> str:
        return self.addresses[0]

    @property
    def first_ipv6(self) -> str:
        """Empty: it has none."""
        return self.ipv6_addresses[0] if self.ipv6_addresses else ""


class KeyPair(Resource, frozen=True, kw_only=True):
    KIND: ClassVar[str] = "key-pair"
    PREFIX: ClassVar[str] = "key"

    name: str
    key_type: str  # rsa, ed25519
    fingerprint: str
    public_key: str


class MetadataOptions(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How an instance's metadata may be asked for."""

    tokens: str = "optional"  # or "required": no request without a token
    hop_limit: int = 1  # IP TTL of the answer that carries a token: 1..64
    endpoint: str = "enabled"  # or "disabled"
    ipv6: str = "disabled"  # or "enabled": at fd00:ec2::254 too
    tags: str = "disabled"  # or "enabled": the instance's tags are in it


class MetadataDefaults(Resource, frozen=True, kw_only=True):
    """What launches of an account in an AWS region take for their MetadataOptions where they say nothing. At most one.
    Empty, 0: nothing said here either."""

    KIND: ClassVar[str] = "instance-metadata-defaults"
    PREFIX: ClassVar[str] = "imd"  # no API shows it

    tokens: str = ""
    hop_limit: int = 0
    endpoint: str = ""
    tags_in_metadata: str = ""


class PrivateNameOptions(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """By which private names an instance is known. ip-10-0-0-5 always answers."""

    hostname_type: str = "ip-name"  # or "resource-name": i-0123...
    resource_name_a: bool = False
    resource_name_aaaa: bool = False


NAMESPACE, GUEST = "namespace", "guest"  # Instance.kind: what runs it (rookery.host.instances.compute)


class Instance(Resource, frozen=True, kw_only=True):
    """What the user wants of an instance. What really runs is `InstanceStatus`, told by its host."""

    KIND: ClassVar[str] = "instance"
    PREFIX: ClassVar[str] = "i"

    image_id: str
    kind: str = NAMESPACE  # by its image, for ever
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
    public_key: str = ""  # of that key pair at launch: what becomes of the pair later changes nothing
    reservation_id: str = ""
    launch_index: int = 0
    client_token: str = ""
    disable_api_termination: bool = False
    disable_api_stop: bool = False
    shutdown_behavior: str = "stop"
    state_reason: str = ""
    metadata: MetadataOptions = MetadataOptions()
    private_names: PrivateNameOptions = PrivateNameOptions()


class InstanceStatus(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a host last said of an instance (`observed/instance/<id>`)."""

    id: str
    state: str  # running, stopped, terminated, failed
    boot: int = 0
    since: float = 0.0
    message: str = ""
    interfaces: tuple[str, ...] = ()  # ids of those that are plugged in and may speak


class ConsoleOutput(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The end of what an instance's console said (`observed/console/<id>`), as its host last told it."""

    id: str
    time: float  # unix seconds
    output: bytes  # at most 64 KiB


class Live(msgspec.Struct, frozen=True, kw_only=True):
    """How far the hosts are (`observed/live`): every host concerned has applied intent up to `generation`."""

    generation: int
    hosts: dict[str, int] = {}


class CellStatus(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far a cell is (`observed/cell/<name>`): all its living nodes work by the file `epoch`, made of the state at `generation`."""

    name: str
    epoch: int
    generation: int
    nodes: dict[str, int] = {}  # epoch of each
    left_out: tuple[str, ...] = ()  # what its file has no room for and nobody serves, in words
    drained: tuple[tuple[str, str], ...] = ()  # addresses (eni-..., private IPv4) that take no new flows, and by which none leaves any more


class TargetHealth(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a cell's checks found (`observed/health/<cell>`), by target group's id and "address:port": state and reason as ELBv2
    names them ("healthy", ""), ("unhealthy", "Target.FailedHealthChecks"). Where one of a balancer's addresses finds a target in
    another state than is told of it, that by "address:port@number" of its interface."""

    cell: str
    targets: dict[str, dict[str, tuple[str, str]]] = {}


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """A physical host (`infrastructure/host/<name>`), or an edge or a node of a cell, which hold no instances. `zone` 0 is the first
    zone: 'a' in every AWS region."""

    name: str
    zone: int
    address: str
    capacity: int = 500  # instances
    kinds: tuple[str, ...] = (NAMESPACE,)  # of instances that it can run
    is_edge: bool = False
    cell: str = ""  # name of the cell whose node it is


class Revocation(msgspec.Struct, frozen=True, kw_only=True):
    """Of certificates of a host, an edge or a node that has left (`infrastructure/revocation/<name>`): whoever comes under its name has another."""

    before: int  # unix seconds: those issued earlier


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """A cell of Hyperplane (`infrastructure/cell/<name>`). A node keeps its place in `nodes` for life; an empty name is a free place."""

    name: str
    zones: tuple[int, ...]  # which it serves, as Host.zone; others may serve them, too
    nodes: tuple[str, ...]  # names of hosts
    draining: tuple[str, ...] = ()  # of those: take no new flows
    shard_size: int = 2  # how many of the nodes serve one account
    closed: bool = False  # nothing new is placed here; what is here stays


class Shard(msgspec.Struct, frozen=True, kw_only=True):
    """Which nodes of a cell serve an account (`infrastructure/shard/<cell>/<account>`): those to which senders send."""

    cell: str
    account: str
    nodes: tuple[str, ...]  # names, sorted


class AddressPool(msgspec.Struct, frozen=True, kw_only=True):
    """Public IPv4 addresses of the region (`infrastructure/pool/<first address>`): the edges announce them."""

    cidr: str


class AccessKey(msgspec.Struct, frozen=True, kw_only=True):
    """A signing key (`credentials/<access key>`). `sealed_secret` is AES-GCM under the region's sealing key."""

    access_key: str
    account: str
    sealed_secret: bytes


RESOURCES: tuple[type[Resource], ...] = (
    Vpc,
    Subnet,
    RouteTable,
    SecurityGroup,
    NetworkAcl,
    PrefixList,
    SubnetCidrReservation,
    VpcPeering,
    InternetGateway,
    EgressOnlyInternetGateway,
    ElasticIp,
    NatGateway,
    VpcEndpointService,
    VpcEndpoint,
    DhcpOptions,
    PrivateZone,
    MetadataDefaults,
    NetworkInterface,
    KeyPair,
    Instance,
)

R = TypeVar("R", bound=Resource)
