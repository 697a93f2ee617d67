"""Requests out of a stream of bytes, with bounds on all that is kept of one that has not ended."""

from __future__ import annotations

from typing import NamedTuple

import httptools

from rookery.host.services.metadata.answers import HEADERS, HOST, Request

LARGEST_TARGET = 2048  # bytes
LARGEST_HEAD = 8192  # of all headers' names and values
LARGEST_MESSAGE = 65_536  # with its body, of which nothing is kept
VERSIONS = ("1.0", "1.1")
PIECE = 4096  # bytes that may be fed at once; that much may a bound be passed before it is noticed


class Wanted(NamedTuple):
    """A request that has wholly come."""

    request: Request
    version: str  # "1.1"
    keep_alive: bool


class Refused(NamedTuple):
    """There is no request, and what follows is not to be understood."""

    status: int


class RequestReader:
    """What httptools calls back while it reads. One for each connection."""

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._found: list[Wanted | Refused] = []
        self._refused = False
        self._piece = 0
        self.on_message_begin()

    def feed(self, piece: memoryview) -> list[Wanted | Refused]:
        """At most PIECE bytes. The requests that ended in them; a Refused is the last there will ever be."""
        self._found, self._piece = [], len(piece)
        try:
            self._parser.feed_data(piece)
        except httptools.HttpParserUpgrade:  # what follows is in a protocol that is not spoken here
            self._end_with_the_last()
        except httptools.HttpParserError:
            self._refuse(400)
        self._bytes += self._piece
        self._check_unfinished()
        return self._found

    def on_message_begin(self) -> None:
        self._target = b""
        self._headers: dict[bytes, bytes] = {}
        self._head = 0  # bytes of its headers
        self._in_head = True
        self._bytes = -self._piece  # of it, without those of the piece in which it began

    def on_url(self, part: bytes) -> None:
        self._target += part
        if len(self._target) > LARGEST_TARGET:
            self._refuse(414)

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:  # behind the body: too late to change what is asked
            return
        self._head += len(name) + len(value)
        if self._head > LARGEST_HEAD:
            self._refuse(431)
        name = name.lower()
        if name in HEADERS:
            self._headers[name] = b", ".join((*filter(None, [self._headers.get(name)]), value))

    def on_headers_complete(self) -> None:
        self._in_head = False

    def on_message_complete(self) -> None:
        version = self._parser.get_http_version()
        if version not in VERSIONS or (version == "1.1" and HOST not in self._headers):
            self._refuse(400)  # RFC 9112, 3.2
        if not self._refused:
            request = Request(self._parser.get_method().decode(), self._target, self._headers)
            self._found.append(Wanted(request, version, self._parser.should_keep_alive()))
        self._bytes = -self._piece

    def _check_unfinished(self) -> None:
        """httptools keeps a header's value until it has wholly come."""
        if self._in_head and self._bytes > LARGEST_HEAD:
            self._refuse(431)
        if self._bytes > LARGEST_MESSAGE:
            self._refuse(413)

    def _end_with_the_last(self) -> None:
        if self._found and isinstance(last := self._found[-1], Wanted):
            self._found[-1] = last._replace(keep_alive=False)

    def _refuse(self, status: int) -> None:
        if not self._refused:
            self._refused = True
            self._found.append(Refused(status))
