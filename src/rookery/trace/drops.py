"""Live drops of all hosts and edges of a region, as they happen."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from rookery.host.control import EventLine
from rookery.region import agents, directory
from rookery.region.directory import Directory
from rookery.region.errors import NoAnswer
from rookery.region.status import current

RETRY = 1.0  # seconds; an agent that restarts is back by then
READ_AGAIN = 5.0  # seconds: names of things that were made meanwhile


def watch_region(
    name: str, listening: Callable[[str], None] = lambda _: None
) -> Iterator[tuple[EventLine, Directory]]:
    """For ever: each drop, and who is called what. A host whose agent restarts is watched again when it is back.

    `listening` is told the name of each host or edge from then on none of whose drops is missed; in any thread, again after a restart.
    """
    shape = current(name)
    events: queue.Queue[EventLine] = queue.Queue()
    for node in shape.host_edge_and_node_names:
        heard = partial(listening, node)
        follow = partial(_follow, shape.layout.control_socket(node), events, heard)
        threading.Thread(target=follow, daemon=True).start()
    known, read = directory.read(shape.layout), time.monotonic()
    while True:
        event = events.get()
        if time.monotonic() - read > READ_AGAIN:
            known, read = directory.read(shape.layout), time.monotonic()
        yield event, known


def _follow(path: Path, events: queue.Queue[EventLine], heard: Callable[[], None]) -> None:
    while True:
        try:
            for event in agents.watch_drops(path, heard):
                events.put(event)
        except NoAnswer:
            pass  # `status` says what is wrong with the agent; here it is enough to be there when it returns
        time.sleep(RETRY)
