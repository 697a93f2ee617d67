"""A host's subscription to the mapping service.

    async with Subscription(region_name, services, identity) as subscription:
        async for update in subscription:
            ...  # reconcile update.intent, or only update.delta
            subscription.applied(update.intent.generation)

It connects to one of the services it knows, verifies it, keeps the host's intent current and asks for a new snapshot when
a delta does not fit or a digest differs. While no service answers, nothing is yielded: the host goes on with what it has.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import random
from collections.abc import AsyncGenerator, AsyncIterator, Container, Iterable, Sequence
from typing import NamedTuple

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from rookery.intent.host import HostIntent
from rookery.mapping.certificates import MAPPING, Identity, client_context, peer_uris, uri_of
from rookery.mapping.copy import DoesNotFit, IntentCopy
from rookery.mapping.protocol import (
    Applied,
    ConsoleReport,
    Delta,
    FromHost,
    Hello,
    InstanceReport,
    Snapshot,
    ToHost,
    encode,
    to_host,
)
from rookery.model.objects import ConsoleOutput, InstanceStatus

FIRST_BACKOFF = 0.05  # seconds
LONGEST_BACKOFF = 5.0
CONNECT_SECONDS = 5.0
PING_SECONDS = 5.0  # a service that answers none for so long is left
LARGEST_FRAME = 256 << 20

log = logging.getLogger("rookery.mapping.client")


class WrongService(Exception):
    """Somebody whom the region's authority did not name a mapping service answers. Tried again later, and logged."""


class Update(NamedTuple):
    """`intent` is all that the host must hold; its dictionaries change only while the next update is awaited.

    `delta` is what changed since the update before; None: a snapshot, anything may differ."""

    intent: HostIntent
    delta: Delta | None


class Subscription:
    """One consumer. `services`: "address:port" of each mapping service of the Rookery region; `identity`: the host's.

    Iterating raises certificates.CertificateError when this host's own files are unusable."""

    def __init__(self, region_name: str, services: Sequence[str], identity: Identity):
        if not services:
            raise ValueError("no mapping service is configured")
        self._region_name = region_name
        self._services = services
        self._identity = identity
        self._outbox = Outbox()
        self._connected = False
        self._updates = self._run()

    async def __aenter__(self) -> Subscription:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        """The task that iterates must have ended."""
        await self._updates.aclose()

    def __aiter__(self) -> AsyncIterator[Update]:
        """For ever; a snapshot first, and again after each reconnection."""
        return self._updates

    @property
    def connected(self) -> bool:
        """To a service that has sent its snapshot."""
        return self._connected

    def applied(self, generation: int) -> None:
        """Everything up to it is in the kernel's maps. Sent when a service is there; only the newest matters."""
        self._outbox.applied(generation)

    def tell_consoles(self, outputs: Iterable[ConsoleOutput]) -> None:
        """What instances said. Kept and said again as reports are."""
        self._outbox.tell_consoles(outputs)

    def report(self, statuses: Iterable[InstanceStatus]) -> None:
        """What became of instances. Kept, and said again to the next service: none is lost to a crash of this one."""
        self._outbox.report(statuses)

    async def _run(self) -> AsyncGenerator[Update, None]:
        services = random.sample(self._services, len(self._services))
        backoff = FIRST_BACKOFF
        for service in itertools.cycle(services):
            try:
                async with contextlib.aclosing(self._updates_from(service)) as updates:
                    async for update in updates:
                        backoff = FIRST_BACKOFF
                        yield update
            except (OSError, TimeoutError, WebSocketException, msgspec.DecodeError, WrongService) as error:
                log.warning("mapping service %s: %s", service, error or type(error).__name__)
            await asyncio.sleep(backoff * random.uniform(0.5, 1.0))
            backoff = min(backoff * 2, LONGEST_BACKOFF)

    async def _updates_from(self, service: str) -> AsyncGenerator[Update, None]:
        async with self._connect(service) as connection:
            _check_service(connection, self._region_name)
            await connection.send(encode(Hello()))
            sending = asyncio.create_task(self._outbox.send_to(connection))
            copy = IntentCopy()
            try:
                async for frame in connection:
                    await asyncio.sleep(0)  # parts that wait already must not keep the loop for themselves
                    update = await _receive(copy, connection, to_host(frame))
                    if update is not None:
                        self._arrived(update)
                        yield update
            finally:
                self._connected = False
                sending.cancel()

    def _arrived(self, update: Update) -> None:
        self._connected = True
        if update.delta is None:
            self._outbox.keep_only(update.intent.instances)

    def _connect(self, service: str) -> connect:
        return connect(
            f"wss://{service}/",
            ssl=client_context(self._identity),
            compression=None,
            proxy=None,
            max_size=LARGEST_FRAME,
            open_timeout=CONNECT_SECONDS,
            close_timeout=1,
            ping_interval=PING_SECONDS,
            ping_timeout=PING_SECONDS,
        )


class Outbox:
    """What the host has to say, kept until a service is there to hear it."""

    def __init__(self) -> None:
        self._applied = 0
        self._statuses: dict[str, InstanceStatus] = {}
        self._unsent: set[str] = set()
        self._consoles: dict[str, ConsoleOutput] = {}
        self._unsent_consoles: set[str] = set()
        self._something = asyncio.Event()

    def applied(self, generation: int) -> None:
        self._applied = generation
        self._something.set()

    def report(self, statuses: Iterable[InstanceStatus]) -> None:
        for status in statuses:
            self._statuses[status.id] = status
            self._unsent.add(status.id)
        self._something.set()

    def tell_consoles(self, outputs: Iterable[ConsoleOutput]) -> None:
        for output in outputs:
            self._consoles[output.id] = output
            self._unsent_consoles.add(output.id)
        self._something.set()

    def keep_only(self, instances: Container[str]) -> None:
        """The others are nobody's concern any more."""
        for gone in [instance for instance in self._consoles if instance not in instances]:
            del self._consoles[gone]
            self._unsent_consoles.discard(gone)
        for gone in [instance for instance in self._statuses if instance not in instances]:
            del self._statuses[gone]
            self._unsent.discard(gone)

    async def send_to(self, connection: ClientConnection) -> None:
        """Until the connection ends. A new service is told all statuses, and nothing of what was applied before."""
        self._applied = 0
        self._unsent, self._unsent_consoles = set(self._statuses), set(self._consoles)
        self._something.set()
        with contextlib.suppress(WebSocketException):
            while await self._something.wait():
                self._something.clear()
                for frame in self._frames():
                    await connection.send(encode(frame))

    def _frames(self) -> list[FromHost]:
        frames: list[FromHost] = []
        if self._unsent:
            frames.append(InstanceReport([self._statuses[instance] for instance in sorted(self._unsent)]))
            self._unsent.clear()
        frames += [ConsoleReport([self._consoles[instance]]) for instance in sorted(self._unsent_consoles)]
        self._unsent_consoles.clear()
        if self._applied:
            frames.append(Applied(self._applied))
            self._applied = 0
        return frames


async def _receive(copy: IntentCopy, connection: ClientConnection, frame: ToHost) -> Update | None:
    try:
        return _take(copy, frame)
    except DoesNotFit as error:
        log.warning("asking for a snapshot: %s", error)
        copy.forget()
        await connection.send(encode(Hello()))
        return None


def _take(copy: IntentCopy, frame: ToHost) -> Update | None:
    if isinstance(frame, Snapshot):
        whole = copy.take_part(frame)
        return Update(whole, None) if whole else None
    if copy.awaiting:  # sent before the service heard that we ask again
        return None
    if isinstance(frame, Delta):
        return Update(copy.apply(frame), frame)
    copy.check(frame)
    return None


def _check_service(connection: ClientConnection, region_name: str) -> None:
    wanted = uri_of(region_name, MAPPING)
    found = peer_uris(connection.transport.get_extra_info("peercert"))
    if found != [wanted]:
        raise WrongService(f"it is {found}, not {wanted}")
