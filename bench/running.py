"""Nanoseconds a packet of each program while real packets flow: the kernel's own accounting (sysctl kernel.bpf_stats_enabled).

    python -m bench.running [--seconds 2] [--rounds 7] [--json]

Caches are as warm as traffic makes them, which single test runs (bench/programs.py) cannot show. The kernel's two clock reads
for each run are in the figure; a TCP super-packet counts as one run.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.path import tcp_request_response, tcp_stream, udp_packets
from bench.region import measured_region

ACCOUNTING = Path("/proc/sys/kernel/bpf_stats_enabled")
PROGRAMS = ("host_egress", "host_ingress")
LOADS = {
    "UDP, 64-byte frames": udp_packets,
    "TCP stream": tcp_stream,
    "TCP request/response": tcp_request_response,
}


@contextmanager
def accounting() -> Iterator[None]:
    before = ACCOUNTING.read_text()
    ACCOUNTING.write_text("1\n")
    try:
        yield
    finally:
        ACCOUNTING.write_text(before)


def totals() -> dict[str, tuple[int, int]]:
    """Program -> (nanoseconds, runs), over all hosts."""
    shown = subprocess.run(["bpftool", "-j", "prog", "show"], check=True, stdout=subprocess.PIPE).stdout
    found = {name: (0, 0) for name in PROGRAMS}
    for one in json.loads(shown):
        if one.get("name") in found:
            spent, runs = found[one["name"]]
            found[one["name"]] = (spent + one.get("run_time_ns", 0), runs + one.get("run_cnt", 0))
    return found


def measure(rounds: int, seconds: float) -> dict[str, dict[str, float]]:
    taken: dict[str, dict[str, list[float]]] = {load: {name: [] for name in PROGRAMS} for load in LOADS}
    with measured_region() as topology, accounting():
        for _ in range(rounds):
            for load, run in LOADS.items():
                before = totals()
                run(topology, seconds)
                for name, (spent, runs) in totals().items():
                    taken[load][name].append((spent - before[name][0]) / (runs - before[name][1]))
    return {
        load: {name: round(statistics.median(v)) for name, v in row.items()} for load, row in taken.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measure(options.rounds, options.seconds)
    print(json.dumps(found) if options.json else found)


if __name__ == "__main__":
    main()
