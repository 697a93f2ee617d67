"""Security groups across peering connections: who refers to ours, and which of our rules refer to nothing any more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from rookery.api.filters import Filters, apply_filters
from rookery.api.handlers.peering_state import ACTIVE, active_between, in_force, other_side
from rookery.api.handlers.security_group_shape import WITH_PORTS, described, group_pair
from rookery.api.lookup import find, find_all
from rookery.api.operation import Outcome, Request, View, operation
from rookery.api.pages import page
from rookery.api.tags import render_tags
from rookery.model.objects import SecurityGroup, SecurityGroupRule, Vpc, VpcPeering


@operation("DescribeSecurityGroupReferences")
def describe_security_group_references(request: Request, view: View) -> Outcome:
    """The VPCs at the other side of active peering connections whose rules name one of these groups."""
    groups = find_all(view, SecurityGroup, request.parameters["GroupId"])
    references = [row for group in groups for row in _references(request, view, group)]
    return Outcome(result={"SecurityGroupReferenceSet": references})


def _references(request: Request, view: View, group: SecurityGroup) -> Iterator[dict[str, str]]:
    for peering in in_force(view.all(VpcPeering), group.vpc_id, request.now):
        side = other_side(peering, group.vpc_id)
        if peering.status == ACTIVE and _names(view.peer_groups(side.account, side.vpc_id), group.id):
            yield {
                "GroupId": group.id,
                "ReferencingVpcId": side.vpc_id,
                "VpcPeeringConnectionId": peering.id,
            }


def _names(groups: Iterable[SecurityGroup], group_id: str) -> bool:
    return any(rule.group_id == group_id for group in groups for rule in group.rules)


@operation("DescribeStaleSecurityGroups")
def describe_stale_security_groups(request: Request, view: View) -> Outcome:
    vpc = find(view, Vpc, request.parameters["VpcId"])
    stale = [
        group
        for group in view.in_vpc(SecurityGroup, vpc.id)
        if any(is_stale(view, group, rule) for rule in group.rules)
    ]
    shown = page(request, stale)
    shapes = [_stale_shape(request, view, group) for group in shown.items]
    return Outcome(result=shown.result("StaleSecurityGroupSet", shapes))


def is_stale(view: View, group: SecurityGroup, rule: SecurityGroupRule) -> bool:
    """It names a group in a peer's VPC, and either the peering or the group is gone. It matches nothing meanwhile, and does
    again when the two VPCs are peered anew."""
    if not rule.group_id or rule.group_vpc_id in ("", group.vpc_id):
        return False
    if active_between(view, group.vpc_id, rule.group_vpc_id) is None:
        return True
    peers = view.peer_groups(rule.group_account or group.account, rule.group_vpc_id)
    return all(peer.id != rule.group_id for peer in peers)


def _stale_shape(request: Request, view: View, group: SecurityGroup) -> dict[str, Any]:
    stale = [rule for rule in group.rules if is_stale(view, group, rule)]
    return {
        "GroupId": group.id,
        "GroupName": group.name,
        "Description": group.description,
        "VpcId": group.vpc_id,
        "StaleIpPermissions": [_permission(request, view, group, r) for r in stale if not r.is_egress],
        "StaleIpPermissionsEgress": [_permission(request, view, group, r) for r in stale if r.is_egress],
    }


def _permission(
    request: Request, view: View, group: SecurityGroup, rule: SecurityGroupRule
) -> dict[str, Any]:
    """`StaleIpPermission`: one for each rule."""
    ports = {"FromPort": rule.from_port, "ToPort": rule.to_port} if rule.protocol in WITH_PORTS else {}
    return {
        "IpProtocol": rule.protocol,
        **ports,
        "IpRanges": [],
        "PrefixListIds": [],
        "UserIdGroupPairs": [{**group_pair(view, group, rule, request.now), **described(rule)}],
    }


VPC_GROUP_FILTERS: Filters = {
    "description": lambda group, view: group.description,
    "group-id": lambda group, view: group.id,
    "group-name": lambda group, view: group.name,
    "owner-id": lambda group, view: group.account,
    "primary-vpc-id": lambda group, view: group.vpc_id,
}


@operation("GetSecurityGroupsForVpc")
def get_security_groups_for_vpc(request: Request, view: View) -> Outcome:
    """Those that interfaces of the VPC can have: its own."""
    vpc = find(view, Vpc, request.parameters["VpcId"])
    own = view.in_vpc(SecurityGroup, vpc.id)
    shown = page(request, apply_filters(own, request.parameters.get("Filters"), VPC_GROUP_FILTERS, view))
    shapes = [
        {
            "GroupId": group.id,
            "GroupName": group.name,
            "Description": group.description,
            "OwnerId": group.account,
            "PrimaryVpcId": group.vpc_id,
            "Tags": render_tags(group.tags),
        }
        for group in shown.items
    ]
    return Outcome(result=shown.result("SecurityGroupForVpcs", shapes))


ASSOCIATION_FILTERS: Filters = {
    name: lambda one, view: None for name in ("group-id", "group-owner-id", "state", "vpc-id", "vpc-owner-id")
}


@operation("DescribeSecurityGroupVpcAssociations")
def describe_security_group_vpc_associations(request: Request, view: View) -> Outcome:
    """No group is shared with another VPC: AssociateSecurityGroupVpc is not built."""
    none: list[SecurityGroup] = apply_filters(
        [], request.parameters.get("Filters"), ASSOCIATION_FILTERS, view
    )
    return Outcome(result=page(request, none).result("SecurityGroupVpcAssociations", []))
