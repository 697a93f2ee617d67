"""Edges die, come and go while a thousand connections and numbered datagrams pass through them.

    adelie (Elastic IP) -- host-1, host-2 -- edge-1, edge-2 -- router -- the server outside         rookery.testing.through_edges

A dead edge is left within a fifth of a second on an idle machine, both ways (bench/edge_failover.py measures it); PATIENCE is a busy one's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from typing import Any

import pytest

from rookery.blackfoot import birdc
from rookery.host.control import EdgeReply, GetEdge, GetStatus, StatusReply
from rookery.host.instances.namespace import named
from rookery.region import agents
from rookery.region.errors import NoAnswer
from rookery.region.layout import DEFAULT_POOL, Layout, uplink_addresses
from rookery.region.namespaces import run
from rookery.region.status import live_generation, look
from rookery.testing.through_edges import DATAGRAM_PORT, DEATHS, Crowd, Datagrams, thaw
from rookery.tour import twins
from rookery.tour.beach import Beach
from rookery.tour.permission import rule
from tests.conftest import RunningRegion, bring_up
from tests.faults.harm import frozen, kill, part, until
from tests.faults.size import only_if_asked

pytestmark = [pytest.mark.faults, only_if_asked]

CONNECTIONS, FLOWS = 1000, 8
PATIENCE = 1.5  # seconds
BOTH = ("edge-1", "edge-2")


@pytest.fixture(scope="module")
def region() -> Iterator[RunningRegion]:
    """Two hosts, two edges."""
    one = bring_up(2, 2)
    yield one
    done = one.rookery("down")
    assert done.returncode == 0, done.stderr.decode()
    assert named(Layout(one.name).namespace_prefix) == []


@pytest.fixture(scope="module")
def beach(region: RunningRegion) -> Beach:
    """Adelie has the Elastic IP, and is open to datagrams."""

    def wait(answer: Any) -> None:
        generation = answer["ResponseMetadata"]["HTTPHeaders"].get("x-rookery-generation")
        if generation:
            until(lambda: live_generation(region.name) >= int(generation), "hosts and edges follow")

    found = Beach(twins.client(region.name), wait)
    found.give("adelie")
    shore = found.ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": ["shore"]}])["SecurityGroups"][0]
    wait(found.ec2.authorize_security_group_ingress(GroupId=shore["GroupId"], IpPermissions=[rule("udp", DATAGRAM_PORT)]))
    return found


@pytest.fixture(scope="module")
def crowd(region: RunningRegion, beach: Beach) -> Iterator[Crowd]:
    """A thousand connections, of which none may break in all these tests."""
    with closing(Crowd(region.name, beach.instances["adelie"], CONNECTIONS)) as made:
        yield made
        server, client = made.finish()
    for end, other in ((server, client), (client, server)):
        assert (end["connections"], end["broken"]) == (CONNECTIONS, 0)
        assert end["received"] == other["sent"] > CONNECTIONS


@pytest.fixture
def datagrams(region: RunningRegion, beach: Beach) -> Iterator[Datagrams]:
    with closing(Datagrams(region.name, beach.instances["adelie"], beach.address, FLOWS)) as made:
        until(lambda: all(way["received"] and not way["never"] for way in made.told().values()), "all flows arrive")
        yield made


def healthy(region: RunningRegion) -> bool:
    return look(region.name).healthy


def living(region: RunningRegion, host: str) -> str:
    """What its agent said last of edges that live, by name."""
    said = [line for line in (Layout(region.name).logs / f"{host}.log").read_text().splitlines() if "edges that live" in line]
    return said[-1].replace("100.64.1.230", "edge-1").replace("100.64.2.231", "edge-2") if said else ""


def left(region: RunningRegion, edge: str) -> bool:
    return all(edge not in living(region, host) for host in ("host-1", "host-2"))


@pytest.fixture
def mended(region: RunningRegion) -> Iterator[None]:
    """Afterwards both edges are in use, whatever the test did."""
    yield
    for edge in BOTH:
        thaw(region.name, edge)
    done = region.rookery("up")
    assert done.returncode == 0, done.stderr.decode()
    until(lambda: healthy(region) and not any(left(region, edge) for edge in BOTH), "both edges are in use again")


def told_by(region: RunningRegion, name: str) -> StatusReply | None:
    """None: its agent does not answer yet."""
    try:
        return agents.ask(Layout(region.name).control_socket(name), GetStatus(), StatusReply)
    except NoAnswer:
        return None


@pytest.mark.usefixtures("mended")
@pytest.mark.parametrize("death", [("processes", "edge-1"), ("namespace", "edge-2"), ("silent", "edge-1")])
def test_an_edge_dies_and_a_thousand_connections_go_on_through_the_other(
    region: RunningRegion, crowd: Crowd, datagrams: Datagrams, record_property: Callable[..., None], death: tuple[str, str]
):
    how, victim = death
    crowd.latest()
    DEATHS[how](region.name, victim)
    until(lambda: left(region, victim), "hosts have left it")
    silence, latest = datagrams.silence(), crowd.latest()
    record_property("seconds without a way", silence)
    record_property("seconds that the latest block was late", latest)
    assert 0.05 < silence["out"] < PATIENCE, "datagrams were lost, and not for long"
    assert silence["in"] < PATIENCE
    assert max(latest.values()) < 2 * PATIENCE, "TCP waits before it sends again"


@pytest.mark.usefixtures("crowd")
def test_agents_that_are_killed_lose_no_packet(region: RunningRegion, datagrams: Datagrams):
    for agent in (*BOTH, "host-1", "host-2"):
        kill(region, agent)
    until(lambda: healthy(region), "all are back")
    assert none_lost(datagrams)


def none_lost(datagrams: Datagrams) -> bool:
    told = datagrams.told()
    assert {way: one["lost"] for way, one in told.items()} == {"out": 0, "in": 0}
    return all(one["received"] > FLOWS and not one["never"] for one in told.values())


@pytest.mark.usefixtures("crowd")
def test_bgp_sessions_that_flap_lose_no_packet(region: RunningRegion, datagrams: Datagrams):
    for edge in BOTH * 2:
        birdc.ask(Layout(region.name).host_run(edge) / "bird.ctl", "restart outside1")
        until(lambda edge=edge: sessions_of(region, edge) == ["Established"], "the session is back")
        until(lambda: routes_to_the_pool(region) == 2, "and its routes")
    assert none_lost(datagrams)


def sessions_of(region: RunningRegion, edge: str) -> list[str]:
    return [one.state for one in birdc.sessions(Layout(region.name).host_run(edge) / "bird.ctl")]


def routes_to_the_pool(region: RunningRegion) -> int:
    """Edges by which the router outside reaches it."""
    words = ("ip", "-netns", Layout(region.name).internet_namespace, "route", "show", DEFAULT_POOL)
    return run(*words).count("via")


@contextmanager
def uplink_cut(region: RunningRegion, edge: str) -> Iterator[None]:
    """At the router's end."""
    router = ("ip", "-netns", Layout(region.name).internet_namespace)
    run(*router, "link", "set", edge, "down")
    try:
        yield
    finally:
        run(*router, "link", "set", edge, "up")
        (_, ipv6), _ = uplink_addresses(BOTH.index(edge))  # it went with the carrier
        run(*router, "address", "replace", f"{ipv6}/64", "dev", edge, "nodad")


@pytest.mark.usefixtures("crowd", "mended")
def test_an_edge_whose_uplink_is_cut_is_left_by_hosts_too(region: RunningRegion, datagrams: Datagrams):
    with uplink_cut(region, "edge-1"):
        until(lambda: left(region, "edge-1"), "hosts have left it")
        assert max(datagrams.silence().values()) < PATIENCE
        assert "the uplink has no carrier" in region.rookery("edge").stdout.decode()


@pytest.mark.usefixtures("crowd", "mended")
def test_while_nobody_outside_speaks_bgp_hosts_keep_to_all_edges(region: RunningRegion, datagrams: Datagrams):
    """The router outside forwards on, and every edge finds that its uplink may lead nowhere."""
    with frozen(region, "internet-router"):
        until(lambda: all(problem_of(region, edge).startswith("no BGP session for") for edge in BOTH), "both are shut")
        until(lambda: not any(left(region, edge) for edge in BOTH), "hosts keep to both")
        assert none_lost(datagrams)


def problem_of(region: RunningRegion, edge: str) -> str:
    return agents.ask(Layout(region.name).control_socket(edge), GetEdge(), EdgeReply).problem


@pytest.mark.usefixtures("crowd")
def test_an_edge_is_added_and_taken_away_without_loss(region: RunningRegion, datagrams: Datagrams):
    assert_done(region, "edge", "add")
    third = Layout(region.name).host_namespace("edge-3")
    until(lambda: "100.64.1.232" in living(region, "host-1"), "a host sends to it")
    assert carried(region, "edge-3"), "it is in use"
    assert_done(region, "edge", "remove")
    assert third not in named(third)
    assert none_lost(datagrams)
    assert [edge["name"] for edge in region.asked("edge")] == list(BOTH)
    assert healthy(region)


def assert_done(region: RunningRegion, *words: str) -> None:
    done = region.rookery(*words)
    assert done.returncode == 0, done.stderr.decode()


def carried(region: RunningRegion, edge: str) -> bool:
    def both_ways() -> bool:
        told = next(one["edge"] for one in region.asked("edge") if one["name"] == edge)
        return all(side.get("sent", {}).get("packets", 0) for side in (told["outward"], told["inward"]))

    return until(both_ways, f"{edge} carries packets")


@pytest.mark.usefixtures("mended", "crowd")
def test_without_the_mapping_service_agents_come_back_and_leave_a_dead_edge(region: RunningRegion, datagrams: Datagrams):
    """However long it is away: no row of an edge has an age, and what its agent does not hear it does not change. Here it is away for as
    long as everything else takes to die and come back, and one agent, restarted, knows no more than the kernel has kept."""
    with frozen(region, "mapping"):
        before = {name: part(region, name).restarts for name in (*BOTH, "host-1", "host-2")}
        for agent in before:
            kill(region, agent)
        until(lambda: all(part(region, name).restarts > n and told_by(region, name) for name, n in before.items()), "back")
        assert none_lost(datagrams)
        assert not any(told and told.connected for told in map(partial(told_by, region), before))
        DEATHS["silent"](region.name, "edge-2")
        until(lambda: left(region, "edge-2"), "hosts have left it")
        assert max(datagrams.silence().values()) < PATIENCE
        thaw(region.name, "edge-2")
        until(lambda: not left(region, "edge-2"), "its agent has given it its programs again, and hosts send to it")
        assert none_lost(datagrams)
