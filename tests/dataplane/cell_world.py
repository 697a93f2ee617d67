"""A cell of four nodes beside the host, the edges and the outside of edge_world.py, really connected:

    instance 11 --veth-- host a u0 --+-- u0 node-0 .. node-3        NAT gateway 10.7.8.10, 203.0.113.51
    instance 14                      |   100.64.1.31 .. .34
                                     +-- u0 edge-1, edge-2 -- router -- server 192.0.2.80
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rookery.dataplane import formats
from rookery.dataplane.addresses import address_bytes
from rookery.dataplane.attach import AttachMode
from rookery.dataplane.cell import CellDataplane
from rookery.dataplane.formats import (
    CellConstant,
    ForwarderKey,
    InterfaceFlag,
    MappingKey,
    PublicKey,
    RouteKind,
    TopsNumber,
    Verdict,
)
from rookery.hyperplane import check_link
from rookery.hyperplane.check_ways import CheckWays
from tests.dataplane import edge_world, plan, plan_cell, plan_edge
from tests.dataplane.edge_world import EdgeWorld
from tests.dataplane.namespaces import inside, run
from tests.dataplane.objects import built_objects

NAT_PUBLIC = "203.0.113.51"
SHARD = 900  # number of the nodes that serve the balancer's account


@dataclass
class NodeSpace:
    namespace: str
    place: int
    pins: Path
    real: CellDataplane
    substrate: int  # ifindex
    checks: CheckWays

    def attach(self) -> None:
        inside(self.namespace, lambda: self.real.attach_substrate(self.substrate))

    def kill(self) -> None:
        """Nobody carries its packets any more."""
        run("ip", "-n", self.namespace, "link", "set", "u0", "down")

    def counted(self, verdict: Verdict) -> int:
        return sum(row.packets for key, row in self.real.counters().items() if key.verdict == verdict)


@dataclass
class CellWorld:
    around: EdgeWorld
    nodes: list[NodeSpace] = field(default_factory=list)

    def lead_to(self, place: int) -> None:
        """Host and edges send the NAT gateway's packets to this node, and believe it."""
        address = plan_cell.NODES[place].packed
        nat = formats.Forwarder(address, 8, plan.mac(plan_cell.NAT), 0, 0)
        self.around.host.forwarders.put_many({ForwarderKey(plan.VPC, plan_cell.NAT): nat})
        row = formats.Mapping(address, plan_cell.NAT, 8, plan.mac(plan_cell.NAT), 1, 0, 1_700_000_000, 5, 0)
        for edge in self.around.edges.values():
            assert edge.real
            edge.real.mappings.put_many({MappingKey(plan.VPC, address_bytes(plan_cell.NAT_ADDRESS)): row})
            edge.real.forwarders.put_many({ForwarderKey(plan.VPC, plan_cell.NAT): nat})

    def lead_to_balancer(self, place: int) -> None:
        """The host's instances find the balancer at this node, and its targets believe it."""
        address = plan_cell.NODES[place].packed
        row = formats.Mapping(address, plan_cell.BALANCER, 9, plan.mac(plan_cell.BALANCER), 1, 0, 1_700_000_000, 5, 0)
        self.around.host.mappings.put_many({MappingKey(plan.VPC, address_bytes(plan_cell.BALANCER_ADDRESS)): row})

    def lead_to_balancer_at(self, *places: int) -> None:
        """As when its account's shard is all nodes, and these live."""
        order = [*places, *(place for place in range(len(plan_cell.NODES)) if place not in places)]
        packed = b"".join(plan_cell.NODES[place].packed for place in order).ljust(4 * CellConstant.NODES_MAX, b"\0")
        served = {TopsNumber(SHARD): formats.TopSet(len(places), len(order), packed)}
        number, flags = SHARD.to_bytes(4, "little"), InterfaceFlag.AT_CELL
        row = formats.Mapping(number, plan_cell.BALANCER, 9, plan.mac(plan_cell.BALANCER), 1, flags, 1_700_000_000, 5, 0)
        self.around.host.tops.put_many(served)
        self.around.host.mappings.put_many({MappingKey(plan.VPC, address_bytes(plan_cell.BALANCER_ADDRESS)): row})
        for node in self.nodes:
            node.real.tops.put_many(served)
            speaker = formats.Forwarder(number, 9, plan.mac(plan_cell.BALANCER), flags, 0)
            node.real.forwarders.put_many({ForwarderKey(plan.VPC, plan_cell.BALANCER): speaker})

    def put_target(self, address: str, port: int) -> None:
        """The only one."""
        row = plan_cell.target(0)._replace(address=address_bytes(address), port=port.to_bytes(2, "big"))
        for node in self.nodes:
            node.real.cell_targets.put_many({node.real.target_row(0, number): row for number in range(2)})

    def forget(self) -> None:
        """As if no packet had come for long."""
        for node in self.nodes:
            node.real.trackers.delete_many(list(dict(node.real.trackers.items())))
            node.real.directives.delete_many(list(dict(node.real.directives.items())))

    def living(self, *places: int) -> None:
        """What the nodes know from their probes."""
        for node in self.nodes:
            node.real.cell_living = sum(1 << place for place in places)

    def trackers(self) -> dict[int, dict[formats.FlowKey, formats.Tracker]]:
        return {node.place: dict(node.real.trackers.items()) for node in self.nodes}


def _add_node(made: CellWorld, place: int, mode: AttachMode) -> None:
    name, wire = made.around.name(f"node-{place}"), made.around.name("wire")
    run("ip", "netns", "add", name)
    edge_world._pair((name, "u0"), (wire, f"node-{place}"), 1700)
    run("ip", "-n", wire, "link", "set", "dev", f"node-{place}", "master", "bridge")
    run("ip", "-n", name, "address", "add", f"{plan_cell.NODES[place]}/16", "dev", "u0")
    run("ip", "-n", name, "link", "set", "lo", "up")
    run("ip", "netns", "exec", name, "sysctl", "-qw", "net.ipv4.conf.u0.forwarding=1")
    run("ip", "netns", "exec", name, "ethtool", "-K", "u0", "tx-udp-segmentation", "off")
    pins = Path("/sys/fs/bpf") / name
    real = CellDataplane.open(pins, built_objects(), 256, plan_cell.SIZES, mode)
    if mode == "xdp":
        edge_world.be_a_wire((wire, f"node-{place}"), (name, "u0"))
    checks = f"{name}-checks"
    inside(name, lambda: check_link.hold(real, checks))
    made.nodes.append(NodeSpace(name, place, pins, real, plan_edge.ifindex(name, "u0"), CheckWays(real, checks)))
    plan_cell.fill_node(real, place, len(plan_cell.NODES), made.nodes[-1].substrate)
    one = formats.NatAddressKey(*plan_cell.attachment_key(plan_cell.NAT), 1)
    real.nat_addresses.delete_many([one])
    only = plan_cell.attachment(plan_cell.NAT, addresses=1)
    real.attachments.put_many({plan_cell.attachment_key(plan_cell.NAT): only})
    real.choose_edges(plan_edge.living(*edge_world.EDGES.values()))
    for edge in edge_world.EDGES.values():
        real.edge_nodes.put_many({formats.EdgeAddress(edge.packed): formats.EdgeNode(1)})
    made.nodes[-1].attach()


def _meet(made: CellWorld) -> None:
    """Nodes know their neighbours, as from their probes."""
    for node in made.nodes:
        for other in made.nodes:
            if other is not node:
                run("ip", "netns", "exec", node.namespace, "ping", "-qc1", "-W2", str(plan_cell.NODES[other.place]))


@contextmanager
def cell_world(mode: AttachMode = "tcx") -> Iterator[CellWorld]:
    """Everything attached and configured; nothing of it is left afterwards."""
    with edge_world.edge_world(mode=mode) as around:
        made = CellWorld(around)
        try:
            for place in range(len(plan_cell.NODES)):
                _add_node(made, place, mode)
            _meet(made)
            _lead_through_nat(made)
            yield made
        finally:
            for node in made.nodes:
                node.real.close()
                CellDataplane.remove_pins(node.pins)


def _lead_through_nat(made: CellWorld) -> None:
    private = address_bytes(plan_cell.NAT_ADDRESS)
    made.around.host.routes.put_many(plan_edge.default_route(1, RouteKind.INTERFACE, target=plan_cell.NAT))
    nat64 = formats.RouteKey(formats.RouteConstant.TABLE_BITS + 96, 1, address_bytes("64:ff9b::"))
    made.around.host.routes.put_many({nat64: formats.Route(RouteKind.INTERFACE, plan_cell.NAT)})
    for edge in made.around.edges.values():
        assert edge.real
        edge.real.publics.put_many({PublicKey(address_bytes(NAT_PUBLIC)): formats.Public(plan.VPC, plan_cell.NAT, private)})
        edge.real.translations.put_many({MappingKey(plan.VPC, private): formats.Translation(address_bytes(NAT_PUBLIC), plan_cell.NAT)})
    made.lead_to(0)
