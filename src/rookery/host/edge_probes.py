"""Which edges live? A probe to each twenty times a second, which the edge's own program sends back (bpf/stages/reflect.h): three in
a row without an answer, and no flow is led there any more; three answers in a row, and it is. So a dead edge is left within a fifth of a
second, before TCP sends again what was lost on it for the first time.

When none answers all stay: it is likelier that this host has lost the substrate than that all edges died at once, and where
nobody lives there is nothing to lose."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from rookery.dataplane.addresses import substrate_bytes, substrate_text
from rookery.dataplane.errors import DataplaneError
from rookery.dataplane.formats import EdgeAddress, EdgeConstant, EdgeSet

PROBE_SECONDS = 0.05
IN_A_ROW = 3
GENEVE_PORT = 6081
# RFC 8926: no options, control bit; no VNI. Behind it: who asks, and which round it is.
PROBE = struct.Struct("!BBHIQQ")
CONTROL, INNER_ETHERNET = 0x80, 0x6558

log = logging.getLogger("rookery.host")


@dataclass
class _Known:
    lives: bool = False
    against: int = 0  # rounds in a row that say otherwise
    answered: bool = False  # in this round


class Liveness:
    """Of the edges that there are, by their addresses. Pure: somebody else sends and waits. `chosen`: those that an earlier agent found
    living; they are taken to live on until they miss."""

    def __init__(self, chosen: Iterable[str] = ()) -> None:
        self._edges = {edge: _Known(lives=True) for edge in chosen}

    def know(self, edges: Iterable[str]) -> None:
        """These there are. A new one must answer before it is chosen."""
        self._edges = {edge: self._edges.get(edge, _Known()) for edge in edges}

    def answered(self, edge: str) -> None:
        """In the round that is not over yet."""
        if edge in self._edges:
            self._edges[edge].answered = True

    def end_round(self) -> None:
        for known in self._edges.values():
            known.against = 0 if known.answered == known.lives else known.against + 1
            if known.against == IN_A_ROW:
                known.lives, known.against = known.answered, 0
            known.answered = False

    @property
    def living(self) -> tuple[str, ...]:
        """To which flows are led, at most as many as the programs choose among."""
        living = [edge for edge, known in self._edges.items() if known.lives]
        return tuple(sorted(living or self._edges)[: EdgeConstant.EDGES_MAX])

    @property
    def answering(self) -> frozenset[str]:
        """Those that live, though it be none."""
        return frozenset(edge for edge, known in self._edges.items() if known.lives)


def edge_set(addresses: Iterable[str]) -> EdgeSet:
    packed = [substrate_bytes(address) for address in addresses]
    return EdgeSet(living=len(packed), address=b"".join(packed).ljust(4 * EdgeConstant.EDGES_MAX, b"\0"))


def addresses_of(chosen: EdgeSet) -> list[str]:
    """The other way round."""
    return [substrate_text(chosen.address[4 * n : 4 * n + 4]) for n in range(chosen.living)]


def nodes_of(keys: Iterable[EdgeAddress]) -> tuple[str, ...]:
    """Of the table `edge_nodes`: the region's edges, living or not."""
    return tuple(sorted(substrate_text(key.address) for key in keys))


class _Answers(asyncio.DatagramProtocol):
    """Of the round that is going on: what comes later comes too late."""

    def __init__(self, liveness: Liveness, me: int):
        self._liveness = liveness
        self._me = me
        self.round = 0

    def question(self) -> bytes:
        return PROBE.pack(0, CONTROL, INNER_ETHERNET, 0, self._me, self.round)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if data == self.question() and addr[1] == GENEVE_PORT:
            self._liveness.answered(addr[0])

    def error_received(self, exc: Exception) -> None:
        """Nobody there: as good as no answer."""


class EdgeProbes:
    """`edges`: addresses of those that there are, now. `choose`: writes down who lives; called when that changes. `chosen`: who did,
    by what was written down last."""

    def __init__(
        self,
        address: str,
        edges: Callable[[], Iterable[str]],
        choose: Callable[[EdgeSet], None],
        chosen: Iterable[str] = (),
    ):
        self._address = address
        self._edges = edges
        self._choose = choose
        self._chosen: tuple[str, ...] | None = None
        self.liveness = Liveness(chosen)

    async def run(self) -> None:
        """Until cancelled. Raises OSError when this host has not the address that it should have."""
        loop, me = asyncio.get_running_loop(), secrets.randbits(64)
        transport, answers = await loop.create_datagram_endpoint(
            lambda: _Answers(self.liveness, me), local_addr=(self._address, 0)
        )
        with contextlib.closing(transport):
            while True:
                await self._round(transport, answers)

    async def _round(self, transport: asyncio.DatagramTransport, answers: _Answers) -> None:
        edges = tuple(self._edges())
        self.liveness.know(edges)
        answers.round += 1
        for edge in edges:
            transport.sendto(answers.question(), (edge, GENEVE_PORT))
        await asyncio.sleep(PROBE_SECONDS)
        self.liveness.end_round()
        self._tell()

    def _tell(self) -> None:
        living = self.liveness.living
        if living == self._chosen:
            return
        try:
            self._choose(edge_set(living))
        except DataplaneError as error:
            log.error("edges that live: %s", error)
            return
        log.info("edges that live: %s", ", ".join(living) or "none")
        self._chosen = living
