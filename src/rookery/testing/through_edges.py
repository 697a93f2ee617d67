"""What passes through a region's edges while one of them dies: a crowd of connections, flows of datagrams, and ways to die.

    an instance with a public address  --  edges  --  the server outside          rookery.testing.crowd, rookery.testing.datagrams
"""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from rookery.dataplane.edge import EdgeDataplane
from rookery.host.instances.namespace import inside
from rookery.region import namespaces, processes
from rookery.region.inside import entering
from rookery.region.layout import BPF_OBJECTS, PAGE_ADDRESSES, Layout
from rookery.region.parts import bird_of
from rookery.region.processes import Process
from rookery.region.supervisor import read_records

HERE = Path(__file__).parent
SERVER = PAGE_ADDRESSES[0]
CROWD_PORT, DATAGRAM_PORT = 7000, 7001
PATIENCE = 60.0


class End:
    """A program of ours at one end: spoken to by lines."""

    def __init__(self, program: str, where: tuple[list[str], dict[str, str] | None], *words: str):
        command, environment = where
        self._name = f"{program} {words[0]}"
        self._process = subprocess.Popen(
            [*command, "python3", "-c", (HERE / f"{program}.py").read_text(), *words],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def heard(self) -> str:
        """Its next line. Raises RuntimeError: it ended."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if not line:
            raise RuntimeError(f"{self._name} ended with {self._process.wait(10)}")
        return line

    def await_word(self, word: str) -> None:
        said = self.heard()
        if said != word:
            raise RuntimeError(f"{self._name} said {said!r}, not {word!r}")

    def say(self, word: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()

    def asked(self, word: str = "tell") -> dict[str, Any]:
        self.say(word)
        return json.loads(self.heard())

    def end(self) -> None:
        """Whatever it does."""
        self._process.kill()
        self._process.communicate()


def at_instance(region: str, instance: str) -> tuple[list[str], dict[str, str] | None]:
    """`instance`: its id or Name."""
    return entering(region, instance, [])


def at_server(region: str) -> tuple[list[str], dict[str, str] | None]:
    return list(namespaces.inside(Layout(region).page_namespace)), None


class Crowd:
    """So many connections from an instance to the server outside. Close it."""

    def __init__(self, region: str, instance: str, count: int):
        with ExitStack() as undo:
            words = (SERVER, str(CROWD_PORT), str(count))
            self._server = End("crowd", at_server(region), "serve", *words)
            undo.callback(self._server.end)
            self._server.await_word("listening")
            self._client = End("crowd", at_instance(region, instance), "call", *words)
            undo.callback(self._client.end)
            for end in (self._client, self._server):
                end.await_word("complete")
            self._undo = undo.pop_all()

    def latest(self) -> dict[str, float]:
        """Of what arrived since it was asked last: how late the latest was, in seconds, each way."""
        return {"out": self._server.asked()["latest"], "in": self._client.asked()["latest"]}

    def finish(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Ends all connections after all that was sent has arrived; what the server has seen, and the client."""
        self._server.say("end")
        client = self._client.asked("end")
        return json.loads(self._server.heard()), client

    def close(self) -> None:
        self._undo.close()


class Datagrams:
    """Flows both ways at once: `address` is the instance's public one. Close it."""

    def __init__(self, region: str, instance: str, address: str, flows: int):
        here, there = at_instance(region, instance), at_server(region)
        with ExitStack() as undo:
            self._receivers = {
                "out": End("datagrams", there, "receive", SERVER, str(DATAGRAM_PORT), str(flows)),
                "in": End("datagrams", here, "receive", "0.0.0.0", str(DATAGRAM_PORT), str(flows)),
            }
            for end in self._receivers.values():
                undo.callback(end.end)
                end.await_word("listening")
            for where, to, source in ((here, SERVER, "0.0.0.0"), (there, address, SERVER)):
                undo.callback(End("datagrams", where, "send", to, str(DATAGRAM_PORT), str(flows), source).end)
            self._undo = undo.pop_all()

    def told(self) -> dict[str, dict[str, Any]]:
        """Since it was asked last, by way: packets received and lost, the longest silence of a flow in seconds."""
        return {way: end.asked() for way, end in self._receivers.items()}

    def silence(self, calm: float = 0.1) -> dict[str, float]:
        """The longest since it was asked last, by way; returns when all flows of both ways arrive again."""
        longest = dict.fromkeys(self._receivers, 0.0)
        deadline = time.monotonic() + PATIENCE
        while True:
            now = {way: told["silence"] for way, told in self.told().items()}
            longest = {way: max(longest[way], now[way]) for way in longest}
            if max(now.values()) < calm:
                return longest
            if time.monotonic() > deadline:
                raise RuntimeError(f"flows stay silent: {now}")
            time.sleep(calm)

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


