"""A load balancer in the words of the API."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from rookery.api.handlers.cells import works_by
from rookery.api.handlers.public_addresses import primary_association
from rookery.api.operation import View
from rookery.intent.balancer_names import balancer_name
from rookery.model.balancers import BalancerZone, LoadBalancer
from rookery.model.objects import NetworkInterface

ACTIVE, PROVISIONING = "active", "provisioning"

# Of Route 53, one for each AWS region: clients look for it.
_HOSTED_ZONES = {
    "ap-northeast-1": "Z31USIVHYNEOWT",
    "ap-northeast-2": "ZIBE1TIR4HY56",
    "ap-south-1": "ZVDDRBQ08TROA",
    "ap-southeast-1": "ZKVM4W9LS7TM",
    "ap-southeast-2": "ZCT6FZBF4DROD",
    "ca-central-1": "Z2EPGBW3API2WT",
    "eu-central-1": "Z3F0SRJ5LGBH90",
    "eu-north-1": "Z1UDT6IFJ4EJM",
    "eu-west-1": "Z2IFOLAFXWLO4F",
    "eu-west-2": "ZD4D7Y8KGAS4G",
    "eu-west-3": "Z1CMS0P5QUZ6D5",
    "sa-east-1": "ZTK26PT1VY4CU",
    "us-east-1": "Z26RNL4JYFTOTI",
    "us-east-2": "ZLMOA37VPKANP",
    "us-west-1": "Z24FKFUX50B4VW",
    "us-west-2": "Z18D5FSROUN65G",
}


# Interfaces that the request which is answered makes, by id: the view has them not yet.
Fronts = Mapping[str, NetworkInterface]


def state_of(view: View, balancer: LoadBalancer) -> str:
    """Active when the cells of all its zones work for it."""
    interfaces = [view.get(NetworkInterface, zone.interface_id) for zone in balancer.zones]
    return ACTIVE if all(one and _works(view, one) for one in interfaces) else PROVISIONING


def _works(view: View, interface: NetworkInterface) -> bool:
    attachment = interface.cell_attachment
    return attachment is not None and works_by(view, attachment, view.made_at(interface))


def interface_in(view: View, zone: BalancerZone, fronts: Fronts = MappingProxyType({})) -> NetworkInterface:
    """Nobody can take it from the balancer."""
    found = fronts.get(zone.interface_id) or view.get(NetworkInterface, zone.interface_id)
    if found is None:
        raise ValueError(f"{zone.interface_id} of a load balancer is gone")
    return found


def balancer_shape(
    view: View, balancer: LoadBalancer, fronts: Fronts = MappingProxyType({})
) -> dict[str, Any]:
    """`LoadBalancer`."""
    return {
        "LoadBalancerArn": balancer.arn,
        "DNSName": balancer_name(balancer),
        "CanonicalHostedZoneId": _HOSTED_ZONES.get(balancer.region),
        "CreatedTime": balancer.created,
        "LoadBalancerName": balancer.name,
        "Scheme": scheme_of(balancer),
        "VpcId": balancer.vpc_id,
        "State": {"Code": state_of(view, balancer)},
        "Type": "network",
        "AvailabilityZones": zones_shape(view, balancer, fronts),
        "IpAddressType": balancer.address_type,
        "EnablePrefixForIpv6SourceNat": "off",
        **_groups_shape(balancer),
    }


def scheme_of(balancer: LoadBalancer) -> str:
    return "internal" if balancer.is_internal else "internet-facing"


def _groups_shape(balancer: LoadBalancer) -> dict[str, Any]:
    """Of one born with groups."""
    if not balancer.groups:
        return {}
    return {"SecurityGroups": list(balancer.groups), **consumers_shape(balancer)}


def consumers_shape(balancer: LoadBalancer) -> dict[str, str]:
    said = "on" if balancer.groups_see_consumers else "off"
    return {"EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic": said}


def zones_shape(view: View, balancer: LoadBalancer, fronts: Fronts) -> list[dict[str, Any]]:
    return [_zone_shape(view, zone, fronts) for zone in balancer.zones]


def _zone_shape(view: View, zone: BalancerZone, fronts: Fronts) -> dict[str, Any]:
    """Addresses are told where the owner chose them; all others stand at the interfaces."""
    address: dict[str, str] = {}
    interface = interface_in(view, zone, fronts)
    if zone.private_address:
        address = {"PrivateIPv4Address": zone.private_address}
    elif zone.allocation_id and (association := primary_association(view, interface)):
        address = {"IpAddress": association.public, "AllocationId": zone.allocation_id}
    if zone.ipv6_address:
        address["IPv6Address"] = zone.ipv6_address
    return {
        "ZoneName": zone.zone,
        "SubnetId": zone.subnet_id,
        "LoadBalancerAddresses": [address] if address else [],
    }
