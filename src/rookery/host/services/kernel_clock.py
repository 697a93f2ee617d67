"""What the kernel believes of its clock: adjtimex(2), which only looks when no mode is set."""

from __future__ import annotations

import ctypes
import struct

UNKEPT = 16_000_000  # microseconds: the kernel's own bound, to which the error of a clock grows that nobody keeps
TIMEX_BYTES = 256  # struct timex is 208 on 64 bits
TIMEX = struct.Struct("@Iqqq")  # modes, offset, freq, maxerror
LIBC = ctypes.CDLL(None, use_errno=True)


def largest_error() -> int:
    """Microseconds by which it may be wrong."""
    answer = ctypes.create_string_buffer(TIMEX_BYTES)
    if LIBC.adjtimex(answer) < 0:
        return UNKEPT
    return int(TIMEX.unpack_from(answer)[3])
