"""What passes through a region's edges while one of them dies: a crowd of connections, flows of datagrams, and ways to die.

    an instance with a public address  --  edges  --  the server outside          rookery.testing.crowd, rookery.testing.datagrams
"""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from rookery.dataplane.edge import EdgeDataplane
from rookery.host.instances.namespace import inside
from rookery.region import namespaces, processes
from rookery.region.layout import BPF_OBJECTS, PAGE_ADDRESSES, Layout
from rookery.region.parts import bird_of
from rookery.region.processes import Process
from rookery.region.supervisor import read_records
from rookery.testing.ends import End, Ways, at_instance, at_server

SERVER = PAGE_ADDRESSES[0]
CROWD_PORT, DATAGRAM_PORT = 7000, 7001
EVERY = 0.25  # seconds between blocks of a connection


class Crowd:
    """So many connections from an instance to the server outside. Close it."""

    def __init__(self, region: str, instance: str, count: int):
        with ExitStack() as undo:
            words = (SERVER, str(CROWD_PORT), str(EVERY))
            self._server = End("crowd", at_server(region), "serve", *words)
            undo.callback(self._server.close)
            self._server.await_word("listening")
            self._client = End("crowd", at_instance(region, instance), "call", *words, str(count))
            undo.callback(self._client.close)
            self._client.await_word("complete")
            self._undo = undo.pop_all()

    def latest(self) -> dict[str, float]:
        """Of what arrived since it was asked last: how late the latest was, in seconds, each way."""
        return {"out": self._server.asked()["latest"], "in": self._client.asked()["latest"]}

    def finish(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Ends all connections after all that was sent has arrived; what the server has seen, and the client."""
        self._server.say("end")
        client = self._client.asked("end")
        return self._server.answer(), client

    def close(self) -> None:
        self._undo.close()


class Datagrams(Ways):
    """Flows both ways at once: `address` is the instance's public one. Close it."""

    def __init__(self, region: str, instance: str, address: str, flows: int):
        here, there = at_instance(region, instance), at_server(region)
        with ExitStack() as undo:
            self.ways = {
                "out": End("datagrams", there, "receive", SERVER, str(DATAGRAM_PORT), str(flows)),
                "in": End("datagrams", here, "receive", "0.0.0.0", str(DATAGRAM_PORT), str(flows)),
            }
            for end in self.ways.values():
                undo.callback(end.close)
                end.await_word("listening")
            for where, to, source in ((here, SERVER, "0.0.0.0"), (there, address, SERVER)):
                undo.callback(End("datagrams", where, "send", to, str(DATAGRAM_PORT), str(flows), source).close)
            self._undo = undo.pop_all()

    def close(self) -> None:
        self._undo.close()


def process_of(region: str, part: str) -> Process:
    record = next(one for one in read_records(Layout(region)) if one.name == part)
    return Process(record.pid, record.started)


@contextmanager
def about_to_unload(region: str, edge: str) -> Iterator[Callable[[], None]]:
    """What is given takes the edge's programs off its devices, at once."""
    plan = Layout(region)
    dataplane = EdgeDataplane.open(plan.pins / edge, BPF_OBJECTS, 1)
    try:
        with inside(plan.host_namespace(edge)):
            devices = [socket.if_nametoindex(device) for device in ("u0", "x0")]

            def unload() -> None:
                for device in devices:
                    dataplane.detach(device)

            yield unload
    finally:
        dataplane.close()


def processes_die(region: str, edge: str) -> None:
    """Agent, BIRD and programs; the supervisor starts the former two again, and the agent the programs."""
    with about_to_unload(region, edge) as unload:
        for part in (edge, bird_of(edge)):
            processes.send(process_of(region, part), signal.SIGKILL)
        unload()


def namespace_dies(region: str, edge: str) -> None:
    """And all in it; `up` makes it anew."""
    name = Layout(region).host_namespace(edge)
    lived_there = [process_of(region, part) for part in (edge, bird_of(edge))]
    namespaces.batch(name, ["link delete x0", "link delete u0"])
    namespaces.remove(name)
    for process in lived_there:
        processes.send(process, signal.SIGKILL)


def all_stand_still(region: str, edge: str) -> None:
    """Nobody says goodbye and no cable is seen to be cut: programs gone, agent and BIRD frozen. `thaw` ends it."""
    with about_to_unload(region, edge) as unload:
        for part in (edge, bird_of(edge)):
            processes.send(process_of(region, part), signal.SIGSTOP)
        unload()


def thaw(region: str, edge: str) -> None:
    """Whoever stands still goes on; the agent attaches the programs again."""
    for process in (process_of(region, part) for part in (edge, bird_of(edge))):
        if process.pid:  # else it waits to be started
            processes.send(process, signal.SIGCONT)


DEATHS: dict[str, Callable[[str, str], None]] = {
    "processes": processes_die,
    "namespace": namespace_dies,
    "silent": all_stand_still,
}


