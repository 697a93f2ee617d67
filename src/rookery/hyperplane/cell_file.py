"""The file of a cell: one object, as long on its first day as on its last, whatever is in it.

    magic (8)  BLAKE2b of all that follows (32)  head (HEAD_BYTES)  nodes  attachments  addresses  services  choices  targets  checks

Every kind has a fixed number of rows of a fixed number of bytes: two bytes of length (big-endian), MessagePack, zeros. A row not in
use is all zeros. An attachment's addresses and a service's choices are rows of their own, which begin with the number of the row they
belong to; a health check is a row of its target group's. Nodes fetch it every two seconds (sooner when there are news) and build all
of their tables from it: the same work whether nothing or everything changed.

CellFileError
 +- Damaged    not whole, or of another version: the node goes on with what it has
 +- TooLarge   the cell has no room for so much: the controller goes on with the file that there is
 +- Refused    whole, but it does not follow on what the node has
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple, TypeVar

import msgspec

from rookery.intent.cell import (
    PLACES_MAX,
    AttachmentIntent,
    CellIntent,
    HealthCheckIntent,
    NodeIntent,
    ServiceIntent,
    TargetIntent,
)

MAGIC = b"ROOKCELL"
VERSION = 2
HASH_BYTES = 32
KEY_BYTES = 16
HEAD_BYTES = 512
LENGTH_BYTES = 2

NO_CHECK = HealthCheckIntent()

T = TypeVar("T", bound=msgspec.Struct)


class CellFileError(Exception):
    """Root of what may be wrong with a cell's file."""


class Damaged(CellFileError):
    """Caught by who fetches it."""


class TooLarge(CellFileError):
    """Caught by the controller."""


class Refused(CellFileError):
    """Caught by the node's agent, which reports it."""


class Kind(NamedTuple):
    """So many rows of so many bytes."""

    rows: int
    bytes: int


NODES = Kind(PLACES_MAX, 128)
ATTACHMENTS = Kind(512, 512)
ADDRESSES = Kind(2048, 32)  # of NAT gateways
SERVICES = Kind(128, 256)
CHOICES = Kind(2048, 24)  # all services' together
TARGETS = Kind(1024, 256)
CHECKS = Kind(128, 2048)  # of target groups that a listener leads to; a path has up to 1,024 characters, a matcher 800
KINDS = (NODES, ATTACHMENTS, ADDRESSES, SERVICES, CHOICES, TARGETS, CHECKS)
FILE_BYTES = len(MAGIC) + HASH_BYTES + HEAD_BYTES + sum(kind.rows * kind.bytes for kind in KINDS)


class TargetRow(NamedTuple):
    """`generation` is raised whenever the row goes to another target, so that flows of the one before are told from its own."""

    generation: int
    target: TargetIntent | None  # None: free


class CellFile(msgspec.Struct, frozen=True, kw_only=True):
    intent: CellIntent
    rows: tuple[TargetRow, ...] = ()  # of intent.targets: a target keeps its row for life
    key: bytes  # of the hash that places flows: KEY_BYTES, the cell's secret
    epoch: int
    current: tuple[int, ...]  # the ring: places
    previous: tuple[int, ...]  # the ring before; the same: every node uses the current one
    ring_since: int = 0  # epoch of the first file with these rings
    beat: int = 0  # files that came by the clock: a file that came early for news has that of the one before
    ring_beat: int = 0  # beat of the first file with these rings
    removal_epoch: int = 0  # of the newest file from which rows went because that was meant


class _Head(msgspec.Struct, array_like=True):
    version: int
    cell: str
    generation: int
    key: bytes
    epoch: int
    current: tuple[int, ...]
    previous: tuple[int, ...]
    ring_since: int
    beat: int
    ring_beat: int
    removal_epoch: int


class _Address(msgspec.Struct, array_like=True):
    attachment: int  # row
    draining: bool
    address: str


class _Target(msgspec.Struct, array_like=True):
    generation: int
    target: TargetIntent | None


class _Check(msgspec.Struct, array_like=True):
    group: str
    check: HealthCheckIntent


class _Choice(msgspec.Struct, array_like=True):
    service: int  # row
    target: int  # row
    weight: int


def encode(file: CellFile) -> bytes:
    """Always FILE_BYTES. Raises TooLarge."""
    intent = file.intent
    head = _Head(
        version=VERSION,
        cell=intent.cell,
        generation=intent.generation,
        key=file.key,
        epoch=file.epoch,
        current=file.current,
        previous=file.previous,
        ring_since=file.ring_since,
        beat=file.beat,
        ring_beat=file.ring_beat,
        removal_epoch=file.removal_epoch,
    )
    content = b"".join(
        (
            _packed(head, HEAD_BYTES, "the head"),
            _section(NODES, intent.nodes, "nodes"),
            _section(ATTACHMENTS, map(_without_addresses, intent.attachments), "attachments"),
            _section(ADDRESSES, _addresses(intent.attachments), "addresses of NAT gateways"),
            _section(SERVICES, map(_without_choices, intent.services), "services"),
            _section(CHOICES, _choices(file), "choices of targets"),
            _section(TARGETS, map(_without_check, file.rows), "targets"),
            _section(CHECKS, _checks(row.target for row in file.rows if row.target), "target groups"),
        )
    )
    return MAGIC + blake2b(content, digest_size=HASH_BYTES).digest() + content


def _without_addresses(attachment: AttachmentIntent) -> AttachmentIntent:
    return msgspec.structs.replace(attachment, addresses=(), draining_addresses=())


def _without_choices(service: ServiceIntent) -> ServiceIntent:
    return msgspec.structs.replace(service, choices=())


def _without_check(row: TargetRow) -> _Target:
    target = msgspec.structs.replace(row.target, check=NO_CHECK) if row.target else None
    return _Target(row.generation, target)


def _checks(targets: Iterable[TargetIntent]) -> Iterator[_Check]:
    """One for each group."""
    yield from (_Check(group, check) for group, check in {one.group: one.check for one in targets}.items())


def _addresses(attachments: Sequence[AttachmentIntent]) -> Iterator[_Address]:
    for row, attachment in enumerate(attachments):
        yield from (_Address(row, False, address) for address in attachment.addresses)
        yield from (_Address(row, True, address) for address in attachment.draining_addresses)


def place_targets(targets: Iterable[TargetIntent], before: Sequence[TargetRow]) -> tuple[TargetRow, ...]:
    """Everybody keeps the row of `before`; who is new gets the lowest free one. Raises TooLarge."""
    wanted = {target.key: target for target in targets}
    rows = [TargetRow(row.generation, wanted.pop(row.target.key, None) if row.target else None) for row in before]
    free = (number for number in itertools.count() if number >= len(rows) or rows[number].target is None)
    for _, target in sorted(wanted.items()):
        number = next(free)
        if number >= TARGETS.rows:
            raise TooLarge(f"a cell has room for {TARGETS.rows} targets")
        if number == len(rows):
            rows.append(TargetRow(0, None))
        rows[number] = TargetRow(rows[number].generation + 1, target)
    return tuple(rows)


def row_numbers(file: CellFile) -> dict[tuple[str, str, int], int]:
    """By targets' keys."""
    return {row.target.key: number for number, row in enumerate(file.rows) if row.target}


def _choices(file: CellFile) -> Iterator[_Choice]:
    """Raises TooLarge for a choice that is no target: the intent is not whole."""
    rows = row_numbers(file)
    for number, service in enumerate(file.intent.services):
        for target, weight in service.choices:
            if target not in rows:
                raise TooLarge(f"the service {service.key} chooses {target}, which has no row among the cell's targets")
            yield _Choice(number, rows[target], weight)


def _section(kind: Kind, rows: Iterable[msgspec.Struct], what: str) -> bytes:
    packed = [_packed(row, kind.bytes, what) for row in rows]
    if len(packed) > kind.rows:
        raise TooLarge(f"{len(packed)} {what}: a cell has room for {kind.rows}")
    return b"".join(packed).ljust(kind.rows * kind.bytes, b"\0")


def _packed(row: msgspec.Struct, room: int, what: str) -> bytes:
    text = msgspec.msgpack.encode(row)
    if len(text) + LENGTH_BYTES > room:
        raise TooLarge(f"a row of {what} takes {len(text)} bytes: {room - LENGTH_BYTES} is what it has")
    return (len(text).to_bytes(LENGTH_BYTES, "big") + text).ljust(room, b"\0")


def hash_of(packed: bytes) -> str:
    """Hexadecimal; what nodes report."""
    return packed[len(MAGIC) : len(MAGIC) + HASH_BYTES].hex()


def decode(packed: bytes) -> CellFile:
    """Raises Damaged."""
    content = _content(packed)
    head = _unpacked(_Head, content, 0, HEAD_BYTES)
    if head is None or head.version != VERSION or len(head.key) != KEY_BYTES:
        raise Damaged("the cell's file is of another version")
    sections = _Sections(content)
    nodes = sections.read(NODES, NodeIntent)
    attachments = sections.read(ATTACHMENTS, AttachmentIntent)
    addresses = sections.read(ADDRESSES, _Address)
    services = sections.read(SERVICES, ServiceIntent)
    choices = sections.read(CHOICES, _Choice)
    rows = _with_checks(sections.read(TARGETS, _Target), sections.read(CHECKS, _Check))
    targets = (row.target for row in rows if row.target)
    intent = CellIntent(
        cell=head.cell,
        generation=head.generation,
        nodes=tuple(nodes),
        attachments=_with_addresses(attachments, addresses),
        services=_with_choices(services, choices, rows),
        targets=tuple(sorted(targets, key=lambda target: target.key)),
    )
    return CellFile(
        intent=intent,
        rows=rows,
        key=head.key,
        epoch=head.epoch,
        current=head.current,
        previous=head.previous,
        ring_since=head.ring_since,
        beat=head.beat,
        ring_beat=head.ring_beat,
        removal_epoch=head.removal_epoch,
    )


def _content(packed: bytes) -> bytes:
    if len(packed) != FILE_BYTES or not packed.startswith(MAGIC):
        raise Damaged(f"no file of a cell: {len(packed)} bytes, not {FILE_BYTES}")
    content = packed[len(MAGIC) + HASH_BYTES :]
    if blake2b(content, digest_size=HASH_BYTES).hexdigest() != hash_of(packed):
        raise Damaged("the cell's file does not have the hash that it names")
    return content


class _Sections:
    """One after the other."""

    def __init__(self, content: bytes):
        self._content = content
        self._at = HEAD_BYTES

    def read(self, kind: Kind, row: type[T]) -> list[T]:
        start, self._at = self._at, self._at + kind.rows * kind.bytes
        found = (_unpacked(row, self._content, at, kind.bytes) for at in range(start, self._at, kind.bytes))
        return [one for one in found if one is not None]


def _unpacked(row: type[T], content: bytes, at: int, room: int) -> T | None:
    length = int.from_bytes(content[at : at + LENGTH_BYTES], "big")
    if not length:
        return None
    if length + LENGTH_BYTES > room:
        raise Damaged(f"a row of {length} bytes where {room} are")
    try:
        return _DECODERS[row].decode(content[at + LENGTH_BYTES : at + LENGTH_BYTES + length])
    except msgspec.DecodeError as error:
        raise Damaged(f"{row.__name__}: {error}") from error


_DECODERS: dict[type, Any] = {
    row: msgspec.msgpack.Decoder(row)
    for row in (_Head, NodeIntent, AttachmentIntent, _Address, ServiceIntent, _Choice, _Target, _Check)
}


def _with_addresses(attachments: list[AttachmentIntent], rows: list[_Address]) -> tuple[AttachmentIntent, ...]:
    held: dict[tuple[int, bool], list[str]] = {}
    for row in rows:
        held.setdefault((row.attachment, row.draining), []).append(row.address)
    return tuple(
        msgspec.structs.replace(
            attachment,
            addresses=tuple(held.get((number, False), ())),
            draining_addresses=tuple(held.get((number, True), ())),
        )
        for number, attachment in enumerate(attachments)
    )


def _with_checks(rows: list[_Target], checks: list[_Check]) -> tuple[TargetRow, ...]:
    held = {row.group: row.check for row in checks}
    found = []
    for row in rows:
        if row.target and row.target.group not in held:
            raise Damaged(f"a target of {row.target.group}, of which it is not said how it is checked")
        target = msgspec.structs.replace(row.target, check=held[row.target.group]) if row.target else None
        found.append(TargetRow(row.generation, target))
    return tuple(found)


def _with_choices(
    services: list[ServiceIntent], choices: list[_Choice], rows: Sequence[TargetRow]
) -> tuple[ServiceIntent, ...]:
    held: dict[int, list[tuple[tuple[str, str, int], int]]] = {}
    for choice in choices:
        target = rows[choice.target].target if choice.target < len(rows) else None
        if target is None:
            raise Damaged(f"a choice of target {choice.target}, which there is not")
        held.setdefault(choice.service, []).append((target.key, choice.weight))
    return tuple(
        msgspec.structs.replace(service, choices=tuple(held.get(number, ()))) for number, service in enumerate(services)
    )


def check(new: CellFile, held: CellFile | None) -> None:
    """Does `new` follow on what a node holds? Raises Refused."""
    if held is None:
        return
    if new.intent.cell != held.intent.cell:
        raise Refused(f"the file of the cell {new.intent.cell}, not of {held.intent.cell}")
    if new.epoch <= held.epoch:
        raise Refused(f"epoch {new.epoch} does not come after {held.epoch}")
    if new.removal_epoch <= held.epoch:
        for what, keys in REMOVABLE.items():
            _check_removal(what, keys(held.intent), keys(new.intent))


REMOVABLE: dict[str, Callable[[CellIntent], set[Any]]] = {
    "nodes": lambda intent: {node.name for node in intent.nodes},
    "attachments": lambda intent: {attachment.key for attachment in intent.attachments},
    "services": lambda intent: {service.key for service in intent.services},
    "targets": lambda intent: {target.key for target in intent.targets},
}


def _check_removal(what: str, held: set[Any], new: set[Any]) -> None:
    gone = len(held - new)
    if 2 * gone > len(held):
        raise Refused(f"{gone} of {len(held)} {what} would go, and the file does not say that this is meant")
