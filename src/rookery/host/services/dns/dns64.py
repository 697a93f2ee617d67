"""Addresses of IPv6 for names that have only IPv4's (RFC 6147), in subnets with EnableDns64: a NAT gateway translates what is sent there.

As with AWS private names get them as well: a NAT gateway leads to whatever its own subnet's routes know."""

from __future__ import annotations

import ipaddress

import dns.rcode
import dns.rdatatype

from rookery.host.services.dns.answer import Answer, Record
from rookery.host.services.dns.found import TTL, Found
from rookery.host.services.dns.question import CD, Query
from rookery.host.services.dns.wire_name import wire_of
from rookery.host.services.view import Guest
from rookery.model.nat64 import PREFIX

A, AAAA, RRSIG = int(dns.rdatatype.A), int(dns.rdatatype.AAAA), int(dns.rdatatype.RRSIG)
SOA = int(dns.rdatatype.SOA)
MAPPED = bytes(10) + b"\xff\xff"  # ::ffff:0:0/96 is no address to speak to (5.1.4)
LONGEST_UNSAID = 600  # seconds, where no SOA says how long there is no AAAA (5.1.7)
PREFIX_BYTES = PREFIX.network_address.packed[:12]
REVERSE_LABELS = 32  # of an address in ip6.arpa
REVERSE = ".".join(reversed(PREFIX_BYTES.hex())) + ".ip6.arpa"


def wants(guest: Guest, query: Query, answer: Answer) -> bool:
    """Is there no AAAA, so that one may be made? A name that does not exist has none either (5.1.2); who validates for himself would find
    it forged (5.5)."""
    if query.rtype != AAAA or not guest.interface.services.dns64 or answer.rcode == dns.rcode.NXDOMAIN:
        return False
    if query.edns and query.edns.dnssec and query.flags & CD:
        return False
    return not any(_is_address(record) for record in answer.records)


def of_ipv4(query: Query) -> Query:
    """The same question about IPv4."""
    return query._replace(rtype=A)


def synthesized(answer: Answer, ipv4: Answer) -> Answer:
    """`answer`: that there is no AAAA; it stays where there is no A either."""
    if not any(record.rtype == A for record in ipv4.records):
        return answer
    longest = min((_negative_ttl(record) for record in answer.authority if record.rtype == SOA), default=LONGEST_UNSAID)
    records = tuple(_in_ipv6(record, longest) for record in ipv4.records if record.rtype != RRSIG)
    return ipv4._replace(records=records, authority=(), additional=())


def find_reverse(guest: Guest, name: str) -> Found | None:
    """A reverse name behind the prefix is another name of IPv4's (5.3.1)."""
    if not guest.interface.services.dns64 or not name.endswith("." + REVERSE) or name.count(".") != REVERSE_LABELS + 1:
        return None
    try:
        address = ipaddress.IPv4Address(bytes.fromhex("".join(reversed(name.split(".")[:8]))))
    except ValueError:
        return None
    alias = wire_of(address.reverse_pointer)
    return Found(REVERSE, True, (Record(wire_of(name), dns.rdatatype.CNAME, TTL, alias),), alias)


def _is_address(record: Record) -> bool:
    return record.rtype == AAAA and not record.rdata.startswith(MAPPED)


def _in_ipv6(record: Record, longest: int) -> Record:
    if record.rtype != A:
        return record
    return Record(record.owner, AAAA, min(record.ttl, longest), PREFIX_BYTES + record.rdata)


def _negative_ttl(authority: Record) -> int:
    """RFC 2308, 5."""
    return min(authority.ttl, int.from_bytes(authority.rdata[-4:], "big"))
