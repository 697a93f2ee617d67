"""Targets on the loopback that answer health checks as a test wants it."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import trustme

from rookery.hyperplane.checks import Check, CheckKey, Way
from rookery.intent.cell import HealthCheckIntent

LOOPBACK = "127.0.0.1"
SILENCE = object()  # an answer: none


class Server:
    """`answer`: bytes that it says to whoever asks it; SILENCE."""

    def __init__(self) -> None:
        self.answer: object = b"HTTP/1.1 200 OK\r\n\r\n"
        self.heard: list[bytes] = []
        self.connections = 0
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            self.heard.append(await reader.readuntil(b"\r\n\r\n"))
            if self.answer is not SILENCE:
                writer.write(self.answer)
                await writer.drain()
            await reader.read()
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.transport.abort()


def certificate() -> ssl.SSLContext:
    """Of a name that is not the target's, by an authority that nobody knows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("elsewhere.example").configure_cert(context)
    return context


@asynccontextmanager
async def serving(secured: bool = False, port: int = 0) -> AsyncIterator[Server]:
    found = Server()
    listening = await asyncio.start_server(found.serve, LOOPBACK, port, ssl=certificate() if secured else None)
    found.port = listening.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        listening.close()


def closed_port() -> int:
    """At which nobody listens."""
    with socket.socket() as one:
        one.bind((LOOPBACK, 0))
        return one.getsockname()[1]


def loopback(_vni: int, _interface: int, _address: str) -> tuple[socket.socket, str]:
    one = socket.socket()
    one.setblocking(False)
    one.bind((LOOPBACK, 0))
    return one, LOOPBACK


def check(target_port: int, front: int = 7, group: str = "tg-1", **settings: object) -> Check:
    """Of a target behind 10.1.0.7 whose listener is at port 8443."""
    wanted = HealthCheckIntent(**{"interval": 0.02, "timeout": 5.0, "listener": 8443, **settings})
    return Check(CheckKey(group, Way(1, front, "10.1.8.4"), target_port), wanted, f"10.1.0.{front}")


async def until(true: Callable[[], object], what: str) -> None:
    try:
        async with asyncio.timeout(10):
            while not true():
                await asyncio.sleep(0.002)
    except TimeoutError:
        raise AssertionError(f"not within 10 s: {what}") from None
