"""Security groups and their rules in the words of the API."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import msgspec

from rookery.api.blocks import is_ipv6
from rookery.api.handlers.peering_state import last_between
from rookery.api.operation import View
from rookery.api.tags import render_tags
from rookery.model.objects import SecurityGroup, SecurityGroupRule

WITH_PORTS = ("tcp", "udp", "icmp", "icmpv6")


class HeldRule(msgspec.Struct, frozen=True):
    """A rule together with its group: what DescribeSecurityGroupRules lists and tags are put on."""

    KIND: ClassVar[str] = "security-group-rule"

    group: SecurityGroup
    rule: SecurityGroupRule

    @property
    def id(self) -> str:
        return self.rule.id

    @property
    def created(self) -> float:
        return self.group.created

    @property
    def tags(self) -> dict[str, str]:
        return self.rule.tags


def group_arn(group: SecurityGroup) -> str:
    return f"arn:aws:ec2:{group.region}:{group.account}:security-group/{group.id}"


def render_group(group: SecurityGroup, view: View, now: float) -> dict[str, Any]:
    ingress = [rule for rule in group.rules if not rule.is_egress]
    egress = [rule for rule in group.rules if rule.is_egress]
    return {
        "GroupId": group.id,
        "GroupName": group.name,
        "Description": group.description,
        "VpcId": group.vpc_id,
        "OwnerId": group.account,
        "SecurityGroupArn": group_arn(group),
        "IpPermissions": permissions(view, group, ingress, now),
        "IpPermissionsEgress": permissions(view, group, egress, now),
        "Tags": render_tags(group.tags),
    }


def permissions(
    view: View, group: SecurityGroup, rules: Iterable[SecurityGroupRule], now: float
) -> list[dict[str, Any]]:
    """Rules of one protocol and range of ports are one permission."""
    found: dict[tuple[str, int, int], dict[str, Any]] = {}
    for rule in rules:
        key = (rule.protocol, rule.from_port, rule.to_port)
        permission = found.setdefault(key, _empty_permission(rule))
        member, shape = _peer(view, group, rule, now)
        permission[member].append({**shape, **described(rule)})
    return list(found.values())


def _empty_permission(rule: SecurityGroupRule) -> dict[str, Any]:
    has_ports = rule.protocol in WITH_PORTS
    return {
        "IpProtocol": rule.protocol,
        **({"FromPort": rule.from_port, "ToPort": rule.to_port} if has_ports else {}),
        "UserIdGroupPairs": [],
        "IpRanges": [],
        "Ipv6Ranges": [],
        "PrefixListIds": [],
    }


def _peer(
    view: View, group: SecurityGroup, rule: SecurityGroupRule, now: float
) -> tuple[str, dict[str, Any]]:
    if rule.group_id:
        return "UserIdGroupPairs", group_pair(view, group, rule, now)
    if rule.prefix_list_id:
        return "PrefixListIds", {"PrefixListId": rule.prefix_list_id}
    if is_ipv6(rule.cidr):
        return "Ipv6Ranges", {"CidrIpv6": rule.cidr}
    return "IpRanges", {"CidrIp": rule.cidr}


def group_pair(view: View, group: SecurityGroup, rule: SecurityGroupRule, now: float) -> dict[str, str]:
    """Which group a rule of `group` names; of a peer's VPC also where it is, and how the two are joined."""
    shape = {"GroupId": rule.group_id, "UserId": rule.group_account or group.account}
    if not rule.group_vpc_id:
        return shape
    peering = last_between(view, group.vpc_id, rule.group_vpc_id, now)
    shape["VpcId"] = rule.group_vpc_id
    if peering is None:
        return {**shape, "PeeringStatus": "deleted"}
    return {**shape, "VpcPeeringConnectionId": peering.id, "PeeringStatus": peering.status}


def described(rule: SecurityGroupRule) -> dict[str, str]:
    return {"Description": rule.description} if rule.description else {}


def render_rule(held: HeldRule, view: View, now: float) -> dict[str, Any]:
    group, rule = held.group, held.rule
    referenced = {"ReferencedGroupInfo": group_pair(view, group, rule, now)} if rule.group_id else {}
    peer = referenced or _block(rule)
    return {
        **_common(group, rule),
        **peer,
        "GroupOwnerId": group.account,
        "SecurityGroupRuleArn": f"arn:aws:ec2:{group.region}:{group.account}:security-group-rule/{rule.id}",
        "Tags": render_tags(rule.tags),
    }


def render_revoked(group: SecurityGroup, rule: SecurityGroupRule) -> dict[str, Any]:
    peer = {"ReferencedGroupId": rule.group_id} if rule.group_id else _block(rule)
    return {**_common(group, rule), **peer}


def _common(group: SecurityGroup, rule: SecurityGroupRule) -> dict[str, Any]:
    return {
        "SecurityGroupRuleId": rule.id,
        "GroupId": group.id,
        "IsEgress": rule.is_egress,
        "IpProtocol": rule.protocol,
        "FromPort": rule.from_port,
        "ToPort": rule.to_port,
        **described(rule),
    }


def _block(rule: SecurityGroupRule) -> dict[str, str]:
    if rule.prefix_list_id:
        return {"PrefixListId": rule.prefix_list_id}
    return {"CidrIpv6": rule.cidr} if is_ipv6(rule.cidr) else {"CidrIpv4": rule.cidr}
