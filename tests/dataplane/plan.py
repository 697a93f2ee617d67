"""The addresses of all data plane tests, and how a model of a host gets into a real one's tables.

    VPC 7 (10.7.0.0/16)                          VPC 8 (10.7.0.0/16 too: a twin)
    subnet 1 10.7.1.0/24   subnet 2 10.7.2.0/24  subnet 3 10.7.1.0/24
      .5 .50 (secondary) interface 11   host A     .5 interface 21  host B
      .6                 interface 12   host B     .6 interface 22  host A
      .8                 interface 14   host A
                           .7 interface 13 host B
                           .9 interface 15 far host (behind the gateway, if there is one)
    subnet 4 10.7.3.0/24   subnet 7 10.7.4.0/24
      .10 interface 16     .9 interface 19 host B      16: an appliance on host C (source/destination check off)
      .11 interface 17                                 17: one on host B, with its check on
      .12 interface 18                                 18: an appliance on host A
    delegated: 10.7.1.16/28 to 11, 10.7.1.32/28 to 12, 10.7.1.64/28 to 14

    VPC 6 (10.6.0.0/16), a peer of 7, of 8 and of 5       VPC 5 (10.5.0.0/16), a peer of 6 only
    subnet 5 10.6.1.0/24: .5 interface 31 host B          subnet 6 10.5.1.0/24: .5 interface 41 host B
                          .6 interface 32 host A
"""

from __future__ import annotations

from dataclasses import astuple
from ipaddress import IPv4Address, IPv4Network

from rookery.dataplane import formats
from rookery.dataplane.addresses import address_bytes
from rookery.dataplane.formats import Ifindex, InterfaceNumber
from rookery.dataplane.host import HostDataplane
from rookery.dataplane.node import NodeDataplane
from tests.dataplane import rule_rows
from tests.dataplane.model import Forwarder, Host, Interface, Local, Place, Route, Services, Substrate, Tops

HOST_A, HOST_B, FAR_HOST = IPv4Address("100.64.1.10"), IPv4Address("100.64.1.11"), IPv4Address("203.0.113.9")
HOST_C = IPv4Address("100.64.1.12")
SUBSTRATE = IPv4Network("100.64.0.0/16")
VPC, TWIN = 7, 8
PEER, THIRD = 6, 5
ROUTER_MAC = bytes.fromhex("020000000001")
DEVICE = 1  # loopback exists in every namespace: test runs claim to come from it
LOCAL_PEER, LOCAL_TWIN, LOCAL_APPLIANCE, LOCAL_OF_PEER = 4008, 4022, 4018, 4032
SERVICES = Services(78, bytes.fromhex("020000000302"), bytes.fromhex("020000000301"))
EVERYTHING = 1  # a list of rules that admits all: the policy and the network ACL of everybody here
OPEN_GATES = formats.Gates(EVERYTHING, EVERYTHING, 432_000, 180, 30, open_egress=3, open_ingress=3, padding=0)


def mac(interface: int) -> bytes:
    return bytes((2, 0, 0, 0, 1, interface))


ADDRESSES = {  # (vni, address): (interface, subnet, host)
    (VPC, "10.7.1.5"): (11, 1, HOST_A),
    (VPC, "10.7.1.50"): (11, 1, HOST_A),
    (VPC, "10.7.1.6"): (12, 1, HOST_B),
    (VPC, "10.7.2.7"): (13, 2, HOST_B),
    (VPC, "10.7.1.8"): (14, 1, HOST_A),
    (VPC, "10.7.2.9"): (15, 2, FAR_HOST),
    (TWIN, "10.7.1.5"): (21, 3, HOST_B),
    (TWIN, "10.7.1.6"): (22, 3, HOST_A),
    (VPC, "10.7.3.10"): (16, 4, HOST_C),
    (VPC, "10.7.3.11"): (17, 4, HOST_B),
    (VPC, "10.7.3.12"): (18, 4, HOST_A),
    (VPC, "10.7.4.9"): (19, 7, HOST_B),
    (PEER, "10.6.1.5"): (31, 5, HOST_B),
    (PEER, "10.6.1.6"): (32, 5, HOST_A),
    (THIRD, "10.5.1.5"): (41, 6, HOST_B),
}
DELEGATED = {(VPC, "10.7.1.16/28"): 11, (VPC, "10.7.1.32/28"): 12, (VPC, "10.7.1.64/28"): 14}
UNCHECKED, NOBODY = (16, 18), 99
FORWARDERS = (16, 17, 18)  # a host has a row for each interface that a route names
PEERINGS = {(VPC, PEER), (PEER, VPC), (TWIN, PEER), (PEER, TWIN), (PEER, THIRD), (THIRD, PEER)}
TABLES = {1: 1, 2: 1, 3: 2, 4: 5, 5: 3, 6: 4, 7: 6}  # of subnets: the appliances' own table leads past them
ROUTES = {
    (1, IPv4Network("10.7.0.0/16")): Route("local"),
    (1, IPv4Network("10.7.66.0/24")): Route("blackhole"),
    (1, IPv4Network("10.7.66.128/25")): Route("local"),
    (1, IPv4Network("10.7.4.0/24")): Route("interface", 16),
    (1, IPv4Network("10.6.0.0/16")): Route("peer", PEER),
    (1, IPv4Network("10.5.0.0/16")): Route("peer", PEER),  # no transit
    (1, IPv4Network("198.51.100.0/24")): Route("interface", 16),
    (1, IPv4Network("198.51.100.64/26")): Route("interface", 17),
    (1, IPv4Network("198.51.100.128/26")): Route("interface", 18),
    (1, IPv4Network("198.51.100.192/26")): Route("interface", NOBODY),
    (1, IPv4Network("198.51.100.240/28")): Route("none"),
    (2, IPv4Network("10.6.0.0/16")): Route("peer", PEER),
    (3, IPv4Network("10.6.0.0/16")): Route("local"),
    (3, IPv4Network("10.7.0.0/16")): Route("peer", VPC),
    (3, IPv4Network("10.5.0.0/16")): Route("peer", THIRD),
    (4, IPv4Network("10.6.0.0/16")): Route("peer", PEER),
    (5, IPv4Network("10.7.0.0/16")): Route("local"),
    (6, IPv4Network("10.7.0.0/16")): Route("local"),
    (6, IPv4Network("10.7.1.0/24")): Route("interface", 16),
}


def interface(number: int, device_mtu: int = 1500, source_check: bool = True) -> Interface:
    """The configuration of interface `number`, by its first address."""
    vni, address = next(key for key, row in ADDRESSES.items() if row[0] == number)
    subnet = ADDRESSES[vni, address][1]
    router = IPv4Address(int(IPv4Address(address)) & 0xFFFFFF00 | 1)
    primary = IPv4Address(address)
    checked = source_check and number not in UNCHECKED
    table = TABLES[subnet]
    resolver = IPv4Address(int(primary) & 0xFFFF0000 | 2)
    return Interface(vni, number, subnet, table, router, primary, mac(number), ROUTER_MAC, device_mtu, checked, resolver)


def _mappings() -> dict[tuple[int, IPv4Address], Place]:
    return {
        (vni, IPv4Address(address)): Place(host, number, subnet, mac(number))
        for (vni, address), (number, subnet, host) in ADDRESSES.items()
    }


def _local(address: IPv4Address, devices: dict[int, int]) -> dict[tuple[int, int], Local]:
    return {
        (vni, number): Local(
            devices[number], mac(number), ROUTER_MAC, subnet, source_check=number not in UNCHECKED
        )
        for (vni, _), (number, subnet, host) in ADDRESSES.items()
        if host == address
    }


def _delegated() -> dict[tuple[int, IPv4Network], Place]:
    places = {place.interface: place for place in _mappings().values()}
    return {(vni, IPv4Network(prefix)): places[number] for (vni, prefix), number in DELEGATED.items()}


def _forwarders() -> dict[tuple[int, int], Forwarder]:
    places = {place.interface: place for place in _mappings().values()}
    return {
        (VPC, n): Forwarder(places[n].host, places[n].subnet, mac(n), n not in UNCHECKED) for n in FORWARDERS
    }


def _host(address: IPv4Address, speaker: int, devices: dict[int, int]) -> Host:
    """Interface `speaker` speaks on DEVICE."""
    return Host(
        Substrate(address, SUBSTRATE, ifindex=77, mtu=1700),
        {DEVICE: interface(speaker)},
        _mappings(),
        _local(address, {speaker: DEVICE, **devices}),
        dict(ROUTES),
        _delegated(),
        _forwarders(),
        set(PEERINGS),
        SERVICES,
    )


def host_a() -> Host:
    return _host(HOST_A, 11, {14: LOCAL_PEER, 18: LOCAL_APPLIANCE, 22: LOCAL_TWIN, 32: LOCAL_OF_PEER})


def host_b() -> Host:
    return _host(HOST_B, 12, {13: 4013, 17: 4017, 19: 4019, 21: 4021, 31: 4031, 41: 4041})


def host_c() -> Host:
    return _host(HOST_C, 16, {})


def substrate_row(config: Substrate) -> formats.SubstrateConfig:
    gateway = config.gateway.packed if config.gateway else bytes(4)
    network = config.network
    return formats.SubstrateConfig(
        config.address.packed, network.network_address.packed, network.netmask.packed, gateway, config.ifindex, config.mtu
    )


def interface_row(me: Interface) -> formats.InterfaceConfig:
    return formats.InterfaceConfig(
        me.vni,
        me.number,
        me.subnet,
        me.route_table,
        address_bytes(str(me.router)),
        me.router_ipv6.packed if me.router_ipv6 else bytes(16),
        address_bytes(str(me.resolver)) if me.resolver else bytes(16),
        address_bytes(str(me.primary)),
        me.mac,
        me.router_mac,
        me.mtu,
        flags(me.source_check),
        *OPEN_GATES,
    )


def flags(source_check: bool) -> int:
    return formats.InterfaceFlag.SOURCE_DEST_CHECK if source_check else 0


def cell_flags(source_check: bool, at_cell: bool) -> int:
    return flags(source_check) | (formats.InterfaceFlag.AT_CELL if at_cell else 0)


def _mapping_row(place: Place) -> formats.Mapping:
    return formats.Mapping(
        place.host.packed, place.interface, place.subnet, place.mac, 1, cell_flags(place.source_check, place.at_cell),
        1_700_000_000, 5, group_set=0,
    )  # fmt: skip


def mapping_rows(host: Host) -> dict[formats.MappingKey, formats.Mapping]:
    return {
        formats.MappingKey(vni, address_bytes(str(address))): _mapping_row(place)
        for (vni, address), place in host.mappings.items()
    }


def delegated_rows(host: Host) -> dict[formats.DelegatedKey, formats.Mapping]:
    return {
        formats.DelegatedKey(32 + 96 + net.prefixlen, vni, address_bytes(str(net.network_address))): _mapping_row(place)
        for (vni, net), place in host.delegated.items()
    }


def forwarder_rows(host: Host) -> dict[formats.ForwarderKey, formats.Forwarder]:
    return {
        formats.ForwarderKey(*key): formats.Forwarder(
            row.host.packed, row.subnet, row.mac, cell_flags(row.source_check, row.at_cell), group_set=0
        )
        for key, row in host.forwarders.items()
    }


def peering_rows(host: Host) -> dict[formats.PeeringKey, formats.Peering]:
    return {formats.PeeringKey(*key): formats.Peering(1) for key in host.peerings}


def local_rows(host: Host) -> dict[formats.LocalInterfaceKey, formats.LocalInterface]:
    return {
        formats.LocalInterfaceKey(*key): formats.LocalInterface(
            row.ifindex, row.mtu, flags(row.source_check), row.mac, row.router_mac, row.subnet, *OPEN_GATES
        )
        for key, row in host.local.items()
    }


def route_rows(host: Host) -> dict[formats.RouteKey, formats.Route]:
    bits = formats.RouteConstant.TABLE_BITS + formats.RouteConstant.IPV4_BITS
    return {
        formats.RouteKey(bits + net.prefixlen, table, address_bytes(str(net.network_address))): formats.Route(
            formats.RouteKind[route.kind.upper()], route.target
        )
        for (table, net), route in host.routes.items()
    }


def services_row(found: Services | None) -> formats.ServicesConfig:
    return formats.ServicesConfig(*astuple(found)) if found else formats.ServicesConfig(0, bytes(6), bytes(6))


def budget_row(spent: int) -> formats.ServiceBudget:
    """In a second that the host's clock does not reach."""
    return formats.ServiceBudget((1 << 64) - (1 << 32) + spent if spent else 0)


def fill_services(real: HostDataplane, host: Host) -> None:
    numbers = {me.number: ifindex for ifindex, me in host.interfaces.items()}
    real.configure_services(services_row(host.services))
    real.service_budgets.put_many({InterfaceNumber(number): budget_row(host.spent) for number in numbers})
    real.interface_devices.put_many({InterfaceNumber(number): Ifindex(device) for number, device in numbers.items()})


def fill_edges(real: HostDataplane, host: Host) -> None:
    """Those of the model and no others."""
    for table in (real.edge_nodes, real.gateways):
        table.delete_many([key for key, _ in table.items()])
    packed = b"".join(edge.packed for edge in host.edges)
    real.choose_edges(formats.EdgeSet(len(host.edges), packed.ljust(4 * formats.EdgeConstant.EDGES_MAX, b"\0")))
    real.edge_nodes.put_many({formats.EdgeAddress(edge.packed): formats.EdgeNode(1) for edge in host.edge_nodes})
    internet = formats.Gateway(formats.GatewayFlag.INTERNET, route_table=0)
    real.gateways.put_many({formats.VpcNumber(vni): internet for vni in host.gateways})


def top_set(tops: Tops) -> formats.TopSet:
    members = (*tops.living, *tops.others)
    packed = b"".join(node.packed for node in members).ljust(4 * formats.CellConstant.NODES_MAX, b"\0")
    return formats.TopSet(len(tops.living), len(members), packed)


def fill_tops(real: NodeDataplane, host: Host) -> None:
    """Those of the model and no others."""
    real.tops.delete_many([key for key, _ in real.tops.items()])
    real.tops.put_many(
        {
            formats.TopsNumber(*formats.LAYOUTS[formats.TopsNumber].unpack(number.packed)): top_set(tops)
            for number, tops in host.tops.items()
        }
    )


def fill(real: HostDataplane, host: Host) -> None:
    """Give a real data plane the tables of a model."""
    if host.substrate:
        real.configure_substrate(substrate_row(host.substrate))
    real.interfaces.put_many({Ifindex(ifindex): interface_row(me) for ifindex, me in host.interfaces.items()})
    real.mappings.put_many(mapping_rows(host))
    real.local_interfaces.put_many(local_rows(host))
    real.routes.put_many(route_rows(host))
    real.delegated.put_many(delegated_rows(host))
    real.forwarders.put_many(forwarder_rows(host))
    real.peerings.put_many(peering_rows(host))
    fill_services(real, host)
    fill_edges(real, host)
    fill_tops(real, host)
    rule_rows.allow_all(real, EVERYTHING, {number for number, _, _ in ADDRESSES.values()})
