"""By which build a region was started. What runs goes on with what it was started with, whatever `up` of another build finds: it says so."""

from __future__ import annotations

import hashlib
from pathlib import Path

from rookery.files import write_whole
from rookery.region.layout import BPF_OBJECTS, CHECKOUT, Layout


def this_one() -> str:
    """Of all that parts are started from: programs of the kernel, and Python's."""
    digest = hashlib.sha256()
    for folder, pattern in ((BPF_OBJECTS, "*.o"), (CHECKOUT / "src", "*.py")):
        for path in sorted(folder.rglob(pattern)):
            digest.update(hashlib.sha256(f"{path.relative_to(folder)}\0".encode() + path.read_bytes()).digest())
    return digest.hexdigest()


def note(plan: Layout) -> None:
    """All that runs is of this build."""
    write_whole(_file(plan), this_one().encode())


def runs_another(plan: Layout) -> bool:
    try:
        return _file(plan).read_text() != this_one()
    except FileNotFoundError:  # of before builds were noted
        return True


def _file(plan: Layout) -> Path:
    return plan.run / "build"
