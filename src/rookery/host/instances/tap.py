"""The wire of a guest: a TAP device in the host's namespace, which the guest's emulator opens by its name. NetworkError: the
kernel refused."""

from __future__ import annotations

import fcntl
import os
import struct

from rookery.host.instances.network import Device, NetworkError, device_name, ifindex_of, without_ipv6
from rookery.host.netlink import IPRoute, NetlinkError
from rookery.intent.host import InterfaceIntent

CONTROL = "/dev/net/tun"
TUNSETIFF, TUNSETPERSIST = 0x400454CA, 0x400454CB  # linux/if_tun.h
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000
LARGEST_MTU = 65535 - 14  # our program judges the size, and not this device; a TAP counts its Ethernet header


def make(interface: InterfaceIntent) -> Device:
    """Down. It stays when its opener goes: an emulator that ends does not take it along. Raises NetworkError."""
    name = device_name(interface.number)
    try:
        _create(name)
        without_ipv6(name)
        ifindex = ifindex_of(name)
        with IPRoute() as route:
            route.link("set", index=ifindex, mtu=LARGEST_MTU)
    except (OSError, NetlinkError) as error:
        raise NetworkError(f"device {name} of {interface.id}: {error}") from error
    return Device(name, ifindex)


def _create(name: str) -> None:
    control = os.open(CONTROL, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.ioctl(control, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
        fcntl.ioctl(control, TUNSETPERSIST, 1)
    finally:
        os.close(control)


def open_device(ifindex: int) -> None:
    """Lets packets pass. Raises NetworkError."""
    try:
        with IPRoute() as route:
            route.link("set", index=ifindex, state="up")
    except NetlinkError as error:
        raise NetworkError(f"device {ifindex}: {error}") from error
