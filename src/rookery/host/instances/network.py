"""The wires of an instance: one veth pair per interface, its host side in the agent's namespace, `eth<n>` inside.

Every function blocks for a few milliseconds and runs in a worker thread. NetworkError: the kernel refused; the caller
reports the instance as failed.
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import NamedTuple

from rookery.host.instances import namespace
from rookery.host.netlink import IPRoute, NetlinkError
from rookery.intent.host import InterfaceIntent

DEVICE_PREFIX = "eni"
# The guest may raise its own MTU; our program, which counts and answers, judges the size, and not this device.
HOST_SIDE_MTU = 65535
LOOPBACK = 1
IPV6_ROUTER = "fe80:ec2::1"  # the router of every subnet, as its advertisements say
UNIVERSE = 0  # scope of all but link-local addresses
IFA_F_NODAD = 0x02


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


def without_ipv6(device: str) -> None:
    """A VPC without IPv6 would count every router solicitation of a Linux guest as a drop."""
    switch(device, "disable_ipv6", 1)


def _with_ipv6(device: str) -> None:
    """What the intent says, and nothing made of advertisements: there is no other address to have. No time is spent on
    asking whether one is free (RFC 4862): the control plane gave it to nobody else."""
    for name, value in (("accept_ra", 0), ("autoconf", 0), ("accept_dad", 0), ("disable_ipv6", 0)):
        switch(device, name, value)


def switch(device: str, name: str, value: int) -> None:
    file = Path(f"/proc/sys/net/ipv6/conf/{device}/{name}")
    if file.exists():  # not where the kernel has no IPv6
        file.write_text(str(value))


def create_namespace(name: str) -> None:
    """An empty namespace with its loopback up. Raises NamespaceError, NetworkError."""
    namespace.create(name)
    with namespace.inside(name), IPRoute() as route:
        without_ipv6("default")
        route.link("set", index=LOOPBACK, state="up")


def plug(name: str, interface: InterfaceIntent) -> Device:
    """Makes the pair, both ends down: nothing passes before `open_device`. Raises NamespaceError, NetworkError."""
    device = device_name(interface.number)
    inner = {
        "ifname": inside_name(interface),
        "address": interface.mac,
        "mtu": interface.mtu,
        "net_ns_fd": name,
    }
    try:
        with IPRoute() as route:
            route.link("add", ifname=device, kind="veth", mtu=HOST_SIDE_MTU, peer=inner)
    except NetlinkError as error:
        raise NetworkError(f"device {device} of {interface.id}: {error}") from error
    without_ipv6(device)
    return Device(device, ifindex_of(device))


def inside_name(interface: InterfaceIntent) -> str:
    """Of the guest's end."""
    return f"eth{interface.device_index}"


def open_device(name: str, interface: InterfaceIntent, ifindex: int, by_dhcp: bool) -> None:
    """Lets packets pass: called when the programs are attached. `by_dhcp`: the guest asks for its IPv4 address itself.
    Raises NamespaceError, NetworkError.

    The guest's end comes last. A device that comes up with its carrier there can send at once; one whose carrier comes
    later loses what it sends until the kernel's link watch has run, and the guest's first ARP request, once lost, is
    asked again only after a second."""
    try:
        with IPRoute() as route:
            route.link("set", index=ifindex, state="up")
            _open_inside(name, interface, by_dhcp)
            route.link("get", index=ifindex)  # since 6.8 to ask is to wait for the link watch (facd15dfd691)
    except NetlinkError as error:
        raise NetworkError(f"device {ifindex} of {interface.id}: {error}") from error


def _open_inside(name: str, interface: InterfaceIntent, by_dhcp: bool) -> None:
    """Only the primary IPv4 address: as on AWS, the guest itself configures secondary ones. All IPv6 addresses, as DHCPv6
    would give them: busybox has no client for it, and other clients take one address of several."""
    with namespace.inside(name), IPRoute() as route:
        inner = route.link_lookup(ifname=inside_name(interface))[0]
        if not by_dhcp:
            route.addr("add", index=inner, address=interface.primary, prefixlen=interface.prefix_length)
        if interface.router_ipv6:
            _with_ipv6(inside_name(interface))
        _set_ipv6_addresses(route, inner, interface)
        route.link("set", index=inner, state="up")
        if interface.device_index == 0:
            if not by_dhcp:
                route.route("add", dst="default", gateway=interface.router, oif=inner)
            _set_ipv6_route(route, inner, interface)


def _set_ipv6_addresses(route: IPRoute, inner: int, interface: InterfaceIntent) -> None:
    """Those that the intent has, and no others but link-local ones."""
    wanted = set(interface.ipv6_addresses)
    length = interface.ipv6_prefix_length
    there = {
        one.get_attr("IFA_ADDRESS"): one["prefixlen"]
        for one in route.get_addr(family=socket.AF_INET6, index=inner)
        if one["scope"] == UNIVERSE
    }
    for address in there.keys() - wanted:
        route.addr("del", index=inner, address=address, prefixlen=there[address])
    for address in sorted(wanted - there.keys()):
        route.addr("add", index=inner, address=address, prefixlen=length, family=socket.AF_INET6, flags=IFA_F_NODAD)


def _set_ipv6_route(route: IPRoute, inner: int, interface: InterfaceIntent) -> None:
    if interface.router_ipv6:
        route.route("replace", dst="::/0", gateway=IPV6_ROUTER, oif=inner, family=socket.AF_INET6)


def readdress(name: str, interface: InterfaceIntent) -> None:
    """IPv6 addresses that came or went while the instance runs, or IPv6 altogether. Raises NamespaceError, NetworkError."""
    try:
        with namespace.inside(name), IPRoute() as route:
            inner = route.link_lookup(ifname=inside_name(interface))[0]
            if interface.router_ipv6:
                _with_ipv6(inside_name(interface))
            _set_ipv6_addresses(route, inner, interface)
            if interface.device_index == 0:
                _set_ipv6_route(route, inner, interface)
    except NetlinkError as error:
        raise NetworkError(f"IPv6 addresses of {interface.id}: {error}") from error


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
