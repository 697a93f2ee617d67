"""The bytes: what is refused, how the question is echoed, how long an answer may be."""

from __future__ import annotations

import itertools
import struct

import dns.edns
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdatatype
import dnslib
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.host.services.dns.answer import Answer, Record, write
from rookery.host.services.dns.question import read
from rookery.intent.host import NameIntent, ZoneIntent
from rookery.model.objects import DnsRecord
from tests.services.dns.scene import ask, ask_whole, explanation, guest, question, said, server

NAME = "ip-10-1-0-5.ec2.internal"
MANY = ZoneIntent(
    vni=1,
    name="many.test",
    records=(
        DnsRecord(
            name="many.test", kind="A", values=tuple(f"10.1.{n >> 8}.{n & 255}" for n in range(2, 302))
        ),
        DnsRecord(name="some.many.test", kind="A", values=tuple(f"10.1.0.{n}" for n in range(2, 42))),
        DnsRecord(
            name="huge.many.test", kind="A", values=tuple(f"10.1.{n >> 8}.{n & 255}" for n in range(2, 5002))
        ),
    ),
)


def altered(query: bytes, at: int, value: bytes) -> bytes:
    return query[:at] + value + query[at + len(value) :]


def test_the_question_is_echoed_as_it_was_asked():
    query = question("iP-10-1-0-5.eC2.InTeRnAl", id=0xABCD)
    heard = server().quick(guest(), query, False)
    assert heard[:2] == b"\xab\xcd"
    assert heard[12 : len(query)] == query[12:]
    assert dnslib.DNSRecord.parse(heard).rr[0].rname.label[0] == b"iP-10-1-0-5"


def test_an_answer_made_before_has_the_number_of_the_new_question():
    resolver = server()
    first, second = (ask(resolver, guest(), NAME, id=number) for number in (1, 2))
    assert (first.id, second.id) == (1, 2)
    assert said(first) == said(second)


def test_an_answer_made_before_is_not_given_to_another_vpc():
    resolver = server(NameIntent(vni=1, name="i-1.ec2.internal", addresses=("10.1.0.9",)))
    assert said(ask(resolver, guest(vni=1), "i-1.ec2.internal"))
    assert ask(resolver, guest(vni=2), "i-1.ec2.internal").rcode() == dns.rcode.NXDOMAIN


def test_the_flags_of_an_answer():
    heard = ask(server(), guest(), NAME, flags=dns.flags.RD | dns.flags.CD | dns.flags.AD)
    assert heard.flags == dns.flags.QR | dns.flags.AA | dns.flags.RD | dns.flags.RA | dns.flags.CD


def test_dnslib_reads_the_same_as_dnspython():
    wire = server(MANY).quick(guest(), question("many.test"), True)
    assert [str(rr.rdata) for rr in dnslib.DNSRecord.parse(wire).rr] == [
        rdata.to_text() for rdata in dns.message.from_wire(wire).answer[0]
    ]


def test_questions_that_want_no_recursion_are_refused():
    heard = ask(server(), guest(), NAME, flags=0, use_edns=0)
    assert (heard.rcode(), explanation(heard)) == (dns.rcode.REFUSED, "recursive queries only")


def test_a_vpc_without_dns_support_is_refused_everything():
    heard = ask(server(upstreams=["192.0.2.1"]), guest(dns_support=False), NAME, use_edns=0)
    assert (heard.rcode(), explanation(heard)) == (dns.rcode.REFUSED, "enableDnsSupport is off in this VPC")


@pytest.mark.parametrize(("kind", "rdclass"), [("AXFR", "IN"), ("TKEY", "IN"), ("A", "CH"), ("TXT", "ANY")])
def test_transfers_and_other_classes_are_refused(kind, rdclass):
    assert (
        ask(server(upstreams=["192.0.2.1"]), guest(), NAME, kind, rdclass=rdclass).rcode()
        == dns.rcode.REFUSED
    )


@pytest.mark.parametrize("opcode", [1, 2, 4, 5, 15])
def test_only_queries_are_implemented(opcode):
    query = altered(question(NAME), 2, struct.pack("!H", opcode << 11 | dns.flags.RD))
    heard = server().quick(guest(), query, False)
    assert (heard[3] & 0xF, heard[2] >> 3 & 0xF) == (dns.rcode.NOTIMP, opcode)
    assert len(heard) == 12


@pytest.mark.parametrize(
    "query",
    [
        altered(question(NAME), 4, b"\0\0"),  # no question
        altered(question(NAME), 4, b"\0\2"),  # two
        altered(question(NAME), 6, b"\0\1"),  # an answer, though it asks
        question(NAME)[:-1],
        question(NAME) + b"\0",
        question(NAME)[:12],
        question(NAME, use_edns=0)[:-1],
        altered(question(NAME), 12, b"\xc0\x0c"),  # a name that leads to itself
        altered(question(NAME), 12, b"\x40"),  # a label of a kind that there is not
        altered(question(NAME), 10, b"\0\2") + question(NAME, use_edns=0)[-11:] * 2,  # EDNS twice
        question(NAME)[:12] + b"\1a" * 128 + b"\0\0\1\0\1",  # 257 bytes of name
        question(NAME)[:-4] + b"\0\0\0\1",  # type 0
    ],
    ids=itertools.count(),  # their own ids are random
)
def test_malformed_messages_are_said_to_be_so(query):
    heard = server().quick(guest(), query, False)
    assert (heard[:2], heard[2] & 0x80, heard[3] & 0xF) == (query[:2], 0x80, dns.rcode.FORMERR)


@pytest.mark.parametrize(
    "nothing", [b"", b"\0", question(NAME)[:11], altered(question(NAME), 2, b"\x81\x80")], ids=itertools.count()
)
def test_no_header_and_answers_are_met_with_silence(nothing):
    assert ask_whole(server(), guest(), nothing) is None


def test_a_newer_edns_is_told_so():
    heard = ask(server(), guest(), NAME, use_edns=1)
    assert (heard.rcode(), heard.edns) == (dns.rcode.BADVERS, 0)


def test_edns_is_answered_with_edns_and_its_absence_with_none():
    heard = ask(server(), guest(), NAME, want_dnssec=True, payload=4096)
    assert (heard.payload, bool(heard.ednsflags & dns.flags.DO)) == (1232, True)
    assert ask(server(), guest(), NAME).edns == -1


@pytest.mark.parametrize(
    ("how", "mtu", "fits"),
    [
        ({}, 1500, False),
        ({"use_edns": 0, "payload": 600}, 1500, False),
        ({"use_edns": 0, "payload": 1232}, 1500, True),
        ({"use_edns": 0, "payload": 0}, 1500, False),
    ],
)
def test_over_udp_what_is_too_long_is_cut_and_says_so(how, mtu, fits):
    heard = ask(server(MANY), guest(mtu=mtu), "some.many.test", **how)
    assert bool(heard.flags & dns.flags.TC) is not fits
    assert len(said(heard)) == (40 if fits else 0)


@pytest.mark.parametrize(("mtu", "most"), [(1500, 1452), (9001, 4096)])
def test_over_udp_no_answer_is_longer_than_a_packet_or_4096_bytes(mtu, most):
    for count in range(60, 300):
        records = DnsRecord(
            name="x.test", kind="A", values=tuple(f"10.1.{n >> 8}.{n & 255}" for n in range(count))
        )
        resolver = server(ZoneIntent(vni=1, name="x.test", records=(records,)))
        heard = resolver.quick(guest(mtu=mtu), question("x.test", use_edns=0, payload=65535), False)
        assert len(heard) <= most
        full = len(question("x.test", use_edns=0)) + 16 * count
        assert bool(heard[2] & 2) is (full > most)


def test_what_is_only_additional_goes_before_anything_is_said_to_be_cut():
    query = read(question(NAME))
    record = Record(query.name, dns.rdatatype.A, 60, b"\x0a\1\0\5")
    answer = Answer(dns.rcode.NOERROR, (record,), (), (record,) * 100)
    heard = dns.message.from_wire(write(query, answer, 512))
    assert (len(heard.answer), heard.additional, heard.flags & dns.flags.TC) == (1, [], 0)
    assert dns.message.from_wire(write(query, answer, 4096)).additional


def test_over_tcp_it_is_whole_up_to_64_kilobytes():
    assert len(said(dns.message.from_wire(server(MANY).quick(guest(), question("many.test"), True)))) == 300
    longer = dns.message.from_wire(server(MANY).quick(guest(), question("huge.many.test"), True))
    assert longer.flags & dns.flags.TC
    assert said(longer) == []


QUERY = question(NAME, use_edns=0, options=[dns.edns.GenericOption(10, b"12345678")])


UNHURRIED = settings(deadline=None)  # the machine may be busy
RESOLVER = server(MANY)


@UNHURRIED
@given(st.binary(max_size=600), st.booleans())
def test_no_bytes_break_it(heap, over_tcp):
    heard = RESOLVER.quick(guest(), heap, over_tcp)
    assert heard is None or heard[:2] == heap[:2]


@UNHURRIED
@given(
    st.lists(st.tuples(st.integers(0, len(QUERY) - 1), st.integers(0, 255)), max_size=4),
    st.integers(0, len(QUERY)),
)
def test_no_damage_to_a_good_query_breaks_it(changes, length):
    damaged = bytearray(QUERY)
    for at, value in changes:
        damaged[at] = value
    heard = ask_whole(RESOLVER, guest(), bytes(damaged[:length]))
    if heard:
        assert (
            dnslib.DNSRecord.parse(heard).header.id == dns.message.from_wire(heard, ignore_trailing=False).id
        )


LABEL = st.binary(min_size=1, max_size=63)
ENDS = [
    b"\x03ec2\x08internal\0",
    b"\x07in-addr\x04arpa\0",
    b"\x03ip6\x04arpa\0",
    b"\x04many\x04test\0",
    b"\x09localhost\0",
    b"\0",
]


@UNHURRIED
@given(st.lists(LABEL, max_size=3), st.sampled_from(ENDS), st.integers(0, 0xFFFF), st.booleans())
def test_no_name_breaks_it(labels, end, kind, edns):
    name = b"".join(bytes([len(label)]) + label for label in labels) + end
    extra = b"\0\0\x29\x04\xd0\0\0\x80\0\0\0" if edns else b""
    query = (
        struct.pack("!HHHHHH", 7, dns.flags.RD, 1, 0, 0, edns) + name + struct.pack("!HH", kind, 1) + extra
    )
    heard = ask_whole(RESOLVER, guest(), query)
    assert heard[12 : 12 + len(name) + 4] == query[12 : 12 + len(name) + 4]
    assert dns.message.from_wire(heard).id == 7
