"""One connected host: what it is still to be told, and the task that tells it.

Changes wait as rows, not as messages: however slow a host is, it costs the service no more than its rows, and what
happened in between reaches it as one delta. A host that takes nothing at all is cut; it starts again with a snapshot.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from itertools import islice

from websockets.asyncio.server import ServerConnection

from rookery.intent.host import HostIntent
from rookery.mapping.change import HostChange
from rookery.mapping.index import Index
from rookery.mapping.progress import Progress
from rookery.mapping.protocol import SNAPSHOT_PART_ROWS, Delta, Digest, Snapshot, ToHost, encode

MOST_PENDING_ROWS = 4 * SNAPSHOT_PART_ROWS
INSTANCES_A_PART = 500  # user data has up to 16 KB each
RULES_A_PART = 1_000  # a policy has up to a thousand rules, and each may spell out a prefix list
SEND_SECONDS = 10.0

log = logging.getLogger("rookery.mapping.session")


class Session:
    def __init__(self, host: str, connection: ServerConnection, index: Index, progress: Progress):
        self.host = host
        self.generation = 0  # of the last frame that was sent
        self.connection = connection
        self._index = index
        self._progress = progress
        self._pending = HostChange()
        self._wants_snapshot = False
        self._digest_due = False
        self._said_hello = False
        self._something = asyncio.Event()

    def ask_snapshot(self) -> None:
        self._wants_snapshot = self._said_hello = True
        self._pending = HostChange()
        self._something.set()

    def change(self, change: HostChange) -> None:
        if self._wants_snapshot or not self._said_hello:
            return  # it will be in the snapshot
        self._pending.lay_over(change)
        if len(self._pending) > MOST_PENDING_ROWS:
            log.warning("%s is %d rows behind: it gets a snapshot", self.host, len(self._pending))
            self.ask_snapshot()
        self._something.set()

    def ask_digest(self) -> None:
        self._digest_due = True
        self._something.set()

    async def send(self) -> None:
        """Until the connection ends; raises TimeoutError when the host takes nothing for SEND_SECONDS."""
        while await self._something.wait():
            self._something.clear()
            for frame in self._frames():
                async with asyncio.timeout(SEND_SECONDS):
                    await self.connection.send(encode(frame))
                await asyncio.sleep(0)  # sending need not wait, and other hosts have their turn between two parts

    def cut(self) -> None:
        """At once: nobody waits for a host that does not answer."""
        self.connection.transport.abort()

    def _frames(self) -> Iterator[ToHost]:
        """What is due, made while the frame before is under way. A change that comes meanwhile sets the event again."""
        if self._wants_snapshot or len(self._pending) > SNAPSHOT_PART_ROWS:
            yield from self._snapshot()
        elif len(self._pending):
            yield self._delta()
        if self._digest_due and self._said_hello and not self._wants_snapshot and not len(self._pending):
            self._digest_due = False
            yield Digest(generation=self.generation, digest=self._index.digest(self.host))

    def _snapshot(self) -> Iterator[Snapshot]:
        intent = self._index.intent(self.host)
        self._wants_snapshot, self._pending = False, HostChange()
        self._told(intent.generation)
        return snapshot_parts(intent)

    def _delta(self) -> Delta:
        delta = self._pending.delta(self.generation, self._index.generation)
        self._pending = HostChange()
        self._told(delta.generation)
        return delta

    def _told(self, generation: int) -> None:
        self.generation = generation
        self._progress.told(generation)


def snapshot_parts(intent: HostIntent) -> Iterator[Snapshot]:
    """At least one; only the last says so."""
    instances, mappings = iter(intent.instances.values()), iter(intent.mappings.values())
    routes, rules = list(intent.routes.values()), iter(intent.rules.values())
    last = False
    while not last:
        some_instances = list(islice(instances, INSTANCES_A_PART))
        some_mappings = list(islice(mappings, SNAPSHOT_PART_ROWS))
        some_rules = list(islice(rules, RULES_A_PART))
        last = (
            len(some_instances) < INSTANCES_A_PART
            and len(some_mappings) < SNAPSHOT_PART_ROWS
            and len(some_rules) < RULES_A_PART
        )
        yield Snapshot(
            generation=intent.generation,
            host=intent.host,
            last=last,
            instances=some_instances,
            mappings=some_mappings,
            routes=routes,
            rules=some_rules,
        )
        routes = []
