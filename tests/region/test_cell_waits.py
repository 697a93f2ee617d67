"""When does a command that waits for a node go on? Reports lie in a folder; nobody runs."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rookery.hyperplane.object_store import report_key
from rookery.hyperplane.report import NodeReport, encode
from rookery.region import cells
from rookery.region.errors import RegionError
from rookery.region.layout import CELL

NODE = "node-4"


@pytest.fixture
def shape(tmp_path: Path) -> Any:
    return SimpleNamespace(layout=SimpleNamespace(objects=tmp_path))


def report(shape: Any, rate: float, later: float, node: str = NODE) -> None:
    path = shape.layout.objects / report_key(CELL, node)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode(NodeReport(node=node, time=time.time() + later, rate=rate)))


@pytest.mark.parametrize(("rate", "later", "idle"), [(0.0, 3.0, True), (0.5, 3.0, False), (0.0, 1.0, False), (0.0, -9.0, False)])
def test_a_node_is_idle_when_it_sent_nothing_in_a_whole_tick_that_began_later(shape: Any, rate: float, later: float, idle: bool):
    report(shape, rate, later)
    assert cells._idle(shape, CELL, {NODE}, time.time()) == idle


def test_who_has_never_reported_is_not_idle(shape: Any):
    report(shape, 0.0, 3.0)
    assert not cells._idle(shape, CELL, {NODE, "node-5"}, time.time())


def test_who_waits_for_a_node_that_stays_busy_is_told_so(shape: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cells, "PATIENCE", 0.0)
    report(shape, 9.0, 3.0)
    told: list[str] = []
    with pytest.raises(RegionError, match="packets still pass through node-4"):
        cells.wait_idle(shape, CELL, {NODE}, told.append)
    assert told == ["waiting until no packet passes through node-4 any more"]
