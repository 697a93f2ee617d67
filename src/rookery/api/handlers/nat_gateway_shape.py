"""A NAT gateway in the words of the API."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rookery.api.filters import Filters
from rookery.api.operation import View
from rookery.api.tags import render_tags
from rookery.intent.zones import zone_id
from rookery.model.objects import NatAddress, NatGateway

# AWS filters them by these and by tags only.
FILTERS: Filters = {
    "nat-gateway-id": lambda one, _view: one.id,
    "state": lambda one, _view: one.state,
    "subnet-id": lambda one, _view: one.subnet_id or None,
    "vpc-id": lambda one, _view: one.vpc_id,
}


def render_nat_gateway(one: NatGateway, _view: View) -> dict[str, Any]:
    return {
        "NatGatewayId": one.id,
        "VpcId": one.vpc_id,
        "SubnetId": one.subnet_id or None,
        "State": one.state,
        "ConnectivityType": one.connectivity,
        "AvailabilityMode": "regional" if one.is_regional else "zonal",
        **(_regional_members(one) if one.is_regional else {}),
        "CreateTime": one.created,
        "DeleteTime": one.ended or None,
        "FailureCode": one.failure_code or None,
        "FailureMessage": one.failure_message or None,
        "NatGatewayAddresses": address_shapes(one, one.addresses),
        "Tags": render_tags(one.tags),
    }


def _regional_members(one: NatGateway) -> dict[str, Any]:
    """No gateway gets another address because it runs out of ports (docs/decisions/0041-regional-nat-gateways.md)."""
    return {
        "AutoScalingIps": "disabled",
        "AutoProvisionZones": "enabled" if one.automatic else "disabled",
        "RouteTableId": one.route_table_id or None,
    }


def address_shapes(one: NatGateway, addresses: Iterable[NatAddress]) -> list[dict[str, Any]]:
    """Members only where there is something to say, as AWS answers. Of a regional gateway's interfaces and private addresses, which are in
    no subnet, nothing is told; none of its addresses comes before the others."""
    return [_regional_shape(one, address) if one.is_regional else _zonal_shape(one, address) for address in addresses]


def _regional_shape(one: NatGateway, address: NatAddress) -> dict[str, Any]:
    return {
        "AllocationId": address.allocation_id,
        "AssociationId": address.association_id or None,
        "PublicIp": address.public_address,
        "AvailabilityZone": address.zone,
        "AvailabilityZoneId": zone_id(one.region, address.zone),
        "IsPrimary": False,
        "Status": address.status,
        "FailureMessage": _failure_of(one, address),
    }


def _zonal_shape(one: NatGateway, address: NatAddress) -> dict[str, Any]:
    return {
        "NetworkInterfaceId": one.interface_id or None,
        "PrivateIp": address.private_address or None,
        "AllocationId": address.allocation_id or None,
        "AssociationId": address.association_id or None,
        "PublicIp": address.public_address or None,
        "IsPrimary": address.is_primary,
        "Status": address.status,
        "FailureMessage": _failure_of(one, address),
    }


def _failure_of(one: NatGateway, address: NatAddress) -> str | None:
    return (one.failure_message or None) if address.status == "failed" else None
