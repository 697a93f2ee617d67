"""The time at its port."""

from __future__ import annotations

import time

from rookery.host.services import ntp
from rookery.host.services.datagrams import Datagram
from rookery.host.services.kernel_clock import largest_error
from rookery.host.services.view import View

LOOK_SECONDS = 16.0  # between two looks at the kernel's opinion of its clock


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
