"""What the mapping service and a host say to each other: msgpack frames in a websocket over mTLS on the substrate.

The host's name is in its certificate, never in a message.

    host -> service   Hello, Applied, InstanceReport, ConsoleReport (any number, any time)
    service -> host   Snapshot first (in parts: the last one says so), then Delta after Delta, and a Digest now and then

A host applies a delta only on top of the generation it names as `base`; anything else, or a digest that differs, makes the
host send Hello again, which is answered by a new snapshot.
"""

from __future__ import annotations

import msgspec

from rookery.intent.host import InstanceIntent, MappingIntent, RouteIntent, RuleIntent, RuleKey
from rookery.model.objects import ConsoleOutput, InstanceStatus

PORT = 4581
PROTOCOL_VERSION = 3
SNAPSHOT_PART_ROWS = 20_000


class Hello(msgspec.Struct, frozen=True, tag="hello"):
    version: int = PROTOCOL_VERSION


class Applied(msgspec.Struct, frozen=True, tag="applied"):
    """Everything up to this generation is in this host's kernel maps."""

    generation: int


class InstanceReport(msgspec.Struct, frozen=True, tag="instances"):
    statuses: list[InstanceStatus]


class ConsoleReport(msgspec.Struct, frozen=True, tag="consoles"):
    outputs: list[ConsoleOutput]


class Snapshot(msgspec.Struct, frozen=True, tag="snapshot", kw_only=True):
    generation: int
    host: str  # the service's name for this host
    last: bool
    instances: list[InstanceIntent] = []
    mappings: list[MappingIntent] = []
    routes: list[RouteIntent] = []
    rules: list[RuleIntent] = []


class Delta(msgspec.Struct, frozen=True, tag="delta", kw_only=True, omit_defaults=True):
    base: int
    generation: int
    put_instances: list[InstanceIntent] = []
    put_mappings: list[MappingIntent] = []
    put_routes: list[RouteIntent] = []
    put_rules: list[RuleIntent] = []
    delete_instances: list[str] = []
    delete_mappings: list[tuple[int, str]] = []
    delete_routes: list[tuple[int, str]] = []
    delete_rules: list[RuleKey] = []


class Digest(msgspec.Struct, frozen=True, tag="digest"):
    """`digest` = rookery.intent.digest.digest_of(host intent), at this generation."""

    generation: int
    digest: str


FromHost = Hello | Applied | InstanceReport | ConsoleReport
ToHost = Snapshot | Delta | Digest

encode = msgspec.msgpack.Encoder().encode
_from_host = msgspec.msgpack.Decoder(FromHost).decode
_to_host = msgspec.msgpack.Decoder(ToHost).decode


def from_host(frame: bytes | str) -> FromHost:
    """Raises msgspec.DecodeError."""
    return _from_host(_binary(frame))


def to_host(frame: bytes | str) -> ToHost:
    """Raises msgspec.DecodeError."""
    return _to_host(_binary(frame))


def _binary(frame: bytes | str) -> bytes:
    if isinstance(frame, str):
        raise msgspec.DecodeError("a text frame: the protocol has none")
    return frame
