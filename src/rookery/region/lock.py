"""One `up` or `down` of a region at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rookery.files import remove_if_empty

LOCKS = Path("/run/rookery")


@contextmanager
def only_one(name: str) -> Iterator[None]:
    """Waits for the one before. The file goes away with its last holder, so that `down` leaves nothing."""
    path = LOCKS / f"{name}.lock"
    descriptor = _acquire(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)
        remove_if_empty(LOCKS)


def _acquire(path: Path) -> int:
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:  # another holder's `down` removed the folder in between
            continue
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if _is_still(path, descriptor):
            return descriptor
        os.close(descriptor)


def _is_still(path: Path, descriptor: int) -> bool:
    """False: the holder we waited for unlinked the file, and somebody else may have made a new one."""
    try:
        return path.stat().st_ino == os.fstat(descriptor).st_ino
    except FileNotFoundError:
        return False
