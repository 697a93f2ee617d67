"""In a subnet with EnableDns64 a name that has only addresses of IPv4 has one of IPv6, too, that a NAT gateway translates (RFC 6147)."""

from __future__ import annotations

import dns.flags
import dns.rcode
import pytest

from rookery.host.services.dns import dns64
from rookery.intent.host import NameIntent, ZoneIntent
from rookery.model.objects import DnsRecord
from tests.services.dns.scene import ask, guest, said, server
from tests.services.dns.test_forwarding import Clock, hear, resolver, run
from tests.services.dns.world import world, zone_file

EXAMPLE = """
example.com. 600 IN SOA ns.example.com. hostmaster.example.com. 1 2 3 4 30
old.example.com. 300 IN A 192.0.2.80
old.example.com. 300 IN A 192.0.2.81
short.example.com. 7 IN A 192.0.2.80
both.example.com. 300 IN A 192.0.2.80
both.example.com. 300 IN AAAA 2001:db8::80
alias.example.com. 300 IN CNAME old.example.com.
mapped.example.com. 300 IN A 192.0.2.80
mapped.example.com. 300 IN AAAA ::ffff:c000:250
mail.example.com. 300 IN MX 10 old.example.com.
"""
BEHIND = "64:ff9b::c000:250"  # 192.0.2.80


def in_dns64(**services):
    return guest(dns64=True, **services)


def asked(name: str, kind: str = "AAAA", who=None, zone: str = EXAMPLE, rcode: str = "NOERROR", **how):
    heard = []

    async def case() -> None:
        async with world(zone_file(zone, rcode)) as outside:
            heard.append(await hear(resolver(outside.address), name, kind, who or in_dns64(), **how))

    run(case)
    return heard[0]


def test_a_name_with_ipv4_alone_gets_addresses_behind_the_prefix():
    heard = asked("old.example.com")
    assert sorted(said(heard)) == [f"old.example.com. 30 IN AAAA {BEHIND}", "old.example.com. 30 IN AAAA 64:ff9b::c000:251"]
    assert not heard.authority


def test_it_lives_no_longer_than_its_address_and_than_it_is_sure_that_there_is_no_other():
    assert said(asked("short.example.com")) == [f"short.example.com. 7 IN AAAA {BEHIND}"]


def test_a_name_with_ipv6_of_its_own_keeps_that():
    assert said(asked("both.example.com")) == ["both.example.com. 300 IN AAAA 2001:db8::80"]


def test_what_is_mapped_is_no_address_of_ipv6():
    assert said(asked("mapped.example.com")) == [f"mapped.example.com. 300 IN AAAA {BEHIND}"]


def test_the_way_there_is_told_as_well():
    """Out of a private zone, too."""
    zone = ZoneIntent(vni=1, name="corp", records=(DnsRecord(name="www.corp", kind="CNAME", ttl=60, values=("old.example.com.",)),))
    heard = []

    async def case() -> None:
        async with world(zone_file(EXAMPLE)) as outside:
            heard.extend(said(await hear(resolver(outside.address, rows=[zone]), "www.corp", "AAAA", in_dns64())))

    run(case)
    assert heard[0].endswith("IN CNAME old.example.com.") and f"old.example.com. 30 IN AAAA {BEHIND}" in heard[1:]


@pytest.mark.parametrize(("name", "kind"), [("old.example.com", "A"), ("mail.example.com", "MX")])
def test_other_questions_are_answered_as_ever(name, kind):
    assert said(asked(name, kind)) == said(asked(name, kind, guest()))


def test_what_does_not_exist_has_no_address_either():
    heard = asked("nobody.example.com", rcode="NXDOMAIN")
    assert (heard.rcode(), said(heard)) == (dns.rcode.NXDOMAIN, [])


def test_other_subnets_get_none():
    assert said(asked("old.example.com", who=guest())) == []


def test_two_subnets_of_a_vpc_may_differ():
    made = server(NameIntent(vni=1, name="i-1.ec2.internal", addresses=("10.1.0.5",)))
    for who, count in ((in_dns64(), 1), (guest(), 0), (in_dns64(), 1)):
        assert len(said(ask(made, who, "i-1.ec2.internal", "AAAA"))) == count


def test_whoever_validates_for_himself_gets_what_the_zone_says():
    """RFC 6147, 5.5."""
    assert said(asked("old.example.com", want_dnssec=True, flags=dns.flags.RD | dns.flags.CD)) == []
    assert said(asked("old.example.com", flags=dns.flags.RD | dns.flags.CD)) != []


def test_names_inside_the_vpc_are_reached_so_too():
    zone = ZoneIntent(vni=1, name="corp", records=(DnsRecord(name="db.corp", kind="A", ttl=60, values=("10.1.0.9",)),))
    made = server(zone, NameIntent(vni=1, name="i-1.ec2.internal", addresses=("10.1.0.5", "2600:1f18:0:1::5")))
    assert said(ask(made, in_dns64(), "ip-10-1-0-5.ec2.internal", "AAAA"))[0].endswith("AAAA 64:ff9b::a01:5")
    assert said(ask(made, in_dns64(), "db.corp", "AAAA"))[0].endswith("AAAA 64:ff9b::a01:9")
    assert said(ask(made, in_dns64(), "i-1.ec2.internal", "AAAA"))[0].endswith("AAAA 2600:1f18:0:1::5")


def test_a_resolver_that_fails_to_find_ipv6_is_asked_for_ipv4():
    """RFC 6147, 5.1.2."""
    behave = zone_file(EXAMPLE)

    def fails(query, over_tcp):
        answers = list(behave(query, over_tcp))
        if query.q.qtype == 28:
            reply = query.reply()
            reply.header.rcode = 2
            return [reply.pack()]
        return answers

    async def case() -> None:
        async with world(fails) as outside:
            heard = await hear(resolver(outside.address, clock=Clock()), "old.example.com", "AAAA", in_dns64())
            assert f"old.example.com. 300 IN AAAA {BEHIND}" in said(heard)

    run(case)


def test_a_reverse_name_behind_the_prefix_is_another_name_of_ipv4s():
    made = server(NameIntent(vni=1, name="i-1.ec2.internal", addresses=("10.1.0.5",)))
    name = "5.0.0.0.1.0.a.0" + ".0" * 16 + ".b.9.f.f.4.6.0.0.ip6.arpa"
    lines = said(ask(made, in_dns64(), name, "PTR"))
    assert lines == [f"{name}. 60 IN CNAME 5.0.1.10.in-addr.arpa.", "5.0.1.10.in-addr.arpa. 60 IN PTR ip-10-1-0-5.ec2.internal."]


@pytest.mark.parametrize("name", ["5.0.0.0.1.0.a", "x.0.0.0.1.0.a.0", "50.0.0.0.1.0.a.0"])
def test_no_other_name_there_is_one(name):
    assert dns64.find_reverse(in_dns64(), f"{name}{'.0' * 16}.b.9.f.f.4.6.0.0.ip6.arpa") is None
