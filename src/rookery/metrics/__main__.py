"""python -m rookery.metrics --name dev --database PATH --objects WHERE --series PATH"""

from __future__ import annotations

import argparse
import logging
import sys
from contextlib import closing
from pathlib import Path

from rookery.hyperplane.beside_cells import begin, options
from rookery.hyperplane.object_store import ObjectStore
from rookery.metrics.collector import Collector
from rookery.metrics.series import Series, SeriesAway
from rookery.store.interface import Store

log = logging.getLogger("rookery.metrics")


def main() -> int:
    what = options("rookery.metrics", "Makes metrics of what nodes of cells count.")
    what.add_argument("--series", required=True, type=Path, help="the file of metrics; made if missing")
    return begin(what, _run, log, "told to end; nodes go on counting", refusals=(SeriesAway,))


async def _run(arguments: argparse.Namespace, store: Store, objects: ObjectStore) -> None:
    with closing(Series.open(arguments.series)) as series:
        await Collector(store, objects, series, arguments.mtu).run()


if __name__ == "__main__":
    sys.exit(main())
