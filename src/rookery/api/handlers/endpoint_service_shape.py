"""An endpoint service in the words of the API: to its owner, and to those who may use it."""

from __future__ import annotations

from typing import Any

from rookery.api.filters import Filters
from rookery.api.handlers.endpoint_balancers import zones_of
from rookery.api.handlers.endpoint_names import base_name
from rookery.api.operation import View
from rookery.api.tags import render_tags
from rookery.intent.zones import zone_id
from rookery.model.objects import VpcEndpointService

SERVICE_TYPE = [{"ServiceType": "Interface"}]

CONFIGURATION_FILTERS: Filters = {
    "service-id": lambda one, _view: one.id,
    "service-name": lambda one, _view: one.name,
    "service-state": lambda _one, _view: "Available",
    "supported-ip-address-types": lambda one, _view: list(one.address_types),
}
SERVICE_FILTERS: Filters = {
    "owner": lambda one, _view: one.account,
    "service-name": lambda one, _view: one.name,
    "service-region": lambda one, _view: one.region,
    "service-type": lambda _one, _view: "Interface",
    "supported-ip-address-types": lambda one, _view: list(one.address_types),
}


def render_configuration(one: VpcEndpointService, view: View) -> dict[str, Any]:
    """`ServiceConfiguration`: to its owner."""
    return {
        **_common(one, view),
        "ServiceState": "Available",
        "NetworkLoadBalancerArns": list(one.balancers),
        "PrivateDnsNameConfiguration": {"State": "verified"} if one.private_dns_name else None,
        "SupportedRegions": [{"Region": one.region, "ServiceState": "Available"}],
        "RemoteAccessEnabled": False,
    }


def render_service(one: VpcEndpointService, view: View) -> dict[str, Any]:
    """`ServiceDetail`: to whoever may use it."""
    named = one.private_dns_name
    return {
        **_common(one, view),
        "Owner": one.account,
        "ServiceRegion": one.region,
        "VpcEndpointPolicySupported": False,
        "PrivateDnsNames": [{"PrivateDnsName": named}] if named else None,
        "PrivateDnsNameVerificationState": "verified" if named else None,
    }


def _common(one: VpcEndpointService, view: View) -> dict[str, Any]:
    zones = zones_of(view, one)
    return {
        "ServiceId": one.id,
        "ServiceName": one.name,
        "ServiceType": SERVICE_TYPE,
        "AvailabilityZones": zones,
        "AvailabilityZoneIds": [zone_id(one.region, zone) for zone in zones],
        "AcceptanceRequired": one.acceptance_required,
        "ManagesVpcEndpoints": False,
        "BaseEndpointDnsNames": [base_name(one)],
        "PrivateDnsName": one.private_dns_name or None,
        "SupportedIpAddressTypes": list(one.address_types),
        "Tags": render_tags(one.tags),
    }
