"""The edges of a running region: what they announce, and what becomes of that when one drains or dies.

rookery-...-edge-1  x0 198.51.100.1 --+
                                      +-- rookery-...-internet (router)
rookery-...-edge-2  x0 198.51.100.3 --+
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from rookery.host.instances.namespace import named
from rookery.region import owned, processes
from rookery.region.layout import Layout
from rookery.region.parts import bird_of
from rookery.region.processes import Process
from rookery.region.settings import Settings
from rookery.region.status import live_generation
from rookery.region.supervisor import read_records
from rookery.tour import twins
from rookery.tour.beach import Beach
from rookery.tour.pings import Heard, Pings
from tests.conftest import RunningRegion
from tests.faults.size import only_if_asked
from tests.waiting import until

pytestmark = pytest.mark.real_packets

POOL = "203.0.113.0/24"
UPLINK = {"edge-1": "198.51.100.1", "edge-2": "198.51.100.3"}
PATIENCE = 1.5  # seconds for what takes 0.3: a busy machine


@pytest.fixture(scope="module")
def region() -> Iterator[RunningRegion]:
    """Two hosts, two edges, in place of the session's: here edges die."""
    from tests.conftest import bring_up  # noqa: PLC0415

    one = bring_up(2, 2, "--nodes", "0")
    yield one
    done = one.rookery("down")
    assert done.returncode == 0, done.stderr.decode()
    assert named(Layout(one.name).namespace_prefix) == []
    assert owned.region_processes(Layout(one.name)) == []


def ip(region: RunningRegion, node: str, *words: str) -> str:
    command = ("ip", "-netns", f"rookery-{region.name}-{node}", *words)
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def ways(region: RunningRegion, block: str = POOL) -> set[str]:
    """Edges by which the router outside reaches a block."""
    said = ip(region, "internet", "route", "show", block)
    return {edge for edge, address in UPLINK.items() if re.search(rf"via {re.escape(address)}\b", said)}


def wait_ways(region: RunningRegion, *edges: str, within: float = 15.0) -> None:
    until(lambda: ways(region) == set(edges), lambda: ip(region, "internet", "route"), within)


def bird(region: RunningRegion, edge: str) -> Process:
    record = next(one for one in read_records(Layout(region.name)) if one.name == bird_of(edge))
    return Process(record.pid, record.started)


def test_both_edges_announce_the_pool_and_the_router_spreads_over_both(region: RunningRegion):
    wait_ways(region, "edge-1", "edge-2")
    told = region.asked("edge")
    assert [edge["name"] for edge in told] == ["edge-1", "edge-2"]
    assert [edge["zone"] for edge in told] == [0, 1]
    assert [edge["edge"]["announced"] for edge in told] == [[POOL]] * 2
    assert [one["state"] for edge in told for one in edge["edge"]["sessions"]] == ["Established"] * 2


def test_edges_know_the_way_out_from_the_router_and_keep_one_of_their_own(region: RunningRegion):
    for edge in UPLINK:
        until(lambda edge=edge: "proto bird" in ip(region, edge, "route", "show", "default"), f"{edge}'s way out")
        assert "metric 4096" in ip(region, edge, "route", "show", "default")
        assert "metric 4096" in ip(region, edge, "-6", "route", "show", "default")


def test_edges_are_told_of_in_words(region: RunningRegion):
    said = region.rookery("edge").stdout.decode()
    assert re.search(r"edge-2 +100\.64\.2\.231 +in use", said)
    assert re.search(r"edge-2 +outside1 +198\.51\.100\.2 +Established .* 203\.0\.113\.0/24", said)
    assert "announces" in region.rookery("status").stdout.decode()


def test_the_store_knows_edges_and_pools_and_the_api_places_nothing_on_an_edge(region: RunningRegion):
    hosts = {host["name"] for host in region.asked("status")["hosts"]}
    assert hosts == {"host-1", "host-2"}
    assert [edge["address"] for edge in region.asked("status")["edges"]] == ["100.64.1.230", "100.64.2.231"]


def test_the_machine_has_no_device_and_no_route_of_it(region: RunningRegion):
    routes = subprocess.run(("ip", "route", "show", "table", "all"), capture_output=True, text=True, check=True).stdout
    assert not any(block in routes for block in ("203.0.113.", "198.51.100.", "192.0.2.80"))
    links = json.loads(subprocess.run(("ip", "-json", "link"), capture_output=True, text=True, check=True).stdout)
    assert not {"x0", "edge-1", "edge-2"} & {link["ifname"] for link in links}


def test_a_drained_edge_is_withdrawn_and_comes_back(region: RunningRegion):
    assert region.rookery("edge", "drain", "edge-1").returncode == 0
    wait_ways(region, "edge-2")
    assert [edge["edge"]["draining"] for edge in region.asked("edge")] == [True, False]
    assert region.rookery("edge", "undrain", "edge-1").returncode == 0
    wait_ways(region, "edge-1", "edge-2")


def test_an_edge_that_there_is_not_is_named(region: RunningRegion):
    done = region.rookery("edge", "drain", "edge-9")
    assert done.returncode == 1
    assert "there is no edge 'edge-9'; there are: edge-1, edge-2" in done.stderr.decode()


@contextmanager
def stood_still(process: Process) -> Iterator[None]:
    processes.send(process, signal.SIGSTOP)
    try:
        yield
    finally:
        processes.send(process, signal.SIGCONT)


def test_an_edge_that_stands_still_is_noticed_by_bfd_and_left(region: RunningRegion):
    until(lambda: [s["bfd"] for e in region.asked("edge") for s in e["edge"]["sessions"]] == ["Up", "Up"], "BFD is up")
    with stood_still(bird(region, "edge-1")):
        began = time.monotonic()
        wait_ways(region, "edge-2")
        assert time.monotonic() - began < PATIENCE
    wait_ways(region, "edge-1", "edge-2")


def lose_power(region: RunningRegion, edge: str) -> None:
    for device in ("x0", "u0"):
        ip(region, edge, "link", "delete", device)


def test_an_edge_whose_devices_are_gone_is_left_and_up_mends_it(region: RunningRegion):
    began = time.monotonic()
    lose_power(region, "edge-1")
    wait_ways(region, "edge-2")
    assert time.monotonic() - began < PATIENCE
    done = region.rookery("up")
    assert done.returncode == 0, done.stderr.decode()
    wait_ways(region, "edge-1", "edge-2")
    assert region.rookery("edge").returncode == 0


def test_a_bird_that_is_killed_starts_again(region: RunningRegion):
    before = bird(region, "edge-2")
    processes.send(before, signal.SIGKILL)
    until(lambda: bird(region, "edge-2") not in (before, Process(0, 0)) and "edge-2" in ways(region), "BIRD is back")


@pytest.fixture(scope="module")
def beach(region: RunningRegion) -> Beach:
    """Two instances, one Elastic IP: adelie has it."""

    def wait(answer: Any) -> None:
        generation = answer["ResponseMetadata"]["HTTPHeaders"].get("x-rookery-generation")
        if generation:
            until(lambda: live_generation(region.name) >= int(generation), "the hosts follow")

    found = Beach(twins.client(region.name), wait)
    found.give("adelie")
    return found


def all_arrive(region: RunningRegion, beach: Beach) -> None:
    """Returns when twenty pings in a row are answered."""
    words = ("ip", "netns", "exec", f"rookery-{region.name}-page", "ping", "-n", "-q", "-c20", "-i0.02", "-W1", beach.address)

    def answered() -> bool:
        return " 0% packet loss" in subprocess.run(words, capture_output=True, text=True, check=False).stdout

    until(answered, "pings are answered")


@contextmanager
def pinged(region: RunningRegion, beach: Beach) -> Iterator[list[Heard]]:
    """From outside; what was heard is in the list afterwards."""
    told: list[Heard] = []
    pings = Pings(Layout(region.name), beach.address)
    try:
        all_arrive(region, beach)
        yield told
        all_arrive(region, beach)
    finally:
        told.append(pings.end())
    assert told[0].answers > 10


def idle(region: RunningRegion, edge: str) -> None:
    """Returns when hosts and the outside send nothing through it any more."""

    def passed() -> int:
        told = next(one["edge"] for one in region.asked("edge") if one["name"] == edge)
        return sum(side.get("sent", {}).get("packets", 0) for side in (told["outward"], told["inward"]))

    counted = [passed()]

    def still() -> bool:
        counted.append(passed())
        return counted[-1] == counted[-2]

    until(still, f"{edge} is idle")


def test_edges_are_drained_one_after_the_other_without_loss(region: RunningRegion, beach: Beach):
    with pinged(region, beach) as told:
        for edge, other in (("edge-1", "edge-2"), ("edge-2", "edge-1")):
            assert region.rookery("edge", "drain", edge).returncode == 0
            wait_ways(region, other)
            idle(region, edge)
            assert region.rookery("edge", "undrain", edge).returncode == 0
            wait_ways(region, "edge-1", "edge-2")
    assert told[0].lost == 0


@only_if_asked
def test_the_tour_of_the_edge_holds(region: RunningRegion):
    done = region.rookery("tour", "edge", timeout=120)
    assert done.returncode == 0, done.stdout.decode()[-2000:] + done.stderr.decode()[-500:]


def test_a_region_without_edges_has_no_internet(fresh_region):
    one = fresh_region(1, 1)
    assert one.asked("edge") == []
    names = named(f"rookery-{one.name}-")
    assert not {f"rookery-{one.name}-{outside}" for outside in ("internet", "page", "names")}.intersection(names)
    assert "no edges" in one.rookery("edge").stdout.decode()


def test_the_settings_of_an_older_region_get_edges():
    assert Settings(name="dev").edges == 2
