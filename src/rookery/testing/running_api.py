"""The real API on a free loopback port, in a thread of this process: what tests and benchmarks point boto3 at."""

from __future__ import annotations

import asyncio
import secrets
import socket
import threading
from collections.abc import Coroutine
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import uvicorn
import uvloop

from rookery.api.credentials import add_key
from rookery.api.server import ServerSettings, make_application, uvicorn_config
from rookery.model.codec import decode, encode, kind_of
from rookery.model.keys import (
    CELLS,
    INTENDED,
    LIVE,
    cell_key,
    cell_status_key,
    host_key,
    instance_status_key,
    pool_key,
)
from rookery.model.objects import (
    AddressPool,
    Cell,
    CellStatus,
    Host,
    Instance,
    InstanceStatus,
    Live,
)
from rookery.region.layout import DEFAULT_ACCOUNT, DEFAULT_AWS_REGION, host_address, host_name
from rookery.store.interface import Store

T = TypeVar("T")

ACCESS_KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
START_SECONDS = 10


class RunningApi:
    """A context. The store is the caller's; the API closes it at the end."""

    def __init__(self, store: Store, sealing_key: bytes | None = None, **settings: Any):
        self.store = store
        self._sealing_key = sealing_key or secrets.token_bytes(32)
        chosen = ServerSettings(name="test", database=Path("unused"), sealing_key=Path("unused"), **settings)
        # Named TCP: event loops switch Nagle's delay off only where the protocol is said.
        self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen()
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = threading.Event()
        app = make_application(chosen, store, self._sealing_key)
        self._server = uvicorn.Server(uvicorn_config(app, self.port))
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> RunningApi:
        self._thread.start()
        if not self._ready.wait(START_SECONDS):
            raise RuntimeError("the API did not start")
        self.add_key(ACCESS_KEY, SECRET)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join(START_SECONDS)
        self._listener.close()

    def _serve(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._main())

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.call_soon(self._ready.set)
        await self._server.serve([self._listener])

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """In the API's loop: store calls of a test."""
        if self._loop is None:
            raise RuntimeError("the API does not run")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def client(
        self,
        service: str = "ec2",
        region: str = DEFAULT_AWS_REGION,
        access_key: str = ACCESS_KEY,
        secret: str = SECRET,
        **more: Any,
    ) -> Any:
        """A boto3 client that never retries."""
        from botocore.config import Config  # noqa: PLC0415

        return _session().client(
            service,
            region_name=region,
            endpoint_url=self.url,
            aws_access_key_id=access_key,
            aws_secret_access_key=secret,
            config=Config(retries={"max_attempts": 0}, **more),
        )

    def add_key(self, access_key: str, secret: str, account: str = DEFAULT_ACCOUNT) -> None:
        self.run(add_key(self.store, self._sealing_key, access_key, secret, account))

    def add_hosts(self, zones: tuple[int, ...] = (0, 0, 1, 1)) -> list[Host]:
        """One host for each zone number given."""
        hosts = [
            Host(name=host_name(index), zone=zone, address=host_address(zone, index))
            for index, zone in enumerate(zones)
        ]
        self.run(self.store.txn([], {host_key(host.name): encode(host) for host in hosts}))
        return hosts

    def add_pool(self, cidr: str = "198.18.0.0/24") -> None:
        """Of public addresses."""
        self.run(self.store.txn([], {pool_key(cidr): encode(AddressPool(cidr=cidr))}))

    def add_cells(self, zones: tuple[int, ...] = (0, 1), nodes: int = 4) -> list[Cell]:
        """One cell for each zone number given."""
        cells = [
            Cell(name=f"cell-{zone}", zones=(zone,), nodes=tuple(f"node-{zone}-{n}" for n in range(nodes)))
            for zone in zones
        ]
        self.run(self.store.txn([], {cell_key(cell.name): encode(cell) for cell in cells}))
        return cells

    def cells_obey(self) -> None:
        """What cells would report: their nodes work by the state as it is."""
        found = self.run(self.store.range(CELLS))
        statuses = {
            cell_status_key(cell.name): encode(
                CellStatus(name=cell.name, epoch=found.revision, generation=found.revision)
            )
            for cell in (decode(Cell, entry.value) for entry in found.entries)
        }
        if statuses:
            self.run(self.store.txn([], statuses))

    def hosts_obey(self) -> None:
        """What hosts would report: every instance is what it is wanted to be, and every host knows of it."""
        found = self.run(self.store.range(INTENDED))
        instances = [decode(Instance, e.value) for e in found.entries if kind_of(e.key) == Instance.KIND]
        statuses = {
            instance_status_key(each.id): encode(
                InstanceStatus(id=each.id, state=each.wanted, boot=each.boot, since=each.wanted_since)
            )
            for each in instances
        }
        self.run(self.store.txn([], statuses))
        self.cells_obey()
        self.hosts_have_applied(found.revision)

    def hosts_have_applied(self, generation: int) -> None:
        """What the mapping service says when every host has this generation."""
        self.run(self.store.txn([], {LIVE: encode(Live(generation=generation))}))


@cache
def _session() -> Any:
    """Keeps EC2's model, which takes a client a quarter of a second to load. boto3 is a dependency of tests only."""
    import boto3  # noqa: PLC0415

    return boto3.session.Session()
