"""The physical network of a region: a bridge in a namespace of its own, and a cable to every host.

    rookery-dev-substrate                 [ bridge ]
                                     /     |       |     \\
                               control  host-1  host-2  ...        ports, named after who hangs on them
                                     |     |       |
    rookery-dev-control  u0 100.64.0.2     |       u0 100.64.2.11   rookery-dev-host-2
                                           u0 100.64.1.10           rookery-dev-host-1

Edges and nodes of cells hang on it as hosts do; what is behind edges is rookery.region.internet's. So does the server outside that
knows public names, for the hosts' services ask it.

Both ends of a cable are made inside the namespaces: nothing of it is ever seen in the machine's own. Every port lets in only
the addresses of who hangs on it (rookery.region.port_guard), and knows the ports of all others: what is for one of them goes there at once
(rookery.region.port_table). The bridge is for the rest: ARP's questions, and frames for members whose device runs XDP.
"""

from __future__ import annotations

import json
from typing import NamedTuple

from rookery.region import namespaces, port_guard, port_table
from rookery.region.errors import CannotStart
from rookery.region.layout import MAPPING_SERVICE_ADDRESS, NAMES_SUBSTRATE_ADDRESS, SUBSTRATE, host_name
from rookery.region.port_guard import Plugged
from rookery.region.settings import Settings

BRIDGE = "bridge"
DEVICE = "u0"


class Member(NamedTuple):
    port: str
    namespace: str
    address: str


def members(settings: Settings) -> list[Member]:
    plan = settings.layout
    control = Member("control", plan.control_namespace, MAPPING_SERVICE_ADDRESS)
    hosts = [
        Member(host_name(i), plan.host_namespace(host_name(i)), settings.address_of(i))
        for i in range(settings.hosts)
    ]
    edges = [
        Member(name, plan.host_namespace(name), settings.edge_address_of(i)) for i, name in enumerate(settings.edge_names)
    ]
    names = [Member("names", plan.names_namespace, NAMES_SUBSTRATE_ADDRESS)] if settings.edges else []
    nodes = [Member(node.name, plan.host_namespace(node.name), node.address) for node in settings.node_places]
    return [control, *hosts, *edges, *names, *nodes]


def lay(settings: Settings) -> None:
    """Makes what is missing, leaves what is there alone."""
    centre = settings.layout.substrate_namespace
    _open(centre)
    _bypass_netfilter(centre)
    ports = namespaces.devices(centre)
    if BRIDGE not in ports:
        _make_bridge(centre, settings.substrate_mtu)
    with port_table.opened(settings.layout) as table:
        for member in members(settings):
            _open(member.namespace)
            if DEVICE not in namespaces.devices(member.namespace):
                _plug(member, centre, settings.substrate_mtu)
            port_guard.guard(settings.layout, table, member.port, _plugged(member))


def check_reachable(settings: Settings, address: str) -> None:
    """Whether the hosts have a way to it; of a single machine's that is the substrate alone. Raises CannotStart."""
    for member in members(settings)[1 : 1 + settings.hosts]:
        try:
            namespaces.run("ip", "-netns", member.namespace, "route", "get", address)
        except CannotStart as refused:
            raise CannotStart(
                f"the host {member.port} has no way to {address}: it reaches {SUBSTRATE} and no other network"
            ) from refused


def _plugged(member: Member) -> Plugged:
    """By the device at its end."""
    (found,) = json.loads(namespaces.run("ip", "-json", "-netns", member.namespace, "link", "show", DEVICE))
    return Plugged(member.address, found["address"], runs_xdp="xdp" in found)


def _open(namespace: str) -> None:
    if not namespaces.ensure(namespace):
        return
    # The substrate is IPv4; without this every cable would chatter neighbour discovery.
    quiet = ("net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")
    namespaces.run(*namespaces.inside(namespace, "sysctl", "-q", "-w", *quiet))
    namespaces.run("ip", "-netns", namespace, "link", "set", "lo", "up")


def _bypass_netfilter(centre: str) -> None:
    """A switch asks no firewall. Where the kernel has br_netfilter (built in, or loaded by somebody else's containers) every namespace begins with
    each bridged packet walked through iptables' hooks, at the price of another allocation; where it has not, there is no such sysctl."""
    hooks = [f"net.bridge.bridge-nf-call-{tables}=0" for tables in ("iptables", "ip6tables", "arptables")]
    namespaces.run(*namespaces.inside(centre, "sysctl", "-e", "-q", "-w", *hooks))


def _make_bridge(centre: str, mtu: int) -> None:
    at_centre = ("ip", "-netns", centre, "link")
    options = ("forward_delay", "0", "stp_state", "0", "mcast_snooping", "0")
    namespaces.run(*at_centre, "add", BRIDGE, "mtu", str(mtu), "type", "bridge", *options)
    namespaces.run(*at_centre, "set", BRIDGE, "up")


def _plug(member: Member, centre: str, mtu: int) -> None:
    here = ("ip", "-netns", member.namespace)
    there = ("ip", "-netns", centre)
    size = ("mtu", str(mtu))
    peer = ("peer", "name", member.port, "netns", centre, *size)
    if member.port in namespaces.devices(centre):  # half a cable of a crash
        namespaces.run(*there, "link", "delete", member.port)
    mac = port_table.mac_of(member.address)
    namespaces.run("ip", "link", "add", DEVICE, "address", mac, "netns", member.namespace, *size, "type", "veth", *peer)
    namespaces.run(*there, "link", "set", member.port, "master", BRIDGE, "up")
    # The bridge sees too little to learn it; without it what it is left with would go to everybody.
    namespaces.run("bridge", "-netns", centre, "fdb", "replace", mac, "dev", member.port, "master", "static")
    namespaces.run(*here, "address", "add", f"{member.address}/{SUBSTRATE.prefixlen}", "dev", DEVICE)
    namespaces.run(*here, "link", "set", DEVICE, "up")
