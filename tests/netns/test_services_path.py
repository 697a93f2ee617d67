"""Real packets from guests to the services of their host and back. Sockets of ours stand for the services.

    instance 11 (VPC 7) 10.7.1.5 --veth-- host A --veth-- services' namespace
    instance 21 (VPC 8) 10.7.1.5 --veth--/  svc0   svc1   fd00:ec2::254 and the others
"""

from __future__ import annotations

import fcntl
import math
import os
import select
import socket
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from scapy.packet import Packet

from rookery.dataplane.formats import Ifindex, InterfaceFlag, InterfaceNumber, ServiceBudget
from tests.dataplane import plan
from tests.dataplane.namespaces import OWN_MODE, World, inside, run, world
from tests.dataplane.packets import ARP, IP, ROUTER, UDP, Ether

pytestmark = pytest.mark.real_packets
HERE = Path(__file__).parent
TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 2, 0x1000


@pytest.fixture(scope="module")
def guests() -> Iterator[World]:
    with world(mode=OWN_MODE, instances={"a": (11, 21, 14), "b": ()}, services=True) as made:
        serving = made.begin_services("a", sys.executable, str(HERE / "services_under_test.py"))
        try:
            assert serving.stdout and serving.stdout.readline() == "ready\n"
            yield made
        finally:
            serving.kill()
            serving.communicate()


def ask(made: World, number: int, question: str) -> str:
    """`question`: protocol, address, port, bytes, and the guest's port if it has to be a certain one."""
    return made.execute(number, *command(question)).strip()


def command(question: str) -> tuple[str, ...]:
    return (sys.executable, str(HERE / "ask.py"), *question.split())


TWINS = {11: "fd52:401:0:b::a07:105", 21: "fd52:401:0:15::a07:105"}  # both are 10.7.1.5
QUESTIONS = {  # of instance 11: (who asks, in the service's eyes; at which service; from where the answer comes)
    "tcp 169.254.169.254 80 100": ("fd52:401:0:b::a07:105", "254", "169.254.169.254"),
    "tcp fd00:ec2::254 80 100": ("fd52:601:0:b::5", "254", "fd00:ec2::254"),
    "udp 169.254.169.253 53 100": ("fd52:401:0:b::a07:105", "253", "169.254.169.253"),
    "tcp 169.254.169.253 53 100": ("fd52:401:0:b::a07:105", "253", "169.254.169.253"),
    "udp 10.7.0.2 53 100": ("fd52:402:0:b::a07:105", "253", "10.7.0.2"),
    "tcp 10.7.0.2 53 100": ("fd52:402:0:b::a07:105", "253", "10.7.0.2"),
    "udp fd00:ec2::253 53 101": ("fd52:601:0:b::5", "253", "fd00:ec2::253"),
    "udp 169.254.169.123 123 48": ("fd52:401:0:b::a07:105", "123", "169.254.169.123"),
    "udp fd00:ec2::123 123 48": ("fd52:601:0:b::5", "123", "fd00:ec2::123"),
    "udp 10.7.1.1 67 300 68": ("fd52:403:0:b::a07:105", "67", "10.7.1.1"),
    "udp 255.255.255.255 67 300 68": ("fd52:404:0:b::a07:105", "67", "10.7.1.1"),
    "udp ff02::1:2%eth0 547 100 546": ("fd52:701:0:b:0:ff:fe00:10b", "547", "fe80:ec2::1"),
}


@pytest.mark.parametrize("number", TWINS)
def test_twins_with_one_address_are_told_apart(guests: World, number: int) -> None:
    told = ask(guests, number, "tcp 169.254.169.254 80 100")
    assert told.startswith(f"{TWINS[number]} ")
    assert told.endswith("at fd00:ec2::254 from 169.254.169.254 ttl 0 whole")


def test_twins_are_answered_at_once(guests: World) -> None:
    asking = {n: guests.begin(n, *command("tcp 169.254.169.254 80 600000")) for n in TWINS}
    told = {number: process.communicate(timeout=20)[0] for number, process in asking.items()}
    assert {number: (answer.split()[0], answer.split()[-1]) for number, answer in told.items()} == {
        number: (who, "whole") for number, who in TWINS.items()
    }


@pytest.mark.parametrize("question", QUESTIONS)
def test_every_service_is_reached_and_answers_from_where_it_was_asked(guests: World, question: str) -> None:
    who, where, source = QUESTIONS[question]
    asker, _port, _at, at, _from, came_from, *_ttl, whole = ask(guests, 11, question).split()
    assert (asker, at, came_from, whole) == (who, f"fd00:ec2::{where}", source, "whole")


@pytest.mark.parametrize("offload", ["on", "off"])
@pytest.mark.parametrize("address", ["169.254.169.253", "10.7.0.2", "fd00:ec2::253"])
def test_much_comes_back_whole(guests: World, address: str, offload: str) -> None:
    """With the guest's offloads the kernel hands over super-packets whose checksums are only begun; without, finished segments."""
    guests.execute(14, "ethtool", "-K", "eth0", "tx", offload, "tso", offload, "gso", offload)
    for question in (f"tcp {address} 53 600000", f"udp {address} 53 1300", f"udp {address} 53 1"):
        assert ask(guests, 14, question).endswith(" whole")


def test_udp_without_a_checksum_is_answered(guests: World) -> None:
    assert ask(guests, 11, "udp-unsummed 169.254.169.253 53 100").endswith(" whole")


@pytest.mark.parametrize("address", ["169.254.169.253", "fd00:ec2::253"])
def test_a_super_packet_of_udp_arrives_as_its_segments(guests: World, address: str) -> None:
    assert ask(guests, 11, f"udp-gso {address} 53 500") == "5"


def test_the_socket_says_how_far_an_answer_goes(guests: World) -> None:
    assert " ttl 7 " in ask(guests, 11, "udp 169.254.169.123 123 48")
    assert " ttl 7 " in ask(guests, 11, "udp fd00:ec2::123 123 48")
    assert " ttl 64 " in ask(guests, 11, "udp 169.254.169.253 53 48")


def test_a_guest_with_a_route_of_its_own_asks_by_arp(guests: World) -> None:
    guests.execute(11, "ip", "route", "add", "169.254.0.0/16", "dev", "eth0")
    try:
        assert ask(guests, 11, "tcp 169.254.169.254 80 100").endswith(" whole")
        assert plan.ROUTER_MAC.hex(":") in guests.execute(11, "ip", "neigh", "show", "169.254.169.254")
    finally:
        guests.execute(11, "ip", "route", "delete", "169.254.0.0/16")


def test_a_flood_is_limited_at_its_interface_and_no_other_feels_it(guests: World) -> None:
    """T1-14. In so many seconds, of which one is whole and the first and the last need not be."""
    dropped, others = (guests.counted("a", number, "DROP_SERVICE_ALLOWANCE") for number in (11, 21))
    asking = guests.begin(11, *command("flood 169.254.169.253 53 2100"))
    told = ask(guests, 21, "udp 169.254.169.253 53 100")
    answers, sent, seconds = map(float, asking.communicate(timeout=30)[0].split())
    assert 1024 <= answers <= 1024 * (math.ceil(seconds) + 1)
    assert guests.counted("a", 11, "DROP_SERVICE_ALLOWANCE") - dropped == sent - answers
    assert told.endswith(" whole")
    assert guests.counted("a", 21, "DROP_SERVICE_ALLOWANCE") == others


def test_the_hosts_own_kernel_sees_nothing_of_it(guests: World) -> None:
    space = guests.hosts["a"]
    ask(guests, 11, "tcp 169.254.169.254 80 100000")
    seen = run("ip", "netns", "exec", space.namespace, "cat", "/proc/net/dev_snmp6/svc0")
    assert [line.split()[1] for line in seen.splitlines() if line.startswith("Ip6InReceives ")] in ([], ["0"])
    assert run("ip", "-n", space.namespace, "-6", "address", "show", "dev", "svc0") == ""


class Tap:
    """A guest behind a tap, which is this test: it has no device in a namespace, and no peer."""

    def __init__(self, made: World):
        self.space = made.hosts["a"]
        self.file = inside(self.space.namespace, self._open)
        self.ifindex = inside(self.space.namespace, lambda: socket.if_nametoindex("tap0"))

    @staticmethod
    def _open() -> int:
        file = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(file, TUNSETIFF, struct.pack("16sH", b"tap0", IFF_TAP | IFF_NO_PI))
        return file

    def plug(self, number: int) -> None:
        """As interface `number` of the plan."""
        dataplane, me = self.space.dataplane, plan.interface(number)
        assert dataplane
        flags = int(InterfaceFlag.SOURCE_DEST_CHECK | InterfaceFlag.NO_PEER)
        dataplane.interfaces.put_many({Ifindex(self.ifindex): plan.interface_row(me)._replace(flags=flags)})
        dataplane.interface_devices.put_many({InterfaceNumber(number): Ifindex(self.ifindex)})
        dataplane.service_budgets.put_many({InterfaceNumber(number): ServiceBudget(0)})
        run("ip", "-n", self.space.namespace, "link", "set", "tap0", "up")
        inside(self.space.namespace, lambda: dataplane.attach_instance(self.ifindex))

    def exchange(self, frame: Packet) -> Packet:
        """What comes back for it: the first frame from the router's MAC."""
        os.write(self.file, bytes(frame))
        while select.select([self.file], [], [], 5)[0]:
            heard = os.read(self.file, 65536)
            if heard[6:12] == plan.ROUTER_MAC:
                return Ether(heard)
        raise AssertionError("nothing came back")


@pytest.fixture
def tap(guests: World) -> Iterator[Tap]:
    made = Tap(guests)
    try:
        yield made
    finally:
        os.close(made.file)


def test_a_guest_behind_a_tap_asks_too(guests: World, tap: Tap) -> None:
    tap.plug(22)
    ethernet = Ether(src=plan.mac(22).hex(":"), dst=ROUTER)
    arp = tap.exchange(ethernet / ARP(hwsrc=plan.mac(22).hex(":"), psrc="10.7.1.6", pdst="169.254.169.253"))
    assert (arp[ARP].hwsrc, arp[ARP].psrc) == (ROUTER, "169.254.169.253")
    question = IP(src="10.7.1.6", dst="169.254.169.253") / UDP(sport=4000, dport=53) / b"penguin"
    heard = tap.exchange(ethernet / question)
    assert (heard[IP].src, heard[IP].dst, heard[UDP].dport) == ("169.254.169.253", "10.7.1.6", 4000)
    assert bytes(heard[UDP].payload) == b"fd52:401:0:16::a07:106 4000 at fd00:ec2::253\npenguin"
