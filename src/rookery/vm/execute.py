"""`python -m rookery.vm.execute SOCKET COMMAND...`: a command inside a guest, its output as ours, its exit code as ours. It
has no input, and its two outputs are one: the way in is a serial line, on which one command runs at a time."""

from __future__ import annotations

import base64
import secrets
import shlex
import socket
import sys
from collections.abc import Callable
from pathlib import Path

REFUSED = 255  # as ssh: no command ran
BEGINS_WITHIN = 60.0  # seconds: a guest that boots needs some


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
        return _answer(connection, word.encode(), tell)


def _answer(connection: socket.socket, word: bytes, tell: Callable[[bytes], object]) -> int:
    """What stands before the word's line is another request's, whose asker has gone."""
    kept, begun = b"", False
    begin, end = word + b"\n", word + b" "
    while True:
        try:
            more = connection.recv(65536)
        except TimeoutError:
            raise GuestGone("the guest does not listen: it boots, or an earlier command still runs") from None
        if not more:
            raise GuestGone("the guest ended")
        kept += more
        if not begun and begin in kept:
            begun, kept = True, kept.partition(begin)[2]
            connection.settimeout(None)  # a command may take its time
        if not begun:
            kept = kept[-len(begin) :]
            continue
        output, found, rest = kept.partition(end)
        if found and b"\n" in rest:
            tell(output)
            return int(rest.partition(b"\n")[0])
        if not found:
            tell(kept[: -len(end)])
            kept = kept[-len(end) :]


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
