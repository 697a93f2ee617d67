"""A peering connection in the words of the API."""

from __future__ import annotations

from typing import Any

from rookery.api.handlers.peering_state import ACTIVE, IN_FORCE, PENDING
from rookery.api.operation import View
from rookery.api.tags import render_tags
from rookery.model.objects import PeeringSide, VpcPeering


def peering_shape(peering: VpcPeering, view: View) -> dict[str, Any]:
    """`peering` as of now."""
    requester_known, accepter_known = peering.status in IN_FORCE, peering.status == ACTIVE
    shape: dict[str, Any] = {
        "VpcPeeringConnectionId": peering.id,
        "RequesterVpcInfo": _side(view, peering.requester, requester_known),
        "AccepterVpcInfo": _side(view, peering.accepter, accepter_known),
        "Status": {"Code": peering.status, "Message": peering.message},
        "Tags": render_tags(tags_seen(peering, view)),
    }
    if peering.status == PENDING:
        shape["ExpirationTime"] = peering.expires
    return shape


def tags_seen(peering: VpcPeering, view: View) -> dict[str, str]:
    """They are its requester's. At AWS the accepter has tags of its own; here it has none, and sees none."""
    return peering.tags if peering.account == view.account else {}


def _side(view: View, side: PeeringSide, known: bool) -> dict[str, Any]:
    """The accepter's blocks are told when it has accepted."""
    shape: dict[str, Any] = {"OwnerId": side.account, "VpcId": side.vpc_id, "Region": side.region}
    vpc = view.peer_vpc(side.account, side.vpc_id) if known else None
    if vpc is None:
        return shape
    return {
        **shape,
        "CidrBlock": vpc.cidr,
        "CidrBlockSet": [{"CidrBlock": one.cidr} for one in vpc.cidr_associations],
        "Ipv6CidrBlockSet": [{"Ipv6CidrBlock": one.cidr} for one in vpc.ipv6_cidr_associations],
        "PeeringOptions": options_shape(side),
    }


def options_shape(side: PeeringSide) -> dict[str, bool]:
    """There was never a ClassicLink here."""
    return {
        "AllowDnsResolutionFromRemoteVpc": side.dns_resolution,
        "AllowEgressFromLocalClassicLinkToRemoteVpc": False,
        "AllowEgressFromLocalVpcToRemoteClassicLink": False,
    }
