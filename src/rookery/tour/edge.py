"""`rookery tour edge`: out to the internet and back in, by an Elastic IP; the address moved under a running ping; an edge killed in the
middle of a download. On real packets, each with its trace.

Every step says what should happen, does it, and ends the tour when something else did."""

from __future__ import annotations

import shlex
import signal
import subprocess
import time
from collections.abc import Callable

from botocore.exceptions import BotoCoreError, ClientError

from rookery.region import edges, namespaces, processes
from rookery.region.inside import entering
from rookery.region.parts import bird_of
from rookery.region.start import bring_up
from rookery.tour import twins
from rookery.tour.beach import Beach
from rookery.tour.guide import PAGE, Guide
from rookery.tour.lesson import Lesson, become, expect, teach
from rookery.tour.pings import INTERVAL, Pings
from rookery.tour.twins import StageError
from rookery.tour.walk import TourFailed, goodbye, say, suffix
from rookery.trace.packet import Probe

AWS_REGION = "us-west-2"
LONGEST_SILENCE = 2.0  # seconds; a busy machine's, an idle one needs a tenth
RATE, SECONDS = 2_000_000, 8  # of the download: bytes a second
LOG_LINES = 200


class EdgeGuide(Guide):
    """The stage, and eyes on both sides of the edges."""

    def __init__(self, name: str):
        super().__init__(name)
        self.beach = Beach(twins.client(name, AWS_REGION), self.wait)
        self.instances = self.beach.instances

    def servers_log(self) -> str:
        """What the server outside wrote last."""
        lines = (self.plan.logs / "internet-page.log").read_text().splitlines()
        return "\n".join(lines[-LOG_LINES:])


def take(name: str, progress: Callable[[str], None]) -> None:
    """Raises TourFailed and other RegionErrors; leaves the region running."""
    say(f"A region on this machine: ./rookery up{suffix(name)}")
    shape = bring_up(name, {}, progress)
    if shape.edges < len(("one to die", "one to live")):
        raise TourFailed(f"the region {name} has {shape.edges} edges, and this tour kills one: up --edges 2 makes two")
    say("A VPC with an internet gateway and two instances, adelie and gentoo, by AWS's own client")
    try:
        guide = EdgeGuide(name)
        teach(LESSONS, guide)
    except (BotoCoreError, ClientError) as refused:
        raise StageError(f"the API: {refused}") from refused
    finally:
        bring_up(name, {}, progress)  # mends what the tour broke
    goodbye(name, "adelie", AWS_REGION)


def _no_way_out(guide: EdgeGuide) -> None:
    guide.beach.take_back()
    expect(guide.curl("adelie", f"http://{PAGE}/"), "", "a page for an instance without a public address")
    told = guide.trace("adelie", PAGE, Probe.of(80, None), "--tcp 80")
    if not any("public address" in line for line in told):
        raise TourFailed("the trace does not say that there is no public address")


def _out(guide: EdgeGuide) -> None:
    beach = guide.beach
    beach.give("adelie")
    print(f"    $ aws ec2 associate-address --allocation-id {beach.allocation} --network-interface-id {beach.interfaces['adelie']}")
    seen = guide.curl("adelie", f"http://{guide.page}/")
    print(f"    adelie asks http://{guide.page}/: {seen}")
    expect(seen, f"{PAGE} sees you as {beach.address}", "the page outside")
    if beach.address not in guide.servers_log():
        raise TourFailed(f"the server's log does not name {beach.address}")
    print(f"    the server's log names {beach.address}; 10.60.1.10 never left the VPC")
    guide.trace("adelie", PAGE, Probe.of(80, None), "--tcp 80")


def _in(guide: EdgeGuide) -> None:
    address = guide.beach.address
    become(lambda: guide.curl_from_outside(f"http://{address}/"), "adelie", f"the page at {address}")
    print(f"    the server outside asks http://{address}/ and is answered by adelie")
    guide.trace(PAGE, address, Probe.of(80, None), "--tcp 80")


def _moved(guide: EdgeGuide) -> None:
    beach = guide.beach
    become(lambda: guide.curl_from_outside(f"http://{beach.address}/"), "adelie", "before the move")
    ping = Pings(guide.plan, beach.address)
    try:
        time.sleep(1.0)  # of the ping's life before the move
        beach.give("gentoo")
        become(lambda: guide.curl_from_outside(f"http://{beach.address}/"), "gentoo", "after the move")
        time.sleep(1.0)
    finally:
        told = ping.end()
    if told.answers < 1 / INTERVAL / 2:
        raise TourFailed(f"{told.answers} answers to the ping")
    print(f"    {beach.address} pinged every {1000 * INTERVAL:.0f} ms while it went from adelie to gentoo:")
    print(f"    {told.answers} answers, {told.lost} lost, the longest silence {1000 * told.silence:.0f} ms")
    if told.silence > LONGEST_SILENCE:
        raise TourFailed(f"silence of {told.silence:.1f} s")
    guide.trace(PAGE, beach.address, Probe.of(None, None), "--icmp")


def _killed(guide: EdgeGuide) -> None:
    beach = guide.beach
    size = RATE * SECONDS
    url = f"http://{PAGE}/bytes/{size}?rate={RATE}"
    enter, environment = entering(guide.name, beach.instances["gentoo"], ["curl", "-sS", "-o", "/dev/null", "-w", "%{size_download}", url])
    print(f"    gentoo downloads {size:,} bytes in {SECONDS} seconds: curl {shlex.quote(url)}")
    before = _inward(guide)
    download = subprocess.Popen(enter, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        victim = _busy(guide, before)
        _kill(guide, victim)
        said, complaint = download.communicate(timeout=8 * SECONDS)
    finally:
        download.kill()
    print(f"    {said} bytes arrived over one connection")
    expect((download.returncode, said), (0, str(size)), f"the download ({complaint.strip()})")
    guide.trace("gentoo", PAGE, Probe.of(80, None), "--tcp 80")


def _inward(guide: EdgeGuide) -> dict[str, int]:
    """Packets that each edge brought in."""
    return {
        state.name: state.edge.inward.get("sent", {}).get("packets", 0) for state in edges.states(guide.name) if state.edge
    }


def _busy(guide: EdgeGuide, before: dict[str, int]) -> str:
    """The edge through which the download comes."""

    def grown() -> list[str]:
        return [edge for edge, packets in _inward(guide).items() if packets > before[edge] + 500]

    twins.wait_until(grown, lambda: "no edge brings in a download")
    return grown()[0]


def _kill(guide: EdgeGuide, edge: str) -> None:
    """As a machine dies that loses its power: no process says goodbye, and no device answers."""
    here = guide.plan.host_namespace(edge)
    for part in (edge, bird_of(edge)):
        processes.send(guide.process(part), signal.SIGKILL)
    namespaces.batch(here, ["link delete x0", "link delete u0"])
    print(f"    {edge}, through which it comes, is killed: its agent, its BIRD, both its devices")


LESSONS = (
    Lesson("An instance without a public address has no way out, whatever its routes say", _no_way_out),
    Lesson("Out: an Elastic IP is associated, and the world sees the instance as that", _out),
    Lesson("In: the world asks for that address, and the instance answers", _in),
    Lesson("The address moves to another instance under a running ping", _moved),
    Lesson("An edge is killed in the middle of a download: another goes on with it", _killed),
)
