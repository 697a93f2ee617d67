"""Internet gateways: made on their own, attached to one VPC at most, and no VPC has two."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from rookery.api.describe import describe
from rookery.api.errors import dependency_violation, invalid_parameter
from rookery.api.handlers.gateway_tables import table_of_gateway
from rookery.api.handlers.unbuilt import honour_only
from rookery.api.handlers.vpc_gateways import has_public_addresses, internet_gateway_of
from rookery.api.lookup import find
from rookery.api.operation import ApiError, Outcome, Request, View, operation
from rookery.api.tags import render_tags, tags_for
from rookery.model.objects import InternetGateway, Vpc

AVAILABLE = "available"  # what AWS calls an attached one

FILTERS = {
    "attachment.state": lambda one, _view: AVAILABLE if one.attached_vpc_id else None,
    "attachment.vpc-id": lambda one, _view: one.attached_vpc_id or None,
    "internet-gateway-id": lambda one, _view: one.id,
    "owner-id": lambda one, _view: one.account,
}


@operation("CreateInternetGateway")
def create_internet_gateway(request: Request, view: View) -> Outcome:
    honour_only(request.parameters, {"TagSpecifications"})
    check_internet_gateway_quota(request, view)
    made = InternetGateway(
        account=request.account,
        region=request.region,
        id=request.ids.new(InternetGateway.PREFIX),
        created=request.now,
        tags=tags_for(request, "internet-gateway"),
    )
    return Outcome(result={"InternetGateway": render_internet_gateway(made, view)}, puts=(made,))


def check_internet_gateway_quota(request: Request, view: View) -> None:
    if len(view.all(InternetGateway)) >= request.quotas.internet_gateways:
        why = "The maximum number of internet gateways has been reached."
        raise ApiError("InternetGatewayLimitExceeded", why)


@operation("DescribeInternetGateways")
def describe_internet_gateways(request: Request, view: View) -> Outcome:
    return describe(
        request,
        view,
        InternetGateway,
        "InternetGatewayIds",
        "InternetGateways",
        render_internet_gateway,
        FILTERS,
    )


def render_internet_gateway(gateway: InternetGateway, _view: View) -> dict[str, Any]:
    attached = [{"State": AVAILABLE, "VpcId": gateway.attached_vpc_id}] if gateway.attached_vpc_id else []
    return {
        "InternetGatewayId": gateway.id,
        "OwnerId": gateway.account,
        "Attachments": attached,
        "Tags": render_tags(gateway.tags),
    }


@operation("AttachInternetGateway")
def attach_internet_gateway(request: Request, view: View) -> Outcome:
    gateway, vpc = _named(request, view)
    if gateway.attached_vpc_id:
        raise ApiError(
            "Resource.AlreadyAssociated",
            f"resource {gateway.id} is already attached to network {gateway.attached_vpc_id}",
        )
    if internet_gateway_of(view, vpc.id):
        raise invalid_parameter(f"Network {vpc.id} already has an internet gateway attached")
    return Outcome(puts=(replace(gateway, attached_vpc_id=vpc.id, attached=request.now),))


def _named(request: Request, view: View) -> tuple[InternetGateway, Vpc]:
    honour_only(request.parameters, {"InternetGatewayId", "VpcId"})
    gateway = find(view, InternetGateway, request.parameters["InternetGatewayId"])
    return gateway, find(view, Vpc, request.parameters["VpcId"])


@operation("DetachInternetGateway")
def detach_internet_gateway(request: Request, view: View) -> Outcome:
    """The routes that lead to it stay, and are black holes."""
    gateway, vpc = _named(request, view)
    if gateway.attached_vpc_id != vpc.id:
        why = f"resource {gateway.id} is not attached to network {vpc.id}"
        raise ApiError("Gateway.NotAttached", why)
    if has_public_addresses(view, vpc.id):
        raise ApiError(
            "DependencyViolation",
            f"Network {vpc.id} has some mapped public address(es). "
            "Please unmap those public address(es) before detaching the gateway.",
        )
    table = table_of_gateway(view, vpc.id, gateway.id)
    if table is not None:
        why = f"The route table {table.id} is associated with the gateway {gateway.id}."
        raise ApiError("DependencyViolation", why)
    return Outcome(puts=(replace(gateway, attached_vpc_id="", attached=0.0),))


@operation("DeleteInternetGateway")
def delete_internet_gateway(request: Request, view: View) -> Outcome:
    honour_only(request.parameters, {"InternetGatewayId"})
    gateway = find(view, InternetGateway, request.parameters["InternetGatewayId"])
    if gateway.attached_vpc_id:
        raise dependency_violation("internetGateway", gateway.id)
    return Outcome(deletes=(gateway,))
