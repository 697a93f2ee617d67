"""A digest of what a host must hold, equal for equal intents whatever their order.

It is the sum, modulo 2^128, of one hash per row: a row that comes or goes is added or taken away, so that the service does
not go through a million rows to say whether a host still agrees with it. It guards against faults, not against
an attacker: the stream is authenticated by TLS.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any

import msgspec

from rookery.intent.host import HostIntent, InstanceIntent, MappingIntent, RouteIntent, RuleIntent

Row = InstanceIntent | MappingIntent | RouteIntent | RuleIntent
MODULUS = 1 << 128

_encode = msgspec.msgpack.Encoder().encode


def hash_of(row: Row) -> int:
    """Kinds of rows differ in their fields' names or in their tag, which are part of the encoding."""
    return _hash(_encode(row))


def sum_of(rows: Iterable[Row]) -> int:
    return sum(map(hash_of, rows)) % MODULUS


def digest_of_sum(host: str, rows: int) -> str:
    """`rows`: sum of the hashes of all rows of the host."""
    return f"{(rows + _hash(host.encode())) % MODULUS:032x}"


def digest_of(intent: HostIntent) -> str:
    """Of all rows and the host's name; not of the generation, which also rises when nothing changes here."""
    kinds: tuple[Mapping[Any, Row], ...] = (intent.instances, intent.mappings, intent.routes, intent.rules)
    return digest_of_sum(intent.host, sum(sum_of(rows.values()) for rows in kinds))


def _hash(content: bytes) -> int:
    return int.from_bytes(blake2b(content, digest_size=16).digest(), "big")
