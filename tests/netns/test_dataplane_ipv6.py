"""What only IPv6 has, in real packets between instances of two hosts (test_dataplane_path.py has what both families do).

    instance 11 (2001:db8:7:1::5) -- host A --substrate-- host B -- instance 12 (::6), 13 (2001:db8:7:2::7)
    instance 14 (2001:db8:7:1::8) -- host A

The kernels do neighbour discovery.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.dataplane import plan_ipv6
from tests.dataplane.namespaces import OWN_MODE, World, run, world

pytestmark = pytest.mark.real_packets
PEERS = {"subnet": 12, "router": 13, "same host": 14}
EXTENDED_PING = """
import socket, struct, sys
echo = struct.pack("!BBHHH", 128, 0, 0, 77, 1) + b"x" * 56
with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as here:
    here.settimeout(5)
    option = bytes((0, 0, 1, 4, 0, 0, 0, 0))  # padding
    here.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_HOPOPTS, option)
    here.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_DSTOPTS, option)
    here.sendto(echo, (sys.argv[1], 0))
    while here.recv(2000)[:1] != bytes((129,)):
        pass
"""


@pytest.fixture(scope="module")
def two_hosts() -> Iterator[World]:
    with world(mode=OWN_MODE) as made:
        yield made


@pytest.mark.parametrize("peer", PEERS.values(), ids=PEERS.keys())
def test_extension_headers_cross(two_hosts: World, peer: int) -> None:
    two_hosts.execute(11, sys.executable, "-c", EXTENDED_PING, plan_ipv6.address(peer))


def test_the_router_is_not_pinged_but_found(two_hosts: World) -> None:
    """As over IPv4: it answers who it is, and nothing else."""
    asked = subprocess.run(
        ["ip", "netns", "exec", two_hosts.instance(11), "ping", "-6", "-n", "-c1", "-W1", "2001:db8:7:1::1"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert asked.returncode == 1
    found = run("ip", "-n", two_hosts.instance(11), "-6", "neighbour", "show", "2001:db8:7:1::1")
    assert "02:00:00:00:00:01" in found
