"""Wakes the watchers of a store in other processes: one byte to each socket in a directory beside the database.

A ring says "look again" and carries no data, so a lost one costs a slow poll and nothing else. The sockets are unix
datagram sockets with a path: they reach every network namespace of the machine that sees the directory.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path

SUFFIX = ".bell"


def ring(directory: Path) -> None:
    """Never blocks and never fails: whoever cannot be rung looks by itself within a second."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        with _short(directory) as short:
            for name in os.listdir(directory):
                _ring_one(sender, f"{short}/{name}")


def _ring_one(sender: socket.socket, path: str) -> None:
    if not path.endswith(SUFFIX):
        return
    try:
        sender.sendto(b"!", path)
    except ConnectionRefusedError:  # its process is dead
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
    except (BlockingIOError, FileNotFoundError):  # has been rung already; has left
        pass


@contextlib.contextmanager
def _short(directory: Path) -> Iterator[str]:
    """The directory by a path that fits sun_path (108 bytes), however deep it lies."""
    descriptor = os.open(directory, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


class Doorbell:
    """A listener's end. Readable when somebody rang; `drain` before looking, so that no ring is lost."""

    def __init__(self, directory: Path):
        directory.mkdir(mode=0o700, exist_ok=True)
        self.path = directory / f"{os.getpid()}-{secrets.token_hex(4)}{SUFFIX}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        with _short(directory) as short:
            self._socket.bind(f"{short}/{self.path.name}")

    def fileno(self) -> int:
        return self._socket.fileno()

    def drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._socket.recv(16):
                pass

    def close(self) -> None:
        self._socket.close()
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()
