"""Elastic IPs: public addresses that an account holds, wherever they are associated."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address
from typing import Any

from rookery.api.describe import select
from rookery.api.errors import (
    check_id,
    invalid_combination,
    missing_parameter,
    not_found,
)
from rookery.api.handlers.elastic_ip_associations import disassociated
from rookery.api.handlers.managed_interfaces import check_own
from rookery.api.handlers.public_addresses import with_address_again
from rookery.api.handlers.public_pools import free_addresses
from rookery.api.handlers.unbuilt import honour_only
from rookery.api.lookup import find
from rookery.api.operation import ApiError, Outcome, Request, View, operation
from rookery.api.pages import created_and_id
from rookery.api.tags import render_tags, tags_for
from rookery.model.objects import ElasticIp, NetworkInterface, Vpc

OF_REGIONAL_NAT = "rnat"  # ServiceManaged


@operation("AllocateAddress")
def allocate_address(request: Request, view: View) -> Outcome:
    """`Address`: this very one, when it is free. Who had it before is not kept: whoever asks first gets it."""
    honour_only(
        request.parameters,
        {"Address", "TagSpecifications"},
        {
            "Domain": ("vpc",),
            "PublicIpv4Pool": ("amazon",),
            "NetworkBorderGroup": (request.region,),
        },
    )
    if len(view.all(ElasticIp)) >= request.quotas.elastic_ips:
        raise ApiError("AddressLimitExceeded", "The maximum number of addresses has been reached.")
    new_id = request.ids.new(ElasticIp.PREFIX)
    made = ElasticIp(
        account=request.account,
        region=request.region,
        id=new_id,
        created=request.now,
        tags=tags_for(request, "elastic-ip"),
        address=_address(request.parameters.get("Address"), view, new_id),
    )
    return Outcome(
        result={
            "PublicIp": made.address,
            "AllocationId": made.id,
            "PublicIpv4Pool": made.pool,
            "NetworkBorderGroup": made.region,
            "Domain": "vpc",
        },
        puts=(made,),
    )


def _address(asked: str | None, view: View, seed: str) -> str:
    free = free_addresses(view)
    if not asked:
        return free.draw_one(seed)
    address = parsed_address(asked)
    if not free.is_free(address):
        raise ApiError("InvalidAddress.NotFound", f"The address '{address}' is not available.")
    return str(address)


def parsed_address(text: str) -> IPv4Address:
    try:
        return IPv4Address(text)
    except ValueError:
        raise ApiError("InvalidAddress.Malformed", f"Invalid IPv4 address: '{text[:80]}'") from None


def named_address(
    parameters: Mapping[str, Any], view: View, unknown: str = "InvalidAddress.NotFound"
) -> ElasticIp:
    """By AllocationId or PublicIp. `unknown`: the code for a public address that nobody holds."""
    allocation_id, public = parameters.get("AllocationId"), parameters.get("PublicIp")
    if allocation_id and public:
        raise invalid_combination("You may specify public IP or allocation id, but not both in the same call")
    if allocation_id:
        return find(view, ElasticIp, allocation_id)
    if not public:
        raise ApiError("MissingParameter", "Either public IP or allocation id must be specified")
    return held_address(public, view, unknown)


def held_address(public: str, view: View, unknown: str = "InvalidAddress.NotFound") -> ElasticIp:
    """Raises InvalidAddress.Malformed, AuthFailure when it is somebody else's."""
    address = str(parsed_address(public))
    found = next((one for one in view.all(ElasticIp) if one.address == address), None)
    if found is not None:
        return found
    if address in view.public_addresses():
        raise ApiError("AuthFailure", f"The address '{address}' does not belong to you.")
    raise ApiError(unknown, f"Address '{address}' not found.")


@operation("ReleaseAddress")
def release_address(request: Request, view: View) -> Outcome:
    """In the default VPC, it is disassociated with it."""
    honour_only(request.parameters, {"AllocationId", "PublicIp"}, {"NetworkBorderGroup": (request.region,)})
    found = named_address(request.parameters, view, "InvalidAddressID.NotFound")
    if not found.association_id:
        return Outcome(deletes=(found,))
    interface = check_own(find(view, NetworkInterface, found.interface_id))
    if not find(view, Vpc, interface.vpc_id).is_default:
        raise ApiError("InvalidIPAddress.InUse", f"Address {found.address} is in use.")
    again = with_address_again(view, interface, found.id)
    return Outcome(puts=(again,) if again is not interface else (), deletes=(found,))


@operation("DisassociateAddress")
def disassociate_address(request: Request, view: View) -> Outcome:
    """An association that has ended ends again without an error."""
    honour_only(request.parameters, {"AssociationId", "PublicIp"})
    found = _associated(request.parameters, view)
    if found is None:
        return Outcome()
    interface = check_own(find(view, NetworkInterface, found.interface_id))
    again = with_address_again(view, interface, found.id)
    return Outcome(puts=(disassociated(found), *((again,) if again is not interface else ())))


def _associated(parameters: Mapping[str, Any], view: View) -> ElasticIp | None:
    """None: it has ended before."""
    association_id, public = parameters.get("AssociationId"), parameters.get("PublicIp")
    if association_id and public:
        raise invalid_combination(
            "You may specify public IP or association id, but not both in the same call"
        )
    if public:
        found = held_address(public, view)
        return found if found.association_id else None
    if not association_id:
        raise missing_parameter("associationId")
    check_id("eipassoc", association_id)
    for one in view.all(ElasticIp):
        if one.association_id == association_id:
            return one
        if one.ended_association_id == association_id:
            return None
    raise not_found("eipassoc", association_id)


# ----------------------------------------------------------------------------------------------------------- describe


def _instance_of(one: ElasticIp, view: View) -> str | None:
    interface = view.get(NetworkInterface, one.interface_id)
    return interface.attachment.instance_id if interface and interface.attachment else None


FILTERS = {
    "allocation-id": lambda one, _view: one.id,
    "association-id": lambda one, _view: one.association_id or None,
    "domain": lambda _one, _view: "vpc",
    "instance-id": _instance_of,
    "network-border-group": lambda one, _view: one.region,
    "network-interface-id": lambda one, view: one.interface_id if _visible_interface(one, view) else None,
    "network-interface-owner-id": lambda one, view: one.account if _visible_interface(one, view) else None,
    "private-ip-address": lambda one, view: one.private_address if _visible_interface(one, view) else None,
    "public-ip": lambda one, _view: one.address,
}


@operation("DescribeAddresses")
def describe_addresses(request: Request, view: View) -> Outcome:
    """There are no pages."""
    found = select(request, view, ElasticIp, "AllocationIds", FILTERS)
    asked = request.parameters.get("PublicIps")
    if asked:
        wanted = {held_address(public, view).address for public in asked}
        found = [one for one in found if one.address in wanted]
    return Outcome(
        result={"Addresses": [render_address(one, view) for one in sorted(found, key=created_and_id)]}
    )


def _visible_interface(one: ElasticIp, view: View) -> bool:
    """A regional NAT gateway's is in no subnet, and nobody is told of it."""
    interface = view.get(NetworkInterface, one.interface_id)
    return interface is not None and bool(interface.subnet_id)


def render_address(one: ElasticIp, view: View) -> dict[str, Any]:
    shape = {
        "AllocationId": one.id,
        "PublicIp": one.address,
        "Domain": "vpc",
        "PublicIpv4Pool": one.pool,
        "NetworkBorderGroup": one.region,
        **({"ServiceManaged": OF_REGIONAL_NAT} if one.managed_by else {}),
        "Tags": render_tags(one.tags),
    }
    if not one.association_id:
        return shape
    if not _visible_interface(one, view):
        return {**shape, "AssociationId": one.association_id}
    return {
        **shape,
        "AssociationId": one.association_id,
        "InstanceId": _instance_of(one, view),
        "NetworkInterfaceId": one.interface_id,
        "NetworkInterfaceOwnerId": one.account,
        "PrivateIpAddress": one.private_address,
    }
