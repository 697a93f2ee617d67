"""StartInstances, StopInstances, RebootInstances, TerminateInstances: what is wanted changes, hosts follow.

A request names many instances and changes all of them or none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from msgspec.structs import replace

from rookery.api.handlers.elastic_ip_associations import all_disassociated
from rookery.api.handlers.instance_interfaces import attachment_of, interfaces_of
from rookery.api.handlers.instance_state import (
    PENDING,
    RUNNING,
    SHUTTING_DOWN,
    STOPPED,
    STOPPING,
    TERMINATED,
    USER_SHUTDOWN,
    State,
    state_in,
)
from rookery.api.handlers.public_addresses import with_addresses, without_addresses
from rookery.api.handlers.public_pools import free_addresses
from rookery.api.handlers.unbuilt import honour_only
from rookery.api.lookup import find_all
from rookery.api.operation import ApiError, Outcome, Request, View, operation
from rookery.model.objects import Instance, NetworkInterface, Resource

Change = Callable[[Instance, State], Instance]


@operation("StartInstances")
def start_instances(request: Request, view: View) -> Outcome:
    """The interfaces of what starts are written again, unchanged: a stopped instance has no mappings, and those of the
    new boot must be newer than any that were seen before. With its boot a public address comes, where one is due."""
    honour_only(request.parameters, {"InstanceIds"})

    def start(instance: Instance, state: State) -> Instance:
        if state in (RUNNING, PENDING):
            return instance
        if state is not STOPPED:
            raise wrong_state(instance, "started")
        return started(instance, request.now)

    made = change_all(request, view, start)
    free = free_addresses(view)
    interfaces = [
        each
        for instance in made.instances
        for each in with_addresses(view, interfaces_of(view, instance), free)
    ]
    return Outcome(result={"StartingInstances": made.shapes}, puts=(*made.instances, *interfaces))


def started(instance: Instance, now: float) -> Instance:
    return replace(
        instance, wanted="running", boot=instance.boot + 1, wanted_since=now, launched=now, state_reason=""
    )


@operation("StopInstances")
def stop_instances(request: Request, view: View) -> Outcome:
    """`Force` and `SkipOsShutdown` ask for what happens anyway: a namespace has no file system caches to lose."""
    honour_only(request.parameters, {"InstanceIds", "Force", "SkipOsShutdown"}, {"Hibernate": (False,)})

    def stop(instance: Instance, state: State) -> Instance:
        if state in (PENDING, SHUTTING_DOWN, TERMINATED):
            raise wrong_state(instance, "stopped")
        if instance.disable_api_stop and state is RUNNING:
            raise is_protected(instance, "stopped", "disableApiStop")
        return instance if instance.wanted == "stopped" else stopped(instance, request.now, USER_SHUTDOWN)

    made = change_all(request, view, stop)
    interfaces = [each for one in made.instances for each in without_addresses(interfaces_of(view, one))]
    return Outcome(result={"StoppingInstances": made.shapes}, puts=(*made.instances, *interfaces))


def stopped(instance: Instance, now: float, reason: str) -> Instance:
    return replace(instance, wanted="stopped", wanted_since=now, state_reason=reason)


@operation("RebootInstances")
def reboot_instances(request: Request, view: View) -> Outcome:
    """A pending instance is booting anyway. Nothing is answered."""

    def reboot(instance: Instance, state: State) -> Instance:
        if state not in (RUNNING, PENDING):
            raise wrong_state(instance, "rebooted")
        return replace(instance, boot=instance.boot + 1) if state is RUNNING else instance

    return Outcome(puts=change_all(request, view, reboot).instances)


@operation("TerminateInstances")
def terminate_instances(request: Request, view: View) -> Outcome:
    """Once terminated, an instance may be terminated again: nothing happens."""
    honour_only(request.parameters, {"InstanceIds", "Force", "SkipOsShutdown"})
    found = find_all(view, Instance, request.parameters["InstanceIds"])
    for instance in found:
        if instance.disable_api_termination and instance.wanted != "terminated":
            raise is_protected(instance, "terminated", "disableApiTermination")
    puts: list[Resource] = []
    deletes: list[Resource] = []
    for instance in found:
        if instance.wanted != "terminated":
            freed, deleted = released_interfaces(view, instance)
            puts += [terminated(instance, request.now, USER_SHUTDOWN), *freed]
            puts += all_disassociated(view, deleted)
            deletes += deleted
    shapes = [
        state_change(instance, state_in(view, instance), now_terminating(state_in(view, instance)))
        for instance in found
    ]
    return Outcome(result={"TerminatingInstances": shapes}, puts=tuple(puts), deletes=tuple(deletes))


def terminated(instance: Instance, now: float, reason: str) -> Instance:
    """Without its interfaces: what is terminated shows no network data, and no host maps its addresses any more."""
    return replace(instance, wanted="terminated", wanted_since=now, interface_ids=(), state_reason=reason)


def now_terminating(before: State) -> State:
    return TERMINATED if before is TERMINATED else SHUTTING_DOWN


def released_interfaces(
    view: View, instance: Instance
) -> tuple[list[NetworkInterface], list[NetworkInterface]]:
    """(those that become available, those that go with the instance). An Elastic IP stays with an interface that stays."""
    held = interfaces_of(view, instance)
    goes = [each for each in held if attachment_of(each).delete_on_termination]
    stays = [
        replace(each, attachment=None, public_address="", wants_public_address=False)
        for each in held
        if not attachment_of(each).delete_on_termination
    ]
    return stays, goes


class Changes(NamedTuple):
    shapes: list[dict[str, Any]]  # InstanceStateChange of every instance of the request
    instances: tuple[Instance, ...]  # those that are different now


def change_all(request: Request, view: View, change: Change) -> Changes:
    """`change` applied to every instance of the request; it answers the same object for one that needs none."""
    found = find_all(view, Instance, request.parameters["InstanceIds"])
    before = [state_in(view, instance) for instance in found]
    after = [change(instance, state) for instance, state in zip(found, before, strict=True)]
    steps = list(zip(found, before, after, strict=True))
    return Changes(
        [state_change(old, state, state if new is old else aim(new)) for old, state, new in steps],
        tuple(new for old, _, new in steps if new is not old),
    )


def aim(instance: Instance) -> State:
    """The state on the way to what is wanted now."""
    return {"running": PENDING, "stopped": STOPPING, "terminated": SHUTTING_DOWN}[instance.wanted]


def state_change(instance: Instance, before: State, now: State) -> dict[str, Any]:
    return {"InstanceId": instance.id, "PreviousState": before.shape(), "CurrentState": now.shape()}


def wrong_state(instance: Instance, what: str) -> ApiError:
    return ApiError(
        "IncorrectInstanceState",
        f"The instance '{instance.id}' is not in a state from which it can be {what}.",
    )


def is_protected(instance: Instance, what: str, attribute: str) -> ApiError:
    return ApiError(
        "OperationNotPermitted",
        f"The instance '{instance.id}' may not be {what}. Modify its '{attribute}' instance attribute and try again.",
    )
