"""Security groups: made, found and deleted. Their rules have files of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from msgspec.structs import replace

from rookery.api.blocks import is_ipv6
from rookery.api.default_security import open_egress
from rookery.api.describe import describe
from rookery.api.filters import Filters
from rookery.api.handlers.security_group_lookup import (
    asked_group,
    default_vpc_of,
    named,
    named_in_default_vpc,
)
from rookery.api.handlers.security_group_references import referrers
from rookery.api.handlers.security_group_shape import group_arn, render_group
from rookery.api.handlers.security_group_words import group_description, group_name
from rookery.api.lookup import find
from rookery.api.operation import ApiError, Outcome, Request, View, operation
from rookery.api.tags import render_tags, tags_for
from rookery.model.objects import NetworkInterface, SecurityGroup, SecurityGroupRule, Vpc

_OfRule = Callable[[SecurityGroupRule], str | int | None]


def _referenced_name(group: SecurityGroup, view: View, is_egress: bool) -> Iterable[str]:
    for rule in _rules(group, is_egress):
        found = view.get(SecurityGroup, rule.group_id) if rule.group_id else None
        if found:
            yield found.name


def _rules(group: SecurityGroup, is_egress: bool) -> list[SecurityGroupRule]:
    return [rule for rule in group.rules if rule.is_egress is is_egress]


_RULE_FILTERS: dict[str, _OfRule] = {
    "cidr": lambda rule: rule.cidr if rule.cidr and not is_ipv6(rule.cidr) else None,
    "from-port": lambda rule: rule.from_port,
    "group-id": lambda rule: rule.group_id or None,
    "ipv6-cidr": lambda rule: rule.cidr if is_ipv6(rule.cidr) else None,
    "prefix-list-id": lambda rule: rule.prefix_list_id or None,
    "protocol": lambda rule: rule.protocol,
    "to-port": lambda rule: rule.to_port,
    "user-id": lambda rule: rule.group_account or None,
}


def _rule_filters(prefix: str, is_egress: bool) -> Filters:
    def of(value: _OfRule) -> Callable[[SecurityGroup, View], list[str | int | None]]:
        return lambda group, _view: [value(rule) for rule in _rules(group, is_egress)]

    by_name = {f"{prefix}.group-name": lambda group, view: _referenced_name(group, view, is_egress)}
    return {**{f"{prefix}.{name}": of(value) for name, value in _RULE_FILTERS.items()}, **by_name}


FILTERS: Filters = {
    "description": lambda group, _view: group.description,
    "group-id": lambda group, _view: group.id,
    "group-name": lambda group, _view: group.name,
    "owner-id": lambda group, _view: group.account,
    "vpc-id": lambda group, _view: group.vpc_id,
    **_rule_filters("ip-permission", is_egress=False),
    **_rule_filters("egress.ip-permission", is_egress=True),
}


@operation("CreateSecurityGroup")
def create_security_group(request: Request, view: View) -> Outcome:
    given = request.parameters
    name, description = group_name(given["GroupName"]), group_description(given["Description"])
    vpc = _vpc(request, view)
    if named(view, vpc.id, name):
        why = f"The security group '{name}' already exists for VPC '{vpc.id}'"
        raise ApiError("InvalidGroup.Duplicate", why)
    if len(view.all(SecurityGroup)) >= request.quotas.security_groups:
        raise ApiError(
            "SecurityGroupLimitExceeded", "The maximum number of security groups has been reached."
        )
    group = SecurityGroup(
        account=request.account,
        region=request.region,
        id=request.ids.new(SecurityGroup.PREFIX),
        created=request.now,
        tags=tags_for(request, "security-group"),
        vpc_id=vpc.id,
        name=name,
        description=description,
        rules=open_egress(vpc, request.ids),
    )
    return Outcome(result=_created(group), puts=(group,))


def _vpc(request: Request, view: View) -> Vpc:
    if request.parameters.get("VpcId"):
        return find(view, Vpc, request.parameters["VpcId"])
    vpc = default_vpc_of(view)
    if vpc is None:
        raise ApiError("VPCIdNotSpecified", "No default VPC for this user")
    return vpc


def _created(group: SecurityGroup) -> dict[str, Any]:
    return {"GroupId": group.id, "SecurityGroupArn": group_arn(group), "Tags": render_tags(group.tags)}


@operation("DeleteSecurityGroup")
def delete_security_group(request: Request, view: View) -> Outcome:
    group = asked_group(request.parameters, view)
    if group.is_default:
        why = f'the specified group: "{group.id}" name: "{group.name}" cannot be deleted by a user'
        raise ApiError("CannotDelete", why)
    if _is_used(view, group) or referrers(view, group):
        raise ApiError("DependencyViolation", f"resource {group.id} has a dependent object")
    return Outcome(result={"GroupId": group.id}, deletes=(group,))


def _is_used(view: View, group: SecurityGroup) -> bool:
    return any(group.id in interface.groups for interface in view.in_vpc(NetworkInterface, group.vpc_id))


@operation("DescribeSecurityGroups")
def describe_security_groups(request: Request, view: View) -> Outcome:
    """Names are those of the default VPC; with ids, both are shown."""
    names = request.parameters.get("GroupNames") or ()
    if names:
        ids = [named_in_default_vpc(view, name).id for name in names]
        asked = {**request.parameters, "GroupIds": [*(request.parameters.get("GroupIds") or ()), *ids]}
        request = replace(request, parameters=asked)
    render = partial(render_group, now=request.now)
    return describe(request, view, SecurityGroup, "GroupIds", "SecurityGroups", render, FILTERS)
