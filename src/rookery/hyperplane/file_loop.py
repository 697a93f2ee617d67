"""A node and its cell's file: fetched every two seconds, checked, taken whole; what came of it is reported where the file lies.

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
from rookery.hyperplane.report import NodeReport

TICK_SECONDS = 2.0
OLD_SECONDS = 10.0  # five ticks: then it is an alarm that the node goes by an old file

log = logging.getLogger("rookery.hyperplane")


class FileLoop:
    """`held_epoch`: of what the kernel holds, whoever wrote it: a new agent takes nothing older. `take`: puts a file and this node's place
    into the kernel; runs in a thread. `tell`: completes a report."""

    def __init__(
        self,
        cell: str,
        node: str,
        objects: ObjectStore,
        *,
        held_epoch: Callable[[], int],
        take: Callable[[CellFile, int], None],
        tell: Callable[[NodeReport], NodeReport],
    ):
        self.cell = cell
        self.node = node
        self._objects = objects
        self._held_epoch = held_epoch
        self._take = take
        self._tell = tell
        self.file: CellFile | None = None
        self.hash = ""
        self.refused = ""
        self.taken = time.monotonic()  # when the last file was, or the agent began

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            started = time.monotonic()
            await self.tick()
            await asyncio.sleep(max(0.0, started + TICK_SECONDS - time.monotonic()))

    @property
    def alarm(self) -> str:
        """What is wrong with how it follows, in words; empty: nothing."""
        age = time.monotonic() - self.taken
        if age <= OLD_SECONDS and not self.refused:
            return ""
        held = f"goes by the file of epoch {self._held_epoch()}, of {age:.0f} s ago"
        return f"{held}: {self.refused}" if self.refused else held

    async def tick(self) -> None:
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
        packed = await self._objects.get(file_key(self.cell))
        if packed is None:
            raise StoreAway(f"the cell {self.cell} has no file yet")
        if hash_of(packed) == self.hash:
            self.refused = ""  # the controller rests
            return
        file = decode(packed)
        self._check(file)
        await asyncio.to_thread(self._take, file, self._place(file))
        self.file, self.hash, self.refused, self.taken = file, hash_of(packed), "", time.monotonic()

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
