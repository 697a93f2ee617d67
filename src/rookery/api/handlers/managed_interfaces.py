"""Interfaces that a service of the region made for somebody: their owner sees them, tags them, and may do nothing else with them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rookery.api.operation import ApiError, Request, View
from rookery.model.objects import CellAttachment, ElasticIp, NetworkInterface, Subnet

REQUESTER = "amazon-aws"  # as whose `attachment.instance-owner-id` AWS shows them


def new_managed_interface(
    request: Request,
    home: Subnet,
    *,
    interface_id: str,
    addresses: tuple[str, ...],
    interface_type: str,
    attachment: CellAttachment,
    description: str,
    groups: tuple[str, ...] = (),
    source_dest_check: bool = False,
    ipv6_addresses: tuple[str, ...] = (),
) -> NetworkInterface:
    """`source_dest_check`: the cell speaks in its name with its own addresses only."""
    return NetworkInterface(
        account=request.account,
        region=request.region,
        id=interface_id,
        created=request.now,
        vpc_id=home.vpc_id,
        subnet_id=home.id,
        zone=home.zone,
        mac=request.ids.mac(),
        addresses=addresses,
        ipv6_addresses=ipv6_addresses,
        groups=groups,
        description=description,
        source_dest_check=source_dest_check,
        interface_type=interface_type,
        cell_attachment=attachment,
    )


def is_managed(interface: NetworkInterface) -> bool:
    return interface.cell_attachment is not None


def check_own(interface: NetworkInterface) -> NetworkInterface:
    """The interface, where its owner may change it. Raises AuthFailure."""
    if is_managed(interface):
        raise no_permission()
    return interface


def check_not_managed(view: View, elastic_ip: ElasticIp) -> None:
    """Whether its owner may say what it stands for. Raises AuthFailure."""
    interface = view.get(NetworkInterface, elastic_ip.interface_id)
    if interface is not None:
        check_own(interface)


def no_permission() -> ApiError:
    """AWS's words for all that a service manages; the caller's rights have nothing to do with it."""
    return ApiError("AuthFailure", "You do not have permission to access the specified resource.")


def check_attachment_id(attachment_id: str, interfaces: Iterable[NetworkInterface]) -> None:
    """Of DetachNetworkInterface. Raises OperationNotPermitted."""
    if any(is_managed(one) and managed_attachment_id(one) == attachment_id for one in interfaces):
        raise ApiError("OperationNotPermitted", "You are not allowed to manage 'ela-attach' attachments.")


def managed_attachment_id(interface: NetworkInterface) -> str:
    """Nothing else has one: it follows from the interface's."""
    return f"ela-attach-{interface.id.rpartition('-')[2]}"


def managed_attachment_shape(interface: NetworkInterface) -> dict[str, Any]:
    """`NetworkInterfaceAttachment`."""
    return {
        "AttachmentId": managed_attachment_id(interface),
        "AttachTime": interface.created,
        "DeleteOnTermination": False,
        "DeviceIndex": 1,
        "NetworkCardIndex": 0,
        "InstanceOwnerId": REQUESTER,
        "Status": "attached",
    }
