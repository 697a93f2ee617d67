"""Files that are whole or absent, secrets that only root reads, folders that go when they are empty."""

from __future__ import annotations

import os
from pathlib import Path


def private_folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.chmod(0o700)
    return path


def write_whole(path: Path, content: bytes) -> None:
    """Mode 0600. A reader sees the old content or the new one; a crash leaves one of them."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def remove_if_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:  # others' things are in it
        return


def open_log(path: Path, largest: int = 16 << 20) -> int:
    """A descriptor that appends; what has grown large becomes <name>.1 first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > largest:
        path.replace(path.with_name(path.name + ".1"))
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
