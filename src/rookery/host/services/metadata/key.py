"""The key under which a host's tokens are made: kept, so that tokens outlive the process that handed them out."""

from __future__ import annotations

import secrets
from pathlib import Path

from rookery.files import private_folder, write_whole

LENGTH = 32  # bytes: as long as what HMAC-SHA256 makes


class BrokenKey(ValueError):
    """The file is not a key. Caught by nobody: a new key would end every token, and only a person knows whether that matters."""


def kept_key(state_directory: Path) -> bytes:
    """The one in `state_directory`, made now if there is none. Raises BrokenKey, OSError."""
    path = private_folder(state_directory) / "metadata.key"
    try:
        key = path.read_bytes()
    except FileNotFoundError:
        key = secrets.token_bytes(LENGTH)
        write_whole(path, key)
    if len(key) != LENGTH:
        raise BrokenKey(f"{path} has {len(key)} bytes, not {LENGTH}: remove it, and instances' tokens end")
    return key
