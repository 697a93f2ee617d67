"""`python -m rookery.mapping`: the process. Says "ready" on stdout when it listens; ends on SIGTERM and SIGINT."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import signal
import sys
from pathlib import Path

import uvloop

from rookery.log import log_to_stderr
from rookery.mapping.certificates import CertificateError, Identity
from rookery.mapping.protocol import PORT
from rookery.mapping.service import Service
from rookery.model.defaults import INSTANCE_MTU
from rookery.store.interface import StoreUnavailable
from rookery.store.sqlite import SqliteStore, opened

HOUSEKEEPING_SECONDS = 60.0

log = logging.getLogger("rookery.mapping")


def main() -> int:
    arguments = _arguments()
    log_to_stderr(region_name=arguments.name)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run(arguments))
    except (CertificateError, StoreUnavailable, OSError) as error:
        print(f"the mapping service cannot start: {error}", file=sys.stderr)
        return 1
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m rookery.mapping", description="Rookery's mapping service"
    )
    parser.add_argument("--name", required=True, help="of the Rookery region")
    parser.add_argument("--database", required=True, type=Path, help="of the store")
    parser.add_argument("--listen", default=f"127.0.0.1:{PORT}", help="ADDRESS:PORT on the substrate")
    parser.add_argument("--ca", required=True, type=Path, help="certificate of the region's authority")
    parser.add_argument("--certificate", required=True, type=Path)
    parser.add_argument("--key", required=True, type=Path)
    parser.add_argument("--mtu", type=int, default=INSTANCE_MTU, help="of instances: largest inner IP packet")
    return parser.parse_args()


async def _run(arguments: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with opened(arguments.database) as store:
        await _serve(arguments, store, stop)


async def _serve(arguments: argparse.Namespace, store: SqliteStore, stop: asyncio.Event) -> None:
    address, _, port = arguments.listen.rpartition(":")
    identity = Identity(arguments.ca, arguments.certificate, arguments.key)
    service = Service(arguments.name, store, arguments.mtu)
    gc.disable()  # reading makes millions of objects and no garbage
    async with service.serving(address, int(port), identity):
        gc.freeze()  # what was read stays: the collector need not go through a million rows again and again
        gc.enable()
        print("ready", flush=True)
        housekeeping = asyncio.create_task(_keep_house(service, store))
        await stop.wait()
        housekeeping.cancel()


async def _keep_house(service: Service, store: SqliteStore) -> None:
    while True:
        await asyncio.sleep(HOUSEKEEPING_SECONDS)
        try:
            service.take_renewed_certificate()
            await store.trim()
            await service.forget_the_gone()
        except (StoreUnavailable, CertificateError) as error:
            log.warning("housekeeping waits: %s", error)


if __name__ == "__main__":
    sys.exit(main())
