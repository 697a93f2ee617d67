"""The services' process of one host without its data plane: what a program on a guest's device would write into a packet, these
guests' sockets write themselves.

    rookery-t...-guests                                rookery-t...-services
    g0 fd52:<source><asked>:<interface>:0:<address> ----- s0 fd00:ec2::67, ::547, ::123, ::253, ::254
       ... one address for each guest and way of asking      `python -m rookery.host.services`, its sockets
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec

from rookery.dataplane.formats import AskedAt, CallerSource, Service
from rookery.host.config import HostConfig
from rookery.host.instances import namespace
from rookery.host.services.caller import Caller, address_of, service_address
from rookery.host.services.view import Guest
from rookery.host.services_feed import ServicesFeed
from rookery.intent.host import HostIntent, RuleIntent
from rookery.mapping.client import Update
from rookery.mapping.protocol import Delta
from tests.waiting import until

CHECKOUT = Path(__file__).resolve().parents[2]
LONGEST_WAIT = 10.0  # seconds of a guest's socket
PATIENCE, ATTEMPTS = 1.0, 10  # seconds until a guest asks again, and how often it asks


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


class FakeAgent:
    """The agent's end of the feed alone, in a thread of its own."""

    def __init__(self, path: Path):
        self.path = path
        self.feed = ServicesFeed()
        self.intent = HostIntent(host="host-1", generation=1)
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._open = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._open.wait(5)

    def knows(self, *guests: Guest, rules: tuple[RuleIntent, ...] = ()) -> None:
        """From nothing."""
        instances = {one.instance.id: one.instance for one in guests}
        self.intent = HostIntent(host="host-1", generation=1, instances=instances, rules={rule.key: rule for rule in rules})
        self._publish(Update(self.intent, None))

    def learns(self, *guests: Guest, forgets: tuple[Guest, ...] = ()) -> None:
        """A change."""
        gone = [one.instance.id for one in forgets]
        delta = Delta(base=1, generation=1, put_instances=[one.instance for one in guests], delete_instances=gone)
        for one in gone:
            self.intent.instances.pop(one)
        self.intent.instances.update({one.instance.id: one.instance for one in guests})
        self._publish(Update(self.intent, delta))

    def end(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def _publish(self, update: Update) -> None:
        asyncio.run_coroutine_threadsafe(self._on_its_loop(update), self._loop).result(5)

    async def _on_its_loop(self, update: Update) -> None:
        self.feed.publish(update)

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        async with self.feed.at(self.path):
            self._open.set()
            await self._stop.wait()
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


class Station:
    def __init__(self, folder: Path):
        self.tag = f"rookery-t{secrets.token_hex(3)}"
        self.guests_namespace, self.services_namespace = f"{self.tag}-guests", f"{self.tag}-services"
        self.config = HostConfig(
            region_name="t",
            name="host-1",
            address="100.64.1.10",
            network="100.64.0.0/16",
            ca_certificate="",
            certificate="",
            private_key="",
            pins="",
            state_directory=str(folder / "state"),
            run_directory=str(folder / "run"),
            bpf_objects="",
            services_namespace=self.services_namespace,
        )
        self._folder = folder
        self._files = folder / "host.json"
        self._files.write_bytes(msgspec.json.encode(self.config))
        (folder / "run").mkdir()
        self._process: subprocess.Popen[bytes] | None = None
        self.agent: FakeAgent | None = None

    def make_guests(self) -> None:
        run("ip", "netns", "add", self.guests_namespace)

    def make_services_namespace(self) -> None:
        """As an agent does it."""
        there, here = self.services_namespace, self.guests_namespace
        run("ip", "netns", "add", there)
        run("ip", "link", "add", "g0", "netns", here, "type", "veth", "peer", "name", "s0", "netns", there)
        for service in Service:
            run("ip", "-netns", there, "address", "add", f"{service_address(service)}/128", "dev", "s0", "nodad")
        for name, device, route in ((there, "s0", "fd52::/16"), (here, "g0", "fd00:ec2::/32")):
            run("ip", "-netns", name, "link", "set", device, "up", "addrgenmode", "none")
            run("ip", "-netns", name, "-6", "route", "add", route, "dev", device)

    def start(self) -> None:
        log = (self._folder / "services.log").open("ab")
        command = (sys.executable, "-m", "rookery.host.services", "--config", str(self._files))
        self._process = subprocess.Popen(command, stderr=log, env={"PYTHONPATH": str(CHECKOUT / "src")})
        log.close()

    def run_another(self) -> subprocess.CompletedProcess[str]:
        command = (sys.executable, "-m", "rookery.host.services", "--config", str(self._files))
        given = {"PYTHONPATH": str(CHECKOUT / "src")}
        return subprocess.run(command, capture_output=True, text=True, timeout=20, env=given, check=False)

    def send(self, which: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(which)

    def remake_services_namespace(self) -> None:
        run("ip", "-netns", self.guests_namespace, "link", "delete", "g0")
        namespace.remove(self.services_namespace)
        self.make_services_namespace()

    def start_agent(self) -> FakeAgent:
        self.agent = FakeAgent(self.config.feed_socket)
        return self.agent

    def wait_serving(self) -> None:
        until(lambda: self.agent and not self.agent.feed.problem, self.log)

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Its exit code."""
        assert self._process is not None
        self._process.send_signal(how)
        code = self._process.wait(10)
        self._process = None
        return code

    def log(self) -> str:
        path = self._folder / "services.log"
        return path.read_text() if path.exists() else ""

    def caller(
        self, guest: Guest, address: bytes, source: CallerSource = CallerSource.IPV4, asked: AskedAt = AskedAt.SERVICE
    ) -> Caller:
        """`address`: the last bytes of the guest's own."""
        return Caller(guest.interface.number, source, asked, address.rjust(8, b"\0"))

    def at(self, who: Caller, port: int = 0, kind: socket.SocketKind = socket.SOCK_DGRAM) -> socket.socket:
        """A socket of the guest, at the address that the data plane gives it."""
        return self.at_address(address_of(who), port, kind)

    def at_address(
        self, address: str, port: int = 0, kind: socket.SocketKind = socket.SOCK_DGRAM
    ) -> socket.socket:
        run("ip", "-netns", self.guests_namespace, "address", "replace", f"{address}/128", "dev", "g0", "nodad")
        with namespace.inside(self.guests_namespace):
            made = socket.socket(socket.AF_INET6, kind)
        made.settimeout(LONGEST_WAIT)
        made.bind((address, port))
        return made

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        if self.agent is not None:
            self.agent.end()
        for name in (self.guests_namespace, self.services_namespace):
            namespace.remove(name)


@contextlib.contextmanager
def built(folder: Path) -> Iterator[Station]:
    station = Station(folder)
    try:
        station.make_guests()
        yield station
    finally:
        station.close()


def says(sender: socket.socket, service: Service, port: int, payload: bytes) -> None:
    sender.sendto(payload, (service_address(service), port))


def asks(
    sender: socket.socket,
    service: Service,
    port: int,
    payload: bytes,
    *,
    hearing: socket.socket | None = None,
    attempts: int = ATTEMPTS,
) -> bytes:
    """The answer, at `hearing` where that is another socket. Raises TimeoutError.

    It asks again, as every client does: the queues of packets are the processors', of all namespaces together, and another test's
    flood may leave no room in them for one datagram."""
    hearing = hearing or sender
    hearing.settimeout(PATIENCE)
    for _ in range(attempts):
        says(sender, service, port, payload)
        with contextlib.suppress(TimeoutError):
            return hearing.recv(4096)
    raise TimeoutError(f"no answer of {service.name} to {attempts} questions")


def hears_nothing(sender: socket.socket) -> bool:
    """Until now: who asks must have made sure that an answer would be here."""
    sender.setblocking(False)
    try:
        sender.recv(4096)
    except BlockingIOError:
        return True
    return False


