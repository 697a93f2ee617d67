"""A node and its cell's file: fetched every two seconds or when it is a new one, checked, taken whole; what came of it is reported where
the file lies.

Whatever is wrong, the node goes on with what it has: the age of the file is what tells."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from rookery.dataplane.errors import DataplaneError
from rookery.hyperplane import report as reports
from rookery.hyperplane.cell_file import CellFile, CellFileError, Refused, check, decode, hash_of
from rookery.hyperplane.object_store import ObjectStore, StoreAway, file_key, report_key
from rookery.hyperplane.pace import keep_pace
from rookery.hyperplane.report import NodeReport

OLD_SECONDS = 10.0  # five ticks: then it is an alarm that the node goes by an old file

log = logging.getLogger("rookery.hyperplane")


class FileLoop:
    """`held_epoch`: of what the kernel holds, whoever wrote it: a new agent takes nothing older. `take`: puts a file and this node's place
    into the kernel; runs in a thread. `taken`: told of each file afterwards. `tell`: completes a report."""

    def __init__(
        self,
        cell: str,
        node: str,
        objects: ObjectStore,
        *,
        held_epoch: Callable[[], int],
        take: Callable[[CellFile, int], None],
        taken: Callable[[CellFile], None] = lambda _: None,
        tell: Callable[[NodeReport], NodeReport],
    ):
        self.cell = cell
        self.node = node
        self._objects = objects
        self._held_epoch = held_epoch
        self._take = take
        self._taken = taken
        self._tell = tell
        self.file: CellFile | None = None
        self.hash = ""
        self.refused = ""
        self.taken = time.monotonic()  # when the last file was, or the agent began
        self._tag = ""  # of the newest file that was looked at
        self._has_to_tell = False
        self._takes_again = False

    async def run(self) -> None:
        """Until cancelled."""
        await keep_pace(self.tick, self._has_news)

    @property
    def alarm(self) -> str:
        """What is wrong with how it follows, in words; empty: nothing."""
        age = time.monotonic() - self.taken
        if age <= OLD_SECONDS and not self.refused:
            return ""
        held = f"goes by the file of epoch {self._held_epoch()}, of {age:.0f} s ago"
        return f"{held}: {self.refused}" if self.refused else held

    def hurry(self) -> None:
        """The next report does not wait for its time."""
        self._has_to_tell = True

    def take_again(self) -> None:
        """The same file, soon: what it was read with has changed."""
        self._takes_again = True

    async def _has_news(self) -> bool:
        try:
            return self._has_to_tell or self._takes_again or await self._objects.tag(file_key(self.cell)) != self._tag
        except StoreAway:
            return False  # the next turn says so

    async def tick(self, _early: bool = False) -> None:
        self._has_to_tell = False
        try:
            await self._fetch()
        except (StoreAway, CellFileError, DataplaneError, ValueError) as error:
            if str(error) != self.refused:
                log.warning("goes on with the file of epoch %d: %s", self._held_epoch(), error)
            self.refused = str(error)
        try:
            await self._report()
        except StoreAway as error:
            log.warning("nobody hears its report: %s", error)

    async def _fetch(self) -> None:
        self._tag = await self._objects.tag(file_key(self.cell))  # first: what comes between the two is news again
        packed = await self._objects.get(file_key(self.cell))
        if packed is None:
            raise StoreAway(f"the cell {self.cell} has no file yet")
        known = hash_of(packed) == self.hash
        if known and not self._takes_again:
            self.refused = ""  # the controller rests
            return
        file = decode(packed)
        if not known:
            self._check(file)
        self._takes_again = False
        await asyncio.to_thread(self._take, file, self._place(file))
        self.file, self.hash, self.refused, self.taken = file, hash_of(packed), "", time.monotonic()
        self._taken(file)

    def _check(self, file: CellFile) -> None:
        """Raises Refused."""
        if file.intent.cell != self.cell:
            raise Refused(f"the file of the cell {file.intent.cell}, not of {self.cell}")
        check(file, self.file)
        if self.file is None and file.epoch < self._held_epoch():
            raise Refused(f"epoch {file.epoch} is older than {self._held_epoch()}, which the kernel holds")

    def _place(self, file: CellFile) -> int:
        """Raises Refused: the node is in no cell any more, and what it has is better than nothing."""
        for node in file.intent.nodes:
            if node.name == self.node:
                return node.place
        raise Refused(f"{self.node} has no place in the file")

    async def _report(self) -> None:
        base = NodeReport(
            node=self.node,
            place=self._place(self.file) if self.file else -1,
            epoch=self._held_epoch(),
            hash=self.hash,
            generation=self.file.intent.generation if self.file else 0,
            time=time.time(),
            file_age=time.monotonic() - self.taken,
            refused=self.refused,
        )
        await self._objects.put(report_key(self.cell, self.node), reports.encode(self._tell(base)))
