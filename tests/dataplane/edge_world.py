"""A host, two edges and the outside as network namespaces, really connected:

                                     +-- u0 edge-1 x0 --+
    instance 11 --veth-- host a u0 --+                  +-- router -- server 192.0.2.80
      203.0.113.5        100.64.1.10 +-- u0 edge-2 x0 --+             2001:db8:ff::80
    instance 14                    wire
      no public address

Edge n is 100.64.1.(19 + n) on the substrate, 198.51.100.(4n + 2) and 2001:db8:fe:n::2 outside, where the router has one less: public
addresses, for a router's errors from a private one would not be let in."""

from __future__ import annotations

import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path

from rookery.dataplane.attach import AttachMode
from rookery.dataplane.edge import EdgeDataplane
from rookery.dataplane.formats import Verdict
from rookery.dataplane.host import HostDataplane
from tests.dataplane import namespaces, plan, plan_edge
from tests.dataplane.namespaces import HostSpace, World, attach, inside, run
from tests.dataplane.objects import built_objects

EDGES = {1: plan_edge.EDGE_1, 2: plan_edge.EDGE_2}
POOL, BLOCK = "203.0.113.0/24", "2001:db8:7::/56"
INSTANCES = (11, 14)


@dataclass
class EdgeSpace:
    namespace: str
    number: int
    pins: Path
    real: EdgeDataplane | None = None

    @property
    def address(self) -> IPv4Address:
        return EDGES[self.number]

    def counted(self, verdict: Verdict) -> int:
        assert self.real
        return sum(row.packets for key, row in self.real.counters().items() if key.verdict == verdict)


@dataclass
class EdgeWorld:
    prefix: str
    inside: World
    edges: dict[int, EdgeSpace] = field(default_factory=dict)

    def name(self, what: str) -> str:
        return f"{self.prefix}-{what}"

    @property
    def host(self) -> HostDataplane:
        found = self.inside.hosts["a"].dataplane
        assert found
        return found

    def outside(self, *words: str) -> str:
        """At the server."""
        return run("ip", "netns", "exec", self.name("server"), *words)

    def begin_outside(self, *words: str) -> subprocess.Popen[str]:
        command = ["ip", "netns", "exec", self.name("server"), *words]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def ways_in(self, *edges: int) -> None:
        """What the router knows from the edges' announcements."""
        for family, block in enumerate((POOL, BLOCK)):
            ways = [word for n in edges for word in ("nexthop", "via", outside(n, 2)[family])]
            run("ip", "-n", self.name("router"), "route", "replace", block, *ways)

    def ways_out(self, *edges: int) -> None:
        """What the host knows from its probes."""
        self.host.choose_edges(plan_edge.living(*(EDGES[n] for n in edges)))


def outside(number: int, end: int) -> tuple[str, str]:
    """Addresses between edge `number` and the router. `end`: 1 is the router's, 2 the edge's."""
    return f"198.51.100.{4 * number + end}", f"2001:db8:fe:{number}::{end}"


def lead_out(namespace: str, number: int) -> None:
    for gateway in outside(number, 1):
        run("ip", "-n", namespace, "route", "replace", "default", "via", gateway)


def _pair(one: tuple[str, str], other: tuple[str, str], mtu: int) -> None:
    """(namespace, device) each."""
    run("ip", "link", "add", one[1], "mtu", str(mtu), "netns", one[0], "type", "veth",
        "peer", "name", other[1], "mtu", str(mtu), "netns", other[0])  # fmt: skip
    for namespace, device in (one, other):
        run("ip", "-n", namespace, "link", "set", "dev", device, "up")


def _address(namespace: str, device: str, *addresses: str) -> None:
    for address in addresses:
        nodad = ("nodad",) if ":" in address else ()
        run("ip", "-n", namespace, "address", "add", address, "dev", device, *nodad)


def _sysctl(namespace: str, *settings: str) -> None:
    run("ip", "netns", "exec", namespace, "sysctl", "-qw", *settings)


def _build_substrate(made: EdgeWorld, mtu: int) -> None:
    wire = made.name("wire")
    run("ip", "-n", wire, "link", "add", "bridge", "mtu", str(mtu), "type", "bridge", "mcast_snooping", "0")
    run("ip", "-n", wire, "link", "set", "bridge", "up")
    nodes = {"a": plan.HOST_A} | {f"edge-{n}": address for n, address in EDGES.items()}
    for node, address in nodes.items():
        _pair((made.name(node), "u0"), (wire, node), mtu)
        run("ip", "-n", wire, "link", "set", "dev", node, "master", "bridge")
        _address(made.name(node), "u0", f"{address}/16")
        run("ip", "netns", "exec", made.name(node), "ethtool", "-K", "u0", "tx-udp-segmentation", "off")


def _build_outside(made: EdgeWorld) -> None:
    router, server = made.name("router"), made.name("server")
    _sysctl(router, "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1", "net.ipv4.fib_multipath_hash_policy=1",
            "net.ipv6.fib_multipath_hash_policy=1")  # fmt: skip
    _pair((router, "lan"), (server, "eth0"), 1500)
    _address(router, "lan", "192.0.2.1/24", "2001:db8:ff::1/64")
    _address(server, "eth0", f"{plan_edge.SERVER}/24", f"{plan_edge.SERVER_IPV6}/64")
    for gateway in ("192.0.2.1", "2001:db8:ff::1"):
        run("ip", "-n", server, "route", "add", "default", "via", gateway)


def _build_edge(made: EdgeWorld, number: int, mode: AttachMode, substrate_mtu: int) -> None:
    name, router = made.name(f"edge-{number}"), made.name("router")
    space = made.edges[number] = EdgeSpace(name, number, Path("/sys/fs/bpf") / name)
    _pair((name, "x0"), (router, f"edge-{number}"), 1500)
    for namespace, device, end in ((router, f"edge-{number}", 1), (name, "x0", 2)):
        ipv4, ipv6 = outside(number, end)
        _address(namespace, device, f"{ipv4}/30", f"{ipv6}/64")
    plan_edge.open_doors(name)
    lead_out(name, number)
    space.real = EdgeDataplane.open(space.pins, built_objects(), 256, 256)
    space.real.use_attach_mode(mode)
    if mode == "xdp":
        be_a_wire(*((made.name(node), f"edge-{number}") for node in ("wire", "router")), (made.name("a"), "u0"))
    load_edge(space, substrate_mtu)


def be_a_wire(*ends: tuple[str, str]) -> None:
    """Of namespaces, devices. What a network card's cable is by nature: nothing on it is joined, or still wants a checksum. And what XDP sends is
    taken only by a device that polls, which a veth does with GRO."""
    for namespace, device in ends:
        run("ip", "netns", "exec", namespace, "ethtool", "-K", device, "tx", "off", "gro", "on")


def load_edge(space: EdgeSpace, substrate_mtu: int = 1700) -> None:
    """Rows, then programs."""
    substrate, uplink = (plan_edge.ifindex(space.namespace, device) for device in ("u0", "x0"))
    real = space.real
    assert real
    plan_edge.fill_edge(real, space.address, substrate, uplink)
    real.configure_substrate(real.substrate._replace(mtu=substrate_mtu))

    def work() -> None:
        real.attach_substrate(substrate)
        real.attach_uplink(uplink)

    inside(space.namespace, work)


@contextmanager
def edge_world(mtu: int = 1500, substrate_mtu: int = 1700, mode: AttachMode = "tcx") -> Iterator[EdgeWorld]:
    """Everything attached and configured; nothing of it is left afterwards."""
    prefix = f"rookery-t{secrets.token_hex(3)}"
    space = HostSpace(f"{prefix}-a", Path("/sys/fs/bpf") / f"{prefix}-a", plan.host_a())
    made = EdgeWorld(prefix, World(prefix, {"a": space}))
    try:
        for name in ("wire", "a", "edge-1", "edge-2", "router", "server"):
            run("ip", "netns", "add", made.name(name))
            run("ip", "-n", made.name(name), "link", "set", "lo", "up")
            # A kernel asks for its neighbours from its link-local address, and not before that has been found to be no duplicate.
            _sysctl(made.name(name), "net.ipv6.conf.default.accept_dad=0")
        _build_substrate(made, substrate_mtu)
        _build_outside(made)
        for number in EDGES:
            _build_edge(made, number, mode, substrate_mtu)
        for number in INSTANCES:
            namespaces._add_instance(made.inside, space, number)
        namespaces._configure(space, mtu, substrate_mtu)
        plan_edge.fill_host(made.host)
        attach(space, "tcx" if mode == "xdp" else mode)
        made.ways_in(*EDGES)
        yield made
    finally:
        _remove(made)


def _remove(made: EdgeWorld) -> None:
    for space in made.edges.values():
        if space.real:
            space.real.close()
        EdgeDataplane.remove_pins(space.pins)
    namespaces._remove(made.inside)


def traffic(*words: str) -> tuple[str, ...]:
    return (sys.executable, namespaces.TRAFFIC, *words)
