"""What a node's programs want of the kernel of its network namespace: sysctls, set when the agent begins and whenever it mends."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

SYSCTLS = Path("/proc/sys/net")


def hold(settings: Mapping[str, str]) -> int:
    """`settings`: by their paths below net. How many were not so, and are now. Raises OSError."""
    wrong = {name: value for name, value in settings.items() if (SYSCTLS / name).read_text().strip() != value}
    for name, value in wrong.items():
        (SYSCTLS / name).write_text(value)
    return len(wrong)
