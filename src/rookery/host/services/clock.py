"""The time at its port."""

from __future__ import annotations

import ctypes
import struct
import time

from rookery.host.services import ntp
from rookery.host.services.datagrams import Datagram
from rookery.host.services.view import View

LOOK_SECONDS = 16.0  # between two looks at the kernel's opinion of its clock
TIMEX_BYTES = 256  # struct timex is 208 on 64 bits
TIMEX = struct.Struct("@Iqqq")  # modes, offset, freq, maxerror
LIBC = ctypes.CDLL(None, use_errno=True)


class Clock:
    def __init__(self, view: View):
        self._view = view
        self._error = 0
        self._looked = -LOOK_SECONDS

    def take(self, asked: Datagram) -> None:
        if self._view.guest(asked.caller.interface) is None:
            return
        now = time.time_ns()
        if answer := ntp.answer(asked.payload, min(asked.received, now), now, self._largest_error()):
            asked.answer(answer)

    def _largest_error(self) -> int:
        if time.monotonic() - self._looked > LOOK_SECONDS:
            self._looked = time.monotonic()
            self._error = largest_error()
        return self._error


def largest_error() -> int:
    """Microseconds; what the kernel believes of its clock (adjtimex(2), which only looks with no mode set)."""
    answer = ctypes.create_string_buffer(TIMEX_BYTES)
    if LIBC.adjtimex(answer) < 0:
        return ntp.MOST_DISPERSION
    return int(TIMEX.unpack_from(answer)[3])
