"""What there is of an instance on this machine, and how each step of plan.py is taken. Blocking, called from worker threads;
one thread at a time for one instance.

StepFailed   a step could not be taken; the fleet tries again later. A boot that fails is no StepFailed but a failed boot.
"""

from __future__ import annotations

import time
from typing import Protocol

import msgspec

from rookery.host.instances import guest, init, namespace, network, record
from rookery.host.instances.guest import UserDataError
from rookery.host.instances.init import InitError
from rookery.host.instances.namespace import NamespaceError
from rookery.host.instances.network import NetworkError
from rookery.host.instances.plan import Found, Phase, Plug, Step, plugs_of
from rookery.host.instances.record import Places, Record
from rookery.intent.host import InstanceIntent, InterfaceIntent

STOP_WITHIN = 8.0  # seconds for a guest to end on request: boot.sh gives its processes five
TERMINATE_WITHIN = 2.0  # it has no network any more, and nobody will see what it writes


class StepFailed(Exception):
    """Something on the machine refused; trying again may help."""


class WiringError(Exception):
    """Programs or rows of a device were refused by the kernel."""


class Wiring(Protocol):
    """The data plane's part in a device's life. Raises WiringError."""

    def added(self, ifindex: int) -> None:
        """The device is there and still down: give it its rows, then its programs."""

    def removing(self, ifindex: int) -> None:
        """The device is down and about to be removed: take its programs off."""

    def removed(self) -> None:
        """Devices are gone: take their rows away."""


BOOT_REFUSED = (NamespaceError, NetworkError, InitError, UserDataError, WiringError)


class Machine:
    """The instances of one host."""

    def __init__(self, region: str, places: Places, wiring: Wiring):
        self._region = region
        self.places = places
        self._wiring = wiring

    def prepare(self) -> None:
        """Raises NamespaceError."""
        namespace.prepare()
        self.places.prepare()

    def netns(self, instance: str) -> str:
        return f"rookery-{self._region}-{instance}"

    def known(self) -> list[str]:
        return self.places.known()

    def interfaces(self) -> dict[str, int]:
        """Id -> number of every interface that an instance here may have a device for."""
        kept = (record.read(self.places, instance) for instance in self.known())
        return {eni: number for one in kept if one is not None for eni, number in one.interfaces.items()}

    def unplug_strays(self) -> list[str]:
        """Removes devices that belong to no instance here, as a lost state folder leaves them. Raises StepFailed."""
        there = network.devices()  # before the records: those name a device before it is made
        owned = set(map(network.device_name, self.interfaces().values()))
        strays = [name for name in there if name not in owned]
        try:
            for name in strays:
                network.unplug(name)
        except NetworkError as error:
            raise StepFailed(str(error)) from error
        return strays

    def find(self, instance: str) -> Found | None:
        """None: this host has nothing of it. Raises StepFailed."""
        if not self.places.folder(instance).exists():
            return None
        kept = record.read(self.places, instance)
        if kept is None:
            return Found(boot=0, phase=Phase.UNFINISHED)
        try:
            return Found(
                boot=kept.boot,
                phase=self._phase(instance, kept),
                since=kept.since,
                message=kept.failure,
                devices=frozenset(_plugged(kept)),
            )
        except (InitError, NetworkError) as error:
            raise StepFailed(str(error)) from error

    def _phase(self, instance: str, kept: Record) -> Phase:
        if kept.failure:
            return Phase.FAILED
        if kept.stopped:
            return Phase.STOPPED
        if init.await_known(self.places, instance):
            return Phase.RUNNING
        return Phase.DEAD if init.has_run(self.places, instance) else Phase.UNFINISHED

    def take(self, step: Step, instance: str, wanted: InstanceIntent | None) -> None:
        """Raises StepFailed."""
        try:
            if step is Step.BOOT and wanted is not None:
                self._boot(wanted)
            elif step is Step.WIRE and wanted is not None:
                self._wire(wanted)
            elif step is Step.HALT:
                self._halt(instance)
            elif step is Step.REMOVE:
                self._remove(instance)
        except (*BOOT_REFUSED, OSError) as error:
            raise StepFailed(f"{step.value}: {error}") from error

    def _boot(self, wanted: InstanceIntent) -> None:
        old = record.read(self.places, wanted.id)
        if old is not None:
            self._clear(wanted.id, old)
        fresh = _wired(Record(boot=wanted.boot, since=time.time()), wanted)
        record.write(self.places, wanted.id, fresh)
        try:
            self._start(wanted)
        except BOOT_REFUSED as error:
            self._clear(wanted.id, fresh)
            record.write(self.places, wanted.id, _ended(fresh, failure=str(error) or type(error).__name__))

    def _start(self, wanted: InstanceIntent) -> None:
        name = self.netns(wanted.id)
        network.create_namespace(name)
        for interface in wanted.interfaces:
            self._plug(name, interface)
        guest.write_files(self.places, wanted, self.places.state)
        init.start(self.places, wanted, name)

    def _plug(self, name: str, interface: InterfaceIntent) -> None:
        device = network.plug(name, interface)
        self._wiring.added(device.ifindex)
        network.open_device(name, interface, device.ifindex)

    def _wire(self, wanted: InstanceIntent) -> None:
        """What is in the way goes first, also a device that an interrupted try left closed."""
        kept = record.read(self.places, wanted.id)
        if kept is None:
            return
        stays = {plug.interface for plug in plugs_of(wanted).intersection(_plugged(kept))}
        self._unplug({k: number for k, number in kept.interfaces.items() if k not in stays})
        record.write(self.places, wanted.id, _wired(kept, wanted))
        for interface in wanted.interfaces:
            if interface.id not in stays:
                self._plug(self.netns(wanted.id), interface)

    def _halt(self, instance: str) -> None:
        kept = record.read(self.places, instance) or Record(boot=0, since=time.time())
        init.end(self.places, instance, STOP_WITHIN)
        self._clear(instance, kept)
        record.write(self.places, instance, _ended(kept, stopped=True))

    def _remove(self, instance: str) -> None:
        kept = record.read(self.places, instance)
        if kept is not None:
            self._unplug(kept.interfaces)
        init.end(self.places, instance, TERMINATE_WITHIN)
        namespace.remove(self.netns(instance))
        record.forget(self.places, instance)

    def _clear(self, instance: str, kept: Record) -> None:
        """A namespace without processes would still answer pings: what does not run has none."""
        init.end(self.places, instance, 0)
        self._unplug(kept.interfaces)
        namespace.remove(self.netns(instance))

    def _unplug(self, interfaces: dict[str, int]) -> None:
        for name in map(network.device_name, interfaces.values()):
            if ifindex := network.ifindex_of(name):
                network.close_device(ifindex)
                self._wiring.removing(ifindex)
                network.unplug(name)
        self._wiring.removed()


def _plugged(kept: Record) -> list[Plug]:
    """Raises NetworkError."""
    return [
        Plug(eni, kept.indexes.get(eni, 0))
        for eni, number in kept.interfaces.items()
        if network.is_open(network.device_name(number))
    ]


def _wired(kept: Record, wanted: InstanceIntent) -> Record:
    """With the interfaces that are wanted, and no others."""
    return msgspec.structs.replace(
        kept,
        interfaces={i.id: i.number for i in wanted.interfaces},
        indexes={i.id: i.device_index for i in wanted.interfaces},
    )


def _ended(kept: Record, *, failure: str = "", stopped: bool = False) -> Record:
    return msgspec.structs.replace(kept, since=time.time(), failure=failure, stopped=stopped)
