"""What there is of an instance on this machine, and how each step of plan.py is taken. Blocking, called from worker threads;
one thread at a time for one instance.

StepFailed   a step could not be taken; the fleet tries again later. A boot that fails is no StepFailed but a failed boot.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Protocol

import msgspec

from rookery.host.instances import init, namespace, network, record
from rookery.host.instances.compute import Compute, Entrance
from rookery.host.instances.guest import UserDataError
from rookery.host.instances.init import InitError
from rookery.host.instances.namespace import NamespaceError
from rookery.host.instances.network import NetworkError
from rookery.host.instances.plan import Found, Phase, Plug, Step, ipv6_of, plugs_of
from rookery.host.instances.record import Places, Record
from rookery.intent.host import InstanceIntent, InterfaceIntent
from rookery.model.objects import NAMESPACE

TERMINATE_WITHIN = 2.0  # seconds; it has no network any more, and nobody will see what it writes


class StepFailed(Exception):
    """Something on the machine refused; trying again may help."""


class WiringError(Exception):
    """Programs or rows of a device were refused by the kernel."""


Devices = dict[tuple[str, int], int]  # (instance, number of its interface) -> ifindex of the host side


class Wiring(Protocol):
    """The data plane's part in a device's life. Raises WiringError."""

    def added(self, ifindex: int, devices: Devices) -> None:
        """The device is there and still down: give it its rows, then its programs."""

    def removing(self, ifindex: int) -> None:
        """The device is down and about to be removed: take its programs off."""

    def removed(self, devices: Devices) -> None:
        """Devices are gone: take their rows away. `devices`: those that are left."""


BOOT_REFUSED = (NamespaceError, NetworkError, InitError, UserDataError, WiringError)


class Machine:
    """The instances of one host."""

    def __init__(self, places: Places, wiring: Wiring, kinds: Mapping[str, Compute]):
        """`kinds`: by their names (rookery.model.objects.Instance.kind)."""
        self.places = places
        self._wiring = wiring
        self._kinds = kinds
        self._holder: dict[str, str] = {}  # device -> the instance it is plugged into

    def prepare(self) -> None:
        """Raises NamespaceError."""
        namespace.prepare()
        self.places.prepare()
        self._holder = {device: instance for instance, device in self._recorded() if network.ifindex_of(device)}

    def _recorded(self) -> list[tuple[str, str]]:
        """(instance, device), the records that were written last at the end: an interface that moved is in two of them
        when the agent died before the first was forgotten."""
        by_age = sorted(self.known(), key=lambda one: record.written(self.places, one))
        kept = ((instance, record.read(self.places, instance)) for instance in by_age)
        return [
            (instance, network.device_name(number)) for instance, one in kept if one for number in one.interfaces.values()
        ]

    def _compute(self, kind: str) -> Compute:
        """Raises InitError."""
        if kind not in self._kinds:
            raise InitError(f"this host runs no instances of the kind {kind!r}")
        return self._kinds[kind]

    def entrance(self, instance: str) -> Entrance:
        kept = record.read(self.places, instance)
        return self._compute(kept.kind).entrance(instance) if kept else Entrance()

    def known(self) -> list[str]:
        return self.places.known()

    def interfaces(self) -> dict[str, int]:
        """Id -> number of every interface that an instance here may have a device for."""
        kept = (record.read(self.places, instance) for instance in self.known())
        return {eni: number for one in kept if one is not None for eni, number in one.interfaces.items()}

    def devices(self) -> Devices:
        """What is plugged in on this machine."""
        return {
            (instance, network.number_of(name)): ifindex
            for name, ifindex in network.devices().items()
            if (instance := self._holder.get(name))
        }

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
                devices=frozenset(self._plugged(instance, kept)),
                ipv6=kept.ipv6,
            )
        except InitError as error:
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

    def _refuse_taken(self, wanted: InstanceIntent) -> None:
        """An interface that moved is still in the guest it leaves: that is no failed boot but one to try again."""
        for interface in wanted.interfaces:
            device = network.device_name(interface.number)
            holder = self._holder.get(device, wanted.id)
            if holder != wanted.id and network.ifindex_of(device):
                raise StepFailed(f"{interface.id} is still plugged into {holder}")

    def _boot(self, wanted: InstanceIntent) -> None:
        self._refuse_taken(wanted)
        old = record.read(self.places, wanted.id)
        if old is not None:
            self._clear(wanted.id, old)
        fresh = _wired(Record(boot=wanted.boot, kind=wanted.kind, since=time.time()), wanted)
        record.write(self.places, wanted.id, fresh)
        try:
            self._start(wanted)
        except BOOT_REFUSED as error:
            self._clear(wanted.id, fresh)
            record.write(self.places, wanted.id, _ended(fresh, failure=str(error) or type(error).__name__))

    def _start(self, wanted: InstanceIntent) -> None:
        compute = self._compute(wanted.kind)
        compute.make(wanted.id)
        for interface in wanted.interfaces:
            self._plug(compute, wanted.id, interface)
        compute.start(wanted)

    def _plug(self, compute: Compute, instance: str, interface: InterfaceIntent) -> None:
        device = compute.plug(instance, interface)
        self._holder[device.name] = instance
        self._wiring.added(device.ifindex, self.devices())
        compute.open_device(instance, interface, device.ifindex)

    def _wire(self, wanted: InstanceIntent) -> None:
        """What is in the way goes first, also a device that an interrupted try left unfinished."""
        self._refuse_taken(wanted)
        kept = record.read(self.places, wanted.id)
        if kept is None:
            return
        compute = self._compute(kept.kind)
        stays = {plug.interface for plug in plugs_of(wanted).intersection(self._plugged(wanted.id, kept))}
        self._unplug(wanted.id, {k: number for k, number in kept.interfaces.items() if k not in stays}, compute)
        whole = _wired(kept, wanted)
        started = {eni: index for eni, index in whole.indexes.items() if eni in stays}
        record.write(self.places, wanted.id, msgspec.structs.replace(whole, indexes=started, ipv6=kept.ipv6))
        for interface in wanted.interfaces:
            if interface.id not in stays:
                self._plug(compute, wanted.id, interface)
                compute.plugged(wanted.id, interface)
            elif kept.ipv6 != whole.ipv6:
                compute.readdress(wanted.id, interface)
        record.write(self.places, wanted.id, whole)

    def _halt(self, instance: str) -> None:
        kept = record.read(self.places, instance) or Record(boot=0, since=time.time())
        compute = self._compute(kept.kind)
        compute.end(instance, compute.stop_within)
        self._clear(instance, kept)
        record.write(self.places, instance, _ended(kept, stopped=True))

    def _remove(self, instance: str) -> None:
        kept = record.read(self.places, instance)
        compute = self._compute(kept.kind if kept else NAMESPACE)
        if kept is not None:
            self._unplug(instance, kept.interfaces)
        compute.end(instance, TERMINATE_WITHIN)
        compute.remove(instance)
        record.forget(self.places, instance)

    def _clear(self, instance: str, kept: Record) -> None:
        compute = self._compute(kept.kind)
        compute.end(instance, 0)
        self._unplug(instance, kept.interfaces)
        compute.remove(instance)

    def _unplug(self, instance: str, interfaces: dict[str, int], holder: Compute | None = None) -> None:
        """Only what is this instance's: an interface that moved on is plugged into another one by now. `holder`: the
        instance runs on, and lets go of the devices first."""
        for name in map(network.device_name, interfaces.values()):
            if self._holder.get(name) != instance:
                continue
            if ifindex := network.ifindex_of(name):
                network.close_device(ifindex)
                self._wiring.removing(ifindex)
                if holder is not None:
                    holder.let_go(instance, name)
                network.unplug(name)
            self._holder.pop(name, None)
        self._wiring.removed(self.devices())

    def _plugged(self, instance: str, kept: Record) -> list[Plug]:
        devices = {eni: network.device_name(number) for eni, number in kept.interfaces.items()}
        return [
            Plug(eni, kept.indexes[eni])
            for eni, device in devices.items()
            if eni in kept.indexes and self._holder.get(device) == instance and network.ifindex_of(device)
        ]


def _wired(kept: Record, wanted: InstanceIntent) -> Record:
    """With the interfaces that are wanted, and no others."""
    return msgspec.structs.replace(
        kept,
        interfaces={i.id: i.number for i in wanted.interfaces},
        indexes={i.id: i.device_index for i in wanted.interfaces},
        ipv6=ipv6_of(wanted),
    )


def _ended(kept: Record, *, failure: str = "", stopped: bool = False) -> Record:
    """Nothing is plugged in any more."""
    return msgspec.structs.replace(
        kept, since=time.time(), failure=failure, stopped=stopped, interfaces={}, indexes={}, ipv6=frozenset()
    )
