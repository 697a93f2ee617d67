"""How much of what a kernel's verifier allows do our programs take?   python -m rookery.dataplane.verified [FOLDER OF OBJECTS]

Each object is loaded alone, over small maps of its own, and nothing is left. Needs root. Ends with 1 when the kernel refuses one."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from rookery.dataplane import syscall
from rookery.dataplane.errors import LoadFailed
from rookery.dataplane.generate import Btf
from rookery.dataplane.libbpf import BpfObject
from rookery.dataplane.node import function_of
from rookery.dataplane.stack import deepest

OBJECTS = Path("build/bpf")
ENDING = ".bpf.o"
FEW_ROWS = 4096  # also the smallest ring buffer
INSTRUCTIONS = 1_000_000  # that a verifier follows, all paths together: BPF_COMPLEXITY_LIMIT_INSNS
STACK = 512  # bytes of all functions within one another: MAX_BPF_STACK
FOLLOWED = re.compile(r"processed (\d+) insns")
FRAMES = re.compile(r"stack depth ([\d+]+)")


class Cost(NamedTuple):
    instructions: int  # that the verifier followed
    stack: int  # bytes of the functions that lie deepest within one another, as Linux 6.1 counts
    functions: tuple[str, ...]  # those, the outermost first


def read_summary(summary: str) -> tuple[int, list[int]]:
    """Instructions followed; bytes of stack of each function. Raises ValueError: this is no verifier's."""
    followed, frames = FOLLOWED.search(summary), FRAMES.search(summary)
    if not followed or not frames:
        raise ValueError(f"no verifier's summary: {summary!r}")
    return int(followed[1]), [int(frame) for frame in frames[1].split("+")]


def cost(path: Path) -> Cost | None:
    """None: there is no program in it. Raises LoadFailed, with the end of the verifier's log."""
    program = function_of(path.name)
    opened = _small(path)
    try:
        return _cost(opened, program) if opened.has(program) else None
    except LoadFailed:
        _refuse(path, program)
        raise
    finally:
        opened.close()


def _cost(opened: BpfObject, program: str) -> Cost:
    instructions, frames = read_summary(opened.load_summed_up(program))
    found, btf = deepest(opened.instructions(program), frames), Btf(opened.path)
    names = [btf.type(number).name for number in syscall.function_types(opened.program_fd(program))]
    return Cost(instructions, found.stack, tuple(f"{names[function]} {frames[function]}" for function in found.functions))


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
    stack = f"{found.stack:>3} of {STACK} bytes of stack: {', '.join(found.functions)}"
    return f"{name:<24}{found.instructions:>9,} instructions ({share:>6.1%})   {stack}"


def main(words: list[str]) -> int:
    print(f"Linux {os.uname().release}")
    refused = 0
    for name, found in costs(Path(words[0]) if words else OBJECTS):
        print(line(name, found), flush=True)
        refused += isinstance(found, LoadFailed)
    return min(refused, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
