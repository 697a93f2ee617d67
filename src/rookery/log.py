"""The log of every part: one JSON object a line on stderr, which a person can read and a program can search."""

from __future__ import annotations

import logging
import sys
import time
from typing import Any

import msgspec

_OWN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime"}


class JsonLines(logging.Formatter):
    """Who speaks, what is said, and what the caller gave as `extra`."""

    def __init__(self, **who: str):
        super().__init__()
        self._who = who

    def format(self, record: logging.LogRecord) -> str:
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, Any] = {
            "time": f"{seconds}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            **self._who,
            "part": record.name,
            "message": record.getMessage(),
        }
        line.update({k: v for k, v in record.__dict__.items() if k not in _OWN and v != ""})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line, enc_hook=repr).decode()  # libraries give what they like


def log_to_stderr(**who: str) -> None:
    """`who`: fields of every line, such as host="host-1"."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(**who))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
