"""ModifyVpcPeeringConnectionOptions: each account for its own side."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from rookery.api.errors import missing_parameter, not_permitted, unsupported
from rookery.api.handlers.peering_shape import options_shape
from rookery.api.handlers.peering_state import ACTIVE, find_peering
from rookery.api.handlers.unbuilt import honour_only
from rookery.api.lookup import find
from rookery.api.operation import ApiError, Outcome, Request, View, operation
from rookery.model.objects import PeeringSide, Vpc, VpcPeering

SIDES = {"RequesterPeeringConnectionOptions": "requester", "AccepterPeeringConnectionOptions": "accepter"}
DNS = "AllowDnsResolutionFromRemoteVpc"
NOTHING_ELSE = {
    "AllowEgressFromLocalClassicLinkToRemoteVpc": (False,),
    "AllowEgressFromLocalVpcToRemoteClassicLink": (False,),
}


@operation("ModifyVpcPeeringConnectionOptions")
def modify_vpc_peering_connection_options(request: Request, view: View) -> Outcome:
    given = {member: request.parameters[member] for member in SIDES if request.parameters.get(member)}
    if not given:
        raise missing_parameter(" or ".join(SIDES))
    after = found = find_peering(request, view, request.parameters["VpcPeeringConnectionId"])
    for member, options in given.items():
        after = _with_options(request, view, after, SIDES[member], options)
    result = {member: options_shape(getattr(after, SIDES[member])) for member in given}
    return Outcome(result=result, puts=(after,) if after != found else ())


def _with_options(
    request: Request, view: View, peering: VpcPeering, name: str, options: dict[str, Any]
) -> VpcPeering:
    honour_only(options, {DNS}, NOTHING_ELSE)
    side: PeeringSide = getattr(peering, name)
    if side.account != request.account:
        raise not_permitted(
            f"User {request.account} cannot modify the {name}'s options of peering {peering.id}"
        )
    if peering.status != ACTIVE:
        raise not_permitted(
            f"Peering {peering.id} is not active. Options can be set on active peerings only."
        )
    wanted = bool(options.get(DNS, side.dns_resolution))
    if wanted:
        _check_dns(view, side)
    return replace(peering, **{name: replace(side, dns_resolution=wanted)})


def _check_dns(view: View, side: PeeringSide) -> None:
    """There is no resolver yet that could answer peers: to say that it does would be a lie."""
    if not find(view, Vpc, side.vpc_id).enable_dns_hostnames:
        why = f"DNS hostnames are disabled for the VPC {side.vpc_id}"
        raise ApiError("InvalidVpcPeeringConnectionState.DnsHostnamesDisabled", why)
    raise unsupported(f"The option {DNS} is not supported by Rookery yet.")
