"""Private, resource and public names of instances, and names that never leave the host."""

from __future__ import annotations

import dns.rcode
import pytest

from rookery.intent.host import NameIntent
from tests.services.dns.scene import IPV6, ask, guest, said, server

RESOURCE = "i-0123456789abcdef0.ec2.internal"
PUBLIC = "ec2-203-0-113-25.compute-1.amazonaws.com"


def test_an_ip_name_says_its_address_and_lives_for_a_minute():  # T1-13
    heard = ask(server(), guest(), "ip-10-1-0-5.ec2.internal")
    assert said(heard) == ["ip-10-1-0-5.ec2.internal. 60 IN A 10.1.0.5"]
    assert heard.rcode() == dns.rcode.NOERROR


def test_the_domain_of_other_regions_has_the_region_in_it():
    heard = ask(server(), guest(region="eu-west-1"), "ip-10-1-0-5.eu-west-1.compute.internal")
    assert said(heard) == ["ip-10-1-0-5.eu-west-1.compute.internal. 60 IN A 10.1.0.5"]


@pytest.mark.parametrize("name", ["ip-10-1-0-5.ec2.internal", "ip-10-1-0-5.us-west-2.compute.internal"])
def test_names_of_another_region_do_not_exist(name):
    assert ask(server(), guest(region="eu-west-1"), name).rcode() == dns.rcode.NXDOMAIN


@pytest.mark.parametrize("address", ["10.9.8.7", "172.31.0.9", "192.168.1.1"])
def test_private_addresses_of_other_vpcs_have_names_too(address):
    name = f"ip-{address.replace('.', '-')}.ec2.internal"
    assert said(ask(server(), guest(), name)) == [f"{name}. 60 IN A {address}"]


def test_a_public_block_of_the_vpc_has_names_in_it_only():
    name = "ip-203-0-113-9.ec2.internal"
    assert said(ask(server(), guest(), name)) == [f"{name}. 60 IN A 203.0.113.9"]
    elsewhere = ask(server(), guest(vpc_cidrs=("10.1.0.0/16",)), name)
    assert elsewhere.rcode() == dns.rcode.NXDOMAIN


@pytest.mark.parametrize(
    "label",
    [
        "ip-10-1-0",
        "ip-10-1-0-5-6",
        "ip-10-1-0-256",
        "ip-10-01-0-5",
        "ip-10-1-0-",
        "ip-",
        "ip-a-b-c-d",
        "x.ip-10-1-0-5",
        "ip",
    ],
)
def test_what_is_no_address_does_not_exist(label):
    heard = ask(server(), guest(), f"{label}.ec2.internal")
    assert heard.rcode() == dns.rcode.NXDOMAIN
    assert heard.authority[0].to_text() == "ec2.internal. 10 IN SOA ec2.internal. . 1 7200 900 1209600 10"


@pytest.mark.parametrize("name", ["ip-10-1-0-5.ec2.internal", "ec2.internal"])
def test_a_name_without_a_record_of_the_kind_exists_all_the_same(name):
    heard = ask(server(), guest(), name, "AAAA")
    assert (heard.rcode(), said(heard)) == (dns.rcode.NOERROR, [])
    assert heard.authority[0].name.to_text() == "ec2.internal."


def test_what_lies_above_the_regions_domain_exists():
    assert ask(server(), guest(region="eu-west-1"), "compute.internal").rcode() == dns.rcode.NOERROR


@pytest.mark.parametrize(
    ("addresses", "ipv4", "ipv6"),
    [(("10.1.0.5",), 1, 0), ((IPV6,), 0, 1), (("10.1.0.5", IPV6), 1, 1)],
)
def test_a_resource_name_has_the_records_that_the_instance_wants(addresses, ipv4, ipv6):
    resolver = server(NameIntent(vni=1, name=RESOURCE, addresses=addresses))
    for kind, count in (("A", ipv4), ("AAAA", ipv6)):
        heard = ask(resolver, guest(), RESOURCE, kind)
        assert (heard.rcode(), len(said(heard))) == (dns.rcode.NOERROR, count)
    assert len(said(ask(resolver, guest(), RESOURCE, "ANY"))) == len(addresses)


def test_a_resource_name_is_known_in_its_own_vpc_only():
    resolver = server(NameIntent(vni=1, name=RESOURCE, addresses=("10.1.0.5",)))
    assert ask(resolver, guest(vni=2), RESOURCE).rcode() == dns.rcode.NXDOMAIN


def test_a_new_name_is_heard_as_soon_as_the_view_has_it():
    resolver = server()
    assert ask(resolver, guest(), RESOURCE).rcode() == dns.rcode.NXDOMAIN
    resolver._view.change([], [], [NameIntent(vni=1, name=RESOURCE, addresses=("10.1.0.9",))], [])
    assert said(ask(resolver, guest(), RESOURCE)) == [f"{RESOURCE}. 60 IN A 10.1.0.9"]


def test_a_public_name_is_private_inside_the_vpc_and_public_elsewhere():  # T1-15
    resolver = server(NameIntent(vni=1, name=PUBLIC, addresses=("10.1.0.5",)))
    assert said(ask(resolver, guest(vni=1), PUBLIC)) == [f"{PUBLIC}. 60 IN A 10.1.0.5"]
    assert said(ask(resolver, guest(vni=2), PUBLIC)) == [f"{PUBLIC}. 60 IN A 203.0.113.25"]


def test_public_names_of_other_regions_have_the_region_in_them():
    name = "ec2-203-0-113-25.eu-west-1.compute.amazonaws.com"
    assert said(ask(server(), guest(region="eu-west-1"), name)) == [f"{name}. 60 IN A 203.0.113.25"]


@pytest.mark.parametrize(
    "address", ["10-0-0-5", "127-0-0-1", "169-254-169-254", "224-0-0-1", "300-1-1-1", "1-2-3"]
)
def test_no_public_name_leads_to_what_is_not_public(address):
    heard = ask(server(), guest(), f"ec2-{address}.compute-1.amazonaws.com")
    assert heard.rcode() == dns.rcode.NXDOMAIN


def test_localhost_is_the_guest_itself():
    assert said(ask(server(), guest(), "localhost")) == ["localhost. 60 IN A 127.0.0.1"]
    assert said(ask(server(), guest(), "x.localhost", "AAAA")) == ["x.localhost. 60 IN AAAA ::1"]


@pytest.mark.parametrize("name", ["x.invalid", "hidden.onion", "x.compute.internal"])
def test_some_names_exist_nowhere_and_nobody_is_asked(name):
    resolver = server(upstreams=["192.0.2.1"])
    assert ask(resolver, guest(), name).rcode() == dns.rcode.NXDOMAIN


def test_a_dot_inside_a_label_does_not_make_it_two():
    query = b"\0\1\1\0\0\1\0\0\0\0\0\0" + b"\x14ip-10-1-0-5.ec2.inte\0\0\1\0\1"
    inside = b"\0\1\1\0\0\1\0\0\0\0\0\0" + b"\x18ip-10-1-0-5.ec2.internal\0\0\1\0\1"
    assert server(upstreams=["192.0.2.1"]).quick(guest(), query, False) is None
    assert server(upstreams=["192.0.2.1"]).quick(guest(), inside, False) is None
