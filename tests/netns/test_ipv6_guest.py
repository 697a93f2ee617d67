"""IPv6 inside a guest: what the intent says, and nothing that is made of advertisements.

    host side eni0000abcd --veth-- eth0 of the guest: 2001:db8:7:1::5/64, default route via fe80:ec2::1
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator

import msgspec
import pytest

from rookery.host.instances import namespace, network
from rookery.intent.host import InterfaceIntent
from tests.dataplane.namespaces import run

pytestmark = pytest.mark.real_packets
FIRST, SECOND = "2001:db8:7:1::5", "2001:db8:7:1::50"


def an_interface(*addresses: str, device_index: int = 0) -> InterfaceIntent:
    return InterfaceIntent(
        id="eni-00000000000000abc", vni=7, number=secrets.randbits(30), subnet=1, route_table=1, router="10.7.1.1",
        primary="10.7.1.5", addresses=("10.7.1.5",), prefix_length=24, mac="02:07:01:07:00:05",
        router_mac="02:07:01:00:00:01", mtu=1500, source_dest_check=True, device_index=device_index,
        router_ipv6="2001:db8:7:1::1" if addresses else "", ipv6_addresses=addresses,
    )  # fmt: skip


@pytest.fixture
def guest() -> Iterator[str]:
    """A namespace without a device."""
    name = f"rookery-t{secrets.token_hex(3)}-guest"
    namespace.prepare()
    network.create_namespace(name)
    yield name
    namespace.remove(name)


def opened(name: str, interface: InterfaceIntent) -> None:
    device = network.plug(name, interface)
    network.open_device(name, interface, device.ifindex, by_dhcp=False)


def addresses(name: str, device: str = "eth0") -> set[tuple[str, int, bool]]:
    """(address, prefix length, still tentative) of those that are not link-local."""
    (found,) = json.loads(run("ip", "-n", name, "-j", "-6", "address", "show", "dev", device))
    return {
        (one["local"], one["prefixlen"], one.get("tentative", False))
        for one in found.get("addr_info", [])
        if one["scope"] == "global"
    }


def default_routes(name: str) -> list[tuple[str, str]]:
    routes = json.loads(run("ip", "-n", name, "-j", "-6", "route", "show", "default"))
    return [(route["gateway"], route["dev"]) for route in routes]


def switched(name: str, switch: str) -> str:
    return run("ip", "netns", "exec", name, "cat", f"/proc/sys/net/ipv6/conf/eth0/{switch}").strip()


def test_a_guest_has_its_addresses_and_route_at_once(guest: str) -> None:
    opened(guest, an_interface(FIRST, SECOND))
    assert addresses(guest) == {(FIRST, 64, False), (SECOND, 64, False)}
    assert default_routes(guest) == [("fe80:ec2::1", "eth0")]
    assert [switched(guest, one) for one in ("accept_ra", "autoconf", "accept_dad")] == ["0", "0", "0"]


def test_a_guest_without_ipv6_has_it_switched_off(guest: str) -> None:
    opened(guest, an_interface())
    assert switched(guest, "disable_ipv6") == "1"
    assert default_routes(guest) == []


def test_only_the_first_interface_is_the_way_out(guest: str) -> None:
    opened(guest, an_interface(FIRST, device_index=1))
    assert addresses(guest, "eth1") == {(FIRST, 64, False)}
    assert default_routes(guest) == []


def test_addresses_come_and_go_while_the_guest_runs(guest: str) -> None:
    interface = an_interface(FIRST)
    opened(guest, interface)
    network.readdress(guest, msgspec.structs.replace(interface, ipv6_addresses=(SECOND,)))
    assert addresses(guest) == {(SECOND, 64, False)}
    network.readdress(guest, msgspec.structs.replace(interface, ipv6_addresses=()))
    assert addresses(guest) == set()
    network.readdress(guest, interface)
    assert addresses(guest) == {(FIRST, 64, False)}
    assert default_routes(guest) == [("fe80:ec2::1", "eth0")]


def test_ipv6_comes_to_a_guest_that_had_none(guest: str) -> None:
    interface = an_interface()
    opened(guest, interface)
    network.readdress(guest, msgspec.structs.replace(interface, router_ipv6="2001:db8:7:1::1", ipv6_addresses=(FIRST,)))
    assert addresses(guest) == {(FIRST, 64, False)}
    assert default_routes(guest) == [("fe80:ec2::1", "eth0")]
