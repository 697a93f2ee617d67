"""`rookery tour region`: shows, and at each step checks, what a region does. A step that does not hold ends the tour with what
was seen instead. Run again, it finds what it made before."""

from __future__ import annotations

import queue
import shlex
import subprocess
import threading
from collections.abc import Callable
from functools import partial

from rookery.host.control import EventLine, GetStatus, StatusReply
from rookery.model.objects import Vpc
from rookery.region import agents, directory
from rookery.region.directory import Directory
from rookery.region.errors import RegionError
from rookery.region.inside import entering
from rookery.region.layout import CHECKOUT, Layout
from rookery.region.start import bring_up
from rookery.region.status import current
from rookery.tour import forgery, twins
from rookery.trace.journey import travel
from rookery.trace.packet import Probe
from rookery.trace.telling import drop_line, tell

TWIN = "10.0.2.10"
ONLY_RED, ONLY_BLUE = "10.0.1.10", "10.0.1.20"
FORGED = "drop_source_not_at_host"
PATIENCE = 10.0  # seconds


class TourFailed(RegionError):
    """Something is not as this project promises."""


def take(name: str, progress: Callable[[str], None]) -> None:
    """Raises TourFailed and other RegionErrors; leaves the region running."""
    say(f"A region on this machine: ./rookery up{suffix(name)}")
    bring_up(name, {}, progress)
    say("Two VPCs, both 10.0.0.0/16, two instances in each, by AWS's own client")
    ids = twins.set_up(name)
    _show_placement(name, ids)
    _pings_inside(name)
    _twin_addresses(name)
    _nothing_crosses(name)
    _trace(name)
    _forgery(name)
    goodbye(name)


def _show_placement(name: str, ids: dict[str, str]) -> None:
    known = directory.read(current(name).layout)
    hosts = set()
    for actor in twins.ACTORS:
        instance = known.instance(ids[actor.name])
        hosts.add(instance.host)
        print(f"  {actor.name:<7} {instance.id}  {actor.address:<10}  zone {actor.zone}, {instance.host}")
    if len(hosts) < min(len(ids), sum(not host.is_edge for host in known.hosts.values())):
        raise TourFailed(f"four instances on {len(hosts)} hosts only: {sorted(hosts)}")


def _pings_inside(name: str) -> None:
    say("Inside each VPC instances reach each other, across hosts and zones")
    for one, address in (("red-1", TWIN), ("blue-1", TWIN)):
        twins.wait_until(partial(ping, name, one, address), lambda: "no ping came back")
        done = run(name, one, "ping", "-c3", "-i0.2", "-W2", address, show=True)
        if done.returncode:
            raise TourFailed(f"{one} cannot reach {address}:\n{done.stdout}{done.stderr}")
        print("   ", done.stdout.strip().splitlines()[-2])


def _twin_addresses(name: str) -> None:
    say(f"{TWIN} is in both VPCs: each is answered by its own")
    for one, expected in (("red-1", "red-2"), ("blue-1", "blue-2")):
        twins.wait_until(partial(_page, name, one), lambda: "the web servers do not answer")
        answer = _page(name, one, show=True)
        print(f"    {answer}")
        if answer != expected:
            raise TourFailed(f"{one} asked {TWIN} and was answered by {answer!r}, not by {expected}")


def _nothing_crosses(name: str) -> None:
    say("Nothing crosses: an address of the other VPC is nobody's, and the machine says so")
    for one, address in (("red-2", ONLY_BLUE), ("blue-2", ONLY_RED)):
        if ping(name, one, address, show=True):
            raise TourFailed(f"{one} reached {address}, which is in the other VPC")
        told = travel(name, one, address, Probe.of(None, None))
        if told.delivered:
            raise TourFailed(f"a trace from {one} to {address} was delivered, across VPCs")
        print(f"    no answer; {list(tell(told))[-1]}")


def _trace(name: str) -> None:
    say("A made packet through the programs and maps that are loaded now")
    print(f"  $ ./rookery trace{suffix(name)} red-1 red-2 --tcp 80")
    told = travel(name, "red-1", "red-2", Probe.of(80, None))
    for line in tell(told):
        print(f"    {line}")
    if not told.delivered:
        raise TourFailed("the trace was not delivered")


def _forgery(name: str) -> None:
    plan = current(name).layout
    known = directory.read(plan)
    victim, liar = known.instance("red-2"), known.instance("blue-2").host
    say(f"A lie: {liar} sends {victim.host} a packet of red-1, which does not live there")
    seen = _send_and_watch(plan, known, liar)
    print("   ", drop_line(seen, known))
    twins.wait_until(lambda: bool(_alarms(plan, victim.host)), lambda: f"{victim.host} raised no alarm")
    print(f"    alarm at {victim.host}: {_alarms(plan, victim.host)[-1]}")


def _send_and_watch(plan: Layout, known: Directory, liar: str) -> EventLine:
    """The drop that the receiving host reports."""
    claimed = known.interface(known.instance("red-1").interface_ids[0])
    victim = known.instance("red-2")
    target = known.interface(victim.interface_ids[0])
    vpc = known.resources[victim.vpc_id]
    assert isinstance(vpc, Vpc)
    inner = forgery.ping_frame(claimed.mac, target.mac, claimed.primary, target.primary)
    payload = forgery.forge(vpc.vni, claimed.number, inner)
    events: queue.Queue[EventLine] = queue.Queue()
    listening = threading.Event()
    collect = partial(_collect, plan, victim.host, events, listening.set)
    threading.Thread(target=collect, daemon=True).start()
    if not listening.wait(PATIENCE):
        raise TourFailed(f"{victim.host} cannot be watched")
    forgery.send_from(plan, liar, known.host(victim.host).address, payload)
    while True:
        try:
            event = events.get(timeout=PATIENCE)
        except queue.Empty:
            raise TourFailed(f"{victim.host} reported no {FORGED}") from None
        if event.verdict == FORGED and event.step == "dropped":
            return event


def _collect(
    plan: Layout, host: str, events: queue.Queue[EventLine], listening: Callable[[], None]
) -> None:
    for event in agents.watch_drops(plan.control_socket(host), listening):
        events.put(event)


def _alarms(plan: Layout, host: str) -> list[str]:
    return agents.ask(plan.control_socket(host), GetStatus(), StatusReply).alarms


def goodbye(name: str, actor: str = "red-1", aws_region: str = "") -> None:
    named = suffix(name)
    where = f" --region {aws_region}" if aws_region else ""
    say("The region stays up. Go on with AWS's own clients, or look inside:")
    print(f"""
    cd {CHECKOUT}
    eval "$(./rookery env{named})"
    aws ec2 describe-vpcs{where}
    ./rookery status{named}
    ./rookery exec{named} {actor} -- sh
    ./rookery mappings{named}
    ./rookery watch{named}
    ./rookery down{named}
""")


def ping(name: str, one: str, address: str, show: bool = False) -> bool:
    return run(name, one, "ping", "-c1", "-W1", address, show=show).returncode == 0


def _page(name: str, one: str, show: bool = False) -> str:
    done = run(name, one, "curl", "--silent", "--max-time", "2", f"http://{TWIN}/", show=show)
    return done.stdout.strip() if done.returncode == 0 else ""


def run(name: str, one: str, *command: str, show: bool = False) -> subprocess.CompletedProcess[str]:
    if show:
        print(f"  $ ./rookery exec{suffix(name)} {one} -- {shlex.join(command)}")
    enter, environment = entering(name, one, list(command))
    return subprocess.run(
        enter, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


def suffix(name: str) -> str:
    return "" if name == "dev" else f" --name {name}"


def say(what: str) -> None:
    print(f"\n{what}", flush=True)
