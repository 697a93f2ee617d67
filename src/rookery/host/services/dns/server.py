"""The resolver of all guests of a host: VPC+2, 169.254.169.253 and fd00:ec2::253. It has no sockets of its own towards them:
bytes in, bytes out. https://docs.aws.amazon.com/vpc/latest/userguide/AmazonDNS-concepts.html"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

import dns.rcode
from dns.edns import EDECode

from rookery.host.services.dns import dns64
from rookery.host.services.dns.answer import IN, Answer, limit, refusal, write
from rookery.host.services.dns.cache import Cache, Kept
from rookery.host.services.dns.forward import Forwarder
from rookery.host.services.dns.question import CD, OPT, RD, Query, Refused, Silent, read
from rookery.host.services.dns.resolve import Names, Onward
from rookery.host.services.dns.upstream import WorldQuestion, upstream
from rookery.host.services.view import Guest, View

# To guests of a VPC whose enableDnsSupport is off. What AWS does there, answer so or not at all, is not documented.
WITHOUT_SUPPORT = Answer(
    dns.rcode.REFUSED, explanation=(EDECode.PROHIBITED, "enableDnsSupport is off in this VPC")
)

NOT_RECURSIVE = Answer(dns.rcode.REFUSED, explanation=(EDECode.NOT_SUPPORTED, "recursive queries only"))
NOT_SERVED = Answer(dns.rcode.REFUSED, explanation=(EDECode.NOT_SUPPORTED, "not of this class or type"))
META_TYPES = range(128, 255)  # transfers, keys of transactions; ANY, 255, is a question like others
NO_TYPES = (0, OPT)

READY_ENTRIES = 8_192
READY_BYTES = 4 << 20
LONGEST_READY = 512  # bytes of a query that is worth keeping
IDENTIFIER = 2  # bytes


class Given(NamedTuple):
    """An answer that needs nobody else."""

    answer: Answer
    lasting: bool  # until the view changes


class DnsServer:
    def __init__(
        self, view: View, upstreams: Sequence[str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`upstreams`: 192.0.2.1, [2001:db8::1]:5353. Raises ValueError."""
        self._view = view
        self._names = Names(view)
        self._forwarder = Forwarder([upstream(text) for text in upstreams], clock)
        self._ready: Cache[bytes] = Cache(READY_ENTRIES, READY_BYTES)
        self._ready_of = view.version

    def quick(self, guest: Guest, query: bytes, over_tcp: bool) -> bytes | None:
        """The answer, if it can be given at once. None: see slow()."""
        if self._ready_of != self._view.version:
            self._ready_of = self._view.version
            self._ready.clear()
        interface = guest.interface
        key = (interface.vni, interface.mtu, interface.services.dns64, over_tcp, query[IDENTIFIER:])
        if ready := self._ready.get(key, 0):
            return query[:IDENTIFIER] + ready.value
        return self._made_at_once(guest, query, over_tcp, key)

    async def slow(self, guest: Guest, query: bytes, over_tcp: bool) -> bytes | None:
        """The answer, if need be of another resolver. None: say nothing."""
        try:
            read_query = read(query)
        except Silent:
            return None
        except Refused as error:
            return refusal(query, error.rcode)
        answer = await self._answer(guest, read_query)
        return write(read_query, answer, limit(read_query, guest.interface.mtu, over_tcp))

    async def close(self) -> None:
        await self._forwarder.close()

    def _made_at_once(self, guest: Guest, wire: bytes, over_tcp: bool, key: Hashable) -> bytes | None:
        try:
            query = read(wire)
        except Silent:
            return None
        except Refused as error:
            return refusal(wire, error.rcode)
        given = self._given(guest, query)
        if given is None:
            return None
        made = write(query, given.answer, limit(query, guest.interface.mtu, over_tcp))
        if given.lasting and len(wire) <= LONGEST_READY:
            self._ready.put(key, Kept(made[IDENTIFIER:], 0, math.inf, len(wire) + len(made)))
        return made

    async def _answer(self, guest: Guest, query: Query) -> Answer:
        answer = await self._found(guest, query)
        if not dns64.wants(guest, query, answer):
            return answer
        return dns64.synthesized(answer, await self._found(guest, dns64.of_ipv4(query)))

    async def _found(self, guest: Guest, query: Query) -> Answer:
        given = self._known(guest, query)
        if not isinstance(given, Onward):
            return given.answer
        found = await self._forwarder.ask(guest.interface.number, _world_question(query, given))
        return _behind(given, found)

    def _given(self, guest: Guest, query: Query) -> Given | None:
        """None: the world must be asked."""
        known = self._known(guest, query)
        if isinstance(known, Onward) or not dns64.wants(guest, query, known.answer):
            return None if isinstance(known, Onward) else known
        ipv4 = self._known(guest, dns64.of_ipv4(query))
        if isinstance(ipv4, Onward):
            return None
        return Given(dns64.synthesized(known.answer, ipv4.answer), known.lasting and ipv4.lasting)

    def _known(self, guest: Guest, query: Query) -> Given | Onward:
        if refused := _refused(guest, query):
            return Given(refused, lasting=True)
        resolved = self._names.resolve(guest, query.name, query.rtype)
        if not isinstance(resolved, Onward):
            return Given(resolved, lasting=True)
        known = self._forwarder.known(_world_question(query, resolved))
        return Given(_behind(resolved, known), lasting=False) if known else resolved


def _refused(guest: Guest, query: Query) -> Answer | None:
    if query.edns and query.edns.version:
        return Answer(dns.rcode.BADVERS)
    if not guest.interface.services.dns_support:
        return WITHOUT_SUPPORT
    if query.rtype in NO_TYPES:
        return Answer(dns.rcode.FORMERR)
    if query.rclass != IN or query.rtype in META_TYPES:
        return NOT_SERVED
    return None if query.flags & RD else NOT_RECURSIVE


def _world_question(query: Query, onward: Onward) -> WorldQuestion:
    dnssec = bool(query.edns and query.edns.dnssec)
    return WorldQuestion(onward.name, query.rtype, dnssec, bool(query.flags & CD))


def _behind(onward: Onward, answer: Answer) -> Answer:
    """Behind the aliases that lead out of the zones of the VPC."""
    if not onward.chain:
        return answer
    return answer._replace(records=onward.chain + answer.records, authoritative=True)
