"""Where a region's things lie, and which names and shapes are refused."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from rookery.region import servers
from rookery.region.errors import BadName, CannotStart
from rookery.region.layout import SERVERS, SUBSTRATE, UPLINKS, UPLINKS_IPV6, Layout, uplink_addresses
from rookery.region.owned import names_region
from rookery.region.parts import parts_of
from rookery.region.settings import Settings, check, check_name
from rookery.region.substrate import members


def test_every_address_on_the_substrate_is_given_once():
    settings = Settings(name="dev", hosts=200, zones=6, edges=16, nodes=16)
    addresses = [member.address for member in members(settings)]
    assert len(set(addresses)) == 234
    assert all(ipaddress.ip_address(address) in SUBSTRATE for address in addresses)


def test_every_part_of_a_region_is_known_by_its_command_line_alone_and_is_no_other_regions():
    settings = Settings(name="dev", hosts=2, edges=2, nodes=2)
    parts = parts_of(settings)
    assert {part.name for part in parts if names_region(part.command, settings.layout)} == {part.name for part in parts}
    assert not [part.name for part in parts if names_region(part.command, Layout("de"))]


def test_the_third_octet_of_a_host_tells_its_zone():
    settings = Settings(name="dev", hosts=4, zones=2)
    assert [settings.address_of(i) for i in range(4)] == [
        "100.64.1.10",
        "100.64.2.11",
        "100.64.1.12",
        "100.64.2.13",
    ]


def test_a_host_keeps_its_address_when_others_join():
    few, many = Settings(name="dev", hosts=4), Settings(name="dev", hosts=9)
    assert [few.address_of(i) for i in range(4)] == [many.address_of(i) for i in range(4)]


def test_a_control_socket_fits_the_kernels_limit_for_the_longest_name():
    assert len(str(Layout("a" * 16).control_socket("host-200"))) < 108


def test_both_ends_of_every_uplink_have_addresses_of_their_own_on_one_link():
    ends = [addresses for index in range(16) for addresses in uplink_addresses(index)]
    assert len(set(ends)) == 32
    assert all(ipaddress.ip_address(ipv4) in UPLINKS and ipaddress.ip_address(ipv6) in UPLINKS_IPV6 for ipv4, ipv6 in ends)
    outer, inner = uplink_addresses(5)
    assert ipaddress.ip_interface(f"{outer[0]}/31").network == ipaddress.ip_interface(f"{inner[0]}/31").network


def test_both_ends_of_a_servers_link_are_of_one_network_outside():
    for server in servers.servers(Settings(name="dev")):
        ipv4 = [ipaddress.ip_interface(f"{ends[0]}/31").network for ends in (server.addresses, server.router)]
        ipv6 = [ipaddress.ip_interface(f"{ends[1]}/64").network for ends in (server.addresses, server.router)]
        assert len(set(ipv4)) == len(set(ipv6)) == 1
        assert ipv4[0].subnet_of(SERVERS)
        assert server.addresses != server.router


def test_the_server_of_names_knows_the_public_name_of_every_pool_in_every_aws_region():
    lines = list(servers.names_config(Settings(name="dev", public_pools=("198.18.0.0/16", "203.0.113.0/24"))))
    assert "synth-domain=compute-1.amazonaws.com,198.18.0.0/16,ec2-" in lines
    assert "synth-domain=eu-west-1.compute.amazonaws.com,203.0.113.0/24,ec2-" in lines


@pytest.mark.parametrize(
    ("said", "edges", "asked"),
    [(None, 2, ("100.64.0.53",)), (None, 0, ()), ((), 2, ()), (("100.64.0.2:5353",), 2, ("100.64.0.2:5353",))],
)
def test_who_is_asked_for_public_names(said: tuple[str, ...] | None, edges: int, asked: tuple[str, ...]):
    assert Settings(name="dev", edges=edges, dns_upstreams=said).asked_for_names == asked


@pytest.mark.parametrize("name", ["dev", "t1234abcd", "a", "abcdefghijklmnop"])
def test_a_name_of_letters_and_digits_is_taken(name: str):
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", "Dev", "1dev", "dev-2", "../x", "a b", "a" * 17, "dév", "dev\n"])
def test_a_name_that_paths_and_prefixes_could_not_carry_is_refused(name: str):
    with pytest.raises(BadName, match="cannot name a region"):
        check_name(name)


@pytest.mark.parametrize(
    "shape",
    [
        {"hosts": 0},
        {"hosts": 201},
        {"zones": 0},
        {"hosts": 2, "zones": 3},
        {"hosts": 10, "zones": 7},
        {"port": 0},
        {"port": 65536},
        {"edges": -1},
        {"edges": 17},
        {"public_pools": ("203.0.113.1/24",)},
        {"public_pools": ("10.1.0.0/16",)},
        {"public_pools": ("100.64.0.0/24",)},
        {"public_pools": ("192.0.2.0/24",)},
        {"public_pools": ("198.51.100.128/25",)},
        {"public_pools": ("2001:db8::/48",)},
        {"public_pools": ("a few",)},
    ],
)
def test_shapes_that_make_no_region_are_refused(shape: dict[str, Any]):
    with pytest.raises(CannotStart):
        check(Settings(name="dev", **shape))
