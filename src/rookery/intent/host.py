"""What a host must hold: plain data, computed by pure functions from the state, streamed by the mapping service,
reconciled by the host's agent. Addresses are text here; bytes are made at the host (rookery.dataplane)."""

from __future__ import annotations

import msgspec

from rookery.model.objects import NAMESPACE, DnsRecord, MetadataOptions


class MappingIntent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """(vni, address) lives at `host`, or at a cell. Key: `key`."""

    vni: int
    address: str  # or a delegated prefix: "10.0.1.16/28"
    host: str  # substrate address; empty: at a cell
    interface: int
    subnet: int
    mac: str
    source_dest_check: bool
    group_set: int  # which security groups the interface has; see GroupSetIntent
    generation: int  # store revision that last changed it
    issued: int  # unix seconds
    tops: int = 0  # number of the nodes at which it lives, see TopsIntent; 0: it lives at `host`

    @property
    def key(self) -> tuple[int, str]:
        return (self.vni, self.address)


class RouteIntent(msgspec.Struct, frozen=True, kw_only=True):
    """A route of a table that some local interface uses. Key: (table, destination)."""

    table: int
    destination: str  # CIDR of either family; prefix lists are spelled out
    kind: str  # local, blackhole, interface, peer, internet, egress_only
    target: int = 0  # number of an interface; VNI of the peer

    @property
    def key(self) -> tuple[int, str]:
        return (self.table, self.destination)


class DhcpIntent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the DHCP options set of an interface's VPC says. Nothing said: nothing is handed out."""

    domain_name: str = ""
    name_servers: tuple[str, ...] = ()  # addresses of either family, or AmazonProvidedDNS
    ntp_servers: tuple[str, ...] = ()
    netbios_name_servers: tuple[str, ...] = ()
    netbios_node_type: int = 0  # 0: not said
    ipv6_preferred_seconds: int = 140


class InterfaceServices(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the services on an instance's wire (DHCP, DNS, metadata) must know of an interface, its subnet and its VPC."""

    account: str = ""
    vpc: str = ""  # vpc-...
    subnet: str = ""  # subnet-...
    subnet_cidr: str = ""
    subnet_ipv6_cidrs: tuple[str, ...] = ()
    vpc_cidrs: tuple[str, ...] = ()  # the primary one first
    vpc_ipv6_cidrs: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()  # delegated, of both families
    groups: tuple[tuple[str, str], ...] = ()  # (sg-..., name), in the order of the interface
    dns_support: bool = True
    dns_hostnames: bool = False
    dns64: bool = False  # names without an AAAA get one, behind 64:ff9b::/96
    dhcp: DhcpIntent = DhcpIntent()
    public: tuple[tuple[str, str], ...] = ()  # (private address, its public one)


class InterfaceIntent(msgspec.Struct, frozen=True, kw_only=True):
    """An interface on an instance of this host."""

    id: str  # eni-...
    vni: int
    number: int
    subnet: int
    route_table: int
    router: str
    primary: str
    addresses: tuple[str, ...]
    prefix_length: int  # of the subnet
    mac: str
    router_mac: str
    mtu: int
    source_dest_check: bool
    device_index: int
    group_set: int = 0  # its PolicyIntent
    acl: int = 0  # number of its subnet's network ACL
    resolver: str = ""  # the VPC's base + 2
    router_ipv6: str = ""  # the subnet's ::1; empty: no IPv6
    ipv6_addresses: tuple[str, ...] = ()
    ipv6_prefix_length: int = 64
    tcp_established_seconds: int = 432_000
    udp_stream_seconds: int = 180
    udp_seconds: int = 30
    services: InterfaceServices = InterfaceServices()

    @property
    def key(self) -> str:
        return self.id


class GroupSetIntent(msgspec.Struct, frozen=True, kw_only=True, tag="group-set"):
    """Interfaces with these security groups exist in a VPC that the host holds, or in a peer of it."""

    number: int  # rookery.intent.groups.group_set
    groups: tuple[str, ...]  # sg-..., sorted

    @property
    def key(self) -> tuple[str, int, int]:
        return ("group-set", self.number, 0)


class GroupRuleIntent(msgspec.Struct, frozen=True, kw_only=True):
    """One rule of a security group. Its peer is `cidrs` (a prefix list is spelled out) or `group`."""

    id: str  # sgr-...
    of: str  # sg-..., the group whose rule it is
    egress: bool
    protocol: int  # -1: all
    from_port: int  # of ports, or the type of ICMP; -1: any
    to_port: int  # ... or its code
    cidrs: tuple[str, ...] = ()
    group: str = ""


class PolicyIntent(msgspec.Struct, frozen=True, kw_only=True, tag="policy"):
    """What a group set of some local interface admits: the rules of all its groups, sorted by id."""

    vni: int
    group_set: int
    groups: tuple[str, ...]
    rules: tuple[GroupRuleIntent, ...]

    @property
    def key(self) -> tuple[str, int, int]:
        return ("policy", self.group_set, 0)


class AclEntryIntent(msgspec.Struct, frozen=True, kw_only=True):
    number: int
    egress: bool
    allow: bool
    protocol: int  # -1: all
    cidr: str
    from_port: int
    to_port: int


class AclIntent(msgspec.Struct, frozen=True, kw_only=True, tag="acl"):
    """The network ACL of some local interface's subnet. Entries in ascending order, ingress and egress."""

    number: int
    id: str
    vni: int
    entries: tuple[AclEntryIntent, ...]

    @property
    def key(self) -> tuple[str, int, int]:
        return ("acl", self.number, 0)


class ForwarderIntent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="forwarder"):
    """An interface to which a route leads, or which may speak for others: source/destination check off."""

    vni: int
    interface: int
    host: str  # substrate address; empty: at a cell
    subnet: int
    mac: str
    source_dest_check: bool
    tops: int = 0  # as in MappingIntent
    group_set: int = 0  # of one at a cell: groups that name its own admit what it passes on

    @property
    def key(self) -> tuple[str, int, int]:
        return ("forwarder", self.vni, self.interface)


class PeeringIntent(msgspec.Struct, frozen=True, kw_only=True, tag="peering"):
    """The VPC `vni` admits packets of the VPC `peer`: an active peering connection. There is one row each way."""

    vni: int
    peer: int

    @property
    def key(self) -> tuple[str, int, int]:
        return ("peering", self.vni, self.peer)


class EdgeIntent(msgspec.Struct, frozen=True, kw_only=True, tag="edge"):
    """An edge of the region: every host and every other edge knows it."""

    name: str
    address: str  # on the substrate

    @property
    def key(self) -> tuple[str, int, str]:
        return ("edge", 0, self.name)


class TopsIntent(msgspec.Struct, frozen=True, kw_only=True, tag="tops"):
    """The nodes of a cell, as an account's interfaces there see them: some serve it, any of them speaks in its name. Known to whoever
    holds a VPC that has such an interface."""

    number: int  # rookery.intent.tops.tops_number
    addresses: tuple[str, ...]  # on the substrate, sorted: to these one sends
    others: tuple[str, ...] = ()  # ... and these may speak, too

    @property
    def key(self) -> tuple[str, int, int]:
        return ("tops", self.number, 0)


class GatewayIntent(msgspec.Struct, frozen=True, kw_only=True, tag="gateway"):
    """What leads out of the VPC `vni`. For hosts that have its instances, and for edges."""

    vni: int
    internet: bool
    egress_only: bool
    route_table: int = 0  # number of the internet gateway's route table; 0: none

    @property
    def key(self) -> tuple[str, int, str]:
        return ("gateway", self.vni, "")


class PublicIntent(msgspec.Struct, frozen=True, kw_only=True, tag="public"):
    """A public IPv4 address and the private one for which it stands, in a VPC with an internet gateway. For edges."""

    address: str
    vni: int
    interface: int
    private: str

    @property
    def key(self) -> tuple[str, int, str]:
        return ("public", 0, self.address)


class BlockIntent(msgspec.Struct, frozen=True, kw_only=True, tag="block"):
    """An IPv6 block of a VPC with a gateway. For edges."""

    cidr: str
    vni: int

    @property
    def key(self) -> tuple[str, int, str]:
        return ("block", 0, self.cidr)


class NameIntent(msgspec.Struct, frozen=True, kw_only=True, tag="name"):
    """A name of an instance that follows from no address: i-0123....ec2.internal, and later a public one's private answer.
    Known in the VPC `vni`, and to hosts that hold it."""

    vni: int
    name: str  # whole, lower case, without the last dot
    addresses: tuple[str, ...]  # of both families; none of one family: it has no record of that kind

    @property
    def key(self) -> tuple[str, int, str]:
        return ("name", self.vni, self.name)


class ZoneIntent(msgspec.Struct, frozen=True, kw_only=True, tag="zone"):
    """A zone of the VPC `vni`: what it does not have does not exist. `is_public`: instances need no DNS host names for it."""

    vni: int
    name: str
    records: tuple[DnsRecord, ...]
    is_public: bool = False

    @property
    def key(self) -> tuple[str, int, str]:
        return ("zone", self.vni, self.name)


RuleIntent = (
    GroupSetIntent
    | PolicyIntent
    | AclIntent
    | ForwarderIntent
    | PeeringIntent
    | EdgeIntent
    | TopsIntent
    | GatewayIntent
    | PublicIntent
    | BlockIntent
    | NameIntent
    | ZoneIntent
)
RuleKey = tuple[str, int, int | str]  # kind, and by kind


class InstanceMetadata(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an instance may ask about itself (beside its interfaces), and how."""

    account: str = ""
    region: str = ""
    zone: str = ""  # us-east-1a
    zone_id: str = ""  # use1-az1
    image: str = ""
    instance_type: str = ""
    reservation: str = ""
    launch_index: int = 0
    launched: float = 0.0  # unix seconds
    key_name: str = ""
    public_key: str = ""  # as in authorized_keys
    tags: tuple[tuple[str, str], ...] = ()  # sorted; none unless `options` show them
    options: MetadataOptions = MetadataOptions()


class InstanceIntent(msgspec.Struct, frozen=True, kw_only=True):
    """An instance of this host. Boot `boot` must run (or, stopped, none)."""

    id: str
    wanted: str  # running, stopped, terminated
    boot: int
    hostname: str  # ip-10-0-0-5
    domain: str  # ec2.internal
    user_data: str  # base64, run as a script on the first boot
    interfaces: tuple[InterfaceIntent, ...]
    kind: str = NAMESPACE  # rookery.model.objects.Instance.kind
    metadata: InstanceMetadata = InstanceMetadata()

    @property
    def key(self) -> str:
        return self.id


class HostIntent(msgspec.Struct, frozen=True, kw_only=True):
    """All of it, at one generation."""

    host: str
    generation: int
    instances: dict[str, InstanceIntent] = {}
    mappings: dict[tuple[int, str], MappingIntent] = {}
    routes: dict[tuple[int, str], RouteIntent] = {}
    rules: dict[RuleKey, RuleIntent] = {}  # and names, and whatever else a VPC's hosts share
