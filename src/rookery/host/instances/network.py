"""The wires of an instance: one veth pair per interface, its host side in the agent's namespace, `eth<n>` inside.

Every function blocks for a few milliseconds and runs in a worker thread. NetworkError: the kernel refused; the caller
reports the instance as failed.
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import NamedTuple

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from rookery.host.instances import namespace
from rookery.intent.host import InterfaceIntent

DEVICE_PREFIX = "eni"
# The guest may raise its own MTU; our program, which counts and answers, judges the size, and not this device.
HOST_SIDE_MTU = 65535
LOOPBACK = 1


class NetworkError(Exception):
    """The kernel refused a device, an address or a route."""


class Device(NamedTuple):
    """The host side of an interface."""

    name: str
    ifindex: int


def device_name(interface: int) -> str:
    """`interface` is its number: the last eight digits of its id, which a reader of `ip link` recognises."""
    return f"{DEVICE_PREFIX}{interface:08x}"


def number_of(device: str) -> int:
    """The interface's, of a device that `device_name` named."""
    return int(device[len(DEVICE_PREFIX) :], 16)


def _without_ipv6(device: str) -> None:
    """A VPC without IPv6 would count every router solicitation of a Linux guest as a drop."""
    switch = Path(f"/proc/sys/net/ipv6/conf/{device}/disable_ipv6")
    if switch.exists():
        switch.write_text("1")


def create_namespace(name: str) -> None:
    """An empty namespace with its loopback up. Raises NamespaceError, NetworkError."""
    namespace.create(name)
    with namespace.inside(name), IPRoute() as route:
        _without_ipv6("default")
        route.link("set", index=LOOPBACK, state="up")


def plug(name: str, interface: InterfaceIntent) -> Device:
    """Makes the pair, both ends down: nothing passes before `open_device`. Raises NamespaceError, NetworkError."""
    device = device_name(interface.number)
    inner = {
        "ifname": _inside(interface),
        "address": interface.mac,
        "mtu": interface.mtu,
        "net_ns_fd": name,
    }
    try:
        with IPRoute() as route:
            route.link("add", ifname=device, kind="veth", mtu=HOST_SIDE_MTU, peer=inner)
    except NetlinkError as error:
        raise NetworkError(f"device {device} of {interface.id}: {error}") from error
    _without_ipv6(device)
    return Device(device, ifindex_of(device))


def _inside(interface: InterfaceIntent) -> str:
    return f"eth{interface.device_index}"


def open_device(name: str, interface: InterfaceIntent, ifindex: int) -> None:
    """Lets packets pass: called when the programs are attached. Raises NamespaceError, NetworkError.

    The guest's end comes last. A device that comes up with its carrier there can send at once; one whose carrier comes
    later loses what it sends until the kernel's link watch has run, and the guest's first ARP request, once lost, is
    asked again only after a second."""
    try:
        with IPRoute() as route:
            route.link("set", index=ifindex, state="up")
            _open_inside(name, interface)
            route.link("get", index=ifindex)  # since 6.8 to ask is to wait for the link watch (facd15dfd691)
    except NetlinkError as error:
        raise NetworkError(f"device {ifindex} of {interface.id}: {error}") from error


def _open_inside(name: str, interface: InterfaceIntent) -> None:
    """Only the primary address: as on AWS, the guest itself configures secondary ones."""
    with namespace.inside(name), IPRoute() as route:
        inner = route.link_lookup(ifname=_inside(interface))[0]
        route.addr("add", index=inner, address=interface.primary, prefixlen=interface.prefix_length)
        route.link("set", index=inner, state="up")
        if interface.device_index == 0:
            route.route("add", dst="default", gateway=interface.router, oif=inner)


def close_device(ifindex: int) -> None:
    """Stops packets at once, in a fraction of the time that removing the pair takes. Gone already: nothing to do."""
    try:
        with IPRoute() as route:
            route.link("set", index=ifindex, state="down")
    except NetlinkError as error:
        if error.code != 19:  # ENODEV
            raise NetworkError(f"device {ifindex}: {error}") from error


def unplug(device: str) -> None:
    """Removes the pair; nothing to do when it is not there. Raises NetworkError."""
    try:
        with IPRoute() as route:
            for ifindex in route.link_lookup(ifname=device):
                route.link("del", index=ifindex)
    except NetlinkError as error:
        if error.code != 19:
            raise NetworkError(f"device {device}: {error}") from error


def devices() -> dict[str, int]:
    """The host sides in this thread's namespace: name -> ifindex."""
    return {name: index for index, name in socket.if_nameindex() if name.startswith(DEVICE_PREFIX)}


def ifindex_of(device: str) -> int:
    """0: it is not there. One question, where `devices` lists hundreds."""
    try:
        return socket.if_nametoindex(device)
    except OSError:
        return 0
