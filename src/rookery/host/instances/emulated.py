"""An instance that has a kernel of its own, in an emulator: qemu, by KVM where that works. Its interfaces are TAP devices in the
host's namespace, where the emulator runs; their addresses are the guest's own business, by DHCP."""

from __future__ import annotations

import os
import select
import time
from pathlib import Path

from rookery.host.instances import init, tap
from rookery.host.instances.compute import Entrance
from rookery.host.instances.guest import decoded
from rookery.host.instances.init import InitError
from rookery.host.instances.network import Device, device_name
from rookery.host.instances.record import Places, console_file
from rookery.intent.host import InstanceIntent, InterfaceIntent
from rookery.vm import qemu
from rookery.vm.archive import Archive
from rookery.vm.command import Card, Guest, command, plug, unplug
from rookery.vm.image import Image
from rookery.vm.qemu import EmulatorMissing
from rookery.vm.qmp import NoQmp, QmpError, connected

BOOT_SCRIPT = Path(__file__).with_name("emulator.sh")
# setsid --fork: an orphan of the machine's init, not a child of the agent.
BECOME = ("setsid", "--fork", "sh", str(BOOT_SCRIPT))
ANSWERS_WITHIN = 10.0  # seconds, for an emulator to start


class Emulated:
    """rookery.host.instances.compute.Compute."""

    stop_within = 30.0  # an emulated processor is slow, and a real machine takes longer

    def __init__(self, places: Places, image: Image, has_services: bool):
        """`has_services`: guests get their addresses and user data from the host's services, by asking; else both are put
        into the file system that they boot with."""
        self._places = places
        self._image = image
        self._has_services = has_services

    def make(self, instance: str) -> None:
        """Nothing: a TAP lies in the host's namespace."""

    def plug(self, instance: str, interface: InterfaceIntent) -> Device:
        return tap.make(interface)

    def open_device(self, instance: str, interface: InterfaceIntent, ifindex: int) -> None:
        tap.open_device(ifindex)

    def start(self, wanted: InstanceIntent) -> None:
        try:
            if not self._image.exists:
                raise InitError(f"{self._image.kernel.parent} holds no guest's kernel: run make guests")
            qemu.program()
            words = command(self._guest(wanted), qemu.accelerator())
        except EmulatorMissing as error:
            raise InitError(str(error)) from error
        environment = {"PATH": init.PATH, "INSTANCE_PID_FILE": str(self._places.pid_file(wanted.id))}
        init.launch(self._places, wanted.id, (*BECOME, *words), environment)
        self._await_emulator(wanted.id)

    def _guest(self, wanted: InstanceIntent) -> Guest:
        cards = sorted(wanted.interfaces, key=lambda interface: interface.device_index)
        image = self._image if self._has_services else self._with_given(wanted)
        return Guest(
            name=wanted.id,
            image=image,
            console=console_file(self._places, wanted.id),
            control=self._places.control(wanted.id),
            commands=self._places.commands(wanted.id),
            cards=tuple(map(card_of, cards)),
        )

    def _with_given(self, wanted: InstanceIntent) -> Image:
        """A kernel unpacks one archive after the other."""
        whole = self._places.folder(wanted.id) / "initramfs"
        whole.write_bytes(self._image.initramfs.read_bytes() + given(wanted))
        return self._image._replace(initramfs=whole)

    def _await_emulator(self, instance: str) -> None:
        deadline = time.monotonic() + ANSWERS_WITHIN
        while True:
            try:
                with connected(self._places.control(instance)):
                    return
            except QmpError as error:
                if not init.is_alive(self._places, instance):
                    said = init.last_words(console_file(self._places, instance))
                    raise InitError(f"the emulator ended: {said}") from error
                if time.monotonic() > deadline:
                    raise InitError(f"the emulator does not answer: {error}") from error
            time.sleep(0.01)

    def plugged(self, instance: str, interface: InterfaceIntent) -> None:
        """The guest sees it come, and asks for its address."""
        try:
            with connected(self._places.control(instance)) as qmp:
                plug(qmp, card_of(interface))
        except QmpError as error:
            raise InitError(f"{interface.id} was not plugged in: {error}") from error

    def readdress(self, instance: str, interface: InterfaceIntent) -> None:
        """Nothing: the guest learns of them when it renews its lease."""

    def let_go(self, instance: str, device: str) -> None:
        """One that was never plugged in is not missed; nor is anything when the guest has just ended."""
        try:
            with connected(self._places.control(instance)) as qmp:
                unplug(qmp, device)
        except QmpError as error:
            if not isinstance(error, NoQmp) and "not found" not in str(error):
                raise InitError(f"{device} was not unplugged: {error}") from error

    def end(self, instance: str, within: float) -> None:
        if within:
            self._press_power_button(instance, within)
        init.end(self._places, instance, 0)

    def _press_power_button(self, instance: str, within: float) -> None:
        """A guest that only begins to boot has no ear for it: then its time runs out."""
        ended = init.open_pidfd(self._places, instance)
        if ended is None:
            return
        try:
            with connected(self._places.control(instance)) as qmp:
                qmp.ask("system_powerdown")
            select.select([ended], [], [], within)
        except QmpError:
            return
        finally:
            os.close(ended)

    def remove(self, instance: str) -> None:
        """What an emulator leaves that was ended."""
        for socket in (self._places.control, self._places.commands):
            socket(instance).unlink(missing_ok=True)

    def entrance(self, instance: str) -> Entrance:
        return Entrance(commands=str(self._places.commands(instance)))


def card_of(interface: InterfaceIntent) -> Card:
    return Card(device=device_name(interface.number), mac=interface.mac, mtu=interface.mtu)


def given(wanted: InstanceIntent) -> bytes:
    """What a guest finds in /given whose host has no services. Raises UserDataError."""
    archive = Archive()
    archive.folder("given")
    for interface in wanted.interfaces:
        ipv6 = (f"{address}/128" for address in interface.ipv6_addresses)
        words = (f"{interface.primary}/{interface.prefix_length}", interface.router, *ipv6)
        archive.file(f"given/{interface.mac}", f"{' '.join(words)}\n".encode())
    archive.file("given/hostname", f"{wanted.hostname}\n".encode())
    if user_data := decoded(wanted.user_data):
        archive.file("given/user-data", user_data)
    return archive.whole()
