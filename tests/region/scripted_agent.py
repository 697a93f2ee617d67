"""An agent that gives one answer to whatever it is asked, on a real control socket."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from rookery.host.control import Request
from rookery.host.control_socket import ControlServer
from rookery.host.watchers import Watchers


@contextmanager
def scripted(path: Path, answer: msgspec.Struct) -> Iterator[None]:
    loop, listening, ends = asyncio.new_event_loop(), threading.Event(), asyncio.Event()

    async def reply(_: Request) -> msgspec.Struct:
        return answer

    async def serve() -> None:
        async with ControlServer(path.parent.name, reply, Watchers()).at(path):
            listening.set()
            await ends.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert listening.wait(10)
        yield
    finally:
        loop.call_soon_threadsafe(ends.set)
        thread.join()
        loop.close()
