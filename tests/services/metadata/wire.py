"""The services' namespace and three guests, really connected. Who asks is told by the source address, as the program on a
guest's device writes it; here the guests simply have such addresses. A container speaks through guest A:

    container --veth-- guest A --veth--+
    10.7.1.99          10.7.1.5        +-- services, fd00:ec2::254
                       guest B --veth--+
                       10.7.1.5        |
                       guest C --veth--+
                       10.7.1.6
"""

from __future__ import annotations

import asyncio
import http.client
import ipaddress
import secrets
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import uvloop

from rookery.host.instances import namespace
from rookery.host.services.metadata.server import MetadataServer, serve
from rookery.host.services.metadata.shares import Limits
from rookery.host.services.view import View
from rookery.intent.host import InstanceIntent
from tests.services.metadata.plan import KEY, A, B, C, address, ipv6_address, view_of

METADATA = "fd00:ec2::254"
CONTAINER = 99  # 10.7.1.99, behind A
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


def run(*words: str, within: float = 30) -> str:
    done = subprocess.run(words, capture_output=True, check=False, text=True, timeout=within)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}{done.stdout}"
    return done.stdout


class Reply(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes


class Wire:
    def __init__(self, prefix: str):
        self.prefix = prefix
        self.services = self.space("services")
        self.container = self.space("container")

    def space(self, name: str) -> str:
        return f"{self.prefix}-{name}"

    def guest(self, who: InstanceIntent) -> str:
        return self.space(who.id)

    def listener(self) -> socket.socket:
        """A socket as the services' process makes it."""
        with namespace.inside(self.services):
            made = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((METADATA, 80))
        return made

    def connect(self, space: str, source: str = "", within: float = 10) -> socket.socket:
        """From a namespace, to the service. Raises OSError."""
        with namespace.inside(space):
            made = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
        try:
            made.settimeout(within)
            if source:
                made.bind((source, 0))
            made.connect((METADATA, 80))
        except OSError:
            made.close()
            raise
        return made

    @contextmanager
    def connection(
        self, who: InstanceIntent, space: str = "", source: str = "", within: float = 10
    ) -> Iterator[http.client.HTTPConnection]:
        """Of `who`, or of a namespace behind it."""
        made = http.client.HTTPConnection(METADATA)
        made.sock = self.connect(space or self.guest(who), source or address(who), within)
        made.auto_open = 0
        try:
            yield made
        finally:
            made.close()

    def ask(
        self, who: InstanceIntent, path: str, method: str = "GET", source: str = "", **headers: str
    ) -> Reply:
        with self.connection(who, source=source) as connection:
            return ask_on(connection, path, method, **headers)


def ask_on(connection: http.client.HTTPConnection, path: str, method: str = "GET", **headers: str) -> Reply:
    connection.request(
        method, path, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )
    found = connection.getresponse()
    return Reply(found.status, found.headers, found.read())


def token_on(connection: http.client.HTTPConnection, seconds: int = 60) -> str:
    made = ask_on(connection, "/latest/api/token", "PUT", X_aws_ec2_metadata_token_ttl_seconds=str(seconds))
    assert made.status == 200
    return made.body.decode()


@contextmanager
def laid() -> Iterator[Wire]:
    wire = Wire(f"imds{secrets.token_hex(3)}")
    spaces = [wire.services, wire.container, *(wire.guest(who) for who in (A, B, C))]
    try:
        for space in spaces:
            run("ip", "netns", "add", space)
            run("ip", "-netns", space, "link", "set", "lo", "up")
        run("ip", "-netns", wire.services, "address", "add", f"{METADATA}/128", "dev", "lo", "nodad")
        for who in (A, B, C):
            _join(wire, who)
        _join_container(wire)
        yield wire
    finally:
        for space in spaces:
            subprocess.run(("ip", "netns", "delete", space), capture_output=True, check=False)


def _pair(left: tuple[str, str], right: tuple[str, str]) -> None:
    """(namespace, device), each up, at fe80::1 and fe80::2."""
    run("ip", "-netns", left[0], "link", "add", left[1], "type", "veth", "peer", right[1], "netns", right[0])
    for (space, device), last in ((left, 1), (right, 2)):
        run("ip", "-netns", space, "link", "set", device, "addrgenmode", "none")
        run("ip", "-netns", space, "link", "set", device, "up")
        run("ip", "-netns", space, "address", "add", f"fe80::{last}/64", "dev", device, "nodad")


def _join(wire: Wire, who: InstanceIntent) -> None:
    """All that comes from an interface has its /64: struct caller."""
    guest, device = wire.guest(who), f"v{who.interfaces[0].number}"
    _pair((wire.services, device), (guest, "eth0"))
    for source in (address(who), ipv6_address(who)):
        run("ip", "-netns", guest, "address", "add", f"{source}/128", "dev", "eth0", "nodad")
        block = str(ipaddress.ip_network(f"{source}/64", strict=False))
        run("ip", "-netns", wire.services, "-6", "route", "add", block, "via", "fe80::2", "dev", device)
    run(
        "ip",
        "-netns",
        guest,
        "-6",
        "route",
        "add",
        METADATA,
        "via",
        "fe80::1",
        "dev",
        "eth0",
        "src",
        address(who),
    )


def _join_container(wire: Wire) -> None:
    source = address(A, CONTAINER)
    _pair((wire.guest(A), "c0"), (wire.container, "eth0"))
    run("ip", "netns", "exec", wire.guest(A), "sysctl", "-qw", "net.ipv6.conf.all.forwarding=1")
    run("ip", "-netns", wire.guest(A), "-6", "route", "add", source, "via", "fe80::2", "dev", "c0")
    run("ip", "-netns", wire.container, "address", "add", f"{source}/128", "dev", "eth0", "nodad")
    run("ip", "-netns", wire.container, "-6", "route", "add", METADATA, "via", "fe80::1", "dev", "eth0")


class Served:
    """The service in a thread with a loop of its own. `view` is changed by the test, between questions."""

    def __init__(self, wire: Wire, loop: str, limits: Limits):
        self.view: View = view_of(A, B, C)
        self.loop = LOOPS[loop]()
        self.faults: list[dict[str, Any]] = []
        self.loop.set_exception_handler(lambda _, context: self.faults.append(context))
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()
        self._server: MetadataServer = self._within(serve([wire.listener()], self.view, KEY, limits))

    def change(self, *instances: InstanceIntent) -> None:
        """As the agent's feed does it: in the loop."""
        self._within(self._change(instances))

    async def _change(self, instances: tuple[InstanceIntent, ...]) -> None:
        self.view.change(instances, (), (), ())

    def delete(self, *identities: str) -> None:
        async def gone() -> None:
            self.view.change((), identities, (), ())

        self._within(gone())

    def close(self) -> None:
        self._within(self._end())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    async def _end(self) -> None:
        self._server.close()
        await self._server.wait_closed()

    def _within(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)


@contextmanager
def served(wire: Wire, loop: str = "asyncio", **limits: float) -> Iterator[Served]:
    """Fails the test when a connection's fault reached the loop."""
    made = Served(wire, loop, Limits(**limits))
    try:
        yield made
    finally:
        made.close()
    assert made.faults == []
