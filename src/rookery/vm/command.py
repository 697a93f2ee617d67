"""The command line of a guest, and its network cards while it runs. A card is a TAP device on the host's side."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from rookery.vm import qemu
from rookery.vm.image import Image
from rookery.vm.qemu import Accelerator
from rookery.vm.qmp import Qmp, QmpError

MEMORY = "256"  # MiB; it takes what it touches
PORTS = 15  # cards that can be plugged in: as many as the largest instance type has
COMMANDS = "rookery.commands"  # the serial port on which guest/commands listens
UNPLUGGED_WITHIN = 8.0  # seconds; a kernel gives somebody five to press the button again
# Nothing that a guest can make the emulator do may start a program or change who it runs as.
SANDBOX = ("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny")


class Card(NamedTuple):
    device: str  # name of the TAP
    mac: str
    mtu: int


class Guest(NamedTuple):
    name: str
    image: Image
    console: Path  # a file to append to
    control: Path  # sockets
    commands: Path
    cards: tuple[Card, ...]  # in the order of their names inside: eth0, eth1, ...


def command(guest: Guest, accelerator: Accelerator) -> tuple[str, ...]:
    return (
        *(qemu.PROGRAM, "-name", guest.name, *qemu.MACHINE, *qemu.processor(accelerator), *SANDBOX, "-m", MEMORY),
        *("-kernel", str(guest.image.kernel), "-initrd", str(guest.image.initramfs)),
        *("-append", f"{qemu.KERNEL_WORDS} quiet"),
        *("-chardev", f"file,id=console,path={_plain(guest.console)},append=on", "-serial", "chardev:console"),
        *("-qmp", f"unix:{_plain(guest.control)},server=on,wait=off"),
        *("-device", "virtio-serial-pci"),
        *("-chardev", f"socket,id=commands,path={_plain(guest.commands)},server=on,wait=off"),
        *("-device", f"virtserialport,chardev=commands,name={COMMANDS}"),
        *(word for port in range(PORTS) for word in _root_port(port)),
        *(word for port, card in enumerate(guest.cards) for word in _card(card, port)),
    )


def _plain(path: Path) -> str:
    """The emulator reads a comma as the end of a value, and two as one."""
    return str(path).replace(",", ",,")


def _root_port(number: int) -> tuple[str, str]:
    """PCI Express: only behind such a port a card can come and go."""
    return ("-device", f"pcie-root-port,id={_port(number)},chassis={number + 1},slot={number + 1}")


def _port(number: int) -> str:
    return f"port{number}"


def _card(card: Card, port: int) -> tuple[str, ...]:
    backend = ",".join(f"{key}={_word(value)}" for key, value in _backend(card).items())
    device = ",".join(f"{key}={_word(value)}" for key, value in _device(card, port).items())
    return ("-netdev", backend, "-device", device)


def _word(value: Any) -> str:
    return {False: "off", True: "on"}.get(value, str(value)) if isinstance(value, bool) else str(value)


def _backend(card: Card) -> dict[str, Any]:
    return {"type": "tap", "id": _wire(card), "ifname": card.device, "script": "no", "downscript": "no", "vnet_hdr": True}


def _device(card: Card, port: int) -> dict[str, Any]:
    """No boot ROM: nothing boots from there. The guest takes the MTU from its card."""
    return {
        "driver": "virtio-net-pci",
        "id": card.device,
        "netdev": _wire(card),
        "bus": _port(port),
        "mac": card.mac,
        "host_mtu": card.mtu,
        "romfile": "",
    }


def _wire(card: Card) -> str:
    return f"wire-{card.device}"


def plug(qmp: Qmp, card: Card) -> None:
    """Into a running guest. Raises QmpError: no port is free, or the emulator refuses."""
    port = free_port(qmp.ask("query-pci"))
    if port is None:
        raise QmpError(f"{card.device}: all {PORTS} ports of the guest are taken")
    qmp.ask("netdev_add", **_backend(card))
    try:
        qmp.ask("device_add", **_device(card, port))
    except QmpError:
        qmp.ask("netdev_del", id=_wire(card))
        raise


def unplug(qmp: Qmp, device: str) -> None:
    """Asks the guest to let go of the card, and takes its wire away in any case. Raises QmpError."""
    wire = f"wire-{device}"
    try:
        qmp.ask("device_del", id=device)
        qmp.await_event("DEVICE_DELETED", UNPLUGGED_WITHIN, device=device)
    finally:
        qmp.ask("netdev_del", id=wire)


def free_port(buses: Iterable[dict[str, Any]]) -> int | None:
    """`buses`: what query-pci returns. None: all are taken."""
    ports = (device for bus in buses for device in bus["devices"] if device.get("qdev_id", "").startswith("port"))
    free = [int(one["qdev_id"].removeprefix("port")) for one in ports if not one["pci_bridge"].get("devices")]
    return min(free, default=None)
