"""Private zones: what is in them is all there is."""

from __future__ import annotations

import dns.rcode
import pytest
from msgspec.structs import replace

from rookery.intent.host import ZoneIntent
from rookery.model.objects import DnsRecord
from tests.services.dns.scene import ask, explanation, guest, question, said, server


def zone(name: str, *records: tuple[str, str, str], vni: int = 1) -> ZoneIntent:
    """Records: owner, kind, value. Several of one owner and kind make one set."""
    sets: dict[tuple[str, str], list[str]] = {}
    for owner, kind, value in records:
        sets.setdefault((owner, kind), []).append(value)
    rows = (DnsRecord(name=owner, kind=kind, values=tuple(values)) for (owner, kind), values in sets.items())
    return ZoneIntent(vni=vni, name=name, records=tuple(rows))


CORP = zone(
    "corp.test",
    ("db.corp.test", "A", "10.1.0.20"),
    ("db.corp.test", "A", "10.1.0.21"),
    ("db.corp.test", "AAAA", "2600:1f18:0:1::20"),
    ("www.corp.test", "CNAME", "db.corp.test."),
    ("out.corp.test", "CNAME", "www.example.com."),
    ("far.corp.test", "CNAME", "ip-10-1-0-5.ec2.internal."),
    ("a.b.c.corp.test", "A", "10.1.0.22"),
    ("corp.test", "TXT", '"two words" "more"'),
    ("*.wild.corp.test", "A", "10.1.0.30"),
    ("x.sub.wild.corp.test", "A", "10.1.0.31"),
    ("round.corp.test", "CNAME", "about.corp.test."),
    ("about.corp.test", "CNAME", "round.corp.test."),
    ("gone.corp.test", "CNAME", "nothing.corp.test."),
)


def test_a_name_has_all_its_records():
    assert said(ask(server(CORP), guest(), "db.corp.test")) == [
        "db.corp.test. 60 IN A 10.1.0.20",
        "db.corp.test. 60 IN A 10.1.0.21",
    ]
    assert said(ask(server(CORP), guest(), "db.corp.test", "AAAA")) == [
        "db.corp.test. 60 IN AAAA 2600:1f18:0:1::20"
    ]
    assert said(ask(server(CORP), guest(), "corp.test", "TXT")) == ['corp.test. 60 IN TXT "two words" "more"']


@pytest.mark.parametrize(
    ("name", "kind", "rcode"),
    [
        ("db.corp.test", "TXT", dns.rcode.NOERROR),
        ("corp.test", "A", dns.rcode.NOERROR),
        ("c.corp.test", "A", dns.rcode.NOERROR),  # a.b.c lies below it
        ("sub.wild.corp.test", "A", dns.rcode.NOERROR),
        ("nothing.corp.test", "A", dns.rcode.NXDOMAIN),
        ("x.db.corp.test", "A", dns.rcode.NXDOMAIN),
    ],
)
def test_what_a_zone_has_not_is_asked_of_nobody(name, kind, rcode):
    heard = ask(server(CORP, upstreams=["192.0.2.1"]), guest(), name, kind)
    assert (heard.rcode(), said(heard)) == (rcode, [])
    assert heard.authority[0].to_text() == "corp.test. 10 IN SOA corp.test. . 1 7200 900 1209600 10"


def test_the_most_specific_zone_wins_and_its_gaps_are_not_filled_from_the_wider_one():
    wide = zone("test", ("db.corp.test", "A", "10.9.9.9"), ("other.corp.test", "A", "10.9.9.9"))
    resolver = server(wide, CORP)
    assert said(ask(resolver, guest(), "db.corp.test"))[0].endswith("10.1.0.20")
    assert ask(resolver, guest(), "other.corp.test").rcode() == dns.rcode.NXDOMAIN


def test_a_zone_inside_the_internal_domain_wins_and_one_around_it_does_not():
    inside = zone("app.ec2.internal", ("app.ec2.internal", "A", "10.1.0.40"))
    around = zone("internal", ("ip-10-1-0-5.ec2.internal", "A", "10.9.9.9"))
    resolver = server(inside, around)
    assert said(ask(resolver, guest(), "app.ec2.internal")) == ["app.ec2.internal. 60 IN A 10.1.0.40"]
    assert said(ask(resolver, guest(), "ip-10-1-0-5.ec2.internal")) == [
        "ip-10-1-0-5.ec2.internal. 60 IN A 10.1.0.5"
    ]


def test_a_zone_of_the_internal_domains_own_name_wins():
    resolver = server(zone("ec2.internal", ("app.ec2.internal", "A", "10.1.0.40")))
    assert said(ask(resolver, guest(), "app.ec2.internal")) == ["app.ec2.internal. 60 IN A 10.1.0.40"]
    assert ask(resolver, guest(), "ip-10-1-0-5.ec2.internal").rcode() == dns.rcode.NXDOMAIN


def test_a_reverse_zone_may_be_private_too():
    resolver = server(zone("1.10.in-addr.arpa", ("5.0.1.10.in-addr.arpa", "PTR", "mine.corp.test.")))
    assert said(ask(resolver, guest(), "5.0.1.10.in-addr.arpa", "PTR"))[0].endswith("PTR mine.corp.test.")


def test_a_zone_is_of_its_vpc_only():
    assert server(CORP, upstreams=["192.0.2.1"]).quick(guest(vni=2), question("db.corp.test"), False) is None


def test_a_change_of_a_zone_is_heard_at_once():
    resolver = server(zone("corp.test", ("db.corp.test", "A", "10.1.0.20")))
    assert said(ask(resolver, guest(), "db.corp.test"))[0].endswith("10.1.0.20")
    resolver._view.change([], [], [zone("corp.test", ("db.corp.test", "A", "10.1.0.99"))], [])
    assert said(ask(resolver, guest(), "db.corp.test"))[0].endswith("10.1.0.99")


def test_private_zones_need_hostnames():
    asked = server(CORP, upstreams=["192.0.2.1"]).quick(
        guest(dns_hostnames=False), question("db.corp.test"), False
    )
    assert asked is None


def test_names_that_all_the_world_knows_need_none():
    """Those of a balancer, say."""
    resolver = server(replace(CORP, is_public=True))
    assert said(ask(resolver, guest(dns_hostnames=False), "db.corp.test")) == said(ask(server(CORP), guest(), "db.corp.test")) != []


def test_aliases_are_followed_inside_the_zone_and_into_others():
    assert said(ask(server(CORP), guest(), "www.corp.test"))[:2] == [
        "www.corp.test. 60 IN CNAME db.corp.test.",
        "db.corp.test. 60 IN A 10.1.0.20",
    ]
    assert said(ask(server(CORP), guest(), "far.corp.test")) == [
        "far.corp.test. 60 IN CNAME ip-10-1-0-5.ec2.internal.",
        "ip-10-1-0-5.ec2.internal. 60 IN A 10.1.0.5",
    ]


def test_an_alias_itself_may_be_asked_for():
    assert said(ask(server(CORP), guest(), "out.corp.test", "CNAME")) == [
        "out.corp.test. 60 IN CNAME www.example.com."
    ]


def test_an_alias_of_nothing_says_both():
    heard = ask(server(CORP), guest(), "gone.corp.test")
    assert heard.rcode() == dns.rcode.NXDOMAIN
    assert said(heard) == ["gone.corp.test. 60 IN CNAME nothing.corp.test."]


def test_aliases_in_a_circle_are_a_failure():
    heard = ask(server(CORP), guest(), "round.corp.test", use_edns=0)
    assert heard.rcode() == dns.rcode.SERVFAIL
    assert explanation(heard) == "aliases lead in a circle, or too far"


def test_a_wildcard_stands_for_names_that_do_not_exist():
    assert said(ask(server(CORP), guest(), "any.wild.corp.test")) == ["any.wild.corp.test. 60 IN A 10.1.0.30"]
    assert said(ask(server(CORP), guest(), "a.b.wild.corp.test")) == ["a.b.wild.corp.test. 60 IN A 10.1.0.30"]
    assert ask(server(CORP), guest(), "y.sub.wild.corp.test").rcode() == dns.rcode.NXDOMAIN


def test_a_record_that_is_none_takes_no_other_with_it(caplog):
    broken = zone("z.test", ("bad.z.test", "A", "not an address"), ("good.z.test", "A", "10.1.0.50"))
    resolver = server(broken)
    assert said(ask(resolver, guest(), "good.z.test")) == ["good.z.test. 60 IN A 10.1.0.50"]
    assert ask(resolver, guest(), "bad.z.test").rcode() == dns.rcode.NXDOMAIN
    assert "bad.z.test is left out" in caplog.text
