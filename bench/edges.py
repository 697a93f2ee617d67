"""Nanoseconds a packet of each program of an edge, of both builds, by BPF_PROG_TEST_RUN, net of a program that does nothing, and how long
an edge's tables take to load.

    PYTHONPATH=src python -m bench.edges [--json] [--runs 4000] [--most 1000000]

"addresses": public ones that the edge knows. "talking": how many of them take part, spread over all. As many talk in a small table as in a
large one, and what differs then is the tables' own cost; when each of a million packets is of another address, every one pays for memory
that no cache holds. Medians of single runs in interleaved rounds. "tables": mappings, translations and publics, put in; "agent": from what
the mapping service says to the kernel's rows, as an agent that begins does it; seconds of CPU. Nothing is sent, and nothing
is left behind.

"code": "met anew" is a single run after a system call and Python, as of a packet that wakes an idle machine. "in the caches" is the kernel's own
repetition, as of a busy card; XDP only, for its packets can be put back as they were (bench/hot.py)."""

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
from bench.hot import MOST_FRAMES, Hot
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
ANEW, CACHED = "met anew", "in the caches"
TARGETS = {(CACHED, "xdp", "out"): 100, (CACHED, "xdp", "in"): 100, (ANEW, "tc", "out"): 400, (ANEW, "tc", "in"): 800}


class Case(NamedTuple):
    code: str
    build: str
    way: str
    addresses: int
    talking: int


class Bench:
    def __init__(self, real: EdgeDataplane, hot: Hot, runs: int):
        self.real, self.hot, self.runs = real, hot, runs
        self.nulls = {build: null_program(kind) for build, (kind, _) in BUILDS.items()}

    def measure(self, addresses: int) -> list[dict[str, object]]:
        """Of an edge that knows so many."""
        kinds = [(ANEW, "tc"), (ANEW, "xdp"), (CACHED, "xdp")]
        cases = [Case(*kind, w, addresses, t) for t in sorted({1, FEW, addresses}) for kind in kinds for w in WAYS]
        found: dict[Case, list[int]] = {case: [] for case in cases}
        nothing: dict[tuple[str, str], list[int]] = {kind: [] for kind in kinds}
        talking = {case: random.sample(range(addresses - 1), min(case.talking, addresses - 1)) for case in cases}
        for _ in range(ROUNDS):
            for case in cases:
                times, null = (self._run_anew if case.code == ANEW else self._repeat)(case, talking[case])
                found[case] += times
                nothing[case.code, case.build] += null
        return [self._row(case, found[case], nothing[case.code, case.build]) for case in cases]

    def _run_anew(self, case: Case, talking: list[int]) -> tuple[list[int], list[int]]:
        """Nanoseconds of single runs, and of those of a null program."""
        program, device, make = WAYS[case.way]
        ifindex, numbers = socket.if_nametoindex(device), random.choices(talking, k=self.runs // ROUNDS)
        descriptor = self.real.program_fd(program + BUILDS[case.build][1])
        times = timed(descriptor, [make(number) for number in numbers], ifindex, case.build)
        return times, timed(self.nulls[case.build], [make(number) for number in range(100)], ifindex, case.build)

    def _repeat(self, case: Case, talking: list[int]) -> tuple[list[int], list[int]]:
        """Mean nanoseconds."""
        program, device, make = WAYS[case.way]
        ifindex, repeat = socket.if_nametoindex(device), max(self.runs * 5, len(talking[:MOST_FRAMES]))
        self.hot.give([make(number) for number in talking[:MOST_FRAMES]])
        null = self.hot.nanoseconds(self.hot.nothing, ifindex, repeat)
        return [self.hot.nanoseconds(self.real.program_fd(program + XDP_BUILD), ifindex, repeat)], [null]

    def _row(self, case: Case, times: list[int], nothing: list[int]) -> dict[str, object]:
        net = statistics.median(times) - statistics.median(nothing)
        return {"program": WAYS[case.way][0], **case._asdict(), "nanoseconds": net, "target": TARGETS.get(case[:3])}


def timed(descriptor: int, frames: list[bytes], device: int, build: str) -> list[int]:
    """Everything is made before the first run."""
    context = RunContext(ifindex=device, xdp=build == "xdp")
    prepared = [syscall.PreparedRun(descriptor, frame, context) for frame in frames]
    for one in prepared:
        one.run()
    return [one.nanoseconds for one in prepared]


def agents_load(pins: Path, addresses: int) -> float:
    """Seconds of CPU."""
    told = bare_edge.intent(addresses)
    try:
        real = EdgeDataplane.open(pins, OBJECTS, addresses, addresses)
        begun = time.process_time()
        EdgeKernel(real).become(told)
        seconds = time.process_time() - begun
        real.close()
    finally:
        EdgeDataplane.remove_pins(pins)
    return seconds


def measure_all(runs: int, most: int) -> dict[str, object]:
    name = f"rookery-t{secrets.token_hex(4)}"
    pins = Path("/sys/fs/bpf") / name
    rows: list[dict[str, object]] = []
    try:
        with bare_edge.devices(name), namespace.inside(name), Hot(OBJECTS) as hot:
            real = EdgeDataplane.open(pins, OBJECTS, most, most)
            bare_edge.configure(real, socket.if_nametoindex("u0"), socket.if_nametoindex("x0"))
            bench, known, seconds = Bench(real, hot, runs), 0, 0.0
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
        print("{code:<14} {build:<4} {way:<16} {addresses:>9} addresses {talking:>9} talking {nanoseconds:>6.0f} ns".format(**row))
    print(f"loaded: {told['load_seconds']}")


if __name__ == "__main__":
    main()
