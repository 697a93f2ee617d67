"""DescribeNetworkInterfaces."""

from __future__ import annotations

from collections.abc import Callable

from rookery.api.describe import describe
from rookery.api.filters import Filters, Value
from rookery.api.handlers.attachment_state import attachment_state
from rookery.api.handlers.interface_groups import GROUP_FILTERS
from rookery.api.handlers.interface_shape import interface_shape, status_of
from rookery.api.handlers.public_addresses import ASSOCIATION_FILTERS
from rookery.api.handlers.timestamps import iso
from rookery.api.operation import Outcome, Request, View, operation
from rookery.intent.names import private_dns_name
from rookery.intent.zones import zone_id
from rookery.model.objects import Attachment, NetworkInterface


def _of_attachment(value: Callable[[Attachment], Value]) -> Callable[[NetworkInterface, View], Value]:
    """A filter on the attachment: nothing of an available interface matches."""
    return lambda found, view: value(found.attachment) if found.attachment else None


def _attachment_state(found: NetworkInterface, view: View) -> str | None:
    return attachment_state(view, found, found.attachment) if found.attachment else None


def _none(found: NetworkInterface, view: View) -> None:
    """Of what no interface has."""


FILTERS: Filters = {
    "addresses.primary": lambda found, view: (True, False)[: len(found.addresses)],
    "addresses.private-ip-address": lambda found, view: found.addresses,
    "attachment.attach-time": _of_attachment(lambda attachment: iso(attachment.attached)),
    "attachment.attachment-id": _of_attachment(lambda attachment: attachment.id),
    "attachment.delete-on-termination": _of_attachment(lambda attachment: attachment.delete_on_termination),
    "attachment.device-index": _of_attachment(lambda attachment: attachment.device_index),
    "attachment.instance-id": _of_attachment(lambda attachment: attachment.instance_id),
    "attachment.instance-owner-id": lambda found, view: found.account if found.attachment else None,
    "attachment.status": _attachment_state,
    "availability-zone": lambda found, view: found.zone,
    "availability-zone-id": lambda found, view: zone_id(found.region, found.zone),
    "description": lambda found, view: found.description,
    **ASSOCIATION_FILTERS,
    **GROUP_FILTERS,
    "interface-type": lambda found, view: "interface",
    "ipv6-addresses.ipv6-address": lambda found, view: found.ipv6_addresses,
    "mac-address": lambda found, view: found.mac,
    "network-interface-id": lambda found, view: found.id,
    "owner-id": lambda found, view: found.account,
    "private-dns-name": lambda found, view: private_dns_name(found.primary, found.region),
    "private-ip-address": lambda found, view: found.addresses,
    "requester-id": _none,
    "requester-managed": lambda found, view: False,
    "source-dest-check": lambda found, view: found.source_dest_check,
    "status": lambda found, view: status_of(found),
    "subnet-id": lambda found, view: found.subnet_id,
    "vpc-id": lambda found, view: found.vpc_id,
}


@operation("DescribeNetworkInterfaces")
def describe_network_interfaces(request: Request, view: View) -> Outcome:
    return describe(
        request,
        view,
        NetworkInterface,
        "NetworkInterfaceIds",
        "NetworkInterfaces",
        lambda found, view: interface_shape(view, found),
        FILTERS,
    )
