"""CreateLoadBalancer, DescribeLoadBalancers, DeleteLoadBalancer. Network load balancers only."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from rookery.api.errors import unsupported
from rookery.api.handlers.balancer_address_type import checked_address_type, refuse_source_nat
from rookery.api.handlers.balancer_arns import find_balancer, is_there, new_id, not_found
from rookery.api.handlers.balancer_groups import checked_groups
from rookery.api.handlers.balancer_names import checked_name, checked_tags
from rookery.api.handlers.balancer_pages import balancing_page
from rookery.api.handlers.balancer_resolution import names_id, names_of
from rookery.api.handlers.balancer_shape import balancer_shape, interface_in
from rookery.api.handlers.balancer_zones import WantedZone, build_zones, left_by, wanted_zones
from rookery.api.handlers.unbuilt import honour_only
from rookery.api.operation import ApiError, Outcome, Request, View, balancing_operation
from rookery.intent.balancer_attributes import DELETION_PROTECTION, balancer_attributes, is_on
from rookery.model.balancers import IPV4, Listener, LoadBalancer
from rookery.model.objects import PrivateZone, VpcEndpointService

MOST_AT_ONCE = 20

_HONOURED = {"Name", "Subnets", "SubnetMappings", "SecurityGroups", "Scheme", "Tags", "Type", "IpAddressType"}
_TRUE_ANYWAY = {"EnablePrefixForIpv6SourceNat": ("off",)}


@balancing_operation("CreateLoadBalancer")
def create_load_balancer(request: Request, view: View) -> Outcome:
    """The same call again answers what the first one made."""
    parameters = request.parameters
    check_type(parameters.get("Type", "application"))
    refuse_source_nat(parameters.get("EnablePrefixForIpv6SourceNat", "off"))
    honour_only(parameters, _HONOURED, _TRUE_ANYWAY)
    name = checked_name(parameters["Name"], "load balancer")
    is_internal = parameters.get("Scheme") == "internal"
    wanted = wanted_zones(request, view, is_internal)
    vpc_id = wanted[0].subnet.vpc_id
    asked = LoadBalancer(
        account=request.account,
        region=request.region,
        id=new_id(request, LoadBalancer),
        created=request.now,
        tags=checked_tags(parameters.get("Tags")),
        name=name,
        vpc_id=vpc_id,
        is_internal=is_internal,
        zones=(),
        groups=checked_groups(view, parameters.get("SecurityGroups") or (), vpc_id),
        address_type=checked_address_type(parameters.get("IpAddressType", IPV4)),
    )
    before = next((one for one in view.all(LoadBalancer) if one.name == name), None)
    if before is not None:
        _check_same(view, before, asked, wanted)
        return Outcome(result={"LoadBalancers": [balancer_shape(view, before)]})
    if len(view.all(LoadBalancer)) >= request.quotas.load_balancers:
        raise ApiError("TooManyLoadBalancers", "The maximum number of load balancers has been reached")
    built = build_zones(request, view, asked, wanted)
    made = replace(asked, zones=built.zones)
    fronts = built.fronts
    return Outcome(
        result={"LoadBalancers": [balancer_shape(view, made, fronts)]},
        puts=(made, *built.puts, names_of(view, made, fronts)),
        shards=built.shards,
    )


def check_type(kind: str) -> None:
    """Raises UnsupportedOperation. AWS takes a balancer for an application's where nothing is said."""
    if kind != "network":
        raise unsupported(
            f"Load balancers of the type '{kind}' are not supported by Rookery yet, only 'network'."
        )


def _check_same(view: View, before: LoadBalancer, asked: LoadBalancer, wanted: Sequence[WantedZone]) -> None:
    """Addresses that the call leaves open may be any."""
    settings = [(one.is_internal, set(one.groups), one.tags, one.address_type) for one in (before, asked)]
    if settings[0] != settings[1] or not _same_zones(view, before, wanted):
        why = f"A load balancer with the same name '{before.name}' exists, but with different settings"
        raise ApiError("DuplicateLoadBalancerName", why)


def _same_zones(view: View, before: LoadBalancer, wanted: Sequence[WantedZone]) -> bool:
    if [zone.subnet_id for zone in before.zones] != [each.subnet.id for each in wanted]:
        return False
    return all(
        zone.allocation_id == (each.elastic_ip.id if each.elastic_ip else "")
        and each.private_address in ("", interface_in(view, zone).primary)
        and each.ipv6_address in ("", interface_in(view, zone).first_ipv6)
        for zone, each in zip(before.zones, wanted, strict=True)
    )


@balancing_operation("DescribeLoadBalancers")
def describe_load_balancers(request: Request, view: View) -> Outcome:
    """By ARNs or names, of which all must exist."""
    arns, names = request.parameters.get("LoadBalancerArns"), request.parameters.get("Names")
    if arns and names:
        why = "Load balancer names and load balancer ARNs cannot be specified at the same time"
        raise ApiError("ValidationError", why)
    if len(arns or names or ()) > MOST_AT_ONCE:
        raise ApiError("ValidationError", f"A request names at most {MOST_AT_ONCE} load balancers")
    if arns:
        found = [find_balancer(view, arn) for arn in dict.fromkeys(arns)]
    elif names:
        found = _named(view, names)
    else:
        found = list(view.all(LoadBalancer))
    return Outcome(
        result=balancing_page(request, found, "LoadBalancers", lambda one: balancer_shape(view, one))
    )


def _named(view: View, names: Sequence[str]) -> list[LoadBalancer]:
    by_name = {one.name: one for one in view.all(LoadBalancer)}
    missing = [name for name in dict.fromkeys(names) if name not in by_name]
    if missing:
        raise not_found(LoadBalancer, *missing)
    return [by_name[name] for name in dict.fromkeys(names)]


@balancing_operation("DeleteLoadBalancer")
def delete_load_balancer(request: Request, view: View) -> Outcome:
    """With its listeners, interfaces and names. One that is not there is deleted already."""
    arn = request.parameters["LoadBalancerArn"]
    if not is_there(view, LoadBalancer, arn):
        return Outcome()
    balancer = find_balancer(view, arn)
    if is_on(balancer_attributes(balancer), DELETION_PROTECTION):
        why = f"Load balancer '{balancer.arn}' cannot be deleted because deletion protection is enabled"
        raise ApiError("OperationNotPermitted", why)
    if any(balancer.arn in service.balancers for service in view.all(VpcEndpointService)):
        why = f"Load balancer '{balancer.arn}' cannot be deleted because it is currently associated with another service"
        raise ApiError("ResourceInUse", why)
    kept, gone = left_by(view, balancer.zones)
    listeners = [one for one in view.all(Listener) if one.balancer_id == balancer.id]
    names = [one for one in view.all(PrivateZone) if one.id == names_id(balancer)]
    return Outcome(puts=tuple(kept), deletes=(balancer, *listeners, *names, *gone))
