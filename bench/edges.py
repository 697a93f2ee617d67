"""Nanoseconds a packet of each program of an edge, of both builds, by BPF_PROG_TEST_RUN, net of a program that does nothing, and how long
an edge's tables take to load.

    PYTHONPATH=src python -m bench.edges [--json] [--runs 4000] [--most 1000000]

"addresses": public ones that the edge knows. "talking": how many of them take part, spread over all. As many talk in a small table as in a
large one, and what differs then is the tables' own cost; when each of a million packets is of another address, every one pays for memory
that no cache holds. Medians of single runs in interleaved rounds. "tables": mappings, translations and publics, put in; "agent": from what
the mapping service says to the kernel's rows, as an agent that begins does it. Nothing is sent, and nothing is left behind."""

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
from typing import NamedTuple

from bench import bare_edge
from bench.programs import OBJECTS, TC, XDP, null_program
from rookery.blackfoot.kernel import EdgeKernel
from rookery.dataplane import syscall
from rookery.dataplane.edge import EdgeDataplane
from rookery.dataplane.node import XDP_BUILD
from rookery.dataplane.syscall import RunContext
from rookery.host.instances import namespace

ROUNDS, FEW, SOME = 8, 1000, 10_000
WAYS: dict[str, tuple[str, str, Callable[[int], bytes]]] = {  # -> program, device, packet of a number
    "out": ("blackfoot_outward", "u0", bare_edge.leaving),
    "in": ("blackfoot_inward", "x0", bare_edge.arriving),
    "out and back in": ("blackfoot_outward", "u0", bare_edge.turning),
}
BUILDS = {"tc": (TC, ""), "xdp": (XDP, XDP_BUILD)}  # -> kind of program, what ends its name
TARGETS = {("xdp", "out"): 100, ("xdp", "in"): 100, ("tc", "out"): 400, ("tc", "in"): 800}


class Case(NamedTuple):
    build: str
    way: str
    addresses: int
    talking: int


class Bench:
    def __init__(self, real: EdgeDataplane, runs: int):
        self.real, self.runs = real, runs
        self.nulls = {build: null_program(kind) for build, (kind, _) in BUILDS.items()}

    def measure(self, addresses: int) -> list[dict[str, object]]:
        """Of an edge that knows so many."""
        cases = [Case(b, w, addresses, t) for t in sorted({1, FEW, addresses}) for b in BUILDS for w in WAYS]
        found: dict[Case, list[int]] = {case: [] for case in cases}
        nothing: dict[str, list[int]] = {build: [] for build in BUILDS}
        talking = {case: random.sample(range(addresses - 1), min(case.talking, addresses - 1)) for case in cases}
        for _ in range(ROUNDS):
            for case in cases:
                found[case] += self._run(case, random.choices(talking[case], k=self.runs // ROUNDS))
                nothing[case.build] += self._run_null(case)
        return [self._row(case, found[case], nothing[case.build]) for case in cases]

    def _run(self, case: Case, numbers: list[int]) -> list[int]:
        program, device, make = WAYS[case.way]
        descriptor = self.real.program_fd(program + BUILDS[case.build][1])
        return timed(descriptor, [make(number) for number in numbers], socket.if_nametoindex(device), case.build)

    def _run_null(self, case: Case) -> list[int]:
        _, device, make = WAYS[case.way]
        return timed(self.nulls[case.build], [make(number) for number in range(100)], socket.if_nametoindex(device), case.build)

    def _row(self, case: Case, times: list[int], nothing: list[int]) -> dict[str, object]:
        net = statistics.median(times) - statistics.median(nothing)
        return {"program": WAYS[case.way][0], **case._asdict(), "nanoseconds": net, "target": TARGETS.get((case.build, case.way))}


def timed(descriptor: int, frames: list[bytes], device: int, build: str) -> list[int]:
    """Everything is made before the first run."""
    context = RunContext(ifindex=device, xdp=build == "xdp")
    prepared = [syscall.PreparedRun(descriptor, frame, context) for frame in frames]
    for one in prepared:
        one.run()
    return [one.nanoseconds for one in prepared]


def agents_load(pins: Path, addresses: int) -> float:
    """Seconds."""
    told = bare_edge.intent(addresses)
    try:
        real = EdgeDataplane.open(pins, OBJECTS, addresses, addresses)
        begun = time.monotonic()
        EdgeKernel(real).become(told)
        seconds = time.monotonic() - begun
        real.close()
    finally:
        EdgeDataplane.remove_pins(pins)
    return seconds


def measure_all(runs: int, most: int) -> dict[str, object]:
    name = f"rookery-t{secrets.token_hex(4)}"
    pins = Path("/sys/fs/bpf") / name
    rows: list[dict[str, object]] = []
    try:
        with bare_edge.devices(name), namespace.inside(name):
            real = EdgeDataplane.open(pins, OBJECTS, most, most)
            bare_edge.configure(real, socket.if_nametoindex("u0"), socket.if_nametoindex("x0"))
            bench, known, seconds = Bench(real, runs), 0, 0.0
            for addresses in sorted({FEW, SOME, most}):
                seconds += bare_edge.know(real, known, addresses)
                known = addresses
                rows += bench.measure(addresses)
            real.close()
    finally:
        EdgeDataplane.remove_pins(pins)
    loading = {"addresses": most, "tables": round(seconds, 1), "agent": round(agents_load(pins, most), 1)}
    return {"unit": "nanoseconds a packet, net of a null program", "rows": rows, "load_seconds": loading}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--runs", type=int, default=4000)
    parser.add_argument("--most", type=int, default=1_000_000)
    asked = parser.parse_args()
    told = measure_all(asked.runs, asked.most)
    if asked.json:
        print(json.dumps(told, indent=1))
        return
    for row in told["rows"]:  # type: ignore[attr-defined]
        print("{build:<4} {way:<16} {addresses:>9} addresses {talking:>9} talking {nanoseconds:>6.0f} ns".format(**row))
    print(f"loaded: {told['load_seconds']}")


if __name__ == "__main__":
    main()
