"""The state an attachment is in: what the user wants, against what its host last said it has plugged in.

attaching   its host has not plugged it in yet, or some host does not know yet where it lives
attached    both are done; of a stopped instance at once: its next boot has it
detaching   no host's mapping leads to it any more; its host may still have the device
detached    is no state of an attachment: it is gone, and the interface available
"""

from __future__ import annotations

from rookery.api.handlers.instance_state import word_of_this_boot
from rookery.api.operation import View
from rookery.model.objects import Attachment, Instance, NetworkInterface


def attachment_state(view: View, interface: NetworkInterface, attachment: Attachment) -> str:
    if attachment.detaching:
        return "detaching"
    instance = view.get(Instance, attachment.instance_id)
    if instance is None:
        return "attaching"  # the request that launches it is being answered
    if instance.wanted != "running":
        return "attached"
    status = view.status(instance.id)
    said = word_of_this_boot(instance, status)
    if said is None:
        return "attached" if status else "attaching"  # a start or a reboot detaches nothing
    if said.state == "running" and interface.id not in said.interfaces:
        return "attaching"
    return "attached" if view.live >= attached_at(view, interface, instance) else "attaching"


def attached_at(view: View, interface: NetworkInterface, instance: Instance) -> int:
    """A revision by which it was attached: that changed both, so whichever was changed least recently bounds it."""
    return min(view.changed_at(interface), view.changed_at(instance))


def is_unplugged(view: View, interface: NetworkInterface, attachment: Attachment) -> bool:
    """Of a detaching one: every host concerned has taken its mappings away, so that no packet comes or goes any more,
    and its host has said that the device is gone too (or the whole instance)."""
    if view.live < view.changed_at(interface):
        return False
    status = view.status(attachment.instance_id)
    return status is None or status.state != "running" or interface.id not in status.interfaces
