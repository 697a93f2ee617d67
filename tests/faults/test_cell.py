"""Nodes of a cell die, come back and go astray while connections, datagrams and visits pass through them: half of them by a NAT gateway,
half by a balancer (rookery.testing.cell_load). None breaks, and the history of all packets breaks no rule (rookery.testing.history).

In `make test` a thousand connections, in `make faults` five thousand and 200 new ones a second, for longer.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest

from rookery.region import namespaces
from rookery.region.layout import PAGE_ADDRESSES, Layout
from rookery.testing import cell_flows
from rookery.testing.cell_deaths import DEATHS, revive
from rookery.testing.cell_load import CellLoad
from tests.faults.cell_scene import IS_WHOLE, SCALE, Scene, cell_scene
from tests.faults.harm import frozen, until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1800 if IS_WHOLE else 120)]

SERVER = PAGE_ADDRESSES[0]
BACK = 60.0  # seconds in which who died is in use again


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with cell_scene() as made:
        yield made
        history = made.finish_history()
        assert history.broken == []
        assert history.begun > SCALE.held and history.crossed > 100 * history.of_the_cell


@pytest.fixture(scope="module")
def load(scene: Scene) -> Iterator[CellLoad]:
    """None of its connections may break in all these tests."""
    sizes = {"held": SCALE.held, "every": SCALE.every, "flows": SCALE.flows, "rate": SCALE.rate}
    with closing(CellLoad(scene.wren, scene.owl, **sizes)) as made:
        made.settle()
        yield made
        callers, servers = made.finish()
    for end, other in ((callers, servers), (servers, callers)):
        assert (end["broken"], end["failed"]) == (0, 0)
        assert end["received"] == other["sent"] > SCALE.held
        assert end["connections"] == other["connections"] > 1.1 * SCALE.held


@pytest.fixture(autouse=True)
def remembered(scene: Scene) -> Iterator[None]:
    """A test that broke a rule of histories is the one that fails. And whatever it did, all nodes are in use afterwards."""
    yield
    for node in scene.nodes:
        revive(scene.region.name, node)
    wait_in_use(scene, *scene.nodes)
    assert scene.hear().broken == []


def wait_in_use(scene: Scene, *nodes: str) -> None:
    until(lambda: all(map(scene.cell.is_in_use, nodes)), f"{nodes} are in use", within=BACK)


def kept(scene: Scene, node: str) -> int:
    """Flows, each direction counted."""
    return len(cell_flows.trackers(scene.region.name, node))


def wait_refilled(scene: Scene, node: str) -> None:
    """A node knows again what it is to keep: each flow has two directions, and two of four nodes for each."""
    until(lambda: kept(scene, node) > SCALE.held, lambda: f"{node} knows only {kept(scene, node)} flows")


def die(scene: Scene, load: CellLoad, how: str, node: str) -> float:
    """How long datagrams were silent."""
    load.settle()
    DEATHS[how](scene.region.name, node)
    until(lambda: scene.cell.is_left(node), f"everybody leaves {node}")
    gap = max(load.silence().values())
    revive(scene.region.name, node)
    wait_in_use(scene, node)
    wait_refilled(scene, node)
    return gap


ONE_EACH = [("cable", "node-1"), ("program", "node-2"), ("memory", "node-3"), ("cable", "node-4")]
EVERY_DEATH = [(how, f"node-{n + 1}") for how in DEATHS for n in range(4)] * SCALE.deaths


def test_every_node_dies_in_turn_and_no_connection_breaks(scene: Scene, load: CellLoad, record_property: Callable[..., None]):
    gaps = [die(scene, load, how, node) for how, node in (EVERY_DEATH if IS_WHOLE else ONE_EACH)]
    shown = f"p50 {1000 * statistics.median(gaps):.0f} ms, max {1000 * max(gaps):.0f} ms of {len(gaps)} deaths"
    record_property("without a way", shown)
    print(f"\nwithout a way: {shown}")
    assert statistics.median(gaps) < SCALE.gap and max(gaps) < 5 * SCALE.gap, gaps
    assert max(load.broken().values()) == 0


@pytest.fixture
def another_ring(scene: Scene) -> Iterator[Callable[[str], None]]:
    """What is given drains a node."""
    drained: list[str] = []

    def drain(node: str) -> None:
        drained.append(node)
        done = scene.region.rookery("cell", "drain", node)
        assert done.returncode == 0, done.stderr.decode()

    yield drain
    for node in drained:
        assert scene.region.rookery("cell", "undrain", node).returncode == 0
    until(lambda: len(cell_flows.file_of(scene.region.name).current) == len(scene.nodes), "all are in the ring", within=BACK)


def rings(scene: Scene) -> tuple[tuple[int, ...], tuple[int, ...]]:
    file = cell_flows.file_of(scene.region.name)
    return file.current, file.previous


def test_nodes_come_and_go_and_no_connection_breaks(scene: Scene, load: CellLoad, another_ring: Callable[[str], None]):
    """They come without a memory, while the ring changes, and a shard with it."""
    shard = scene.shard()
    leaving = min(shard)
    another_ring(leaving)
    until(lambda: leaving not in scene.shard(), "wren is served by others", within=BACK)
    until(lambda: len(rings(scene)[0]) < len(scene.nodes), "it is in the ring no more", within=BACK)
    others = [node for node in scene.nodes if node != leaving]
    for node in (others * SCALE.rounds)[: None if IS_WHOLE else 1]:
        DEATHS["memory"](scene.region.name, node)
        until(lambda node=node: scene.cell.is_left(node), f"everybody leaves {node}")
        wait_in_use(scene, node)
        wait_refilled(scene, node)
    assert max(load.broken().values()) == 0


@contextmanager
def loses(scene: Scene, sender: str, receiver: str, percent: int) -> Iterator[None]:
    """So many of a hundred packets from one node to another."""
    addresses = [scene.cell.nodes[node].address for node in (sender, receiver)]
    wire = namespaces.inside(Layout(scene.region.name).substrate_namespace, "nft")
    chance = f"ip saddr {addresses[0]} ip daddr {addresses[1]} numgen random mod 100 < {percent} counter drop"
    namespaces.run(*wire, "add table bridge loss; add chain bridge loss way { type filter hook forward priority 0; };" + f"add rule bridge loss way {chance}")
    try:
        yield
    finally:
        lost = namespaces.run(*wire, "list", "table", "bridge", "loss")
        namespaces.run(*wire, "delete", "table", "bridge", "loss")
    assert "packets 0" not in lost, "the way was never used"


def test_a_way_between_two_nodes_that_loses_packets_misleads_none(scene: Scene, load: CellLoad, record_property: Callable[..., None]):
    """And a connection is made with one of three SYNs: at least 99 of a hundred are."""
    with loses(scene, "node-1", "node-2", 30):
        with closing(load.visit(SERVER, 7000, SCALE.tried / 2)) as visitor:
            until(lambda: visitor.asked()["connections"] >= SCALE.tried, "so many visits", within=60 if IS_WHOLE else 15)
            told = visitor.asked("end")
    record_property("visits", f"{told['failed']} of {told['connections'] + told['failed']} failed")
    print(f"\nwhile a way loses 30%: {told['failed']} of {told['connections'] + told['failed']} visits failed")
    assert told["broken"] == 0
    assert told["failed"] <= 0.01 * told["connections"]
    assert max(load.broken().values()) == 0


def test_a_frozen_agent_holds_nobody_up_and_misleads_none(scene: Scene, load: CellLoad):
    """Its tables are old; and for as long as it is frozen nobody who waits for an answer waits for it."""
    load.settle()
    before = {way: one["connections"] for way, one in load.visited().items()}
    with frozen(scene.region, "node-2"), closing(load.visit(SERVER, 7000, 50)) as visitor:
        until(lambda: visitor.asked()["connections"] > 50 * SCALE.frozen, "visits go on", within=2 * SCALE.frozen + 10)
        told = visitor.asked("end")
    assert (told["failed"], told["broken"]) == (0, 0)
    assert all(one["connections"] > before[way] and not one["failed"] for way, one in load.visited().items())
    assert max(load.broken().values()) == 0
