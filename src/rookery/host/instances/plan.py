"""What to do next with an instance: from what is wanted and what is found to one step, and to what may be told of it. Pure.

A step is one move towards the wanted state; the fleet finds again and asks again until nothing is left to do.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

import msgspec

from rookery.intent.host import InstanceIntent
from rookery.model.objects import InstanceStatus

STOPPED_ITSELF = "the instance's init ended on its own"


class Phase(Enum):
    UNFINISHED = "unfinished"  # a boot that never came to an init, or whose machine restarted under it
    RUNNING = "running"
    DEAD = "dead"  # its init is gone and nobody asked for that
    STOPPED = "stopped"
    FAILED = "failed"  # this boot could not be done


class Plug(NamedTuple):
    """Which interface is where: the same one at another index is another device inside."""

    interface: str  # id
    device_index: int


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What there is of an instance on this host."""

    boot: int
    phase: Phase
    since: float = 0.0  # unix seconds
    message: str = ""
    devices: frozenset[Plug] = frozenset()  # plugged in, with their programs
    ipv6: frozenset[tuple[str, str]] = frozenset()  # (interface, address) that the guest was given


class Step(Enum):
    NOTHING = "nothing"
    BOOT = "boot"  # clear what an earlier try left, wire, start the init
    WIRE = "wire"  # plug and unplug interfaces of a running instance, give and take their IPv6 addresses
    HALT = "halt"  # end the processes, unplug, keep its state
    REMOVE = "remove"  # end everything and forget it


def next_step(wanted: InstanceIntent | None, found: Found | None) -> Step:
    """`wanted` None: the intent does not know the instance; `found` None: this host does not."""
    if wanted is None or wanted.wanted == "terminated":
        return Step.REMOVE if found else Step.NOTHING
    if wanted.wanted == "stopped":
        return Step.HALT if found and _holds_something(found) else Step.NOTHING
    return _towards_running(wanted, found)


def plugs_of(wanted: InstanceIntent) -> set[Plug]:
    return {Plug(i.id, i.device_index) for i in wanted.interfaces}


def ipv6_of(wanted: InstanceIntent) -> frozenset[tuple[str, str]]:
    return frozenset((i.id, address) for i in wanted.interfaces for address in i.ipv6_addresses)


def _holds_something(found: Found) -> bool:
    return found.phase not in (Phase.STOPPED, Phase.FAILED) or bool(found.devices)


def _towards_running(wanted: InstanceIntent, found: Found | None) -> Step:
    if found is None:
        return Step.BOOT
    if found.boot != wanted.boot:
        return Step.HALT if _holds_something(found) else Step.BOOT
    if found.phase is Phase.UNFINISHED:
        return Step.BOOT
    if found.phase is Phase.RUNNING:
        wired = found.devices == plugs_of(wanted) and found.ipv6 == ipv6_of(wanted)
        return Step.NOTHING if wired else Step.WIRE
    return Step.HALT if _holds_something(found) else Step.NOTHING


def status_of(wanted: InstanceIntent, found: Found | None, now: float) -> InstanceStatus | None:
    """What the host can say of the wanted state; None while it is still on the way there."""
    if next_step(wanted, found) not in (Step.NOTHING, Step.WIRE):
        return None
    if found is None:
        state = "terminated" if wanted.wanted == "terminated" else "stopped"
        return InstanceStatus(id=wanted.id, state=state, boot=wanted.boot, since=now)
    if wanted.wanted == "stopped":
        return InstanceStatus(id=wanted.id, state="stopped", boot=wanted.boot, since=found.since)
    itself = found.phase is Phase.STOPPED
    return InstanceStatus(
        id=wanted.id,
        state=found.phase.value,
        boot=found.boot,
        since=found.since,
        message=found.message or (STOPPED_ITSELF if itself else ""),
        interfaces=tuple(sorted(plug.interface for plug in found.devices)),
    )
