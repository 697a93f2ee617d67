"""The way to a node's health checks (docs/decisions/0022): a network namespace of their own, which has their sockets and nothing else,
and the veth pair that leads there. The node's end is held by programs alone; the other end has the address that checks come from, and a
route to all that slots are called by.

    node's namespace: chk0 --veth-- chk1: checks' namespace, 240.255.255.254/8

`hold` and `ensure` block for some milliseconds, in a thread that is in the node's namespace. CheckLinkError: the kernel refused; the agent
does not start, or says so and tries again with its next full pass.
"""

from __future__ import annotations

import os
import socket
from ipaddress import IPv4Network
from typing import Protocol

from rookery.dataplane.addresses import mac_bytes
from rookery.dataplane.formats import CellConstant, ChecksConfig
from rookery.host.instances import namespace, network
from rookery.host.instances.namespace import NamespaceError
from rookery.host.instances.network import NetworkError
from rookery.host.netlink import IPRoute, NetlinkError
from rookery.host.veth_way import Pair, VethWay, WayGone
from rookery.hyperplane.check_ways import local_address

PROGRAM = "hyperplane_checks"
NODE_SIDE, CHECKS_SIDE = "chk0", "chk1"
NODE_MAC, CHECKS_MAC = "02:52:00:00:00:03", "02:52:00:00:00:04"  # of no other device: the pair is a segment of its own
MTU = 1500  # so no check and no answer is larger than any way to a target
SLOTS = IPv4Network(f"{CellConstant.CHECK_NETWORK}.0.0.0/8")
WAY = VethWay(NODE_SIDE, CHECKS_SIDE, NODE_MAC, CHECKS_MAC, MTU)


class CheckLinkError(Exception):
    """What is wrong with the pair or its namespace."""


class Entrance(Protocol):
    """The dataplane's (rookery.dataplane.cell.CellDataplane)."""

    @property
    def checks(self) -> ChecksConfig: ...

    def configure_checks(self, config: ChecksConfig) -> None: ...

    def attach_checks(self, ifindex: int) -> bool: ...

    def detach(self, ifindex: int) -> None: ...


def hold(entrance: Entrance, name: str) -> int:
    """All of it, with its program; how much was missing or wrong. `name` as ensure() has it. Raises CheckLinkError, DataplaneError."""
    before, (found, mended) = entrance.checks, ensure(name)
    wrong = int(mended)
    if before != found:
        if before.ifindex not in (0, found.ifindex):
            entrance.detach(before.ifindex)
        entrance.configure_checks(found)
        wrong += 1
    return wrong + entrance.attach_checks(found.ifindex)


def ensure(name: str) -> tuple[ChecksConfig, bool]:
    """(the pair, as the programs must know it; something was missing and is there now). `name`: of the checks' namespace, in
    /run/netns. Raises CheckLinkError."""
    try:
        mended = _ensure_namespace(name)
        pair, made = WAY.found_or_made(name)
        mended |= made | _open_there(name, pair) | WAY.open_here(pair)
    except (NamespaceError, NetworkError, NetlinkError, WayGone, OSError) as error:
        raise CheckLinkError(f"the way to the health checks in {name}: {error}") from error
    return ChecksConfig(pair.here, mac_bytes(CHECKS_MAC), mac_bytes(NODE_MAC)), mended


def _ensure_namespace(name: str) -> bool:
    if os.path.ismount(namespace.NAMED / name):
        return False
    namespace.prepare()
    namespace.remove(name)  # a crash may leave the name without what it names
    network.create_namespace(name)
    return True


def _open_there(name: str, pair: Pair) -> bool:
    with namespace.inside(name), IPRoute() as route:
        if _is_whole(route, pair):
            return False
        network.without_ipv6(CHECKS_SIDE)
        WAY.open_there(route, pair)
        _address(route, pair.there)
        route.route("replace", dst=str(SLOTS), oif=pair.there, prefsrc=local_address(), scope="link", proto="kernel")
    return True


def _is_whole(route: IPRoute, pair: Pair) -> bool:
    return WAY.is_open_there(route, pair) and _addresses(route, pair.there) == {local_address()} and _leads_there(route, pair.there)


def _addresses(route: IPRoute, index: int) -> set[str]:
    return {one.get_attr("IFA_ADDRESS") for one in route.get_addr(family=socket.AF_INET, index=index)}


def _address(route: IPRoute, index: int) -> None:
    found = _addresses(route, index)
    for address in found - {local_address()}:
        route.addr("del", index=index, address=address)
    if local_address() not in found:
        route.addr("add", index=index, address=local_address(), prefixlen=SLOTS.prefixlen)


def _leads_there(route: IPRoute, index: int) -> bool:
    ways = {f"{way.get_attr('RTA_DST')}/{way['dst_len']}" for way in route.get_routes(family=socket.AF_INET, oif=index)}
    return str(SLOTS) in ways
