"""Programs of ours at the ends of connections, inside instances or at the server outside: spoken to by lines
(rookery.testing.crowd, rookery.testing.datagrams).
"""

from __future__ import annotations

import json
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from rookery.region import namespaces
from rookery.region.inside import entering
from rookery.region.layout import Layout

HERE = Path(__file__).parent
PATIENCE = 60.0
END_SECONDS = 2.0

Where = tuple[list[str], dict[str, str] | None]  # what enters it, and its environment


class End:
    """A program of ours at one end: spoken to by lines."""

    def __init__(self, program: str, where: Where, *words: str):
        command, environment = where
        self._name = f"{program} {words[0]}"
        self._process = subprocess.Popen(
            [*command, "python3", "-c", (HERE / f"{program}.py").read_text(), *words],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def heard(self) -> str:
        """Its next line. Raises RuntimeError: it ended."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if not line:
            raise RuntimeError(f"{self._name} ended with {self._process.wait(10)}")
        return line

    def await_word(self, word: str) -> None:
        said = self.heard()
        if said != word:
            raise RuntimeError(f"{self._name} said {said!r}, not {word!r}")

    def say(self, word: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()

    def asked(self, word: str = "tell") -> dict[str, Any]:
        self.say(word)
        return self.answer()

    def answer(self) -> dict[str, Any]:
        """To what was said before."""
        return json.loads(self.heard())

    def close(self) -> None:
        """Whatever it does. Ours end with their stdin, and only then is what they listened for free."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(END_SECONDS)
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()


def at_instance(region: str, instance: str) -> Where:
    """`instance`: its id or Name."""
    return entering(region, instance, [])


def at_server(region: str) -> Where:
    return list(namespaces.inside(Layout(region).page_namespace)), None


class Ways:
    """Where datagrams arrive (datagrams.py: receive, reflect, ask), by the way that they came."""

    ways: dict[str, End]

    def told(self) -> dict[str, dict[str, Any]]:
        """Since it was asked last, by way: packets received and lost, the longest silence of a flow in seconds."""
        return {way: end.asked() for way, end in self.ways.items()}

    def silence(self, calm: float = 0.1) -> dict[str, float]:
        """The longest since it was asked last, by way; returns when all flows of all ways arrive again."""
        longest = dict.fromkeys(self.ways, 0.0)
        deadline = time.monotonic() + PATIENCE
        while True:
            now = {way: told["silence"] for way, told in self.told().items()}
            longest = {way: max(longest[way], now[way]) for way in longest}
            if max(now.values()) < calm:
                return longest
            if time.monotonic() > deadline:
                raise RuntimeError(f"flows stay silent: {now}")
            time.sleep(calm)
