"""One health check over a socket: TCP (it connects), HTTP and HTTPS (the answer's code is among those that are wanted). Targets that
want the proxy protocol's header get one in front of all else, at whatever port they are checked, TLS included."""

from __future__ import annotations

import asyncio
import socket
import ssl
from functools import cache

import httptools

from rookery.hyperplane.checks import Check
from rookery.hyperplane.health import FAILED, PASSED, TIMEOUT, WRONG_CODE
from rookery.intent.matcher import codes

READ_BYTES = 16_384
HEAD_BYTES = 65_536  # of an answer: more is no answer

# Byte for byte what AWS's network balancers begin a health check with (a capture in github.com/kubernetes/kubernetes/issues/57250):
# LOCAL, so that nobody looks for a client in it, a checksum (CRC32C), and a filler up to 100 bytes.
_LOCAL = bytes.fromhex("0d0a0d0a000d0a515549540a 2011 0054")
_CHECKSUM = bytes.fromhex("030004 bce5951f")
_FILLER = bytes.fromhex("04004a").ljust(77, b"\0")
PROXY_HEADER = _LOCAL + _CHECKSUM + _FILLER


async def result_of(check: Check, way: socket.socket, address: str) -> str:
    """PASSED, or why it failed. `way`: bound and non-blocking, closed afterwards; `address`: where it connects to. It takes no longer than
    the settings say."""
    try:
        async with asyncio.timeout(check.settings.timeout):
            await _connect(way, (address, check.port), PROXY_HEADER if check.settings.proxy_protocol else b"")
            if check.settings.protocol == "TCP":
                way.close()
                return PASSED
            code = await _code(check, way)
    except TimeoutError:
        return TIMEOUT
    except (OSError, EOFError, httptools.HttpParserError, ValueError):
        return FAILED
    return PASSED if code in _passing(check.settings.matcher) else WRONG_CODE


async def _connect(way: socket.socket, place: tuple[str, int], first: bytes) -> None:
    """`first`: what is said as soon as somebody listens. Raises OSError."""
    loop = asyncio.get_running_loop()
    try:
        await loop.sock_connect(way, place)
        await loop.sock_sendall(way, first)
    except BaseException:
        way.close()
        raise


@cache
def _passing(matcher: str) -> frozenset[int]:
    return frozenset(codes(matcher))


async def _code(check: Check, way: socket.socket) -> int:
    """The connection is closed by whom it is given to. Raises OSError, EOFError, HttpParserError, ValueError."""
    secured = check.settings.protocol == "HTTPS"
    reader, writer = await asyncio.open_connection(
        sock=way, ssl=_unvalidated() if secured else None, server_hostname="" if secured else None
    )
    try:
        writer.write(_request(check))
        return await _answer(reader)
    finally:
        writer.transport.abort()  # nobody waits for a body, nor for the end of TLS


def _request(check: Check) -> bytes:
    lines = (
        f"GET {check.settings.path} HTTP/1.1",
        f"Host: {check.host}",
        "User-Agent: ELB-HealthChecker/2.0",
        "Accept-Encoding: gzip, compressed",
        "Connection: close",
    )
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode("ascii")


class _Head:
    """An answer's, as the parser tells of it."""

    def __init__(self) -> None:
        self.is_whole = False

    def on_headers_complete(self) -> None:
        self.is_whole = True


async def _answer(reader: asyncio.StreamReader) -> int:
    """The final code; those that begin with a 1 are not."""
    head = _Head()
    parser = httptools.HttpResponseParser(head)
    read = 0
    while not (head.is_whole and parser.get_status_code() >= 200):
        received = await reader.read(READ_BYTES)
        read += len(received)
        if not received or read > HEAD_BYTES:
            raise EOFError
        parser.feed_data(received)
    return parser.get_status_code()


@cache
def _unvalidated() -> ssl.SSLContext:
    """Certificates of targets may be anybody's, and their protocols old."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    return context
