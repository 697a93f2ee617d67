"""The reports of a cell's nodes as the controller knows them: what was read once is read again only when it was written anew."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping

import msgspec

from rookery.hyperplane.health import Words
from rookery.hyperplane.object_store import ObjectStore, reports_prefix
from rookery.hyperplane.report import NodeReport, decode

FRESH_SECONDS = 7.0  # an older report tells of a node that reads no files, or is dead

log = logging.getLogger("rookery.hyperplane.controller")


class ReportBook:
    """`clock`: seconds that go on whatever becomes of the time of day (`now`), which a node may have wrong, or set."""

    def __init__(
        self,
        objects: ObjectStore,
        cell: str,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ):
        self._objects = objects
        self._clock = clock
        self._now = now
        self._prefix = reports_prefix(cell)
        self._read: dict[str, tuple[str, NodeReport | None]] = {}  # by key: tag, and what it says; None: nobody can read it
        self._came: dict[str, float] = {}  # when, by the clock here

    async def newest(self) -> dict[str, NodeReport]:
        """By node. Raises StoreAway."""
        tags = await self._objects.tags(self._prefix)
        self._read = {key: one for key, one in self._read.items() if key in tags}
        for key, tag in tags.items():
            if key not in self._read or self._read[key][0] != tag:
                self._take(key, tag, self._decoded(key, await self._objects.get(key)))
        return {report.node: report for _, report in self._read.values() if report}

    def _take(self, key: str, tag: str, report: NodeReport | None) -> None:
        """One that was there before us is as old as it says."""
        if report and (key in self._read or self._now() - report.time < FRESH_SECONDS):
            self._came[report.node] = self._clock()
        self._read[key] = (tag, report)

    def fresh(self, reports: Mapping[str, NodeReport]) -> dict[str, NodeReport]:
        """Of these newest ones."""
        since = self._clock() - FRESH_SECONDS
        return {name: one for name, one in reports.items() if self._came.get(name, since) > since}

    def _decoded(self, key: str, packed: bytes | None) -> NodeReport | None:
        try:
            return decode(packed or b"")
        except msgspec.DecodeError as error:
            log.warning("%s: %s", key, error)
            return None


def news_of(reports: Mapping[str, NodeReport]) -> dict[str, tuple[int, Words]]:
    """What may not wait: how far each node is, and its words on targets."""
    return {name: (report.generation, report.health) for name, report in reports.items()}


def words_of(reports: Mapping[str, NodeReport]) -> list[Words]:
    """Of those that can judge. Who sees none of the others has likelier lost the substrate than all targets."""
    lonely = {name for name, one in reports.items() if set(one.living) <= {name}}
    return [one.health for name, one in sorted(reports.items()) if name not in lonely or len(reports) == 1]
