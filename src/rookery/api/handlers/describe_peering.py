"""DescribeVpcPeeringConnections."""

from __future__ import annotations

from msgspec.structs import replace

from rookery.api.filters import Filters, apply_filters
from rookery.api.handlers.peering_shape import peering_shape, tags_seen
from rookery.api.handlers.peering_state import ACTIVE, IN_FORCE, PENDING, find_peering, visible_peerings
from rookery.api.handlers.timestamps import iso
from rookery.api.operation import Outcome, Request, View, operation
from rookery.api.pages import page
from rookery.model.objects import PeeringSide, VpcPeering


def _block(view: View, side: PeeringSide) -> str | None:
    vpc = view.peer_vpc(side.account, side.vpc_id)
    return vpc.cidr if vpc else None


def _requester_block(found: VpcPeering, view: View) -> str | None:
    return _block(view, found.requester) if found.status in IN_FORCE else None


def _accepter_block(found: VpcPeering, view: View) -> str | None:
    """A filter tells no more than the answer: nothing, before it has accepted."""
    return _block(view, found.accepter) if found.status == ACTIVE else None


FILTERS: Filters = {
    "accepter-vpc-info.cidr-block": _accepter_block,
    "accepter-vpc-info.owner-id": lambda found, view: found.accepter.account,
    "accepter-vpc-info.vpc-id": lambda found, view: found.accepter.vpc_id,
    "expiration-time": lambda found, view: iso(found.expires) if found.status == PENDING else None,
    "requester-vpc-info.cidr-block": _requester_block,
    "requester-vpc-info.owner-id": lambda found, view: found.requester.account,
    "requester-vpc-info.vpc-id": lambda found, view: found.requester.vpc_id,
    "status-code": lambda found, view: found.status,
    "status-message": lambda found, view: found.message,
    "vpc-peering-connection-id": lambda found, view: found.id,
}


@operation("DescribeVpcPeeringConnections")
def describe_vpc_peering_connections(request: Request, view: View) -> Outcome:
    asked = request.parameters.get("VpcPeeringConnectionIds") or ()
    found = [find_peering(request, view, peering_id) for peering_id in dict.fromkeys(asked)]
    seen = [
        replace(one, tags=tags_seen(one, view))
        for one in (found if asked else visible_peerings(request, view))
    ]
    chosen = apply_filters(seen, request.parameters.get("Filters"), FILTERS, view)
    shown = page(request, chosen, "VpcPeeringConnectionIds")
    shapes = [peering_shape(one, view) for one in shown.items]
    return Outcome(result=shown.result("VpcPeeringConnections", shapes))
