"""DescribeNetworkInterfaces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rookery.api.errors import not_found
from rookery.api.filters import Filters, Value, apply_filters
from rookery.api.handlers.interface_groups import GROUP_FILTERS
from rookery.api.handlers.interface_shape import any_attachment, interface_shape, status_of
from rookery.api.handlers.managed_interfaces import REQUESTER, is_managed
from rookery.api.handlers.public_addresses import ASSOCIATION_FILTERS
from rookery.api.handlers.timestamps import iso
from rookery.api.lookup import find_all
from rookery.api.operation import Outcome, Request, View, operation
from rookery.api.pages import page
from rookery.intent.names import private_dns_name
from rookery.intent.zones import zone_id
from rookery.model.objects import NetworkInterface


def _of_attachment(member: str) -> Callable[[NetworkInterface, View], Value]:
    """A filter on the attachment: nothing of an available interface matches."""
    return lambda found, view: _attachment(found, view).get(member)


def _attach_time(found: NetworkInterface, view: View) -> Value:
    seconds = _attachment(found, view).get("AttachTime")
    return None if seconds is None else iso(seconds)


def _attachment(found: NetworkInterface, view: View) -> dict[str, Any]:
    return any_attachment(view, found).get("Attachment", {})


FILTERS: Filters = {
    "addresses.primary": lambda found, view: (True, False)[: len(found.addresses)],
    "addresses.private-ip-address": lambda found, view: found.addresses,
    "attachment.attach-time": _attach_time,
    "attachment.attachment-id": _of_attachment("AttachmentId"),
    "attachment.delete-on-termination": _of_attachment("DeleteOnTermination"),
    "attachment.device-index": _of_attachment("DeviceIndex"),
    "attachment.instance-id": _of_attachment("InstanceId"),
    "attachment.instance-owner-id": _of_attachment("InstanceOwnerId"),
    "attachment.status": _of_attachment("Status"),
    "availability-zone": lambda found, view: found.zone,
    "availability-zone-id": lambda found, view: zone_id(found.region, found.zone),
    "description": lambda found, view: found.description,
    **ASSOCIATION_FILTERS,
    **GROUP_FILTERS,
    "interface-type": lambda found, view: found.interface_type,
    "ipv6-addresses.ipv6-address": lambda found, view: found.ipv6_addresses,
    "mac-address": lambda found, view: found.mac,
    "network-interface-id": lambda found, view: found.id,
    "owner-id": lambda found, view: found.account,
    "private-dns-name": lambda found, view: private_dns_name(found.primary, found.region),
    "private-ip-address": lambda found, view: found.addresses,
    "requester-id": lambda found, view: REQUESTER if is_managed(found) else None,
    "requester-managed": lambda found, view: is_managed(found),
    "source-dest-check": lambda found, view: found.source_dest_check,
    "status": lambda found, view: status_of(found),
    "subnet-id": lambda found, view: found.subnet_id,
    "vpc-id": lambda found, view: found.vpc_id,
}


@operation("DescribeNetworkInterfaces")
def describe_network_interfaces(request: Request, view: View) -> Outcome:
    """A regional NAT gateway's are in no subnet, and nobody is told of them."""
    ids = request.parameters.get("NetworkInterfaceIds")
    found = find_all(view, NetworkInterface, ids) if ids else view.all(NetworkInterface)
    hidden = [one.id for one in found if not one.subnet_id]
    if ids and hidden:
        raise not_found(NetworkInterface.PREFIX, *hidden)
    seen = [one for one in found if one.subnet_id] if hidden else found
    shown = page(request, apply_filters(seen, request.parameters.get("Filters"), FILTERS, view), "NetworkInterfaceIds")
    return Outcome(result=shown.result("NetworkInterfaces", [interface_shape(view, one) for one in shown.items]))
