"""The interfaces an instance holds."""

from __future__ import annotations

from rookery.api.lookup import find
from rookery.api.operation import View
from rookery.model.objects import Attachment, Instance, NetworkInterface


def interfaces_of(view: View, instance: Instance) -> list[NetworkInterface]:
    """By device index; none of a terminated one."""
    return [find(view, NetworkInterface, interface_id) for interface_id in instance.interface_ids]


def attachment_of(interface: NetworkInterface) -> Attachment:
    """Of an interface that an instance holds. Raises ValueError for any other."""
    if interface.attachment is None:
        raise ValueError(f"{interface.id} is not attached to anything")
    return interface.attachment
