"""A node of a cell dies under load, and is back: how long its ways were gone."""

from __future__ import annotations

import time

from rookery.testing import cell_flows
from rookery.testing.cell_deaths import DEATHS, revive
from rookery.testing.cell_load import CellLoad
from tests.faults.cell_scene import Scene
from tests.faults.harm import until

BACK = 60.0  # seconds in which who died is in use again


def progress(what: str) -> None:
    """To who waits for an hour."""
    print(f"\n{time.strftime('%T')} {what}", end="", flush=True)


def told(scene: Scene, load: CellLoad) -> str:
    failed = sum(one["failed"] for one in load.visited().values())
    return f"{len(scene.history.broken)} times a rule was broken, {failed} visits failed, {100 * scene.history.observed():.3f} % observed"


def wait_in_use(scene: Scene, *nodes: str) -> None:
    until(lambda: all(map(scene.cell.is_in_use, nodes)), f"{nodes} are in use", within=BACK)


def wait_refilled(scene: Scene, load: CellLoad, node: str) -> None:
    """A node knows again what it is to keep: each connection has two directions, and two of four nodes for each."""
    region = scene.region.name
    until(lambda: cell_flows.live(region, node) > load.held, lambda: f"{node} knows only {cell_flows.live(region, node)} flows", within=BACK)


def wait_let_in(load: CellLoad) -> None:
    """Who lost a handshake's packet with the one that died has knocked again. Should the one that decided for it die before, those were two faults."""
    began = time.monotonic()

    def longest() -> float:
        return max((one["knocks"] for one in load.visited().values()), default=0.0)

    until(lambda: longest() < time.monotonic() - began, "visits that had begun are let in")


def die(scene: Scene, load: CellLoad, how: str, node: str) -> float:
    """How long datagrams were silent."""
    load.settle()
    DEATHS[how](scene.region.name, node)
    until(lambda: scene.cell.is_left(node), f"everybody leaves {node}")
    gap = max(load.silence().values())
    revive(scene.region.name, node)
    wait_in_use(scene, node)
    wait_refilled(scene, load, node)
    wait_let_in(load)
    scene.hear()
    progress(f"{how} of {node}: without a way for {1000 * gap:.0f} ms; {told(scene, load)}")
    return gap


def begin_anew(scene: Scene, load: CellLoad, node: str) -> None:
    """It dies, and comes without a memory."""
    DEATHS["memory"](scene.region.name, node)
    until(lambda: scene.cell.is_left(node), f"everybody leaves {node}")
    wait_in_use(scene, node)
    wait_refilled(scene, load, node)
    wait_let_in(load)
    scene.hear()
    progress(f"{node} died and knows all again; {told(scene, load)}")
