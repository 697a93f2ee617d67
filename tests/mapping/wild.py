"""States drawn at random, wilder than the API allows: instances without subnets, two interfaces with one address,
attachments to a host where the instance is not, routes to what never was, groups of another VPC, peerings of one VPC with
itself. Few ids, so that things meet.
"""

from __future__ import annotations

import msgspec
from hypothesis import strategies as st

from rookery.model.keys import cell_key, host_key, key_of, shard_key
from rookery.model.objects import (
    Attachment,
    Cell,
    CellAttachment,
    CidrAssociation,
    ConnectionTracking,
    DhcpOptions,
    DnsRecord,
    EgressOnlyInternetGateway,
    ElasticIp,
    Host,
    Instance,
    InternetGateway,
    MetadataOptions,
    NatGateway,
    NatZone,
    NetworkAcl,
    NetworkAclAssociation,
    NetworkAclEntry,
    NetworkInterface,
    PeeringSide,
    PrefixList,
    PrefixListEntry,
    PrivateNameOptions,
    PrivateZone,
    Route,
    RouteTable,
    RouteTableAssociation,
    SecurityGroup,
    SecurityGroupRule,
    Shard,
    Subnet,
    Vpc,
    VpcPeering,
)

OWNER = {"account": "123456789012", "region": "us-east-1"}
OTHER = {"account": "210987654321", "region": "us-east-1"}
HOSTS = ("host-1", "host-2", "host-3")
VPCS = tuple(f"vpc-{n:017x}" for n in (0xA1, 0xA2, 0xA3))
SUBNETS = tuple(f"subnet-{n:017x}" for n in (0xB1, 0xB2, 0xB3, 0xB4))
TABLES = tuple(f"rtb-{n:017x}" for n in (0xC1, 0xC2, 0xC3, 0xF2))  # the last: of a NAT gateway, should it be regional
INSTANCES = tuple(f"i-{n:017x}" for n in (0xD1, 0xD2, 0xD3, 0xD4, 0xD5))
INTERFACES = tuple(f"eni-{n:017x}" for n in (0xE1, 0xE2, 0xE3, 0xE4, 0xE5))
GROUPS = tuple(f"sg-{n:017x}" for n in (0x11, 0x12, 0x13))
ACLS = tuple(f"acl-{n:017x}" for n in (0x21, 0x22, 0x23))
LISTS = tuple(f"pl-{n:017x}" for n in (0x31, 0x32))
PEERINGS = tuple(f"pcx-{n:017x}" for n in (0x41, 0x42))
OPTIONS = tuple(f"dopt-{n:017x}" for n in (0x51, 0x52))
ZONES = tuple(f"zone-{n:017x}" for n in (0x61, 0x62, 0x63))
ZONE_NAMES = ("internal.example", "other.example")
GATEWAYS = tuple(f"igw-{n:017x}" for n in (0x71, 0x72))
EGRESS_ONLY = tuple(f"eigw-{n:017x}" for n in (0x81, 0x82))
ELASTIC_IPS = tuple(f"eipalloc-{n:017x}" for n in (0x91, 0x92, 0x93))
EDGES = ("edge-1", "edge-2")
NODES = ("node-1", "node-2", "node-3")
CELLS = ("cell-a", "cell-b")
NATS = tuple(f"nat-{n:017x}" for n in (0xF1, 0xF2))
REGIONAL = tuple(f"eni-{n:017x}" for n in (0xEA, 0xEB))  # a regional gateway's, in no subnet
AT_CELL = tuple(f"eni-{n:017x}" for n in (0xE6, 0xE7))
ADDRESSES = ("10.0.1.4", "10.0.1.5", "10.0.2.4", "10.0.2.5")
IPV6_ADDRESSES = ("2001:db8:0:1::4", "2001:db8:0:1::5")
PREFIXES = ("10.0.1.16/28", "2001:db8:0:1:a::/80")
CIDRS = ("10.0.0.0/16", "10.1.0.0/16", "10.2.0.0/16")
IPV6_CIDRS = ("2001:db8::/56", "2001:db8:1::/56")
REMOTES = (*CIDRS, *IPV6_CIDRS, "0.0.0.0/0")


def vpc(identity: str, cidrs: list[str], ipv6: tuple[str, ...] = (), **more) -> Vpc:
    return Vpc(
        **OWNER, id=identity, cidr_associations=blocks(cidrs), ipv6_cidr_associations=blocks(ipv6), **more
    )


def blocks(cidrs: list[str] | tuple[str, ...]) -> tuple[CidrAssociation, ...]:
    return tuple(CidrAssociation(f"a-{cidr}", cidr) for cidr in cidrs)


def subnet(identity: str, vpc_id: str, cidr: str, ipv6: tuple[str, ...] = ()) -> Subnet:
    return Subnet(
        **OWNER, id=identity, vpc_id=vpc_id, cidr=cidr, zone="us-east-1a", ipv6_cidr_associations=blocks(ipv6)
    )


def table(identity: str, vpc_id: str, ends: list[str], routes: tuple[Route, ...] = ()) -> RouteTable:
    """`ends`: subnets and internet gateways; empty: the main association."""
    associations = tuple(
        RouteTableAssociation(f"as-{end}", gateway_id=end) if end.startswith("igw-") else RouteTableAssociation(f"as-{end}", end)
        for end in ends
    )
    return RouteTable(**OWNER, id=identity, vpc_id=vpc_id, associations=associations, routes=routes)


def attachment(instance_id: str, host: str, index: int, detaching: bool = False) -> Attachment:
    return Attachment(id="att", instance_id=instance_id, host=host, device_index=index, detaching=detaching)


def interface(
    identity: str,
    subnet_id: str,
    addresses: list[str],
    attached: Attachment | None,
    check: bool = True,
    **more,
) -> NetworkInterface:
    return NetworkInterface(
        **OWNER,
        id=identity,
        vpc_id=VPCS[0],
        subnet_id=subnet_id,
        zone="us-east-1a",
        mac=f"02:00:00:00:00:{identity[-2:]}",
        addresses=tuple(addresses),
        attachment=attached,
        source_dest_check=check,
        **more,
    )


def instance(identity: str, host: str, wanted: str = "running", boot: int = 1, **more) -> Instance:
    return Instance(
        **OWNER,
        id=identity,
        image_id="ami-1",
        kind=["namespace", "guest"][int(identity[-1], 16) % 2],
        instance_type="t3.nano",
        subnet_id=SUBNETS[0],
        vpc_id=VPCS[0],
        zone="us-east-1a",
        host=host,
        interface_ids=(),
        wanted=wanted,
        boot=boot,
        **more,
    )


def host(name: str, last: int, zone: int = 0) -> Host:
    return Host(name=name, zone=zone, address=f"100.64.1.{last}")


def group(
    identity: str, vpc_id: str, rules: tuple[SecurityGroupRule, ...], name: str = "name"
) -> SecurityGroup:
    return SecurityGroup(**OWNER, id=identity, vpc_id=vpc_id, name=name, description="text", rules=rules)


def acl(
    identity: str,
    vpc_id: str,
    is_default: bool,
    subnet_ids: list[str] | tuple[str, ...],
    entries: tuple[NetworkAclEntry, ...] = (),
) -> NetworkAcl:
    associations = tuple(NetworkAclAssociation(f"aclassoc-{s}", s) for s in subnet_ids)
    return NetworkAcl(
        **OWNER, id=identity, vpc_id=vpc_id, is_default=is_default, associations=associations, entries=entries
    )


def prefix_list(identity: str, versions: list[list[str]]) -> PrefixList:
    spelled = tuple(tuple(PrefixListEntry(cidr, "text") for cidr in version) for version in versions)
    return PrefixList(**OWNER, id=identity, name="list", family="IPv4", max_entries=5, versions=spelled)


def options(identity: str, domain: str, servers: tuple[str, ...]) -> DhcpOptions:
    said = (("domain-name", (domain,)), ("domain-name-servers", servers), ("netbios-node-type", ("2",)))
    return DhcpOptions(**OWNER, id=identity, configurations=said)


def zone(identity: str, name: str, vpc_ids: list[str] | tuple[str, ...], address: str) -> PrivateZone:
    record = DnsRecord(name=f"db.{name}", kind="A", values=(address,))
    return PrivateZone(**OTHER, id=identity, name=name, vpc_ids=tuple(vpc_ids), records=(record,))


def peering(identity: str, one: str, other: str, status: str = "active") -> VpcPeering:
    return VpcPeering(
        **OTHER,
        id=identity,
        requester=PeeringSide(**OTHER, vpc_id=one),
        accepter=PeeringSide(**OWNER, vpc_id=other),
        status=status,
    )


def internet_gateway(identity: str, vpc_id: str) -> InternetGateway:
    return InternetGateway(**OWNER, id=identity, attached_vpc_id=vpc_id)


def egress_only_gateway(identity: str, vpc_id: str) -> EgressOnlyInternetGateway:
    return EgressOnlyInternetGateway(**OWNER, id=identity, attached_vpc_id=vpc_id)


def elastic_ip(identity: str, interface_id: str, private: str) -> ElasticIp:
    """Each has an address of its own, as the claims of addresses see to."""
    return ElasticIp(
        **OWNER,
        id=identity,
        address=f"203.0.113.{int(identity[-2:], 16)}",
        interface_id=interface_id,
        private_address=private,
    )


def edge(name: str, last: int) -> Host:
    return Host(name=name, zone=0, address=f"100.64.250.{last}", is_edge=True)


def node(name: str, last: int, of: str) -> Host:
    return Host(name=name, zone=0, address=f"100.64.240.{last}", cell=of)


def cell(name: str, draining: list[str] | tuple[str, ...] = ()) -> Cell:
    return Cell(name=name, zones=(0,), nodes=NODES, draining=tuple(draining))


def shard(of: str, account: str, nodes: list[str] | tuple[str, ...]) -> Shard:
    return Shard(cell=of, account=account, nodes=tuple(nodes))


def at_cell(identity: str, subnet_id: str, addresses: list[str], of: str, **more) -> NetworkInterface:
    """One in whose name a cell works."""
    attached = CellAttachment(cell=of, of=NATS[0])
    return interface(identity, subnet_id, addresses, None, cell_attachment=attached, **more)


def in_no_subnet(identity: str, last: int, of: str, nat: str) -> NetworkInterface:
    """A regional NAT gateway's."""
    return interface(identity, "", [f"169.254.128.{last}"], None, cell_attachment=CellAttachment(cell=of, of=nat), check=False)


def regional_gateway(identity: str, vpc_id: str, zones: tuple[NatZone, ...], automatic: bool = True, state: str = "available") -> NatGateway:
    table = f"rtb-{int(identity[-2:], 16):017x}"
    return NatGateway(**OWNER, id=identity, vpc_id=vpc_id, route_table_id=table, zones=zones, automatic=automatic, state=state)


def nat_gateway(identity: str, interface_id: str, state: str = "available") -> NatGateway:
    return NatGateway(**OWNER, id=identity, vpc_id=VPCS[0], subnet_id=SUBNETS[0], interface_id=interface_id, state=state)


vpc_ids = st.sampled_from(VPCS)
some_ipv6 = st.lists(st.sampled_from(IPV6_CIDRS), max_size=1).map(tuple)
vpcs = st.builds(vpc, vpc_ids, st.lists(st.sampled_from(CIDRS), min_size=1, max_size=2), some_ipv6)
told_vpcs = st.builds(
    vpc,
    vpc_ids,
    st.just([CIDRS[0]]),
    dhcp_options_id=st.sampled_from((*OPTIONS, "default")),
    enable_dns_support=st.booleans(),
    enable_dns_hostnames=st.booleans(),
)
option_sets = st.builds(
    options,
    st.sampled_from(OPTIONS),
    st.sampled_from(ZONE_NAMES),
    st.lists(st.sampled_from(ADDRESSES), max_size=2).map(tuple),
)
zones = st.builds(
    zone,
    st.sampled_from(ZONES),
    st.sampled_from(ZONE_NAMES),
    st.lists(vpc_ids, max_size=3),
    st.sampled_from(ADDRESSES),
)
subnets = st.builds(
    subnet,
    st.sampled_from(SUBNETS),
    vpc_ids,
    st.sampled_from(("10.0.1.0/24", "10.0.2.0/24")),
    st.sampled_from(((), ("2001:db8:0:1::/64",))),
)
routes = st.builds(
    Route,
    st.sampled_from((*REMOTES, *LISTS)),
    st.sampled_from((*INTERFACES[:3], *PEERINGS, "eni-00000000000000099", "pcx-99", "igw-1", "", *GATEWAYS, *EGRESS_ONLY, *NATS, *AT_CELL)),
)
tables = st.builds(
    table,
    st.sampled_from(TABLES),
    vpc_ids,
    st.lists(st.sampled_from(("", *SUBNETS, *GATEWAYS)), max_size=2),
    st.lists(routes, max_size=4).map(tuple),
)
group_rules = st.builds(
    SecurityGroupRule,
    id=st.sampled_from([f"sgr-{n}" for n in range(9)]),
    is_egress=st.booleans(),
    protocol=st.sampled_from(("tcp", "udp", "icmpv6", "47", "-1", "nonsense", "999")),
    cidr=st.sampled_from(("", *REMOTES)),
    prefix_list_id=st.sampled_from(("", *LISTS, "pl-99")),
    group_id=st.sampled_from(("", *GROUPS)),
    group_vpc_id=st.sampled_from(("", *VPCS)),
)
groups = st.builds(
    group,
    st.sampled_from(GROUPS),
    vpc_ids,
    st.lists(group_rules, max_size=3, unique_by=lambda rule: rule.id).map(tuple),
    st.sampled_from(("name", "other")),
)
acl_entries = st.builds(
    NetworkAclEntry,
    number=st.integers(1, 3),
    is_egress=st.booleans(),
    allow=st.booleans(),
    protocol=st.sampled_from((-1, 6)),
    cidr=st.sampled_from(REMOTES),
)
acls = st.builds(
    acl,
    st.sampled_from(ACLS),
    vpc_ids,
    st.booleans(),
    st.lists(st.sampled_from(SUBNETS), max_size=2),
    st.lists(acl_entries, max_size=3).map(tuple),
)
prefix_lists = st.builds(
    prefix_list,
    st.sampled_from(LISTS),
    st.lists(st.lists(st.sampled_from(REMOTES), max_size=3), max_size=2),
)
peerings = st.builds(
    peering,
    st.sampled_from(PEERINGS),
    vpc_ids,
    vpc_ids,
    st.sampled_from(("active", "active", "pending-acceptance", "deleted")),
)
interfaces = st.builds(
    interface,
    st.sampled_from(INTERFACES),
    st.sampled_from(SUBNETS),
    st.lists(st.sampled_from(ADDRESSES), min_size=1, max_size=2),
    st.one_of(
        st.none(),
        st.builds(
            attachment, st.sampled_from(INSTANCES), st.sampled_from(HOSTS), st.integers(0, 1), st.booleans()
        ),
    ),
    st.booleans(),
    ipv6_addresses=st.lists(st.sampled_from(IPV6_ADDRESSES), max_size=2).map(tuple),
    prefixes=st.lists(st.sampled_from(PREFIXES), max_size=2).map(tuple),
    groups=st.lists(st.sampled_from(GROUPS), max_size=2).map(tuple),
    tracking=st.sampled_from((ConnectionTracking(), ConnectionTracking(udp=60))),
)
instances = st.builds(
    instance,
    st.sampled_from(INSTANCES),
    st.sampled_from(HOSTS),
    st.sampled_from(("running", "running", "running", "stopped", "terminated")),
    st.integers(1, 2),
    tags=st.sampled_from(({}, {"Name": "one"}, {"Name": "two", "Stage": "test"})),
    public_key=st.sampled_from(("", "ssh-ed25519 AAAA")),
    metadata=st.builds(
        MetadataOptions,
        tokens=st.sampled_from(("optional", "required")),
        tags=st.sampled_from(("enabled", "disabled")),
    ),
    private_names=st.builds(
        PrivateNameOptions,
        hostname_type=st.sampled_from(("ip-name", "resource-name")),
        resource_name_a=st.booleans(),
        resource_name_aaaa=st.booleans(),
    ),
)
hosts = st.builds(host, st.sampled_from(HOSTS), st.integers(10, 12), st.integers(0, 1))
edges = st.builds(edge, st.sampled_from(EDGES), st.integers(10, 12))
maybe_vpcs = st.sampled_from((*VPCS, ""))
internet_gateways = st.builds(internet_gateway, st.sampled_from(GATEWAYS), maybe_vpcs)
egress_only_gateways = st.builds(egress_only_gateway, st.sampled_from(EGRESS_ONLY), vpc_ids)
elastic_ips = st.builds(
    elastic_ip, st.sampled_from(ELASTIC_IPS), st.sampled_from((*INTERFACES, "")), st.sampled_from(ADDRESSES)
)
cell_names = st.sampled_from(CELLS)
nodes = st.builds(node, st.sampled_from(NODES), st.integers(10, 12), cell_names)
cells = st.builds(cell, cell_names, st.lists(st.sampled_from((*NODES, "node-9")), max_size=2))
shards = st.builds(
    shard,
    cell_names,
    st.sampled_from((OWNER["account"], OTHER["account"])),
    st.lists(st.sampled_from((*NODES, "node-9")), max_size=3, unique=True),
)
attached_to_cells = st.builds(
    at_cell,
    st.sampled_from((*AT_CELL, INTERFACES[4])),
    st.sampled_from(SUBNETS),
    st.lists(st.sampled_from(ADDRESSES), min_size=1, max_size=2),
    cell_names,
    check=st.booleans(),
    groups=st.lists(st.sampled_from(GROUPS), max_size=2).map(tuple),
)
nat_gateways = st.builds(
    nat_gateway,
    st.sampled_from(NATS),
    st.sampled_from((*AT_CELL, INTERFACES[0])),
    st.sampled_from(("pending", "available", "deleting", "deleted", "failed")),
)
nat_zones = st.builds(
    NatZone,
    zone=st.sampled_from(("us-east-1a", "us-east-1b")),
    interface_id=st.sampled_from((*REGIONAL, AT_CELL[0])),
    serves=st.booleans(),
    leaving=st.booleans(),
)
regional_gateways = st.builds(
    regional_gateway,
    st.sampled_from((NATS[1], *NATS)),
    vpc_ids,
    st.lists(nat_zones, max_size=2, unique_by=lambda one: one.zone).map(tuple),
    st.booleans(),
    st.sampled_from(("pending", "available", "available", "deleting", "failed")),
)
regional_interfaces = st.builds(in_no_subnet, st.sampled_from(REGIONAL), st.sampled_from((7, 8)), cell_names, st.sampled_from((NATS[1], *NATS)))
things = st.one_of(
    nodes,
    regional_gateways,
    regional_gateways,
    regional_interfaces,
    cells,
    shards,
    shards,
    attached_to_cells,
    attached_to_cells,
    nat_gateways,
    vpcs,
    subnets,
    tables,
    interfaces,
    interfaces,
    interfaces,
    instances,
    instances,
    hosts,
    groups,
    groups,
    acls,
    prefix_lists,
    peerings,
    told_vpcs,
    option_sets,
    zones,
    edges,
    internet_gateways,
    egress_only_gateways,
    elastic_ips,
)

# host-1: instances 1, 2 of the first VPC | host-2: 3 of the first, 4 of the second | host-3: 5 of the third
# the first VPC and the second are peers, the third has asked the second; the first's main table leads to instance 2
# the second VPC has an options set; the second and the third have a zone
# out of the first leads an internet gateway, by which instance 1 has a public address
# the first cell has nodes 1 and 2; a NAT gateway of the first VPC is there, to which the second subnet's table leads, and another's interface
WORLD = [
    *(host(name, 10 + n, n % 2) for n, name in enumerate(HOSTS)),
    edge(EDGES[0], 10),
    *(node(name, 10 + n, CELLS[0]) for n, name in enumerate(NODES[:2])),
    cell(CELLS[0]),
    shard(CELLS[0], OWNER["account"], NODES[:2]),
    nat_gateway(NATS[0], AT_CELL[0]),
    at_cell(AT_CELL[0], SUBNETS[0], ["10.0.1.9", "10.0.1.10"], CELLS[0], check=False),
    at_cell(AT_CELL[1], SUBNETS[1], ["10.0.2.9"], CELLS[0]),
    internet_gateway(GATEWAYS[0], VPCS[0]),
    elastic_ip(ELASTIC_IPS[0], INTERFACES[0], "10.0.1.4"),
    vpc(VPCS[0], [CIDRS[0]], IPV6_CIDRS[:1]),
    vpc(VPCS[1], [CIDRS[1]], dhcp_options_id=OPTIONS[0]),
    vpc(VPCS[2], [CIDRS[2]]),
    options(OPTIONS[0], ZONE_NAMES[0], ("AmazonProvidedDNS",)),
    zone(ZONES[0], ZONE_NAMES[0], VPCS[1:], "10.0.1.4"),
    subnet(SUBNETS[0], VPCS[0], "10.0.1.0/24", ("2001:db8:0:1::/64",)),
    subnet(SUBNETS[1], VPCS[0], "10.0.2.0/24"),
    subnet(SUBNETS[2], VPCS[1], "10.0.1.0/24"),
    subnet(SUBNETS[3], VPCS[2], "10.0.1.0/24"),
    table(
        TABLES[0],
        VPCS[0],
        [""],
        (
            Route("0.0.0.0/0", INTERFACES[1]),
            Route(CIDRS[1], PEERINGS[0]),
            Route(LISTS[0], INTERFACES[0]),
        ),
    ),
    table(TABLES[1], VPCS[0], [SUBNETS[1]], (Route("0.0.0.0/0", NATS[0]),)),
    table(TABLES[2], VPCS[1], [""], (Route(CIDRS[0], PEERINGS[0]), Route(CIDRS[2], PEERINGS[1]))),
    group(
        GROUPS[0],
        VPCS[0],
        (
            SecurityGroupRule(id="sgr-1", is_egress=True, protocol="-1", prefix_list_id=LISTS[0]),
            SecurityGroupRule(
                id="sgr-0", is_egress=False, protocol="tcp", group_id=GROUPS[1], group_vpc_id=VPCS[1]
            ),
        ),
    ),
    group(
        GROUPS[1],
        VPCS[1],
        (SecurityGroupRule(id="sgr-2", is_egress=False, protocol="-1", group_id=GROUPS[1]),),
    ),
    acl(ACLS[0], VPCS[0], True, ()),
    acl(ACLS[1], VPCS[0], False, SUBNETS[1:2]),
    acl(ACLS[2], VPCS[1], True, SUBNETS[2:3]),
    prefix_list(LISTS[0], [[CIDRS[1]], [CIDRS[2]]]),
    peering(PEERINGS[0], VPCS[0], VPCS[1]),
    peering(PEERINGS[1], VPCS[2], VPCS[1], "pending-acceptance"),
    *(instance(identity, HOSTS[n // 2]) for n, identity in enumerate(INSTANCES)),
    interface(
        INTERFACES[0],
        SUBNETS[0],
        ["10.0.1.4"],
        attachment(INSTANCES[0], HOSTS[0], 0),
        groups=GROUPS[:1],
        ipv6_addresses=IPV6_ADDRESSES[:1],
        prefixes=PREFIXES[:1],
    ),
    interface(INTERFACES[1], SUBNETS[1], ["10.0.2.4"], attachment(INSTANCES[1], HOSTS[0], 0)),
    interface(
        INTERFACES[2], SUBNETS[0], ["10.0.1.5"], attachment(INSTANCES[2], HOSTS[1], 0), groups=GROUPS[:2]
    ),
    interface(
        INTERFACES[3], SUBNETS[2], ["10.0.1.4"], attachment(INSTANCES[3], HOSTS[1], 0), groups=GROUPS[1:2]
    ),
    interface(INTERFACES[4], SUBNETS[3], ["10.0.1.6"], attachment(INSTANCES[4], HOSTS[2], 0), check=False),
]


def key(thing: msgspec.Struct) -> str:
    if isinstance(thing, Cell):
        return cell_key(thing.name)
    if isinstance(thing, Shard):
        return shard_key(thing.cell, thing.account)
    return host_key(thing.name) if isinstance(thing, Host) else key_of(thing)
