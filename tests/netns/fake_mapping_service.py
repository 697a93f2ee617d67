"""A mapping service that says what a test wants: the real protocol over real mTLS, no store behind it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import msgspec
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosedError

from rookery.host.instances import namespace
from rookery.intent.host import HostIntent, InstanceIntent, MappingIntent, RouteIntent, RuleIntent, RuleKey
from rookery.mapping.certificates import Identity, peer_uris, server_context
from rookery.mapping.protocol import (
    Applied,
    ConsoleReport,
    Delta,
    FromHost,
    Hello,
    InstanceReport,
    Snapshot,
    ToHost,
)
from rookery.model.objects import InstanceStatus

encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(FromHost).decode


class FakeMappingService:
    """Runs in a thread of its own; every method may be called from the test's."""

    def __init__(self, identity: Identity, netns: str, address: tuple[str, int]):
        self.address = address
        self.intents: dict[str, HostIntent] = {}
        self.applied: dict[str, int] = {}
        self.statuses: dict[str, InstanceStatus] = {}
        self.consoles: dict[str, bytes] = {}
        self.history: list[InstanceStatus] = []
        self._connections: dict[str, ServerConnection] = {}
        self._context: ssl.SSLContext = server_context(identity)
        self._netns = netns
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server: Any = None
        self.start()

    def start(self) -> None:
        with namespace.inside(self._netns):
            listener = socket.create_server(self.address)
        self._server = self._call(self._serve(listener))

    def stop(self) -> None:
        """As one that died: connections break."""

        async def end() -> None:
            self._server.close(close_connections=True)
            await self._server.wait_closed()

        self._call(end())

    def close(self) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def change(
        self,
        host: str,
        *,
        instances: tuple[InstanceIntent, ...] = (),
        mappings: tuple[MappingIntent, ...] = (),
        routes: tuple[RouteIntent, ...] = (),
        rules: tuple[RuleIntent, ...] = (),
        forget: tuple[str, ...] = (),
        unmap: tuple[tuple[int, str], ...] = (),
        unrule: tuple[RuleKey, ...] = (),
    ) -> int:
        """The next generation of a host, sent as a delta if it listens. Returns the generation."""
        old = self.intents.get(host) or HostIntent(host=host, generation=1)
        delta = Delta(
            base=old.generation,
            generation=old.generation + 1,
            put_instances=list(instances),
            put_mappings=list(mappings),
            put_routes=list(routes),
            put_rules=list(rules),
            delete_instances=list(forget),
            delete_mappings=list(unmap),
            delete_rules=list(unrule),
        )
        self.intents[host] = HostIntent(
            host=host,
            generation=delta.generation,
            instances=_changed(old.instances, instances, forget),
            mappings=_changed(old.mappings, mappings, unmap),
            routes=_changed(old.routes, routes, ()),
            rules=_changed(old.rules, rules, unrule),
        )
        self._call(self._send(host, delta))
        return delta.generation

    def _call(self, work: Any) -> Any:
        future: Future[Any] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return future.result(10)

    async def _serve(self, listener: socket.socket) -> Any:
        return await serve(self._converse, sock=listener, ssl=self._context, compression=None)

    async def _send(self, host: str, message: ToHost) -> None:
        with contextlib.suppress(ConnectionClosedError):  # it will ask for a snapshot when it is back
            if host in self._connections:
                await self._connections[host].send(encode(message))

    async def _converse(self, connection: ServerConnection) -> None:
        host = peer_uris(connection.transport.get_extra_info("peercert"))[0].rsplit("/", 1)[-1]
        answers: dict[type, Callable[[Any], Any]] = {Applied: self._note_applied(host), InstanceReport: self._note, ConsoleReport: self._hear}
        try:
            async for frame in connection:
                message = decode(frame)
                if isinstance(message, Hello):
                    self._connections[host] = connection
                    await connection.send(encode(self._snapshot(host)))
                else:
                    answers[type(message)](message)
        except ConnectionClosedError:  # an agent that a test killed
            return
        finally:
            if self._connections.get(host) is connection:
                del self._connections[host]

    def _snapshot(self, host: str) -> Snapshot:
        intent = self.intents.get(host) or HostIntent(host=host, generation=1)
        self.intents[host] = intent
        return Snapshot(
            generation=intent.generation,
            host=host,
            last=True,
            instances=list(intent.instances.values()),
            mappings=list(intent.mappings.values()),
            routes=list(intent.routes.values()),
            rules=list(intent.rules.values()),
        )

    def _note_applied(self, host: str) -> Callable[[Applied], None]:
        def note(message: Applied) -> None:
            self.applied[host] = message.generation

        return note

    def _note(self, message: InstanceReport) -> None:
        self.history += message.statuses
        self.statuses |= {status.id: status for status in message.statuses}

    def _hear(self, message: ConsoleReport) -> None:
        self.consoles |= {output.id: output.output for output in message.outputs}


def _changed(old: dict, put: tuple, delete: tuple) -> dict:
    return {key: row for key, row in old.items() if key not in delete} | {row.key: row for row in put}
