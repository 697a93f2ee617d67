"""Real packets between an instance and the internet, through two edges, both families, both ways.

    instance 11 (203.0.113.5, 2001:db8:7:1::5) -- host a -- edge-1, edge-2 -- router -- server 192.0.2.80, 2001:db8:ff::80
    instance 14 (no public address) ------------/                            tests/dataplane/edge_world.py
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Iterator

import pytest

from rookery.dataplane.formats import Verdict
from rookery.host.edge_probes import EdgeProbes
from rookery.host.probes import Rounds
from tests.dataplane import plan, plan_edge
from tests.dataplane.edge_world import EdgeWorld, edge_world, lead_out, load_edge, outside, traffic
from tests.dataplane.namespaces import OWN_MODE, heard, inside, listening, run
from tests.dataplane.plan_edge import SERVER, SERVER_IPV6
from tests.dataplane.traffic import data
from tests.waiting import until

pytestmark = pytest.mark.real_packets
OWN, PUBLIC, OWN_IPV6 = "10.7.1.5", "203.0.113.5", "2001:db8:7:1::5"
MEGABYTE, MEGABYTES_8 = 1 << 20, 8 << 20


@pytest.fixture(scope="module", params=(OWN_MODE, "xdp"))
def world(request: pytest.FixtureRequest) -> Iterator[EdgeWorld]:
    with edge_world(mode=request.param) as made:
        yield made


FAMILIES = {"IPv4": (SERVER, OWN, PUBLIC), "IPv6": (SERVER_IPV6, OWN_IPV6, OWN_IPV6)}
KINDS = [  # what is sent, and how it is listened for; the address comes second
    (("tcp", "3000000"), ("serve-tcp",)),
    (("udp", "64", "20"), ("serve-udp", "20")),
    (("udp", "1400", "20"), ("serve-udp", "20")),
    (("udp", "4000", "20"), ("serve-udp", "20")),
    (("gso", "14000", "1400"), ("serve-udp", "10")),
]
IDS = ["TCP", "UDP 64", "UDP 1400", "UDP 4000, in fragments", "UDP cut by the kernel"]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("send", "serve"), KINDS, ids=IDS)
def test_data_arrives_outside_as_it_was_sent(world: EdgeWorld, family: str, send, serve) -> None:
    server = FAMILIES[family][0]
    there = listening(world.begin_outside(*traffic(serve[0], server, *serve[1:])))
    assert world.inside.execute(11, *traffic(send[0], server, *send[1:])) == heard(there)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("send", "serve"), KINDS, ids=IDS)
def test_data_from_outside_arrives_as_it_was_sent(world: EdgeWorld, family: str, send, serve) -> None:
    """T5-06: of the datagrams of 4,000 bytes."""
    _, own, public = FAMILIES[family]
    here = listening(world.inside.begin(11, *traffic(serve[0], own, *serve[1:])))
    assert world.outside(*traffic(send[0], public, *send[1:])) == heard(here)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("size", ["56", "1400", "4000"])
def test_ping_both_ways(world: EdgeWorld, family: str, size: str) -> None:
    server, _, public = FAMILIES[family]
    options = ("-n", "-c", "2", "-i", "0.05", "-W", "1", "-s", size)
    assert " 0% packet loss" in world.inside.execute(11, "ping", *options, server)
    assert " 0% packet loss" in world.outside("ping", *options, public)


def test_ones_own_public_address_answers(world: EdgeWorld) -> None:
    """Host, edge, and back, with real checksums. The guest takes what comes from itself only if told to."""
    world.inside.execute(11, "sysctl", "-qw", "net.ipv4.conf.all.accept_local=1", "net.ipv4.conf.eth0.accept_local=1")
    here = listening(world.inside.begin(11, *traffic("serve-udp", OWN, "20")))
    assert world.inside.execute(11, *traffic("udp", PUBLIC, "1400", "20")) == heard(here)


def test_without_a_public_address_nothing_comes_out(world: EdgeWorld) -> None:
    """T5-01."""
    before = [space.counted(Verdict.DROP_NO_PUBLIC_ADDRESS) for space in world.edges.values()]
    with pytest.raises(AssertionError, match="100% packet loss"):
        world.inside.execute(14, "ping", "-n", "-c", "1", "-W", "1", SERVER)
    assert sum(space.counted(Verdict.DROP_NO_PUBLIC_ADDRESS) for space in world.edges.values()) == sum(before) + 1


def test_the_first_router_outside_is_the_first_hop(world: EdgeWorld) -> None:
    """A time exceeded from outside quotes the guest's own packet, or its socket would not be told."""
    told = world.inside.execute(11, "ping", "-n", "-c", "1", "-W", "1", "-t", "1", "-q", SERVER, ok=(1,))
    assert "+1 errors" in told


def test_a_closed_port_inside_is_told_outside(world: EdgeWorld) -> None:
    """T5-07: the error quotes what the server sent, or its socket would not be told."""
    assert world.outside(*traffic("refused", PUBLIC)) == "refused\n"
    assert world.inside.execute(11, *traffic("refused", SERVER)) == "refused\n"


def test_the_substrate_is_not_reached_from_outside(world: EdgeWorld) -> None:
    for address in ("100.64.1.10", "100.64.1.20"):
        run("ip", "-n", world.name("router"), "route", "replace", address, "via", outside(1, 2)[0])
        with pytest.raises(AssertionError, match="100% packet loss"):
            world.outside("ping", "-n", "-c", "1", "-W", "0.3", address)


def test_the_edge_itself_answers_its_neighbours(world: EdgeWorld) -> None:
    for number in world.edges:
        assert " 0% packet loss" in world.outside("ping", "-n", "-c", "1", "-W", "1", outside(number, 2)[0])


def test_both_edges_carry_traffic(world: EdgeWorld) -> None:
    before = {number: space.counted(Verdict.SENT) for number, space in world.edges.items()}
    for _ in range(20):
        there = listening(world.begin_outside(*traffic("serve-tcp", SERVER)))
        assert world.inside.execute(11, *traffic("tcp", SERVER, "1000")) == heard(there)
    assert all(space.counted(Verdict.SENT) > before[number] for number, space in world.edges.items())


class Alternating:
    """Both sides turn from one edge to the other and back, as quickly as they can, packets of one flow under way or not."""

    def __init__(self, world: EdgeWorld):
        self.world = world
        self.turns = 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._work)

    def _work(self) -> None:
        while not self.over.is_set():
            here, there = (1, 2) if self.turns % 2 else (2, 1)
            self.world.ways_out(here)
            self.world.ways_in(there)
            self.turns += 1

    def __enter__(self) -> Alternating:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()
        self.world.ways_out(1, 2)
        self.world.ways_in(1, 2)


@pytest.mark.parametrize("family", FAMILIES)
def test_packets_of_one_flow_that_alternate_between_edges_all_arrive(world: EdgeWorld, family: str) -> None:
    """A download by one connection, whose two directions always take different edges and change them all the time."""
    server = FAMILIES[family][0]
    before = {number: space.counted(Verdict.SENT) for number, space in world.edges.items()}
    wanted = hashlib.sha256(data(MEGABYTE)).hexdigest()
    with Alternating(world) as alternating:
        sending = world.begin_outside(*traffic("offer", server, str(MEGABYTE)))
        listening(sending)
        assert heard(world.inside.begin(11, *traffic("fetch", server, "10"))).splitlines()[-1] == f"{MEGABYTE} {wanted}"
        heard(sending)
    assert alternating.turns > 10
    assert all(space.counted(Verdict.SENT) - before[number] > 20 for number, space in world.edges.items())


class Probing:
    """The host's probes, in its namespace, as its agent runs them."""

    def __init__(self, world: EdgeWorld):
        self.world = world
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._work)
        self.running: asyncio.Task[None] | None = None

    def _work(self) -> None:
        inside(self.world.inside.hosts["a"].namespace, self._run)

    def _run(self) -> None:
        edges = tuple(str(space.address) for space in self.world.edges.values())
        rounds = Rounds(str(plan.HOST_A))
        rounds.add(EdgeProbes(lambda: edges, self.world.host.choose_edges))
        self.running = self.loop.create_task(rounds.run())
        try:
            self.loop.run_until_complete(self.running)
        except asyncio.CancelledError:
            self.loop.close()

    def __enter__(self) -> Probing:
        self.thread.start()
        until(lambda: self.running, "the probes run")
        return self

    def __exit__(self, *_: object) -> None:
        if self.running:
            self.loop.call_soon_threadsafe(self.running.cancel)
        self.thread.join()


@pytest.fixture
def probed(world: EdgeWorld) -> Iterator[EdgeWorld]:
    """Both edges live, and the host knows."""
    with Probing(world):
        until(lambda: world.host.edges == plan_edge.living(*(e.address for e in world.edges.values())), "both edges live")
        yield world


def kill(world: EdgeWorld, number: int) -> None:
    """Both of its cables are cut. The router outside notices at once, as BFD would; the host by its probes."""
    for device in ("u0", "x0"):
        run("ip", "-n", world.edges[number].namespace, "link", "set", device, "down")
    world.ways_in(*(n for n in world.edges if n != number))


def revive(world: EdgeWorld, number: int) -> None:
    space = world.edges[number]
    for device in ("u0", "x0"):
        run("ip", "-n", space.namespace, "link", "set", device, "up")
    run("ip", "-n", space.namespace, "address", "replace", f"{outside(number, 2)[1]}/64", "dev", "x0", "nodad")
    lead_out(space.namespace, number)
    world.ways_in(*world.edges)


def test_an_edge_killed_in_the_middle_breaks_no_download(probed: EdgeWorld) -> None:
    """Whichever edge carries it: both die, one after the other, during one connection."""
    wanted = hashlib.sha256(data(MEGABYTES_8)).hexdigest()
    sending = probed.begin_outside(*traffic("offer", SERVER, str(MEGABYTES_8)))
    listening(sending)
    getting = probed.inside.begin(11, *traffic("fetch", SERVER, "400"))
    for number in probed.edges:
        (other,) = probed.edges.keys() - {number}
        assert getting.stdout and getting.stdout.readline() == "another part\n"
        kill(probed, number)
        until(lambda n=other: probed.host.edges == plan_edge.living(probed.edges[n].address), "the other edge is left")
        assert getting.stdout.readline() == "another part\n"
        revive(probed, number)
        until(lambda: probed.host.edges.living == 2, "both edges live")
    assert heard(getting).splitlines()[-1] == f"{MEGABYTES_8} {wanted}"
    heard(sending)


def test_an_edge_whose_program_is_gone_counts_as_dead(probed: EdgeWorld) -> None:
    space = probed.edges[1]
    real, substrate = space.real, plan_edge.ifindex(space.namespace, "u0")
    assert real
    inside(space.namespace, lambda: real.detach(substrate))
    until(lambda: probed.host.edges == plan_edge.living(probed.edges[2].address), "edge 2 is left")
    load_edge(space)
    until(lambda: probed.host.edges.living == 2, "both edges live")


def test_when_all_edges_are_silent_the_host_goes_on_as_before(probed: EdgeWorld) -> None:
    for space in probed.edges.values():
        run("ip", "-n", space.namespace, "link", "set", "u0", "down")
    try:
        before = probed.host.edges
        assert before.living
        with pytest.raises(AssertionError, match="100% packet loss"):
            probed.inside.execute(11, "ping", "-n", "-c", "10", "-i", "0.1", "-W", "0.1", SERVER)
        assert probed.host.edges.living
    finally:
        for number in probed.edges:
            revive(probed, number)
    until(lambda: probed.host.edges.living == 2, "both edges live")
    assert " 0% packet loss" in probed.inside.execute(11, "ping", "-n", "-c", "1", "-W", "1", SERVER)


def test_what_is_larger_than_the_internet_is_told_or_cut() -> None:
    """An instance with a jumbo MTU: TCP learns 1500; UDP that may be cut is cut by the edge's kernel."""
    with edge_world(mtu=3000, substrate_mtu=3100) as jumbo:
        run("ip", "-n", jumbo.inside.instance(11), "link", "set", "eth0", "mtu", "3000")
        there = listening(jumbo.begin_outside(*traffic("serve-udp", SERVER, "20")))
        assert jumbo.inside.execute(11, *traffic("cuttable", SERVER, "2500", "20")) == heard(there)
        there = listening(jumbo.begin_outside(*traffic("serve-tcp", SERVER)))
        assert jumbo.inside.execute(11, *traffic("tcp", SERVER, "3000000")) == heard(there)
        there = listening(jumbo.begin_outside(*traffic("serve-tcp", SERVER_IPV6)))
        assert jumbo.inside.execute(11, *traffic("tcp", SERVER_IPV6, "3000000")) == heard(there)
