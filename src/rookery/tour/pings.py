"""A ping from the server outside that goes on while things change, and what was lost of it."""

from __future__ import annotations

import re
import signal
import subprocess
from typing import NamedTuple

from rookery.region import namespaces
from rookery.region.layout import Layout

INTERVAL = 0.02  # seconds between two
ANSWER = re.compile(r"^\[([\d.]+)\].*icmp_seq=(\d+) ttl", re.MULTILINE)


class Heard(NamedTuple):
    answers: int
    lost: int  # between the first answer and the last
    silence: float  # the longest, in seconds


class Pings:
    """To a public address of the region, until `end`."""

    def __init__(self, plan: Layout, address: str):
        words = ("ping", "-n", "-D", "-i", str(INTERVAL), address)
        command = namespaces.inside(plan.page_namespace, *words)
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def end(self) -> Heard:
        self._process.send_signal(signal.SIGINT)
        said, _ = self._process.communicate(timeout=10)
        return heard(said)


def heard(said: str) -> Heard:
    """Of what `ping -D` says."""
    answers = [(float(at), int(number)) for at, number in ANSWER.findall(said)]
    if not answers:
        return Heard(0, 0, 0.0)
    expected = answers[-1][1] - answers[0][1] + 1
    gaps = [later[0] - earlier[0] for earlier, later in zip(answers, answers[1:], strict=False)]
    return Heard(len(answers), expected - len({number for _, number in answers}), max(gaps, default=0.0))
