"""Real IPv6 packets between instances of two hosts, through the attached programs (the kernels do neighbour discovery).

    instance 11 (2001:db8:7:1::5) -- host A --substrate-- host B -- instance 12 (::6), 13 (2001:db8:7:2::7)
    instance 14 (2001:db8:7:1::8) -- host A
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dataplane import plan_ipv6
from tests.dataplane.namespaces import World, run, world

pytestmark = pytest.mark.real_packets
TRAFFIC = str(Path(__file__).resolve().parents[1] / "dataplane" / "traffic.py")
MEGABYTE = 1 << 20
MODES = ["tcx", "clsact"]
PEERS = {"subnet": "2001:db8:7:1::6", "router": "2001:db8:7:2::7", "same host": "2001:db8:7:1::8"}
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


@pytest.fixture(scope="module", params=MODES)
def two_hosts(request: pytest.FixtureRequest) -> Iterator[World]:
    with world(mode=request.param) as made:
        yield made


def ping(made: World, number: int, address: str, *options: str) -> str:
    return made.execute(number, "ping", "-6", "-n", "-c", "2", "-i", "0.05", "-W", "1", *options, address)


def exchange(made: World, receiver: int, sender: int, serve: tuple[str, ...], send: tuple[str, ...]) -> tuple[str, str]:
    """(what was sent, what arrived)."""
    address = plan_ipv6.address(receiver)
    listening = made.begin(receiver, sys.executable, TRAFFIC, serve[0], address, *serve[1:])
    assert listening.stdout and listening.stdout.readline() == "ready\n"
    sent = made.execute(sender, sys.executable, TRAFFIC, send[0], address, *send[1:])
    arrived, complaint = listening.communicate(timeout=20)
    assert listening.returncode == 0, complaint
    return sent, arrived


@pytest.mark.parametrize("address", PEERS.values(), ids=PEERS.keys())
@pytest.mark.parametrize("size", ["56", "1400", "4000"])
def test_pings_of_any_size_are_answered(two_hosts: World, address: str, size: str) -> None:
    assert " 0% packet loss" in ping(two_hosts, 11, address, "-s", size)


@pytest.mark.parametrize("address", PEERS.values(), ids=PEERS.keys())
def test_extension_headers_cross(two_hosts: World, address: str) -> None:
    two_hosts.execute(11, sys.executable, "-c", EXTENDED_PING, address)


@pytest.mark.parametrize("receiver", [12, 13, 14])
def test_tcp_data_arrives_unchanged(two_hosts: World, receiver: int) -> None:
    sent, arrived = exchange(two_hosts, receiver, 11, ("serve-tcp",), ("tcp", str(16 * MEGABYTE)))
    assert arrived == sent


@pytest.mark.parametrize("receiver", [12, 13, 14])
@pytest.mark.parametrize("size", [64, 1400, 4000])
def test_udp_datagrams_arrive_unchanged(two_hosts: World, receiver: int, size: int) -> None:
    sent, arrived = exchange(two_hosts, receiver, 11, ("serve-udp", "20"), ("udp", str(size), "20"))
    assert arrived == sent


@pytest.mark.parametrize("receiver", [12, 13, 14])
def test_datagrams_cut_by_the_kernel_arrive_unchanged(two_hosts: World, receiver: int) -> None:
    sent, arrived = exchange(two_hosts, receiver, 11, ("serve-udp", "40"), ("gso", str(40 * 1200), "1200"))
    assert arrived == sent


def test_a_tenants_own_vxlan_crosses(two_hosts: World) -> None:
    ends = ((11, "2001:db8:7:1::6", "192.168.9.1"), (12, "2001:db8:7:1::5", "192.168.9.2"))
    for number, peer, own in ends:
        name = two_hosts.instance(number)
        run("ip", "-n", name, "link", "add", "x6", "type", "vxlan", "id", "9", "remote", peer, "dstport", "4789")
        run("ip", "-n", name, "address", "add", f"{own}/24", "dev", "x6")
        run("ip", "-n", name, "link", "set", "x6", "up")
    done = two_hosts.execute(11, "ping", "-n", "-c", "2", "-i", "0.05", "-W", "1", "-s", "1300", "192.168.9.2")
    assert " 0% packet loss" in done
    server = two_hosts.begin(12, sys.executable, TRAFFIC, "serve-tcp", "192.168.9.2")
    assert server.stdout and server.stdout.readline() == "ready\n"
    sent = two_hosts.execute(11, sys.executable, TRAFFIC, "tcp", "192.168.9.2", str(8 * MEGABYTE))
    assert server.communicate(timeout=20)[0] == sent


def test_the_router_is_not_pinged_but_found(two_hosts: World) -> None:
    """As over IPv4: it answers who it is, and nothing else."""
    asked = subprocess.run(
        ["ip", "netns", "exec", two_hosts.instance(11), "ping", "-6", "-n", "-c1", "-W1", "2001:db8:7:1::1"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert asked.returncode == 1
    found = run("ip", "-n", two_hosts.instance(11), "-6", "neighbour", "show", "2001:db8:7:1::1")
    assert "02:00:00:00:00:01" in found


def refused_ping(made: World, address: str, size: int) -> str:
    command = ["ping", "-6", "-n", "-c1", "-W1", "-M", "do", "-s", str(size), address]
    done = subprocess.run(
        ["ip", "netns", "exec", made.instance(11), *command], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    return done.stdout + done.stderr


@pytest.mark.parametrize("mode", MODES)
def test_packets_that_do_not_fit_are_refused_with_the_mtu(mode: str) -> None:
    """The instance's device says 1500, the interface carries 1400: path MTU discovery finds out, and TCP goes on."""
    with world(mtu=1400, mode=mode) as made:
        told = refused_ping(made, "2001:db8:7:1::6", 1452)
        assert re.search(r"2001:db8:7:1::1 .*Packet too big: mtu=1400", told), told
        assert made.counted("a", 11, "ANSWERED") >= 1
        sent, arrived = exchange(made, 12, 11, ("serve-tcp",), ("tcp", str(4 * MEGABYTE)))
        assert arrived == sent


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("mtu", [1280, 1400])
def test_tcp_meets_a_smaller_path_and_goes_on(mode: str, mtu: int) -> None:
    """No ping before: TCP's own super-packets are refused, and cut smaller afterwards."""
    with world(mtu=mtu, mode=mode) as made:
        sent, arrived = exchange(made, 13, 11, ("serve-tcp",), ("tcp", str(4 * MEGABYTE)))
        assert arrived == sent
        assert made.counted("a", 11, "DROP_TOO_BIG") == 0


@pytest.mark.parametrize("mode", MODES)
def test_jumbo_packets_cross_to_the_last_byte(mode: str) -> None:
    with world(mtu=9001, mode=mode, substrate_mtu=9216) as made:
        for number in (11, 12, 13):
            run("ip", "-n", made.instance(number), "link", "set", "eth0", "mtu", "9001")
        for address in ("2001:db8:7:1::6", "2001:db8:7:2::7"):
            assert " 0% packet loss" in ping(made, 11, address, "-M", "do", "-s", str(9001 - 48))
        sent, arrived = exchange(made, 12, 11, ("serve-tcp",), ("tcp", str(16 * MEGABYTE)))
        assert arrived == sent
