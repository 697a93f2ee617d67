"""VPC peering connections: asked for by one side, accepted or rejected by the other, deleted by either.

One lies in its requester's account and region. Both sides change it: the commit compares the heads of both
(rookery.api.commit), so that of two answers to one request exactly one is given.
"""

from __future__ import annotations

import re

from msgspec.structs import replace

from rookery.api.errors import (
    check_id,
    invalid_parameter,
    invalid_value,
    missing_parameter,
    not_permitted,
    unsupported,
)
from rookery.api.handlers.peering_blocks import overlap
from rookery.api.handlers.peering_shape import peering_shape
from rookery.api.handlers.peering_state import (
    ACTIVE,
    EXPIRES_AFTER,
    IN_FORCE,
    PENDING,
    REJECTED,
    as_of,
    deleted_by,
    failed_by,
    find_peering,
    in_force,
    invalid_transition,
    rejected_by,
    vpcs_of,
)
from rookery.api.handlers.unbuilt import honour_only
from rookery.api.lookup import find
from rookery.api.operation import ApiError, Outcome, Request, View, operation
from rookery.api.tags import tags_for
from rookery.model.objects import PeeringSide, Vpc, VpcPeering

_ACCOUNT = re.compile(r"[0-9]{12}\Z")


@operation("CreateVpcPeeringConnection")
def create_vpc_peering_connection(request: Request, view: View) -> Outcome:
    """What is wrong with the other side is no error of the request: the connection is made, and has failed."""
    honour_only(request.parameters, {"VpcId", "PeerVpcId", "PeerOwnerId", "PeerRegion", "TagSpecifications"})
    vpc = find(view, Vpc, request.parameters["VpcId"])
    accepter = _asked_side(request)
    if accepter.vpc_id == vpc.id:
        raise invalid_parameter(f"A VPC cannot be peered with itself: {vpc.id}")
    before = _between(request, view, vpc, accepter)
    if before is not None:
        return _asked_again(view, before)
    asked = _asked(request, vpc, accepter)
    peer = view.peer_vpc(accepter.account, accepter.vpc_id)
    if peer is None or overlap(vpc, peer):
        asked = failed_by(request.account, asked, request.now)
    else:
        _check_outstanding(request, view)
        _check_active(request, view, asked.requester)
    return Outcome(result={"VpcPeeringConnection": peering_shape(asked, view)}, puts=(asked,))


def _asked_side(request: Request) -> PeeringSide:
    given = request.parameters
    region = given.get("PeerRegion") or request.region
    if region != request.region:
        raise unsupported(f"Rookery peers VPCs of one AWS region only: {region} is not {request.region}.")
    if not given.get("PeerVpcId"):
        raise missing_parameter("peerVpcId")
    check_id(Vpc.PREFIX, given["PeerVpcId"])
    account = given.get("PeerOwnerId") or request.account
    if not _ACCOUNT.match(account):
        raise invalid_value("peerOwnerId", account[:80], "This is not an account ID.")
    return PeeringSide(account=account, region=region, vpc_id=given["PeerVpcId"])


def _asked(request: Request, vpc: Vpc, accepter: PeeringSide) -> VpcPeering:
    return VpcPeering(
        account=request.account,
        region=request.region,
        id=request.ids.new(VpcPeering.PREFIX),
        created=request.now,
        tags=tags_for(request, VpcPeering.KIND),
        requester=PeeringSide(account=request.account, region=request.region, vpc_id=vpc.id),
        accepter=accepter,
        status=PENDING,
        message=f"Pending Acceptance by {accepter.account}",
        expires=request.now + EXPIRES_AFTER,
    )


def _between(request: Request, view: View, vpc: Vpc, accepter: PeeringSide) -> VpcPeering | None:
    """Pending or active, whoever asked for it."""
    held = in_force(view.all(VpcPeering), vpc.id, request.now)
    return next((one for one in held if vpcs_of(one) == {vpc.id, accepter.vpc_id}), None)


def _asked_again(view: View, before: VpcPeering) -> Outcome:
    if before.requester.account != before.accepter.account:
        raise ApiError(
            "VpcPeeringConnectionAlreadyExists",
            f"A VPC peering connection between these VPCs already exists: {before.id}",
        )
    return Outcome(result={"VpcPeeringConnection": peering_shape(before, view)})


def _check_outstanding(request: Request, view: View) -> None:
    current = (as_of(one, request.now) for one in view.all(VpcPeering))
    held = sum(one.status == PENDING and one.requester.account == request.account for one in current)
    if held >= request.quotas.outstanding_peerings:
        why = f"The maximum number of outstanding VPC peering connection requests ({held}) has been reached."
        raise ApiError("OutstandingVpcPeeringConnectionLimitExceeded", why)


def _check_active(request: Request, view: View, side: PeeringSide) -> None:
    held = sum(one.status == ACTIVE for one in view.peerings_of(side.account, side.vpc_id))
    if held >= request.quotas.peerings_per_vpc:
        raise ApiError(
            "ActiveVpcPeeringConnectionPerVpcLimitExceeded",
            f"The VPC {side.vpc_id} has the maximum number of active VPC peering connections ({held}).",
        )


@operation("AcceptVpcPeeringConnection")
def accept_vpc_peering_connection(request: Request, view: View) -> Outcome:
    """Blocks are compared once more: since the request each side may have changed."""
    found = _pending(request, view, "accept", "provisioning")
    for side in (found.requester, found.accepter):
        _check_active(request, view, side)
    requester, accepter = (
        view.peer_vpc(side.account, side.vpc_id) for side in (found.requester, found.accepter)
    )
    if requester is None or accepter is None or overlap(requester, accepter):
        after = failed_by(request.account, found, request.now)
    else:
        after = replace(found, status=ACTIVE, message="Active", expires=0.0)
    return Outcome(result={"VpcPeeringConnection": peering_shape(after, view)}, puts=(after,))


@operation("RejectVpcPeeringConnection")
def reject_vpc_peering_connection(request: Request, view: View) -> Outcome:
    found = _pending(request, view, "reject", REJECTED)
    return Outcome(result={"Return": True}, puts=(rejected_by(request.account, found, request.now),))


def _pending(request: Request, view: View, verb: str, to: str) -> VpcPeering:
    """The one that its accepter, and nobody else, may answer."""
    peering_id = request.parameters["VpcPeeringConnectionId"]
    _check_region(request, view, peering_id, verb)
    found = find_peering(request, view, peering_id)
    if found.accepter.account != request.account:
        raise not_permitted(f"User {request.account} cannot {verb} peering {found.id}")
    if found.status != PENDING:
        raise invalid_transition(found, to)
    return found


def _check_region(request: Request, view: View, peering_id: str, verb: str) -> None:
    region = view.region_of_peering(peering_id)
    if region and region != request.region:
        raise not_permitted(
            f"Incorrect region ({request.region}) specified for this request. "
            f"VPC peering connection {peering_id} must be {verb}ed in region {region}"
        )


@operation("DeleteVpcPeeringConnection")
def delete_vpc_peering_connection(request: Request, view: View) -> Outcome:
    """Either side while it is active; before, its requester: whoever was asked rejects it."""
    found = find_peering(request, view, request.parameters["VpcPeeringConnectionId"])
    if found.status not in IN_FORCE:
        raise invalid_transition(found, "deleting")
    if found.status == PENDING and found.requester.account != request.account:
        raise not_permitted(f"User {request.account} cannot delete peering {found.id}, but may reject it")
    return Outcome(result={"Return": True}, puts=(deleted_by(request.account, found, request.now),))


def without_vpc(request: Request, view: View, vpc_id: str) -> tuple[VpcPeering, ...]:
    """The peerings of a VPC that goes, deleted."""
    held = in_force(view.all(VpcPeering), vpc_id, request.now)
    return tuple(deleted_by(request.account, one, request.now) for one in held)
