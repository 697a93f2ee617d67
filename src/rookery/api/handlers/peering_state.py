"""What a peering connection is at a moment, and who still sees it (VPC peering guide, "VPC peering connection lifecycle")."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from rookery.api.errors import check_id, not_found
from rookery.api.operation import ApiError, Request, View
from rookery.model.objects import PeeringSide, VpcPeering

PENDING, ACTIVE, FAILED = "pending-acceptance", "active", "failed"
REJECTED, EXPIRED, DELETED = "rejected", "expired", "deleted"
IN_FORCE = (PENDING, ACTIVE)

# AWS says no more, so that a request learns nothing of another account's VPCs.
INCORRECT = "Failed due to incorrect VPC-ID, Account ID, or overlapping CIDR range"

HOUR, DAY = 3600.0, 86_400.0
EXPIRES_AFTER = 7 * DAY
SHORT, LONG = 2 * HOUR, 2 * DAY  # how long one in its final state stays visible


def as_of(peering: VpcPeering, now: float) -> VpcPeering:
    """An unanswered request ends by the clock: nobody has to write it down."""
    if peering.status != PENDING or peering.expires > now:
        return peering
    return replace(peering, status=EXPIRED, message="Expired", ended=peering.expires)


def failed_by(account: str, peering: VpcPeering, now: float) -> VpcPeering:
    """By what `account` did."""
    return _ended(peering, account, now, status=FAILED, message=INCORRECT)


def rejected_by(account: str, peering: VpcPeering, now: float) -> VpcPeering:
    return _ended(peering, account, now, status=REJECTED, message=f"Rejected by {account}")


def deleted_by(account: str, peering: VpcPeering, now: float) -> VpcPeering:
    return _ended(peering, account, now, status=DELETED, message=f"Deleted by {account}")


def _ended(peering: VpcPeering, account: str, now: float, status: str, message: str) -> VpcPeering:
    return replace(peering, status=status, message=message, expires=0.0, ended=now, ended_by=account)


def visible_to(peering: VpcPeering, account: str, now: float) -> bool:
    """`peering` as of now, to an account that is one of its sides."""
    return peering.status in IN_FORCE or now - peering.ended < _shown_for(peering, account)


def _shown_for(peering: VpcPeering, account: str) -> float:
    """Seconds after its end."""
    if peering.status == EXPIRED:
        return LONG
    if peering.requester.account == peering.accepter.account:
        return SHORT
    if peering.status == FAILED:
        return SHORT if account == peering.requester.account else 0.0
    return SHORT if account == peering.ended_by else LONG


def is_forgotten(peering: VpcPeering, now: float) -> bool:
    """Nobody sees it any more."""
    current = as_of(peering, now)
    accounts = {current.requester.account, current.accepter.account}
    return not any(visible_to(current, account, now) for account in accounts)


def visible_peerings(request: Request, view: View) -> list[VpcPeering]:
    """As of now, both those the account asked for and those it was asked for."""
    current = (as_of(peering, request.now) for peering in view.all(VpcPeering))
    return [peering for peering in current if visible_to(peering, request.account, request.now)]


def find_peering(request: Request, view: View, peering_id: str) -> VpcPeering:
    """Raises InvalidVpcPeeringConnectionId.Malformed, InvalidVpcPeeringConnectionID.NotFound."""
    check_id(VpcPeering.PREFIX, peering_id)
    found = view.get(VpcPeering, peering_id)
    current = found and as_of(found, request.now)
    if current is None or not visible_to(current, request.account, request.now):
        raise not_found(VpcPeering.PREFIX, peering_id)
    return current


def in_force(peerings: Iterable[VpcPeering], vpc_id: str, now: float) -> list[VpcPeering]:
    """Pending and active ones of a VPC."""
    current = (as_of(peering, now) for peering in peerings)
    return [one for one in current if one.status in IN_FORCE and vpc_id in vpcs_of(one)]


def active_between(view: View, vpc_id: str, other_id: str) -> VpcPeering | None:
    sides = {vpc_id, other_id}
    return next((one for one in view.all(VpcPeering) if one.status == ACTIVE and vpcs_of(one) == sides), None)


def active_peers(view: View, vpc_id: str) -> Iterator[PeeringSide]:
    """The other sides of the active peering connections of a VPC."""
    for one in view.all(VpcPeering):
        if one.status == ACTIVE and vpc_id in vpcs_of(one):
            yield other_side(one, vpc_id)


def last_between(view: View, vpc_id: str, other_id: str, now: float) -> VpcPeering | None:
    """The active one where there is one; else the newest. None: it is forgotten, or never was."""
    sides = {vpc_id, other_id}
    found = (as_of(one, now) for one in view.all(VpcPeering) if vpcs_of(one) == sides)
    return max(found, key=lambda one: (one.status == ACTIVE, one.created), default=None)


def vpcs_of(peering: VpcPeering) -> set[str]:
    return {peering.requester.vpc_id, peering.accepter.vpc_id}


def other_side(peering: VpcPeering, vpc_id: str) -> PeeringSide:
    return peering.accepter if peering.requester.vpc_id == vpc_id else peering.requester


def invalid_transition(peering: VpcPeering, to: str) -> ApiError:
    return ApiError(
        "InvalidStateTransition",
        f"Invalid state transition for {peering.id}, attempted to transition from {peering.status} to {to}",
    )
