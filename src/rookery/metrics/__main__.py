"""python -m rookery.metrics --name dev --database PATH --objects WHERE --series PATH"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from contextlib import closing
from pathlib import Path

from rookery.ending import until_told
from rookery.hyperplane.object_store import opened
from rookery.log import log_to_stderr
from rookery.metrics.collector import Collector
from rookery.metrics.series import Series, SeriesAway
from rookery.model.defaults import INSTANCE_MTU
from rookery.store.interface import StoreUnavailable
from rookery.store.sqlite import opened as opened_store

log = logging.getLogger("rookery.metrics")


def main() -> int:
    arguments = _arguments()
    log_to_stderr(region_name=arguments.name)
    try:
        asyncio.run(until_told(_run(arguments), log, "told to end; nodes go on counting"))
    except (StoreUnavailable, SeriesAway, OSError, ValueError) as error:
        print(f"metrics cannot be collected: {error}", file=sys.stderr)
        return 1
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m rookery.metrics", description="Makes metrics of what nodes of cells count.")
    parser.add_argument("--name", required=True, help="of the Rookery region")
    parser.add_argument("--database", required=True, type=Path, help="of the store")
    parser.add_argument("--objects", required=True, help="object store: a folder, or s3://bucket/prefix")
    parser.add_argument("--series", required=True, type=Path, help="the file of metrics; made if missing")
    parser.add_argument("--mtu", type=int, default=INSTANCE_MTU, help="of instances")
    return parser.parse_args()


async def _run(arguments: argparse.Namespace) -> None:
    async with opened_store(arguments.database) as store:
        with closing(Series.open(arguments.series)) as series:
            await Collector(store, opened(arguments.objects), series, arguments.mtu).run()


if __name__ == "__main__":
    sys.exit(main())
