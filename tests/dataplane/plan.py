"""The addresses of all data plane tests, and how a model of a host gets into a real one's tables.

    VPC 7 (10.7.0.0/16)                          VPC 8 (10.7.0.0/16 too: a twin)
    subnet 1 10.7.1.0/24   subnet 2 10.7.2.0/24  subnet 3 10.7.1.0/24
      .5 .50 (secondary) interface 11   host A     .5 interface 21  host B
      .6                 interface 12   host B     .6 interface 22  host A
      .8                 interface 14   host A
                           .7 interface 13 host B
                           .9 interface 15 far host (behind the gateway, if there is one)
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from rookery.dataplane import formats
from rookery.dataplane.addresses import address_bytes
from rookery.dataplane.formats import Ifindex
from rookery.dataplane.host import HostDataplane
from tests.dataplane.model import Host, Interface, Local, Place, Substrate

HOST_A, HOST_B, FAR_HOST = IPv4Address("100.64.1.10"), IPv4Address("100.64.1.11"), IPv4Address("203.0.113.9")
SUBSTRATE = IPv4Network("100.64.0.0/16")
VPC, TWIN = 7, 8
ROUTER_MAC = bytes.fromhex("020000000001")
DEVICE = 1  # loopback exists in every namespace: test runs claim to come from it
LOCAL_PEER, LOCAL_TWIN = 4008, 4022
NO_GATES = formats.Gates(policy=0, acl=0, tcp_established=432_000, udp_stream=180, udp=30, padding=0)


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
}
ROUTES = {
    (1, IPv4Network("10.7.0.0/16")): "local",
    (1, IPv4Network("10.7.66.0/24")): "blackhole",
    (1, IPv4Network("10.7.66.128/25")): "local",
}


def interface(number: int, device_mtu: int = 1500, source_check: bool = True) -> Interface:
    """The configuration of interface `number`, by its first address."""
    vni, address = next(key for key, row in ADDRESSES.items() if row[0] == number)
    subnet = ADDRESSES[vni, address][1]
    router = IPv4Address(int(IPv4Address(address)) & 0xFFFFFF00 | 1)
    primary = IPv4Address(address)
    return Interface(
        vni, number, subnet, 1, router, primary, mac(number), ROUTER_MAC, device_mtu, source_check
    )


def _mappings() -> dict[tuple[int, IPv4Address], Place]:
    return {
        (vni, IPv4Address(address)): Place(host, number, subnet, mac(number))
        for (vni, address), (number, subnet, host) in ADDRESSES.items()
    }


def _local(address: IPv4Address, devices: dict[int, int]) -> dict[tuple[int, int], Local]:
    return {
        (vni, number): Local(devices[number], mac(number), ROUTER_MAC, subnet)
        for (vni, _), (number, subnet, host) in ADDRESSES.items()
        if host == address
    }


def host_a() -> Host:
    """Interface 11 speaks on DEVICE."""
    local = _local(HOST_A, {11: DEVICE, 14: LOCAL_PEER, 22: LOCAL_TWIN})
    substrate = Substrate(HOST_A, SUBSTRATE, ifindex=77, mtu=1700)
    return Host(substrate, {DEVICE: interface(11)}, _mappings(), local, dict(ROUTES))


def host_b() -> Host:
    """Interface 12 speaks on DEVICE."""
    local = _local(HOST_B, {12: DEVICE, 13: 4013, 21: 4021})
    substrate = Substrate(HOST_B, SUBSTRATE, ifindex=77, mtu=1700)
    return Host(substrate, {DEVICE: interface(12)}, _mappings(), local, dict(ROUTES))


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
        bytes(16),
        address_bytes(str(me.primary)),
        me.mac,
        me.router_mac,
        me.mtu,
        formats.InterfaceFlag.SOURCE_DEST_CHECK if me.source_check else 0,
        *NO_GATES,
    )


def mapping_rows(host: Host) -> dict[formats.MappingKey, formats.Mapping]:
    return {
        formats.MappingKey(vni, address_bytes(str(address))): formats.Mapping(
            place.host.packed, place.interface, place.subnet, place.mac, 1, 1, 1_700_000_000, 5, group_set=0
        )
        for (vni, address), place in host.mappings.items()
    }


def local_rows(host: Host) -> dict[formats.LocalInterfaceKey, formats.LocalInterface]:
    return {
        formats.LocalInterfaceKey(*key): formats.LocalInterface(
            row.ifindex, row.mtu, 0, row.mac, row.router_mac, row.subnet, *NO_GATES
        )
        for key, row in host.local.items()
    }


def route_rows(host: Host) -> dict[formats.RouteKey, formats.Route]:
    kinds = {"local": formats.RouteKind.LOCAL, "blackhole": formats.RouteKind.BLACKHOLE}
    bits = formats.RouteConstant.TABLE_BITS + formats.RouteConstant.IPV4_BITS
    return {
        formats.RouteKey(bits + net.prefixlen, table, address_bytes(str(net.network_address))): formats.Route(
            kinds[kind], 0
        )
        for (table, net), kind in host.routes.items()
    }


def fill(real: HostDataplane, host: Host) -> None:
    """Give a real data plane the tables of a model."""
    if host.substrate:
        real.configure_substrate(substrate_row(host.substrate))
    real.interfaces.put_many({Ifindex(ifindex): interface_row(me) for ifindex, me in host.interfaces.items()})
    real.mappings.put_many(mapping_rows(host))
    real.local_interfaces.put_many(local_rows(host))
    real.routes.put_many(route_rows(host))
