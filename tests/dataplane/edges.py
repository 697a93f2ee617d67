"""One edge for test runs, and the hosts of the plan around it. Bytes that leave one are given to the next."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from scapy.packet import Packet

from rookery.dataplane.edge import EdgeDataplane
from rookery.dataplane.formats import Ifindex, Verdict
from rookery.dataplane.host import HostDataplane
from rookery.dataplane.node import XDP_BUILD, NodeDataplane, WhatIf
from rookery.dataplane.syscall import RunContext, RunResult
from tests.dataplane import plan, plan_edge, plan_ipv6
from tests.dataplane.namespaces import inside, run
from tests.dataplane.objects import built_objects
from tests.dataplane.packets import IP, ROUTER, Ether, mac_text
from tests.dataplane.rule_rows import clear_rules

ANY_TRACE = 3
HOSTS = {"100.64.1.10": plan.host_a, "100.64.1.11": plan.host_b, "100.64.1.12": plan.host_c}
NOWHERE = "00:00:00:00:00:00"
HOME = {number: str(host) for number, _, host in plan.ADDRESSES.values()}


@dataclass
class Edge:
    namespace: str
    real: EdgeDataplane
    address: IPv4Address
    substrate: int  # ifindex
    uplink: int

    @property
    def xdp(self) -> bool:
        return self.real.attach_mode == "xdp"

    def outward(self, wire: bytes) -> WhatIf:
        return inside(self.namespace, lambda: self.real.what_if("blackfoot_outward", wire, self.substrate, ANY_TRACE))

    def ends_to(self, neighbour: str) -> Packet:
        """Between whom a frame to this neighbour goes. TC leaves it to the kernel, which writes them when the frame leaves."""
        if not self.xdp:
            return Ether(src=NOWHERE, dst=NOWHERE)
        if neighbour in {plan_edge.ROUTER, plan_edge.ROUTER_IPV6}:
            return Ether(src=plan_edge.UPLINK_MAC, dst=plan_edge.ROUTER_MAC)
        return Ether(src=plan_edge.SUBSTRATE_MAC, dst=plan_edge.neighbour_mac(neighbour))

    def run(self, program: str, frame: bytes, mark: int = 0) -> RunResult:
        """By the build that meets it first; as real traffic without a mark. In the edge's namespace."""
        context = RunContext(mark, self.substrate if program == "blackfoot_outward" else self.uplink, xdp=self.xdp)
        return self.real.test_run(program + XDP_BUILD if self.xdp else program, frame, context)

    def in_namespace(self, *words: str) -> None:
        run("ip", "netns", "exec", self.namespace, *words)

    def inward(self, packet: Packet | bytes) -> WhatIf:
        """`packet`: an IP packet from the router outside; bytes: a frame of its."""
        frame = packet if isinstance(packet, bytes) else bytes(from_router(packet))
        return inside(self.namespace, lambda: self.real.what_if("blackfoot_inward", frame, self.uplink, ANY_TRACE))


    def restore(self) -> None:
        """As it was made."""
        for table in (self.real.publics, self.real.translations, self.real.blocks):
            table.delete_many([key for key, _ in table.items()])
        empty(self.real)
        plan_edge.fill_edge(self.real, self.address, self.substrate, self.uplink)


def from_router(packet: Packet) -> Packet:
    return Ether(src=plan_edge.ROUTER_MAC, dst=plan_edge.UPLINK_MAC) / packet


@dataclass
class Region:
    hosts: dict[str, HostDataplane]  # by substrate address
    edge: Edge

    def leave(self, number: int, packet: Packet, mtu: int = 1500) -> WhatIf:
        """Instance `number` sends `packet` to its router."""
        host, me = self.hosts[HOME[number]], plan.interface(number, mtu)
        row = plan_ipv6.interface_row(number, mtu) if number in plan_ipv6.INTERFACES else plan.interface_row(me)
        host.interfaces.put_many({Ifindex(plan.DEVICE): row})
        frame = Ether(src=mac_text(number), dst=ROUTER) / packet
        return host.what_if("host_egress", bytes(frame), plan.DEVICE, ANY_TRACE)

    def arrive(self, wire: bytes) -> WhatIf:
        """At the host that the wire names."""
        return self.hosts[IP(wire[14:]).dst].what_if("host_ingress", wire, plan.DEVICE, ANY_TRACE)


    def travel(self, number: int, packet: Packet) -> WhatIf:
        """Out of its host, through the edge, and to the host where that sends it."""
        left = self.leave(number, packet)
        assert left.verdict is Verdict.SENT
        back = self.edge.outward(left.frame)
        assert back.verdict is Verdict.SENT
        return self.arrive(back.frame)

    def restore(self) -> None:
        """As it was made."""
        self.edge.restore()
        for address, host in self.hosts.items():
            for table in (host.interfaces, host.local_interfaces, host.connections, host.edge_nodes):
                table.delete_many([key for key, _ in table.items()])
            empty(host)
            clear_rules(host)
            plan.fill(host, HOSTS[address]())
            host.mappings.put_many(plan_ipv6.mapping_rows())
            host.routes.put_many(plan_ipv6.route_rows())
            plan_edge.fill_host(host, plan_edge.EDGE_1)


def empty(node: NodeDataplane) -> None:
    for table in (node.mappings, node.delegated, node.forwarders, node.peerings, node.routes, node.gateways):
        table.delete_many([key for key, _ in table.items()])


@contextmanager
def edge(address: IPv4Address = plan_edge.EDGE_1, build: str = "tc") -> Iterator[Edge]:
    """`build`: "tc", or "xdp" in front of it."""
    name = f"rookery-t{secrets.token_hex(4)}"
    path = Path("/sys/fs/bpf") / name
    with plan_edge.lonely_edge(name) as (substrate, uplink):
        try:
            real = EdgeDataplane.open(path, built_objects(), max_mappings=256, max_public_addresses=256)
            if build == "xdp":
                real.use_attach_mode("xdp")
            made = Edge(name, real, address, substrate, uplink)
            made.restore()
            yield made
            real.close()
        finally:
            EdgeDataplane.remove_pins(path)


@contextmanager
def region(addresses: Iterable[str] = tuple(HOSTS), build: str = "tc") -> Iterator[Region]:
    """With the hosts at these addresses."""
    made: dict[Path, HostDataplane] = {}
    at = {}
    with edge(build=build) as one:
        try:
            for address in addresses:
                path = Path("/sys/fs/bpf") / f"rookery-t{secrets.token_hex(4)}"
                made[path] = at[address] = HostDataplane.open(path, built_objects(), max_mappings=256)
            yield Region(at, one)
        finally:
            for path, host in made.items():
                host.close()
                HostDataplane.remove_pins(path)
