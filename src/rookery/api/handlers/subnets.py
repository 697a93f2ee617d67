"""Subnets: blocks of a VPC in one zone."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from rookery.api.cidr import check_subnet_block, given_block, network, usable_addresses
from rookery.api.default_security import default_acl, guarded, left
from rookery.api.default_vpc import CIDR, SUBNET_PREFIX, default_subnet
from rookery.api.describe import describe
from rookery.api.errors import (
    dependency_violation,
    invalid_combination,
    invalid_value,
    missing_parameter,
    refuse_unbuilt,
)
from rookery.api.handlers.addresses import reservations_of
from rookery.api.handlers.subnet_ipv6 import IPV6_FILTERS, given_ipv6_association, subnet_ipv6_shape
from rookery.api.liveness import state_of
from rookery.api.lookup import find
from rookery.api.operation import ApiError, Outcome, Request, View, operation
from rookery.api.tags import render_tags, tags_for
from rookery.api.zones import Zone, zone_named, zones
from rookery.intent.zones import zone_id
from rookery.model.objects import NetworkInterface, RouteTable, Subnet, Vpc

_UNBUILT = (
    "Ipv6Native",
    "Ipv4IpamPoolId",
    "Ipv4NetmaskLength",
    "Ipv6IpamPoolId",
    "Ipv6NetmaskLength",
    "OutpostArn",
)


def _arn(subnet: Subnet) -> str:
    return f"arn:aws:ec2:{subnet.region}:{subnet.account}:subnet/{subnet.id}"


def available_addresses(subnet: Subnet, view: View) -> int:
    return usable_addresses(subnet.cidr) - view.held_addresses(subnet.id).ipv4


FILTERS = {
    "subnet-id": lambda subnet, _view: subnet.id,
    "vpc-id": lambda subnet, _view: subnet.vpc_id,
    "state": lambda subnet, view: state_of(view, subnet, subnet.vpc_id),
    "owner-id": lambda subnet, _view: subnet.account,
    "subnet-arn": lambda subnet, _view: _arn(subnet),
    "available-ip-address-count": available_addresses,
    "map-public-ip-on-launch": lambda subnet, _view: subnet.map_public_ip_on_launch,
    "enable-dns64": lambda subnet, _view: subnet.enable_dns64,
    "ipv6-native": lambda _subnet, _view: False,
    **IPV6_FILTERS,
    "outpost-arn": lambda _subnet, _view: None,
    "private-dns-name-options-on-launch.hostname-type": lambda subnet, _view: (
        subnet.private_dns_hostname_type
    ),
    "private-dns-name-options-on-launch.enable-resource-name-dns-a-record": (
        lambda subnet, _view: subnet.resource_name_dns_a
    ),
    "private-dns-name-options-on-launch.enable-resource-name-dns-aaaa-record": (
        lambda subnet, _view: subnet.resource_name_dns_aaaa
    ),
    **dict.fromkeys(("cidr", "cidr-block", "cidrBlock"), lambda subnet, _view: subnet.cidr),
    **dict.fromkeys(("availability-zone", "availabilityZone"), lambda subnet, _view: subnet.zone),
    **dict.fromkeys(
        ("availability-zone-id", "availabilityZoneId"),
        lambda subnet, _view: zone_id(subnet.region, subnet.zone),
    ),
    **dict.fromkeys(("default-for-az", "defaultForAz"), lambda subnet, _view: subnet.default_for_zone),
}


@operation("CreateSubnet")
def create_subnet(request: Request, view: View) -> Outcome:
    given = request.parameters
    refuse_unbuilt(given, *_UNBUILT)
    vpc = find(view, Vpc, given["VpcId"])
    block = given_block(given)
    zone = _zone(request, view)
    siblings = [one.cidr for one in view.in_vpc(Subnet, vpc.id)]
    check_subnet_block(block, [one.cidr for one in vpc.cidr_associations], siblings)
    _check_quota(request, len(siblings))
    subnet = Subnet(
        account=request.account,
        region=request.region,
        id=request.ids.new("subnet"),
        created=request.now,
        tags=tags_for(request, "subnet"),
        vpc_id=vpc.id,
        cidr=str(block),
        zone=zone.name,
        ipv6_cidr_associations=given_ipv6_association(request, vpc, view),
    )
    return _made(request, view, subnet)


def _made(request: Request, view: View, subnet: Subnet) -> Outcome:
    """Every subnet begins in its VPC's default network ACL."""
    acl = guarded(default_acl(view, subnet.vpc_id), subnet.id, request.ids)
    return Outcome(result={"Subnet": _born(subnet)}, puts=(subnet, acl))


def _check_quota(request: Request, present: int) -> None:
    if present >= request.quotas.subnets_per_vpc:
        raise ApiError("SubnetLimitExceeded", "The maximum number of subnets has been reached.")


def _zone(request: Request, view: View) -> Zone:
    """The zone asked for by name or id; else the first."""
    name, by_id = request.parameters.get("AvailabilityZone"), request.parameters.get("AvailabilityZoneId")
    if name and by_id:
        raise invalid_combination("AvailabilityZone and AvailabilityZoneId cannot be used together")
    if by_id:
        return _zone_by_id(request, view, by_id)
    return zone_named(request, view, name) if name else zones(request, view)[0]


def _zone_by_id(request: Request, view: View, by_id: str) -> Zone:
    known = zones(request, view)
    for zone in known:
        if zone.id == by_id:
            return zone
    names = ", ".join(zone.id for zone in known)
    raise invalid_value("availabilityZoneId", by_id, f"Subnets can be created in: {names}.")


@operation("CreateDefaultSubnet")
def create_default_subnet(request: Request, view: View) -> Outcome:
    refuse_unbuilt(request.parameters, "Ipv6Native")
    if not (request.parameters.get("AvailabilityZone") or request.parameters.get("AvailabilityZoneId")):
        raise missing_parameter("availabilityZone")
    zone = _zone(request, view)
    vpc = next((one for one in view.all(Vpc) if one.is_default), None)
    if vpc is None:
        raise ApiError("DefaultVpcDoesNotExist", "No default VPC exists for this account in this region.")
    siblings = list(view.in_vpc(Subnet, vpc.id))
    if any(one.default_for_zone and one.zone == zone.name for one in siblings):
        why = f"A default subnet already exists in availability zone {zone.name}."
        raise ApiError("DefaultSubnetAlreadyExistsInAvailabilityZone", why)
    _check_quota(request, len(siblings))
    return _made(request, view, default_subnet(vpc, request.now, request.ids, zone, _free_block(siblings)))


def _free_block(siblings: list[Subnet]) -> str:
    taken = [network(one.cidr) for one in siblings]
    for block in network(CIDR).subnets(new_prefix=SUBNET_PREFIX):
        if not any(block.overlaps(other) for other in taken):
            return str(block)
    raise ApiError("InsufficientCidrBlocks", f"The default VPC has no free /{SUBNET_PREFIX} block.")


@operation("DescribeSubnets")
def describe_subnets(request: Request, view: View) -> Outcome:
    return describe(request, view, Subnet, "SubnetIds", "Subnets", render_subnet, FILTERS)


def render_subnet(subnet: Subnet, view: View) -> dict[str, Any]:
    return _rendered(subnet, state_of(view, subnet, subnet.vpc_id), available_addresses(subnet, view))


def _born(subnet: Subnet) -> dict[str, Any]:
    return _rendered(subnet, "pending", usable_addresses(subnet.cidr))


def _rendered(subnet: Subnet, state: str, available: int) -> dict[str, Any]:
    return {
        "SubnetId": subnet.id,
        "SubnetArn": _arn(subnet),
        "OwnerId": subnet.account,
        "VpcId": subnet.vpc_id,
        "State": state,
        "CidrBlock": subnet.cidr,
        "AvailableIpAddressCount": available,
        "AvailabilityZone": subnet.zone,
        "AvailabilityZoneId": zone_id(subnet.region, subnet.zone),
        "DefaultForAz": subnet.default_for_zone,
        "MapPublicIpOnLaunch": subnet.map_public_ip_on_launch,
        "MapCustomerOwnedIpOnLaunch": False,
        "AssignIpv6AddressOnCreation": subnet.assign_ipv6_on_creation,
        "Ipv6CidrBlockAssociationSet": [
            subnet_ipv6_shape(one, "associated") for one in subnet.ipv6_cidr_associations
        ],
        "Ipv6Native": False,
        "EnableDns64": subnet.enable_dns64,
        "PrivateDnsNameOptionsOnLaunch": {
            "HostnameType": subnet.private_dns_hostname_type,
            "EnableResourceNameDnsARecord": subnet.resource_name_dns_a,
            "EnableResourceNameDnsAAAARecord": subnet.resource_name_dns_aaaa,
        },
        "Tags": render_tags(subnet.tags),
    }


@operation("DeleteSubnet")
def delete_subnet(request: Request, view: View) -> Outcome:
    subnet = find(view, Subnet, request.parameters["SubnetId"])
    if any(one.subnet_id == subnet.id for one in view.in_vpc(NetworkInterface, subnet.vpc_id)):
        raise dependency_violation("subnet", subnet.id)
    tables = [_without(table, subnet.id) for table in view.in_vpc(RouteTable, subnet.vpc_id)]
    kept = [table for table in tables if table is not None]
    acls = left(view, subnet.vpc_id, subnet.id)
    return Outcome(deletes=(subnet, *reservations_of(view, subnet)), puts=(*kept, *acls))


def _without(table: RouteTable, subnet_id: str) -> RouteTable | None:
    """The table without its association with the subnet; None: it has none."""
    kept = tuple(one for one in table.associations if one.subnet_id != subnet_id)
    return replace(table, associations=kept) if len(kept) < len(table.associations) else None


_ATTRIBUTES = {
    "MapPublicIpOnLaunch": "map_public_ip_on_launch",
    "PrivateDnsHostnameTypeOnLaunch": "private_dns_hostname_type",
    "EnableResourceNameDnsARecordOnLaunch": "resource_name_dns_a",
    "EnableResourceNameDnsAAAARecordOnLaunch": "resource_name_dns_aaaa",
    "EnableDns64": "enable_dns64",
    "AssignIpv6AddressOnCreation": "assign_ipv6_on_creation",
}
_UNBUILT_ATTRIBUTES = (
    "MapCustomerOwnedIpOnLaunch",
    "CustomerOwnedIpv4Pool",
    "EnableLniAtDeviceIndex",
    "DisableLniAtDeviceIndex",
)


@operation("ModifySubnetAttribute")
def modify_subnet_attribute(request: Request, view: View) -> Outcome:
    subnet = find(view, Subnet, request.parameters["SubnetId"])
    refuse_unbuilt(request.parameters, *_UNBUILT_ATTRIBUTES)
    given = [name for name in _ATTRIBUTES if name in request.parameters]
    if len(given) != 1:
        raise invalid_combination("Exactly one attribute can be modified in a call.")
    value = _value(given[0], request.parameters[given[0]])
    if given[0] == "AssignIpv6AddressOnCreation" and value and not subnet.ipv6_cidr_associations:
        why = f"The subnet '{subnet.id}' has no IPv6 CIDR block associated with it."
        raise invalid_value("assignIpv6AddressOnCreation", "true", why)
    return Outcome(puts=(replace(subnet, **{_ATTRIBUTES[given[0]]: value}),))


def _value(name: str, given: Any) -> Any:
    """Booleans are structures with a Value."""
    if not isinstance(given, dict):
        return given
    if "Value" not in given:
        raise missing_parameter(f"{name}.Value")
    return given["Value"]
