"""The file of metrics as the API reads it: opened for each question, in a thread."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from rookery.api.operation import ApiError
from rookery.metrics.series import Series, SeriesAway

T = TypeVar("T")

log = logging.getLogger("rookery.api")


class MetricsFile:
    """`path` None: nobody measures anything here."""

    def __init__(self, path: Path | None):
        self._path = path

    async def ask(self, question: Callable[[Series], T]) -> T | None:
        """None: nothing was measured yet. Raises ApiError InternalServiceError."""
        if self._path is None or not self._path.exists():
            return None
        try:
            return await asyncio.to_thread(self._asked, self._path, question)
        except SeriesAway as error:
            log.warning("metrics cannot be read", extra={"why": str(error)})
            raise ApiError("InternalServiceError", "Metrics cannot be read now. Try again.", 500) from error

    @staticmethod
    def _asked(path: Path, question: Callable[[Series], T]) -> T:
        with contextlib.closing(Series.reading(path)) as series, series.at_once():
            return question(series)
