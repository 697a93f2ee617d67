"""The rules that a request spells out: IpPermissions, and the flat parameters of ingress from before there were any.

A rule that is only spoken of has no id yet. `meaning` is what makes two of them the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec.structs import replace

from rookery.api.blocks import ipv4_block, ipv6_block
from rookery.api.errors import check_id, invalid_combination, invalid_parameter, missing_parameter
from rookery.api.handlers.security_group_lookup import peer_named
from rookery.api.handlers.security_group_words import rule_description
from rookery.api.operation import ApiError, View
from rookery.api.protocols import protocol_name, protocol_number, rule_range
from rookery.model.objects import PrefixList, SecurityGroup, SecurityGroupRule

FLAT = (
    "IpProtocol",
    "FromPort",
    "ToPort",
    "CidrIp",
    "SourceSecurityGroupName",
    "SourceSecurityGroupOwnerId",
)

Meaning = tuple[bool, str, int, int, str, str, str]


def meaning(rule: SecurityGroupRule) -> Meaning:
    peer = (rule.cidr, rule.prefix_list_id, rule.group_id)
    return (rule.is_egress, rule.protocol, rule.from_port, rule.to_port, *peer)


def are_given(parameters: Mapping[str, Any]) -> bool:
    return bool(parameters.get("IpPermissions")) or any(name in parameters for name in FLAT)


def spoken_rules(
    parameters: Mapping[str, Any], view: View, group: SecurityGroup, is_egress: bool
) -> list[SecurityGroupRule]:
    """At least one, each another. Raises MissingParameter, InvalidParameterValue, InvalidParameterCombination,
    InvalidPermission.Malformed, InvalidGroup.NotFound."""
    rules = [
        rule
        for permission in _permissions(parameters, is_egress)
        for rule in _rules_of(permission, view, group, is_egress)
    ]
    if len({meaning(rule) for rule in rules}) < len(rules):
        raise invalid_parameter("The same permission must not appear multiple times")
    return rules


def _permissions(parameters: Mapping[str, Any], is_egress: bool) -> list[dict[str, Any]]:
    flat = [name for name in FLAT if name in parameters]
    permissions = parameters.get("IpPermissions") or []
    if permissions and flat:
        raise invalid_combination(f"The parameter {flat[0]} cannot be used with the parameter ipPermissions")
    if flat and is_egress:
        raise invalid_parameter(
            f"The parameter {flat[0]} is not supported for egress. Use IP permissions instead."
        )
    if flat:
        return _from_flat(parameters)
    if not permissions:
        raise missing_parameter("ipPermissions")
    return list(permissions)


def _from_flat(parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    name = parameters.get("SourceSecurityGroupName")
    if not name:
        names = ("IpProtocol", "FromPort", "ToPort")
        what = {key: parameters[key] for key in names if key in parameters}
        ranges = [{"CidrIp": parameters["CidrIp"]}] if "CidrIp" in parameters else []
        return [{**what, "IpRanges": ranges}]
    if any(key in parameters for key in FLAT[:4]):
        raise invalid_combination("A source security group is given without protocol, ports and CIDR block.")
    pair = {"GroupName": name, "UserId": parameters.get("SourceSecurityGroupOwnerId")}
    everything = (("tcp", 0, 65_535), ("udp", 0, 65_535), ("icmp", -1, -1))
    return [
        {"IpProtocol": protocol, "FromPort": first, "ToPort": last, "UserIdGroupPairs": [pair]}
        for protocol, first, last in everything
    ]


def _rules_of(
    permission: Mapping[str, Any], view: View, group: SecurityGroup, is_egress: bool
) -> list[SecurityGroupRule]:
    bare = bare_rule(permission, is_egress)
    rules = [
        replace(bare, **peer, description=rule_description(given.get("Description")))
        for given, peer in _peers(permission, view, group)
    ]
    if not rules:
        raise ApiError(
            "InvalidPermission.Malformed",
            "The specified rule has no CIDR block, prefix list or security group.",
        )
    return rules


def bare_rule(given: Mapping[str, Any], is_egress: bool) -> SecurityGroupRule:
    """Protocol and ports, without a peer yet. Raises InvalidParameterValue."""
    if not given.get("IpProtocol"):
        raise invalid_parameter(
            "Invalid value 'null' for protocol. VPC security group rules must specify protocols explicitly."
        )
    number = protocol_number(given["IpProtocol"])
    first, last = rule_range(number, given.get("FromPort"), given.get("ToPort"))
    return SecurityGroupRule(
        id="", is_egress=is_egress, protocol=protocol_name(number), from_port=first, to_port=last
    )


def _peers(
    permission: Mapping[str, Any], view: View, group: SecurityGroup
) -> Iterator[tuple[Mapping[str, Any], dict[str, str]]]:
    """What was given of each, and the rule's members that say it."""
    for one in permission.get("IpRanges") or ():
        yield one, {"cidr": ipv4_block(_required(one, "CidrIp", "cidrIp"))}
    for one in permission.get("Ipv6Ranges") or ():
        yield one, {"cidr": ipv6_block(_required(one, "CidrIpv6", "cidrIpv6"))}
    for one in permission.get("PrefixListIds") or ():
        yield one, prefix_list_peer(_required(one, "PrefixListId", "prefixListId"))
    for one in permission.get("UserIdGroupPairs") or ():
        yield one, _group_peer(one, view, group)


def _required(given: Mapping[str, Any], name: str, parameter: str) -> str:
    if not given.get(name):
        raise missing_parameter(parameter)
    return str(given[name])


def prefix_list_peer(prefix_list_id: str) -> dict[str, str]:
    """Raises InvalidPrefixListId.Malformed."""
    check_id(PrefixList.PREFIX, prefix_list_id)
    return {"prefix_list_id": prefix_list_id}


def _group_peer(pair: Mapping[str, Any], view: View, group: SecurityGroup) -> dict[str, str]:
    """A peering's id and status in the pair say nothing more: they follow from the two groups' VPCs."""
    group_id = pair.get("GroupId") or ""
    if not group_id:
        group_id = peer_named(view, group, _required(pair, "GroupName", "groupId"))
    check_id(SecurityGroup.PREFIX, group_id)
    where = {"group_account": pair.get("UserId") or "", "group_vpc_id": pair.get("VpcId") or ""}
    return {"group_id": group_id, **where}
