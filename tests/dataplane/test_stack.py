"""Made programs: functions one behind the other, as a loader lays them out.

    0 main -- calls --> 1 left  -- has a helper call --> 3 each
           -- calls --> 2 right
"""

from __future__ import annotations

import struct

import pytest

from rookery.dataplane.stack import Deepest, deepest

EXIT = struct.pack("=BBhi", 0x95, 0, 0, 0)
MAIN, LEFT, RIGHT, EACH = range(4)


def call(instructions_on: int) -> bytes:
    return struct.pack("=BBhi", 0x85, 1 << 4, 0, instructions_on - 1)


def address(instructions_on: int) -> bytes:
    return struct.pack("=BBhiq", 0x18, 4 << 4 | 2, 0, instructions_on - 1, 0)


def helper(number: int) -> bytes:
    return struct.pack("=BBhi", 0x85, 0, 0, number)


#                   0        1        2     3 and 4     5            6     7          8     9: where each stands
PROGRAM = b"".join((call(3), call(6), EXIT, address(6), helper(164), EXIT, helper(7), EXIT, EXIT))


@pytest.mark.parametrize(
    ("frames", "found"),
    [
        ((40, 8, 16, 8), Deepest(64 + 32 + 32, (MAIN, LEFT, EACH))),
        ((40, 8, 200, 8), Deepest(64 + 224, (MAIN, RIGHT))),
        ((0, 0, 0, 33), Deepest(32 + 32 + 64, (MAIN, LEFT, EACH))),
    ],
)
def test_functions_that_lie_deepest_within_one_another_are_found_with_their_stack_in_whole_steps(frames, found):
    assert deepest(PROGRAM, frames) == found


def test_frames_of_another_program_are_refused():
    with pytest.raises(ValueError, match="4 functions have 3 frames"):
        deepest(PROGRAM, (8, 8, 8))
