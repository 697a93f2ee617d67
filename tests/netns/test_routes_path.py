"""Real packets where routes lead: through a guest that forwards, and into a peer.

    instance 11 (10.7.1.5) --+            +-- 12 (10.7.1.6), 13 (10.7.2.7)
    18, an appliance --------+-- A -- B --+
    32 (10.6.1.6) -----------+            +-- 31 (10.6.1.5)            10.6.0.0/16: a peer

Between the subnets of 11, 12 and 13 both ways lead to 18.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Network

import pytest

from tests.dataplane import plan
from tests.dataplane.model import Route
from tests.dataplane.namespaces import OWN_MODE, World, exchange, ping, world

pytestmark = pytest.mark.real_packets
APPLIANCE = 18
LED = [IPv4Network("10.7.1.0/24"), IPv4Network("10.7.2.0/24")]
MEGABYTE = 1 << 20


@pytest.fixture(scope="module")
def hosts() -> Iterator[World]:
    instances = {"a": (11, APPLIANCE, 32), "b": (12, 13, 31)}
    with world(mode=OWN_MODE, instances=instances) as made:
        for space in made.hosts.values():
            space.tables.routes.update({(1, net): Route("interface", APPLIANCE) for net in LED})
            assert space.dataplane
            plan.fill(space.dataplane, space.tables)
        made.execute(APPLIANCE, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv4.conf.all.send_redirects=0",
                     "net.ipv4.conf.eth0.send_redirects=0")  # fmt: skip
        yield made


def ttls(said: str) -> set[str]:
    return set(re.findall(r"ttl=(\d+)", said))


def test_a_ping_and_its_answer_pass_the_appliance(hosts: World) -> None:
    before = hosts.counted("a", APPLIANCE, "DELIVERED")
    assert ttls(ping(hosts, 11, "10.7.2.7")) == {"63"}
    assert hosts.counted("a", APPLIANCE, "DELIVERED") == before + 4


def test_within_the_subnet_none_passes_it(hosts: World) -> None:
    before = hosts.counted("a", APPLIANCE, "DELIVERED")
    assert ttls(ping(hosts, 11, "10.7.1.6")) == {"64"}
    assert hosts.counted("a", APPLIANCE, "DELIVERED") == before


@pytest.mark.parametrize(("receiver", "sender"), [(13, 11), (11, 13), (12, 13)])
def test_tcp_crosses_the_appliance_whole(hosts: World, receiver: int, sender: int) -> None:
    """From 13 to 12: in over the substrate, and out over it again."""
    before = hosts.counted("a", APPLIANCE, "DELIVERED")
    sent, arrived = exchange(hosts, receiver, sender, ("serve-tcp",), ("tcp", str(4 * MEGABYTE)))
    assert arrived == sent
    assert hosts.counted("a", APPLIANCE, "DELIVERED") > before + 100


def test_large_datagrams_cross_the_appliance_in_fragments(hosts: World) -> None:
    sent, arrived = exchange(hosts, 12, 13, ("serve-udp", "20"), ("udp", "4000", "20"))
    assert arrived == sent


def test_what_the_appliance_does_not_pass_on_arrives_nowhere(hosts: World) -> None:
    hosts.execute(APPLIANCE, "sysctl", "-qw", "net.ipv4.ip_forward=0")
    try:
        with pytest.raises(AssertionError, match="100% packet loss"):
            ping(hosts, 11, "10.7.2.7")
    finally:
        hosts.execute(APPLIANCE, "sysctl", "-qw", "net.ipv4.ip_forward=1")


def test_with_its_check_on_the_appliance_gets_nothing(hosts: World) -> None:
    space = hosts.hosts["a"]
    row = space.tables.local[plan.VPC, APPLIANCE]
    assert space.dataplane
    space.dataplane.local_interfaces.put_many(
        plan.local_rows(replace(space.tables, local={(plan.VPC, APPLIANCE): replace(row, source_check=True)}))
    )
    try:
        with pytest.raises(AssertionError, match="100% packet loss"):
            ping(hosts, 11, "10.7.2.7")
        assert hosts.counted("a", APPLIANCE, "DROP_DESTINATION_CHECK") == 2
    finally:
        plan.fill(space.dataplane, space.tables)


@pytest.mark.parametrize("address", ["10.6.1.5", "10.6.1.6"], ids=["another host", "the same host"])
def test_a_peer_is_no_hop_away(hosts: World, address: str) -> None:
    """A TTL of 1 is enough, and comes back whole."""
    assert ttls(ping(hosts, 11, address, "-t", "1")) == {"64"}


def test_tcp_crosses_a_peering_whole(hosts: World) -> None:
    sent, arrived = exchange(hosts, 31, 11, ("serve-tcp",), ("tcp", str(4 * MEGABYTE)))
    assert arrived == sent
