"""What tests that break a region share: parts to kill or to freeze, and traffic that counts what it lost."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from rookery.region import processes, supervisor
from rookery.region.errors import RegionError
from rookery.region.inside import entering
from rookery.region.layout import Layout
from rookery.region.processes import Process
from rookery.store.interface import Entry
from rookery.store.sqlite import SqliteStore
from tests import waiting
from tests.executing import execute

FLOW = Path(__file__).with_name("flow.py").read_text()


until = partial(waiting.until, within=30.0)  # as long as a killed part may take to be back


def ping(region: Any, source: str = "red-1", address: str = "10.0.2.10") -> bool:
    try:
        return execute(region.name, source, "ping", "-c1", "-W1", address).returncode == 0
    except RegionError:  # its agent does not answer yet
        return False


def part(region: Any, name: str) -> supervisor.PartRecord:
    return next(record for record in supervisor.read_records(Layout(region.name)) if record.name == name)


def process_of(region: Any, name: str) -> Process:
    """Of a part, or of the supervisor."""
    if name == "supervisor":
        found = supervisor.running(Layout(region.name))
        assert found is not None
        return found
    record = part(region, name)
    return Process(record.pid, record.started)


def kill(region: Any, name: str) -> Process:
    victim = process_of(region, name)
    processes.send(victim, signal.SIGKILL)
    return victim


def everything(region: Any) -> list[Process]:
    """The supervisor first, then the parts."""
    names = [record.name for record in supervisor.read_records(Layout(region.name)) if record.pid]
    return [process_of(region, name) for name in ("supervisor", *names)]


@contextmanager
def frozen(region: Any, name: str) -> Iterator[Process]:
    """It lives, and does nothing until the block ends."""
    victim = process_of(region, name)
    processes.send(victim, signal.SIGSTOP)
    try:
        yield victim
    finally:
        processes.send(victim, signal.SIGCONT)


class Program:
    """Something that runs inside an instance, and what it says."""

    def __init__(self, region: Any, instance: str, *command: str):
        enter, environment = entering(region.name, instance, list(command))
        self._process = subprocess.Popen(
            enter, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def wait_line(self, word: str) -> str:
        """The next line with this word. Fails when it ends before."""
        for line in self.lines():
            if word in line:
                return line
        raise AssertionError(f"it ended with {self._process.wait()} before it said {word!r}")

    def lines(self) -> Iterator[str]:
        assert self._process.stdout is not None
        return iter(self._process.stdout)

    def interrupt(self) -> None:
        """Not nsenter, which forks to enter the pid namespace and passes no SIGINT on."""
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        for pid in children or [self._process.pid]:
            os.kill(int(pid), signal.SIGINT)

    def hang_up(self) -> None:
        """Closes its stdin."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def end(self) -> int:
        """The exit code, within ten seconds."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            return self._process.wait(10)
        finally:
            self._process.kill()


class Pinging:
    """Pings from one instance to an address until told to end; then how many were lost."""

    def __init__(self, region: Any, source: str = "red-1", address: str = "10.0.2.10", every: float = 0.005):
        self._every, self._began = every, time.monotonic()
        self._ping = Program(region, source, "ping", "-n", f"-i{every}", address)
        self._last = self._answered(self._ping.wait_line("bytes from"))
        self._summary = ""
        self._reader = threading.Thread(target=self._read, daemon=True)  # or a full pipe would hold ping up
        self._reader.start()

    def _read(self) -> None:
        for line in self._ping.lines():
            if "bytes from" in line:
                self._last = self._answered(line)
            elif "packets transmitted" in line:
                self._summary = line

    @staticmethod
    def _answered(line: str) -> int:
        return int(line.partition("icmp_seq=")[2].split()[0])

    def lost(self) -> int:
        """The very last may still be on its way, and does not count. Fails when hardly any were sent."""
        lasted = time.monotonic() - self._began
        self._ping.interrupt()
        self._reader.join(10)
        sent, received = (int(words.split()[0]) for words in self._summary.split(",")[:2])
        self._ping.end()
        assert sent > lasted / self._every / 4, f"{sent} in {lasted:.1f} s"
        on_its_way = received < sent and (self._last + 1) % 65536 == sent % 65536  # 16 bits number them
        return sent - received - on_its_way


class Flow:
    """A TCP connection whose receiver checks the sum of every block (flow.py), until told to end."""

    def __init__(self, region: Any, source: str, destination: str, address: str, port: int = 7000):
        self._receiver = Program(region, destination, "python3", "-c", FLOW, "receive", str(port))
        self._receiver.wait_line("listening")
        self._sender = Program(region, source, "python3", "-c", FLOW, "send", address, str(port))

    def blocks(self) -> int:
        """Ends it; how many blocks arrived, all in order and whole. Fails when the connection broke."""
        self._sender.hang_up()
        sent = int(self._sender.wait_line("sent").split()[1])
        received = int(self._receiver.wait_line("received").split()[1])
        assert (self._sender.end(), self._receiver.end()) == (0, 0)
        assert sent == received
        return received


def stored(region: Any) -> list[Entry]:
    """Everything in the region's store."""

    async def read() -> list[Entry]:
        store = SqliteStore.open(Layout(region.name).database)
        try:
            return (await store.range("")).entries
        finally:
            await store.close()

    return asyncio.run(read())
