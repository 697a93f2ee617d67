"""RegisterTargets, DeregisterTargets, and what time does to targets that were deregistered."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from rookery.api.errors import is_well_formed, unsupported
from rookery.api.handlers.balancer_arns import find_group
from rookery.api.handlers.instance_state import RUNNING, state_in
from rookery.api.handlers.listener_actions import balancers_of
from rookery.api.handlers.target_limits import check_balancer, check_group
from rookery.api.operation import ApiError, Outcome, Request, View, balancing_operation
from rookery.api.zones import zones
from rookery.intent.balanced_targets import ALL_ZONES
from rookery.intent.balancer_attributes import DRAINED_ARE_CUT, drain_seconds, group_attributes, is_on
from rookery.model.balancers import DRAINED, DRAINING, IPV6, REGISTERED, Target, TargetGroup
from rookery.model.objects import Instance, NetworkInterface, Subnet, Vpc

# Addresses that lie in no VPC of the balancer's, and that it may reach: behind peerings, VPNs and private lines.
OUTSIDE = tuple(
    ipaddress.IPv4Network(block)
    for block in ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16")
)
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

KEPT_SECONDS = 3600.0  # a drained target's row at the cells: flows that it still has go on (docs/decisions/0028)


@balancing_operation("RegisterTargets")
def register_targets(request: Request, view: View) -> Outcome:
    """One that drains is registered again; one that is registered stays as it is."""
    group = find_group(view, request.parameters["TargetGroupArn"])
    asked = [_target(request, view, group, each) for each in request.parameters["Targets"]]
    held = {target.key: target for target in group.targets}
    for target in asked:
        before = held.get(target.key)
        if before is None or (before.state, before.zone) != (REGISTERED, target.zone):
            held.pop(target.key, None)
            held[target.key] = target
    changed = replace(group, targets=tuple(held.values()))
    if changed == group:
        return Outcome()
    check_group(request, changed)
    for balancer in balancers_of(view, changed):
        check_balancer(request, view, balancer, [changed])
    return Outcome(puts=(changed,))


def _target(request: Request, view: View, group: TargetGroup, asked: dict[str, Any]) -> Target:
    if asked.get("QuicServerId"):
        raise unsupported("The parameter QuicServerId is not supported by Rookery yet.")
    port = asked.get("Port", group.port)
    zone = asked.get("AvailabilityZone") or ""
    if group.target_type == "instance":
        if zone:
            why = "An Availability Zone cannot be specified for targets of the type 'instance'"
            raise ApiError("ValidationError", why)
        return Target(id=_instance(view, group, asked["Id"]), port=port, since=request.now)
    address = _address(view, group, asked["Id"])
    return Target(
        id=str(address), port=port, zone=_zone(request, view, group, address, zone), since=request.now
    )


def _instance(view: View, group: TargetGroup, instance_id: str) -> str:
    if not is_well_formed(Instance.PREFIX, instance_id):
        raise ApiError("ValidationError", f"Instance ID '{instance_id[:80]}' is not valid")
    instance = view.get(Instance, instance_id)
    if instance is None or instance.wanted == "terminated":
        raise invalid_target(f"The following targets do not exist: '{instance_id}'")
    if instance.vpc_id != group.vpc_id:
        raise invalid_target(
            f"The following targets are not in the target group VPC '{group.vpc_id}': '{instance_id}'"
        )
    if state_in(view, instance) is not RUNNING:
        why = f"The following targets are not in a running state and cannot be registered: '{instance_id}'"
        raise invalid_target(why)
    if group.address_type == IPV6 and not _has_primary_ipv6(view, instance):
        raise invalid_target(f"The following targets do not have a primary IPv6 address: '{instance_id}'")
    return instance_id


def _has_primary_ipv6(view: View, instance: Instance) -> bool:
    first = view.get(NetworkInterface, instance.interface_ids[0]) if instance.interface_ids else None
    return first is not None and first.primary_ipv6 and bool(first.ipv6_addresses)


def _address(view: View, group: TargetGroup, text: str) -> Address:
    """Outside of the VPC there are private addresses of IPv4, and none of IPv6: those are a VPC's, or anybody's."""
    family, parse = ("IPv6", ipaddress.IPv6Address) if group.address_type == IPV6 else ("IPv4", ipaddress.IPv4Address)
    try:
        address: Address = parse(text)
    except ValueError:
        raise ApiError("ValidationError", f"'{text[:80]}' is not a valid {family} address") from None
    if not _is_inside(view, group, address) and not any(address in block for block in OUTSIDE):
        raise invalid_target(f"The IP address '{address}' is not within a valid range for the target group")
    return address


def _is_inside(view: View, group: TargetGroup, address: Address) -> bool:
    vpc = view.get(Vpc, group.vpc_id)
    blocks = (*vpc.cidr_associations, *vpc.ipv6_cidr_associations) if vpc else ()
    return any(address in ipaddress.ip_network(block.cidr) for block in blocks)


def _lies_in(subnet: Subnet, address: Address) -> bool:
    cidrs = (subnet.cidr, *(one.cidr for one in subnet.ipv6_cidr_associations))
    return any(address in ipaddress.ip_network(cidr) for cidr in cidrs)


def _zone(request: Request, view: View, group: TargetGroup, address: Address, asked: str) -> str:
    """That of the subnet in which it lies. Outside of the VPC it has to be said. Raises InvalidTarget, ValidationError."""
    homes = view.in_vpc(Subnet, group.vpc_id)
    home = next((one.zone for one in homes if _lies_in(one, address)), "")
    if not home and _is_inside(view, group, address):
        raise invalid_target(f"The IP address '{address}' is in no subnet of the VPC '{group.vpc_id}'")
    if asked not in ("", ALL_ZONES, *(zone.name for zone in zones(request, view))):
        raise ApiError("ValidationError", f"The Availability Zone '{asked[:80]}' is not valid")
    if home:
        if asked not in ("", ALL_ZONES, home):
            raise ApiError(
                "ValidationError", f"The IP address '{address}' is in the Availability Zone {home}"
            )
        return asked or home
    if not asked:
        why = f"An Availability Zone must be specified for the IP address '{address}', which is outside of the VPC"
        raise ApiError("ValidationError", why)
    return asked


def invalid_target(why: str) -> ApiError:
    return ApiError("InvalidTarget", why)


@balancing_operation("DeregisterTargets")
def deregister_targets(request: Request, view: View) -> Outcome:
    """They drain as long as the group says; where nobody sends to the group, they are gone at once."""
    group = find_group(view, request.parameters["TargetGroupArn"])
    gone = {(_canonical(one["Id"]), one.get("Port", group.port)) for one in request.parameters["Targets"]}
    known = {target.key for target in group.targets if target.state != DRAINED}
    if missing := sorted(f"'{target}:{port}'" for target, port in gone - known):
        raise invalid_target(f"The following targets are not registered: {', '.join(missing)}")
    if balancers_of(view, group):
        targets = tuple(
            _deregistered(request, group, one) if one.key in gone else one for one in group.targets
        )
    else:
        targets = tuple(one for one in group.targets if one.key not in gone)
    changed = replace(group, targets=targets)
    return Outcome(puts=(changed,) if changed != group else ())


def _canonical(named: str) -> str:
    """An address of IPv6 can be written in many ways."""
    try:
        return str(ipaddress.IPv6Address(named))
    except ValueError:
        return named


def _deregistered(request: Request, group: TargetGroup, target: Target) -> Target:
    if target.state != REGISTERED:
        return target
    state = DRAINING if drain_seconds(group) else DRAINED
    return replace(target, state=state, since=request.now)


def aged(view: View, group: TargetGroup, now: float) -> TargetGroup:
    """The group as time has made it: draining ends, and in the end nothing is known of a target any more; at once, where its flows
    end with it: whoever has no row gets no packet. The same object where nothing is due."""
    is_used = (
        bool(balancers_of(view, group)) if any(one.state != REGISTERED for one in group.targets) else True
    )
    keeps_flows = is_used and not is_on(group_attributes(group), DRAINED_ARE_CUT)
    targets = tuple(_aged(group.targets, drain_seconds(group), keeps_flows, now))
    return replace(group, targets=targets) if targets != group.targets else group


def _aged(targets: Iterable[Target], delay: float, keeps_flows: bool, now: float) -> Iterable[Target]:
    for target in targets:
        if target.state == REGISTERED or target.state == DRAINING and now - target.since < delay:
            yield target
        elif target.state == DRAINING and keeps_flows:
            yield replace(target, state=DRAINED, since=now)
        elif target.state == DRAINED and keeps_flows and now - target.since < KEPT_SECONDS:
            yield target
