"""A NAT gateway in the words of the API."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rookery.api.filters import Filters
from rookery.api.operation import View
from rookery.api.tags import render_tags
from rookery.model.objects import NatAddress, NatGateway

# AWS filters them by these and by tags only.
FILTERS: Filters = {
    "nat-gateway-id": lambda one, _view: one.id,
    "state": lambda one, _view: one.state,
    "subnet-id": lambda one, _view: one.subnet_id,
    "vpc-id": lambda one, _view: one.vpc_id,
}


def render_nat_gateway(one: NatGateway, _view: View) -> dict[str, Any]:
    return {
        "NatGatewayId": one.id,
        "VpcId": one.vpc_id,
        "SubnetId": one.subnet_id,
        "State": one.state,
        "ConnectivityType": one.connectivity,
        "AvailabilityMode": "zonal",
        "CreateTime": one.created,
        "DeleteTime": one.ended or None,
        "FailureCode": one.failure_code or None,
        "FailureMessage": one.failure_message or None,
        "NatGatewayAddresses": address_shapes(one, one.addresses),
        "Tags": render_tags(one.tags),
    }


def address_shapes(one: NatGateway, addresses: Iterable[NatAddress]) -> list[dict[str, Any]]:
    """Members only where there is something to say, as AWS answers."""
    return [
        {
            "NetworkInterfaceId": one.interface_id or None,
            "PrivateIp": address.private_address or None,
            "AllocationId": address.allocation_id or None,
            "AssociationId": address.association_id or None,
            "PublicIp": address.public_address or None,
            "IsPrimary": address.is_primary,
            "Status": address.status,
            "FailureMessage": (one.failure_message or None) if address.status == "failed" else None,
        }
        for address in addresses
    ]
