"""The metadata service of a host: all its guests, at one socket."""

from __future__ import annotations

import asyncio
import resource
import socket
from collections.abc import Iterable

from rookery.host.services.metadata.connection import Connection, Service
from rookery.host.services.metadata.known import KnownContents
from rookery.host.services.metadata.requests import PIECE
from rookery.host.services.metadata.shares import Limits, Shares
from rookery.host.services.view import View

BACKLOG = 1024  # connections that are not taken yet, of all guests
HOPS = 64  # as far as any packet, until a token is in one


class MetadataServer:
    def __init__(self, servers: list[asyncio.Server], connections: set[Connection]):
        self._servers = servers
        self._connections = connections

    def close(self) -> None:
        """Nobody is listened to any more, and who is being answered is cut off: tokens stay good."""
        for server in self._servers:
            server.close()
        for connection in list(self._connections):
            connection.abort()

    async def wait_closed(self) -> None:
        for server in self._servers:
            await server.wait_closed()


async def serve(
    sockets: Iterable[socket.socket], view: View, key: bytes, limits: Limits | None = None
) -> MetadataServer:
    """Of bound TCP sockets, which are its own from now on; peers' addresses are those of rookery.host.services.caller.
    `key`: rookery.host.services.metadata.key. Takes up to half of the descriptors that the process may have now. Raises
    OSError."""
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    limits = limits or Limits()
    limits = limits._replace(all_connections=min(limits.all_connections, descriptors // 2))
    service = Service(
        view, key, limits, Shares(limits), KnownContents(view), memoryview(bytearray(PIECE)), set()
    )
    servers = [await _listen(one, service) for one in sockets]
    return MetadataServer(servers, service.open)


async def _listen(listener: socket.socket, service: Service) -> asyncio.Server:
    """What is set on the listener, its connections inherit."""
    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, HOPS)
    milliseconds = int(service.limits.patience * 1000)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: Connection(service), sock=listener, backlog=BACKLOG)
