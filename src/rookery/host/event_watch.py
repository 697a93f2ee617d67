"""What the programs of a node report, told on: drops and resets to those who watch, forgeries as alarms. Hosts and edges do it alike."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from rookery.dataplane.events import Event
from rookery.dataplane.formats import Verdict
from rookery.dataplane.node import NodeDataplane
from rookery.host.alarms import Alarm, AlarmBook, is_forged
from rookery.host.lines import Explain, Said, Why, line_of, line_of_alarm, monotonic_zero
from rookery.host.watchers import Watchers

COUNTER_LOOKS_PER_SECOND = 1
SHORTEST_LOOK_SECONDS = 0.02  # a flood of forgeries is worth fifty looks a second

log = logging.getLogger("rookery.host")


@dataclass
class EventWatch:
    name: str  # the node's
    dataplane: NodeDataplane
    substrate: int  # ifindex
    alarms: AlarmBook
    watchers: Watchers
    names: Callable[[], Mapping[int, str]]  # ifindex -> id of an interface
    device_name: Callable[[int, Mapping[int, str]], str]
    program_of: Callable[[Alarm], str]
    said: Said = lambda *_: ""
    explain: Explain = lambda _: Why()
    note: Callable[[Event], None] = lambda _: None  # every event: what a node of a cell remembers of causes
    _forgery: asyncio.Event = field(default_factory=asyncio.Event)

    async def keep_looking(self) -> None:
        """At once when an event tells of a forgery; now and then in any case, for events are samples."""
        while True:
            self._forgery.clear()
            self.look_for_alarms()
            await asyncio.sleep(SHORTEST_LOOK_SECONDS)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1 / COUNTER_LOOKS_PER_SECOND):
                    await self._forgery.wait()

    def look_for_alarms(self) -> None:
        names = self.names()
        packets = {
            (self.device_name(key.ifindex, names), Verdict(key.verdict).name.lower()): traffic.packets
            for key, traffic in self.dataplane.drops().items()
        }
        for alarm in self.alarms.look(packets, time.time()):
            log.warning("alarm", extra={"alarm": alarm})
            self.watchers.publish(line_of_alarm(alarm, self.name, self.program_of(alarm)))

    def follow(self) -> Callable[[], None]:
        """The events, from now on. Returns what ends it."""
        loop = asyncio.get_running_loop()
        unsubscribe = self.dataplane.events(self._tell)
        loop.add_reader(self.dataplane.events_fd, self.dataplane.poll_events)

        def end() -> None:
            loop.remove_reader(self.dataplane.events_fd)
            unsubscribe()

        return end

    def _tell(self, event: Event) -> None:
        if is_forged(event.verdict.name.lower(), on_substrate=event.ifindex == self.substrate):
            self._forgery.set()
        self.note(event)
        if len(self.watchers):
            self.watchers.publish(line_of(event, self.name, self.names(), monotonic_zero(), self.said, explain=self.explain))
