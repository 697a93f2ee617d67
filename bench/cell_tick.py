"""What a node's agent pays every two seconds for its cell's file, when nothing in it has changed and when everything has.

    python -m bench.cell_tick [--rounds 15] [--json]

A file with so many attachments, services and targets, unpacked, checked and put into the kernel's tables: seconds of CPU, the kernel's
included. Both kinds take turns. Where everything changed no row has a key that any of the two files before had. Nothing is attached."""

from __future__ import annotations

import argparse
import json
import secrets
import statistics
import time
from pathlib import Path

import msgspec

from bench.programs import OBJECTS
from rookery.dataplane.cell import CellDataplane, CellSizes
from rookery.dataplane.formats import Gates
from rookery.hyperplane import cell_file
from rookery.hyperplane.cell_file import KEY_BYTES, CellFile, decode, encode, place_targets
from rookery.hyperplane.halves import Halves
from rookery.intent.cell import AttachmentIntent, CellIntent, NodeIntent, ServiceIntent, TargetIntent

ATTACHMENTS, SERVICES, TARGETS, CHOICES_EACH = 400, 100, 1000, 20
SETS = 3  # of rows without a common key
GATES = Gates(1, 1, 432_000, 180, 30, 3, 3, 0)
SETTLING = 3  # first ticks, not counted


def _address(number: int) -> str:
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def _attachment(number: int) -> AttachmentIntent:
    return AttachmentIntent(
        id=f"eni-{number:017x}", of=f"nat-{number:017x}", kind="nat", account="123456789012", vni=1, interface=number, zone=0, subnet=1,
        route_table=1, acl=1, primary=_address(number), mac="02:00:00:00:00:01", router_mac="02:00:00:00:00:02", mtu=1500,
        addresses=(_address(number),),
    )  # fmt: skip


def intent(which: int) -> CellIntent:
    """`which` of SETS."""
    first = 1 + which * 10_000
    targets = tuple(
        TargetIntent(group=f"targetgroup-{which}", vni=1, address=_address(1 << 20 | first + n), port=8080, interface=first + n)
        for n in range(TARGETS)
    )
    targets = tuple(sorted(targets, key=lambda one: one.key))
    services = tuple(
        ServiceIntent(vni=1, interface=first + n, protocol=6, port=80, choices=tuple((one.key, 1) for one in targets[n::SERVICES][:CHOICES_EACH]))
        for n in range(SERVICES)
    )
    nodes = tuple(NodeIntent(place=place, name=f"node-{place + 1}", address=f"100.64.1.{31 + place}") for place in range(4))
    attachments = tuple(_attachment(first + n) for n in range(ATTACHMENTS))
    return CellIntent(cell="cell-1", generation=7, nodes=nodes, attachments=attachments, services=services, targets=targets)


def file_of(which: int) -> CellFile:
    whole = intent(which)
    ring = tuple(range(4))
    return CellFile(
        intent=whole, rows=place_targets(whole.targets, ()), key=bytes(KEY_BYTES), epoch=1, current=ring, previous=ring, removal_epoch=1
    )


class Ticks:
    def __init__(self, real: CellDataplane):
        self._halves, self._held, self._epoch = Halves(real, 1), file_of(0), 1
        self._files = [file_of(which) for which in range(SETS)]
        self._which = 0

    def tick(self, changed: bool) -> float:
        """Seconds of CPU."""
        self._epoch += 1
        self._which = (self._which + changed) % SETS
        next_one = msgspec.structs.replace(self._files[self._which], epoch=self._epoch, removal_epoch=self._epoch)
        packed = encode(next_one)
        begun = time.process_time()
        cell_file.hash_of(packed)
        taken = decode(packed)
        cell_file.check(taken, self._held)
        self._halves.become(taken, 0, lambda _: GATES)
        spent = time.process_time() - begun
        self._held = taken
        return spent


def measure(rounds: int) -> dict[str, list[float]]:
    """Each kind ticks thrice in a row, for both halves are to be its own; the third counts."""
    pins = Path("/sys/fs/bpf") / f"rookery-t{secrets.token_hex(4)}"
    sizes = CellSizes(cell_file.ATTACHMENTS.rows, cell_file.ADDRESSES.rows, cell_file.SERVICES.rows, cell_file.TARGETS.rows, 1 << 10, 1 << 10)
    found: dict[str, list[float]] = {"nothing": [], "everything": []}
    try:
        real = CellDataplane.open(pins, OBJECTS, 1024, sizes)
        ticks = Ticks(real)
        for _ in range(SETTLING):
            ticks.tick(True)
        for number in range(rounds):
            for kind in list(found)[:: 1 if number % 2 else -1]:
                *_, last = [ticks.tick(kind == "everything") for _ in range(3)]
                found[kind].append(last)
        real.close()
    finally:
        CellDataplane.remove_pins(pins)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measure(options.rounds)
    ratio = statistics.median(all_of / none for all_of, none in zip(found["everything"], found["nothing"], strict=True))
    medians = {f"{kind} changed, ms": round(statistics.median(times) * 1000, 2) for kind, times in found.items()}
    told = {"tick": medians | {"ratio": round(ratio, 3)}, "rows": {"attachments": ATTACHMENTS, "services": SERVICES, "targets": TARGETS}}
    print(json.dumps(told) if options.json else told["tick"])


if __name__ == "__main__":
    main()
