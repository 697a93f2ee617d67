"""Blocks of two peers never overlap: when they are peered, and when one of them gets a block more."""

from __future__ import annotations

from ipaddress import ip_network

from rookery.api.errors import not_permitted
from rookery.api.handlers.peering_state import (
    ACTIVE,
    PENDING,
    failed_by,
    in_force,
    other_side,
)
from rookery.api.operation import ApiError, Outcome, Request, View
from rookery.model.objects import Vpc, VpcPeering


def blocks_of(vpc: Vpc) -> list[str]:
    """Of both families."""
    return [one.cidr for one in (*vpc.cidr_associations, *vpc.ipv6_cidr_associations)]


def overlap(vpc: Vpc, other: Vpc) -> bool:
    return any(overlaps_vpc(block, other) for block in blocks_of(vpc))


def overlaps_vpc(block: str, vpc: Vpc) -> bool:
    one = ip_network(block)
    return any(one.version == held.version and one.overlaps(held) for held in map(ip_network, blocks_of(vpc)))


def added_block(request: Request, view: View, vpc: Vpc, block: str) -> Outcome:
    """What it means for the peerings of `vpc` that it gets `block`, of either family: an Outcome to add to that of the
    association. Raises InvalidVpc.Range, OperationNotPermitted."""
    peerings = in_force(view.all(VpcPeering), vpc.id, request.now)
    failed = [one for one in peerings if _fails(view, vpc, block, one)]
    return Outcome(
        puts=tuple(failed_by(request.account, one, request.now) for one in failed),
        beside=frozenset(other_side(one, vpc.id).account for one in peerings) - {vpc.account},
    )


def _fails(view: View, vpc: Vpc, block: str, peering: VpcPeering) -> bool:
    """Whether the peering, pending so far, ends by it."""
    if peering.status == PENDING and peering.requester.vpc_id == vpc.id:
        why = f"The VPC peering connection {peering.id} is pending acceptance: no CIDR block can be added to {vpc.id}"
        raise not_permitted(why)
    side = other_side(peering, vpc.id)
    peer = view.peer_vpc(side.account, side.vpc_id)
    if peer is None or not overlaps_vpc(block, peer):
        return False
    if peering.status == ACTIVE:
        why = f"The CIDR '{block}' conflicts with a CIDR of the VPC at the other side of {peering.id}."
        raise ApiError("InvalidVpc.Range", why)
    return True
