"""Which nodes live? A probe to each twenty times a second, which the node's own program sends back (bpf/stages/probe.h): three in a row
without an answer, and it counts as dead; three answers in a row, and it lives. So a dead node is left within a fifth of a second, before TCP
sends again what was lost on it for the first time. Who is asked, and what follows, is rookery.host.edge_probes' and top_probes'."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import struct
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from rookery.dataplane.formats import EdgeConstant

PROBE_SECONDS = 0.05
IN_A_ROW = 3
GENEVE_PORT = 6081
# RFC 8926: no options, control bit; no VNI. Behind it: who asks, and which round it is.
PROBE = struct.Struct("!BBHIQQ")
CONTROL, INNER_ETHERNET = 0x80, 0x6558


@dataclass
class _Known:
    lives: bool = False
    against: int = 0  # rounds in a row that say otherwise
    answered: bool = False  # in this round


class Liveness:
    """Of the nodes that there are, by their addresses. Pure: somebody else sends and waits. `chosen`: those that an earlier agent found
    living; they are taken to live on until they miss."""

    def __init__(self, chosen: Iterable[str] = ()) -> None:
        self._known = {node: _Known(lives=True) for node in chosen}

    def know(self, nodes: Iterable[str]) -> None:
        """These there are. A new one must answer before it is chosen."""
        self._known = {node: self._known.get(node, _Known()) for node in nodes}

    def answered(self, node: str) -> None:
        """In the round that is not over yet."""
        if node in self._known:
            self._known[node].answered = True

    def end_round(self) -> None:
        for known in self._known.values():
            known.against = 0 if known.answered == known.lives else known.against + 1
            if known.against == IN_A_ROW:
                known.lives, known.against = known.answered, 0
            known.answered = False

    @property
    def living(self) -> tuple[str, ...]:
        """To which flows are led, at most as many as the programs choose among."""
        living = [node for node, known in self._known.items() if known.lives]
        return tuple(sorted(living or self._known)[: EdgeConstant.EDGES_MAX])

    @property
    def answering(self) -> frozenset[str]:
        """Those that live, though it be none."""
        return frozenset(node for node, known in self._known.items() if known.lives)


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


class Probes(ABC):
    """`nodes`: addresses of those that there are, now. `chosen`: who lived, by what was written down last."""

    def __init__(self, address: str, nodes: Callable[[], Iterable[str]], chosen: Iterable[str] = ()):
        self._address = address
        self._nodes = nodes
        self.liveness = Liveness(chosen)

    @abstractmethod
    def _tell(self) -> None:
        """A round is over: write down who lives, if that has changed."""

    async def run(self) -> None:
        """Until cancelled. Raises OSError when this node has not the address that it should have."""
        loop, me = asyncio.get_running_loop(), secrets.randbits(64)
        transport, answers = await loop.create_datagram_endpoint(
            lambda: _Answers(self.liveness, me), local_addr=(self._address, 0)
        )
        with contextlib.closing(transport):
            while True:
                await self._round(transport, answers)

    async def _round(self, transport: asyncio.DatagramTransport, answers: _Answers) -> None:
        nodes = tuple(self._nodes())
        self.liveness.know(nodes)
        answers.round += 1
        for node in nodes:
            transport.sendto(answers.question(), (node, GENEVE_PORT))
        await asyncio.sleep(PROBE_SECONDS)
        self.liveness.end_round()
        self._tell()
