"""Asks a running BIRD on its control socket, as `birdc` does.

BirdSilent     nobody listens there, or BIRD is stuck
BirdRefused    BIRD said no; with its words
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

TIMEOUT = 2.0
REPLY = re.compile(r"(\d{4})([ -])(.*)")
ROUTE = re.compile(r"([0-9a-f.:]+/\d+)\s")
ERRORS = 8000  # from here on a reply's code says that something went wrong
SESSION = 1002
SESSION_DETAIL = 1006
BFD_SESSION = 1020


class BirdSilent(Exception):
    """Caught by whoever shows or changes what BIRD does: told, tried again."""


class BirdRefused(Exception):
    """As above; it will refuse again."""


class Session(NamedTuple):
    """Of BGP."""

    name: str
    neighbour: str
    state: str  # Established, Active, Connect, ...
    since: str


class Reply(NamedTuple):
    code: int
    text: str


def ask(path: Path, command: str, timeout: float = TIMEOUT) -> list[Reply]:
    """Raises BirdSilent, BirdRefused."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout)
            connection.connect(str(path))
            with connection.makefile("r", encoding="utf-8", errors="replace") as lines:
                list(read_reply(lines))  # its greeting
                connection.sendall(f"{command}\n".encode())
                return list(read_reply(lines))
    except OSError as error:
        raise BirdSilent(f"BIRD does not answer at {path}: {error.strerror or error}") from error


def read_reply(lines: Iterator[str]) -> Iterator[Reply]:
    """Up to the line that says it is the last. A line without a code has that of the line before. Raises BirdSilent, BirdRefused."""
    code = 0
    for line in lines:
        found = REPLY.match(line)
        if not found:
            yield Reply(code, line.strip())
            continue
        code, last, text = int(found[1]), found[2] == " ", found[3].strip()
        if code >= ERRORS:
            raise BirdRefused(text)
        yield Reply(code, text)
        if last:
            return
    raise BirdSilent("BIRD hung up in the middle of an answer")


def reconfigure(path: Path) -> None:
    """To what its file says now; what did not change goes on undisturbed. Raises BirdSilent, BirdRefused."""
    ask(path, "configure")


def sessions(path: Path) -> list[Session]:
    return sessions_of(ask(path, "show protocols all"))


def sessions_of(replies: list[Reply]) -> list[Session]:
    found: list[Session] = []
    ours = False
    for code, text in replies:
        if code == SESSION:
            words = text.split(None, 5)
            ours = len(words) >= 5 and words[1] == "BGP"
            if ours:
                found.append(Session(words[0], "", words[5].split()[0] if len(words) > 5 else words[3], words[4]))
        elif ours and code == SESSION_DETAIL and text.startswith("Neighbor address:"):
            found[-1] = found[-1]._replace(neighbour=text.split()[2].partition("%")[0])
    return found


def bfd_states(path: Path) -> dict[str, str]:
    """Neighbour's address -> Up, Down, Init."""
    return bfd_states_of(ask(path, "show bfd sessions"))


def bfd_states_of(replies: list[Reply]) -> dict[str, str]:
    rows = [text.split() for code, text in replies if code == BFD_SESSION]
    return {row[0]: row[2] for row in rows if len(row) > 3 and row[0][:1].isalnum() and row[0] != "IP"}


def exported(path: Path, session: str) -> list[str]:
    """CIDRs of both families that go to this neighbour; none while the session is down."""
    replies = [*ask(path, f"show route export {session} table master4"), *ask(path, f"show route export {session} table master6")]
    return [found[1] for _, text in replies if (found := ROUTE.match(text))]
