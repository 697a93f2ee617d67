"""The default VPC: 172.31.0.0/16, a /20 for each zone, and an internet gateway to which everything else is routed.

Its subnets give public addresses to what is launched in them, as far as the region has any.
"""

from __future__ import annotations

from msgspec.structs import replace

from rookery.api.cidr import network
from rookery.api.default_options import needed_options
from rookery.api.default_security import EVERYWHERE, guarded, new_default_acl, new_default_group
from rookery.api.operation import Ids, Request, View
from rookery.api.zones import Zone, zones
from rookery.model.objects import (
    CidrAssociation,
    DhcpOptions,
    InternetGateway,
    Resource,
    Route,
    RouteTable,
    RouteTableAssociation,
    Subnet,
    Vpc,
)

CIDR = "172.31.0.0/16"
SUBNET_PREFIX = 20


def default_vpc(request: Request, view: View) -> tuple[Resource, ...]:
    """The VPC first, then its main route table, internet gateway, default security group and network ACL, then its subnets, and the
    default DHCP options set where it is missing."""
    options, missing = needed_options(request, view)
    return (*build_default_vpc(options, request.now, request.ids, zones(request, view)), *missing)


def build_default_vpc(
    options: DhcpOptions, now: float, ids: Ids, all_zones: list[Zone]
) -> tuple[Resource, ...]:
    """In the account and AWS region of the DHCP options set, which it gets."""
    vpc = replace(new_vpc(options, now, ids, CIDR), is_default=True, enable_dns_hostnames=True)
    blocks = list(network(CIDR).subnets(new_prefix=SUBNET_PREFIX))
    subnets = [
        default_subnet(vpc, now, ids, zone, str(block))
        for zone, block in zip(all_zones, blocks, strict=False)
    ]
    acl = new_default_acl(vpc, ids)
    for subnet in subnets:
        acl = guarded(acl, subnet.id, ids)
    gateway = new_gateway(vpc, ids)
    table = replace(main_route_table(vpc, ids), routes=(Route(EVERYWHERE, gateway.id),))
    return (vpc, table, gateway, new_default_group(vpc, ids), acl, *subnets)


def new_vpc(options: DhcpOptions, now: float, ids: Ids, cidr: str) -> Vpc:
    return Vpc(
        account=options.account,
        region=options.region,
        id=ids.new("vpc"),
        created=now,
        cidr_associations=(CidrAssociation(ids.new("vpc-cidr-assoc"), cidr),),
        dhcp_options_id=options.id,
    )


def new_gateway(vpc: Vpc, ids: Ids) -> InternetGateway:
    """Attached to it."""
    return InternetGateway(
        account=vpc.account,
        region=vpc.region,
        id=ids.new(InternetGateway.PREFIX),
        created=vpc.created,
        attached_vpc_id=vpc.id,
        attached=vpc.created,
    )


def main_route_table(vpc: Vpc, ids: Ids) -> RouteTable:
    return RouteTable(
        account=vpc.account,
        region=vpc.region,
        id=ids.new("rtb"),
        created=vpc.created,
        vpc_id=vpc.id,
        associations=(RouteTableAssociation(ids.new("rtbassoc")),),
    )


def default_subnet(vpc: Vpc, now: float, ids: Ids, zone: Zone, cidr: str) -> Subnet:
    return Subnet(
        account=vpc.account,
        region=vpc.region,
        id=ids.new("subnet"),
        created=now,
        vpc_id=vpc.id,
        cidr=cidr,
        zone=zone.name,
        default_for_zone=True,
        map_public_ip_on_launch=True,
    )
