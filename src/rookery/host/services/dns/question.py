"""What a guest asks, read from the bytes it sent: the header, one question and EDNS (RFC 1035, 6891, 9619).

By hand, for it is the first to see whatever a guest may send, a thousand times a second, and because the question must be
echoed byte by byte: resolvers hide entropy in the case of its letters. No pointer is followed, so none leads in circles."""

from __future__ import annotations

import struct
from typing import NamedTuple

import dns.flags
import dns.rcode
import dns.rdatatype

from rookery.host.services.dns.wire_name import LONGEST_LABEL

HEADER = struct.Struct("!HHHHHH")
RECORD = struct.Struct("!HHIH")  # type, class, TTL, length, behind a record's name
LONGEST_NAME = 255

# Plain numbers, for enumerations take their time.
QR, AA, TC, RD, RA, CD = (
    int(flag) for flag in (dns.flags.QR, dns.flags.AA, dns.flags.TC, dns.flags.RD, dns.flags.RA, dns.flags.CD)
)
DO = int(dns.flags.DO)
OPCODE = 0x7800
OPT = int(dns.rdatatype.OPT)


class Unreadable(Exception):
    """No query. Caught by the server."""


class Silent(Unreadable):
    """Not even that can be said: no header, or an answer."""


class Refused(Unreadable):
    """The header can be read: what follows is malformed, or not for a resolver."""

    def __init__(self, rcode: dns.rcode.Rcode) -> None:
        super().__init__(rcode)
        self.rcode = rcode


class Edns(NamedTuple):
    payload: int  # bytes that the asker takes over UDP
    version: int
    dnssec: bool  # wants DNSSEC's records


class Query(NamedTuple):
    identifier: int
    flags: int
    question: bytes  # name, type and class as asked
    name: bytes  # lower case
    rtype: int
    rclass: int
    edns: Edns | None


def read(wire: bytes) -> Query:
    """Raises Unreadable."""
    if len(wire) < HEADER.size:
        raise Silent
    identifier, flags, questions, *others = HEADER.unpack_from(wire)
    if flags & QR:
        raise Silent
    if flags & OPCODE:  # QUERY is 0
        raise Refused(dns.rcode.NOTIMP)
    if questions != 1 or others[0] or others[1]:
        raise Refused(dns.rcode.FORMERR)
    try:
        return _read_whole(wire, identifier, flags, others[2])
    except (struct.error, IndexError) as error:  # it ends too early
        raise Refused(dns.rcode.FORMERR) from error


def _read_whole(wire: bytes, identifier: int, flags: int, additional: int) -> Query:
    end = _skip_name(wire, HEADER.size)
    rtype, rclass = struct.unpack_from("!HH", wire, end)
    edns = _read_edns(wire, end + 4, additional)
    question, name = wire[HEADER.size : end + 4], wire[HEADER.size : end].lower()
    return Query(identifier, flags, question, name, rtype, rclass, edns)


def _skip_name(wire: bytes, start: int) -> int:
    at = start
    while length := wire[at]:
        at += 1 + length
        if length > LONGEST_LABEL or at - start >= LONGEST_NAME:
            raise Refused(dns.rcode.FORMERR)
    return at + 1


def _read_edns(wire: bytes, at: int, records: int) -> Edns | None:
    """Of the additional section; anything else there (a signature) is passed over."""
    found = None
    for _ in range(records):
        start, at = at, _skip_name(wire, at)
        rtype, rclass, ttl, length = RECORD.unpack_from(wire, at)
        at += RECORD.size + length
        if rtype == OPT:
            if found or wire[start]:
                raise Refused(dns.rcode.FORMERR)
            found = Edns(rclass, ttl >> 16 & 0xFF, bool(ttl & DO))
    if at != len(wire):
        raise Refused(dns.rcode.FORMERR)
    return found
