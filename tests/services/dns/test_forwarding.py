"""What the host does not know is asked of a real resolver, over real sockets of the loopback.

guest -> DnsServer -> World (dnslib, 127.0.0.1)"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine

import dns.flags
import dns.message
import dns.rcode
import dnslib
import pytest

from rookery.host.services.dns import forward, upstream
from rookery.host.services.dns.server import DnsServer
from rookery.intent.host import ZoneIntent
from rookery.model.objects import DnsRecord
from tests.services.dns.scene import ask, explanation, guest, question, said, server, view, with_number
from tests.services.dns.world import world, zone_file

EXAMPLE = """
old.example.com. 999999 IN A 192.0.2.81
example.com. 600 IN SOA ns.example.com. hostmaster.example.com. 1 2 3 4 30
www.example.com. 300 IN A 192.0.2.80
www.example.com. 300 IN AAAA 2001:db8::80
example.com. 300 IN MX 10 mail.example.com.
"""
NOBODY = "127.0.0.1:1"


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def run(case: Callable[[], Coroutine]) -> None:
    asyncio.run(asyncio.wait_for(case(), 30))


def resolver(*upstreams: str, rows=(), clock: Clock | None = None) -> DnsServer:
    return DnsServer(view(*rows), upstreams, clock or Clock())


async def hear(
    made: DnsServer, name: str, kind: str = "A", who=None, over_tcp: bool = False, **how
) -> dns.message.Message:
    query = question(name, kind, **how)
    one = who or guest()
    heard = made.quick(one, query, over_tcp) or await made.slow(one, query, over_tcp)
    assert heard[12 : 12 + len(name)] == query[12 : 12 + len(name)]
    return dns.message.from_wire(heard)


def test_without_an_upstream_it_fails_at_once_and_says_why():
    heard = ask(server(), guest(), "www.example.com", use_edns=0)
    assert (heard.rcode(), explanation(heard)) == (dns.rcode.SERVFAIL, "this region has no upstream resolver")


def test_an_answer_of_the_world_reaches_the_guest():
    async def case():
        async with world(zone_file(EXAMPLE)) as outside:
            made = resolver(outside.address)
            heard = await hear(made, "wWw.Example.com")
            assert said(heard) == ["wWw.Example.com. 300 IN A 192.0.2.80"]
            assert heard.flags == dns.flags.QR | dns.flags.RD | dns.flags.RA  # AD is the world's claim
            assert said(await hear(made, "example.com", "MX")) == [
                "example.com. 300 IN MX 10 mail.example.com."
            ]
            assert [str(query.q.qname) for query in outside.asked] == ["www.example.com.", "example.com."]

    run(case)


def test_nothing_is_believed_for_longer_than_a_day():
    async def case():
        async with world(zone_file(EXAMPLE)) as outside:
            heard = await hear(resolver(outside.address), "old.example.com")
            assert said(heard) == ["old.example.com. 86400 IN A 192.0.2.81"]

    run(case)


def test_it_is_remembered_for_guests_of_all_vpcs_and_grows_older():
    async def case():
        clock = Clock()
        async with world(zone_file(EXAMPLE)) as outside:
            made = resolver(outside.address, clock=clock)
            await hear(made, "www.example.com")
            clock.now += 299.5
            aged = made.quick(guest(vni=2), question("WWW.example.com"), False)
            assert said(dns.message.from_wire(aged)) == ["WWW.example.com. 1 IN A 192.0.2.80"]
            clock.now += 0.5
            assert made.quick(guest(vni=2), question("www.example.com"), False) is None
            await hear(made, "www.example.com")
            assert len(outside.asked) == 2

    run(case)


@pytest.mark.parametrize("rcode", ["NXDOMAIN", "NOERROR"])
def test_that_there_is_nothing_is_remembered_as_the_zone_says(rcode):
    async def case():
        clock = Clock()
        async with world(zone_file(EXAMPLE, rcode)) as outside:
            made = resolver(outside.address, clock=clock)
            for passed in (0, 29):
                clock.now += passed
                heard = await hear(made, "gone.example.com")
                assert dns.rcode.to_text(heard.rcode()) == rcode
                assert heard.authority[0].ttl == 600 - passed
            assert len(outside.asked) == 1
            clock.now += 1
            await hear(made, "gone.example.com")
            assert len(outside.asked) == 2

    run(case)


def test_internal_names_and_private_addresses_never_leave_the_host():
    async def case():
        async with world(zone_file(EXAMPLE)) as outside:
            made = resolver(outside.address)
            for name in ("x.ec2.internal", "x.eu-west-1.compute.internal", "x.localhost", "x.invalid"):
                await hear(made, name)
            for name in ("9.9.9.10.in-addr.arpa", "1.1.168.192.in-addr.arpa", "x.168.192.in-addr.arpa"):
                await hear(made, name, "PTR")
            assert outside.asked == []

    run(case)


def test_an_alias_out_of_a_private_zone_is_followed_into_the_world():
    async def case():
        alias = DnsRecord(name="out.corp.test", kind="CNAME", values=("www.example.com.",))
        zone = ZoneIntent(vni=1, name="corp.test", records=(alias,))
        async with world(zone_file(EXAMPLE)) as outside:
            made = resolver(outside.address, rows=[zone])
            for _ in range(2):
                assert said(await hear(made, "out.corp.test")) == [
                    "out.corp.test. 60 IN CNAME www.example.com.",
                    "www.example.com. 300 IN A 192.0.2.80",
                ]
            assert [str(query.q.qname) for query in outside.asked] == ["www.example.com."]

    run(case)


def test_wishes_about_signatures_are_passed_on_and_remembered_apart():
    async def case():
        async with world(zone_file(EXAMPLE)) as outside:
            made = resolver(outside.address)
            await hear(made, "www.example.com")
            await hear(made, "www.example.com", want_dnssec=True)
            await hear(made, "www.example.com", flags=dns.flags.RD | dns.flags.CD)
            wishes = [(bool(query.ar[0].edns_do), query.header.cd) for query in outside.asked]
            assert wishes == [(False, 0), (True, 0), (False, 1)]

    run(case)


def test_questions_have_numbers_and_ports_of_their_own():
    async def case():
        async with world(zone_file(EXAMPLE)) as outside:
            made = resolver(outside.address)
            for n in range(20):
                await hear(made, f"{n}.example.com", id=7)
            assert len({query.header.id for query in outside.asked}) > 10
            assert len(set(outside.ports)) > 10

    run(case)


def forged(honest: Callable) -> Callable:
    """Before the answer come others: to another number, to another question, and no message at all."""

    def behave(query: dnslib.DNSRecord, over_tcp: bool) -> list[bytes]:
        lie = dnslib.RR("www.example.com", rdata=dnslib.A("192.0.2.66"))
        number, name = query.reply(), dnslib.DNSRecord.question("www.example.org").reply()
        number.header.id ^= 1
        name.header.id = query.header.id
        number.add_answer(lie)
        name.add_answer(lie)
        return [number.pack(), name.pack(), b"\1\2\3", query.pack(), *honest(query, over_tcp)]

    return behave


def test_answers_to_another_question_are_not_believed():
    async def case():
        async with world(forged(zone_file(EXAMPLE))) as outside:
            assert said(await hear(resolver(outside.address), "www.example.com"))[0].endswith("192.0.2.80")

    run(case)


def cut(honest: Callable) -> Callable:
    def behave(query: dnslib.DNSRecord, over_tcp: bool) -> list[bytes]:
        if over_tcp:
            return honest(query, over_tcp)
        reply = query.reply()
        reply.header.tc = 1
        return [reply.pack()]

    return behave


def test_what_was_cut_is_asked_again_over_tcp():
    async def case():
        many = "\n".join(f"many.example.com. 60 IN A 10.7.{n >> 8}.{n & 255}" for n in range(2000))
        async with world(cut(zone_file(many))) as outside:
            made = resolver(outside.address)
            cut_again = await hear(made, "many.example.com")
            assert (cut_again.flags & dns.flags.TC, said(cut_again)) == (dns.flags.TC, [])
            assert len(said(await hear(made, "many.example.com", over_tcp=True))) == 2000
            assert len(outside.asked) == 2

    run(case)


def test_no_bytes_of_an_upstream_break_it():
    chance = random.Random(4)
    honest = zone_file(EXAMPLE)

    def damaged(query: dnslib.DNSRecord, over_tcp: bool) -> list[bytes]:
        if not over_tcp:
            return cut(honest)(query, over_tcp)
        [answer] = honest(query, over_tcp)
        noise = bytearray(answer if chance.randrange(2) else answer[: chance.randrange(2, len(answer))])
        for _ in range(chance.randrange(4)):
            noise[chance.randrange(len(noise))] = chance.randrange(256)
        return [bytes(noise)]

    async def case():
        async with world(damaged) as outside:
            heard = [await hear(resolver(outside.address), "example.com", "MX") for _ in range(200)]
            assert {dns.rcode.SERVFAIL, dns.rcode.NOERROR} <= {message.rcode() for message in heard}

    run(case)


@pytest.mark.parametrize("rcode", ["SERVFAIL", "REFUSED"])
def test_the_next_upstream_is_asked_when_one_fails(rcode):
    async def case():
        async with world(zone_file("", rcode)) as broken, world(zone_file(EXAMPLE)) as outside:
            assert said(await hear(resolver(broken.address, outside.address), "www.example.com"))

    run(case)


def test_the_next_upstream_is_asked_when_one_is_silent(monkeypatch):
    monkeypatch.setattr(upstream, "TIMEOUT", 0.1)

    async def case():
        async with world(lambda query, over_tcp: []) as silent, world(zone_file(EXAMPLE)) as outside:
            assert said(await hear(resolver(silent.address, outside.address), "www.example.com"))
            assert len(silent.asked) == 1

    run(case)


def test_when_none_answers_the_guest_is_told_and_the_failure_is_remembered_for_a_moment(monkeypatch):
    monkeypatch.setattr(upstream, "TIMEOUT", 0.1)

    async def case():
        clock = Clock()
        async with world(lambda query, over_tcp: []) as silent:
            made = resolver(silent.address, NOBODY, clock=clock)
            for _ in range(2):
                heard = await hear(made, "www.example.com", use_edns=0)
                assert (heard.rcode(), explanation(heard)) == (
                    dns.rcode.SERVFAIL,
                    "no upstream resolver answers",
                )
            assert len(silent.asked) == 1
            clock.now += forward.FAILURE_SECONDS
            await hear(made, "www.example.com")
            assert len(silent.asked) == 2

    run(case)


def test_a_failing_upstream_is_in_the_log_once_a_minute(caplog):
    async def case():
        clock = Clock()
        async with world(zone_file("", "SERVFAIL")) as broken:
            made = resolver(broken.address, clock=clock)
            for passed, lines in ((0, 1), (59, 1), (1, 2)):
                clock.now += passed
                await hear(made, f"{clock.now:.0f}.example.com")
                assert len(caplog.records) == lines
            assert broken.address.partition(":")[0] in caplog.text
            assert "SERVFAIL" in caplog.text

    run(case)


async def until(state: Callable[[], bool]) -> None:
    while not state():
        await asyncio.sleep(0.001)


def test_one_question_of_many_guests_is_asked_once():
    async def case():
        async with world(zone_file(EXAMPLE)) as outside:
            made = resolver(outside.address)
            outside.gate.clear()
            guests = [with_number(guest(vni), number=vni) for vni in range(1, 50)]
            asking = [asyncio.create_task(hear(made, "www.example.com", who=one)) for one in guests]
            await until(lambda: len(outside.asked) == 1)
            asking[0].cancel()  # one that leaves takes nothing from the others
            outside.gate.set()
            heard = await asyncio.gather(*asking[1:])
            assert all(said(message) for message in heard)
            assert len(outside.asked) == 1

    run(case)


def test_a_guest_has_so_many_questions_outstanding_and_takes_no_place_of_another(monkeypatch):
    monkeypatch.setattr(forward, "PER_GUEST", 4)

    async def case():
        async with world(zone_file(EXAMPLE, "NXDOMAIN")) as outside:
            made = resolver(outside.address)
            outside.gate.clear()
            asking = [asyncio.create_task(hear(made, f"{n}.example.com")) for n in range(4)]
            await until(lambda: len(outside.asked) == 4)
            heard = await hear(made, "one-more.example.com", use_edns=0)
            assert (heard.rcode(), explanation(heard)) == (
                dns.rcode.SERVFAIL,
                "too many questions are outstanding",
            )
            asking.append(asyncio.create_task(hear(made, "other.example.com", who=guest(vni=2))))
            await until(lambda: len(outside.asked) == 5)
            outside.gate.set()
            assert {message.rcode() for message in await asyncio.gather(*asking)} == {dns.rcode.NXDOMAIN}
            assert (await hear(made, "one-more.example.com")).rcode() == dns.rcode.NXDOMAIN

    run(case)


def test_guests_that_ask_a_lot_leave_something_to_those_who_ask_little(monkeypatch):
    monkeypatch.setattr(forward, "AT_ALL", 16)

    async def case():
        async with world(zone_file(EXAMPLE)) as outside:
            made = resolver(outside.address)
            outside.gate.clear()
            asking: list[asyncio.Task] = []
            for number in (1, 2, 3):
                one = with_number(guest(), number)
                names = [f"{number}-{n}.example.com" for n in range(20)]
                asking.extend(asyncio.create_task(hear(made, name, who=one)) for name in names)
                await until(lambda: len(outside.asked) + sum(task.done() for task in asking) == len(asking))
            assert [len([1 for task in asking[n : n + 20] if not task.done()]) for n in (0, 20, 40)] == [
                8,
                4,
                2,
            ]
            modest = asyncio.create_task(hear(made, "www.example.com", who=with_number(guest(), 4)))
            await until(lambda: len(outside.asked) == 15)
            outside.gate.set()
            assert said(await modest)
            await asyncio.gather(*asking)

    run(case)


def test_closing_ends_what_is_outstanding():
    async def case():
        async with world(zone_file(EXAMPLE)) as outside:
            made = resolver(outside.address)
            outside.gate.clear()
            asking = asyncio.create_task(hear(made, "www.example.com"))
            await until(lambda: len(outside.asked) == 1)
            await made.close()
            with pytest.raises(asyncio.CancelledError):
                await asking

    run(case)


@pytest.mark.parametrize(
    ("text", "address", "port"),
    [
        ("192.0.2.1", "192.0.2.1", 53),
        ("192.0.2.1:5353", "192.0.2.1", 5353),
        ("2001:db8::1", "2001:db8::1", 53),
        ("[2001:db8::1]", "2001:db8::1", 53),
        ("[2001:db8::1]:5353", "2001:db8::1", 5353),
    ],
)
def test_an_upstream_is_an_address_and_perhaps_a_port(text, address, port):
    assert upstream.upstream(text) == (address, port)


@pytest.mark.parametrize(
    "text", ["", "example.com", "192.0.2.1:", "192.0.2.1:0", "192.0.2.1:65536", "[192.0.2.1", "[::1]x"]
)
def test_anything_else_is_no_upstream(text):
    with pytest.raises(ValueError):
        upstream.upstream(text)
