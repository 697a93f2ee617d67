"""Nanoseconds a packet of each program, by BPF_PROG_TEST_RUN, net of a program that does nothing.

    PYTHONPATH=src python -m bench.programs [--json] [--runs 4000] [--large 1000000]

"flow": "untracked" is open both ways, so that rules alone decide; "new" is admitted by the last of its rules, and remembered;
"established" is one of so many "held". Everybody's network ACL is asked on top. "talking": how many of the mapped addresses, or of
the flows held, take part. With one all is in the caches; 1,000 are a busy host; when each of a million packets goes to another
address, every one pays for memory that no cache holds. Medians of single runs in interleaved rounds: a run changes its packet, so
none is repeated in the kernel. Nothing is sent, and nothing is left behind."""

from __future__ import annotations

import argparse
import json
import random
import re
import secrets
import statistics
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from bench import bare_host
from bench.bare_host import ANYWHERE, DEVICE, PEERS, SMALL
from rookery.dataplane import syscall
from rookery.dataplane.host import HostDataplane
from rookery.dataplane.syscall import Buffer, RunContext

OBJECTS = Path(__file__).resolve().parents[1] / "build" / "bpf"
ROUNDS, STEP = 4, 100_000
RETURN_ZERO = struct.pack("=BBhi", 0xB7, 0, 0, 0) + struct.pack("=BBhi", 0x95, 0, 0, 0)
TARGETS = {"host_egress": 800, "host_ingress": 400}
RULES = (1, 100, 1000)

Subjects = dict[str, tuple[int, Callable[[int], bytes]]]  # name -> (program, what makes a packet of a number)


class Case(NamedTuple):
    """What the rows of one measurement have in common."""

    flow: str
    rules: int
    held: int
    mappings: int
    talking: int


TC, XDP = 3, 6


def null_program(kind: int = TC) -> int:
    """A descriptor. It returns 0: TC's "on", XDP's "aborted"."""
    code, license_name = Buffer(RETURN_ZERO), Buffer(b"GPL\0")
    attribute = struct.pack("=IIQQ", kind, 2, code.address, license_name.address)
    return syscall.call(5, bytearray(attribute.ljust(syscall.ATTRIBUTE_BYTES, b"\0")))


def timed(descriptor: int, make: Callable[[int], bytes], numbers: list[int]) -> list[int]:
    """Everything is made before the first run, so that next to nothing but the kernel's own work lies between two."""
    context = RunContext(ifindex=DEVICE)
    prepared = [syscall.PreparedRun(descriptor, make(number), context) for number in numbers]
    for one in prepared:
        one.run()
    return [one.nanoseconds for one in prepared]


class Bench:
    """One host, measured in one state of its tables after the other."""

    def __init__(self, real: HostDataplane, runs: int):
        self.real, self.runs = real, runs
        self.programs = {name: real.program_fd(name) for name in ("host_egress", "host_ingress")}
        self.null = null_program()
        self.acl = bare_host.open_acl()
        bare_host.put_list(real, self.acl)
        self.rows: list[dict[str, object]] = []

    def admit(self, rules: int, last: str) -> None:
        policy = bare_host.put_list(self.real, bare_host.policy(rules, last))
        bare_host.configure(self.real, policy, self.acl)

    def untracked(self, mappings: int, talking: int) -> None:
        self.admit(1, ANYWHERE)
        subjects = {"arp": (self.programs["host_egress"], bare_host.arp_question)} | self._both(
            bare_host.leaving, bare_host.arriving
        )
        self._measure(Case("untracked", 1, 0, mappings, talking), subjects)

    def new(self, rules: int) -> None:
        self.admit(rules, PEERS)
        self._measure(Case("new", rules, 0, SMALL, SMALL), self._flows())

    def established(self, held: int, talking: int) -> None:
        self.admit(1, PEERS)
        self._measure(Case("established", 1, held, SMALL, talking), self._flows())

    def _both(self, leaving: Callable[..., bytes], arriving: Callable[..., bytes]) -> Subjects:
        return {
            "host_egress": (self.programs["host_egress"], leaving),
            "host_ingress": (self.programs["host_ingress"], arriving),
        }

    def _flows(self) -> Subjects:
        return self._both(bare_host.leaving_flow, bare_host.arriving_flow)

    def _measure(self, case: Case, subjects: Subjects) -> None:
        """Adds rows of median nanoseconds, net."""
        known = {"null": (self.null, bare_host.leaving_flow)} | subjects
        found: dict[str, list[int]] = {name: [] for name in known}
        for _ in range(ROUNDS):
            for name, (descriptor, make) in known.items():
                if case.flow == "new":
                    bare_host.forget_flows(self.real)
                found[name] += timed(descriptor, make, self._numbers(case))
        medians = {name: statistics.median(times) for name, times in found.items()}
        for name in subjects:
            target = None if case.flow == "new" else TARGETS.get(name)
            net = medians[name] - medians["null"]
            self.rows.append({"program": name, **case._asdict(), "nanoseconds": net, "target": target})

    def _numbers(self, case: Case) -> list[int]:
        """No two new flows are the same."""
        each = self.runs // ROUNDS
        return list(range(each)) if case.flow == "new" else [random.randrange(case.talking) for _ in range(each)]


def memory_of(table_fd: int) -> int:
    """Bytes, as the kernel counts what a map holds."""
    said = Path(f"/proc/self/fdinfo/{table_fd}").read_text(encoding="ascii")
    found = re.search(r"^memlock:\s+(\d+)$", said, re.MULTILINE)
    assert found
    return int(found[1])


def with_flows(bench: Bench, large: int) -> int:
    """Bytes of memory a flow."""
    for rules in RULES:
        bench.new(rules)
    bare_host.forget_flows(bench.real)
    empty = memory_of(bench.real.connections.fd)
    bare_host.hold_flows(bench.real, 0, 1)
    bench.established(1, 1)
    for first in range(0, large, STEP):
        bare_host.hold_flows(bench.real, first, min(first + STEP, large))
    for talking in (1, SMALL, large):
        bench.established(large, talking)
    held = memory_of(bench.real.connections.fd) - empty
    bare_host.forget_flows(bench.real)
    return round(held / large)


def with_mappings(bench: Bench, large: int) -> None:
    for talking in (1, SMALL):
        bench.untracked(SMALL, talking)
    for first in range(SMALL, large, STEP):
        bare_host.map_peers(bench.real, first, min(first + STEP, large))
    for talking in (SMALL, large):
        bench.untracked(large, talking)


def measure_all(runs: int, large: int) -> dict[str, object]:
    pins = Path("/sys/fs/bpf") / f"rookery-t{secrets.token_hex(4)}"
    try:
        real = HostDataplane.open(pins, OBJECTS, large + 1024, large + runs)
        bare_host.map_peers(real, 0, SMALL)
        bench = Bench(real, runs)
        a_flow = with_flows(bench, large)
        with_mappings(bench, large)
        real.close()
    finally:
        HostDataplane.remove_pins(pins)
    return {
        "unit": "nanoseconds a packet, net of a null program",
        "bytes_a_flow": a_flow,
        "rows": bench.rows,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--runs", type=int, default=4000, help="of each program")
    parser.add_argument("--large", type=int, default=1_000_000, help="mappings, and flows, in the large cases")
    asked = parser.parse_args()
    found = measure_all(asked.runs, asked.large)
    if asked.json:
        json.dump(found, sys.stdout, indent=1)
        print()
        return
    print_table(found)


def print_table(found: dict) -> None:
    columns = list(found["rows"][0])
    print("".join(f"{column:>13}" for column in columns))
    for row in found["rows"]:
        print("".join(f"{'-' if row[c] is None else row[c]:>13}" for c in columns))
    print(f"{found['bytes_a_flow']} bytes of memory a flow")


if __name__ == "__main__":
    main()
