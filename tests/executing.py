"""Commands inside instances, without the command line's own start: it takes longer than what most of them do."""

from __future__ import annotations

import subprocess

from rookery.region.inside import entering


def execute(region: str, instance: str, *command: str) -> subprocess.CompletedProcess[bytes]:
    """`command` inside the instance (its id, or its Name tag), as `rookery exec` runs it; the result, whatever its exit code."""
    enter, environment = entering(region, instance, list(command))
    return subprocess.run(enter, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60)
