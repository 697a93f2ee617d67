"""What goes wrong with one guest's request is told, but not as often as a guest can ask for it."""

from __future__ import annotations

import logging
import time

SECONDS = 10.0  # between two of one subject


class Complaints:
    def __init__(self, log: logging.Logger):
        self._log = log
        self._told: dict[str, float] = {}

    def tell(self, subject: str, error: BaseException, interface: int = 0) -> None:
        """`subject`: a service, of which there are few. An OSError is the network's; everything else is a fault of ours, told
        with the place where it happened."""
        now, kind = time.monotonic(), f"{subject}: {type(error).__name__}"
        if now - self._told.get(kind, -SECONDS) < SECONDS:
            return
        self._told[kind] = now
        if isinstance(error, OSError):
            self._log.warning("%s of interface %#x: %s", subject, interface, error)
        else:
            self._log.error("%s of interface %#x: %s", subject, interface, error, exc_info=error)
