"""IPv6 blocks of subnets: one /64 of a block of the VPC, from the beginning or later."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from rookery.api.blocks import block, is_ipv6, is_within, overlap, parse_ipv6_cidr
from rookery.api.errors import check_id, dependency_violation, missing_parameter, not_found, refuse_unbuilt
from rookery.api.handlers.addresses import reservations_of
from rookery.api.lookup import find
from rookery.api.operation import ApiError, Outcome, Request, View, operation
from rookery.model.objects import CidrAssociation, NetworkInterface, Subnet, Vpc

PREFIX_LENGTH = 64

IPV6_FILTERS = {
    "ipv6-cidr-block-association.ipv6-cidr-block": lambda subnet, _view: [
        one.cidr for one in subnet.ipv6_cidr_associations
    ],
    "ipv6-cidr-block-association.association-id": lambda subnet, _view: [
        one.id for one in subnet.ipv6_cidr_associations
    ],
    "ipv6-cidr-block-association.state": lambda subnet, _view: [
        "associated" for _ in subnet.ipv6_cidr_associations
    ],
}


def given_ipv6_association(request: Request, vpc: Vpc, view: View) -> tuple[CidrAssociation, ...]:
    """Of the request's Ipv6CidrBlock; none when it has none. Raises InvalidSubnet.Range, InvalidSubnet.Conflict."""
    text = request.parameters.get("Ipv6CidrBlock")
    if not text:
        return ()
    wanted = parse_ipv6_cidr(text, "ipv6CidrBlock")
    fits = any(is_within(wanted, block(one.cidr)) for one in vpc.ipv6_cidr_associations)
    if not fits or wanted.prefixlen != PREFIX_LENGTH:
        raise ApiError("InvalidSubnet.Range", f"The CIDR '{wanted}' is invalid.")
    siblings = [one for each in view.in_vpc(Subnet, vpc.id) for one in each.ipv6_cidr_associations]
    if any(overlap(wanted, block(one.cidr)) for one in siblings):
        raise ApiError("InvalidSubnet.Conflict", f"The CIDR '{wanted}' conflicts with another subnet")
    return (CidrAssociation(request.ids.new("subnet-cidr-assoc"), str(wanted)),)


def subnet_ipv6_shape(association: CidrAssociation, state: str) -> dict[str, Any]:
    return {
        "AssociationId": association.id,
        "Ipv6CidrBlock": association.cidr,
        "Ipv6CidrBlockState": {"State": state},
        "Ipv6AddressAttribute": "public",
        "IpSource": "amazon",
    }


@operation("AssociateSubnetCidrBlock")
def associate_subnet_cidr_block(request: Request, view: View) -> Outcome:
    refuse_unbuilt(request.parameters, "Ipv6IpamPoolId", "Ipv6NetmaskLength")
    subnet = find(view, Subnet, request.parameters["SubnetId"])
    if not request.parameters.get("Ipv6CidrBlock"):
        raise missing_parameter("ipv6CidrBlock")
    if subnet.ipv6_cidr_associations:
        why = f"This subnet '{subnet.id}' has met its maximum number of allowed IPv6 CIDRs: 1"
        raise ApiError("CidrLimitExceeded", why)
    added = given_ipv6_association(request, find(view, Vpc, subnet.vpc_id), view)
    changed = replace(subnet, ipv6_cidr_associations=added)
    return Outcome(result=_answer(subnet, added[0], "associating"), puts=(changed,))


@operation("DisassociateSubnetCidrBlock")
def disassociate_subnet_cidr_block(request: Request, view: View) -> Outcome:
    """Only when no interface and no reservation has a part of it."""
    subnet, association = _association(view, request.parameters["AssociationId"])
    reserved = any(is_ipv6(one.cidr) for one in reservations_of(view, subnet))
    if reserved or any(_has_ipv6(one, subnet) for one in view.in_vpc(NetworkInterface, subnet.vpc_id)):
        raise dependency_violation("subnet CIDR block", association.id)
    changed = replace(subnet, ipv6_cidr_associations=(), assign_ipv6_on_creation=False)
    return Outcome(result=_answer(subnet, association, "disassociating"), puts=(changed,))


def _association(view: View, association_id: str) -> tuple[Subnet, CidrAssociation]:
    check_id("subnet-cidr-assoc", association_id)
    for subnet in view.all(Subnet):
        for association in subnet.ipv6_cidr_associations:
            if association.id == association_id:
                return subnet, association
    raise not_found("subnet-cidr-assoc", association_id)


def _has_ipv6(interface: NetworkInterface, subnet: Subnet) -> bool:
    mine = interface.subnet_id == subnet.id
    return mine and bool(interface.ipv6_addresses or any(is_ipv6(one) for one in interface.prefixes))


def _answer(subnet: Subnet, association: CidrAssociation, state: str) -> dict[str, Any]:
    return {"SubnetId": subnet.id, "Ipv6CidrBlockAssociation": subnet_ipv6_shape(association, state)}
