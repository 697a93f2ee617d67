"""Real packets through a cell whose nodes, and edges, run XDP, on veth in the place of network cards. All of test_cell_path.py does, where `make
faults` asks for it.

    instance 11 (10.7.1.5) -- host a -- node-0 .. node-3 -- edge-1, edge-2 -- router -- server 192.0.2.80
                                                                   tests/dataplane/cell_world.py
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial

import pytest

from rookery.dataplane import syscall
from rookery.dataplane.errors import DataplaneError
from rookery.dataplane.formats import Verdict
from rookery.dataplane.pins import open_pinned
from tests.dataplane.cell_world import CellWorld, NodeSpace, cell_world
from tests.dataplane.edge_world import traffic
from tests.dataplane.namespaces import heard, inside, listening, ping, run
from tests.dataplane.plan_edge import SERVER
from tests.waiting import until

pytestmark = pytest.mark.real_packets


@pytest.fixture(scope="module")
def world() -> Iterator[CellWorld]:
    with cell_world("xdp") as made:
        yield made


def runs_xdp(node: NodeSpace) -> bool:
    return "prog/xdp" in run("ip", "-n", node.namespace, "link", "show", "u0")


def counted(world: CellWorld, verdict: Verdict) -> int:
    return sum(node.counted(verdict) for node in world.nodes)


@pytest.mark.parametrize(("send", "serve"), [
    (("tcp", "1000000"), ("serve-tcp",)),
    (("udp", "1400", "20"), ("serve-udp", "20")),
    (("udp", "4000", "20"), ("serve-udp", "20")),
], ids=["TCP", "UDP", "UDP in fragments"])  # fmt: skip
def test_what_leaves_arrives_whole_and_tc_sees_little_of_it(world: CellWorld, send: tuple[str, ...], serve: tuple[str, ...]) -> None:
    world.lead_to(2)
    before = counted(world, Verdict.SENT), counted(world, Verdict.DEFERRED)
    server = listening(world.around.begin_outside(*traffic(serve[0], SERVER, *serve[1:])))
    sent = world.around.inside.execute(11, *traffic(send[0], SERVER, *send[1:]))
    assert heard(server) == sent
    passed, left = counted(world, Verdict.SENT) - before[0], counted(world, Verdict.DEFERRED) - before[1]
    assert passed >= 20 and left <= passed // 3, (passed, left)


def test_each_node_runs_xdp_with_tc_behind_it(world: CellWorld) -> None:
    for node in world.nodes:
        assert node.real.attach_mode == "xdp"
        assert runs_xdp(node)
        assert node.real.runs("hyperplane", node.substrate)


def test_echoes_are_answered_and_so_are_the_gateways_own_errors(world: CellWorld) -> None:
    assert " 0% packet loss" in ping(world.around.inside, 11, SERVER, "-s", "1400")
    shown = world.around.inside.execute(11, "ping", "-n", "-c", "1", "-W", "2", "-t", "1", SERVER, ok=(0, 1))
    assert "Time to live exceeded" in shown


def test_heartbeats_go_on(world: CellWorld) -> None:
    """By TC's copies."""
    before = counted(world, Verdict.KEPT)
    server = listening(world.around.begin_outside(*traffic("serve-tcp", SERVER)))
    sent = world.around.inside.execute(11, *traffic("tcp", SERVER, "100000"))
    assert heard(server) == sent
    assert counted(world, Verdict.KEPT) > before


@pytest.mark.parametrize("lost", ("{}-xdp", "{}"), ids=("XDP", "TC behind it"))
def test_an_agent_sees_that_one_of_both_is_gone(world: CellWorld, lost: str) -> None:
    node = world.nodes[3]
    (node.pins / "links" / lost.format(node.substrate)).unlink()
    assert not node.real.runs("hyperplane", node.substrate)
    until(lambda: runs_xdp(node) == ("xdp" not in lost), "the kernel lets go a moment later")

    def attached() -> bool:
        try:
            node.attach()
        except DataplaneError:  # TC's link, too, ends a moment after its last name: an agent tries again
            return False
        return True

    until(attached, "both are there again")
    assert node.real.runs("hyperplane", node.substrate)


def test_an_agent_sees_that_tc_runs_another_program_behind_xdp(world: CellWorld) -> None:
    """As an earlier agent's is."""
    node = world.nodes[3]
    hold = partial(node.real.attach_substrate, node.substrate)
    assert inside(node.namespace, hold) == 0
    link = open_pinned(node.pins / "links" / str(node.substrate))
    assert link is not None
    syscall.update_link(link, node.real.program_fd("hyperplane_checks"))
    os.close(link)
    assert runs_xdp(node) and not node.real.runs("hyperplane", node.substrate)
    assert inside(node.namespace, hold) == 1
    assert node.real.runs("hyperplane", node.substrate)


def test_a_node_whose_next_agent_wants_no_xdp_has_none_left(world: CellWorld) -> None:
    node = world.nodes[3]
    node.real.use_attach_mode("tcx")
    node.attach()
    until(lambda: not runs_xdp(node), "the kernel lets go a moment later")
    assert node.real.runs("hyperplane", node.substrate)
    node.real.use_attach_mode("xdp")
    node.attach()
    assert runs_xdp(node)
