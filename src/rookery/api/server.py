"""The API as a process: one worker on the loopback address, ended by SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import uvicorn
from starlette.applications import Starlette

from rookery.api import handlers
from rookery.api.credentials import create_sealing_key
from rookery.api.front import Front
from rookery.api.housekeeper import keep_house_forever
from rookery.api.http import application
from rookery.api.metrics_file import MetricsFile
from rookery.api.quotas import Quotas
from rookery.api.scrape import Scrape, scrape_token
from rookery.api.state import State
from rookery.api.wire.service import service
from rookery.log import log_to_stderr
from rookery.model.defaults import API_PORT, INSTANCE_MTU
from rookery.store.interface import Store
from rookery.store.sqlite import SqliteStore

ADDRESS = "127.0.0.1"  # never another: the API of one machine is for its own users
GRACE_SECONDS = 5
# Longer than clients keep a connection that nobody uses (Go's, 90 seconds): who is the first to close one loses no request. What was sent
# while the server closes gets no answer, and its sender cannot know whether it was done: a second attempt is told that its rule is there already.
KEEP_ALIVE_SECONDS = 120


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How the region's supervisor starts the API."""

    name: str  # the Rookery region
    database: Path
    sealing_key: Path
    port: int = API_PORT
    mtu: int = INSTANCE_MTU
    quotas: Quotas = Quotas()
    series: Path | None = None  # the file of metrics; None: nobody measures anything
    scrape_token: Path | None = None  # what Prometheus shows; None: it is told nothing


def serve(settings: ServerSettings) -> None:
    """Until SIGTERM or SIGINT. Raises SealingKeyError, StoreUnavailable; SystemExit when the port is taken."""
    log_to_stderr(region_name=settings.name)
    logging.getLogger("uvicorn").handlers = []
    store = SqliteStore.open(settings.database)
    app = make_application(settings, store, create_sealing_key(settings.sealing_key))
    uvicorn.Server(uvicorn_config(app, settings.port)).run()


def uvicorn_config(app: Starlette, port: int, **more: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=ADDRESS,
        port=port,
        loop="uvloop",
        http="httptools",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=True,
        timeout_graceful_shutdown=GRACE_SECONDS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        **more,
    )


def make_application(settings: ServerSettings, store: Store, sealing_key: bytes) -> Starlette:
    """Closes the store when it ends."""
    handlers.load()
    state = State(store, settings.mtu)
    metrics = MetricsFile(settings.series)
    front = Front(store, sealing_key, settings.quotas, state=state, metrics=metrics)
    scrape = Scrape(metrics, scrape_token(settings.scrape_token)) if settings.scrape_token else None

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        await state.catch_up()
        service("ec2")
        house = asyncio.create_task(keep_house_forever(store, state, settings.quotas))
        yield
        house.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await house
        await store.close()

    return application(front, lifespan, scrape)
