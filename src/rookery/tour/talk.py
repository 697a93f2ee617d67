"""The talker in an instance (rookery.tour.talker), spoken to from outside."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rookery.region import namespaces
from rookery.region.errors import RegionError
from rookery.region.inside import entering

PROGRAM = Path(__file__).with_name("talker.py")
RUN = ["python3", "-c", PROGRAM.read_text()]


class TalkerFailed(RegionError):
    """It does not start, or ended too early."""


class Talker:
    """One word at a time; `talker("connect", "kept", "10.0.0.5", 80, 1.0)` returns "open"."""

    def __init__(self, where: str, enter: Sequence[str], environment: dict[str, str] | None = None):
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(enter, env=environment, stdin=pipe, stdout=pipe, text=True)
        if self._answer() != "ready":
            raise TalkerFailed(f"the program in {where} does not start")

    def __call__(self, *words: Any) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(words) + "\n")
        self._process.stdin.flush()
        return json.loads(self._answer())

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise TalkerFailed("the program in the instance ended")
        return line.strip()

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()


def talker_in(region: str, instance: str) -> Talker:
    """`instance`: its id or Name."""
    return Talker(instance, *entering(region, instance, RUN))


def talker_outside(namespace: str) -> Talker:
    """In a network namespace that is no instance's."""
    return Talker(namespace, namespaces.inside(namespace, *RUN))
