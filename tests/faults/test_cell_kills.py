"""Nodes of a cell die fifty times, one after the other, under a thousand held connections: none breaks, and the largest gap is short.

    ROOKERY_FAULTS=whole python -m pytest -n0 -s tests/faults/test_cell_kills.py       under five minutes, on an idle machine

The gap is the longest silence of numbered datagrams, one each five milliseconds: there and back, by a NAT gateway and by a balancer."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable
from contextlib import closing

import pytest

from rookery.testing.cell_deaths import DEATHS
from rookery.testing.cell_load import CellLoad
from tests.faults.cell_scene import OBSERVED, cell_scene, observed
from tests.faults.dying import die
from tests.faults.size import IS_WHOLE, only_if_asked

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1800), only_if_asked]

HELD = 1000
KILLS = 50 if IS_WHOLE else 6
LARGEST = 0.3  # seconds; asked of an idle machine only


def of(kills: int) -> list[tuple[str, str]]:
    """Ways to die and nodes, in turn: each node dies in each way."""
    nodes = [f"node-{n + 1}" for n in range(4)]
    pairs = [(how, nodes[(n + turn) % 4]) for turn in range(4) for n, how in enumerate(DEATHS)]
    return list(itertools.islice(itertools.cycle(pairs), kills))


def shown(gaps: list[float]) -> str:
    return f"p50 {1000 * statistics.median(gaps):.0f} ms, largest {1000 * max(gaps):.0f} ms of {len(gaps)}"


def test_fifty_nodes_die_and_the_largest_gap_is_short(record_property: Callable[..., None]):
    gaps: dict[str, list[float]] = {how: [] for how in DEATHS}
    with cell_scene() as scene, closing(CellLoad(scene.wren, scene.owl, held=HELD, every=2.0, flows=2, rate=20)) as load:
        for how, node in of(KILLS):
            gaps[how].append(die(scene, load, how, node))
        broken, visited = load.broken(), load.visited()
        history = scene.finish_history()
    taken = [gap for each in gaps.values() for gap in each]
    told = {"all": shown(taken)} | {how: shown(each) for how, each in gaps.items()}
    record_property("without a way", told)
    print("", *(f"without a way, {how}: {words}" for how, words in told.items()), sep="\n")
    print(observed(history))
    assert history.observed() > OBSERVED, observed(history)
    assert history.broken == [], history.told()
    assert max(broken.values()) == 0
    assert not any(one["failed"] for one in visited.values())
    assert not IS_WHOLE or max(taken) <= LARGEST, f"the largest gap, on a machine that had to be idle: {told['all']}"
