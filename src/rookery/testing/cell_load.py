"""What runs through a cell while its nodes die (rookery.testing.cell_stage):

    wren's client --+-- NAT gateway ------ the server outside      half of the connections; datagrams there and back; visits
                    +-- balancer --------- two targets             the other half; datagrams there and back; visits, the client hidden
    owl's client ------ NAT gateway ------ the server outside      a few more, with the same private addresses

Connections and visits: rookery.testing.crowd; datagrams: rookery.testing.datagrams.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from rookery.region.layout import PAGE_ADDRESSES
from rookery.testing.cell_stage import BALANCER, DATAGRAMS, HIDDEN, STREAMS, Tenant
from rookery.testing.ends import End, Ways, at_instance, at_server

SERVER = PAGE_ADDRESSES[0]
SETTLING = 10.0


class CellLoad(Ways):
    """`every`: seconds between two blocks of a connection, each way; `rate`: visits a second, half of them each way. Close it."""

    def __init__(self, wren: Tenant, owl: Tenant, *, held: int, every: float, flows: int, rate: float = 0.0):
        self.held, self._every = held, every
        self.callers: dict[str, End] = {}
        self.visitors: dict[str, End] = {}
        self.servers: dict[str, End] = {}
        self.left: list[dict[str, Any]] = []  # what visitors said who have left
        self.ways = {}
        self._inside = at_instance(wren.region, wren.client)
        self._flows = flows
        with ExitStack() as self._undo:
            self._serve(wren, owl)
            for tenant in (wren, owl):
                tenant.register_targets()
            self._ask()
            self._call(owl)
            if rate:
                self.visitors = {"nat": self.visit(SERVER, STREAMS, rate / 2), "balancer": self.visit(BALANCER, HIDDEN, rate / 2)}
            undo = self._undo.pop_all()
        self._undo = undo
        self.finished = False

    def _begin(self, *command: Any) -> End:
        end = End(*command)
        self._undo.callback(end.close)
        return end

    def _serve(self, wren: Tenant, owl: Tenant) -> None:
        places = {"outside": (at_server(wren.region), SERVER), "owl's target": (at_instance(owl.region, owl.targets[0]), "0.0.0.0")}
        places |= {f"target {n + 1}": (at_instance(wren.region, one), "0.0.0.0") for n, one in enumerate(wren.targets)}
        mirrors = []
        for name, (where, address) in places.items():
            self.servers[name] = self._begin("crowd", where, "serve", address, str(STREAMS), str(self._every))
            mirrors.append(self._begin("datagrams", where, "reflect", address, str(DATAGRAMS), str(self._flows)))
        for end in (*self.servers.values(), *mirrors):
            end.await_word("listening")

    def _ask(self) -> None:
        for way, address in (("nat", SERVER), ("balancer", BALANCER)):
            words = (address, str(DATAGRAMS), str(self._flows), "0.0.0.0")
            self.ways[way] = self._begin("datagrams", self._inside, "ask", *words)

    def _call(self, owl: Tenant) -> None:
        wanted = {"nat": (self._inside, SERVER, self.held // 2), "balancer": (self._inside, BALANCER, self.held // 2)}
        wanted["owl"] = (at_instance(owl.region, owl.client), SERVER, self.held // 10)
        for way, (where, address, count) in wanted.items():
            self.callers[way] = self._begin("crowd", where, "call", address, str(STREAMS), str(self._every), str(count))
        for end in self.ways.values():
            end.await_word("listening")
        for end in self.callers.values():
            end.await_word("complete")

    def call(self, address: str, count: int, every: float) -> End:
        """More, from wren's client."""
        end = self._begin("crowd", self._inside, "call", address, str(STREAMS), str(every), str(count))
        end.await_word("complete")
        return end

    def visit(self, address: str, port: int, rate: float) -> End:
        """From wren's client, until it is told to leave."""
        end = self._begin("crowd", self._inside, "visit", address, str(port), "1", str(rate))
        end.await_word("complete")
        return end

    @contextmanager
    def visiting(self, address: str, port: int, rate: float) -> Iterator[End]:
        """More visits, beside those that there are. Afterwards `left` tells of them."""
        end = self.visit(address, port, rate)
        yield end
        self.left.append(end.asked("end"))
        end.close()

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
        self.finished = True
        told = self.left + [end.asked("end") for end in self.visitors.values()]
        for end in (*self.servers.values(), *self.callers.values()):
            end.say("end")
        told += [end.answer() for end in self.callers.values()]
        return summed(told), summed([end.answer() for end in self.servers.values()])

    def close(self) -> None:
        self._undo.close()


def summed(told: list[dict[str, Any]]) -> dict[str, Any]:
    return {name: sum(one[name] for one in told) for name in ("connections", "broken", "sent", "received", "failed")}
