"""How much of what a kernel's verifier allows do our programs take?   python -m rookery.dataplane.verified [FOLDER OF OBJECTS]

Each object is loaded alone, over small maps of its own, and nothing is left. Needs root. Ends with 1 when the kernel refuses one."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from rookery.dataplane.errors import LoadFailed
from rookery.dataplane.libbpf import BpfObject
from rookery.dataplane.node import function_of

OBJECTS = Path("build/bpf")
ENDING = ".bpf.o"
FEW_ROWS = 4096  # also the smallest ring buffer
INSTRUCTIONS = 1_000_000  # that a verifier follows, all paths together: BPF_COMPLEXITY_LIMIT_INSNS
STACK = 512  # bytes of all functions within one another: MAX_BPF_STACK
FOLLOWED = re.compile(r"processed (\d+) insns")
DEPTHS = re.compile(r"stack depth ([\d+]+)")


class Cost(NamedTuple):
    instructions: int  # that the verifier followed
    frame: int  # bytes of stack of the function that takes most; which ones lie within one another it does not tell


def read_summary(summary: str) -> Cost:
    """Raises ValueError: this is no verifier's."""
    followed, depths = FOLLOWED.search(summary), DEPTHS.search(summary)
    if not followed or not depths:
        raise ValueError(f"no verifier's summary: {summary!r}")
    return Cost(int(followed[1]), max(int(depth) for depth in depths[1].split("+")))


def cost(path: Path) -> Cost | None:
    """None: there is no program in it. Raises LoadFailed, with the end of the verifier's log."""
    program = function_of(path.name)
    opened = _small(path)
    try:
        return read_summary(opened.load_summed_up(program)) if opened.has(program) else None
    except LoadFailed:
        _refuse(path, program)
        raise
    finally:
        opened.close()


def _refuse(path: Path, program: str) -> None:
    again = _small(path)
    try:
        again.load(program)
    finally:
        again.close()


def _small(path: Path) -> BpfObject:
    opened = BpfObject(path)
    for name in opened.maps:
        opened.resize(name, min(opened.shape(name).max_entries, FEW_ROWS))
    return opened


def costs(folder: Path) -> Iterator[tuple[str, Cost | LoadFailed]]:
    for path in sorted(folder.glob(f"*{ENDING}")):
        try:
            found: Cost | LoadFailed | None = cost(path)
        except LoadFailed as refused:
            found = refused
        if found:
            yield path.name.removesuffix(ENDING), found


def line(name: str, found: Cost | LoadFailed) -> str:
    if isinstance(found, LoadFailed):
        return f"{name:<24}refused: {found}"
    share = found.instructions / INSTRUCTIONS
    return f"{name:<24}{found.instructions:>9,} instructions ({share:>6.1%})   largest frame {found.frame:>3} of {STACK} bytes"


def main(words: list[str]) -> int:
    print(f"Linux {os.uname().release}")
    refused = 0
    for name, found in costs(Path(words[0]) if words else OBJECTS):
        print(line(name, found), flush=True)
        refused += isinstance(found, LoadFailed)
    return min(refused, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
