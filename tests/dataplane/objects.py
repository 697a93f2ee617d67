"""The BPF objects of this checkout, built if somebody has changed them."""

from __future__ import annotations

import functools
import subprocess
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]


@functools.cache
def built_objects() -> Path:
    done = subprocess.run(["make", "-s", "-C", CHECKOUT / "bpf"], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return CHECKOUT / "build" / "bpf"
