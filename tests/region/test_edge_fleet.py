"""When the fleet of edges may not shrink or grow; that it does so without loss is tests/faults/test_edges.py."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from rookery.region import edge_fleet
from rookery.region.errors import CannotStart, StillInUse
from rookery.region.settings import MOST_EDGES, Settings


@contextmanager
def unlocked(_name: str) -> Iterator[None]:
    yield


@pytest.fixture
def region(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A factory: pretends that a region with so many edges runs."""
    monkeypatch.setattr(edge_fleet, "only_one", unlocked)

    def running(edges: int) -> None:
        monkeypatch.setattr(edge_fleet, "current", lambda name: Settings(name=name, edges=edges))

    return running


def refused(*_: object, **__: object) -> None:
    raise AssertionError("nothing was to be changed")


@pytest.mark.parametrize("edges", [0, 1])
def test_the_last_edge_stays(region: Any, monkeypatch: pytest.MonkeyPatch, edges: int):
    region(edges)
    monkeypatch.setattr(edge_fleet.edges, "drain", refused)
    with pytest.raises(CannotStart, match=f"has {edges} edges: without any nothing leads outside"):
        edge_fleet.remove("dev", print)


def test_no_more_edges_than_hosts_choose_among(region: Any, monkeypatch: pytest.MonkeyPatch):
    region(MOST_EDGES)
    monkeypatch.setattr(edge_fleet.prepare, "prepare", refused)
    with pytest.raises(CannotStart, match=f"{MOST_EDGES + 1} edges"):
        edge_fleet.add("dev", print)


def test_an_edge_that_is_still_sent_packets_stays(region: Any, monkeypatch: pytest.MonkeyPatch):
    drained: list[tuple[str, bool]] = []
    packets = itertools.count()
    region(3)
    monkeypatch.setattr(edge_fleet.edges, "drain", lambda _name, edge, draining: drained.append((edge, draining)))
    monkeypatch.setattr(edge_fleet, "_passed", lambda *_: next(packets))
    monkeypatch.setattr(edge_fleet, "PATIENCE", 0.05)
    monkeypatch.setattr(edge_fleet, "LOOK", 0.001)
    monkeypatch.setattr(edge_fleet.prepare, "register", refused)
    with pytest.raises(StillInUse, match="edge-3 drains, and is still sent packets"):
        edge_fleet.remove("dev", print)
    assert drained == [("edge-3", True)]
