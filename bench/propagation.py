"""From a commit in the store to every host: how long a change of a mapping takes, and how long a host takes to join.

    python -m bench.propagation [--quick] [--json]

The mapping service is the real process, its store on this machine's disk; the hosts are the real client over TLS on
loopback, without a kernel behind it, some to a process. Times are from before the commit, disk included, until the host has
the change in its intent and has said so.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import uvloop

from rookery.host.config import HostConfig
from rookery.mapping.authority import issue, make_authority
from rookery.mapping.certificates import HOST, MAPPING, identity_of
from rookery.mapping.client import Subscription
from rookery.store.sqlite import SqliteStore
from rookery.testing.mapping_world import host_config
from rookery.testing.things import hosts, launch, rows, subnet, vpc

REGION = "bench"
SPAWN = get_context("spawn")
JOINED_MAPPINGS = 100_000
JOINED_HOSTS = 200
PER_SUBNET = 250
PER_TRANSACTION = 1_000


class Region:
    """A store, the service's process, and configurations of `count` hosts, each with one instance of VPC 1."""

    def __init__(self, directory: Path, count: int):
        self.names = [host.name for host in hosts(count)]
        self._directory = directory
        self._certificates = directory / "certificates"
        self._service: subprocess.Popen | None = None
        make_authority(self._certificates, REGION)
        issue(self._certificates, MAPPING)
        self.store = SqliteStore.open(directory / "store.db")
        self.port = 0

    async def fill(self) -> None:
        instances = [x for n, name in enumerate(self.names) for x in launch(1, 0, n, name)]
        await self.store.txn(
            [], rows(*hosts(len(self.names)), *vpc(1), subnet(1, 0), subnet(1, 1), *instances)
        )

    async def fill_with_mappings(self, count: int) -> None:
        """Half in VPC 2 and half in VPC 3, on all hosts but the first, which has one instance in each."""
        for v in (2, 3):
            await self.store.txn([], rows(*vpc(v), *[subnet(v, s) for s in range(256)]))
            for first in range(0, count // 2, PER_TRANSACTION):
                numbers = range(first, min(first + PER_TRANSACTION, count // 2))
                await self.store.txn([], rows(*[x for n in numbers for x in self._one_of_many(v, n)]))
            await self.store.txn([], rows(*launch(v, 255, 1, self.names[0])))

    def _one_of_many(self, v: int, n: int) -> Any:
        host = self.names[1 + n % (len(self.names) - 1)]
        return launch(v, n // PER_SUBNET, n % PER_SUBNET, host)

    def config(self, name: str) -> HostConfig:
        identity = issue(self._certificates, HOST, name)
        return host_config(self._directory, name, self.port, identity, REGION)

    @contextlib.contextmanager
    def serving(self) -> Iterator[int]:
        self.port = free_port()
        files = identity_of(self._certificates, MAPPING)
        options = {
            "--name": REGION,
            "--database": str(self._directory / "store.db"),
            "--listen": f"127.0.0.1:{self.port}",
            "--ca": str(files.authority),
            "--certificate": str(files.certificate),
            "--key": str(files.key),
        }
        words = [word for option in options.items() for word in option]
        command = [sys.executable, "-m", "rookery.mapping", *words]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as service:
            try:
                if not service.stdout or service.stdout.readline() != "ready\n":
                    raise SystemExit((self._directory / "mapping.log").read_text())
                yield service.pid
            finally:
                service.terminate()


def free_port() -> int:
    import socket  # noqa: PLC0415 - only here

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def subscribe(configs: list[HostConfig], pipe: Connection) -> None:
    """A process of hosts: says when all have their snapshot; asked, tells when each had which generation."""
    uvloop.run(_subscribe(configs, pipe))


async def _subscribe(configs: list[HostConfig], pipe: Connection) -> None:
    seen: dict[str, list[tuple[int, float]]] = {config.name: [] for config in configs}
    asked = asyncio.Event()
    asyncio.get_running_loop().add_reader(pipe.fileno(), asked.set)
    tasks = [asyncio.create_task(_follow(config, seen[config.name])) for config in configs]
    while not all(seen.values()):
        await asyncio.sleep(0.01)
    pipe.send("ready")
    await asked.wait()
    pipe.send((seen, resident_megabytes("self")))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _follow(config: HostConfig, seen: list[tuple[int, float]]) -> None:
    async with Subscription(config.region_name, config.mapping_service, config.identity) as subscription:
        async for update in subscription:
            subscription.applied(update.intent.generation)
            seen.append((update.intent.generation, time.monotonic()))


@contextlib.asynccontextmanager
async def subscribed(region: Region, names: list[str], processes: int) -> AsyncIterator[list[Connection]]:
    """Leaves when the caller has taken their answers."""
    pipes, children = [], []
    for n in range(processes):
        here, there = SPAWN.Pipe()
        configs = [region.config(name) for name in names[n::processes]]
        children.append(SPAWN.Process(target=subscribe, args=(configs, there), daemon=True))
        children[-1].start()
        pipes.append(here)
    try:
        for pipe in pipes:
            assert await asyncio.to_thread(pipe.recv) == "ready"
        yield pipes
    finally:
        for child in children:
            child.join(10)
            child.kill()


async def change_by_change(count: int, processes: int, changes: int, pause: float) -> dict[str, float]:
    """Launches one instance after the other; every host holds the VPC and must hear of each."""
    with tempfile.TemporaryDirectory() as directory:
        region = Region(Path(directory), count)
        await region.fill()
        with region.serving():
            async with subscribed(region, region.names, processes) as pipes:
                started = await _commit(region, changes, pause)
                told = await _ask(pipes)
        await region.store.close()
    return _latencies(started, {name: seen for seen_by, _ in told for name, seen in seen_by.items()})


async def _commit(region: Region, changes: int, pause: float) -> dict[int, float]:
    started = {}
    for n in range(changes):
        puts = rows(*launch(1, 1, n, region.names[n % len(region.names)]))
        before = time.monotonic()
        started[await region.store.txn([], puts)] = before
        await asyncio.sleep(pause)
    await asyncio.sleep(1.0)
    return started


async def _ask(pipes: list[Connection]) -> list:
    for pipe in pipes:
        pipe.send("how was it?")
    return [await asyncio.to_thread(pipe.recv) for pipe in pipes]


def _latencies(started: dict[int, float], seen: dict[str, list[tuple[int, float]]]) -> dict[str, float]:
    """`slowest`: until the last host has the change. Fails when a change has not reached everybody."""
    each, slowest = [], []
    for revision, before in started.items():
        arrived = [
            next(at for generation, at in log if generation >= revision) - before for log in seen.values()
        ]
        each += arrived
        slowest.append(max(arrived))
    return {
        "hosts": len(seen),
        "changes": len(started),
        "p50_ms": _percentile(each, 0.50),
        "p99_ms": _percentile(each, 0.99),
        "slowest_host_p50_ms": _percentile(slowest, 0.50),
        "slowest_host_p99_ms": _percentile(slowest, 0.99),
    }


def _percentile(seconds: list[float], share: float) -> float:
    return round(sorted(seconds)[int(len(seconds) * share)] * 1000, 2)


async def join(mappings: int) -> dict[str, float]:
    """A host with an instance in each of two VPCs, which have so many addresses together, connects."""
    with tempfile.TemporaryDirectory() as directory:
        region = Region(Path(directory), JOINED_HOSTS)
        await region.fill()
        await region.fill_with_mappings(mappings)
        started = time.monotonic()
        with region.serving() as service:
            loaded = time.monotonic()
            joined, told = await _join_one(region)
            found = {
                "mappings": mappings,
                "service_start_s": round(loaded - started, 2),
                "join_s": round(joined, 2),
                "service_mb": resident_megabytes(service),
                "host_mb": told,
            }
        await region.store.close()
    return found


async def _join_one(region: Region) -> tuple[float, float]:
    """Seconds from connecting until the intent is complete, and the host's memory in MB."""
    here, there = SPAWN.Pipe()
    child = SPAWN.Process(target=join_alone, args=(region.config("host-1"), there), daemon=True)
    child.start()
    answer = await asyncio.to_thread(here.recv)
    child.join(10)
    return answer


def join_alone(config: HostConfig, pipe: Connection) -> None:
    async def whole() -> None:
        started = time.monotonic()
        async with Subscription(config.region_name, config.mapping_service, config.identity) as subscription:
            await anext(aiter(subscription))
            pipe.send((time.monotonic() - started, resident_megabytes("self")))

    uvloop.run(whole())


def resident_megabytes(pid: int | str) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return round(pages * 4096 / 1e6, 1)


async def measure(quick: bool) -> dict[str, dict[str, float]]:
    return {
        "4 hosts": await change_by_change(4, 2, 20 if quick else 200, 0.02),
        "200 subscribers": await change_by_change(20 if quick else 200, 2, 5 if quick else 40, 0.25),
        "join": await join(2_000 if quick else JOINED_MAPPINGS),
    }


def table(found: dict[str, dict[str, float]]) -> str:
    return "\n\n".join(
        f"| {name} | |\n|---|---|\n" + "\n".join(f"| {word} | {value} |" for word, value in row.items())
        for name, row in found.items()
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few changes: does it run?")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found = asyncio.run(measure(arguments.quick))
    print(json.dumps(found, indent=1) if arguments.json else table(found))


if __name__ == "__main__":
    main()
