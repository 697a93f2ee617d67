"""What runs through a cell while its nodes die (rookery.testing.cell_stage):

    wren's client --+-- NAT gateway ------ the server outside      half of the connections; datagrams there and back; visits
                    +-- balancer --------- two targets             the other half; datagrams there and back; visits, the client hidden
    owl's client ------ NAT gateway ------ the server outside      a few more, with the same private addresses

Connections and visits: rookery.testing.crowd; datagrams: rookery.testing.datagrams.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from rookery.region.layout import PAGE_ADDRESSES
from rookery.testing.cell_stage import BALANCER, DATAGRAMS, HIDDEN, STREAMS, Tenant
from rookery.testing.ends import End, Ways, Where, at_instance, at_server

SERVER = PAGE_ADDRESSES[0]
SETTLING = 10.0
TRIES = 5


def patiently(start: Callable[[], End]) -> End:
    """What has only just been made may refuse the first who comes. Raises RuntimeError."""
    for _ in range(TRIES - 1):
        try:
            return start()
        except RuntimeError:
            time.sleep(0.5)
    return start()


class CellLoad(Ways):
    """`every`: seconds between two blocks of a connection, each way; `rate`: visits a second, half of them each way. Close it."""

    def __init__(self, wren: Tenant, owl: Tenant, *, held: int, every: float, flows: int, rate: float = 0.0):
        self.held, self._every = held, every
        self.callers: dict[str, End] = {}
        self.visitors: dict[str, End] = {}
        self.servers: dict[str, End] = {}
        self.ways = {}
        region = wren.region
        inside, other = at_instance(region, wren.client), at_instance(region, owl.client)
        with ExitStack() as self._undo:
            self._serve(at_server(region), "outside", SERVER, flows)
            for number, target in enumerate(wren.targets):
                self._serve(at_instance(region, target), f"target {number + 1}", "0.0.0.0", flows)
            self._serve(at_instance(region, owl.targets[0]), "owl's target", "0.0.0.0", flows)
            for way, address in (("nat", SERVER), ("balancer", BALANCER)):
                self._ask(inside, way, address, flows)
                self.callers[way] = self.call(inside, address, held // 2)
            self.callers["owl"] = self.call(other, SERVER, held // 10)
            if rate:
                self.visitors["nat"] = self.visit(inside, SERVER, STREAMS, rate / 2)
                self.visitors["balancer"] = self.visit(inside, BALANCER, HIDDEN, rate / 2)
            undo = self._undo.pop_all()
        self._undo = undo

    def _begin(self, word: str, *command: Any) -> End:
        end = End(*command)
        self._undo.callback(end.end)
        end.await_word(word)
        return end

    def _serve(self, where: Where, name: str, address: str, flows: int) -> None:
        self.servers[name] = self._begin("listening", "crowd", where, "serve", address, str(STREAMS), str(self._every))
        self._begin("listening", "datagrams", where, "reflect", address, str(DATAGRAMS), str(flows))

    def _ask(self, where: Where, way: str, address: str, flows: int) -> None:
        words = (address, str(DATAGRAMS), str(flows), "0.0.0.0")
        self.ways[way] = self._begin("listening", "datagrams", where, "ask", *words)

    def call(self, where: Where, address: str, count: int, every: float = 0.0) -> End:
        words = (address, str(STREAMS), str(every or self._every), str(count))
        return patiently(lambda: self._begin("complete", "crowd", where, "call", *words))

    def visit(self, where: Where, address: str, port: int, rate: float) -> End:
        return self._begin("complete", "crowd", where, "visit", address, str(port), "1", str(rate))

    def settle(self) -> None:
        """All ways are whole and calm, and what was measured before is forgotten. Raises RuntimeError."""
        deadline = time.monotonic() + SETTLING
        while any(told["never"] for told in self.told().values()):
            if time.monotonic() > deadline:
                raise RuntimeError(f"flows never arrived: {self.told()}")
            time.sleep(0.1)
        self.silence()
        self.latest()

    def latest(self) -> float:
        """Of what arrived since it was asked last: by how many seconds the latest block was late."""
        return max(end.asked()["latest"] for end in (*self.callers.values(), *self.servers.values()))

    def broken(self) -> dict[str, int]:
        """Connections that broke since they began, by way."""
        return {way: end.asked()["broken"] for way, end in self.callers.items()}

    def visited(self) -> dict[str, dict[str, Any]]:
        """What visitors tell."""
        return {way: end.asked() for way, end in self.visitors.items()}

    def finish(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Ends all after all that was sent has arrived. What who called has seen, and who served, summed up."""
        ends = [*self.visitors.values(), *self.callers.values()]
        for end in self.servers.values():
            end.say("end")
        callers = summed([end.asked("end") for end in ends])
        return callers, summed([end.answer() for end in self.servers.values()])

    def close(self) -> None:
        self._undo.close()


def summed(told: list[dict[str, Any]]) -> dict[str, Any]:
    return {name: sum(one[name] for one in told) for name in ("connections", "broken", "sent", "received", "failed")}
