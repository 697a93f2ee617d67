"""VPCs, their blocks and their DNS attributes."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from rookery.api.cidr import check_secondary, check_vpc_block, given_block, network
from rookery.api.default_options import needed_options
from rookery.api.default_security import new_default_acl, new_default_group
from rookery.api.default_vpc import default_vpc, main_route_table, new_vpc
from rookery.api.describe import describe
from rookery.api.errors import (
    check_id,
    dependency_violation,
    invalid_combination,
    invalid_parameter,
    missing_parameter,
    not_found,
    not_permitted,
    refuse_unbuilt,
)
from rookery.api.handlers.balancer_resolution import names_without_vpc
from rookery.api.handlers.dhcp_options import shown_id
from rookery.api.handlers.internet_gateways import check_internet_gateway_quota
from rookery.api.handlers.peering import without_vpc
from rookery.api.handlers.peering_blocks import added_block
from rookery.api.handlers.vpc_gateways import has_gateways
from rookery.api.handlers.vpc_ipv6 import (
    IPV6_FILTERS,
    admitting_ipv6,
    associate_ipv6,
    disassociate_ipv6,
    vpc_ipv6_shape,
    with_ipv6_block,
)
from rookery.api.handlers.vpc_routes import check_covers_no_route, tables_without_local
from rookery.api.liveness import state_of
from rookery.api.lookup import find
from rookery.api.operation import ApiError, Outcome, Request, View, operation
from rookery.api.tags import render_tags, tags_for
from rookery.model.objects import (
    CidrAssociation,
    NetworkAcl,
    NetworkInterface,
    Resource,
    RouteTable,
    SecurityGroup,
    Subnet,
    Vpc,
    VpcEndpoint,
)

_UNBUILT = (
    "Ipv6CidrBlock",
    "Ipv6Pool",
    "Ipv6IpamPoolId",
    "Ipv6NetmaskLength",
    "Ipv6CidrBlockNetworkBorderGroup",
    "Ipv4IpamPoolId",
    "Ipv4NetmaskLength",
    "VpcEncryptionControl",
)

FILTERS = {
    "vpc-id": lambda vpc, _view: vpc.id,
    "cidr": lambda vpc, _view: vpc.cidr,
    "cidr-block": lambda vpc, _view: vpc.cidr,
    "cidrBlock": lambda vpc, _view: vpc.cidr,
    "cidr-block-association.association-id": lambda vpc, _view: [a.id for a in vpc.cidr_associations],
    "cidr-block-association.cidr-block": lambda vpc, _view: [a.cidr for a in vpc.cidr_associations],
    "cidr-block-association.state": lambda _vpc, _view: "associated",
    "dhcp-options-id": lambda vpc, _view: shown_id(vpc),
    "dhcpOptionsId": lambda vpc, _view: shown_id(vpc),
    **IPV6_FILTERS,
    "is-default": lambda vpc, _view: vpc.is_default,
    "isDefault": lambda vpc, _view: vpc.is_default,
    "owner-id": lambda vpc, _view: vpc.account,
    "state": lambda vpc, view: state_of(view, vpc, vpc.id),
}


@operation("CreateVpc")
def create_vpc(request: Request, view: View) -> Outcome:
    given = request.parameters
    refuse_unbuilt(given, *_UNBUILT)
    if given.get("InstanceTenancy", "default") != "default":
        raise ApiError(
            "UnsupportedTenancy", "Rookery's hosts are shared: only the tenancy 'default' is supported."
        )
    block = given_block(given)
    check_vpc_block(block)
    _check_quota(request, view)
    ids = request.ids
    options, missing = needed_options(request, view)
    vpc = replace(new_vpc(options, request.now, ids, str(block)), tags=tags_for(request, "vpc"))
    made: tuple[Resource, ...] = (
        vpc,
        main_route_table(vpc, ids),
        new_default_group(vpc, ids),
        new_default_acl(vpc, ids),
    )
    if given.get("AmazonProvidedIpv6CidrBlock"):
        vpc = with_ipv6_block(vpc, request)
        made = (vpc, *admitting_ipv6(made[1:], ids))
    return Outcome(result={"Vpc": _born(vpc)}, puts=(*made, *missing))


@operation("CreateDefaultVpc")
def create_default_vpc(request: Request, view: View) -> Outcome:
    if any(vpc.is_default for vpc in view.all(Vpc)):
        raise ApiError(
            "DefaultVpcAlreadyExists", "A Default VPC already exists for this account in this region."
        )
    _check_quota(request, view)
    check_internet_gateway_quota(request, view)
    made = default_vpc(request, view)
    return Outcome(result={"Vpc": _born(made[0])}, puts=made)


def _check_quota(request: Request, view: View) -> None:
    if len(view.all(Vpc)) >= request.quotas.vpcs:
        raise ApiError("VpcLimitExceeded", "The maximum number of VPCs has been reached.")


@operation("DescribeVpcs")
def describe_vpcs(request: Request, view: View) -> Outcome:
    return describe(request, view, Vpc, "VpcIds", "Vpcs", render_vpc, FILTERS)


def render_vpc(vpc: Vpc, view: View) -> dict[str, Any]:
    return _rendered(vpc, state_of(view, vpc, vpc.id))


def _born(vpc: Any) -> dict[str, Any]:
    """As AWS answers a creation, whatever the hosts do in the same moment."""
    return _rendered(vpc, "pending")


def _rendered(vpc: Vpc, state: str) -> dict[str, Any]:
    return {
        "VpcId": vpc.id,
        "OwnerId": vpc.account,
        "State": state,
        "CidrBlock": vpc.cidr,
        "CidrBlockAssociationSet": [_render_association(one, "associated") for one in vpc.cidr_associations],
        "Ipv6CidrBlockAssociationSet": [
            vpc_ipv6_shape(vpc, one, "associated") for one in vpc.ipv6_cidr_associations
        ],
        "DhcpOptionsId": shown_id(vpc),
        "InstanceTenancy": vpc.instance_tenancy,
        "IsDefault": vpc.is_default,
        "Tags": render_tags(vpc.tags),
    }


def _render_association(association: CidrAssociation, state: str) -> dict[str, Any]:
    return {
        "AssociationId": association.id,
        "CidrBlock": association.cidr,
        "CidrBlockState": {"State": state},
    }


@operation("DeleteVpc")
def delete_vpc(request: Request, view: View) -> Outcome:
    vpc = find(view, Vpc, request.parameters["VpcId"])
    tables = list(view.in_vpc(RouteTable, vpc.id))
    guards: list[SecurityGroup | NetworkAcl] = [
        *view.in_vpc(SecurityGroup, vpc.id),
        *view.in_vpc(NetworkAcl, vpc.id),
    ]
    others = [
        *view.in_vpc(Subnet, vpc.id),
        *view.in_vpc(NetworkInterface, vpc.id),
        *view.in_vpc(VpcEndpoint, vpc.id),
    ]
    own = [not table.is_main for table in tables] + [not guard.is_default for guard in guards]
    if others or any(own) or has_gateways(view, vpc.id):
        raise dependency_violation("vpc", vpc.id)
    left = (*without_vpc(request, view, vpc.id), *names_without_vpc(view, vpc.id))
    return Outcome(puts=left, deletes=(vpc, *tables, *guards))


@operation("AssociateVpcCidrBlock")
def associate_vpc_cidr_block(request: Request, view: View) -> Outcome:
    given = request.parameters
    refuse_unbuilt(given, *_UNBUILT)
    vpc = find(view, Vpc, given["VpcId"])
    if given.get("AmazonProvidedIpv6CidrBlock"):
        return associate_ipv6(request, vpc, view)
    block = given_block(given)
    check_secondary(block, [network(one.cidr) for one in vpc.cidr_associations])
    check_covers_no_route(block, vpc, view)
    most = request.quotas.cidrs_per_vpc
    if len(vpc.cidr_associations) >= most:
        why = f"This network '{vpc.id}' has met its maximum number of allowed CIDRs: {most}"
        raise ApiError("CidrLimitExceeded", why)
    added = CidrAssociation(request.ids.new("vpc-cidr-assoc"), str(block))
    changed = replace(vpc, cidr_associations=(*vpc.cidr_associations, added))
    peers = added_block(request, view, vpc, str(block))
    answer = _association_answer(vpc, added, "associating")
    return Outcome(result=answer, puts=(changed, *peers.puts), beside=peers.beside)


@operation("DisassociateVpcCidrBlock")
def disassociate_vpc_cidr_block(request: Request, view: View) -> Outcome:
    association_id = request.parameters["AssociationId"]
    check_id("vpc-cidr-assoc", association_id)
    vpc, association = _association(view, association_id)
    if association in vpc.ipv6_cidr_associations:
        return disassociate_ipv6(vpc, association, view)
    if association == vpc.cidr_associations[0]:
        raise not_permitted(
            f"The vpc CIDR block with association ID {association_id} may not be disassociated. "
            "It is the primary IPv4 CIDR block of the VPC"
        )
    block = network(association.cidr)
    if any(network(subnet.cidr).subnet_of(block) for subnet in view.in_vpc(Subnet, vpc.id)):
        raise dependency_violation("vpc CIDR block", association_id)
    kept = tuple(one for one in vpc.cidr_associations if one != association)
    answer = _association_answer(vpc, association, "disassociating")
    tables = tables_without_local(association.cidr, vpc, view)
    return Outcome(result=answer, puts=(replace(vpc, cidr_associations=kept), *tables))


def _association(view: View, association_id: str) -> tuple[Vpc, CidrAssociation]:
    for vpc in view.all(Vpc):
        for association in (*vpc.cidr_associations, *vpc.ipv6_cidr_associations):
            if association.id == association_id:
                return vpc, association
    raise not_found("vpc-cidr-assoc", association_id)


def _association_answer(vpc: Vpc, association: CidrAssociation, state: str) -> dict[str, Any]:
    return {"VpcId": vpc.id, "CidrBlockAssociation": _render_association(association, state)}


_ATTRIBUTES = {
    "EnableDnsSupport": "enable_dns_support",
    "EnableDnsHostnames": "enable_dns_hostnames",
    "EnableNetworkAddressUsageMetrics": "enable_network_address_usage_metrics",
}


@operation("ModifyVpcAttribute")
def modify_vpc_attribute(request: Request, view: View) -> Outcome:
    given = [name for name in _ATTRIBUTES if name in request.parameters]
    vpc = find(view, Vpc, request.parameters["VpcId"])
    if len(given) != 1:
        raise invalid_combination("Exactly one attribute can be modified in a call.")
    value = request.parameters[given[0]].get("Value")
    if value is None:
        raise missing_parameter(f"{given[0]}.Value")
    changed = replace(vpc, **{_ATTRIBUTES[given[0]]: value})
    if changed.enable_dns_hostnames and not changed.enable_dns_support:
        raise invalid_parameter(
            "DNS hostnames need DNS support: enableDnsHostnames is true while enableDnsSupport is false."
        )
    return Outcome(puts=(changed,))


@operation("DescribeVpcAttribute")
def describe_vpc_attribute(request: Request, view: View) -> Outcome:
    vpc = find(view, Vpc, request.parameters["VpcId"])
    asked = request.parameters["Attribute"]
    name = asked[0].upper() + asked[1:]
    return Outcome(result={"VpcId": vpc.id, name: {"Value": getattr(vpc, _ATTRIBUTES[name])}})
