"""An Elastic IP moves from one instance to another while a datagram comes for it every millisecond.

    python -m bench.edge_moves [--moves 20] [--json]

    server outside -- router -- two edges -- instance on host-1, instance on host-2

AssociateAddress with reassociation. "first packet": from before the call to the first datagram that the new instance receives; "silence":
from the last one at the old instance to that; "lost": sent, and received by nobody; "late": received by the old instance after the
new one had received its first, for the two edges learn of a move at different times. The clock is the machine's.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from bench.region import (
    NAME,
    admit_everybody,
    allocate,
    ec2_client,
    launch_pair,
    make_gateway,
    make_places,
    namespace_of,
    running_region,
)
from rookery.region.layout import Layout

CHECKOUT = Path(__file__).resolve().parents[1]
PATIENCE = 10.0  # seconds
PAUSE = 0.2  # seconds of quiet flow before a move


class Arrival(NamedTuple):
    number: int
    at: float


class Receiver:
    """In an instance, from its start to its end."""

    def __init__(self, namespace: str):
        self.arrivals: list[Arrival] = []
        self.process = started(namespace, "tell")
        assert self.process.stdout and self.process.stdout.readline() == "ready\n"
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            number, at = line.split()
            self.arrivals.append(Arrival(int(number), float(at)))

    def wait_for_one(self, since: float) -> Arrival:
        """The first after `since`. Raises RuntimeError."""
        seen, deadline = len(self.arrivals), time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            for one in self.arrivals[max(0, seen - 10) :]:
                if one.at > since:
                    return one
            time.sleep(0.001)
        raise RuntimeError(f"no datagram within {PATIENCE} s")

    def last_before(self, at: float) -> Arrival:
        return next(one for one in reversed(self.arrivals) if one.at <= at)


def started(namespace: str, *words: str) -> subprocess.Popen[str]:
    command = ("ip", "netns", "exec", namespace, sys.executable, "-m", "bench.datagrams", *words)
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT)


@contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def moved(ec2: Any, allocation: str, old: Receiver, new: Receiver, interface: str) -> dict[str, float]:
    """One move, in milliseconds and datagrams."""
    old.wait_for_one(time.monotonic())
    time.sleep(PAUSE)
    began = time.monotonic()
    ec2.associate_address(AllocationId=allocation, NetworkInterfaceId=interface, AllowReassociation=True)
    answered = time.monotonic()
    first = new.wait_for_one(began)
    time.sleep(PAUSE)
    last = old.last_before(time.monotonic())
    got = {one.number for receiver in (old, new) for one in list(receiver.arrivals)}
    late = sum(one.at > first.at for one in old.arrivals if one.at > began)
    lost = sum(number not in got for number in range(first.number - 200, first.number + 100))
    return {
        "call_ms": (answered - began) * 1000,
        "first_packet_ms": (first.at - began) * 1000,
        "silence_ms": max(0.0, first.at - last.at) * 1000,
        "lost": lost,
        "late": late,
    }


def measure(moves: int) -> list[dict[str, float]]:
    ec2 = ec2_client()
    places = make_places(ec2)
    make_gateway(ec2, places[0])
    instances = launch_pair(ec2, places)
    admit_everybody(ec2, instances[0])  # both wear the VPC's default group
    interfaces = [one["NetworkInterfaces"][0]["NetworkInterfaceId"] for one in instances]
    allocation, public = allocate(ec2)
    ec2.associate_address(AllocationId=allocation, NetworkInterfaceId=interfaces[0])
    with ExitStack() as kept:
        receivers = [Receiver(namespace_of(one)) for one in instances]
        for receiver in receivers:
            kept.enter_context(ended(receiver.process))
        seconds = str(PATIENCE + moves * 2)
        kept.enter_context(ended(started(Layout(NAME).page_namespace, "send", public, seconds)))
        receivers[0].wait_for_one(0.0)
        return [
            moved(ec2, allocation, receivers[number % 2], receivers[1 - number % 2], interfaces[1 - number % 2])
            for number in range(moves)
        ]


def summary(rows: list[dict[str, float]]) -> dict[str, dict[str, float]]:
    names = {"call_ms": "AssociateAddress answered, ms", "first_packet_ms": "first packet at the new instance, ms",
             "silence_ms": "silence, ms", "lost": "datagrams lost", "late": "datagrams that the old instance still got"}  # fmt: skip
    found = {}
    for key, words in names.items():
        values = [row[key] for row in rows]
        found[words] = {"moves": len(values), "p50": round(statistics.median(values), 1), "max": round(max(values), 1)}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--moves", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with running_region(hosts=2, edges=2):
        rows = measure(options.moves)
    found = {"moves": rows, "summary": summary(rows)}
    print(json.dumps(found) if options.json else json.dumps(found["summary"], indent=1))


if __name__ == "__main__":
    main()
