"""A network interface in the words of the API: on its own, and as part of its instance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rookery.api.handlers.attachment_state import attachment_state
from rookery.api.handlers.instance_interfaces import attachment_of
from rookery.api.handlers.interface_groups import groups_shape
from rookery.api.handlers.interface_tracking import tracking_shape
from rookery.api.handlers.managed_interfaces import REQUESTER, is_managed, managed_attachment_shape
from rookery.api.handlers.public_addresses import (
    Association,
    association_shape,
    associations_of,
    instance_association_shape,
)
from rookery.api.operation import View
from rookery.api.tags import render_tags
from rookery.intent.names import private_dns_name
from rookery.intent.zones import zone_id
from rookery.model.objects import NetworkInterface


def status_of(interface: NetworkInterface) -> str:
    return "in-use" if interface.attachment or is_managed(interface) else "available"


def interface_shape(view: View, interface: NetworkInterface) -> dict[str, Any]:
    """`NetworkInterface` of DescribeNetworkInterfaces."""
    shape = {
        **_common(view, interface, association_shape),
        "AvailabilityZone": interface.zone,
        "AvailabilityZoneId": zone_id(interface.region, interface.zone),
        "RequesterManaged": is_managed(interface),
        "TagSet": render_tags(interface.tags),
        **any_attachment(view, interface),
    }
    if is_managed(interface):
        shape["RequesterId"] = REQUESTER
    if interface.ipv6_addresses and interface.interface_type == "vpc_endpoint":
        shape["DenyAllIgwTraffic"] = True
    if interface.ipv6_addresses:
        shape["Ipv6Address"] = interface.ipv6_addresses[0]
    return shape


def instance_interface_shape(view: View, interface: NetworkInterface) -> dict[str, Any]:
    """`InstanceNetworkInterface` of DescribeInstances. Only of an attached interface."""
    attachment = attachment_shape(view, interface)
    for only_outside in ("InstanceId", "InstanceOwnerId"):
        del attachment[only_outside]
    return {**_common(view, interface, instance_association_shape), "Attachment": attachment}


def _common(
    view: View, interface: NetworkInterface, shape: Callable[[Association], dict[str, Any]]
) -> dict[str, Any]:
    associated = {private: shape(one) for private, one in associations_of(view, interface).items()}
    return {
        **_association(associated, interface.primary),
        "NetworkInterfaceId": interface.id,
        "SubnetId": interface.subnet_id,
        "VpcId": interface.vpc_id,
        "OwnerId": interface.account,
        "Description": interface.description,
        "InterfaceType": interface.interface_type,
        "MacAddress": interface.mac,
        "PrivateDnsName": private_dns_name(interface.primary, interface.region),
        "PrivateIpAddress": interface.primary,
        "PrivateIpAddresses": [
            {**address_shape(interface, address), **_association(associated, address)}
            for address in interface.addresses
        ],
        "SourceDestCheck": interface.source_dest_check,
        "Status": status_of(interface),
        "Groups": groups_shape(view, interface.groups),
        **tracking_shape(interface.tracking),
        "Ipv6Addresses": [ipv6_shape(interface, address) for address in interface.ipv6_addresses],
        **_prefixes(interface),
    }


def _association(associated: dict[str, Any], address: str) -> dict[str, Any]:
    """A member only where there is one, as AWS answers."""
    return {"Association": associated[address]} if address in associated else {}


def ipv6_shape(interface: NetworkInterface, address: str) -> dict[str, Any]:
    is_first = address == interface.ipv6_addresses[0]
    return {"Ipv6Address": address, "IsPrimaryIpv6": interface.primary_ipv6 and is_first}


def _prefixes(interface: NetworkInterface) -> dict[str, list[dict[str, str]]]:
    """Members only where there are some, as AWS answers."""
    shapes: dict[str, list[dict[str, str]]] = {}
    for prefix in interface.prefixes:
        family = "Ipv6" if ":" in prefix else "Ipv4"
        shapes.setdefault(f"{family}Prefixes", []).append({f"{family}Prefix": prefix})
    return shapes


def address_shape(interface: NetworkInterface, address: str) -> dict[str, Any]:
    return {
        "Primary": address == interface.primary,
        "PrivateDnsName": private_dns_name(address, interface.region),
        "PrivateIpAddress": address,
    }


def any_attachment(view: View, interface: NetworkInterface) -> dict[str, Any]:
    """A member only where there is one, as AWS answers."""
    if interface.attachment:
        return {"Attachment": attachment_shape(view, interface)}
    return {"Attachment": managed_attachment_shape(interface)} if is_managed(interface) else {}


def attachment_shape(view: View, interface: NetworkInterface) -> dict[str, Any]:
    """Only of an attached interface."""
    attachment = attachment_of(interface)
    return {
        "AttachmentId": attachment.id,
        "AttachTime": attachment.attached,
        "DeleteOnTermination": attachment.delete_on_termination,
        "DeviceIndex": attachment.device_index,
        "NetworkCardIndex": 0,
        "InstanceId": attachment.instance_id,
        "InstanceOwnerId": interface.account,
        "Status": attachment_state(view, interface, attachment),
    }
