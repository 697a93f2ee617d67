"""The peers of the measurement through an edge, all of the same shape, and a region's own:

    instance --veth-- host --veth-- [bridge: substrate] --veth-- edge --veth-- router --veth-- server 192.0.2.80

`plain`      everybody routes, and the world knows the way to 10.1.0.0/24: what the kernel can do at best
`nat`        the edge translates 10.1.0.5 to 203.0.113.5 and back by nftables' maps, and remembers no flow; no overlay
`vxlan-nat`  host and edge are at the ends of a kernel VXLAN, and the edge translates by nftables' NAT, which tracks flows: the usual way
`rookery`    a running region of two hosts and one edge, an instance with an Elastic IP that admits everybody
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from bench.region import (
    NAME,
    admit_everybody,
    allocate,
    ec2_client,
    launch_pair,
    make_gateway,
    make_places,
    namespace_of,
    running_region,
    wait_for_ping,
)
from bench.switch import lead_straight
from bench.topology import INSTANCE_MTU, SUBSTRATE_MTU, Endpoint, Topology, bypass_netfilter, inside, ip
from rookery.region.layout import PAGE_ADDRESSES, Layout

SERVER = PAGE_ADDRESSES[0]
PRIVATE, PUBLIC = "10.1.0.5", "203.0.113.5"
HOST, EDGE = "100.64.0.1", "100.64.0.2"
TUNNEL = {"host": "100.65.0.1", "edge": "100.65.0.2"}
MAPS = (
    f"map out {{ type ipv4_addr : ipv4_addr; elements = {{ {PRIVATE} : {PUBLIC} }}; }}; "
    f"map in {{ type ipv4_addr : ipv4_addr; elements = {{ {PUBLIC} : {PRIVATE} }}; }}; "
)
STATELESS = (
    f"table ip edge {{ {MAPS} chain translate {{ type filter hook prerouting priority raw; "
    "ip saddr set ip saddr map @out; ip daddr set ip daddr map @in; }; }; "
)
TRACKED = (
    f"table ip edge {{ {MAPS} chain before {{ type nat hook prerouting priority dstnat; dnat to ip daddr map @in; }}; "
    "chain after { type nat hook postrouting priority srcnat; snat to ip saddr map @out; }; }; "
)
MANY_TO_ONE = (
    "table ip edge { chain after { type nat hook postrouting priority srcnat; "
    f"meta l4proto {{ tcp, udp }} oifname x0 snat to {PUBLIC}:1024-65535 fully-random; oifname x0 snat to {PUBLIC}; }}; }}; "
)


class Shape:
    """Of one peer: namespaces wired and routed alike."""

    PARTS: tuple[str, ...] = ("instance", "host", "substrate", "edge", "router", "server")
    PREFIX = "rookery-bench-edge"

    def __init__(self, name: str):
        self.name = name
        self.spaces = {part: f"{self.PREFIX}-{name}-{part}" for part in self.PARTS}

    def ip(self, part: str, *words: str) -> None:
        ip("-n", self.spaces[part], *words)

    def wire(self, one: tuple[str, str], other: tuple[str, str], mtu: int) -> None:
        """`one`, `other`: (part, device)."""
        size = ("mtu", str(mtu))
        there = ("peer", "name", other[1], *size, "netns", self.spaces[other[0]])
        self.ip(one[0], "link", "add", one[1], *size, "type", "veth", *there)
        for part, device in (one, other):
            self.ip(part, "link", "set", device, "up")

    def address(self, part: str, device: str, address: str) -> None:
        self.ip(part, "addr", "add", address, "dev", device)

    def route(self, part: str, network: str, via: str) -> None:
        self.ip(part, "route", "add", network, "via", via)

    def build(self) -> None:
        for namespace in self.spaces.values():
            ip("netns", "add", namespace)
        bypass_netfilter(self.spaces["substrate"])
        self.ip("substrate", "link", "add", "br0", "mtu", str(SUBSTRATE_MTU), "type", "bridge")
        self.ip("substrate", "link", "set", "br0", "up")
        for part, address in (("host", HOST), ("edge", EDGE)):
            self.wire((part, "u0"), ("substrate", part), SUBSTRATE_MTU)
            self.ip("substrate", "link", "set", part, "master", "br0")
            self.address(part, "u0", f"{address}/24")
        lead_straight(self.spaces["substrate"], {"host": (self.spaces["host"], HOST), "edge": (self.spaces["edge"], EDGE)})
        self.wire(("instance", "eth0"), ("host", "inst"), INSTANCE_MTU)
        self.wire(("edge", "x0"), ("router", "edge"), INSTANCE_MTU)
        self.wire(("server", "eth0"), ("router", "page"), INSTANCE_MTU)
        for part, device, address in (
            ("instance", "eth0", f"{PRIVATE}/24"), ("host", "inst", "10.1.0.1/24"),
            ("edge", "x0", "198.51.100.1/31"), ("router", "edge", "198.51.100.0/31"),
            ("server", "eth0", f"{SERVER}/31"), ("router", "page", "192.0.2.81/31"),
        ):  # fmt: skip
            self.address(part, device, address)
        for part in ("host", "edge", "router"):
            inside(self.spaces[part], "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv4.conf.all.rp_filter=0")
        self.route("instance", "default", "10.1.0.1")
        self.route("server", "default", "192.0.2.81")
        self.route("edge", "default", "198.51.100.0")

    def lead(self, host: str, edge: str) -> None:
        """The ways between host and edge, by these addresses of theirs."""
        self.route("host", "default", edge)
        self.route("edge", "10.1.0.0/24", host)

    def tunnel(self) -> None:
        for part, own, other in (("host", HOST, EDGE), ("edge", EDGE, HOST)):
            ends = ("local", own, "remote", other, "dstport", "4789", "dev", "u0")
            self.ip(part, "link", "add", "vx0", "mtu", str(INSTANCE_MTU), "type", "vxlan", "id", "100", *ends)
            self.address(part, "vx0", f"{TUNNEL[part]}/24")
            self.ip(part, "link", "set", "vx0", "up")

    def topology(self) -> Topology:
        ends = Endpoint(self.spaces["instance"], PRIVATE), Endpoint(self.spaces["server"], SERVER)
        return Topology(self.name, *ends, list(self.spaces.values()))


def plain(shape: Shape) -> None:
    shape.lead(HOST, EDGE)
    shape.route("router", "10.1.0.0/24", "198.51.100.1")


def nat(shape: Shape) -> None:
    shape.lead(HOST, EDGE)
    shape.route("router", f"{PUBLIC}/32", "198.51.100.1")
    inside(shape.spaces["edge"], "nft", STATELESS)


def vxlan_nat(shape: Shape) -> None:
    shape.tunnel()
    shape.lead(TUNNEL["host"], TUNNEL["edge"])
    shape.route("router", f"{PUBLIC}/32", "198.51.100.1")
    inside(shape.spaces["edge"], "nft", TRACKED)


def vxlan_snat(shape: Shape) -> None:
    """As vxlan_nat, of all instances behind one address."""
    shape.tunnel()
    shape.lead(TUNNEL["host"], TUNNEL["edge"])
    shape.route("router", f"{PUBLIC}/32", "198.51.100.1")
    inside(shape.spaces["edge"], "nft", MANY_TO_ONE)


PEERS = {"plain": plain, "nat": nat, "vxlan-nat": vxlan_nat}


@contextmanager
def shaped(name: str, finish: Callable[[Shape], None]) -> Iterator[Topology]:
    """One peer; whatever happens it is taken down."""
    shape = Shape(name)
    try:
        shape.build()
        finish(shape)
        yield shape.topology()
    finally:
        _remove(shape)


@contextmanager
def built() -> Iterator[list[Topology]]:
    """All four; whatever happens they are taken down."""
    with ExitStack() as kept:
        topologies = []
        topologies += [kept.enter_context(shaped(name, finish)) for name, finish in PEERS.items()]
        kept.enter_context(running_region(hosts=2, edges=1))
        topologies.append(_region())
        yield topologies


def _remove(shape: Shape) -> None:
    for namespace in shape.spaces.values():
        subprocess.run(["ip", "netns", "del", namespace], check=False, stderr=subprocess.DEVNULL)


def _region() -> Topology:
    ec2 = ec2_client()
    places = make_places(ec2)
    make_gateway(ec2, places[0])
    client, _ = launch_pair(ec2, places)
    admit_everybody(ec2, client)
    allocation, public = allocate(ec2)
    ec2.associate_address(AllocationId=allocation, InstanceId=client["InstanceId"])
    wait_for_ping(namespace_of(client), SERVER)
    return Topology("rookery", Endpoint(namespace_of(client), public), Endpoint(Layout(NAME).page_namespace, SERVER))
