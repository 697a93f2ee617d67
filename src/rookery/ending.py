"""How a process of any part ends: when it is told to."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Coroutine
from typing import Any


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
