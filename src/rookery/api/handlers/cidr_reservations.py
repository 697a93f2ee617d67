"""CIDR reservations of subnets: blocks that automatic assignment keeps out of.

`prefix`: delegated prefixes come from it, and nothing else. `explicit`: only what is asked for by number comes from it.
What is in such a block already stays there.
"""

from __future__ import annotations

from typing import Any

from rookery.api.blocks import Block, block, is_ipv6, is_within, overlap, parse_block
from rookery.api.errors import invalid_parameter
from rookery.api.filters import apply_filters
from rookery.api.handlers.addresses import reservations_of
from rookery.api.handlers.unbuilt import honour_only
from rookery.api.held import PREFIX_LENGTHS
from rookery.api.lookup import find
from rookery.api.operation import Outcome, Request, View, operation
from rookery.api.pages import page
from rookery.api.tags import render_tags, tags_for
from rookery.model.objects import Subnet, SubnetCidrReservation

FILTERS = {
    "reservationType": lambda one, _view: one.kind,
    "reservation-type": lambda one, _view: one.kind,
    "subnet-id": lambda one, _view: one.subnet_id,
}


@operation("CreateSubnetCidrReservation")
def create_subnet_cidr_reservation(request: Request, view: View) -> Outcome:
    given = request.parameters
    honour_only(given, {"SubnetId", "Cidr", "ReservationType", "Description", "TagSpecifications"})
    subnet = find(view, Subnet, given["SubnetId"])
    wanted = parse_block(given["Cidr"], "cidr")
    _check(wanted, given["ReservationType"], subnet, view)
    made = SubnetCidrReservation(
        account=request.account,
        region=request.region,
        id=request.ids.new(SubnetCidrReservation.PREFIX),
        created=request.now,
        tags=tags_for(request, "subnet-cidr-reservation"),
        vpc_id=subnet.vpc_id,
        subnet_id=subnet.id,
        cidr=str(wanted),
        kind=given["ReservationType"],
        description=given.get("Description") or "",
    )
    return Outcome(result={"SubnetCidrReservation": shape(made)}, puts=(made,))


def _check(wanted: Block, kind: str, subnet: Subnet, view: View) -> None:
    homes = [subnet.cidr, *(one.cidr for one in subnet.ipv6_cidr_associations)]
    if not any(is_within(wanted, block(home)) for home in homes):
        raise invalid_parameter(f"The CIDR '{wanted}' is not within the CIDR blocks of subnet '{subnet.id}'.")
    for other in reservations_of(view, subnet):
        if overlap(wanted, block(other.cidr)):
            raise invalid_parameter(f"The CIDR '{wanted}' overlaps with the reservation {other.id}.")
    longest = PREFIX_LENGTHS[wanted.version]
    if kind == "prefix" and wanted.prefixlen > longest:
        raise invalid_parameter(
            f"The CIDR '{wanted}' has no room for a prefix: it must be a /{longest} or wider."
        )


def shape(reservation: SubnetCidrReservation) -> dict[str, Any]:
    return {
        "SubnetCidrReservationId": reservation.id,
        "SubnetId": reservation.subnet_id,
        "Cidr": reservation.cidr,
        "ReservationType": reservation.kind,
        "OwnerId": reservation.account,
        "Description": reservation.description,
        "Tags": render_tags(reservation.tags),
    }


@operation("DeleteSubnetCidrReservation")
def delete_subnet_cidr_reservation(request: Request, view: View) -> Outcome:
    found = find(view, SubnetCidrReservation, request.parameters["SubnetCidrReservationId"])
    return Outcome(result={"DeletedSubnetCidrReservation": shape(found)}, deletes=(found,))


@operation("GetSubnetCidrReservations")
def get_subnet_cidr_reservations(request: Request, view: View) -> Outcome:
    """A page counts both families together."""
    subnet = find(view, Subnet, request.parameters["SubnetId"])
    chosen = page(
        request,
        apply_filters(reservations_of(view, subnet), request.parameters.get("Filters"), FILTERS, view),
    )
    result: dict[str, Any] = {"SubnetIpv4CidrReservations": [], "SubnetIpv6CidrReservations": []}
    for one in chosen.items:
        family = "Ipv6" if is_ipv6(one.cidr) else "Ipv4"
        result[f"Subnet{family}CidrReservations"].append(shape(one))
    if chosen.next_token:
        result["NextToken"] = chosen.next_token
    return Outcome(result=result)
