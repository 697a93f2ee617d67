"""One question to one resolver of the world, and its answer, believed only if it is an answer to just that question.

A socket for each: its port and the message's number are what a forger must guess (RFC 5452)."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import secrets
from typing import NamedTuple

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rrset

from rookery.host.services.dns.answer import OUR_PAYLOAD, Answer, Record

TIMEOUT = 2.0  # seconds; of both tries, should the answer be too long for UDP
LONGEST_TTL = 86_400  # seconds, whatever an answer says
PORT = 53
BRACKETED = re.compile(r"\[([^\]]*)\](?::([0-9]+))?")


class NoAnswer(Exception):
    """Caught by who asks: the next one may know."""


class Upstream(NamedTuple):
    address: str
    port: int


class WorldQuestion(NamedTuple):
    name: bytes  # on the wire, lower case
    rtype: int
    dnssec: bool  # wants signatures
    unchecked: bool  # wants what is signed wrongly, too


def upstream(text: str) -> Upstream:
    """192.0.2.1, 192.0.2.1:5353, 2001:db8::1 or [2001:db8::1]:5353. Raises ValueError."""
    host, port = text, str(PORT)
    if bracketed := BRACKETED.fullmatch(text):
        host, port = bracketed[1], bracketed[2] or port
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    if not (port.isdecimal() and 0 < int(port) < 1 << 16):
        raise ValueError(f"{text}: no port")
    return Upstream(str(ipaddress.ip_address(host)), int(port))


async def ask(asked: Upstream, question: WorldQuestion) -> Answer:
    """Raises NoAnswer."""
    message = _message(question)
    try:
        async with asyncio.timeout(TIMEOUT):
            response, _ = await dns.asyncquery.udp_with_fallback(
                message, asked.address, port=asked.port, ignore_unexpected=True, ignore_errors=True
            )
        return _answer(asked, response)
    except (
        dns.exception.DNSException,
        OSError,
        EOFError,
        ValueError,
    ) as error:  # of sockets, and of odd messages
        raise NoAnswer(f"{asked.address}: {error!r}") from error


def _message(question: WorldQuestion) -> dns.message.Message:
    """With the name's letters in one case: whoever answers is believed by port and number."""
    name, _ = dns.name.from_wire(question.name, 0)
    flags = dns.flags.RD | (dns.flags.CD if question.unchecked else 0)
    return dns.message.make_query(
        name,
        dns.rdatatype.RdataType.make(question.rtype),
        use_edns=0,
        want_dnssec=question.dnssec,
        payload=OUR_PAYLOAD,
        id=secrets.randbelow(1 << 16),
        flags=flags,
    )


def _answer(asked: Upstream, response: dns.message.Message) -> Answer:
    """AD is not passed on: nothing was checked here, and the way there is not safe."""
    rcode = response.rcode()
    if rcode not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        raise NoAnswer(f"{asked.address}: {dns.rcode.to_text(rcode)}")
    return Answer(
        rcode, _records(response.answer), _records(response.authority), _records(response.additional)
    )


def _records(section: list[dns.rrset.RRset]) -> tuple[Record, ...]:
    return tuple(
        Record(rrset.name.to_wire() or b"", rrset.rdtype, min(rrset.ttl, LONGEST_TTL), rdata.to_wire() or b"")
        for rrset in section
        for rdata in rrset
    )
