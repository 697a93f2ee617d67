"""From addresses to names."""

from __future__ import annotations

import dns.rcode
import dns.reversename
import pytest

from rookery.intent.host import NameIntent
from tests.services.dns.scene import IPV6, ask, guest, question, said, server

RESOURCE = "i-0123456789abcdef0.ec2.internal"


def reverse(address: str) -> str:
    return dns.reversename.from_address(address).to_text()


@pytest.mark.parametrize("address", ["10.1.0.5", "10.1.255.254", "203.0.113.7"])
def test_an_address_of_the_vpc_has_its_ip_name(address):
    heard = ask(server(), guest(), reverse(address), "PTR")
    assert said(heard) == [f"{reverse(address)} 60 IN PTR ip-{address.replace('.', '-')}.ec2.internal."]


def test_without_hostnames_there_are_no_reverse_zones_and_nobody_is_asked():
    heard = ask(server(upstreams=["192.0.2.1"]), guest(dns_hostnames=False), reverse("10.1.0.5"), "PTR")
    assert heard.rcode() == dns.rcode.NXDOMAIN
    assert heard.authority[0].name.to_text() == "1.10.in-addr.arpa."


@pytest.mark.parametrize(
    ("address", "zone"),
    [
        ("10.2.0.5", "10.in-addr.arpa."),
        ("172.20.0.1", "20.172.in-addr.arpa."),
        ("192.168.0.1", "168.192.in-addr.arpa."),
        ("169.254.169.254", "254.169.in-addr.arpa."),
        ("100.64.0.1", "64.100.in-addr.arpa."),
        ("fd00:ec2::254", "d.f.ip6.arpa."),
        ("fe80::1", "8.e.f.ip6.arpa."),
        ("2600:1f18:0:1::9", "1.0.0.0.0.0.0.0.8.1.f.1.0.0.6.2.ip6.arpa."),
    ],
)
def test_other_private_addresses_have_none_and_nobody_is_asked(address, zone):
    heard = ask(server(upstreams=["192.0.2.1"]), guest(), reverse(address), "PTR")
    assert heard.rcode() == dns.rcode.NXDOMAIN
    assert heard.authority[0].name.to_text() == zone


@pytest.mark.parametrize(
    "name",
    [
        "10.in-addr.arpa",
        "1.10.in-addr.arpa",
        "0.1.10.in-addr.arpa",
        "0.1.0.0.0.0.0.0.0.8.1.f.1.0.0.6.2.ip6.arpa",
    ],
)
def test_what_lies_above_the_vpcs_names_exists(name):
    heard = ask(server(upstreams=["192.0.2.1"]), guest(), name, "PTR")
    assert (heard.rcode(), said(heard)) == (dns.rcode.NOERROR, [])


@pytest.mark.parametrize(
    "name",
    [
        "256.0.1.10.in-addr.arpa",
        "05.0.1.10.in-addr.arpa",
        "x.0.1.10.in-addr.arpa",
        "1.5.0.1.10.in-addr.arpa",
        "9999.10.in-addr.arpa",
    ],
)
def test_what_is_no_address_does_not_exist(name):
    assert ask(server(upstreams=["192.0.2.1"]), guest(), name, "PTR").rcode() == dns.rcode.NXDOMAIN


@pytest.mark.parametrize(
    "name",
    [
        reverse("8.8.8.8"),
        reverse("2001:4860::1"),
        "8.1.f.1.0.0.6.2.ip6.arpa",
        "in-addr.arpa",
        "172.in-addr.arpa",
        "x.y.arpa",
    ],
)
def test_the_rest_is_the_worlds(name):
    assert server(upstreams=["192.0.2.1"]).quick(guest(), question(name, "PTR"), False) is None


def test_an_ipv6_address_has_the_resource_name_if_that_has_it():
    resolver = server(NameIntent(vni=1, name=RESOURCE, addresses=("10.1.0.5", IPV6)))
    assert said(ask(resolver, guest(), reverse(IPV6), "PTR")) == [f"{reverse(IPV6)} 60 IN PTR {RESOURCE}."]
    assert ask(resolver, guest(vni=2), reverse(IPV6), "PTR").rcode() == dns.rcode.NXDOMAIN


def test_an_ipv6_address_that_moves_to_another_instance_has_that_ones_name():
    resolver = server(NameIntent(vni=1, name=RESOURCE, addresses=(IPV6,)))
    assert said(ask(resolver, guest(), reverse(IPV6), "PTR"))
    other = NameIntent(vni=1, name="i-2.ec2.internal", addresses=(IPV6,))
    resolver._view.change([], [], [other], [("name", 1, RESOURCE)])
    assert said(ask(resolver, guest(), reverse(IPV6), "PTR"))[0].endswith("PTR i-2.ec2.internal.")


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_the_loopback_is_localhost(address):
    assert said(ask(server(), guest(), reverse(address), "PTR")) == [
        f"{reverse(address)} 60 IN PTR localhost."
    ]


def test_an_address_has_no_other_record():
    heard = ask(server(), guest(), reverse("10.1.0.5"), "A")
    assert (heard.rcode(), said(heard)) == (dns.rcode.NOERROR, [])
