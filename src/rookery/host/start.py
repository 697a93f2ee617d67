"""One agent a node, and why one may not start. Hosts and edges share it.

StartRefused   the node is not fit for an agent; main prints the sentence and exits with 2
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rookery.host.config import NodeConfig


class StartRefused(Exception):
    """What is wrong, and what to do."""


@contextmanager
def only_agent(config: NodeConfig) -> Iterator[None]:
    """Two agents would start everything twice. The kernel lets go of the lock however the agent ends."""
    folder = Path(config.run_directory)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / "agent.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StartRefused(f"another agent of {config.name} is running") from error
        yield
