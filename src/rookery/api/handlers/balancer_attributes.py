"""Attributes of load balancers, target groups and listeners: read and modified alike, each with its rule."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from msgspec.structs import replace

from rookery.api.errors import unsupported
from rookery.api.handlers.balancer_arns import balancer_of, find_balancer, find_group, find_listener
from rookery.api.handlers.balancer_zones import wrong_configuration
from rookery.api.handlers.listener_actions import check_agreement, check_family, listeners_to
from rookery.api.operation import ApiError, Outcome, Request, View, balancing_operation
from rookery.intent import balancer_attributes as known
from rookery.intent.balancer_attributes import balancer_attributes, group_attributes, listener_attributes
from rookery.model.balancers import IPV4, Listener, LoadBalancer, TargetGroup

Rule = Callable[[str], bool]

_WHOLE = re.compile(r"[0-9]{1,6}\Z")


def _one_of(*values: str) -> Rule:
    return lambda value: value in values


def _between(least: int, most: int, *words: str) -> Rule:
    return lambda value: value in words or bool(_WHOLE.match(value) and least <= int(value) <= most)


def _any(_value: str) -> bool:
    return True


_BOOLEAN = _one_of("true", "false")
_MANY = 1000

# What each may be, and what of that Rookery does.
_OF_BALANCERS: dict[str, tuple[Rule, Rule]] = {
    "access_logs.s3.enabled": (_BOOLEAN, _one_of("false")),
    "access_logs.s3.bucket": (_any, _any),  # of no consequence while they are not enabled
    "access_logs.s3.prefix": (_any, _any),
    known.DELETION_PROTECTION: (_BOOLEAN, _any),
    known.CROSS_ZONE: (_BOOLEAN, _any),
    "dns_record.client_routing_policy": (
        _one_of("any_availability_zone", "availability_zone_affinity", "partial_availability_zone_affinity"),
        _one_of("any_availability_zone"),
    ),
    "secondary_ips.auto_assigned.per_subnet": (_between(0, 7), _one_of("0")),
    "zonal_shift.config.enabled": (_BOOLEAN, _one_of("false")),
    known.IPV6_BLOCKED: (_BOOLEAN, _any),
}
_OF_GROUPS: dict[str, tuple[Rule, Rule]] = {
    known.DRAIN_SECONDS: (_between(0, 3600), _any),
    known.DRAINED_ARE_CUT: (_BOOLEAN, _any),
    known.PRESERVE_CLIENT: (_BOOLEAN, _any),
    known.PROXY_PROTOCOL: (_BOOLEAN, _any),
    known.STICKY: (_BOOLEAN, _any),
    "stickiness.type": (_one_of("source_ip"), _any),
    known.CROSS_ZONE: (_one_of("true", "false", known.OF_BALANCER), _any),
    f"{known.LEAST_FOR_NAMES}.count": (_between(1, _MANY, known.OFF), _any),
    f"{known.LEAST_FOR_NAMES}.percentage": (_between(1, 100, known.OFF), _any),
    f"{known.LEAST_FOR_ROUTING}.count": (_between(1, _MANY), _any),
    f"{known.LEAST_FOR_ROUTING}.percentage": (_between(1, 100, known.OFF), _any),
    known.UNHEALTHY_ARE_CUT: (_BOOLEAN, _any),
    known.UNHEALTHY_DRAIN_SECONDS: (_between(0, 360_000), _one_of("0")),
}
_OF_LISTENERS: dict[str, tuple[Rule, Rule]] = {known.IDLE_SECONDS: (_between(60, 6000), _any)}


def _asked(request: Request, rules: Mapping[str, tuple[Rule, Rule]], noun: str) -> dict[str, str]:
    """Raises ValidationError, InvalidConfigurationRequest, UnsupportedOperation."""
    asked: dict[str, str] = {}
    for pair in request.parameters["Attributes"]:
        name, value = pair.get("Key") or "", pair.get("Value") or ""
        if name not in rules:
            raise ApiError("ValidationError", f"{noun} attribute key '{name[:80]}' is not recognized")
        may_be, is_done = rules[name]
        if name in asked:
            raise wrong_configuration(f"{noun} attribute key '{name}' is specified more than once")
        if not may_be(value):
            raise ApiError(
                "ValidationError", f"{noun} attribute value '{value[:80]}' is not valid for '{name}'"
            )
        if not is_done(value):
            raise unsupported(
                f"The value '{value}' of the attribute '{name}' is not supported by Rookery yet."
            )
        asked[name] = value
    return asked


def _shape(attributes: Mapping[str, str]) -> dict[str, Any]:
    return {"Attributes": [{"Key": name, "Value": value} for name, value in attributes.items()]}


@balancing_operation("DescribeLoadBalancerAttributes")
def describe_load_balancer_attributes(request: Request, view: View) -> Outcome:
    found = find_balancer(view, request.parameters["LoadBalancerArn"])
    return Outcome(result=_shape(balancer_attributes(found)))


@balancing_operation("ModifyLoadBalancerAttributes")
def modify_load_balancer_attributes(request: Request, view: View) -> Outcome:
    found = find_balancer(view, request.parameters["LoadBalancerArn"])
    asked = _asked(request, _OF_BALANCERS, "Load balancer")
    blocked = balancer_attributes(found)[known.IPV6_BLOCKED]
    if found.address_type == IPV4 and asked.get(known.IPV6_BLOCKED, blocked) != blocked:
        raise unsupported(f"'{known.IPV6_BLOCKED}' of a load balancer without IPv6 addresses is not supported by Rookery yet.")
    changed: LoadBalancer = replace(found, attributes={**found.attributes, **asked})
    return Outcome(result=_shape(balancer_attributes(changed)), puts=(changed,) if changed != found else ())


@balancing_operation("DescribeTargetGroupAttributes")
def describe_target_group_attributes(request: Request, view: View) -> Outcome:
    found = find_group(view, request.parameters["TargetGroupArn"])
    return Outcome(result=_shape(group_attributes(found)))


def _check_protocol(group: TargetGroup) -> None:
    """Raises InvalidConfigurationRequest for what groups of TCP alone may have."""
    attributes = group_attributes(group)
    if group.protocol == "TCP":
        return
    if not known.is_on(attributes, known.PRESERVE_CLIENT):
        why = (
            f"Client IP preservation cannot be disabled for target groups with the protocol {group.protocol}"
        )
        raise wrong_configuration(why)
    if known.is_on(attributes, known.PROXY_PROTOCOL):
        raise wrong_configuration(
            f"Proxy protocol v2 cannot be enabled for target groups with the protocol {group.protocol}"
        )


@balancing_operation("ModifyTargetGroupAttributes")
def modify_target_group_attributes(request: Request, view: View) -> Outcome:
    found = find_group(view, request.parameters["TargetGroupArn"])
    asked = _asked(request, _OF_GROUPS, "Target group")
    changed: TargetGroup = replace(found, attributes={**found.attributes, **asked})
    _check_protocol(changed)
    for listener in listeners_to(view, found):
        others = [group for f in listener.forwards if (group := view.get(TargetGroup, f.group_id))]
        after = [changed if group.id == changed.id else group for group in others]
        check_agreement(after)
        check_family(balancer_of(view, listener), listener.protocol, after)
    return Outcome(result=_shape(group_attributes(changed)), puts=(changed,) if changed != found else ())


@balancing_operation("DescribeListenerAttributes")
def describe_listener_attributes(request: Request, view: View) -> Outcome:
    found = find_listener(view, request.parameters["ListenerArn"])
    return Outcome(result=_shape(listener_attributes(found)))


@balancing_operation("ModifyListenerAttributes")
def modify_listener_attributes(request: Request, view: View) -> Outcome:
    found = find_listener(view, request.parameters["ListenerArn"])
    asked = _asked(request, _OF_LISTENERS, "Listener")
    if asked and found.protocol == "UDP":
        raise wrong_configuration("A listener of the protocol UDP has no attribute that can be modified")
    changed: Listener = replace(found, attributes={**found.attributes, **asked})
    return Outcome(result=_shape(listener_attributes(changed)), puts=(changed,) if changed != found else ())
