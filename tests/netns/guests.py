"""What tests of real guests share: whether there can be any, their image, and a word with one."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest

from rookery.vm.execute import GuestGone, execute
from rookery.vm.image import build
from rookery.vm.kernel import newest
from rookery.vm.offer import offered

BUILT = Path(__file__).resolve().parents[2] / "build"
IMAGES = BUILT / "guests"
BOOT = 90.0  # seconds: emulated, and the machine may be busy with others

needs_guests = pytest.mark.skipif(not offered(IMAGES).ok, reason=f"no guests here: {offered(IMAGES).sentence}")


@functools.cache
def build_image() -> None:
    """From the scripts as they are now."""
    build(newest(BUILT / "kernels"), IMAGES)


def ask(commands: str, *command: str) -> tuple[int, str]:
    """(exit code, output) of a command in a guest. Waits until it listens."""
    output: list[bytes] = []
    try:
        return execute(Path(commands), list(command), output.append), b"".join(output).decode()
    except (GuestGone, OSError) as gone:
        return 255, str(gone)
