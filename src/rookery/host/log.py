"""The agent's log: one JSON object a line on stderr, so that a person can read it and a program can search it."""

from __future__ import annotations

import json
import logging
import sys
import time

import msgspec


class JsonLines(logging.Formatter):
    """`extra={"alarm": ...}` of a record becomes a field."""

    def __init__(self, host: str):
        super().__init__()
        self._host = host

    @classmethod
    def install(cls, host: str) -> None:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(cls(host))
        logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{record.msecs:03.0f}Z",
            "level": record.levelname.lower(),
            "host": self._host,
            "part": record.name,
            "message": record.getMessage(),
        }
        alarm = getattr(record, "alarm", None)
        if alarm is not None:
            line |= {"alarm": msgspec.to_builtins(alarm)}
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line)
