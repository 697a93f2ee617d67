"""How a process of a node begins and ends: one of its kind, and until it is told. Agents of hosts and edges share it, and services.

StartRefused   the node is not fit for it; main prints the sentence and exits with 2
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import signal
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rookery.host.config import NodeConfig


class StartRefused(Exception):
    """What is wrong, and what to do."""


@contextmanager
def only_one(config: NodeConfig, lock_name: str, refusal: str) -> Iterator[None]:
    """`lock_name`: a file in the run directory; `refusal`: the sentence when another process has it. The kernel lets go of the lock
    however the process ends. Raises StartRefused."""
    folder = Path(config.run_directory)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / lock_name).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StartRefused(refusal) from error
        yield


@contextmanager
def only_agent(config: NodeConfig) -> Iterator[None]:
    """Two agents would start everything twice."""
    with only_one(config, "agent.lock", f"another agent of {config.name} is running"):
        yield


async def until_told(work: Coroutine[Any, Any, None], log: logging.Logger, farewell: str) -> None:
    """Until SIGTERM or SIGINT; `farewell` says in the log what goes on."""
    running = asyncio.current_task()
    assert running is not None
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, running.cancel)
    try:
        await work
    except asyncio.CancelledError:
        log.info("%s", farewell)
