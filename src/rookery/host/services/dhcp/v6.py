"""DHCPv6 (RFC 8415) for a guest. Pure and without memory, as for IPv4: a client gets the addresses of its interface, all of
them, for whatever identity association it names first.

Besides addresses it says nothing: subnets have IPv4 too, and names and servers come with that.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import NamedTuple

from rookery.host.services.view import Guest
from rookery.intent.host import InterfaceIntent

VALID_BEYOND_PREFERRED = 310  # seconds; with the default of 140, what AWS hands out: 140 and 450
LONGEST = 4096
IP_AND_UDP = 48
DUID_LINK_LAYER, ETHERNET = 3, 1
IDENTITY = struct.Struct("!4sII")  # IAID, T1, T2
LEASE = struct.Struct("!16sII")  # address, preferred, valid
HEADER = struct.Struct("!HH")  # of an option


class Kind(IntEnum):
    SOLICIT = 1
    ADVERTISE = 2
    REQUEST = 3
    CONFIRM = 4
    RENEW = 5
    REBIND = 6
    REPLY = 7
    RELEASE = 8
    DECLINE = 9
    INFORMATION_REQUEST = 11


KINDS = frozenset(Kind)


class Option(IntEnum):
    CLIENT = 1
    SERVER = 2
    ADDRESSES = 3  # IA_NA
    TEMPORARY_ADDRESSES = 4  # IA_TA
    ADDRESS = 5
    STATUS = 13
    RAPID_COMMIT = 14
    PREFIXES = 25  # IA_PD


class Status(IntEnum):
    SUCCESS = 0
    NO_ADDRESSES = 2
    NOT_ON_LINK = 4
    NO_PREFIXES = 6


NAMES_ITS_SERVER = {Kind.REQUEST, Kind.RENEW, Kind.RELEASE, Kind.DECLINE}
MAY_NAME_ITS_SERVER = {Kind.INFORMATION_REQUEST}
MUST_NAME_ITSELF = set(Kind) - {Kind.INFORMATION_REQUEST}
ASSIGNS = {Kind.SOLICIT, Kind.REQUEST, Kind.RENEW, Kind.REBIND}
IDENTITIES = (Option.ADDRESSES, Option.TEMPORARY_ADDRESSES, Option.PREFIXES)


class Question(NamedTuple):
    kind: Kind
    transaction: bytes  # 3
    options: list[tuple[int, bytes]]  # in the client's order

    def first(self, option: Option) -> bytes | None:
        return next((value for number, value in self.options if number == option), None)

    def all(self, *wanted: Option) -> Iterator[tuple[int, bytes]]:
        return (option for option in self.options if option[0] in wanted)


def answer(message: bytes, guest: Guest) -> bytes | None:
    """It goes where the message came from. None: nothing is said to that."""
    question = parse(message)
    if question is None or not _is_for_us(question, guest.interface):
        return None
    said = _said(question, guest.interface)
    if said is None:
        return None
    kind, options = said
    client = question.first(Option.CLIENT)
    names = ([(Option.CLIENT, client)] if client else []) + [(Option.SERVER, server_identity(guest.interface))]
    return bytes((kind,)) + question.transaction + b"".join(_encoded(*option) for option in (*names, *options))


def server_identity(interface: InterfaceIntent) -> bytes:
    """A DUID of the router's MAC, which follows from the subnet: every host has the same, today and after a restart."""
    return HEADER.pack(DUID_LINK_LAYER, ETHERNET) + bytes.fromhex(interface.router_mac.replace(":", ""))


def parse(message: bytes) -> Question | None:
    """None: not well-formed, or nothing that a client says."""
    if not 4 <= len(message) <= LONGEST or message[0] not in KINDS:
        return None
    kind = Kind(message[0])
    options = _options(message[4:])
    if options is None or kind in (Kind.ADVERTISE, Kind.REPLY):
        return None
    return Question(kind, message[1:4], options)


def _is_for_us(question: Question, interface: InterfaceIntent) -> bool:
    """RFC 8415 section 16: who must name whom."""
    client, server = question.first(Option.CLIENT), question.first(Option.SERVER)
    if question.kind in MUST_NAME_ITSELF and not client:
        return False
    if question.kind in NAMES_ITS_SERVER:
        return server == server_identity(interface)
    if question.kind in MAY_NAME_ITS_SERVER:
        return server in (None, server_identity(interface)) and not any(question.all(*IDENTITIES))
    return server is None


def _said(question: Question, interface: InterfaceIntent) -> tuple[Kind, list[tuple[Option, bytes]]] | None:
    """Kind of the answer, and its options."""
    if question.kind == Kind.SOLICIT and question.first(Option.RAPID_COMMIT) is None:
        return Kind.ADVERTISE, list(_identities(question, interface))
    if question.kind in ASSIGNS:
        rapid = [(Option.RAPID_COMMIT, b"")] if question.kind == Kind.SOLICIT else []
        return Kind.REPLY, rapid + list(_identities(question, interface))
    if question.kind == Kind.CONFIRM:
        return _confirmed(question, interface)
    if question.kind in (Kind.RELEASE, Kind.DECLINE):  # the addresses stay the interface's own
        return Kind.REPLY, [_status(Status.SUCCESS)]
    return Kind.REPLY, []


def _confirmed(question: Question, interface: InterfaceIntent) -> tuple[Kind, list[tuple[Option, bytes]]] | None:
    """Whether the client is still in its subnet. One that names no address gets no answer (RFC 8415 section 18.3.3)."""
    named = [address for _, identity in question.all(Option.ADDRESSES) for address in _addresses_in(identity)]
    if not named:
        return None
    return Kind.REPLY, [_status(Status.SUCCESS if _on_link(named, interface) else Status.NOT_ON_LINK)]


def _identities(question: Question, interface: InterfaceIntent) -> Iterator[tuple[Option, bytes]]:
    """The first association for addresses gets them; every other hears that there is nothing for it."""
    given = False
    for number, identity in question.all(*IDENTITIES):
        name = identity[:4]
        if number == Option.PREFIXES:
            yield Option.PREFIXES, IDENTITY.pack(name, 0, 0) + _encoded(*_status(Status.NO_PREFIXES))
        elif number == Option.TEMPORARY_ADDRESSES:
            yield Option.TEMPORARY_ADDRESSES, name + _encoded(*_status(Status.NO_ADDRESSES))
        elif given or not interface.ipv6_addresses:
            yield Option.ADDRESSES, IDENTITY.pack(name, 0, 0) + _encoded(*_status(Status.NO_ADDRESSES))
        else:
            given = True
            yield Option.ADDRESSES, _association(question, identity, interface)


def _association(question: Question, identity: bytes, interface: InterfaceIntent) -> bytes:
    """Addresses that the client names and has no more are named with no time left, so that it drops them."""
    named = _addresses_in(identity)
    if question.kind == Kind.REQUEST and not _on_link(named, interface):
        return IDENTITY.pack(identity[:4], 0, 0) + _encoded(*_status(Status.NOT_ON_LINK))
    preferred = interface.services.dhcp.ipv6_preferred_seconds
    own = [ipaddress.IPv6Address(address) for address in interface.ipv6_addresses[: _room(question, interface)]]
    leases = [(address, preferred, preferred + VALID_BEYOND_PREFERRED) for address in own]
    if question.kind in (Kind.RENEW, Kind.REBIND):
        leases += [(address, 0, 0) for address in dict.fromkeys(named) if address not in own]
    body = b"".join(_encoded(Option.ADDRESS, LEASE.pack(address.packed, *times)) for address, *times in leases)
    return IDENTITY.pack(identity[:4], preferred // 2, preferred * 4 // 5) + body


def _room(question: Question, interface: InterfaceIntent) -> int:
    """How many addresses an answer has room for that is one packet: some fifty of a small MTU."""
    names = len(question.first(Option.CLIENT) or b"") + len(server_identity(interface))
    options = 4 * HEADER.size + names + IDENTITY.size  # of both names, rapid commit and the association
    return (interface.mtu - IP_AND_UDP - 4 - options) // (HEADER.size + LEASE.size)


def _addresses_in(identity: bytes) -> list[ipaddress.IPv6Address]:
    """Of an IA_NA that parse() has seen."""
    inner = _options(identity[IDENTITY.size :]) or []
    return [ipaddress.IPv6Address(value[:16]) for number, value in inner if number == Option.ADDRESS]


def _on_link(addresses: Iterable[ipaddress.IPv6Address], interface: InterfaceIntent) -> bool:
    blocks = interface.services.subnet_ipv6_cidrs or [
        f"{address}/{interface.ipv6_prefix_length}" for address in interface.ipv6_addresses
    ]
    networks = [ipaddress.IPv6Network(block, strict=False) for block in blocks]
    return all(any(address in network for network in networks) for address in addresses)


def _status(status: Status) -> tuple[Option, bytes]:
    return Option.STATUS, int(status).to_bytes(2, "big")


def _encoded(option: Option, value: bytes) -> bytes:
    return HEADER.pack(option, len(value)) + value


SHORTEST_OPTION = {
    Option.ADDRESSES: IDENTITY.size,
    Option.TEMPORARY_ADDRESSES: 4,
    Option.PREFIXES: IDENTITY.size,
    Option.ADDRESS: LEASE.size,
}


def _options(area: bytes) -> list[tuple[int, bytes]] | None:
    """None: they do not add up, here or inside of an association for addresses."""
    found: list[tuple[int, bytes]] = []
    at = 0
    while at < len(area):
        if at + HEADER.size > len(area):
            return None
        number, length = HEADER.unpack_from(area, at)
        value = area[at + HEADER.size : at + HEADER.size + length]
        at += HEADER.size + length
        if len(value) != length or length < SHORTEST_OPTION.get(number, 0):
            return None
        if number == Option.ADDRESSES and _options(value[IDENTITY.size :]) is None:
            return None
        found.append((number, value))
    return found
