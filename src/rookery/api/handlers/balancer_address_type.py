"""The address types of load balancers and target groups: which a balancer can have, and SetIpAddressType."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from rookery.api.errors import unsupported
from rookery.api.handlers.balancer_arns import find_balancer
from rookery.api.handlers.balancer_resolution import groups_of, names_of
from rookery.api.handlers.balancer_shape import interface_in
from rookery.api.handlers.balancer_zones import WantedZone, ipv6_addresses, wrong_configuration
from rookery.api.handlers.listener_actions import check_family
from rookery.api.operation import ApiError, Outcome, Request, View, balancing_operation
from rookery.model.balancers import DUALSTACK, IPV4, BalancerZone, Listener, LoadBalancer
from rookery.model.objects import NetworkInterface, Subnet, VpcEndpointService

_OF_AWS = (IPV4, DUALSTACK, "dualstack-without-public-ipv4")


def checked_address_type(kind: str) -> str:
    """A balancer's. Raises ValidationError, InvalidConfigurationRequest."""
    if kind not in _OF_AWS:
        raise ApiError("ValidationError", f"'{kind[:80]}' is not a valid IP address type")
    if kind not in (IPV4, DUALSTACK):
        raise wrong_configuration(f"Network load balancers do not support the IP address type '{kind}'")
    return kind


def refuse_source_nat(said: str) -> None:
    """Raises UnsupportedOperation."""
    if said == "on":
        raise unsupported("A prefix for IPv6 source NAT is not supported by Rookery yet.")


@balancing_operation("SetIpAddressType")
def set_ip_address_type(request: Request, view: View) -> Outcome:
    """In each zone the balancer gets an IPv6 address, or loses the one that it has."""
    balancer = find_balancer(view, request.parameters["LoadBalancerArn"])
    changed = replace(balancer, address_type=checked_address_type(request.parameters["IpAddressType"]))
    result = {"IpAddressType": changed.address_type}
    if changed == balancer:
        return Outcome(result=result)
    check_change(view, changed)
    changed, interfaces = converted(view, changed, balancer.zones, {})
    fronts = {one.id: one for one in interfaces}
    return Outcome(result=result, puts=(changed, *interfaces, names_of(view, changed, fronts)))


def check_change(view: View, changed: LoadBalancer) -> None:
    """Whether all that the balancer is used for goes on. Raises InvalidConfigurationRequest, ResourceInUse, UnsupportedOperation."""
    for listener in view.all(Listener):
        if listener.balancer_id == changed.id:
            check_family(changed, listener.protocol, groups_of(view, changed))
    services = [one for one in view.all(VpcEndpointService) if changed.arn in one.balancers]
    if changed.address_type == IPV4 and any("ipv6" in one.address_types for one in services):
        why = f"Load balancer '{changed.arn}' is used by an endpoint service that supports IPv6"
        raise ApiError("ResourceInUse", why)


def converted(
    view: View, balancer: LoadBalancer, zones: Sequence[BalancerZone], wanted: dict[str, WantedZone]
) -> tuple[LoadBalancer, list[NetworkInterface]]:
    """The balancer, whose type is new, with zones that it has already, and their interfaces as they are from now on. `wanted`: by zone, where
    its owner says something."""
    interfaces: list[NetworkInterface] = []
    kept: list[BalancerZone] = []
    for zone in zones:
        before = interface_in(view, zone)
        home = view.get(Subnet, zone.subnet_id)
        asked = wanted.get(zone.zone) or WantedZone(home) if home else None
        addresses = ipv6_addresses(view, balancer, asked, before.id) if asked else ()
        interfaces.append(replace(before, ipv6_addresses=addresses))
        kept.append(replace(zone, ipv6_address=addresses[0] if asked and asked.ipv6_address else ""))
    return replace(balancer, zones=tuple(kept)), interfaces
