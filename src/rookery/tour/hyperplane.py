"""`rookery tour hyperplane`: a private instance downloads while the nodes of its cell die one after the other; a balancer's targets come and
go under load; a service is consumed from a VPC of the same addresses. On real packets, each with its trace.

Every step says what should happen, does it, and ends the tour when something else did."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

from botocore.exceptions import BotoCoreError, ClientError

from rookery.region import cells, namespaces, processes
from rookery.region.start import bring_up
from rookery.tour import twins
from rookery.tour.colony import CHECKED, SERVED, SERVERS, Colony
from rookery.tour.guide import PAGE, Guide
from rookery.tour.lesson import Lesson, become, expect, teach
from rookery.tour.talk import Talker, talker_in, talker_outside
from rookery.tour.twins import StageError
from rookery.tour.walk import TourFailed, goodbye, say, suffix
from rookery.trace.packet import Probe

AWS_REGION = "eu-west-1"
PACE, SIZE = 2_000_000, 200_000_000  # of the download: bytes a second, bytes
GOES_ON = 1_000_000  # bytes that come while a node is dead
PAUSE = 0.02  # seconds between two connections of the load
SOON = 5.0  # seconds from a change of targets to its last effect
SILENCE = 0.7  # seconds
PATIENCE = 3.0


class CellGuide(Guide):
    """The stage, a program in each instance and one outside, and the nodes."""

    def __init__(self, name: str):
        super().__init__(name)
        self.colony = Colony(twins.client(name, AWS_REGION), twins.client(name, AWS_REGION, "elbv2"), self.wait)
        self.instances = self.colony.instances
        self.talkers: dict[str, Talker] = {}

    def talk(self, one: str) -> Talker:
        if one not in self.talkers:
            outside = one == "outside"
            self.talkers[one] = talker_outside(self.plan.page_namespace) if outside else talker_in(self.name, self.instances[one])
        return self.talkers[one]

    def mend(self) -> None:
        """What the tour broke."""
        bring_up(self.name, {}, lambda _: None)
        twins.wait_until(lambda: not self.trouble(), lambda: f"nodes do not come back: {self.trouble()}")

    def end(self) -> None:
        for talker in self.talkers.values():
            talker.end()

    def nodes(self) -> list[str]:
        return [node.name for cell in cells.look_at_all(self.name) for node in cell.nodes]

    def trouble(self) -> dict[str, str]:
        """Of nodes, by name."""
        return {node.name: node.problem for cell in cells.look_at_all(self.name) for node in cell.nodes if node.problem}


def take(name: str, progress: Callable[[str], None]) -> None:
    """Raises TourFailed and other RegionErrors; leaves the region running, and nothing at its cell."""
    say(f"A region on this machine: ./rookery up{suffix(name)}")
    shape = bring_up(name, {}, progress)
    fewest = min((cell.nodes for cell in shape.the_cells), default=0)
    if fewest < len(("one to die", "one to live")) or not shape.edges:
        raise TourFailed(f"the region {name} has {shape.cells_in_words} and {shape.edges} edges; this tour needs two nodes in each cell, and an edge")
    say("A VPC whose nests are private, and one of the same addresses, by AWS's own client")
    try:
        guide = CellGuide(name)
        try:
            teach(LESSONS, guide)
        finally:
            guide.end()
            guide.mend()
        say("What was made at the cell is taken away: endpoint, service, balancer, target group, NAT gateway, Elastic IP")
        guide.colony.clear()
    except (BotoCoreError, ClientError) as refused:
        raise StageError(f"the API: {refused}") from refused
    goodbye(name, "king", AWS_REGION)


# 1. NAT


def _private(guide: CellGuide) -> None:
    nat, public = guide.colony.make_nat()
    print(f"    $ aws ec2 create-nat-gateway --subnet-id {guide.colony.subnets['colony-shore']} --allocation-id ...  # {nat}, {public}")
    become(lambda: guide.curl("king", f"http://{PAGE}/"), f"{PAGE} sees you as {public}", "the page outside")
    print(f"    king (10.62.1.10, no public address) asks http://{PAGE}/: {PAGE} sees you as {public}")
    told = guide.trace("king", PAGE, Probe.of(80, None), "--tcp 80")
    if not any("node-" in line for line in told):
        raise TourFailed("the trace does not go through a node")


def _nodes_die(guide: CellGuide) -> None:
    king = guide.talk("king")
    king("download", "big", PAGE, f"/bytes/{SIZE}", PACE)
    print(f"    king downloads {SIZE:,} bytes over one connection")
    for node in guide.nodes():
        print(f"    {node} is killed, its agent and its device: {_without(guide, node):,} bytes come while it is dead")
        guide.mend()
    king("hurry", "big")
    twins.wait_until(lambda: king("downloaded", "big")[1], lambda: "the download does not end")
    expect(king("downloaded", "big"), [SIZE, True, ""], "the download")
    print(f"    all {SIZE:,} bytes came, over the same connection; every node had been dead meanwhile, and is back")


def _without(guide: CellGuide, node: str) -> int:
    """Bytes that come."""
    begun = _received(guide)
    _kill(guide, node)
    twins.wait_until(lambda: _received(guide) >= begun + GOES_ON, lambda: f"the download stands still without {node}")
    return _received(guide) - begun


def _received(guide: CellGuide) -> int:
    received, over, complaint = guide.talk("king")("downloaded", "big")
    if complaint or over:
        raise TourFailed(f"the download ended after {received:,} bytes: {complaint or 'too early'}")
    return int(received)


def _kill(guide: CellGuide, node: str) -> None:
    """As a machine dies that loses its power: no process says goodbye, and no device answers."""
    namespaces.batch(guide.plan.host_namespace(node), ["link delete u0"])
    processes.send(guide.process(node), signal.SIGKILL)


# 2. Balancer


def _load(guide: CellGuide) -> None:
    colony, outside = guide.colony, guide.talk("outside")
    for server in SERVERS:
        for port in (SERVED, CHECKED):
            guide.talk(server)("greet", server, port)
    private, public = colony.make_balancer()
    print(f"    $ aws elbv2 create-load-balancer --type network --scheme internet-facing ...    # {private}, {public}")
    colony.register("king", "rockhopper")
    become(colony.states, {"king": "healthy", "rockhopper": "healthy"}, "the targets")
    become(lambda: _first(outside("ask", public, SERVED, SILENCE)) in SERVERS, True, "an answer to the world")
    said = outside("ask", public, SERVED, PATIENCE)
    expect(_seen(said), PAGE, "whom the target sees")
    print(f"    the server outside connects to {public}: {said}, its own address and port")
    guide.trace(PAGE, public, Probe.of(SERVED, None), f"--tcp {SERVED}")
    outside("keep_asking", public, SERVED, PAUSE, PATIENCE)
    print(f"    from now on it connects {1 / PAUSE:.0f} times a second")
    held = {name: _hold(guide, public, name) for name in ("king", "rockhopper")}
    _come(guide, public)
    _go(guide, public, held["king"])
    _fail(guide, public, held["rockhopper"])
    outside("ask_no_more")
    answered = outside("what_was_answered", public, SERVED)
    print(f"    {sum(answered.values()):,} connections: " + ", ".join(f"{count:,} by {name}" for name, count in answered.items()))
    expect(set(answered) - set(SERVERS), set(), "connections that nobody answered")


def _first(said: str) -> str:
    return said.partition(" ")[0]


def _seen(said: str) -> str:
    """By who greets: "king sees 192.0.2.80 40000"."""
    return said.partition(" sees ")[2].partition(" ")[0]


def _hold(guide: CellGuide, public: str, name: str) -> str:
    """A connection to this target that stays."""
    outside = guide.talk("outside")
    twins.wait_until(lambda: _first(outside("hold", "new", public, SERVED, PATIENCE)) == name, lambda: f"{name} is never chosen")
    outside("call", "new", f"held by {name}")
    return f"held by {name}"


def _count(guide: CellGuide, public: str, name: str) -> int:
    answered: dict[str, int] = guide.talk("outside")("what_was_answered", public, SERVED)
    return answered.get(name, 0)


def _come(guide: CellGuide, public: str) -> None:
    guide.colony.register("macaroni")
    began = time.monotonic()
    twins.wait_until(lambda: _count(guide, public, "macaroni"), lambda: "macaroni gets no connection")
    _soon("macaroni is registered: its first connection", time.monotonic() - began)


def _go(guide: CellGuide, public: str, held: str) -> None:
    guide.colony.deregister("king")
    began = time.monotonic()
    last = _last_of(guide, public, "king", began)
    _soon("king is deregistered: its last new connection", last - began)
    expect(guide.talk("outside")("exchange", held, PATIENCE), "alive", "the connection that king has")
    print("    the connection that king had before goes on")


def _fail(guide: CellGuide, public: str, held: str) -> None:
    """It serves as before; what its health check asks does not answer."""
    guide.talk("rockhopper")("leave", CHECKED)
    become(lambda: guide.colony.states().get("rockhopper"), "unhealthy", "rockhopper")
    _last_of(guide, public, "rockhopper", time.monotonic())
    become(lambda: guide.talk("outside")("exchange", held, PATIENCE), "reset", "the connection that rockhopper has")
    print("    rockhopper fails its health checks: it gets no new connection, and the one that it had is reset")


def _last_of(guide: CellGuide, public: str, name: str, since: float) -> float:
    """When the last new connection was seen, once there was none for a second."""
    count, last = _count(guide, public, name), since
    while time.monotonic() - last < 1.0:
        time.sleep(PAUSE)
        if (now := _count(guide, public, name)) != count:
            count, last = now, time.monotonic()
        if last - since > twins.PATIENCE:
            raise TourFailed(f"{name} goes on getting connections")
    return last


def _soon(what: str, seconds: float) -> None:
    print(f"    {what} after {seconds:.1f} s")
    if seconds > SOON:
        raise TourFailed(f"{what} after {seconds:.1f} s, and should be within {SOON:.0f}")


# 3. PrivateLink


def _consumed(guide: CellGuide) -> None:
    colony, visitor = guide.colony, guide.talk("visitor")
    service, endpoint, address = colony.make_endpoint()
    print(f"    {service} offers the balancer; {endpoint} in the island has {address}. There visitor has 10.62.1.10, as king has in the colony")
    expect(visitor("ask", address, SERVED, SILENCE), "silent", "an endpoint that nobody has accepted")
    print("    nobody has accepted the endpoint: silence")
    colony.accept(service, endpoint)
    become(lambda: _first(visitor("ask", address, SERVED, SILENCE)), "macaroni", "who answers")
    name = colony.name_of(endpoint)
    become(lambda: visitor("look_up", name), [address], f"the name {name}")
    said = visitor("ask", name, SERVED, PATIENCE)
    print(f"    accepted: visitor connects to {name}:\n      {said}")
    expect(_seen(said), colony.front()[0], "whom the target sees")
    print("    it sees the balancer, in a VPC of its own; neither VPC knows anything of the other's addresses")
    guide.trace("visitor", address, Probe.of(SERVED, None), f"--tcp {SERVED}")
    colony.reject(service, endpoint)
    become(lambda: visitor("ask", address, SERVED, SILENCE), "silent", "an endpoint that is rejected")
    print("    the provider rejects the endpoint: silence again")


LESSONS = (
    Lesson("A private instance reaches the world through a NAT gateway, and is seen as that", _private),
    Lesson("It downloads while the nodes behind the gateway die, one after the other", _nodes_die),
    Lesson("The targets of a balancer come, go and fail under load", _load),
    Lesson("A service is consumed through PrivateLink, from a VPC of the same addresses", _consumed),
)
