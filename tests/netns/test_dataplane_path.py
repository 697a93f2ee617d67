"""Real packets between instances of two hosts, through the attached programs.

    instance 11 (10.7.1.5) -- host A --substrate-- host B -- instance 12 (10.7.1.6), 13 (10.7.2.7)
    instance 14 (10.7.1.8) -- host A

IPv6: 2001:db8:7:<subnet>::<the same last number>. What only IPv6 has is in test_dataplane_ipv6.py.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import pytest

from rookery.dataplane.events import Event
from rookery.dataplane.formats import WhatIfMark
from tests.dataplane import plan, plan_ipv6
from tests.dataplane.namespaces import MODES, OWN_MODE, World, exchange, inside, ping, resize, run, world

pytestmark = pytest.mark.real_packets
MEGABYTE = 1 << 20
PEERS = {"subnet": 12, "router": 13, "same host": 14}


class Family(NamedTuple):
    version: str
    headers: int  # of a ping, in bytes
    router: str  # of interface 11
    too_big: str  # what ping says when it is refused; {} is the size

    def address(self, number: int) -> str:
        return plan_ipv6.address(number) if self.version == "-6" else str(plan.interface(number).primary)


FAMILIES = {
    "IPv4": Family("-4", 28, "10.7.1.1", "Frag needed and DF set (mtu = {})"),
    "IPv6": Family("-6", 48, plan_ipv6.ROUTERS[1], "Packet too big: mtu={}"),
}
NARROW = {  # what is narrower than the instance's device, which says 1500; and what fits then
    "interface": ({"mtu": 1400}, 1400),
    "interface, the least of IPv6": ({"mtu": 1280}, 1280),
    "substrate": ({"substrate_mtu": 1400 + 66}, 1400),
}
both_families = pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES.keys())


@pytest.fixture(scope="module")
def two_hosts() -> Iterator[World]:
    with world(mode=OWN_MODE) as made:
        yield made


@both_families
@pytest.mark.parametrize("peer", PEERS.values(), ids=PEERS.keys())
@pytest.mark.parametrize("size", ["56", "1400", "4000"])
def test_pings_of_any_size_are_answered(two_hosts: World, family: Family, peer: int, size: str) -> None:
    assert " 0% packet loss" in ping(two_hosts, 11, family.address(peer), "-s", size)


@both_families
@pytest.mark.parametrize("receiver", PEERS.values(), ids=PEERS.keys())
def test_tcp_data_arrives_unchanged(two_hosts: World, family: Family, receiver: int) -> None:
    work = ("serve-tcp",), ("tcp", str(16 * MEGABYTE))
    sent, arrived = exchange(two_hosts, receiver, 11, *work, address=family.address(receiver))
    assert arrived == sent


@both_families
@pytest.mark.parametrize("receiver", PEERS.values(), ids=PEERS.keys())
@pytest.mark.parametrize("size", [64, 1400, 4000])
def test_udp_datagrams_arrive_unchanged(two_hosts: World, family: Family, receiver: int, size: int) -> None:
    work = ("serve-udp", "20"), ("udp", str(size), "20")
    sent, arrived = exchange(two_hosts, receiver, 11, *work, address=family.address(receiver))
    assert arrived == sent


@both_families
@pytest.mark.parametrize("receiver", PEERS.values(), ids=PEERS.keys())
def test_datagrams_cut_by_the_kernel_arrive_unchanged(two_hosts: World, family: Family, receiver: int) -> None:
    work = ("serve-udp", "40"), ("gso", str(40 * 1200), "1200")
    sent, arrived = exchange(two_hosts, receiver, 11, *work, address=family.address(receiver))
    assert arrived == sent


def test_a_super_packet_that_fills_the_length_field_arrives(two_hosts: World) -> None:
    sent, arrived = exchange(two_hosts, 12, 11, ("serve-udp", "46"), ("gso", str(46 * 1423), "1423"))
    assert arrived == sent


@contextmanager
def tenants_vxlan(made: World, family: Family) -> Iterator[None]:
    """Between 11 and 12. It goes with the test: their kernels would speak IPv6 over it for minutes, and others count packets."""
    ends = ((11, 12, "192.168.9.1"), (12, 11, "192.168.9.2"))
    try:
        for number, peer, own in ends:
            name = made.instance(number)
            run("ip", "-n", name, "link", "add", "x0", "type", "vxlan", "id", "9", "remote", family.address(peer),
                "dstport", "4789")  # fmt: skip
            run("ip", "-n", name, "address", "add", f"{own}/24", "dev", "x0")
            run("ip", "-n", name, "link", "set", "x0", "up")
        yield
    finally:
        for number, _, _ in ends:
            run("ip", "-n", made.instance(number), "link", "delete", "x0")


@both_families
def test_a_tenants_own_vxlan_crosses(two_hosts: World, family: Family) -> None:
    with tenants_vxlan(two_hosts, family):
        assert " 0% packet loss" in ping(two_hosts, 11, "192.168.9.2", "-s", "1300")
        work = ("serve-tcp",), ("tcp", str(8 * MEGABYTE))
        sent, arrived = exchange(two_hosts, 12, 11, *work, address="192.168.9.2")
        assert arrived == sent


def refused_ping(made: World, family: Family, peer: int, packet: int) -> str:
    """One that must not be cut, of `packet` bytes."""
    command = ["ping", "-n", "-c1", "-W1", "-M", "do", "-s", str(packet - family.headers), family.address(peer)]
    done = subprocess.run(
        ["ip", "netns", "exec", made.instance(11), *command], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    return done.stdout + done.stderr


class Narrow(NamedTuple):
    made: World
    fits: int

    def counted(self, verdict: str) -> int:
        return self.made.counted("a", 11, verdict)


@pytest.fixture(params=NARROW.values(), ids=NARROW.keys())
def narrow(two_hosts: World, request: pytest.FixtureRequest) -> Iterator[Narrow]:
    """Nobody knows yet how narrow, and nobody does afterwards."""
    sizes, fits = request.param
    resize(two_hosts, **sizes)
    yield Narrow(two_hosts, fits)
    resize(two_hosts)
    for number in (11, 12, 13):
        for version in ("-4", "-6"):
            run("ip", "-n", two_hosts.instance(number), version, "route", "flush", "cache")


@both_families
def test_packets_that_do_not_fit_are_refused_with_the_mtu(narrow: Narrow, family: Family) -> None:
    """Path MTU discovery finds out what fits, and TCP goes on."""
    before = narrow.counted("ANSWERED")
    told = refused_ping(narrow.made, family, 12, 1500)
    assert f"From {family.router} icmp_seq=1 {family.too_big.format(narrow.fits)}" in told
    assert narrow.counted("ANSWERED") > before
    fitting = str(narrow.fits - family.headers)
    assert " 0% packet loss" in ping(narrow.made, 11, family.address(12), "-M", "do", "-s", fitting)
    work = ("serve-tcp",), ("tcp", str(4 * MEGABYTE))
    sent, arrived = exchange(narrow.made, 12, 11, *work, address=family.address(12))
    assert arrived == sent


@both_families
def test_tcp_meets_a_smaller_path_and_goes_on(narrow: Narrow, family: Family) -> None:
    """No ping before: TCP's own super-packets are refused, and cut smaller afterwards."""
    answered, lost = narrow.counted("ANSWERED"), narrow.counted("DROP_TOO_BIG")
    work = ("serve-tcp",), ("tcp", str(4 * MEGABYTE))
    sent, arrived = exchange(narrow.made, 13, 11, *work, address=family.address(13))
    assert arrived == sent
    assert narrow.counted("ANSWERED") > answered
    assert narrow.counted("DROP_TOO_BIG") == lost


@pytest.fixture(scope="module")
def jumbo_hosts() -> Iterator[World]:
    with world(mtu=9001, mode=OWN_MODE, substrate_mtu=9216) as made:
        for number in (11, 12, 13):
            run("ip", "-n", made.instance(number), "link", "set", "eth0", "mtu", "9001")
        yield made


@both_families
@pytest.mark.parametrize("peer", [12, 13], ids=["subnet", "router"])
def test_jumbo_pings_are_answered_to_the_last_byte(jumbo_hosts: World, family: Family, peer: int) -> None:
    size = str(9001 - family.headers)
    assert " 0% packet loss" in ping(jumbo_hosts, 11, family.address(peer), "-M", "do", "-s", size)


@both_families
@pytest.mark.parametrize("receiver", [12, 13], ids=["subnet", "router"])
def test_tcp_data_arrives_unchanged_in_jumbo_packets(jumbo_hosts: World, family: Family, receiver: int) -> None:
    work = ("serve-tcp",), ("tcp", str(16 * MEGABYTE))
    sent, arrived = exchange(jumbo_hosts, receiver, 11, *work, address=family.address(receiver))
    assert arrived == sent


@both_families
def test_jumbo_datagrams_arrive_unchanged(jumbo_hosts: World, family: Family) -> None:
    whole = ("serve-udp", "20"), ("udp", str(9001 - family.headers), "20")
    cut = ("serve-udp", "7"), ("gso", str(7 * 8900), "8900")
    for work in (whole, cut):
        sent, arrived = exchange(jumbo_hosts, 12, 11, *work, address=family.address(12))
        assert arrived == sent


@both_families
def test_one_byte_more_than_a_jumbo_interface_carries_is_refused_with_its_mtu(
    jumbo_hosts: World, family: Family
) -> None:
    made = jumbo_hosts
    run("ip", "-n", made.instance(11), "link", "set", "eth0", "mtu", "9002")
    try:
        assert family.too_big.format(9001) in refused_ping(made, family, 12, 9002)
    finally:
        run("ip", "-n", made.instance(11), "link", "set", "eth0", "mtu", "9001")


def test_a_frame_shorter_than_an_ip_header_is_counted_as_truncated(two_hosts: World) -> None:
    before = two_hosts.counted("a", 11, "DROP_TRUNCATED")
    frame = plan.ROUTER_MAC + plan.mac(11) + b"\x08\x00" + b"\x45\x00"
    send = (
        "import socket; s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); "
        f"s.bind(('eth0', 0x800)); s.send(bytes.fromhex('{frame.hex()}'))"
    )
    two_hosts.execute(11, sys.executable, "-c", send)
    assert two_hosts.counted("a", 11, "DROP_TRUNCATED") == before + 1


def test_an_instance_can_not_mark_its_packets_as_a_what_if(two_hosts: World) -> None:
    """Its root may set any mark on its sockets: the packets are counted all the same, and nothing is told."""
    space = two_hosts.hosts["a"]
    assert space.dataplane
    told: list[Event] = []
    stop = space.dataplane.events(told.append)
    before = two_hosts.counted("a", 11, "SENT"), two_hosts.counted("b", 12, "DELIVERED")
    send = (
        f"import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.setsockopt(1, socket.SO_MARK, {WhatIfMark.MARK | 7}); "
        "[s.sendto(b'x', ('10.7.1.6', 7)) for _ in range(20)]"
    )
    two_hosts.execute(11, "ping", "-n", "-c1", "10.7.1.6")
    two_hosts.execute(11, sys.executable, "-c", send)
    space.dataplane.poll_events()
    stop()
    after = two_hosts.counted("a", 11, "SENT"), two_hosts.counted("b", 12, "DELIVERED")
    assert [b - a for a, b in zip(before, after, strict=True)] == [21, 21]
    assert [event for event in told if event.trace] == []


def test_a_program_is_swapped_under_load_without_losing_a_packet(two_hosts: World) -> None:
    space = two_hosts.hosts["a"]
    dataplane = space.dataplane
    assert dataplane and space.tables.substrate
    flood = two_hosts.begin(11, "ping", "-n", "-q", "-c", "1000", "-i", "0.002", "-W", "1", "10.7.1.6")
    device, substrate = space.devices[11], space.tables.substrate.ifindex

    def swap() -> None:
        while flood.poll() is None:
            dataplane.attach_instance(device)
            dataplane.attach_substrate(substrate)

    inside(space.namespace, swap)
    out = flood.communicate()[0]
    assert "1000 received" in out, out


def test_a_device_that_was_made_anew_is_attached_anew() -> None:
    """Its number may be that of a device which is gone, whose link is still pinned."""
    with world(mode="tcx") as made:
        space = made.hosts["a"]
        dataplane, device = space.dataplane, space.devices[11]
        assert dataplane
        run("ip", "-n", space.namespace, "link", "delete", "v11")
        assert dataplane.attached_program(device) == 0
        run("ip", "-n", space.namespace, "link", "add", "v11", "index", str(device), "type", "veth", "peer", "name", "p11")
        inside(space.namespace, lambda: dataplane.attach_instance(device))
        assert dataplane.attached_program(device) == dataplane.program_id("host_egress")
        inside(space.namespace, lambda: dataplane.detach_instance(device))
        assert dataplane.attached_program(device) == 0


@pytest.mark.parametrize("mode", MODES)
def test_packets_go_on_while_no_agent_lives(mode: str) -> None:
    with world(mode=mode) as made:
        for space in made.hosts.values():
            assert space.dataplane
            space.dataplane.close()
            space.dataplane = None
        assert " 0% packet loss" in ping(made, 11, "10.7.1.6")
