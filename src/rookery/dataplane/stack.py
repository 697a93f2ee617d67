"""Which functions of a program lie deepest within one another, and how much stack do they take together? Pure.

Read of its instructions, as the verifier does (check_max_stack_depth), which tells each function's own share only."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

INSTRUCTION = struct.Struct("=BBhi")
CALL, LOAD_ADDRESS = 0x85, 0x18  # BPF_JMP | BPF_CALL; BPF_LD | BPF_IMM | BPF_DW
PSEUDO_CALL, PSEUDO_FUNCTION = 1, 4  # the source register's number: of a call, and of a function that a helper is to call
ROUNDED_TO = 32  # bytes, each function's: Linux 6.1; later ones count less


class Deepest(NamedTuple):
    stack: int  # bytes
    functions: tuple[int, ...]  # by their order in the code, the outermost first


def deepest(instructions: bytes, frames: Sequence[int]) -> Deepest:
    """`frames`: bytes of each function, in the order of their code. Raises ValueError: as many functions as frames are not there."""
    calls = _calls(instructions)
    if len(calls) != len(frames):
        raise ValueError(f"{len(calls)} functions have {len(frames)} frames")
    found: dict[int, Deepest] = {}
    return _from(0, calls, frames, found)


def _from(function: int, calls: Sequence[set[int]], frames: Sequence[int], found: dict[int, Deepest]) -> Deepest:
    """The verifier allows no function within itself."""
    if function not in found:
        below = max((_from(called, calls, frames, found) for called in calls[function]), default=Deepest(0, ()))
        own = -(-max(frames[function], 1) // ROUNDED_TO) * ROUNDED_TO
        found[function] = Deepest(own + below.stack, (function, *below.functions))
    return found[function]


def _calls(instructions: bytes) -> list[set[int]]:
    """Of each function: those that it calls, or has called."""
    called = {at: at + immediate + 1 for at, (code, registers, _, immediate) in enumerate(INSTRUCTION.iter_unpack(instructions))
              if (code, registers >> 4) in ((CALL, PSEUDO_CALL), (LOAD_ADDRESS, PSEUDO_FUNCTION))}  # fmt: skip
    starts = sorted({0, *called.values()})
    ends = pairwise((*starts, len(instructions) // INSTRUCTION.size))
    return [{starts.index(to) for at, to in called.items() if first <= at < end} for first, end in ends]
