"""How the agent tells the services of its host what they must know: msgpack frames, each behind its length in four bytes (big
endian), on a unix socket that only root can open.

    agent -> services   Snapshot first (in parts), then Change after Change; a Snapshot again whenever the agent has one
    services -> agent   Serving, at once, whenever that changes, and every two seconds

FeedError   the other end speaks another language; caught by both ends, which hang up
"""

from __future__ import annotations

import asyncio

import msgspec

from rookery.intent.host import InstanceIntent, NameIntent, RuleKey, ZoneIntent

NameRow = NameIntent | ZoneIntent
NAME_ROWS = ("name", "zone")  # their tags, and the beginning of their keys

LENGTH_BYTES = 4
LARGEST_FRAME = 64 << 20


class FeedError(Exception):
    """A frame that no version of ours would send."""


class Snapshot(msgspec.Struct, frozen=True, kw_only=True, tag="snapshot"):
    """A part of all that there is: `first` begins anew, with `last` it is whole and replaces what was known."""

    first: bool
    last: bool
    instances: list[InstanceIntent] = []
    rows: list[NameRow] = []


class Change(msgspec.Struct, frozen=True, kw_only=True, tag="change", omit_defaults=True):
    """Since the snapshot or change before. Taking one in twice is no harm."""

    put_instances: list[InstanceIntent] = []
    delete_instances: list[str] = []
    put_rows: list[NameRow] = []
    delete_rows: list[RuleKey] = []


class Serving(msgspec.Struct, frozen=True, kw_only=True, tag="serving"):
    """Whether guests can reach the services."""

    problem: str = ""  # a sentence; empty: they can


_encode = msgspec.msgpack.Encoder().encode
_from_agent = msgspec.msgpack.Decoder(Snapshot | Change).decode
_from_services = msgspec.msgpack.Decoder(Serving).decode


def framed(frame: Snapshot | Change | Serving) -> bytes:
    body = _encode(frame)
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


async def from_agent(reader: asyncio.StreamReader) -> Snapshot | Change:
    """The next frame. Raises FeedError, asyncio.IncompleteReadError when the agent hung up."""
    body = await _body(reader)
    try:
        return _from_agent(body)
    except msgspec.DecodeError as error:
        raise FeedError(str(error)) from error


async def from_services(reader: asyncio.StreamReader) -> Serving:
    """As from_agent()."""
    body = await _body(reader)
    try:
        return _from_services(body)
    except msgspec.DecodeError as error:
        raise FeedError(str(error)) from error


async def _body(reader: asyncio.StreamReader) -> bytes:
    length = int.from_bytes(await reader.readexactly(LENGTH_BYTES), "big")
    if length > LARGEST_FRAME:
        raise FeedError(f"a frame of {length} bytes")
    return await reader.readexactly(length)
