"""The mapping service: follows the store, and streams to each host what it must hold.

    store --watch--> index --changes--> sessions --frames--> hosts
    hosts --applied--> progress --> observed/live        hosts --reports--> observed/instance/*, observed/console/*

It keeps nothing that cannot be read again: it may be killed at any moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import http
import logging
import ssl
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from os.path import commonprefix

import msgspec
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from rookery.mapping.certificates import (
    HOST,
    Identity,
    issued_at,
    load_certificate,
    peer_uris,
    server_context,
    uri_of,
)
from rookery.mapping.change import HostChange
from rookery.mapping.index import Index
from rookery.mapping.observed import LiveWriter, Reports
from rookery.mapping.progress import Progress, live_generation
from rookery.mapping.protocol import PROTOCOL_VERSION, Applied, FromHost, Hello, InstanceReport, from_host
from rookery.mapping.session import Session
from rookery.model.codec import decode
from rookery.model.keys import HOSTS, INTENDED, REVOCATIONS
from rookery.model.objects import Live, Revocation
from rookery.store.interface import Batch, Compacted, Range, Store, StoreUnavailable

WATCHED = commonprefix([INTENDED, HOSTS, REVOCATIONS])  # one watch, so that batches stay in order
DIGEST_SECONDS = 5.0
RETRY_SECONDS = 0.5
LARGEST_FRAME = 16 << 20
PING_SECONDS = 10.0

log = logging.getLogger("rookery.mapping.service")


class Service:
    """`region_name`: the Rookery region, whose hosts it serves. `mtu`: of instances."""

    def __init__(self, region_name: str, store: Store, mtu: int):
        self._host_uri = uri_of(region_name, HOST)
        self._store = store
        self._index = Index(mtu)
        self._sessions: dict[str, Session] = {}
        self._progress: dict[str, Progress] = {}
        self._revoked: dict[str, int] = {}  # by host: certificates issued before that second
        self._reports = Reports(store, self._index)
        self._live = LiveWriter(store, self._current_live)
        self._presented: tuple[ssl.SSLContext, Identity] | None = None  # None: not serving yet

    @contextlib.asynccontextmanager
    async def serving(
        self, address: str, port: int, identity: Identity, digest_seconds: float = DIGEST_SECONDS
    ) -> AsyncIterator[Server]:
        """Listens when the state is read: who can connect is answered. Raises CertificateError, OSError."""
        context = server_context(identity)
        self._presented = (context, identity)
        await self._start()
        async with self._server(address, port, context) as server, asyncio.TaskGroup() as tasks:
            running = [
                tasks.create_task(work)
                for work in (
                    self._follow(),
                    self._live.write(),
                    self._reports.write(),
                    self._ask_digests(digest_seconds),
                    self._notice_the_lost(),
                )
            ]
            yield server
            for task in running:
                task.cancel()

    def _server(self, address: str, port: int, context: ssl.SSLContext) -> AbstractAsyncContextManager[Server]:
        return serve(
            self._serve_host,
            address,
            port,
            ssl=context,
            process_request=self._admit,
            compression=None,
            max_size=LARGEST_FRAME,
            ping_interval=PING_SECONDS,
            ping_timeout=PING_SECONDS,
            close_timeout=1,
            server_header=None,
        )

    def take_renewed_certificate(self) -> None:
        """For hosts that connect from now on. Raises CertificateError, and goes on with the one before."""
        if self._presented is not None:
            load_certificate(*self._presented)

    async def forget_the_gone(self) -> None:
        """Deletes statuses and consoles of instances that exist no more. Raises StoreUnavailable."""
        await self._reports.forget_the_gone()

    # From the store

    async def _start(self) -> None:
        """Waits for the store for as long as it takes."""
        while True:
            try:
                live = await self._live.read()
                found = await self._store.range(WATCHED)
                break
            except StoreUnavailable as error:
                log.warning("waiting for the store: %s", error)
                await asyncio.sleep(RETRY_SECONDS)
        self._index.load(found)
        self._revoke_all(found)
        self._match_hosts(behind_since=live.generation + 1)

    async def _follow(self) -> None:
        while True:
            try:
                async with contextlib.aclosing(self._store.watch(WATCHED, self._index.generation)) as batches:
                    async for batch in batches:
                        self._feed(batch)
            except Compacted as error:
                log.warning("too late for the history (%s): reading all again", error)
                await self._read_again()
            except StoreUnavailable as error:
                log.warning("the store does not answer: %s", error)
                await asyncio.sleep(RETRY_SECONDS)

    async def _read_again(self) -> None:
        with contextlib.suppress(StoreUnavailable):  # the watch is tried again, and says the same
            found = await self._store.range(WATCHED)
            self._dispatch(self._index.load(found))
            self._revoke_all(found)
            self._match_hosts()

    def _feed(self, batch: Batch) -> None:
        self._dispatch(self._index.feed(batch))
        for change in batch.changes:
            if change.key.startswith(REVOCATIONS):
                self._revoke(change.key, change.value)
        if any(change.key.startswith(HOSTS) for change in batch.changes):
            self._match_hosts()

    def _revoke_all(self, found: Range) -> None:
        self._revoked.clear()
        for entry in found.entries:
            if entry.key.startswith(REVOCATIONS):
                self._revoke(entry.key, entry.value)

    def _revoke(self, key: str, value: bytes | None) -> None:
        """None: all of them have expired."""
        host = key.removeprefix(REVOCATIONS)
        if value is None:
            self._revoked.pop(host, None)
            return
        self._revoked[host] = _before(host, value)
        session = self._sessions.get(host)
        if session and self._is_revoked(host, session.connection):
            session.cut()

    def _dispatch(self, changes: dict[str, HostChange]) -> None:
        for host, change in changes.items():
            self._progress[host].changed(self._index.generation)
            if host in self._sessions:
                self._sessions[host].change(change)
        self._live.moved()

    def _match_hosts(self, behind_since: int | None = None) -> None:
        """New hosts are awaited, those that were taken away are cut."""
        known = set(self._index.hosts())
        for host in known - self._progress.keys():
            since = behind_since if self._index.has_instances(host) else None
            self._await_host(host, since)
        for host in self._progress.keys() - known:
            log.info("%s is no host any more", host)
            if host in self._sessions:
                self._sessions[host].cut()
            self._index.unsubscribe(host)
            del self._progress[host]

    def _await_host(self, host: str, behind_since: int | None) -> None:
        self._progress[host] = Progress(time.monotonic(), behind_since)
        self._index.subscribe(host)

    # From and to the hosts

    def _admit(self, connection: ServerConnection, _request: Request) -> Response | None:
        host = self._host_of(connection)
        if host is None:
            log.warning("refused %s from %s", _uris(connection), connection.remote_address)
            return connection.respond(http.HTTPStatus.FORBIDDEN, "no host of this region\n")
        return None

    def _host_of(self, connection: ServerConnection) -> str | None:
        """The one name in its certificate, when the region has such a host and has not revoked the certificate."""
        uris = _uris(connection)
        prefix, _, host = uris[0].rpartition("/") if len(uris) == 1 else ("", "", "")
        if prefix != self._host_uri or not self._index.knows_host(host) or self._is_revoked(host, connection):
            return None
        return host

    def _is_revoked(self, host: str, connection: ServerConnection) -> bool:
        """A node that comes under the name of one that left is another; whoever kept the other's key is not it."""
        return issued_at(_certificate(connection)) < self._revoked.get(host, 0)

    async def _serve_host(self, connection: ServerConnection) -> None:
        host = self._host_of(connection)
        if host is None:  # taken away since it was admitted
            return
        session = self._open(host, connection)
        sending = asyncio.create_task(self._send(session))
        sending.add_done_callback(lambda _: session.cut())  # who is told nothing more must come again
        try:
            async for frame in connection:
                self._receive(session, from_host(frame))
        except ConnectionClosed as error:
            log.info("%s: %s", host, error)
        except msgspec.DecodeError as error:
            log.warning("%s speaks another language: %s", host, error)
        finally:
            sending.cancel()
            self._close(session)

    def _open(self, host: str, connection: ServerConnection) -> Session:
        if host in self._sessions:
            log.info("%s comes again: its older connection is cut", host)
            self._sessions[host].cut()
        progress = self._progress[host]
        progress.came()
        session = self._sessions[host] = Session(host, connection, self._index, progress)
        return session

    def _close(self, session: Session) -> None:
        if self._sessions.get(session.host) is session:
            del self._sessions[session.host]
            if session.host in self._progress:
                self._progress[session.host].went(time.monotonic())

    async def _send(self, session: Session) -> None:
        try:
            await session.send()
        except TimeoutError:
            log.warning("%s takes nothing: cut", session.host)
        except ConnectionClosed:
            pass  # whoever reads from it says so

    def _receive(self, session: Session, frame: FromHost) -> None:
        if self._sessions.get(session.host) is not session:
            return
        if isinstance(frame, Hello):
            self._greet(session, frame)
        elif isinstance(frame, Applied):
            self._applied(session, frame)
        elif isinstance(frame, InstanceReport):
            self._reports.take(session.host, frame.statuses)
        else:
            self._reports.take_consoles(session.host, frame.outputs)

    def _greet(self, session: Session, hello: Hello) -> None:
        if hello.version != PROTOCOL_VERSION:
            log.warning("%s speaks version %d, not %d", session.host, hello.version, PROTOCOL_VERSION)
            session.cut()
            return
        session.ask_snapshot()

    def _applied(self, session: Session, frame: Applied) -> None:
        if frame.generation > session.generation:
            log.warning("%s claims generation %d, which it was not sent", session.host, frame.generation)
            return
        self._progress[session.host].apply(frame.generation)
        self._live.moved()

    # By the clock

    def _current_live(self) -> Live:
        now = time.monotonic()
        applied = {host: progress.applied for host, progress in sorted(self._progress.items())}
        return Live(generation=live_generation(self._progress, self._index.generation, now), hosts=applied)

    async def _ask_digests(self, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds)
            for session in list(self._sessions.values()):
                session.ask_digest()

    async def _notice_the_lost(self) -> None:
        """A lost host moves what is live without a word from anybody."""
        while True:
            await asyncio.sleep(1.0)
            if any(not progress.connected for progress in self._progress.values()):
                self._live.moved()


def _before(host: str, revocation: bytes) -> int:
    """What nobody can read lets nobody in."""
    try:
        return decode(Revocation, revocation).before
    except msgspec.DecodeError as error:
        log.error("which certificates of %s are revoked nobody can read (%s): none is taken", host, error)
        return sys.maxsize


def _uris(connection: ServerConnection) -> list[str]:
    return peer_uris(_certificate(connection))


def _certificate(connection: ServerConnection) -> dict | None:
    return connection.transport.get_extra_info("peercert")
