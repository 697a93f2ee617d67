"""A cell and what it serves, on top of the plan (plan.py, plan_edge.py).

    hosts A, B, C -- substrate -- nodes 100.64.1.31 .. 100.64.1.34 (places 0 .. 3)
                              \\-- edge 100.64.1.20 -- server 192.0.2.80

    VPC 7   subnet 8 10.7.8.0/24: NAT gateway, interface 51: 10.7.8.10 (203.0.113.51) and 10.7.8.11
            subnet 9 10.7.9.0/24: balancer, interface 61: 10.7.9.10
              TCP 80    targets 10.7.1.6:8001 (interface 12) and 10.7.2.7:8002 (13), the client is preserved
              TCP 8080  the same targets, the source is hidden      UDP 53, preserved, 120 s
              2001:db8:7:9::10 listens for the same, and TCP 90 and 9090 (hidden) to 2001:db8:7:1::6 (12) and 2001:db8:7:2::7 (13)
    VPC 6   subnet 5: endpoint, interface 71: 10.6.1.50 and 2001:db8:6:5::50, TCP 443 to the balancer's targets of IPv4, 444 of IPv6
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address

from rookery.dataplane import formats
from rookery.dataplane.addresses import address_bytes
from rookery.dataplane.cell import CellDataplane, CellSizes
from rookery.dataplane.formats import (
    AttachmentKey,
    AttachmentKind,
    CellChoices,
    CellConfig,
    CellConstant,
    CellNode,
    CellNodeFlag,
    CellService,
    CellServiceKey,
    CellTarget,
    InterfaceFlag,
    MappingKey,
    NatAddress,
    NatAddressKey,
    RouteConstant,
    RouteKey,
    RouteKind,
    ServiceFlag,
    TargetFlag,
)
from tests.dataplane import plan, plan_edge, plan_ipv6, rule_rows
from tests.dataplane.model_cell import seed
from tests.dataplane.namespaces import run

NODES = tuple(IPv4Address(f"100.64.1.{31 + place}") for place in range(4))
NAT, BALANCER, ENDPOINT = 51, 61, 71
MEASURED = {NAT: 1, BALANCER: 2, ENDPOINT: 3}  # rows
ENDPOINT_ID = b"vpce-0123456789abcdef0"
NAT_ADDRESS, NAT_SECOND, BALANCER_ADDRESS, ENDPOINT_ADDRESS = "10.7.8.10", "10.7.8.11", "10.7.9.10", "10.6.1.50"
BALANCER_IPV6, ENDPOINT_IPV6, CONSUMER_IPV6 = "2001:db8:7:9::10", "2001:db8:6:5::50", "2001:db8:6:1::5"
SECRET = bytes(range(16))
NO_DEVICE = 77
ACCOUNT = 700
TARGETS = (("10.7.1.6", 8001, 12), ("10.7.2.7", 8002, 13))
TARGETS_IPV6 = (("2001:db8:7:1::6", 8001, 12), ("2001:db8:7:2::7", 8002, 13))  # in the rows behind those
SIZES = CellSizes(attachments=8, nat_addresses=16, services=8, targets=8, flows=1 << 16, directives=1 << 14, flows_per_tenant=1 << 15)
ATTACHED = {  # interface: (vni, kind, subnet, route table, addresses)
    NAT: (plan.VPC, AttachmentKind.NAT, 8, 8, (NAT_ADDRESS, NAT_SECOND)),
    BALANCER: (plan.VPC, AttachmentKind.BALANCER, 9, 8, (BALANCER_ADDRESS, BALANCER_IPV6)),
    ENDPOINT: (plan.PEER, AttachmentKind.ENDPOINT, 5, 3, (ENDPOINT_ADDRESS, ENDPOINT_IPV6)),
}
SERVICES = {  # (interface, protocol, port): (number, flags, idle seconds)
    (BALANCER, 6, 80): (0, ServiceFlag.PRESERVE_CLIENT, 350),
    (BALANCER, 6, 8080): (1, 0, 350),
    (BALANCER, 17, 53): (2, ServiceFlag.PRESERVE_CLIENT, 120),
    (ENDPOINT, 6, 443): (3, ServiceFlag.ENDPOINT, 350),
    (BALANCER, 6, 90): (4, ServiceFlag.PRESERVE_CLIENT | ServiceFlag.TO_IPV6, 350),
    (BALANCER, 6, 9090): (5, ServiceFlag.TO_IPV6, 350),
    (ENDPOINT, 6, 444): (6, ServiceFlag.ENDPOINT | ServiceFlag.TO_IPV6, 350),
}


def at_cell() -> dict[MappingKey, formats.Mapping]:
    return {
        MappingKey(vni, address_bytes(address)): formats.Mapping(
            bytes(4), number, subnet, plan.mac(number), 1, InterfaceFlag.AT_CELL, 1_700_000_000, 5, 0
        )
        for number, (vni, _, subnet, _, addresses) in ATTACHED.items()
        for address in addresses
    }


def consumer_ipv6() -> dict[MappingKey, formats.Mapping]:
    row = formats.Mapping(plan.HOST_B.packed, 31, 5, plan.mac(31), 1, 1, 1_700_000_000, 5, group_set=0)
    return {MappingKey(plan.PEER, address_bytes(CONSUMER_IPV6)): row}


def attachment(number: int, **changed: int) -> formats.Attachment:
    _, kind, subnet, table, addresses = ATTACHED[number]
    many = len(addresses) if kind is AttachmentKind.NAT else 0
    row = formats.Attachment(ACCOUNT, subnet, table, kind, 0, address_bytes(addresses[0]), plan.mac(number), plan.ROUTER_MAC,
                             CellConstant.MTU, many, MEASURED[number], 0, 0, *plan.OPEN_GATES, ENDPOINT_ID.ljust(24, b"\0") if kind is AttachmentKind.ENDPOINT else bytes(24),
                             bytes(16) if kind is AttachmentKind.NAT else address_bytes(addresses[1]))  # fmt: skip
    return row._replace(**changed)


def attachment_key(number: int, half: int = 0) -> AttachmentKey:
    return AttachmentKey(half, ATTACHED[number][0], number)


def target(number: int, flags: int = TargetFlag.HEALTHY, generation: int = 1) -> CellTarget:
    address, port, interface = (*TARGETS, *TARGETS_IPV6)[number]
    return CellTarget(address_bytes(address), plan.VPC, interface, port.to_bytes(2, "big"), flags, generation)


def choices(*targets: int) -> CellChoices:
    """Places in turn to each of `targets`; none: to nobody."""
    turn = b"".join(row.to_bytes(2, "little") for row in targets or (CellConstant.NO_TARGET,))
    return CellChoices((turn * CellConstant.CHOICES)[: 2 * CellConstant.CHOICES], bytes(6))


def service_key(interface: int, protocol: int, port: int, half: int = 0) -> CellServiceKey:
    return CellServiceKey(*attachment_key(interface, half), protocol, port.to_bytes(2, "big"))


def service(interface: int, protocol: int, port: int) -> CellService:
    number, flags, idle = SERVICES[interface, protocol, port]
    exit_of = BALANCER if interface == ENDPOINT else interface
    return CellService(number, flags, idle, ATTACHED[exit_of][0], exit_of, 0)


def node(place: int, flags: int = CellNodeFlag.CURRENT | CellNodeFlag.PREVIOUS | CellNodeFlag.DECIDES) -> CellNode:
    return CellNode(NODES[place].packed, flags, seed(place))


def config(place: int, **changed: int) -> CellConfig:
    """Of a ring that is old."""
    return CellConfig(SECRET, 1, epoch=7, half=0, number=1, self=place, services=0, targets=0)._replace(**changed)


def fill_file(real: CellDataplane, place: int, count: int, half: int = 0) -> None:
    """What comes with the cell's file, of a cell of `count` nodes."""
    real.cell_nodes.put_many({real.node_row(half, n): node(n) if n < count else CellNode(bytes(4), 0, 0)
                              for n in range(CellConstant.NODES_MAX)})  # fmt: skip
    real.attachments.put_many({attachment_key(n, half): attachment(n) for n in ATTACHED})
    real.nat_addresses.put_many({NatAddressKey(*attachment_key(NAT, half), n): NatAddress(address_bytes(address))
                                 for n, address in enumerate((NAT_ADDRESS, NAT_SECOND))})  # fmt: skip
    real.cell_services.put_many({service_key(*key, half): service(*key) for key in SERVICES})
    real.cell_choices.put_many({real.choices_row(half, number): choices(0, 1) for number in range(4)})
    real.cell_choices.put_many({real.choices_row(half, number): choices(2, 3) for number in range(4, 7)})
    real.cell_targets.put_many({real.target_row(half, n): target(n) for n in range(len(TARGETS) + len(TARGETS_IPV6))})
    real.switch(config(place, half=half))


def neighbour_mac(address: IPv4Address) -> str:
    """Of a lonely node's neighbour on the substrate."""
    return f"02:00:00:00:bb:{address.packed[3]:02x}"


def ends_to(place: int, address: bytes) -> bytes:
    """Between whom a frame goes from the lonely node at `place` to this neighbour."""
    macs = neighbour_mac(IPv4Address(address)), neighbour_mac(NODES[place])
    return b"".join(bytes.fromhex(one.replace(":", "")) for one in macs)


@contextmanager
def lonely_nodes(namespace: str, count: int) -> Iterator[list[int]]:
    """A namespace with the substrate devices of so many nodes, and nobody at their other ends: for test runs. Their numbers. Each knows its
    neighbours, and none is its own."""
    near = (*NODES, plan.HOST_A, plan.HOST_B, plan.HOST_C, plan_edge.EDGE_1)
    run("ip", "netns", "add", namespace)
    here = ("ip", "-n", namespace)
    try:
        for place in range(count):
            device = f"u{place}"
            run(*here, "link", "add", device, "address", neighbour_mac(NODES[place]), "type", "veth", "peer", "name", f"{device}-end")
            for end in (device, f"{device}-end"):
                run(*here, "link", "set", end, "up")
            run("ip", "netns", "exec", namespace, "sysctl", "-qw", f"net.ipv4.conf.{device}.forwarding=1")
            run(*here, "route", "add", str(plan.SUBSTRATE), "dev", device, "metric", str(1 + place))
            for address in near:
                if address != NODES[place]:
                    run(*here, "neighbour", "add", str(address), "lladdr", neighbour_mac(address), "dev", device, "nud", "permanent")
        yield [plan_edge.ifindex(namespace, f"u{place}") for place in range(count)]
    finally:
        run("ip", "netns", "delete", namespace)


def fill_node(real: CellDataplane, place: int, count: int, ifindex: int = NO_DEVICE) -> None:
    """Everything."""
    tables = plan.host_a()
    real.configure_substrate(formats.SubstrateConfig(NODES[place].packed, plan.SUBSTRATE.network_address.packed,
                                                     plan.SUBSTRATE.netmask.packed, bytes(4), ifindex, 1700))  # fmt: skip
    real.mappings.put_many(plan.mapping_rows(tables) | plan_ipv6.mapping_rows() | consumer_ipv6() | at_cell())
    real.delegated.put_many(plan.delegated_rows(tables))
    real.forwarders.put_many(plan.forwarder_rows(tables))
    real.peerings.put_many(plan.peering_rows(tables))
    real.routes.put_many(plan.route_rows(tables))
    bits = RouteConstant.TABLE_BITS + RouteConstant.IPV4_BITS
    real.routes.put_many({RouteKey(bits + 16, 8, address_bytes("10.7.0.0")): formats.Route(RouteKind.LOCAL, 0)})
    real.routes.put_many({RouteKey(RouteConstant.TABLE_BITS + 56, 8, address_bytes("2001:db8:7::")): formats.Route(RouteKind.LOCAL, 0)})
    real.routes.put_many({RouteKey(RouteConstant.TABLE_BITS + 56, 3, address_bytes("2001:db8:6::")): formats.Route(RouteKind.LOCAL, 0)})
    real.routes.put_many(plan_edge.default_route(8, RouteKind.INTERNET))
    real.choose_edges(plan_edge.living(plan_edge.EDGE_1))
    real.edge_nodes.put_many({formats.EdgeAddress(plan_edge.EDGE_1.packed): formats.EdgeNode(1)})
    for vni, gateway in plan_edge.GATEWAYS.items():
        plan_edge.put_gateway(real, vni, gateway)
    rule_rows.put_open(real, plan.EVERYTHING)
    fill_file(real, place, count)
