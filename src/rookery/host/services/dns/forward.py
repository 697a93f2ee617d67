"""Questions about the world: asked of the configured resolvers in their order, remembered for all guests, bounded for each.

Two guests that ask the same at one time cause one question; one guest that asks a lot waits for itself only."""

from __future__ import annotations

import asyncio
import logging
import math
from collections import Counter
from collections.abc import Callable, Sequence

import dns.rcode
import dns.rdatatype
from dns.edns import EDECode

from rookery.host.services.dns.answer import Answer, Record, aged
from rookery.host.services.dns.cache import Cache, Kept
from rookery.host.services.dns.upstream import NoAnswer, Upstream, WorldQuestion, ask

log = logging.getLogger(__name__)

PER_GUEST = 64  # questions that one guest may have outstanding
AT_ALL = 512  # ... all of them, each takes a socket; and one guest never more than are left, so that there is always one left
ENTRIES = 20_000
BYTES = 16 << 20
RECORD_BYTES = 200  # what one takes of memory beside its own bytes
LONGEST_NEGATIVE = 900  # seconds
FAILURE_SECONDS = 2  # RFC 9520 wants at least one
TELL_SECONDS = 60

NO_UPSTREAM = Answer(
    dns.rcode.SERVFAIL, explanation=(EDECode.NO_REACHABLE_AUTHORITY, "this region has no upstream resolver")
)
UNREACHABLE = Answer(
    dns.rcode.SERVFAIL, explanation=(EDECode.NO_REACHABLE_AUTHORITY, "no upstream resolver answers")
)
TOO_MANY = Answer(dns.rcode.SERVFAIL, explanation=(EDECode.OTHER, "too many questions are outstanding"))


class Forwarder:
    def __init__(self, upstreams: Sequence[Upstream], clock: Callable[[], float]) -> None:
        """`clock`: seconds, from any beginning."""
        self._upstreams = upstreams
        self._clock = clock
        self._known: Cache[Answer] = Cache(ENTRIES, BYTES)
        self._asking: dict[WorldQuestion, asyncio.Task[Answer]] = {}
        self._outstanding: Counter[int] = Counter()
        self._told: dict[Upstream, float] = {}

    def known(self, question: WorldQuestion) -> Answer | None:
        """What needs no asking."""
        if not self._upstreams:
            return NO_UPSTREAM
        now = self._clock()
        kept = self._known.get(question, now)
        return aged(kept.value, int(now - kept.since)) if kept else None

    async def ask(self, interface: int, question: WorldQuestion) -> Answer:
        """For the guest with this interface."""
        if found := self.known(question):
            return found
        if self._outstanding[interface] >= min(PER_GUEST, AT_ALL - len(self._asking)):
            return TOO_MANY  # so few ask so much that nothing is left to the others
        self._outstanding[interface] += 1
        try:
            return await self._shared(question)
        finally:
            self._outstanding[interface] -= 1
            if not self._outstanding[interface]:
                del self._outstanding[interface]

    async def close(self) -> None:
        asking = list(self._asking.values())
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    async def _shared(self, question: WorldQuestion) -> Answer:
        """Whoever is cancelled meanwhile takes nothing from the others."""
        task = self._asking.get(question)
        if task is None:
            task = asyncio.create_task(self._ask_all(question))
            self._asking[question] = task
            task.add_done_callback(lambda _: self._asking.pop(question, None))
        return await asyncio.shield(task)

    async def _ask_all(self, question: WorldQuestion) -> Answer:
        for upstream in self._upstreams:
            try:
                answer = await ask(upstream, question)
            except NoAnswer as failure:
                self._tell(upstream, failure)
            else:
                return self._remember(question, answer, lifetime(answer, question.rtype))
        return self._remember(question, UNREACHABLE, FAILURE_SECONDS)

    def _tell(self, upstream: Upstream, failure: NoAnswer) -> None:
        """Now and then: guests can make an upstream fail, and shall not fill the host's log."""
        now = self._clock()
        if now - self._told.get(upstream, -math.inf) >= TELL_SECONDS:
            self._told[upstream] = now
            log.warning("upstream resolver: %s; others in the next %s s are not told", failure, TELL_SECONDS)

    def _remember(self, question: WorldQuestion, answer: Answer, seconds: int) -> Answer:
        if seconds > 0:
            now = self._clock()
            self._known.put(question, Kept(answer, now, now + seconds, _size(question, answer)))
        return answer


def lifetime(answer: Answer, rtype: int) -> int:
    """Seconds. Of what does not exist, as its zone says; if that says nothing, none (RFC 2308, 5)."""
    shortest = [record.ttl for record in (*answer.records, *answer.authority, *answer.additional)]
    if answer.rcode == dns.rcode.NXDOMAIN or not _says(answer, rtype):
        negative = [_negative_ttl(record) for record in answer.authority if record.rtype == dns.rdatatype.SOA]
        shortest += negative or [0]
    return min(shortest, default=0)


def _says(answer: Answer, rtype: int) -> bool:
    return any(rtype in (record.rtype, dns.rdatatype.ANY) for record in answer.records)


def _negative_ttl(authority: Record) -> int:
    """The last number of a SOA record is the lifetime of its zone's gaps."""
    return min(int.from_bytes(authority.rdata[-4:], "big"), LONGEST_NEGATIVE)


def _size(question: WorldQuestion, answer: Answer) -> int:
    records = (*answer.records, *answer.authority, *answer.additional)
    return (
        len(question.name)
        + RECORD_BYTES
        + sum(len(record.owner) + len(record.rdata) + RECORD_BYTES for record in records)
    )
