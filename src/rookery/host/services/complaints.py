"""What goes wrong with one guest's request is told, but not as often as a guest can ask for it."""

from __future__ import annotations

import logging
import time

SECONDS = 10.0  # between two of one subject
MOST_SUBJECTS = 100


class Complaints:
    def __init__(self, log: logging.Logger):
        self._log = log
        self._told: dict[str, float] = {}

    def tell(self, subject: str, error: BaseException) -> None:
        """An OSError is the network's; everything else is a fault of ours, told with the place where it happened."""
        now = time.monotonic()
        subject = f"{subject}: {type(error).__name__}"
        if now - self._told.get(subject, -SECONDS) < SECONDS:
            return
        if len(self._told) >= MOST_SUBJECTS:
            self._told.clear()
        self._told[subject] = now
        if isinstance(error, OSError):
            self._log.warning("%s: %s", subject, error)
        else:
            self._log.error("%s: %s", subject, error, exc_info=error)
