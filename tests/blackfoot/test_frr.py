"""Two implementations meet: the BIRDs of two edges, with the configuration that their agents write, and FRR as the router outside.

    edge-1  x0 198.51.100.1 --+
                              +-- outside: zebra, bfdd, bgpd
    edge-2  x0 198.51.100.3 --+
"""

from __future__ import annotations

import secrets
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rookery.blackfoot.announcer import Announcer
from rookery.blackfoot.config import EdgeConfig, Neighbour
from rookery.host.instances import namespace
from rookery.region.layout import EDGE_ASN, OUTSIDE_ASN, uplink_addresses
from tests.blackfoot.frr import Edge, Frr, bgp
from tests.blackfoot.one_edge import POOL, OneEdge
from tests.netns.two_hosts import run
from tests.waiting import until

pytestmark = pytest.mark.real_packets

BLOCK, DEFAULT = "2001:db8:7::/56", {"0.0.0.0/0", "::/0"}
ROUTER_ID = "192.0.2.80"
ADDRESSES = {f"edge-{n + 1}": uplink_addresses(n) for n in (0, 1)}
PATIENCE = 1.5  # seconds for what takes a fifth of one: a busy machine


class Outside:
    def __init__(self, folder: Path):
        self.folder = folder
        self.prefix = f"rookery-t{secrets.token_hex(3)}"
        self.birds: dict[str, subprocess.Popen[bytes]] = {}
        self.announcers: dict[str, Announcer] = {}
        self.frr: Frr | None = None

    def netns(self, name: str) -> str:
        return f"{self.prefix}-{name}"

    def build(self) -> None:
        namespace.prepare()
        for name in ("outside", *ADDRESSES):
            namespace.create(self.netns(name))
            run("ip", "-netns", self.netns(name), "link", "set", "lo", "up")
        for name in ADDRESSES:
            self._connect(name)
            self._start(name)
        edges = [Edge(edge[0], EDGE_ASN) for _, edge in ADDRESSES.values()]
        self.frr = Frr(self.netns("outside"), bgp(OUTSIDE_ASN, ROUTER_ID, edges))

    def _connect(self, name: str) -> None:
        run("ip", "link", "add", "x0", "netns", self.netns(name), "type", "veth", "peer", "name", name, "netns", self.netns("outside"))
        router, edge = ADDRESSES[name]
        for there, device, (ipv4, ipv6) in (("outside", name, router), (name, "x0", edge)):
            here = ("ip", "-netns", self.netns(there))
            run(*here, "address", "add", f"{ipv4}/31", "dev", device)
            run(*here, "address", "add", f"{ipv6}/64", "dev", device, "nodad")
            run(*here, "link", "set", device, "up")

    def config(self, name: str) -> EdgeConfig:
        (router, _), (own, own_ipv6) = ADDRESSES[name]
        return msgspec.structs.replace(
            OneEdge(self.folder).config,
            name=name,
            run_directory=str(self.folder / name),
            uplink_address=own,
            uplink_ipv6=own_ipv6,
            neighbours=[Neighbour(address=router, asn=OUTSIDE_ASN)],
        )

    def _start(self, name: str) -> None:
        config = self.config(name)
        Path(config.run_directory).mkdir()
        self.announcers[name] = Announcer(config)
        self.announcers[name].announce(())
        files = ("-c", str(config.bird_config), "-s", str(config.bird_socket))
        command = ("nsenter", f"--net=/run/netns/{self.netns(name)}", "--", "/usr/sbin/bird", "-f", *files)
        with (self.folder / f"{name}.log").open("ab") as log:
            self.birds[name] = subprocess.Popen(command, stderr=log)
        until(lambda: self.announcers[name].announce((POOL, BLOCK)) is None and not self.announcers[name].problem, "BIRD listens")

    def ways(self, block: str) -> set[str]:
        """Edges by which the kernel of the router outside reaches a block: what FRR made of it."""
        said = run("ip", "-netns", self.netns("outside"), "-6" if ":" in block else "-4", "route", "show", block)
        return {name for name in ADDRESSES if f"dev {name}" in said}

    def wait_ways(self, *edges: str) -> None:
        def there() -> bool:
            return all(self.ways(block) == set(edges) for block in (POOL, BLOCK))

        until(there, self.told)

    def told(self) -> str:
        assert self.frr
        return run("ip", "-netns", self.netns("outside"), "route") + self.frr.log()

    def bfd(self) -> dict[str, str]:
        """By the edges' addresses."""
        assert self.frr
        return {one["peer"]: one["status"] for one in self.frr.asked("show bfd peers")}

    def remove(self) -> None:
        if self.frr:
            self.frr.close()
        for bird in self.birds.values():
            bird.send_signal(signal.SIGCONT)
            bird.kill()
            bird.wait()
        for name in namespace.named(self.prefix):
            namespace.remove(name)


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    made = Outside(tmp_path_factory.mktemp("frr"))
    try:
        made.build()
        made.wait_ways("edge-1", "edge-2")
        until(lambda: set(made.bfd().values()) == {"up"} and len(made.bfd()) == 2, lambda: str(made.bfd()))
        yield made
    finally:
        made.remove()


def test_frr_spreads_both_families_over_both_edges(outside: Outside):
    assert outside.frr
    for family, block in (("ip", POOL), ("ipv6", BLOCK)):
        until(lambda said=f"show {family} route {block}": spread(outside.frr.asked(said)), outside.told)


def spread(told: dict[str, list[dict[str, Any]]]) -> bool:
    """By the one route of BGP, which is in the kernel with both edges."""
    return [
        (route["protocol"], [hop["interfaceName"] for hop in route["nexthops"] if hop.get("fib")])
        for routes in told.values()
        for route in routes
    ] == [("bgp", list(ADDRESSES))]


def test_edges_learn_the_way_out_from_frr_in_both_families(outside: Outside):
    for name in ADDRESSES:
        for family in ("-4", "-6"):
            said = ("ip", "-netns", outside.netns(name), family, "route", "show", "default", "proto", "bird")
            until(lambda said=said: run(*said), f"{name} knows the way out")
        assert outside.announcers[name].announced() == sorted((POOL, BLOCK))


@contextmanager
def stood_still(bird: subprocess.Popen[bytes]) -> Iterator[None]:
    bird.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        bird.send_signal(signal.SIGCONT)


def test_an_edge_that_stands_still_is_left_by_frrs_bfd_and_comes_back(outside: Outside):
    with stood_still(outside.birds["edge-1"]):
        began = time.monotonic()
        outside.wait_ways("edge-2")
        assert time.monotonic() - began < PATIENCE, "BGP's own timer is nine seconds"
    outside.wait_ways("edge-1", "edge-2")


def test_an_edge_that_drains_keeps_its_session_with_frr_and_is_left(outside: Outside):
    outside.announcers["edge-2"].announce(())
    outside.wait_ways("edge-1")
    assert [one.state for one in outside.announcers["edge-2"].sessions()] == ["Established"]
    outside.announcers["edge-2"].announce((POOL, BLOCK))
    outside.wait_ways("edge-1", "edge-2")
