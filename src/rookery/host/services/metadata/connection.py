"""One connection of a guest: bytes in, answers out, and an end in good time. What is kept of it is bounded: the requests of
one piece, and unsent answers up to MOST_UNSENT and one more."""

from __future__ import annotations

import asyncio
import email.utils
import socket
import time
from collections import deque
from typing import NamedTuple

from rookery.host.services.caller import Caller, NotACaller, caller
from rookery.host.services.metadata.answers import PHRASES, Answer, Asker, answer, refusal
from rookery.host.services.metadata.known import KnownContents
from rookery.host.services.metadata.requests import Refused, RequestReader, Wanted
from rookery.host.services.metadata.shares import Limits, Share, Shares
from rookery.host.services.view import View

MOST_UNSENT = 16_384  # bytes


class Service(NamedTuple):
    """What all connections share."""

    view: View
    key: bytes
    limits: Limits
    shares: Shares
    known: KnownContents
    scratch: memoryview  # PIECE bytes. A loop reads into it and has it understood before it turns to another connection
    open: set[Connection]


class Connection(asyncio.BufferedProtocol):
    def __init__(self, service: Service):
        self._service = service
        self._reader = RequestReader()
        self._queue: deque[Wanted | Refused] = deque()
        self._ending = False  # the last answer is sent: what still comes is thrown away
        self._full = False  # the guest does not take its answers
        self._input_ended = False
        self._share: Share | None = None

    # What the loop calls.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._progress = self._loop.time()
        transport.set_write_buffer_limits(high=MOST_UNSENT)
        try:
            self._caller = self._who()
        except NotACaller:
            self.abort()
        else:
            self._admit()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._service.scratch

    def buffer_updated(self, nbytes: int) -> None:
        if not self._ending:
            self._queue.extend(self._reader.feed(self._service.scratch[:nbytes]))
            self._answer_queued()

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self._answer_queued()

    def eof_received(self) -> bool:
        """True: there is more to send."""
        self._input_ended = True
        return bool(self._queue)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._share:
            self._share.disconnect()
            self._service.open.discard(self)
            self._timer.cancel()

    # Who it is.

    def _who(self) -> Caller:
        peer = self._transport.get_extra_info("peername")
        if not peer:
            raise NotACaller("gone already")
        return caller(peer[0])

    def _admit(self) -> None:
        guest = self._service.view.guest(self._caller.interface)
        if guest is None:
            self.abort()
            return
        share = self._service.shares.of(guest.instance.id, self._progress)
        if not share.connect():
            self._turn_away()
            return
        self._share = share
        self._service.open.add(self)
        self._timer = self._loop.call_later(self._service.limits.patience, self._look_at_progress)

    def _turn_away(self) -> None:
        """At once, though it may then miss the answer: it has connections enough."""
        self._ending = True
        self._write(refusal(503), with_body=True, keep_alive=False, version="1.1")
        self._transport.close()

    def _asker(self) -> Asker | None:
        """Anew for each request: what a guest is, and whether it is, changes."""
        guest = self._service.view.guest(self._caller.interface)
        if guest is None:
            return None
        return Asker(guest.instance, self._service.known.of(guest.instance), self._caller.source)

    # Answers.

    def _answer_queued(self) -> None:
        while self._queue and not (self._full or self._ending):
            self._answer(self._queue.popleft())
        if self._queue and not self._ending:
            self._transport.pause_reading()
        elif self._input_ended:
            self._transport.close()
        elif not self._transport.is_closing():
            self._transport.resume_reading()

    def _answer(self, item: Wanted | Refused) -> None:
        self._progress = self._loop.time()
        asker = self._asker()
        if asker is None:
            self.abort()
        elif isinstance(item, Refused):
            self._finish(refusal(item.status))
        elif not (self._share and self._share.ask(self._progress)):
            self._send(item, refusal(503), keep_alive=False)
        else:
            found = answer(item.request, asker, self._service.key, time.time())
            self._send(item, found, item.keep_alive and not self._share.is_over)

    def _send(self, wanted: Wanted, found: Answer, keep_alive: bool) -> None:
        if found.hop_limit:
            self._limit_hops(found.hop_limit)
        self._write(found, wanted.request.method != "HEAD", keep_alive, wanted.version)
        if not keep_alive:
            self._end()

    def _limit_hops(self, hops: int) -> None:
        """For as long as the connection lasts. A segment that is lost is sent again with what the socket then says: set
        back, it would carry the token further than it may go. Whoever got the token gets the rest too."""
        connection = self._transport.get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, hops)

    def _finish(self, found: Answer) -> None:
        self._write(found, with_body=True, keep_alive=False, version="1.1")
        self._end()

    def _write(self, found: Answer, with_body: bool, keep_alive: bool, version: str) -> None:
        self._transport.write(head(found, keep_alive, version) + (found.body if with_body else b""))

    # Its end.

    def _end(self) -> None:
        """Not closed yet: to close with bytes unread is to reset, and the guest would lose the answer it has not read."""
        self._ending = True
        self._queue.clear()
        if not self._input_ended:
            self._transport.write_eof()

    def abort(self) -> None:
        self._ending = True
        self._queue.clear()
        self._transport.abort()

    def _look_at_progress(self) -> None:
        left = self._progress + self._service.limits.patience - self._loop.time()
        if left > 0:
            self._timer = self._loop.call_later(left, self._look_at_progress)
        else:
            self.abort()


def head(found: Answer, keep_alive: bool, version: str) -> bytes:
    """Status line and headers."""
    lines = [
        f"HTTP/1.1 {found.status} {PHRASES[found.status]}",
        f"Content-Type: {found.content_type}",
        "Accept-Ranges: none",
        f"Content-Length: {len(found.body)}",
        f"Date: {email.utils.formatdate(usegmt=True)}",
        "Server: EC2ws",
        *(f"{name}: {value}" for name, value in found.headers),
    ]
    if not keep_alive:
        lines.append("Connection: close")
    elif version == "1.0":
        lines.append("Connection: keep-alive")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
