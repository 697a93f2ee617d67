"""The way to the services on instances' wires (docs/decisions/0012): a network namespace of their own, and the veth pair that
leads there. The host's end is held by programs alone, and its kernel speaks no IPv6 on it; the other end has the addresses of
the services, and a route to all callers.

    host's namespace: svc0 --veth-- svc1: services' namespace, fd00:ec2::254 and the others

Every function blocks for some milliseconds, in a thread that is in the host's namespace. ServicesLinkError: the kernel refused;
the agent does not start, or says so and tries again with its next full pass.
"""

from __future__ import annotations

import os
import socket

from rookery.dataplane.addresses import mac_bytes
from rookery.dataplane.formats import CallerConstant, Service, ServicesConfig
from rookery.host.instances import namespace, network
from rookery.host.instances.namespace import NamespaceError
from rookery.host.instances.network import NetworkError
from rookery.host.netlink import IPRoute, NetlinkError
from rookery.host.services.caller import service_address
from rookery.host.veth_way import Pair, VethWay, WayGone

HOST_SIDE, SERVICES_SIDE = "svc0", "svc1"
HOST_MAC, SERVICES_MAC = "02:52:00:00:00:01", "02:52:00:00:00:02"  # of no other device: the pair is a segment of its own
MTU = 65535  # the programs judge sizes, by the interface that asks; nothing is cut here
WAY = VethWay(HOST_SIDE, SERVICES_SIDE, HOST_MAC, SERVICES_MAC, MTU)
ADDRESSES = frozenset(service_address(service) for service in Service)
CALLERS = f"{CallerConstant.PREFIX:x}::/16"
GATEWAY = "fe80::1"  # nobody: a name for the host's side, which asks no neighbour
NUD_PERMANENT = 0x80
ADDRESSES_BY_HAND = 1  # IN6_ADDR_GEN_MODE_NONE
SWITCHES = (("disable_ipv6", 0), ("accept_ra", 0), ("accept_dad", 0), ("addr_gen_mode", ADDRESSES_BY_HAND))


class ServicesLinkError(Exception):
    """What is wrong with the pair or its namespace."""


def ensure(name: str) -> tuple[ServicesConfig, bool]:
    """(the pair, as the programs must know it; something was missing and is there now). `name`: of the services' namespace."""
    try:
        mended = _ensure_namespace(name)
        pair, made = WAY.found_or_made(name)
        mended |= made | WAY.open_here(pair) | _open_there(name, pair)
    except (NamespaceError, NetworkError, NetlinkError, WayGone, OSError) as error:
        raise ServicesLinkError(f"the way to the services in {name}: {error}") from error
    return ServicesConfig(pair.here, mac_bytes(SERVICES_MAC), mac_bytes(HOST_MAC)), mended


def _ensure_namespace(name: str) -> bool:
    if os.path.ismount(namespace.NAMED / name):
        return False
    namespace.remove(name)  # a crash may leave the name without what it names
    namespace.create(name)
    return True


def _open_there(name: str, pair: Pair) -> bool:
    with namespace.inside(name), IPRoute() as route:
        if _is_whole(route, pair):
            return False
        for switch, value in SWITCHES:
            network.switch(SERVICES_SIDE, switch, value)
        route.link("set", index=network.LOOPBACK, state="up")
        WAY.open_there(route, pair)
        _address(route, pair.there)
        _lead_back(route, pair.there)
    return True


def _is_whole(route: IPRoute, pair: Pair) -> bool:
    return WAY.is_open_there(route, pair) and _addresses(route, pair.there) == ADDRESSES and _leads_back(route, pair.there)


def _addresses(route: IPRoute, index: int) -> set[str]:
    return {one.get_attr("IFA_ADDRESS") for one in route.get_addr(family=socket.AF_INET6, index=index)}


def _address(route: IPRoute, index: int) -> None:
    found = _addresses(route, index)
    for address in found - ADDRESSES:
        route.addr("del", index=index, address=address, family=socket.AF_INET6)
    for address in sorted(ADDRESSES - found):
        route.addr(
            "add", index=index, address=address, prefixlen=128, family=socket.AF_INET6, flags=network.IFA_F_NODAD
        )


def _leads_back(route: IPRoute, index: int) -> bool:
    ways = {
        (f"{way.get_attr('RTA_DST')}/{way['dst_len']}", way.get_attr("RTA_GATEWAY"))
        for way in route.get_routes(family=socket.AF_INET6, oif=index)
    }
    neighbours = {
        (one.get_attr("NDA_DST"), one.get_attr("NDA_LLADDR"), one["state"])
        for one in route.get_neighbours(family=socket.AF_INET6, ifindex=index)
    }
    return (CALLERS, GATEWAY) in ways and (GATEWAY, HOST_MAC, NUD_PERMANENT) in neighbours


def _lead_back(route: IPRoute, index: int) -> None:
    """One neighbour for all callers, that is never asked for."""
    route.neigh("replace", dst=GATEWAY, lladdr=HOST_MAC, ifindex=index, state=NUD_PERMANENT)
    route.route("replace", dst=CALLERS, gateway=GATEWAY, oif=index, family=socket.AF_INET6)
