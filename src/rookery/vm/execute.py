"""`python -m rookery.vm.execute SOCKET COMMAND...`: a command inside a guest, its output as ours, its exit code as ours. It
has no input, and its two outputs are one: the way in is a serial line, on which one command runs at a time."""

from __future__ import annotations

import base64
import re
import secrets
import shlex
import socket
import sys
from collections.abc import Callable
from pathlib import Path

REFUSED = 255  # as ssh: no command ran
LONGEST_LINE = 80  # bytes, of those that are not the command's
BEGINS_WITHIN = 60.0  # seconds: a guest that boots needs some


# Says guest/commands at its start. The number is of no use but to be in no script that somebody prints.
BOOTED = re.compile(rb"rookery\.commands booted [0-9a-f-]{36}\n")


class GuestGone(Exception):
    """The guest did not take the command, or ended before the command did."""


def execute(path: Path, command: list[str], tell: Callable[[bytes], object]) -> int:
    """The exit code. `tell` gets the output as it comes. Raises GuestGone, OSError: nobody listens there."""
    word = secrets.token_hex(16)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(BEGINS_WITHIN)
        connection.connect(str(path))
        encoded = base64.b64encode(shlex.join(command).encode()).decode()
        connection.sendall(f"{word} {encoded}\n".encode())
        first = _await_begin(connection, word.encode() + b"\n")
        connection.settimeout(None)  # a command may take its time
        return _await_end(connection, first, word.encode() + b" ", tell)


def _await_begin(connection: socket.socket, begin: bytes) -> bytes:
    """What came behind the word's line. What stands before it is another request's, whose asker has gone."""
    kept = b""
    while begin not in kept:
        try:
            kept = kept[-len(begin) :] + _more(connection)
        except TimeoutError:
            raise GuestGone("the guest does not listen: it boots, or an earlier command still runs") from None
    return kept.partition(begin)[2]


def _await_end(connection: socket.socket, kept: bytes, end: bytes, tell: Callable[[bytes], object]) -> int:
    while True:
        if BOOTED.search(kept):
            raise GuestGone("the guest booted again under the command")
        output, found, rest = kept.partition(end)
        if found and b"\n" in rest:
            tell(output)
            return int(rest.partition(b"\n")[0])
        if not found:
            tell(kept[:-LONGEST_LINE])
            kept = kept[-LONGEST_LINE:]
        kept += _more(connection)


def _more(connection: socket.socket) -> bytes:
    more = connection.recv(65536)
    if not more:
        raise GuestGone("the guest ended")
    return more


def main() -> int:
    path, *command = sys.argv[1:]

    def tell(output: bytes) -> None:
        sys.stdout.buffer.write(output)
        sys.stdout.buffer.flush()

    try:
        return execute(Path(path), command, tell)
    except (OSError, GuestGone) as error:
        print(f"rookery: {error}", file=sys.stderr)
        return REFUSED


if __name__ == "__main__":
    sys.exit(main())
