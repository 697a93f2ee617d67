"""How a process begins and ends that reads a region's store and its cells' objects, and is no node: the controller, and who collects
metrics."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from rookery.ending import until_told
from rookery.hyperplane.object_store import ObjectStore, opened
from rookery.log import log_to_stderr
from rookery.model.defaults import INSTANCE_MTU
from rookery.store.interface import Store, StoreUnavailable
from rookery.store.sqlite import opened as opened_store

Work = Callable[[argparse.Namespace, Store, ObjectStore], Coroutine[Any, Any, None]]


def options(program: str, what: str) -> argparse.ArgumentParser:
    """Those that all have."""
    parser = argparse.ArgumentParser(prog=f"python -m {program}", description=what)
    parser.add_argument("--name", required=True, help="of the Rookery region")
    parser.add_argument("--database", required=True, type=Path, help="of the store")
    parser.add_argument("--objects", required=True, help="object store: a folder, or s3://bucket/prefix")
    parser.add_argument("--mtu", type=int, default=INSTANCE_MTU, help="of instances")
    return parser


def begin(
    parser: argparse.ArgumentParser, work: Work, log: logging.Logger, farewell: str, *, refusals: tuple[type[Exception], ...] = ()
) -> int:
    """The main of such a program; what to exit with. `refusals`: what is told in a sentence beside a store that cannot be opened."""
    arguments = parser.parse_args()
    log_to_stderr(region_name=arguments.name)
    told: tuple[type[Exception], ...] = (StoreUnavailable, OSError, ValueError, *refusals)
    try:
        asyncio.run(until_told(_with_stores(arguments, work), log, farewell))
    except told as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1
    return 0


async def _with_stores(arguments: argparse.Namespace, work: Work) -> None:
    async with opened_store(arguments.database) as store:
        await work(arguments, store, opened(arguments.objects))
