"""A DHCPv4 message (RFC 2131 section 2, options RFC 2132): bytes to fields and back. What is not well-formed is None."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterable, Iterator, Mapping
from enum import IntEnum
from typing import NamedTuple

HEADER = struct.Struct("!BBBB4sHH4s4s4s4s16s64s128s4s")
COOKIE = bytes((99, 130, 83, 99))
ETHERNET, MAC_BYTES = 1, 6
BROADCAST_FLAG = 0x8000
SHORTEST = 300  # RFC 1542 section 2.1: old clients take nothing shorter
IP_AND_UDP = 28
MUST_TAKE = 576  # RFC 2131 section 2: a datagram that every client takes
LONGEST_OPTION = 255
NONE = "0.0.0.0"


class Op(IntEnum):
    REQUEST = 1
    REPLY = 2


class Kind(IntEnum):
    DISCOVER = 1
    OFFER = 2
    REQUEST = 3
    DECLINE = 4
    ACK = 5
    NAK = 6
    RELEASE = 7
    INFORM = 8


KINDS = frozenset(Kind)


class Option(IntEnum):
    PAD = 0
    SUBNET_MASK = 1
    ROUTERS = 3
    NAME_SERVERS = 6
    HOST_NAME = 12
    DOMAIN_NAME = 15
    MTU = 26
    BROADCAST_ADDRESS = 28
    NTP_SERVERS = 42
    NETBIOS_NAME_SERVERS = 44
    NETBIOS_NODE_TYPE = 46
    REQUESTED_ADDRESS = 50
    LEASE_SECONDS = 51
    OVERLOAD = 52
    KIND = 53
    SERVER = 54
    PARAMETERS = 55
    TEXT = 56
    LARGEST_MESSAGE = 57
    RENEWAL_SECONDS = 58
    REBINDING_SECONDS = 59
    CLIENT = 61
    END = 255


class Question(NamedTuple):
    """What a client said."""

    kind: Kind
    transaction: bytes  # 4
    broadcast: bool  # it cannot take unicast yet
    client_address: str  # ciaddr; 0.0.0.0: it has none
    mac: bytes
    hardware: bytes  # all 16 of chaddr
    options: Mapping[int, bytes]

    def address(self, option: Option) -> str:
        """Empty: the client did not name one, or no address."""
        value = self.options.get(option, b"")
        return str(ipaddress.IPv4Address(value)) if len(value) == 4 else ""

    @property
    def room(self) -> int:
        """Bytes of the longest message that the client takes."""
        value = self.options.get(Option.LARGEST_MESSAGE, b"")
        said = int.from_bytes(value, "big") if len(value) == 2 else 0
        return max(MUST_TAKE, said) - IP_AND_UDP


def parse(message: bytes) -> Question | None:
    """None: nothing that a client of an Ethernet device says."""
    if len(message) < HEADER.size:
        return None
    op, hardware, length, _, transaction, _, flags, client, _, _, relay, address, server, file, cookie = (
        HEADER.unpack_from(message)
    )
    if (op, hardware, length, cookie, relay) != (Op.REQUEST, ETHERNET, MAC_BYTES, COOKIE, bytes(4)):
        return None
    options = _options(message[HEADER.size :], file, server)
    kind = options.get(Option.KIND, b"") if options is not None else b""
    if options is None or len(kind) != 1 or kind[0] not in KINDS:
        return None
    return Question(
        kind=Kind(kind[0]),
        transaction=transaction,
        broadcast=bool(flags & BROADCAST_FLAG),
        client_address=str(ipaddress.IPv4Address(client)),
        mac=address[:MAC_BYTES],
        hardware=address,
        options=options,
    )


def reply(question: Question, client: str, yours: str, options: Iterable[tuple[Option, bytes]], room: int) -> bytes:
    """`client`: the address that it has; `yours`: the one that it gets. Options that do not fit into `room` bytes are left out: the first matter
    most."""
    taken, left = b"", room - HEADER.size - 1
    for option, value in options:
        encoded = b"".join(_encoded(option, value))
        if len(encoded) <= left:
            taken += encoded
            left -= len(encoded)
    header = HEADER.pack(
        Op.REPLY,
        ETHERNET,
        MAC_BYTES,
        0,
        question.transaction,
        0,
        BROADCAST_FLAG if question.broadcast else 0,
        ipaddress.IPv4Address(client).packed,
        ipaddress.IPv4Address(yours).packed,
        bytes(4),
        bytes(4),
        question.hardware,
        b"",
        b"",
        COOKIE,
    )
    return (header + taken + bytes((Option.END,))).ljust(SHORTEST, b"\0")


def _encoded(option: Option, value: bytes) -> Iterator[bytes]:
    """In pieces when it is long (RFC 3396)."""
    for start in range(0, max(1, len(value)), LONGEST_OPTION):
        piece = value[start : start + LONGEST_OPTION]
        yield bytes((option, len(piece))) + piece


def _options(area: bytes, file: bytes, server: bytes) -> dict[int, bytes] | None:
    """None: they do not add up. Those in the fields `file` and `sname`, too, when option 52 says so."""
    found: dict[int, bytes] = {}
    if not _collect(area, found):
        return None
    overload = int.from_bytes(found.get(Option.OVERLOAD, b""), "big")
    for bit, field in ((1, file), (2, server)):
        if overload & bit and not _collect(field, found):
            return None
    return found


def _collect(area: bytes, found: dict[int, bytes]) -> bool:
    """Pieces of one option are put together (RFC 3396)."""
    at = 0
    while at < len(area):
        option = area[at]
        if option == Option.END:
            return True
        if option == Option.PAD:
            at += 1
            continue
        if at + 1 >= len(area) or at + 2 + area[at + 1] > len(area):
            return False
        end = at + 2 + area[at + 1]
        found[option] = found.get(option, b"") + area[at + 2 : end]
        at = end
    return True  # some clients end without an end
