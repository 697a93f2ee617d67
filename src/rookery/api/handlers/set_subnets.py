"""SetSubnets: the zones of a load balancer. What it has in a zone stays as it is for as long as it has the zone."""

from __future__ import annotations

from msgspec.structs import replace

from rookery.api.handlers.balancer_arns import find_balancer
from rookery.api.handlers.balancer_groups import check_address_type
from rookery.api.handlers.balancer_resolution import names_of
from rookery.api.handlers.balancer_shape import interface_in, zones_shape
from rookery.api.handlers.balancer_zones import (
    WantedZone,
    build_zones,
    left_by,
    wanted_zones,
    wrong_configuration,
)
from rookery.api.handlers.unbuilt import honour_only
from rookery.api.operation import Outcome, Request, View, balancing_operation
from rookery.model.balancers import BalancerZone, LoadBalancer


@balancing_operation("SetSubnets")
def set_subnets(request: Request, view: View) -> Outcome:
    """All of them: new zones are added, those that are not named are given up."""
    honour_only(
        request.parameters,
        {"LoadBalancerArn", "Subnets", "SubnetMappings", "IpAddressType"},
        {"EnablePrefixForIpv6SourceNat": ("off",)},
    )
    balancer = find_balancer(view, request.parameters["LoadBalancerArn"])
    check_address_type(request.parameters.get("IpAddressType", "ipv4"))
    wanted = {each.subnet.zone: each for each in wanted_zones(request, view, balancer.is_internal)}
    if any(each.subnet.vpc_id != balancer.vpc_id for each in wanted.values()):
        raise wrong_configuration(f"All subnets must belong to the load balancer's VPC, {balancer.vpc_id}")
    held = {zone.zone: zone for zone in balancer.zones}
    for zone in held.keys() & wanted.keys():
        _check_kept(view, held[zone], wanted[zone])
    built = build_zones(request, view, balancer, [each for zone, each in wanted.items() if zone not in held])
    kept = [zone for name, zone in held.items() if name in wanted]
    freed, gone = left_by(view, [zone for name, zone in held.items() if name not in wanted])
    zones = tuple(sorted((*kept, *built.zones), key=lambda zone: zone.zone))
    changed = replace(balancer, zones=zones)
    return Outcome(
        result=_result(view, changed, built.fronts),
        puts=(changed, *built.puts, *freed, names_of(view, changed, built.fronts))
        if changed != balancer
        else (),
        deletes=tuple(gone),
        shards=built.shards,
    )


def _check_kept(view: View, held: BalancerZone, wanted: WantedZone) -> None:
    """Raises InvalidConfigurationRequest when something else is asked for in a zone that it has."""
    other_ip = wanted.elastic_ip is not None and wanted.elastic_ip.id != held.allocation_id
    other_address = wanted.private_address not in ("", interface_in(view, held).primary)
    if wanted.subnet.id != held.subnet_id or other_ip or other_address:
        raise wrong_configuration(f"The subnet and the addresses in {held.zone} cannot be modified")


def _result(view: View, balancer: LoadBalancer, fronts: dict) -> dict:
    zones = zones_shape(view, balancer, fronts)
    return {"AvailabilityZones": zones, "IpAddressType": "ipv4", "EnablePrefixForIpv6SourceNat": "off"}
