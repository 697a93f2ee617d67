"""Which nodes live? A probe to each twenty times a second, which the node's own program sends back (bpf/stages/probe.h): three in a row
without an answer, and it counts as dead; three answers in a row, and it lives. So a dead node is left within a fifth of a second, before TCP
sends again what was lost on it for the first time. Who is asked, and what follows, is rookery.host.edge_probes' and top_probes'."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import struct
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from rookery.dataplane.formats import EdgeConstant

PROBE_SECONDS = 0.05
IN_A_ROW = 3
GENEVE_PORT = 6081
ANSWERS_MAX = 4096  # that are read after a round
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


class Probes(ABC):
    """Of one kind of nodes. `nodes`: addresses of those that there are, now. `chosen`: who lived, by what was written down last."""

    def __init__(self, nodes: Callable[[], Iterable[str]], chosen: Iterable[str] = ()):
        self._nodes = nodes
        self._known: tuple[str, ...] | None = None
        self.liveness = Liveness(chosen)

    @abstractmethod
    def _tell(self) -> None:
        """A round is over: write down who lives, if that has changed."""

    def begin_round(self) -> tuple[str, ...]:
        """Whom to ask."""
        nodes = tuple(self._nodes())
        if nodes != self._known:
            self.liveness.know(nodes)
            self._known = nodes
        return nodes

    def end_round(self, answered: Iterable[str]) -> None:
        for node in answered:
            self.liveness.answered(node)
        self.liveness.end_round()
        self._tell()


class Rounds:
    """All that a node asks, in one round and from one socket: who is of two kinds is asked once. Answers wait in the socket until the round
    is over, and so nobody is woken for each; what answers an older question comes too late."""

    def __init__(self, address: str):
        """`address`: this node's."""
        self._address = address
        self._kinds: list[Probes] = []
        self._me = secrets.randbits(64)
        self._number = 0

    def add(self, kind: Probes) -> None:
        self._kinds.append(kind)

    async def run(self) -> None:
        """Until cancelled. Raises OSError when this node has not the address that it should have."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as asking:
            asking.bind((self._address, 0))
            while True:
                await self._round(asking)

    async def _round(self, asking: socket.socket) -> None:
        self._number += 1
        question = PROBE.pack(0, CONTROL, INNER_ETHERNET, 0, self._me, self._number)
        kinds = tuple(self._kinds)
        for node in dict.fromkeys(node for kind in kinds for node in kind.begin_round()):
            with contextlib.suppress(OSError):  # no way there: as good as no answer
                asking.sendto(question, (node, GENEVE_PORT))
        await asyncio.sleep(PROBE_SECONDS)
        answered = frozenset(_answers(asking, question))
        for kind in kinds:
            kind.end_round(answered)


def _answers(asking: socket.socket, question: bytes) -> Iterator[str]:
    """Who sent the question back. What else has come is thrown away, so far as it does not come faster than it is read."""
    for _ in range(ANSWERS_MAX):
        try:
            data, sender = asking.recvfrom(PROBE.size + 1)
        except BlockingIOError:
            return
        except OSError:
            continue
        if data == question and sender[1] == GENEVE_PORT:
            yield sender[0]
