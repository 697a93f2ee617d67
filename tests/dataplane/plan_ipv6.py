"""The IPv6 half of the plan: the same interfaces, hosts and VPCs (plan.py).

    VPC 7 (2001:db8:7::/56)                                    VPC 8 (2001:db8:7::/56 too: a twin)
    subnet 1 2001:db8:7:1::/64     subnet 2 2001:db8:7:2::/64  subnet 3 2001:db8:7:1::/64
      ::5 ::50 interface 11 host A                               ::5 interface 21 host B
      ::6      interface 12 host B                               ::6 interface 22 host A
      ::8      interface 14 host A
                                     ::7 interface 13 host B
"""

from __future__ import annotations

from rookery.dataplane import formats
from rookery.dataplane.addresses import address_bytes
from rookery.dataplane.formats import Ifindex
from rookery.dataplane.host import HostDataplane
from tests.dataplane import plan
from tests.dataplane.plan import HOST_A, HOST_B, TWIN, VPC

ROUTER_LINK_LOCAL = "fe80:ec2::1"
ROUTER_MADE = "fe80::ff:fe00:1"  # of plan.ROUTER_MAC, RFC 4291 appendix A
ADDRESSES = {  # (vni, address): (interface, subnet, host)
    (VPC, "2001:db8:7:1::5"): (11, 1, HOST_A),
    (VPC, "2001:db8:7:1::50"): (11, 1, HOST_A),
    (VPC, "2001:db8:7:1::6"): (12, 1, HOST_B),
    (VPC, "2001:db8:7:2::7"): (13, 2, HOST_B),
    (VPC, "2001:db8:7:1::8"): (14, 1, HOST_A),
    (TWIN, "2001:db8:7:1::5"): (21, 3, HOST_B),
    (TWIN, "2001:db8:7:1::6"): (22, 3, HOST_A),
}
INTERFACES = {number for number, _, _ in ADDRESSES.values()}  # others are in subnets without IPv6
ROUTERS = {1: "2001:db8:7:1::1", 2: "2001:db8:7:2::1", 3: "2001:db8:7:1::1"}
ROUTES = {("2001:db8:7::", 56): formats.RouteKind.LOCAL, ("2001:db8:7:66::", 64): formats.RouteKind.BLACKHOLE}


def address(number: int) -> str:
    return next(text for (_, text), row in ADDRESSES.items() if row[0] == number)


def interface_row(number: int, mtu: int = 1500, source_check: bool = True) -> formats.InterfaceConfig:
    me = plan.interface(number, mtu, source_check)
    return plan.interface_row(me)._replace(router_ipv6=address_bytes(ROUTERS[me.subnet]))


def mapping_rows() -> dict[formats.MappingKey, formats.Mapping]:
    return {
        formats.MappingKey(vni, address_bytes(text)): formats.Mapping(
            host.packed, number, subnet, plan.mac(number), 1, 1, 1_700_000_000, 5, group_set=0
        )
        for (vni, text), (number, subnet, host) in ADDRESSES.items()
    }


def route_rows() -> dict[formats.RouteKey, formats.Route]:
    bits = formats.RouteConstant.TABLE_BITS
    return {
        formats.RouteKey(bits + length, 1, address_bytes(network)): formats.Route(kind, 0)
        for (network, length), kind in ROUTES.items()
    }


def fill(real: HostDataplane, devices: dict[int, int], mtu: int = 1500) -> None:
    """On top of plan.fill. `devices`: interface -> ifindex."""
    real.interfaces.put_many({Ifindex(ifindex): interface_row(number, mtu) for number, ifindex in devices.items()})
    real.mappings.put_many(mapping_rows())
    real.routes.put_many(route_rows())
