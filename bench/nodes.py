"""Nanoseconds a packet of a cell's node in each of its roles, of both builds, by BPF_PROG_TEST_RUN, net of a program that does nothing; and what
a held flow takes of memory.

    PYTHONPATH=src python -m bench.nodes [--json] [--runs 4000] [--large 1000000]

"known": a top has the flow's directive at hand, and knows where its packets go; "after a change" it asks for that again, as it does once a
second. "new": the whole chain at a cell of one node, where nothing is sent on. "role": one step of
the chain at a node of four, which sends the packet on. "talking": how many flows take part, of "held" ones that the node knows. Of new
flows no two are the same. "code": as in bench/edges.py, "met anew" is a single run after a system call and Python, "in the caches" the
kernel's own repetition. Nothing is sent, so that a heartbeat's copy is not measured, but what its receivers do is; what XDP leaves to TC is not
measured either (`check`), but that it asks the kernel for its neighbour is."""

from __future__ import annotations

import argparse
import json
import random
import secrets
import socket
import statistics
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from bench import bare_node
from bench.bare_host import SMALL
from bench.bare_node import BALANCER, IN_RING, NAT, ChainFlag
from bench.edges import ANEW, BUILDS, CACHED, timed
from bench.hot import Hot
from bench.programs import OBJECTS, memory_of, null_program
from rookery.dataplane.cell import CellDataplane
from rookery.dataplane.formats import CellNodeFlag, ChainStep, Verdict
from rookery.host.instances import namespace

ROUNDS, STEP, HOT_RUNS = 8, 50_000, 20_000
PROGRAM = "hyperplane"
WATCHER = CellNodeFlag(0)  # in no ring: whatever it asks or stores next is another node's
KNOWN_TARGET, NEW_TARGET = 200, 1200
XDP_TARGETS = {KNOWN_TARGET: 120}  # others are the same
DEFERRED_AT_MOST = 0.01  # of the packets: a heartbeat was due

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
    def __init__(self, real: CellDataplane, ifindex: int, hot: dict[str, Hot], runs: int):
        """`hot`: of each build."""
        self.real, self.ifindex, self.hot, self.runs = real, ifindex, hot, runs
        self.programs = {build: real.program_fd(PROGRAM + ends) for build, (_, ends) in BUILDS.items()}
        self.nulls = {build: null_program(kind) for build, (kind, _) in BUILDS.items()}
        self.rows: list[dict[str, object]] = []

    def known(self, held: int, talking: int) -> None:
        roles = KNOWN + TRACKED
        self._measure(tuple(role for role in roles if talking > 1 or not role.after_change), held, talking)

    def new(self) -> None:
        self._measure(NEW, 0, self.runs // ROUNDS)

    def _measure(self, roles: tuple[Role, ...], held: int, talking: int) -> None:
        """Adds rows: median nanoseconds of single runs, and of means of repeated ones."""
        ways = [(build, code) for build in BUILDS for code in (ANEW, CACHED)]
        found: dict[tuple[Role, str, str], list[int]] = {(role, *way): [] for role in roles for way in ways}
        nothing: dict[tuple[str, str], list[int]] = {way: [] for way in ways}
        for _ in range(ROUNDS):
            for role in roles:
                numbers = random.sample(range(max(held, talking)), talking) if held else list(range(talking))
                for build, code in ways:
                    self._prepare(role, numbers, build, fresh=not held)
                    times, null = (self._run_anew if code == ANEW else self._repeat)(role, numbers, build)
                    found[role, build, code] += times
                    nothing[build, code] += null
        for (role, build, code), times in found.items():
            net = statistics.median(times) - statistics.median(nothing[build, code])
            target = XDP_TARGETS.get(role.target or 0, role.target) if build == "xdp" else role.target
            self.rows.append({"role": role.name, "build": build, "code": code, "held": held, "talking": talking,
                              "nanoseconds": net, "target": target})  # fmt: skip

    def check(self) -> None:
        """A packet that is dropped is not measured. Raises RuntimeError."""
        counted = {Verdict(key.verdict): row.packets for key, row in self.real.counters().items()}
        dropped = {verdict.name: packets for verdict, packets in counted.items() if verdict >= Verdict.DROP_NOT_CONFIGURED}
        if dropped or counted.get(Verdict.DEFERRED, 0) > DEFERRED_AT_MOST * counted[Verdict.SENT]:
            raise RuntimeError(f"the node dropped {dropped}, or XDP left too much to TC, for heartbeats were due: {counted}")

    def _prepare(self, role: Role, numbers: list[int], build: str, fresh: bool) -> None:
        bare_node.ring(self.real, role.nodes, role.own)
        if fresh:
            bare_node.forget(self.real)
        if role.known:
            bare_node.cache(self.real, role.known, numbers)
        if role.tracked:
            bare_node.track(self.real, role.tracked, numbers)
        if role.known and not role.after_change:
            timed(self.programs[build], [role.make(number) for number in numbers], self.ifindex, build)

    def _chosen(self, role: Role, numbers: list[int]) -> list[int]:
        """Once is each flow's first packet."""
        each = self.runs // ROUNDS
        once = role.after_change or not (role.known or role.tracked)
        return numbers[:each] if once else random.choices(numbers, k=each)

    def _run_anew(self, role: Role, numbers: list[int], build: str) -> tuple[list[int], list[int]]:
        frames = [role.make(number) for number in self._chosen(role, numbers)]
        times = timed(self.programs[build], frames, self.ifindex, build)
        return times, timed(self.nulls[build], frames[:100], self.ifindex, build)

    def _repeat(self, role: Role, numbers: list[int], build: str) -> tuple[list[int], list[int]]:
        chosen = self._chosen(role, numbers) if len(numbers) > 1 else numbers
        once = role.after_change or not (role.known or role.tracked)
        repeat = len(chosen) if once else max(HOT_RUNS, len(chosen))
        hot = self.hot[build]
        hot.give([role.make(number) for number in chosen])
        null = hot.nanoseconds(hot.nothing, self.ifindex, repeat)
        return [hot.nanoseconds(self.programs[build], self.ifindex, repeat)], [null]


def hold(real: CellDataplane, flows: int) -> None:
    for first in range(0, flows, STEP):
        numbers = range(first, min(first + STEP, flows))
        bare_node.track(real, "nat", numbers)
        bare_node.cache(real, "nat", numbers)


def memory(real: CellDataplane) -> dict[str, int]:
    """Bytes of what a tracker and a top hold."""
    return {"trackers": memory_of(real.trackers.fd), "directives": memory_of(real.directives.fd)}


def measure_all(runs: int, large: int) -> dict[str, Any]:
    name, held = f"rookery-t{secrets.token_hex(4)}", 0
    pins = Path("/sys/fs/bpf") / name
    try:
        with bare_node.device(name), namespace.inside(name), ExitStack() as stack:
            hot = {build: stack.enter_context(Hot(OBJECTS, ends)) for build, (_, ends) in BUILDS.items()}
            ifindex = socket.if_nametoindex("u0")
            real = CellDataplane.open(pins, OBJECTS, 4 * SMALL, bare_node.sizes(large + runs), "xdp")
            bare_node.fill(real, ifindex)
            bench = Bench(real, ifindex, hot, runs)
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
        print(f"{row['role']:50}{row['build']:5}{row['code']:16}{row['held']:>9}{row['talking']:>9}{row['nanoseconds']:>9.0f}{row['target'] or '-':>7}")
    print(f"bytes a flow: {found['bytes_a_flow']}, a directive: {found['bytes_a_directive']}")


if __name__ == "__main__":
    main()
