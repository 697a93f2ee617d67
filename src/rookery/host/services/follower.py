"""The services' end of the feed: keeps their view as the agent tells it, for ever. While no agent answers the view stays as it
was: who has a lease renews it, names and metadata are as they were."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path

from rookery.host.services.feed import Change, FeedError, Serving, Snapshot, framed, from_agent
from rookery.host.services.view import View
from rookery.intent.host import InstanceIntent, NameIntent, ZoneIntent

FIRST_BACKOFF = 0.02  # seconds
LONGEST_BACKOFF = 0.2
SAY_SECONDS = 2.0  # between two words to the agent that say that this process is not stuck

log = logging.getLogger("rookery.host.services.feed")


class Follower:
    def __init__(self, path: Path, view: View):
        self._path = path
        self._view = view
        self._problem = "not started yet"
        self._told = ""
        self._writer: asyncio.StreamWriter | None = None
        self._instances: list[InstanceIntent] = []  # of a snapshot that is not whole yet
        self._rows: list[NameIntent | ZoneIntent] = []

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_following())
            tasks.create_task(self._keep_saying())

    async def _keep_saying(self) -> None:
        while True:
            await asyncio.sleep(SAY_SECONDS)
            self.say(self._problem)

    async def _keep_following(self) -> None:
        backoff = FIRST_BACKOFF
        while True:
            began = time.monotonic()
            try:
                await self._follow()
            except (OSError, EOFError, FeedError) as error:
                self._tell(f"no word from the agent at {self._path}: {error}")
            lasted = time.monotonic() - began
            backoff = FIRST_BACKOFF if lasted > LONGEST_BACKOFF else min(2 * backoff, LONGEST_BACKOFF)
            await asyncio.sleep(backoff)

    def say(self, problem: str) -> None:
        """To the agent, for its status: why guests cannot reach the services; empty: they can."""
        self._problem = problem
        if self._writer is not None:
            told = problem or ("" if self._view.version else "the agent has told nothing yet")
            self._writer.write(framed(Serving(problem=told)))

    def _tell(self, sentence: str) -> None:
        """Once, however often it is tried again."""
        if sentence != self._told:
            log.warning("%s", sentence)
        self._told = sentence

    async def _follow(self) -> None:
        """Until the agent hangs up. Raises OSError, EOFError, FeedError."""
        reader, writer = await asyncio.open_unix_connection(self._path)
        self._writer = writer
        try:
            self.say(self._problem)
            while True:
                self._take(await from_agent(reader))
                self._told = ""
        finally:
            self._writer = None
            writer.close()

    def _take(self, frame: Snapshot | Change) -> None:
        if isinstance(frame, Change):
            self._view.change(frame.put_instances, frame.delete_instances, frame.put_rows, frame.delete_rows)
            return
        if frame.first:
            self._instances, self._rows = [], []
        self._instances += frame.instances
        self._rows += frame.rows
        if frame.last:
            self._view.replace(self._instances, self._rows)
            self.say(self._problem)
            log.info("the agent's snapshot: %d instances, %d names and zones", len(self._instances), len(self._rows))
            self._instances, self._rows = [], []
