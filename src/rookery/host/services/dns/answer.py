"""What is answered, and its bytes: the question as asked, records behind it, cut to what the asker takes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import dns.rdataclass
from dns.edns import EDECode

from rookery.host.services.dns.question import AA, CD, DO, HEADER, OPCODE, OPT, QR, RA, RD, RECORD, TC, Query
from rookery.host.services.dns.wire_name import ROOT, ancestors

OUR_PAYLOAD = 1232  # bytes over UDP that we take of a guest, as on the DNS flag day of 2020
LARGEST_PAYLOAD = 4096  # ... and that we give, whatever it takes
WITHOUT_EDNS = 512
OVER_TCP = 65_535
IP_AND_UDP = 48  # IPv6, the larger one

IN = int(dns.rdataclass.IN)
POINTER = 0xC000  # and an offset of 14 bits
ECHOED = OPCODE | RD | CD
OPTION_EXPLANATION = 15  # RFC 8914


class Record(NamedTuple):
    owner: bytes  # as on the wire
    rtype: int
    ttl: int  # seconds
    rdata: bytes  # names in it whole, without pointers


class Answer(NamedTuple):
    rcode: int
    records: tuple[Record, ...] = ()
    authority: tuple[Record, ...] = ()
    additional: tuple[Record, ...] = ()
    authoritative: bool = False  # the name asked for is one that we make up
    explanation: tuple[EDECode, str] | None = None


def refusal(wire: bytes, rcode: int) -> bytes:
    """To a message of which no more than the header can be read."""
    identifier, flags, *_ = HEADER.unpack_from(wire)
    return HEADER.pack(identifier, _flags(flags, rcode), 0, 0, 0, 0)


def limit(query: Query, mtu: int, over_tcp: bool) -> int:
    """Bytes of the largest answer. Over UDP one packet of the guest's MTU: fragments are lost too easily (RFC 9715)."""
    if over_tcp:
        return OVER_TCP
    asked = query.edns.payload if query.edns else WITHOUT_EDNS
    return max(WITHOUT_EDNS, min(asked, LARGEST_PAYLOAD, mtu - IP_AND_UDP))


def aged(answer: Answer, seconds: int) -> Answer:
    """The same after so long."""

    def older(records: tuple[Record, ...]) -> tuple[Record, ...]:
        return tuple(record._replace(ttl=max(0, record.ttl - seconds)) for record in records)

    return answer._replace(
        records=older(answer.records), authority=older(answer.authority), additional=older(answer.additional)
    )


def write(query: Query, answer: Answer, most: int) -> bytes:
    """`most` bytes. What does not fit goes: the additional section first, then all records, and TC says so."""
    flags = _flags(query.flags, answer.rcode) | (AA if answer.authoritative else 0)
    edns = _edns(query, answer)
    sections = (answer.records, answer.authority, answer.additional)
    whole = _message(query, flags, sections, edns)
    if len(whole) > most and answer.additional:
        whole = _message(query, flags, (*sections[:2], ()), edns)
    if len(whole) > most:
        whole = _message(query, flags | TC, ((), (), ()), edns)
    return whole


def _flags(asked: int, rcode: int) -> int:
    return QR | RA | asked & ECHOED | rcode & 0xF


def _message(query: Query, flags: int, sections: tuple[tuple[Record, ...], ...], edns: bytes) -> bytes:
    first, second, third = (len(section) for section in sections)
    header = HEADER.pack(query.identifier, flags, 1, first, second, third + bool(edns))
    out = bytearray(header + query.question)
    places: dict[bytes, int] = {}
    _remember(query.name, HEADER.size, places)
    for section in sections:
        _append(out, section, places)
    return bytes(out + edns)


def _append(out: bytearray, records: Iterable[Record], places: dict[bytes, int]) -> None:
    for record in records:
        owner, at = _compressed(record.owner, places), len(out)
        out += owner
        _remember(record.owner.lower(), at, places)
        out += RECORD.pack(record.rtype, IN, record.ttl, len(record.rdata))
        out += record.rdata


def _compressed(name: bytes, places: dict[bytes, int]) -> bytes:
    """The labels that were not yet written, and a pointer to the rest."""
    at = 0
    while name[at]:
        if place := places.get(name[at:].lower()):
            return name[:at] + (POINTER | place).to_bytes(2, "big")
        at += 1 + name[at]
    return name


def _remember(name: bytes, at: int, places: dict[bytes, int]) -> None:
    """Where the name and what it lies in can be found; of a compressed one the first labels only, which are new."""
    for suffix in ancestors(name):
        place = at + len(name) - len(suffix)
        if suffix in places or place >= POINTER ^ 0xFFFF:
            return
        places[suffix] = place


def _edns(query: Query, answer: Answer) -> bytes:
    """Our own OPT record, if the asker knows what that is."""
    if not query.edns:
        return b""
    extended = answer.rcode >> 4 << 24 | (DO if query.edns.dnssec else 0)
    options = b""
    if answer.explanation:
        code, text = answer.explanation
        said = code.to_bytes(2, "big") + text.encode()
        options = OPTION_EXPLANATION.to_bytes(2, "big") + len(said).to_bytes(2, "big") + said
    return ROOT + RECORD.pack(OPT, OUR_PAYLOAD, extended, len(options)) + options
