"""Tokens that nobody has to remember: an expiry and a seal over it, the instance and its boot. So a token ends with its time,
with a reboot, and means nothing on another instance; and the service may restart without one being lost."""

from __future__ import annotations

import base64
import binascii
import hmac
import struct
from typing import NamedTuple

LONGEST = 21_600  # seconds, as AWS
PURPOSE = b"instance metadata token 1"  # what else is ever sealed with this key is not a token
EXPIRY = struct.Struct(">Q")  # unix seconds


class Holder(NamedTuple):
    """Whom a token is for."""

    instance: str  # i-...
    boot: int


def token(key: bytes, holder: Holder, now: float, seconds: int) -> str:
    """Good until `now` + `seconds`: 56 characters of base64 that are safe in a URL, as AWS's are."""
    return _sealed(key, holder, EXPIRY.pack(int(now) + seconds)).decode()


def seconds_left(key: bytes, holder: Holder, now: float, said: bytes) -> int:
    """Of the token that a request shows. 0: it is none, is another's, or has ended."""
    try:
        expiry = base64.urlsafe_b64decode(said)[: EXPIRY.size]
    except binascii.Error:
        return 0
    if len(expiry) != EXPIRY.size or not hmac.compare_digest(said, _sealed(key, holder, expiry)):
        return 0
    return max(0, EXPIRY.unpack(expiry)[0] - int(now))


def _sealed(key: bytes, holder: Holder, expiry: bytes) -> bytes:
    """The expiry has a fixed length and the boot is of digits: no two holders share what is sealed."""
    sealed = b"\0".join((PURPOSE, holder.instance.encode(), str(holder.boot).encode(), expiry))
    return base64.urlsafe_b64encode(expiry + hmac.digest(key, sealed, "sha256"))
