"""Data planes with pins of their own, which go away with the test."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rookery.dataplane.host import HostDataplane
from tests.dataplane import cells, edges, plan
from tests.dataplane.cells import Cell
from tests.dataplane.clearing import clear
from tests.dataplane.edges import Edge
from tests.dataplane.gated import Gated
from tests.dataplane.model import Host
from tests.dataplane.objects import built_objects


@pytest.fixture
def pins() -> Iterator[Path]:
    path = Path("/sys/fs/bpf") / f"rookery-t{secrets.token_hex(4)}"
    yield path
    HostDataplane.remove_pins(path)


@pytest.fixture
def open_dataplane(pins: Path) -> Iterator[Callable[[], HostDataplane]]:
    """Opens data planes over the same pins, small ones."""
    opened: list[HostDataplane] = []

    def open_one() -> HostDataplane:
        opened.append(HostDataplane.open(pins, built_objects(), max_mappings=4096))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


@pytest.fixture
def open_small(pins: Path) -> Iterator[Callable[[int], HostDataplane]]:
    """Opens a data plane that tracks so many flows."""
    opened: list[HostDataplane] = []

    def open_one(max_connections: int) -> HostDataplane:
        opened.append(HostDataplane.open(pins, built_objects(), 256, max_connections))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


@pytest.fixture
def model_a() -> Host:
    return plan.host_a()


@pytest.fixture(scope="session")
def shared_dataplane() -> Iterator[HostDataplane]:
    path = Path("/sys/fs/bpf") / f"rookery-t{secrets.token_hex(4)}"
    try:
        real = HostDataplane.open(path, built_objects(), max_mappings=4096)
        yield real
        real.close()
    finally:
        HostDataplane.remove_pins(path)


@pytest.fixture
def host_a(shared_dataplane: HostDataplane, model_a: Host) -> HostDataplane:
    """Loaded once for all tests, its tables as in the plan."""
    clear(shared_dataplane)
    plan.fill(shared_dataplane, model_a)
    return shared_dataplane


@pytest.fixture
def gated(host_a: HostDataplane) -> Gated:
    """Host A, instance 11 behind rules that the test writes."""
    return Gated(host_a)


@pytest.fixture(scope="module", params=("tc", "xdp"))
def one_edge(request: pytest.FixtureRequest) -> Iterator[Edge]:
    with edges.edge(build=request.param) as made:
        yield made


@pytest.fixture
def edge(one_edge: Edge) -> Edge:
    """Loaded once, its tables as in the plan."""
    one_edge.restore()
    return one_edge


@pytest.fixture
def cell(one_cell: Cell) -> Cell:
    """That of the file, of whatever kinds it is tried with; and nobody in it remembers anything."""
    one_cell.restore()
    return one_cell


@pytest.fixture(scope="module")
def alone() -> Iterator[Cell]:
    """Of one node: what is asked of it is no matter of chains."""
    with cells.cell(1) as made:
        made.restore()
        yield made
