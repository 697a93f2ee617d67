"""Nanoseconds a packet of a cell's node in each of its roles, by BPF_PROG_TEST_RUN, net of a program that does nothing; and what a held
flow takes of memory.

    PYTHONPATH=src python -m bench.nodes [--json] [--runs 4000] [--large 1000000]

"known": a top has the flow's directive at hand, and knows where its packets go; "after a change" it asks for that again, as it does once a
second. "new": the whole chain at a cell of one node, where nothing is sent on. "role": one step of
the chain at a node of four, which sends the packet on. "talking": how many flows take part, of "held" ones that the node knows. Of new
flows no two are the same. "code": as in bench/edges.py, "met anew" is a single run after a system call and Python, "in the caches" the
kernel's own repetition. Nothing is sent, so that a heartbeat's copy is not measured, but what its receivers do is."""

from __future__ import annotations

import argparse
import json
import random
import secrets
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from bench import bare_node
from bench.bare_host import SMALL
from bench.bare_node import BALANCER, IN_RING, NAT, ChainFlag
from bench.edges import ANEW, CACHED, timed
from bench.hot import Hot
from bench.programs import OBJECTS, memory_of, null_program
from rookery.dataplane.cell import CellDataplane
from rookery.dataplane.formats import CellNodeFlag, ChainStep, Verdict

ROUNDS, STEP, HOT_RUNS = 8, 50_000, 20_000
TC, PROGRAM = "tc", "hyperplane"
WATCHER = CellNodeFlag(0)  # in no ring: whatever it asks or stores next is another node's
KNOWN_TARGET, NEW_TARGET = 200, 1200

Maker = Callable[[int], bytes]


class Role(NamedTuple):
    """Of the node: what it is sent, and what it knows before."""

    name: str
    make: Maker
    known: str = ""  # kind of flows whose directives it has
    tracked: str = ""  # ... whose trackers
    nodes: int = 1
    own: int = IN_RING
    after_change: bool = False
    target: int | None = None


def _chained(make: Maker, step: ChainStep, attachment: int, kind: str = "", flags: int = 0) -> Maker:
    def made(number: int) -> bytes:
        directive = bare_node.flows_of(kind, number)[0][1] if kind else None
        return bare_node.chained(make(number), step, attachment, directive, flags)

    return made


KNOWN = (
    Role("known: NAT, out", bare_node.nat_out, known="nat", target=KNOWN_TARGET),
    Role("known: NAT, in", bare_node.nat_in, known="nat", target=KNOWN_TARGET),
    Role("known: balancer, preserved, out", bare_node.preserved, known="preserved", target=KNOWN_TARGET),
    Role("known: balancer, preserved, in", bare_node.preserved_back, known="preserved", target=KNOWN_TARGET),
    Role("known: balancer, hidden, out", bare_node.hidden, known="hidden", target=KNOWN_TARGET),
    Role("known: balancer, hidden, in", bare_node.hidden_back, known="hidden", target=KNOWN_TARGET),
    Role("known, after a change: NAT, out", bare_node.nat_out, known="nat", after_change=True),
    Role("known, after a change: NAT, in", bare_node.nat_in, known="nat", after_change=True),
    Role("known, after a change: balancer, preserved, out", bare_node.preserved, known="preserved", after_change=True),
)
NEW = (
    Role("new: NAT", bare_node.nat_out, target=NEW_TARGET),
    Role("new: balancer, preserved", bare_node.preserved, target=NEW_TARGET),
    Role("new: balancer, hidden", bare_node.hidden, target=NEW_TARGET),
    Role("role: top, miss", bare_node.nat_out, nodes=4, own=WATCHER),
    Role("role: tracker, asked, not known", _chained(bare_node.nat_out, ChainStep.ASK, NAT), nodes=4, own=WATCHER),
    Role("role: decider, NAT", _chained(bare_node.nat_out, ChainStep.DECIDE, NAT), nodes=4),
    Role("role: decider, balancer, hidden", _chained(bare_node.hidden, ChainStep.DECIDE, BALANCER, flags=ChainFlag.OWN_ADDRESS), nodes=4),
    Role("role: decider, balancer, preserved", _chained(bare_node.preserved, ChainStep.DECIDE, BALANCER, flags=ChainFlag.OWN_ADDRESS),
         nodes=4, own=WATCHER),
    Role("role: tracker, stores answers", _chained(bare_node.nat_out, ChainStep.ANSWERS_SECOND, NAT, "nat"), nodes=4, own=WATCHER),
    Role("role: tracker, stores, tells", _chained(bare_node.nat_out, ChainStep.SECOND, NAT, "nat"), nodes=4, own=WATCHER),
    Role("role: top, told", _chained(bare_node.nat_out, ChainStep.TELL, NAT, "nat"), nodes=4, own=WATCHER),
)  # fmt: skip
TRACKED = (
    Role("role: tracker, asked, known", _chained(bare_node.nat_out, ChainStep.ASK, NAT), tracked="nat", nodes=4, own=WATCHER),
    Role("role: tracker, heartbeat", _chained(bare_node.nat_out, ChainStep.BEAT_FIRST, NAT, "nat"), tracked="nat", nodes=4, own=WATCHER),
    Role("role: tracker, last heartbeat", _chained(bare_node.nat_out, ChainStep.BEAT_ANSWERS_SECOND, NAT, "nat"), tracked="nat", nodes=4,
         own=WATCHER),
)  # fmt: skip


class Bench:
    def __init__(self, real: CellDataplane, hot: Hot, runs: int):
        self.real, self.hot, self.runs = real, hot, runs
        self.program, self.null = real.program_fd(PROGRAM), null_program()
        self.rows: list[dict[str, object]] = []

    def known(self, held: int, talking: int) -> None:
        roles = KNOWN + TRACKED
        self._measure(tuple(role for role in roles if talking > 1 or not role.after_change), held, talking)

    def new(self) -> None:
        self._measure(NEW, 0, self.runs // ROUNDS)

    def _measure(self, roles: tuple[Role, ...], held: int, talking: int) -> None:
        """Adds rows: median nanoseconds of single runs, and of means of repeated ones."""
        found: dict[tuple[Role, str], list[int]] = {(role, code): [] for role in roles for code in (ANEW, CACHED)}
        nothing: dict[str, list[int]] = {ANEW: [], CACHED: []}
        for _ in range(ROUNDS):
            for role in roles:
                numbers = random.sample(range(max(held, talking)), talking) if held else list(range(talking))
                for code, run in ((ANEW, self._run_anew), (CACHED, self._repeat)):
                    self._prepare(role, numbers, fresh=not held)
                    times, null = run(role, numbers)
                    found[role, code] += times
                    nothing[code] += null
        for (role, code), times in found.items():
            net = statistics.median(times) - statistics.median(nothing[code])
            self.rows.append({"role": role.name, "code": code, "held": held, "talking": talking,
                              "nanoseconds": net, "target": role.target})  # fmt: skip

    def check(self) -> None:
        """A packet that is dropped is not measured. Raises RuntimeError."""
        dropped = {Verdict(key.verdict).name: row.packets for key, row in self.real.counters().items()
                   if key.verdict >= Verdict.DROP_NOT_CONFIGURED}  # fmt: skip
        if dropped:
            raise RuntimeError(f"the node dropped {dropped}")

    def _prepare(self, role: Role, numbers: list[int], fresh: bool) -> None:
        bare_node.ring(self.real, role.nodes, role.own)
        if fresh:
            bare_node.forget(self.real)
        if role.known:
            bare_node.cache(self.real, role.known, numbers)
        if role.tracked:
            bare_node.track(self.real, role.tracked, numbers)
        if role.known and not role.after_change:
            timed(self.program, [role.make(number) for number in numbers], bare_node.SUBSTRATE_DEVICE, TC)

    def _chosen(self, role: Role, numbers: list[int]) -> list[int]:
        """Once is each flow's first packet."""
        each = self.runs // ROUNDS
        once = role.after_change or not (role.known or role.tracked)
        return numbers[:each] if once else random.choices(numbers, k=each)

    def _run_anew(self, role: Role, numbers: list[int]) -> tuple[list[int], list[int]]:
        frames = [role.make(number) for number in self._chosen(role, numbers)]
        times = timed(self.program, frames, bare_node.SUBSTRATE_DEVICE, TC)
        return times, timed(self.null, frames[:100], bare_node.SUBSTRATE_DEVICE, TC)

    def _repeat(self, role: Role, numbers: list[int]) -> tuple[list[int], list[int]]:
        chosen = self._chosen(role, numbers) if len(numbers) > 1 else numbers
        once = role.after_change or not (role.known or role.tracked)
        repeat = len(chosen) if once else max(HOT_RUNS, len(chosen))
        self.hot.give([role.make(number) for number in chosen])
        null = self.hot.nanoseconds(self.hot.nothing, bare_node.SUBSTRATE_DEVICE, repeat)
        return [self.hot.nanoseconds(self.program, bare_node.SUBSTRATE_DEVICE, repeat)], [null]


def hold(real: CellDataplane, flows: int) -> None:
    for first in range(0, flows, STEP):
        numbers = range(first, min(first + STEP, flows))
        bare_node.track(real, "nat", numbers)
        bare_node.cache(real, "nat", numbers)


def memory(real: CellDataplane) -> dict[str, int]:
    """Bytes of what a tracker and a top hold."""
    return {"trackers": memory_of(real.trackers.fd), "directives": memory_of(real.directives.fd)}


def measure_all(runs: int, large: int) -> dict[str, Any]:
    pins, held = Path("/sys/fs/bpf") / f"rookery-t{secrets.token_hex(4)}", 0
    try:
        with Hot(OBJECTS, "") as hot:
            real = CellDataplane.open(pins, OBJECTS, 4 * SMALL, bare_node.sizes(large + runs))
            bare_node.fill(real)
            bench = Bench(real, hot, runs)
            bench.new()
            bare_node.forget(real)
            bench.known(SMALL, 1)
            bench.known(SMALL, SMALL)
            bare_node.forget(real)
            empty = memory(real)
            if large > SMALL:
                hold(real, large)
                held = memory(real)["trackers"] - empty["trackers"]
                bench.known(large, 1)
                bench.known(large, SMALL)
            bench.check()
            real.close()
    finally:
        CellDataplane.remove_pins(pins)
    return {
        "unit": "nanoseconds a packet, net of a null program",
        "rows": bench.rows,
        "bytes_a_flow": round(held / large),
        "bytes_a_directive": round(empty["directives"] / real.sizes.directives),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--runs", type=int, default=4000, help="of each role")
    parser.add_argument("--large", type=int, default=1_000_000, help="flows held in the large cases")
    asked = parser.parse_args()
    found = measure_all(asked.runs, asked.large)
    if asked.json:
        json.dump(found, sys.stdout, indent=1)
        print()
        return
    for row in found["rows"]:
        print(f"{row['role']:50}{row['code']:16}{row['held']:>9}{row['talking']:>9}{row['nanoseconds']:>9.0f}{row['target'] or '-':>7}")
    print(f"bytes a flow: {found['bytes_a_flow']}, a directive: {found['bytes_a_directive']}")


if __name__ == "__main__":
    main()
