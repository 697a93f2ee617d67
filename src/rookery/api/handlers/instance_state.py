"""The state an instance is in: what the user wants, against what its host last said of it.

A host's word counts for the boot it speaks of: one about an earlier boot says nothing about this one, in whatever order
the two arrive.
"""

from __future__ import annotations

from typing import NamedTuple

from rookery.api.handlers.instance_interfaces import interfaces_of
from rookery.api.operation import View
from rookery.model.objects import Instance, InstanceStatus


class State(NamedTuple):
    code: int
    name: str

    def shape(self) -> dict[str, object]:
        return {"Code": self.code, "Name": self.name}


PENDING = State(0, "pending")
RUNNING = State(16, "running")
SHUTTING_DOWN = State(32, "shutting-down")
TERMINATED = State(48, "terminated")
STOPPING = State(64, "stopping")
STOPPED = State(80, "stopped")

# Instance.state_reason
USER_SHUTDOWN = "Client.UserInitiatedShutdown"
GUEST_SHUTDOWN = "Client.InstanceInitiatedShutdown"


def state_in(view: View, instance: Instance) -> State:
    return state_of(instance, view.status(instance.id), reachable(view, instance))


def state_of(instance: Instance, status: InstanceStatus | None, is_reachable: bool) -> State:
    if instance.wanted == "terminated":
        return TERMINATED if status and status.state == "terminated" else SHUTTING_DOWN
    said = word_of_this_boot(instance, status)
    if instance.wanted == "stopped":
        return STOPPED if said and said.state != "running" else STOPPING
    if said is None:
        return RUNNING if is_rebooting(status) else PENDING
    if said.state != "running":
        return STOPPED  # it went down by itself, or could not be started: `failure` says why
    return RUNNING if is_reachable else PENDING


def word_of_this_boot(instance: Instance, status: InstanceStatus | None) -> InstanceStatus | None:
    return status if status is not None and status.boot >= instance.boot else None


def is_rebooting(status: InstanceStatus | None) -> bool:
    """An earlier boot still runs: only a reboot starts a boot over a running one. A reboot is not seen from outside."""
    return status is not None and status.state == "running"


def reachable(view: View, instance: Instance) -> bool:
    """Every host concerned knows where the instance is.

    The launch changed the instance and its first interface in one transaction, so whichever of them was changed least
    recently bounds the revision of its mapping from above: a later change of only one (a tag, a second interface that
    is attached) does not make a running instance pending again."""
    first = [view.changed_at(each) for each in interfaces_of(view, instance)[:1]]
    return view.live >= min([view.changed_at(instance), *first])


def went_down_by_itself(instance: Instance, status: InstanceStatus | None) -> bool:
    said = word_of_this_boot(instance, status)
    return instance.wanted == "running" and said is not None and said.state in ("stopped", "terminated")


def failure(instance: Instance, status: InstanceStatus | None) -> str:
    """Why its host could not run this boot, in the host's words; empty: it did not fail."""
    said = word_of_this_boot(instance, status)
    if said is None or said.state != "failed":
        return ""
    return said.message or "the host gave no reason"
