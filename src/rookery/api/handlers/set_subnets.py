"""SetSubnets: the zones of a load balancer. What it has in a zone stays as it is for as long as it has the zone."""

from __future__ import annotations

from collections.abc import Collection

from msgspec.structs import replace

from rookery.api.handlers.balancer_address_type import (
    check_change,
    checked_address_type,
    converted,
    refuse_source_nat,
)
from rookery.api.handlers.balancer_arns import find_balancer
from rookery.api.handlers.balancer_resolution import names_of
from rookery.api.handlers.balancer_shape import interface_in, zones_shape
from rookery.api.handlers.balancer_zones import (
    WantedZone,
    build_zones,
    left_by,
    wanted_zones,
    wrong_configuration,
)
from rookery.api.handlers.endpoint_balancers import stranded_by
from rookery.api.handlers.unbuilt import honour_only
from rookery.api.operation import Outcome, Request, View, balancing_operation
from rookery.model.balancers import BalancerZone, LoadBalancer
from rookery.model.objects import NetworkInterface


@balancing_operation("SetSubnets")
def set_subnets(request: Request, view: View) -> Outcome:
    """All of them: new zones are added, those that are not named are given up."""
    refuse_source_nat(request.parameters.get("EnablePrefixForIpv6SourceNat", "off"))
    honour_only(
        request.parameters,
        {"LoadBalancerArn", "Subnets", "SubnetMappings", "IpAddressType"},
        {"EnablePrefixForIpv6SourceNat": ("off",)},
    )
    before = find_balancer(view, request.parameters["LoadBalancerArn"])
    kind = checked_address_type(request.parameters.get("IpAddressType", before.address_type))
    balancer = replace(before, address_type=kind)
    if balancer != before:
        check_change(view, balancer)
    wanted = {each.subnet.zone: each for each in wanted_zones(request, view, balancer.is_internal)}
    if any(each.subnet.vpc_id != balancer.vpc_id for each in wanted.values()):
        raise wrong_configuration(f"All subnets must belong to the load balancer's VPC, {balancer.vpc_id}")
    held = {zone.zone: zone for zone in balancer.zones}
    for zone in held.keys() & wanted.keys():
        _check_kept(view, held[zone], wanted[zone], is_converted=balancer != before)
    _check_endpoints(view, before, held.keys() - wanted.keys())
    built = build_zones(request, view, balancer, [each for zone, each in wanted.items() if zone not in held])
    kept = [zone for name, zone in held.items() if name in wanted]
    freed, gone = left_by(view, [zone for name, zone in held.items() if name not in wanted])
    interfaces: list[NetworkInterface] = []
    if balancer != before:
        converted_zones, interfaces = converted(view, balancer, kept, wanted)
        kept = list(converted_zones.zones)
    zones = tuple(sorted((*kept, *built.zones), key=lambda zone: zone.zone))
    changed = replace(balancer, zones=zones)
    fronts = {**built.fronts, **{one.id: one for one in interfaces}}
    return Outcome(
        result=_result(view, changed, fronts),
        puts=(changed, *built.puts, *interfaces, *freed, names_of(view, changed, fronts))
        if changed != before
        else (),
        deletes=tuple(gone),
        shards=built.shards,
    )


def _check_endpoints(view: View, balancer: LoadBalancer, given_up: Collection[str]) -> None:
    """Raises InvalidConfigurationRequest. AWS names no code for it."""
    stranded = stranded_by(view, balancer, given_up)
    if stranded:
        why = f"The Availability Zones {', '.join(sorted(given_up))} cannot be removed: {len(stranded)} VPC endpoint connections use the load balancer there"
        raise wrong_configuration(why)


def _check_kept(view: View, held: BalancerZone, wanted: WantedZone, *, is_converted: bool) -> None:
    """Raises InvalidConfigurationRequest when something else is asked for in a zone that it has."""
    other_ip = wanted.elastic_ip is not None and wanted.elastic_ip.id != held.allocation_id
    interface = interface_in(view, held)
    other_address = wanted.private_address not in ("", interface.primary)
    if not is_converted and wanted.ipv6_address not in ("", interface.first_ipv6):
        other_address = True
    if wanted.subnet.id != held.subnet_id or other_ip or other_address:
        raise wrong_configuration(f"The subnet and the addresses in {held.zone} cannot be modified")


def _result(view: View, balancer: LoadBalancer, fronts: dict) -> dict:
    zones = zones_shape(view, balancer, fronts)
    return {"AvailabilityZones": zones, "IpAddressType": balancer.address_type, "EnablePrefixForIpv6SourceNat": "off"}
