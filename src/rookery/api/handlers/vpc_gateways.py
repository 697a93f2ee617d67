"""What leads out of a VPC: at most one internet gateway and one egress-only gateway."""

from __future__ import annotations

from rookery.api.operation import View
from rookery.model.objects import EgressOnlyInternetGateway, InternetGateway, NetworkInterface


def internet_gateway_of(view: View, vpc_id: str) -> InternetGateway | None:
    return next((one for one in view.all(InternetGateway) if one.attached_vpc_id == vpc_id), None)


def egress_only_gateway_of(view: View, vpc_id: str) -> EgressOnlyInternetGateway | None:
    return next((one for one in view.all(EgressOnlyInternetGateway) if one.attached_vpc_id == vpc_id), None)


def has_gateways(view: View, vpc_id: str) -> bool:
    return bool(internet_gateway_of(view, vpc_id) or egress_only_gateway_of(view, vpc_id))


def has_public_addresses(view: View, vpc_id: str) -> bool:
    """Of whatever kind, running or not."""
    return any(
        each.public_address or view.elastic_ips_of(each.id) for each in view.in_vpc(NetworkInterface, vpc_id)
    )
