"""Egress-only internet gateways: IPv6 out of a VPC, and only answers back in. They are attached for life."""

from __future__ import annotations

from typing import Any

from rookery.api.describe import describe
from rookery.api.errors import invalid_parameter
from rookery.api.handlers.unbuilt import honour_only
from rookery.api.handlers.vpc_gateways import egress_only_gateway_of
from rookery.api.idempotency import redescribes
from rookery.api.lookup import find
from rookery.api.operation import ApiError, Outcome, Request, View, operation
from rookery.api.tags import render_tags, tags_for
from rookery.model.objects import EgressOnlyInternetGateway, Vpc


@operation("CreateEgressOnlyInternetGateway")
def create_egress_only_internet_gateway(request: Request, view: View) -> Outcome:
    honour_only(request.parameters, {"VpcId", "TagSpecifications"})
    vpc = find(view, Vpc, request.parameters["VpcId"])
    if egress_only_gateway_of(view, vpc.id):
        raise invalid_parameter(f"Network {vpc.id} already has an egress-only internet gateway attached")
    if len(view.all(EgressOnlyInternetGateway)) >= request.quotas.egress_only_gateways:
        why = "The maximum number of egress-only internet gateways has been reached."
        raise ApiError("EgressOnlyInternetGatewayLimitExceeded", why)
    made = EgressOnlyInternetGateway(
        account=request.account,
        region=request.region,
        id=request.ids.new(EgressOnlyInternetGateway.PREFIX),
        created=request.now,
        tags=tags_for(request, "egress-only-internet-gateway"),
        attached_vpc_id=vpc.id,
    )
    return Outcome(result=_created(request, made, view), puts=(made,))


def _created(request: Request, made: EgressOnlyInternetGateway, view: View) -> dict[str, Any]:
    return {
        "EgressOnlyInternetGateway": render_egress_only_gateway(made, view),
        "ClientToken": request.parameters.get("ClientToken"),
    }


@redescribes("CreateEgressOnlyInternetGateway")
def created_before(request: Request, view: View, made: Any) -> dict[str, Any]:
    return _created(request, made[0], view)


@operation("DescribeEgressOnlyInternetGateways")
def describe_egress_only_internet_gateways(request: Request, view: View) -> Outcome:
    """AWS filters them by tags only."""
    return describe(
        request,
        view,
        EgressOnlyInternetGateway,
        "EgressOnlyInternetGatewayIds",
        "EgressOnlyInternetGateways",
        render_egress_only_gateway,
        {},
    )


def render_egress_only_gateway(gateway: EgressOnlyInternetGateway, _view: View) -> dict[str, Any]:
    return {
        "EgressOnlyInternetGatewayId": gateway.id,
        "Attachments": [{"State": "attached", "VpcId": gateway.attached_vpc_id}],
        "Tags": render_tags(gateway.tags),
    }


@operation("DeleteEgressOnlyInternetGateway")
def delete_egress_only_internet_gateway(request: Request, view: View) -> Outcome:
    """The routes that lead to it stay, and are black holes."""
    honour_only(request.parameters, {"EgressOnlyInternetGatewayId"})
    found = find(view, EgressOnlyInternetGateway, request.parameters["EgressOnlyInternetGatewayId"])
    return Outcome(result={"ReturnCode": True}, deletes=(found,))
