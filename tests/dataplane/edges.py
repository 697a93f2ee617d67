"""One edge for test runs, and the hosts of the plan around it. Bytes that leave one are given to the next."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from scapy.packet import Packet

from rookery.dataplane.edge import EdgeDataplane
from rookery.dataplane.formats import Ifindex
from rookery.dataplane.host import HostDataplane
from rookery.dataplane.node import WhatIf
from tests.dataplane import plan, plan_edge, plan_ipv6
from tests.dataplane.namespaces import inside
from tests.dataplane.objects import built_objects
from tests.dataplane.packets import IP, ROUTER, Ether, mac_text

ANY_TRACE = 3
HOSTS = {"100.64.1.10": plan.host_a, "100.64.1.11": plan.host_b, "100.64.1.12": plan.host_c}
HOME = {number: str(host) for number, _, host in plan.ADDRESSES.values()}


@dataclass
class Edge:
    namespace: str
    real: EdgeDataplane
    substrate: int  # ifindex
    uplink: int

    def outward(self, wire: bytes) -> WhatIf:
        return inside(self.namespace, lambda: self.real.what_if("blackfoot_outward", wire, self.substrate, ANY_TRACE))

    def inward(self, packet: Packet | bytes) -> WhatIf:
        """`packet`: an IP packet from the router outside; bytes: a frame of its."""
        frame = packet if isinstance(packet, bytes) else bytes(from_router(packet))
        return inside(self.namespace, lambda: self.real.what_if("blackfoot_inward", frame, self.uplink, ANY_TRACE))


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


def _open_host(path: Path, address: str) -> HostDataplane:
    host = HostDataplane.open(path, built_objects(), max_mappings=256)
    plan.fill(host, HOSTS[address]())
    host.mappings.put_many(plan_ipv6.mapping_rows())
    host.routes.put_many(plan_ipv6.route_rows())
    plan_edge.fill_host(host)
    return host


@contextmanager
def edge() -> Iterator[Edge]:
    name = f"rookery-t{secrets.token_hex(4)}"
    path = Path("/sys/fs/bpf") / name
    with plan_edge.lonely_edge(name) as (substrate, uplink):
        try:
            real = EdgeDataplane.open(path, built_objects(), max_mappings=256, max_public_addresses=256)
            plan_edge.fill_edge(real, plan_edge.EDGE_1, substrate, uplink)
            yield Edge(name, real, substrate, uplink)
            real.close()
        finally:
            EdgeDataplane.remove_pins(path)


@contextmanager
def region() -> Iterator[Region]:
    made: dict[Path, HostDataplane] = {}
    at = {}
    with edge() as one:
        try:
            for address in HOSTS:
                path = Path("/sys/fs/bpf") / f"rookery-t{secrets.token_hex(4)}"
                made[path] = at[address] = _open_host(path, address)
                at[address].choose_edges(plan_edge.living(plan_edge.EDGE_1))
            yield Region(at, one)
        finally:
            for path, host in made.items():
                host.close()
                HostDataplane.remove_pins(path)
