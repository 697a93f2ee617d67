"""What is known here of a name."""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

import dns.rdatatype

from rookery.host.services.dns.answer import Record
from rookery.host.services.dns.wire_name import ROOT, wire_of

TTL = 60  # seconds; as observed of AWS's private names
NEGATIVE_TTL = 10  # seconds: an instance may be launched under a name that somebody has just looked for
SERIAL, REFRESH, RETRY, EXPIRE = 1, 7200, 900, 1_209_600  # of zones that no secondary server ever copies


class Found(NamedTuple):
    zone: str  # in which it lies
    exists: bool
    records: tuple[Record, ...] = ()  # all of the name
    alias: bytes = b""  # what it is another name of, on the wire, lower case


def nothing(zone: str) -> Found:
    return Found(zone, exists=False)


def addresses(zone: str, name: str, found: tuple[str, ...]) -> Found:
    """A name with these addresses, of both families."""
    owner = wire_of(name)
    return Found(zone, True, tuple(_address(owner, address) for address in found))


def pointer(zone: str, name: str, target: str) -> Found:
    """A reverse name."""
    return Found(zone, True, (Record(wire_of(name), dns.rdatatype.PTR, TTL, wire_of(target)),))


def start_of_authority(zone: str) -> Record:
    """Says how long a resolver may remember that there is nothing (RFC 2308)."""
    owner = wire_of(zone)
    numbers = struct.pack("!IIIII", SERIAL, REFRESH, RETRY, EXPIRE, NEGATIVE_TTL)
    return Record(owner, dns.rdatatype.SOA, NEGATIVE_TTL, owner + ROOT + numbers)  # ROOT: nobody to write to


def _address(owner: bytes, address: str) -> Record:
    if ":" in address:
        return Record(owner, dns.rdatatype.AAAA, TTL, socket.inet_pton(socket.AF_INET6, address))
    return Record(owner, dns.rdatatype.A, TTL, socket.inet_pton(socket.AF_INET, address))
