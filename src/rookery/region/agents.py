"""Talks to the agents of this machine's hosts on their control sockets (rookery.host.control)."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from rookery.host.control import ErrorReply, EventLine, Request, WatchDrops, WatchReply
from rookery.region.errors import NoAnswer

Reply = TypeVar("Reply", bound=msgspec.Struct)

TIMEOUT = 10.0


def ask(path: Path, request: Request, kind: type[Reply], timeout: float = TIMEOUT) -> Reply:
    """Raises NoAnswer: nobody listens, the agent is stuck, or it refused (with its sentence)."""
    with _connected(path, timeout) as connection:
        lines = _lines(connection, path)
        _send(connection, request)
        line = next(lines, b"")
    return _decode(line, kind, path)


def watch_drops(path: Path, listening: Callable[[], None]) -> Iterator[EventLine]:
    """For ever; ends when the agent goes away. `listening` is called when no drop is missed any more."""
    with _connected(path, TIMEOUT) as connection:
        _send(connection, WatchDrops())
        lines = _lines(connection, path)
        _decode(next(lines, b""), WatchReply, path)
        connection.settimeout(None)
        listening()
        for line in lines:
            yield _decode(line, EventLine, path)


def _connected(path: Path, timeout: float) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(timeout)
    try:
        connection.connect(str(path))
    except OSError as refused:
        connection.close()
        raise NoAnswer(
            f"the agent of {path.parent.name} does not answer: {refused.strerror or refused}"
        ) from refused
    return connection


def _send(connection: socket.socket, request: Request) -> None:
    connection.sendall(msgspec.json.encode(request) + b"\n")


def _lines(connection: socket.socket, path: Path) -> Iterator[bytes]:
    with connection.makefile("rb") as file:
        try:
            yield from file
        except OSError as broken:
            raise NoAnswer(f"the agent of {path.parent.name} stopped answering: {broken}") from broken


def _decode(line: bytes, kind: type[Reply], path: Path) -> Reply:
    if not line:
        raise NoAnswer(f"the agent of {path.parent.name} hung up without an answer")
    try:
        return msgspec.json.decode(line, type=kind)
    except msgspec.ValidationError:
        raise NoAnswer(_refusal(line, path)) from None


def _refusal(line: bytes, path: Path) -> str:
    try:
        return msgspec.json.decode(line, type=ErrorReply).error
    except msgspec.ValidationError as strange:
        return f"the agent of {path.parent.name} speaks another version: {strange}"
