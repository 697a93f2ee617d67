"""How long the way is gone when an edge dies, both ways, and what a thousand connections notice of it.

    python -m bench.edge_failover [--kills 20] [--json]

Each kind of death (rookery.testing.through_edges) so often, of either edge in turn. Numbered datagrams, 16 flows a way, one each five
milliseconds: the longest silence of a flow is the gap. A thousand TCP connections meanwhile send checked blocks both ways: how late the latest
block was, TCP's own waiting included, and whether any connection broke.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

from bench.region import NAME, PORT, rookery
from rookery.region.layout import Layout
from rookery.region.status import live_generation, look
from rookery.testing.through_edges import DATAGRAM_PORT, DEATHS, Crowd, Datagrams, thaw
from rookery.tour import twins
from rookery.tour.beach import Beach
from rookery.tour.permission import rule

CONNECTIONS, FLOWS = 1000, 16
EDGES = ("edge-1", "edge-2")
WAYS = ("out", "in")
PATIENCE = 60.0
CALM = 0.5  # seconds without a gap before the next death


def wait_until(true: Callable[[], object], what: str) -> None:
    """Raises RuntimeError."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        if time.monotonic() > deadline:
            raise RuntimeError(f"not within {PATIENCE:.0f} s: {what}")
        time.sleep(0.05)


def _follow(answer: dict[str, Any]) -> None:
    generation = answer["ResponseMetadata"]["HTTPHeaders"].get("x-rookery-generation")
    if generation:
        wait_until(lambda: live_generation(NAME) >= int(generation), "hosts and edges follow")


@contextmanager
def measured_beach() -> Iterator[Beach]:
    """Two hosts, two edges; adelie has an Elastic IP and is open to datagrams."""
    rookery("up", "--hosts", "2", "--zones", "2", "--edges", "2", "--port", str(PORT))
    try:
        beach = Beach(twins.client(NAME), _follow)
        beach.give("adelie")
        shore = beach.ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": ["shore"]}])["SecurityGroups"][0]
        _follow(beach.ec2.authorize_security_group_ingress(GroupId=shore["GroupId"], IpPermissions=[rule("udp", DATAGRAM_PORT)]))
        yield beach
    finally:
        rookery("down")


def in_use() -> bool:
    """Both edges, by both hosts, and all parts well."""
    return look(NAME).healthy and all(_last_told(host).count(",") == len(EDGES) - 1 for host in ("host-1", "host-2"))


def _last_told(host: str) -> str:
    """By a host's agent, of edges that live: "100.64.1.230, 100.64.2.231"."""
    lines = (Layout(NAME).logs / f"{host}.log").read_text().splitlines()
    told = [json.loads(line)["message"] for line in lines if "edges that live" in line]
    return told[-1].partition(": ")[2] if told else ""


def mend(edge: str) -> None:
    thaw(NAME, edge)
    rookery("up")
    wait_until(in_use, "both edges are in use again")


def kill_once(how: str, edge: str, crowd: Crowd, datagrams: Datagrams) -> dict[str, dict[str, float]]:
    datagrams.silence()
    crowd.latest()
    DEATHS[how](NAME, edge)
    time.sleep(CALM)
    found = {"gap": datagrams.silence(), "latest": crowd.latest()}
    mend(edge)
    datagrams.silence(CALM / 10)
    return found


def measure(kills: int) -> dict[str, Any]:
    taken: dict[str, list[dict[str, dict[str, float]]]] = {how: [] for how in DEATHS}
    with measured_beach() as beach:
        instance = beach.instances["adelie"]
        with closing(Crowd(NAME, instance, CONNECTIONS)) as crowd, closing(Datagrams(NAME, instance, beach.address, FLOWS)) as datagrams:
            wait_until(in_use, "both edges are in use")
            for number in range(kills):
                for how, found in taken.items():
                    found.append(kill_once(how, EDGES[number % 2], crowd, datagrams))
                    print(f"{how} {number + 1}: {found[-1]}", file=sys.stderr, flush=True)
            server, client = crowd.finish()
    return {
        "kills": kills,
        "deaths": {how: summary(found) for how, found in taken.items()},
        "connections": CONNECTIONS,
        "broken": server["broken"] + client["broken"],
        "blocks": server["received"] + client["received"],
        "blocks_lost": server["sent"] + client["sent"] - server["received"] - client["received"],
    }


def summary(found: list[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Milliseconds, by "gap, out" and so on."""
    told: dict[str, dict[str, float]] = {}
    for figure in ("gap", "latest"):
        for way in WAYS:
            values = [1000 * one[figure][way] for one in found]
            told[f"{figure}, {way}"] = {"p50": round(statistics.median(values)), "max": round(max(values))}
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measure(options.kills)
    print(json.dumps(found) if options.json else json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
