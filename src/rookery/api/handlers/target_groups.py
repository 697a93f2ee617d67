"""CreateTargetGroup, ModifyTargetGroup, DescribeTargetGroups, DeleteTargetGroup."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from rookery.api.errors import unsupported
from rookery.api.handlers.balancer_arns import (
    find_balancer,
    find_group,
    group_arn,
    is_there,
    new_id,
    not_found,
)
from rookery.api.handlers.balancer_names import checked_name, checked_tags
from rookery.api.handlers.balancer_pages import balancing_page
from rookery.api.handlers.balancer_resolution import groups_of
from rookery.api.handlers.health_check_settings import SETTINGS, health_check, health_check_shape
from rookery.api.handlers.listener_actions import balancers_of, listeners_to
from rookery.api.handlers.unbuilt import honour_only
from rookery.api.operation import ApiError, Outcome, Request, View, balancing_operation
from rookery.model.balancers import IPV4, IPV6, TargetGroup
from rookery.model.objects import Vpc

PROTOCOLS = ("TCP", "UDP", "TCP_UDP")
TYPES = ("instance", "ip")

_HONOURED = {"Name", "Protocol", "Port", "VpcId", "TargetType", "Tags", "IpAddressType", *SETTINGS}


@balancing_operation("CreateTargetGroup")
def create_target_group(request: Request, view: View) -> Outcome:
    """The same call again answers what the first one made."""
    parameters = request.parameters
    made = TargetGroup(
        account=request.account,
        region=request.region,
        id=new_id(request, TargetGroup),
        created=request.now,
        tags=checked_tags(parameters.get("Tags")),
        name=checked_name(parameters["Name"], "target group"),
        target_type=_target_type(parameters.get("TargetType", "instance")),
        protocol=_protocol(parameters.get("Protocol")),
        port=_port(parameters.get("Port")),
        vpc_id=_vpc(view, parameters.get("VpcId")),
        check=health_check(parameters),
        address_type=_address_type(parameters.get("IpAddressType", IPV4)),
    )
    honour_only(parameters, _HONOURED)
    before = next((one for one in view.all(TargetGroup) if one.name == made.name), None)
    if before is not None:
        if _settings(before) != _settings(made):
            why = f"A target group with the same name '{made.name}' exists, but with different settings"
            raise ApiError("DuplicateTargetGroupName", why)
        return Outcome(result={"TargetGroups": [group_shape(view, before)]})
    if len(view.all(TargetGroup)) >= request.quotas.target_groups:
        raise ApiError("TooManyTargetGroups", "The maximum number of target groups has been reached")
    return Outcome(result={"TargetGroups": [group_shape(view, made)]}, puts=(made,))


def _settings(group: TargetGroup) -> tuple[Any, ...]:
    return (group.target_type, group.protocol, group.port, group.vpc_id, group.check, group.tags, group.address_type)


def _address_type(kind: str) -> str:
    if kind not in (IPV4, IPV6):
        raise ApiError("ValidationError", f"'{kind[:80]}' is not a valid IP address type of a target group")
    return kind


def _target_type(kind: str) -> str:
    if kind not in TYPES:
        raise unsupported(f"Targets of the type '{kind}' are not supported by Rookery yet.")
    return kind


def _protocol(protocol: str | None) -> str:
    if not protocol:
        raise ApiError("ValidationError", "A protocol must be specified")
    if protocol not in PROTOCOLS:
        raise unsupported(f"Target groups of the protocol '{protocol}' are not supported by Rookery yet.")
    return protocol


def _port(port: int | None) -> int:
    if port is None:
        raise ApiError("ValidationError", "A port must be specified")
    return port


def _vpc(view: View, vpc_id: str | None) -> str:
    if not vpc_id:
        raise ApiError("ValidationError", "A VPC ID must be specified")
    if view.get(Vpc, vpc_id) is None:
        raise ApiError("ValidationError", f"The VPC ID '{vpc_id[:80]}' is not found")
    return vpc_id


@balancing_operation("ModifyTargetGroup")
def modify_target_group(request: Request, view: View) -> Outcome:
    """Its health check; nothing else of a group can change."""
    honour_only(request.parameters, {"TargetGroupArn", *SETTINGS})
    before = find_group(view, request.parameters["TargetGroupArn"])
    after = replace(before, check=health_check(request.parameters, before.check))
    return Outcome(
        result={"TargetGroups": [group_shape(view, after)]}, puts=(after,) if after != before else ()
    )


@balancing_operation("DescribeTargetGroups")
def describe_target_groups(request: Request, view: View) -> Outcome:
    """Those of a load balancer, by ARNs or by names; or all."""
    ways = ("LoadBalancerArn", "TargetGroupArns", "Names")
    given = [name for name in ways if request.parameters.get(name)]
    if len(given) > 1:
        raise ApiError("ValidationError", f"{' and '.join(given)} cannot be specified at the same time")
    found = (
        _asked_groups(view, given[0], request.parameters[given[0]]) if given else list(view.all(TargetGroup))
    )
    return Outcome(result=balancing_page(request, found, "TargetGroups", lambda one: group_shape(view, one)))


def _asked_groups(view: View, way: str, asked: Any) -> list[TargetGroup]:
    if way == "LoadBalancerArn":
        return groups_of(view, find_balancer(view, asked))
    if way == "TargetGroupArns":
        return [find_group(view, arn) for arn in dict.fromkeys(asked)]
    return _named(view, list(dict.fromkeys(asked)))


def _named(view: View, names: list[str]) -> list[TargetGroup]:
    by_name = {one.name: one for one in view.all(TargetGroup)}
    missing = [name for name in names if name not in by_name]
    if missing:
        raise not_found(TargetGroup, *missing)
    return [by_name[name] for name in names]


@balancing_operation("DeleteTargetGroup")
def delete_target_group(request: Request, view: View) -> Outcome:
    """With its targets. One that is not there is deleted already."""
    arn = request.parameters["TargetGroupArn"]
    if not is_there(view, TargetGroup, arn):
        return Outcome()
    group = find_group(view, arn)
    if listeners_to(view, group):
        raise ApiError("ResourceInUse", f"Target group '{arn}' is currently in use by a listener or a rule")
    return Outcome(deletes=(group,))


def group_shape(view: View, group: TargetGroup) -> dict[str, Any]:
    """`TargetGroup`."""
    return {
        "TargetGroupArn": group_arn(group),
        "TargetGroupName": group.name,
        "Protocol": group.protocol,
        "Port": group.port,
        "VpcId": group.vpc_id,
        **health_check_shape(group.check),
        "LoadBalancerArns": [one.arn for one in balancers_of(view, group)],
        "TargetType": group.target_type,
        "IpAddressType": group.address_type,
    }
