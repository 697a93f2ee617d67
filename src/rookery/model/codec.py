"""How a thing is written in the store: JSON, so that a person can read a row. The only place that knows."""

from __future__ import annotations

from functools import cache
from typing import TypeVar

import msgspec

from rookery.model.balancers import BALANCING
from rookery.model.keys import INTENDED
from rookery.model.objects import RESOURCES, Resource

T = TypeVar("T", bound=msgspec.Struct)

KINDS: dict[str, type[Resource]] = {kind.KIND: kind for kind in (*RESOURCES, *BALANCING)}


def encode(thing: msgspec.Struct) -> bytes:
    return msgspec.json.encode(thing)


def decode(kind: type[T], value: bytes) -> T:
    """Raises msgspec.DecodeError: somebody else wrote into this store."""
    return _decoder(kind).decode(value)


def kind_of(key: str) -> str:
    """The kind's word in an `intended/` key ("subnet"); empty for any other key."""
    parts = key.split("/")
    return parts[3] if len(parts) == 5 and key.startswith(INTENDED) else ""


def decode_resource(key: str, value: bytes) -> Resource:
    """What lies at an `intended/` key. Raises msgspec.DecodeError, or KeyError for a kind of a newer version."""
    return decode(KINDS[kind_of(key)], value)


@cache
def _decoder(kind: type[T]) -> msgspec.json.Decoder[T]:
    return msgspec.json.Decoder(kind)
