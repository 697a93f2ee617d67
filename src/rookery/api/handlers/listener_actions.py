"""To which target groups a listener sends, by which weights: DefaultActions, and what groups of one listener must agree on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rookery.api.errors import unsupported
from rookery.api.handlers.balancer_arns import find_group, group_arn
from rookery.api.handlers.balancer_zones import wrong_configuration
from rookery.api.handlers.target_limits import check_balancer
from rookery.api.operation import ApiError, Request, View
from rookery.intent.balancer_attributes import (
    PRESERVE_CLIENT,
    PROXY_PROTOCOL,
    STICKY,
    group_attributes,
)
from rookery.model.balancers import IPV4, IPV6, Forward, Listener, LoadBalancer, TargetGroup

MOST_GROUPS = 5  # of one action
MOST_WEIGHT = 999
COMPATIBLE = {"TCP": ("TCP", "TCP_UDP"), "UDP": ("UDP", "TCP_UDP"), "TCP_UDP": ("TCP_UDP",)}


def listeners_to(view: View, group: TargetGroup) -> list[Listener]:
    return [one for one in view.all(Listener) if any(f.group_id == group.id for f in one.forwards)]


def balancers_of(view: View, group: TargetGroup) -> list[LoadBalancer]:
    """Those whose listeners send to it: one at most."""
    used = dict.fromkeys(one.balancer_id for one in listeners_to(view, group))
    return [found for balancer_id in used if (found := view.get(LoadBalancer, balancer_id))]


def forwards_in(view: View, actions: Sequence[dict[str, Any]]) -> tuple[Forward, ...]:
    """Raises InvalidLoadBalancerAction, TargetGroupNotFound, ValidationError, UnsupportedOperation."""
    if len(actions) != 1:
        raise ApiError("InvalidLoadBalancerAction", "A listener of a network load balancer has one action")
    action = actions[0]
    if action["Type"] != "forward":
        why = f"Actions of the type '{action['Type']}' are not valid for network load balancers"
        raise ApiError("InvalidLoadBalancerAction", why)
    weighted = _weighted(view, action.get("ForwardConfig") or {})
    arn = action.get("TargetGroupArn")
    single = (Forward(find_group(view, arn).id),) if arn else ()
    if not (weighted or single):
        raise ApiError("ValidationError", "A target group ARN must be specified for a forward action")
    if weighted and single and [one.group_id for one in weighted] != [single[0].group_id]:
        why = (
            "A target group ARN and a forward config can only be specified together for the same target group"
        )
        raise ApiError("InvalidLoadBalancerAction", why)
    return weighted or single


def _weighted(view: View, config: dict[str, Any]) -> tuple[Forward, ...]:
    sticky = config.get("TargetGroupStickinessConfig") or {}
    if sticky.get("Enabled"):
        raise unsupported("Stickiness to a target group is not supported by Rookery yet.")
    rows = config.get("TargetGroups") or []
    if any(not row.get("TargetGroupArn") for row in rows):
        raise ApiError("ValidationError", "A target group ARN must be specified")
    forwards = tuple(
        Forward(find_group(view, row["TargetGroupArn"]).id, row.get("Weight", 1)) for row in rows
    )
    if any(not 0 <= one.weight <= MOST_WEIGHT for one in forwards):
        raise ApiError("ValidationError", f"The weight of a target group lies between 0 and {MOST_WEIGHT}")
    if len({one.group_id for one in forwards}) < len(forwards):
        raise ApiError("ValidationError", "A target group can be specified only once in an action")
    if len(forwards) > MOST_GROUPS:
        why = f"An action has at most {MOST_GROUPS} target groups"
        raise ApiError("TooManyUniqueTargetGroupsPerLoadBalancer", why)
    return forwards


def check_listener(request: Request, view: View, balancer: LoadBalancer, listener: Listener) -> None:
    """That what it sends to can be sent to. Raises IncompatibleProtocols, InvalidConfigurationRequest,
    TargetGroupAssociationLimit, TooManyTargets, UnsupportedOperation."""
    groups = [group for one in listener.forwards if (group := view.get(TargetGroup, one.group_id))]
    for group in groups:
        if group.protocol not in COMPATIBLE[listener.protocol]:
            why = f"Target group '{group_arn(group)}' of the protocol {group.protocol} cannot be used by a listener of {listener.protocol}"
            raise ApiError("IncompatibleProtocols", why)
        if group.vpc_id != balancer.vpc_id:
            why = f"Target group '{group_arn(group)}' is in the VPC {group.vpc_id}, its load balancer in {balancer.vpc_id}"
            raise wrong_configuration(why)
        if any(other.id != balancer.id for other in balancers_of(view, group)):
            why = f"Target group '{group_arn(group)}' is used by another load balancer already"
            raise ApiError("TargetGroupAssociationLimit", why)
    check_agreement(groups)
    check_family(balancer, listener.protocol, groups)
    check_balancer(request, view, balancer, groups)


def check_agreement(groups: Iterable[TargetGroup]) -> None:
    """Of one listener, whose flows are all treated alike here. Raises InvalidConfigurationRequest, UnsupportedOperation."""
    known = list(groups)
    if len({group.protocol for group in known}) > 1:
        raise wrong_configuration("All target groups of an action must have the same protocol")
    if len({group.address_type for group in known}) > 1:
        raise wrong_configuration("All target groups of an action must have the same IP address type")
    for name in (PRESERVE_CLIENT, STICKY, PROXY_PROTOCOL):
        if len({group_attributes(group)[name] for group in known}) > 1:
            raise unsupported(
                f"Target groups of one listener that differ in {name} are not supported by Rookery yet."
            )


def check_family(balancer: LoadBalancer, protocol: str, groups: Iterable[TargetGroup]) -> None:
    """Of a listener of this protocol. Datagrams need a prefix of IPv6 addresses to be hidden behind, at AWS. Raises
    InvalidConfigurationRequest."""
    if balancer.address_type == IPV4:
        if any(group.address_type == IPV6 for group in groups):
            why = "Target groups of the IP address type ipv6 can only be used with dualstack load balancers"
            raise wrong_configuration(why)
        return
    if protocol != "TCP":
        why = f"A listener of {protocol} on a dualstack load balancer needs a prefix for IPv6 source NAT, which is not enabled"
        raise wrong_configuration(why)


def actions_shape(view: View, forwards: Sequence[Forward]) -> list[dict[str, Any]]:
    """`DefaultActions`. One target group is named in both of AWS's ways."""
    arns = {
        one.group_id: group_arn(group) for one in forwards if (group := view.get(TargetGroup, one.group_id))
    }
    action: dict[str, Any] = {
        "Type": "forward",
        "Order": 1,
        "ForwardConfig": {
            "TargetGroups": [
                {"TargetGroupArn": arns[one.group_id], "Weight": one.weight} for one in forwards
            ],
            "TargetGroupStickinessConfig": {"Enabled": False},
        },
    }
    if len(forwards) == 1:
        action["TargetGroupArn"] = arns[forwards[0].group_id]
    return [action]
