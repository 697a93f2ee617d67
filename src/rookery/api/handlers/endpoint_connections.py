"""The provider's word on endpoints: DescribeVpcEndpointConnections, AcceptVpcEndpointConnections, RejectVpcEndpointConnections."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from msgspec.structs import replace

from rookery.api.filters import Filters, apply_filters
from rookery.api.handlers.endpoint_state import AVAILABLE, PENDING, PENDING_ACCEPTANCE, endpoint_state
from rookery.api.handlers.unbuilt import honour_only
from rookery.api.handlers.unsuccessful import item, unsuccessful
from rookery.api.lookup import find
from rookery.api.operation import Outcome, Request, View, operation
from rookery.api.pages import page
from rookery.api.tags import render_tags
from rookery.model.objects import VpcEndpoint, VpcEndpointService

FILTERS: Filters = {
    "ip-address-type": lambda _one, _view: "ipv4",
    "service-id": lambda one, _view: one.service_id,
    "vpc-endpoint-id": lambda one, _view: one.id,
    "vpc-endpoint-owner": lambda one, _view: one.account,
    "vpc-endpoint-region": lambda one, _view: one.region,
    "vpc-endpoint-state": lambda one, view: endpoint_state(view, one),
}


@operation("DescribeVpcEndpointConnections")
def describe_vpc_endpoint_connections(request: Request, view: View) -> Outcome:
    mine = [one for service in view.all(VpcEndpointService) for one in view.endpoints_of(service.id)]
    untagged = [replace(one, tags={}) for one in mine]  # a consumer's tags are not his provider's
    shown = page(request, apply_filters(untagged, request.parameters.get("Filters"), FILTERS, view))
    return Outcome(result=shown.result("VpcEndpointConnections", [_render(one, view) for one in shown.items]))


def _render(one: VpcEndpoint, view: View) -> dict[str, Any]:
    service = find(view, VpcEndpointService, one.service_id)
    return {
        "ServiceId": one.service_id,
        "VpcEndpointId": one.id,
        "VpcEndpointOwner": one.account,
        "VpcEndpointState": endpoint_state(view, one),
        "VpcEndpointConnectionId": f"vpce-con-{one.id.rpartition('-')[2]}",
        "VpcEndpointRegion": one.region,
        "CreationTimestamp": one.created,
        "NetworkLoadBalancerArns": list(service.balancers),
        "IpAddressType": "ipv4",
        "Tags": render_tags({}),
    }


@operation("AcceptVpcEndpointConnections")
def accept_vpc_endpoint_connections(request: Request, view: View) -> Outcome:
    def accepted(service: VpcEndpointService, endpoint: VpcEndpoint) -> VpcEndpointService:
        return replace(service, accepted=(*service.accepted, endpoint.id))

    return _decided(request, view, (PENDING_ACCEPTANCE,), accepted)


@operation("RejectVpcEndpointConnections")
def reject_vpc_endpoint_connections(request: Request, view: View) -> Outcome:
    """Also of one that was accepted: its packets stop."""

    def rejected(service: VpcEndpointService, endpoint: VpcEndpoint) -> VpcEndpointService:
        return replace(service, rejected=(*service.rejected, endpoint.id))

    return _decided(request, view, (PENDING_ACCEPTANCE, PENDING, AVAILABLE), rejected)


def _decided(
    request: Request,
    view: View,
    states: Collection[str],
    change: Callable[[VpcEndpointService, VpcEndpoint], VpcEndpointService],
) -> Outcome:
    """Each for itself: one that is in none of `states`, or no endpoint of the service, is told in the answer."""
    honour_only(request.parameters, {"ServiceId", "VpcEndpointIds"})
    found = find(view, VpcEndpointService, request.parameters["ServiceId"])
    endpoints = {one.id: one for one in view.endpoints_of(found.id)}
    after, failed, accounts = _forgetful(found, endpoints), [], set()
    for endpoint_id in dict.fromkeys(request.parameters["VpcEndpointIds"]):
        endpoint = endpoints.get(endpoint_id)
        if endpoint is None:
            why = f"The Vpc Endpoint Id '{endpoint_id[:80]}' does not exist"
            failed.append(item(endpoint_id, "InvalidVpcEndpointId.NotFound", why))
            continue
        accounts.add(endpoint.account)
        state = endpoint_state(view, endpoint)
        if state in states:
            after = change(after, endpoint)
        else:
            why = f"The Vpc Endpoint {endpoint_id} is {state}: this is not possible in its state."
            failed.append(item(endpoint_id, "InvalidState", why))
    puts = (after,) if after != found else ()
    return Outcome(result=unsuccessful(failed), puts=puts, beside=frozenset(accounts))


def _forgetful(service: VpcEndpointService, known: Collection[str]) -> VpcEndpointService:
    """Without its word on endpoints that are gone."""
    return replace(
        service,
        accepted=tuple(one for one in service.accepted if one in known),
        rejected=tuple(one for one in service.rejected if one in known),
    )
