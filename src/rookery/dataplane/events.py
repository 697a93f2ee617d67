"""The ring buffer's events, decoded, and who gets them.

There is one reader in a process, and it may be drained by anybody: a background task as well as a what-if that waits for
its own steps. Every event is handed to the what-if that waits for its trace, else to the subscribers."""

from __future__ import annotations

import select
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from rookery.dataplane import formats
from rookery.dataplane.addresses import address_text, substrate_text
from rookery.dataplane.libbpf import RingBuffer


class Event(NamedTuple):
    """A decoded `struct event`. Text is empty, numbers are 0, where the program did not know (yet)."""

    time: int  # nanoseconds, CLOCK_MONOTONIC
    program: formats.Program
    step: formats.Step
    verdict: formats.Verdict  # CONTINUE: the way goes on
    trace: int  # 0: a sampled drop or reset of real traffic
    ifindex: int
    vni: int
    length: int  # bytes of the instance's frame
    source: str
    destination: str
    outer_source: str
    outer_destination: str
    protocol: int
    source_port: int
    destination_port: int
    detail: int
    rule: int = formats.RuleConstant.NONE  # bit of the rule that counted at a gate
    direction: int = 0  # enum direction, of a gate's step; else 0
    attachment: int = 0  # number of the interface at a cell in whose name it came, or is worked on; 0: none


def decode(packed: bytes) -> Event:
    raw = formats.Event._make(formats.LAYOUTS[formats.Event].unpack(packed))
    return Event(
        time=raw.time,
        program=formats.Program(raw.program),
        step=formats.Step(raw.step),
        verdict=formats.Verdict(raw.verdict),
        trace=raw.trace,
        ifindex=raw.ifindex,
        vni=raw.vni,
        length=raw.length,
        source=address_text(raw.source),
        destination=address_text(raw.destination),
        outer_source=substrate_text(raw.outer_source),
        outer_destination=substrate_text(raw.outer_destination),
        protocol=raw.protocol,
        source_port=int.from_bytes(raw.source_port, "big"),
        destination_port=int.from_bytes(raw.destination_port, "big"),
        detail=raw.detail,
        rule=raw.rule,
        direction=raw.direction,
        attachment=raw.attachment,
    )


class EventReader:
    """The only reader of a ring buffer in this process. Safe to use from several threads."""

    def __init__(self, fd: int):
        self._ring = RingBuffer(fd, self._taken)
        self._lock = threading.Lock()
        self._records: list[bytes] = []
        self._waiting: dict[int, list[Event]] = {}
        self._subscribers: list[Callable[[Event], None]] = []

    @property
    def fd(self) -> int:
        return self._ring.epoll_fd

    def subscribe(self, callback: Callable[[Event], None]) -> Callable[[], None]:
        """`callback` gets every event that no what-if waits for. Returns what ends the subscription."""
        self._subscribers.append(callback)
        return lambda: self._subscribers.remove(callback)

    def poll(self, timeout: float) -> int:
        """Wait up to `timeout` seconds for events, hand them out; how many there were."""
        poller = select.poll()
        poller.register(self.fd, select.POLLIN)
        poller.poll(timeout * 1000)
        return self.drain()

    def drain(self) -> int:
        """Hand out what is there, without waiting."""
        with self._lock:
            self._ring.consume()
            events = [decode(record) for record in self._records]
            self._records.clear()
            others = [event for event in events if not self._give_to_waiting(event)]
        for event in others:
            for callback in tuple(self._subscribers):
                callback(event)
        return len(events)

    @contextmanager
    def collect(self, trace: int) -> Iterator[list[Event]]:
        """Gathers the events of `trace`, whoever drains the ring. They are complete after a drain() of one's own."""
        with self._lock:
            if trace in self._waiting:
                raise ValueError(f"trace {trace} is in use")
            found = self._waiting[trace] = []
        try:
            yield found
        finally:
            with self._lock:
                del self._waiting[trace]

    def close(self) -> None:
        self._ring.close()

    def _taken(self, record: bytes) -> None:
        self._records.append(record)

    def _give_to_waiting(self, event: Event) -> bool:
        waiting = self._waiting.get(event.trace) if event.trace else None
        if waiting is None:
            return False
        waiting.append(event)
        return True
