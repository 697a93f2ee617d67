"""CreateNatGateway, DescribeNatGateways, DeleteNatGateway. How regional ones are made is in regional_nat_gateways.

What AWS finds out later is found out at once here, and told as AWS does: the answer says pending, and the gateway is failed. The
rest of a gateway's life is in nat_gateway_state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from msgspec.structs import replace

from rookery.api.errors import missing_parameter
from rookery.api.filters import apply_filters
from rookery.api.handlers.addresses import addresses_of
from rookery.api.handlers.cells import Placing
from rookery.api.handlers.elastic_ip_associations import bound_to
from rookery.api.handlers.managed_interfaces import new_managed_interface
from rookery.api.handlers.nat_gateway_shape import FILTERS, render_nat_gateway
from rookery.api.handlers.nat_gateway_state import (
    ALIVE,
    ASSIGNING,
    ASSOCIATING,
    DELETED,
    DELETING,
    FAILED,
    PENDING,
)
from rookery.api.handlers.nat_gateway_wishes import Wishes, invalid_parameter_of, wishes_of
from rookery.api.handlers.nat_gateway_zones import check_gateway_quota
from rookery.api.handlers.network_interfaces import check_interface_quota
from rookery.api.handlers.regional_nat_gateways import ONLY_REGIONAL, ONLY_ZONAL, REGIONAL, make_regional
from rookery.api.handlers.unbuilt import honour_only
from rookery.api.handlers.vpc_gateways import internet_gateway_of
from rookery.api.idempotency import redescribes
from rookery.api.lookup import find, find_all
from rookery.api.operation import Outcome, Request, View, operation
from rookery.api.pages import page
from rookery.api.tags import tags_for
from rookery.model.objects import (
    CellAttachment,
    ElasticIp,
    NatAddress,
    NatGateway,
    NetworkInterface,
    Subnet,
)

INTERFACE_TYPE = "nat_gateway"


class Failure(NamedTuple):
    code: str
    message: str


@operation("CreateNatGateway")
def create_nat_gateway(request: Request, view: View) -> Outcome:
    if request.parameters.get("AvailabilityMode") != REGIONAL:
        return _zonal(request, view)
    made, outcome = make_regional(request, view)
    return replace(outcome, result=_created(request, replace(made, state=PENDING), view))


def _zonal(request: Request, view: View) -> Outcome:
    parameters = request.parameters
    honour_only(
        parameters,
        {*ONLY_ZONAL, *ONLY_REGIONAL, "ConnectivityType", "TagSpecifications"},
        {"AvailabilityMode": ("zonal",)},
    )
    given = next((name for name in ONLY_REGIONAL if parameters.get(name)), "")
    if given:
        raise invalid_parameter_of(f"{given} is for regional NAT gateways only")
    if not parameters.get("SubnetId"):
        raise missing_parameter("SubnetId")
    home = find(view, Subnet, parameters["SubnetId"])
    wishes = wishes_of(request, view)
    check_gateway_quota(request, view, home.zone)
    check_interface_quota(request, view, 1)
    asked = NatGateway(
        account=request.account,
        region=request.region,
        id=request.ids.new(NatGateway.PREFIX),
        created=request.now,
        tags=tags_for(request, "natgateway"),
        vpc_id=home.vpc_id,
        subnet_id=home.id,
        connectivity=wishes.connectivity,
    )
    place = Placing(request, view, "The NAT gateway").place(home.zone)
    failure = failure_of(view, home, wishes)
    if failure is not None:
        failed = _failed(asked, wishes, failure, request.now)
        return Outcome(result=_created(request, replace(failed, state=PENDING), view), puts=(failed,))
    interface, addresses = _given(request, view, asked, wishes, home=home, cell=place.cell.name)
    made = replace(asked, interface_id=interface.id, addresses=addresses)
    bound = bound_to(wishes.elastic_ips, addresses, interface.id)
    return Outcome(result=_created(request, made, view), puts=(made, interface, *bound), shards=place.shards)


def failure_of(view: View, home: Subnet, wishes: Wishes) -> Failure | None:
    """Why it cannot be. In AWS's words."""
    if wishes.is_public and internet_gateway_of(view, home.vpc_id) is None:
        return Failure("Gateway.NotAttached", f"Network {home.vpc_id} has no Internet gateway attached")
    busy = next((one for one in wishes.elastic_ips if one.association_id), None)
    if busy is not None:
        return Failure("Resource.AlreadyAssociated", f"Elastic IP address {busy.id} is already associated")
    if addresses_of(view, home).free < wishes.count - len(wishes.chosen):
        why = "Subnet has insufficient free addresses to create this NAT gateway"
        return Failure("InsufficientFreeAddressesInSubnet", why)
    return None


def _failed(asked: NatGateway, wishes: Wishes, failure: Failure, now: float) -> NatGateway:
    addresses = tuple(
        NatAddress(allocation_id=one.id, public_address=one.address, is_primary=not index, status=FAILED)
        for index, one in enumerate(wishes.elastic_ips)
    )
    return replace(
        asked,
        state=FAILED,
        addresses=addresses,
        failure_code=failure.code,
        failure_message=failure.message,
        ended=now,
    )


def _given(
    request: Request, view: View, asked: NatGateway, wishes: Wishes, *, home: Subnet, cell: str
) -> tuple[NetworkInterface, tuple[NatAddress, ...]]:
    """Raises InvalidParameterValue, InvalidIPAddress.InUse."""
    interface_id = request.ids.new(NetworkInterface.PREFIX)
    private = wishes.allocate(addresses_of(view, home), seed=interface_id)
    interface = new_managed_interface(
        request,
        home,
        interface_id=interface_id,
        addresses=private,
        interface_type=INTERFACE_TYPE,
        attachment=CellAttachment(cell=cell, of=asked.id),
        description=f"Interface for NAT Gateway {asked.id}",
    )
    return interface, new_addresses(request, private, wishes.elastic_ips, first_is_primary=True)


def new_addresses(
    request: Request, private: Sequence[str], elastic_ips: Sequence[ElasticIp], first_is_primary: bool = False
) -> tuple[NatAddress, ...]:
    """Not in effect yet. `elastic_ips`: one for each private address, or none of a private gateway."""
    if not elastic_ips:
        return tuple(
            NatAddress(private_address=one, is_primary=first_is_primary and not index, status=ASSIGNING)
            for index, one in enumerate(private)
        )
    return tuple(
        NatAddress(
            private_address=one,
            allocation_id=elastic_ip.id,
            association_id=request.ids.new("eipassoc"),
            public_address=elastic_ip.address,
            is_primary=first_is_primary and not index,
            status=ASSOCIATING,
        )
        for index, (one, elastic_ip) in enumerate(zip(private, elastic_ips, strict=True))
    )


def _created(request: Request, gateway: NatGateway, view: View) -> dict[str, Any]:
    shape = render_nat_gateway(gateway, view)
    if gateway.state == PENDING:
        shape |= {"DeleteTime": None, "FailureCode": None, "FailureMessage": None}
    return {"NatGateway": shape, "ClientToken": request.parameters.get("ClientToken")}


@redescribes("CreateNatGateway")
def created_before(request: Request, view: View, made: Sequence[Any]) -> dict[str, Any]:
    return _created(request, made[0], view)


@operation("DescribeNatGateways")
def describe_nat_gateways(request: Request, view: View) -> Outcome:
    parameters: Mapping[str, Any] = request.parameters
    ids = parameters.get("NatGatewayIds")
    found = find_all(view, NatGateway, ids) if ids else view.all(NatGateway)
    chosen = apply_filters(found, parameters.get("Filter"), FILTERS, view)
    shown = page(request, chosen, "NatGatewayIds")
    return Outcome(result=shown.result("NatGateways", [render_nat_gateway(one, view) for one in shown.items]))


@operation("DeleteNatGateway")
def delete_nat_gateway(request: Request, view: View) -> Outcome:
    """At once it has no part in any packet: routes to it are black holes, and what went through it is cut. What has ended may be
    deleted again."""
    honour_only(request.parameters, {"NatGatewayId"})
    found = find(view, NatGateway, request.parameters["NatGatewayId"])
    answer = {"NatGatewayId": found.id}
    if found.state in ALIVE:
        return Outcome(result=answer, puts=(replace(found, state=DELETING, ended=request.now),))
    if found.state == FAILED:
        return Outcome(result=answer, puts=(replace(found, state=DELETED, ended=request.now),))
    return Outcome(result=answer)
