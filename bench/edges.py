"""Nanoseconds a packet of each program of an edge, by BPF_PROG_TEST_RUN, net of a program that does nothing, and how long its tables
take to load.

    PYTHONPATH=src python -m bench.edges [--json] [--runs 4000] [--most 1000000]

"addresses": public ones that the edge knows; each packet is of a random one. Medians of single runs in interleaved rounds.
Nothing is sent, and nothing is left behind."""

from __future__ import annotations

import argparse
import json
import random
import secrets
import socket
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from bench import bare_edge
from bench.programs import OBJECTS, null_program
from rookery.dataplane import syscall
from rookery.dataplane.edge import EdgeDataplane
from rookery.dataplane.syscall import RunContext
from rookery.host.instances import namespace

ROUNDS, FEW, SOME = 8, 2, 10_000
CASES: dict[str, tuple[str, str, Callable[[int], bytes]]] = {  # what -> program, device, packet of a number
    "out": ("blackfoot_outward", "u0", bare_edge.leaving),
    "in": ("blackfoot_inward", "x0", bare_edge.arriving),
    "out and back in": ("blackfoot_outward", "u0", bare_edge.turning),
}


def timed(descriptor: int, frames: list[bytes], device: int) -> list[int]:
    """Everything is made before the first run."""
    prepared = [syscall.PreparedRun(descriptor, frame, RunContext(ifindex=device)) for frame in frames]
    for one in prepared:
        one.run()
    return [one.nanoseconds for one in prepared]


def measure(real: EdgeDataplane, null: int, addresses: int, runs: int) -> list[dict[str, object]]:
    found: dict[str, list[int]] = {what: [] for what in CASES}
    nothing: list[int] = []
    for _ in range(ROUNDS):
        numbers = [random.randrange(addresses - 1) for _ in range(runs // ROUNDS)]
        for what, (program, device, make) in CASES.items():
            frames, ifindex = [make(number) for number in numbers], socket.if_nametoindex(device)
            found[what] += timed(real.program_fd(program), frames, ifindex)
            nothing += timed(null, frames[:100], ifindex)
    least = statistics.median(nothing)
    return [
        {"program": CASES[what][0], "way": what, "addresses": addresses, "nanoseconds": statistics.median(times) - least}
        for what, times in found.items()
    ]


def measure_all(runs: int, most: int) -> dict[str, object]:
    name = f"rookery-t{secrets.token_hex(4)}"
    pins = Path("/sys/fs/bpf") / name
    rows: list[dict[str, object]] = []
    try:
        with bare_edge.devices(name), namespace.inside(name):
            real = EdgeDataplane.open(pins, OBJECTS, most, most)
            bare_edge.configure(real, socket.if_nametoindex("u0"), socket.if_nametoindex("x0"))
            null, known, seconds = null_program(), 0, 0.0
            for addresses in sorted({FEW, SOME, most}):
                begun = time.monotonic()
                bare_edge.know(real, known, addresses)
                known, seconds = addresses, seconds + time.monotonic() - begun
                rows += measure(real, null, addresses, runs)
            real.close()
    finally:
        EdgeDataplane.remove_pins(pins)
    return {"unit": "nanoseconds a packet, net of a null program", "rows": rows, "load_seconds": {str(most): round(seconds, 1)}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--runs", type=int, default=4000)
    parser.add_argument("--most", type=int, default=1_000_000)
    asked = parser.parse_args()
    told = measure_all(asked.runs, asked.most)
    if asked.json:
        print(json.dumps(told, indent=1))
        return
    for row in told["rows"]:  # type: ignore[attr-defined]
        print(f"{row['way']:<16} {row['addresses']:>9} addresses {row['nanoseconds']:>6.0f} ns")
    print(f"loaded in {told['load_seconds']} s")


if __name__ == "__main__":
    main()
