"""The cell of a running region: its file reaches every node, also after what keeps it died; nodes come and go.

    node-1  node-2  node-3  node-4        each a namespace on the substrate, and an agent; node-4 drains from the beginning
         \\      |      /
    object store: cells/cell-1, reports/cell-1/node-*     <--- cell-controller
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rookery.dataplane.cell import LOOPBACK
from rookery.host.control import GetStatus, StatusReply
from rookery.host.instances.namespace import named
from rookery.hyperplane import check_link
from rookery.region import agents, namespaces, owned
from rookery.region.layout import CELL, Layout
from rookery.region.parts import CONTROLLER
from rookery.region.supervisor import read_records
from tests.conftest import RunningRegion, bring_up
from tests.waiting import until

pytestmark = pytest.mark.real_packets

NAMES = {"node-1", "node-2", "node-3", "node-4"}
STAY = NAMES - {"node-4"}


@pytest.fixture(scope="module")
def region() -> Iterator[RunningRegion]:
    """Its last node drains while the other tests run: that takes half a minute."""
    one = bring_up(1, 1, "--edges", "0", "--nodes", "4")
    settled(one, healthy, "nodes take the file")
    assert one.rookery("cell", "drain", "node-4").returncode == 0
    yield one
    done = one.rookery("down")
    assert done.returncode == 0, done.stderr.decode()
    assert named(Layout(one.name).namespace_prefix) == []
    assert owned.region_processes(Layout(one.name)) == []


def cell(region: RunningRegion) -> Any:
    """Whatever its health."""
    return json.loads(region.rookery("cell", "--json").stdout)


def settled(region: RunningRegion, true: Callable[[Any], bool], what: str, within: float = 40.0) -> Any:
    def looked() -> Any:
        found = cell(region)
        return found if true(found) else None

    return until(looked, lambda: f"{what}: {cell(region)}", within)


def epochs(found: Any) -> list[int]:
    return [node.get("report", {}).get("epoch", 0) if node.get("report") else 0 for node in found["nodes"]]


def healthy(found: Any) -> bool:
    return not found["problem"] and not any(node["problem"] for node in found["nodes"]) and min(epochs(found)) > 0


def pid_of(region: RunningRegion, part: str) -> int:
    return next(record.pid for record in read_records(Layout(region.name)) if record.name == part)


def test_every_node_works_by_the_file_and_sees_the_others(region):
    found = settled(region, healthy, "nodes take the file")
    assert {node["name"] for node in found["nodes"]} == NAMES
    seen = settled(region, lambda one: all(set(node["report"]["living"]) == NAMES for node in one["nodes"]), "they see each other")
    assert [node["draining"] for node in seen["nodes"]] == [False, False, False, True]


def test_epochs_rise_everywhere_and_go_on_rising_when_the_controller_was_killed(region):
    before = min(epochs(settled(region, healthy, "nodes take the file")))
    os.kill(pid_of(region, CONTROLLER), signal.SIGKILL)
    settled(region, lambda one: min(epochs(one)) > before + 1, "epochs rise after the controller's death")


def test_a_node_whose_agent_is_killed_takes_the_next_file(region):
    before = max(epochs(settled(region, healthy, "nodes take the file")))
    old = pid_of(region, "node-2")
    os.kill(old, signal.SIGKILL)
    settled(region, lambda one: healthy(one) and min(epochs(one)) > before, "the next agent goes on")
    assert pid_of(region, "node-2") != old


def test_the_way_to_a_nodes_health_checks_is_made_again_where_it_is_taken_away_and_so_is_its_program_on_the_loopback(region):
    """That lets in what the kernel has cut. The nodes tell that they mended something."""
    plan, names = Layout(region.name), sorted(NAMES)
    assert [name for name in names if not namespaces.is_sound(plan.checks_namespace(name))] == []
    before = healed(plan, "node-3")
    namespaces.remove(plan.checks_namespace("node-1"))
    namespaces.run("ip", "-netns", plan.host_namespace("node-2"), "link", "delete", check_link.NODE_SIDE)
    take_away_what_was_cut(plan, "node-3")

    def is_whole() -> bool:
        return all(leads_to_checks(plan, name) for name in names) and healed(plan, "node-3") > before

    until(is_whole, "the agents mend it", within=40.0)


def healed(plan: Layout, node: str) -> int:
    return agents.ask(plan.control_socket(node), GetStatus(), StatusReply).healed


def take_away_what_was_cut(plan: Layout, node: str) -> None:
    """As somebody does who tidies up."""
    link = plan.pins / node / "links" / str(LOOPBACK)
    if link.exists():
        link.unlink()
    else:
        namespaces.run("tc", "-netns", plan.host_namespace(node), "qdisc", "delete", "dev", "lo", "clsact")


def leads_to_checks(plan: Layout, name: str) -> bool:
    if not namespaces.is_sound(plan.checks_namespace(name)):
        return False
    ends = namespaces.devices(plan.host_namespace(name)), namespaces.devices(plan.checks_namespace(name))
    return check_link.NODE_SIDE in ends[0] and check_link.CHECKS_SIDE in ends[1]


def test_without_the_object_store_nodes_keep_their_file_and_with_it_they_go_on(region):
    before = min(epochs(settled(region, healthy, "nodes take the file")))
    file = Layout(region.name).objects / "cells" / CELL
    kept = file.read_bytes()
    os.kill(pid_of(region, CONTROLLER), signal.SIGSTOP)
    try:
        file.write_bytes(b"damaged")
        told = settled(region, lambda one: all(node["report"].get("refused") for node in one["nodes"]), "they refuse it")
        assert min(epochs(told)) >= before
        assert any("node-2: " in alarm and "file" in alarm for alarm in told["alarms"])
        alarms = agents.ask(Layout(region.name).control_socket("node-2"), GetStatus(), StatusReply).alarms
        assert any(alarm.startswith("goes by the file of epoch ") for alarm in alarms), alarms
        assert region.rookery("cell").returncode == 1
        file.write_bytes(kept)
    finally:
        os.kill(pid_of(region, CONTROLLER), signal.SIGCONT)
    settled(region, lambda one: healthy(one) and min(epochs(one)) > max(epochs(told)), "they take the next")


def test_a_drained_node_leaves_and_another_joins_and_nobody_else_begins_anew(region):
    pids = {name: pid_of(region, name) for name in STAY}
    done = region.rookery("cell", "drain", "node-4", "--wait", timeout=120)
    assert (done.returncode, done.stdout) == (0, b"node-4 is out of use: no flow is left\n"), done.stderr.decode()
    assert [node["in_ring"] for node in cell(region)["nodes"]] == [True, True, True, False]
    done = region.rookery("cell", "scale", "3", timeout=120)
    assert done.returncode == 0, done.stderr.decode()
    assert {node["name"] for node in cell(region)["nodes"]} == STAY
    assert [name for name in named(Layout(region.name).namespace_prefix) if "-node-4" in name] == []
    done = region.rookery("cell", "scale", "4")
    assert done.returncode == 0, done.stderr.decode()
    settled(region, lambda one: healthy(one) and [node["in_ring"] for node in one["nodes"]] == [True] * 4, "it is in the ring")
    assert {name: pid_of(region, name) for name in STAY} == pids
    assert region.rookery("status").returncode == 0


def test_the_last_node_that_takes_flows_is_not_drained(region):
    for node in ("node-1", "node-2", "node-4"):
        assert region.rookery("cell", "drain", node).returncode == 0
    refused = region.rookery("cell", "drain", "node-3")
    assert (refused.returncode, "the last" in refused.stderr.decode()) == (1, True)
    for node in ("node-1", "node-2", "node-4"):
        assert region.rookery("cell", "undrain", node).returncode == 0
