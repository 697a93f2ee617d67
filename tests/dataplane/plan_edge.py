"""Two edges and the outside, on top of the plan (plan.py, plan_ipv6.py).

    hosts A, B, C -- substrate -- edge 1 100.64.1.20 --+
                              \\-- edge 2 100.64.1.21 --+-- 100.127.0.1 router -- server 192.0.2.80, 2001:db8:ff::80

    VPC 7, internet gateway: 10.7.1.5 is 203.0.113.5     VPC 6, internet gateway: 10.6.1.5 is 203.0.113.31
                             10.7.1.50 is 203.0.113.50   VPC 5: none
                             10.7.1.6 is 203.0.113.6
                             10.7.2.7 is 203.0.113.7
                             2001:db8:7::/56
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address

from rookery.dataplane import formats
from rookery.dataplane.addresses import address_bytes, mac_bytes
from rookery.dataplane.edge import EdgeDataplane
from rookery.dataplane.formats import (
    EdgeAddress,
    EdgeConstant,
    EdgeNode,
    EdgeSet,
    GatewayFlag,
    MappingKey,
    PublicKey,
    RouteConstant,
    RouteKey,
    RouteKind,
    VpcNumber,
)
from rookery.dataplane.host import HostDataplane
from rookery.dataplane.node import NodeDataplane
from tests.dataplane import plan, plan_ipv6
from tests.dataplane.model import Host, Substrate
from tests.dataplane.namespaces import run

EDGE_1, EDGE_2 = IPv4Address("100.64.1.20"), IPv4Address("100.64.1.21")
SERVER, SERVER_IPV6 = "192.0.2.80", "2001:db8:ff::80"
ROUTER, ROUTER_IPV6, ROUTER_MAC = "100.127.0.1", "2001:db8:fe::1", "02:00:00:00:ff:01"
UPLINK, UPLINK_IPV6, UPLINK_MAC = "100.127.0.20", "2001:db8:fe::20", "02:00:00:00:ff:20"
SUBSTRATE_MAC = "02:00:00:00:fe:20"
NEIGHBOURS = (str(plan.HOST_A), str(plan.HOST_B), str(plan.HOST_C), "100.64.0.1")
PUBLIC = {  # (vni, private): public
    (plan.VPC, "10.7.1.5"): "203.0.113.5",
    (plan.VPC, "10.7.1.50"): "203.0.113.50",
    (plan.VPC, "10.7.1.6"): "203.0.113.6",
    (plan.VPC, "10.7.2.7"): "203.0.113.7",
    (plan.PEER, "10.6.1.5"): "203.0.113.31",
}
BLOCKS = {"2001:db8:7::/56": plan.VPC}
INTERNET = formats.Gateway(GatewayFlag.INTERNET, route_table=0)
GATEWAYS = {plan.VPC: INTERNET, plan.PEER: INTERNET}


def neighbour_mac(host: str) -> str:
    """Of a lonely edge's neighbour on the substrate."""
    return f"02:00:00:00:aa:{NEIGHBOURS.index(host) + 1:02x}"


def interface_of(vni: int, private: str) -> int:
    return plan.ADDRESSES[vni, private][0]


def public_rows() -> dict[PublicKey, formats.Public]:
    return {
        PublicKey(address_bytes(public)): formats.Public(vni, interface_of(vni, private), address_bytes(private))
        for (vni, private), public in PUBLIC.items()
    }


def translation_rows() -> dict[MappingKey, formats.Translation]:
    return {
        MappingKey(vni, address_bytes(private)): formats.Translation(address_bytes(public), interface_of(vni, private))
        for (vni, private), public in PUBLIC.items()
    }


def block_rows() -> dict[formats.BlockKey, formats.Block]:
    found = {}
    for cidr, vni in BLOCKS.items():
        network, _, bits = cidr.partition("/")
        found[formats.BlockKey(int(bits), address_bytes(network))] = formats.Block(vni)
    return found


def put_gateway(node: NodeDataplane, vni: int, gateway: formats.Gateway) -> None:
    node.gateways.put_many({VpcNumber(vni): gateway})


def default_route(table: int, kind: RouteKind, ipv6: bool = False, target: int = 0) -> dict[RouteKey, formats.Route]:
    """0.0.0.0/0, or what of ::/0 is not IPv4 (2000::/3)."""
    if ipv6:
        return {RouteKey(RouteConstant.TABLE_BITS + 3, table, address_bytes("2000::")): formats.Route(kind, target)}
    bits = RouteConstant.TABLE_BITS + RouteConstant.IPV4_BITS
    return {RouteKey(bits, table, address_bytes("0.0.0.0")): formats.Route(kind, target)}


def living(*edges: IPv4Address) -> EdgeSet:
    packed = b"".join(edge.packed for edge in edges)
    return EdgeSet(len(edges), packed.ljust(4 * EdgeConstant.EDGES_MAX, b"\0"))


def fill_host(host: HostDataplane, *edges: IPv4Address) -> None:
    """On top of plan.fill: VPC 7 and VPC 6 lead out, by these edges."""
    host.edge_nodes.put_many({EdgeAddress(edge.packed): EdgeNode(1) for edge in (EDGE_1, EDGE_2)})
    host.choose_edges(living(*(edges or (EDGE_1, EDGE_2))))
    for vni, gateway in GATEWAYS.items():
        put_gateway(host, vni, gateway)
    for table in (1, 3):
        host.routes.put_many(default_route(table, RouteKind.INTERNET))
        host.routes.put_many(default_route(table, RouteKind.INTERNET, ipv6=True))


def edge_tables(address: IPv4Address, ifindex: int) -> Host:
    """What of the plan an edge holds."""
    whole = plan.host_a()
    return Host(Substrate(address, plan.SUBSTRATE, ifindex, mtu=1700), {}, whole.mappings, {}, {}, whole.delegated, whole.forwarders)


def fill_edge(edge: EdgeDataplane, address: IPv4Address, substrate: int, uplink: int) -> None:
    """`substrate`, `uplink`: ifindex."""
    tables = edge_tables(address, substrate)
    assert tables.substrate
    edge.configure_substrate(plan.substrate_row(tables.substrate))
    edge.configure_uplink(formats.UplinkConfig(uplink, 1500, mac_bytes(UPLINK_MAC), flags=0))
    edge.mappings.put_many(plan.mapping_rows(tables) | plan_ipv6.mapping_rows())
    edge.delegated.put_many(plan.delegated_rows(tables))
    edge.forwarders.put_many(plan.forwarder_rows(tables))
    edge.publics.put_many(public_rows())
    edge.translations.put_many(translation_rows())
    edge.blocks.put_many(block_rows())
    for vni, gateway in GATEWAYS.items():
        put_gateway(edge, vni, gateway)


def ifindex(namespace: str, device: str) -> int:
    return int(run("ip", "netns", "exec", namespace, "cat", f"/sys/class/net/{device}/ifindex"))


def open_doors(namespace: str) -> None:
    """As src/rookery/dataplane/edge.py wants the namespace of an edge."""
    for name in ("ipv4.conf.u0.forwarding=1", "ipv6.conf.u0.forwarding=1", "ipv4.conf.x0.forwarding=0",
                 "ipv6.conf.x0.forwarding=0", "ipv4.conf.all.rp_filter=0", "ipv4.conf.u0.rp_filter=0"):  # fmt: skip
        run("ip", "netns", "exec", namespace, "sysctl", "-qw", f"net.{name}")


@contextmanager
def lonely_edge(namespace: str) -> Iterator[tuple[int, int]]:
    """A namespace with both devices of an edge, and nobody at their other ends: for test runs. Their numbers."""
    run("ip", "netns", "add", namespace)
    here = ("ip", "-n", namespace)
    try:
        for device, address, mac in (("u0", f"{EDGE_1}/16", SUBSTRATE_MAC), ("x0", f"{UPLINK}/24", UPLINK_MAC)):
            run(*here, "link", "add", device, "address", mac, "type", "veth", "peer", "name", f"{device}-end")
            run(*here, "link", "set", device, "up")
            run(*here, "link", "set", f"{device}-end", "up")
            run(*here, "address", "add", address, "dev", device)
        run(*here, "address", "add", f"{UPLINK_IPV6}/64", "dev", "x0", "nodad")
        open_doors(namespace)
        for host in NEIGHBOURS:
            run(*here, "neighbour", "add", host, "lladdr", neighbour_mac(host), "dev", "u0", "nud", "permanent")
        for router, way in ((ROUTER, "default"), (ROUTER_IPV6, "default")):
            run(*here, "neighbour", "add", router, "lladdr", ROUTER_MAC, "dev", "x0", "nud", "permanent")
            run(*here, "route", "add", way, "via", router, "dev", "x0")
        yield ifindex(namespace, "u0"), ifindex(namespace, "x0")
    finally:
        run("ip", "netns", "delete", namespace)
