"""Talks to a running emulator: its control socket takes one command a line and answers in JSON (qemu-qmp-ref(7)).

QmpError     the emulator refused a command; its own words
 +- NoQmp    nobody answers there: the emulator has ended, or is just ending
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

ANSWERS_WITHIN = 10.0  # seconds


class QmpError(Exception):
    """The emulator refused a command."""


class NoQmp(QmpError):
    """Nobody answers."""


class Qmp:
    """Make it with `connected`."""

    def __init__(self, connection: socket.socket, lines: BinaryIO):
        self._connection = connection
        self._lines = lines
        self._events: list[dict[str, Any]] = []

    def ask(self, command: str, **arguments: Any) -> Any:
        """What the command returns. Raises QmpError."""
        self._connection.settimeout(ANSWERS_WITHIN)
        self._connection.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        while "event" in (answer := self.read()):
            self._events.append(answer)
        if "error" in answer:
            raise QmpError(f"{command}: {answer['error']['desc']}")
        return answer["return"]

    def await_event(self, name: str, within: float, **data: Any) -> bool:
        """Whether it came, with all of `data`, since the last question or within so many seconds. Raises NoQmp."""
        deadline = time.monotonic() + within
        seen, self._events = self._events, []
        while not any(event["event"] == name and data.items() <= event["data"].items() for event in seen):
            self._connection.settimeout(max(deadline - time.monotonic(), 0.001))
            try:
                seen = [self.read()]
            except TimeoutError:
                return False
        return True

    def read(self) -> dict[str, Any]:
        line = self._lines.readline()
        if not line:
            raise NoQmp("the emulator hung up")
        return json.loads(line)


@contextmanager
def connected(path: Path) -> Iterator[Qmp]:
    """Raises NoQmp, QmpError; so does what is done inside."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(ANSWERS_WITHIN)
        try:
            connection.connect(str(path))
            with connection.makefile("rb") as lines:  # the socket stays open as long as they do
                qmp = Qmp(connection, lines)
                qmp.read()  # the greeting
                qmp.ask("qmp_capabilities")
                yield qmp
        except OSError as error:
            raise NoQmp(f"{path.name}: {error}") from error
