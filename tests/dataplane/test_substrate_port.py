"""What the substrate's port does with a frame, by its bytes: into a member's namespace at once, to the bridge, or nowhere.

    one namespace:  port-1 100.64.1.10, whose frames come in      port-2 100.64.2.11      port-3 100.64.2.12, the bridge's

`Straight` is what the program asks for; that the frame then arrives is tests/region/test_straight.py's.
"""

from __future__ import annotations

import secrets
import socket
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet, Raw

from rookery.dataplane import syscall
from rookery.dataplane.addresses import mac_bytes, substrate_bytes
from rookery.dataplane.formats import LAYOUTS, SubstratePort
from rookery.dataplane.libbpf import BpfObject
from rookery.dataplane.syscall import RunContext
from rookery.host.instances.namespace import inside
from rookery.region.port_table import PortTable, mac_of
from tests.dataplane.namespaces import run
from tests.dataplane.objects import built_objects

BRIDGED, REFUSED, STRAIGHT = -1, 2, 7  # TC_ACT_UNSPEC, TC_ACT_SHOT, TC_ACT_REDIRECT
MTU = 1700
SENDER, KNOWN, BRIDGES, UNKNOWN = "100.64.1.10", "100.64.2.11", "100.64.2.12", "100.64.9.9"
ROW = LAYOUTS[SubstratePort]
pytestmark = pytest.mark.real_packets


@dataclass
class Port:
    """`port-1`."""

    namespace: str
    loaded: BpfObject
    table: PortTable

    def plug(self, name: str, *more: str) -> int:
        run("ip", "-n", self.namespace, "link", "add", name, "mtu", str(MTU), *more, "type", "veth", "peer", "name", f"{name}-end")
        return self.number(name)

    def number(self, name: str) -> int:
        with inside(self.namespace):
            return socket.if_nametoindex(name)

    def lead(self, address: str, ifindex: int) -> None:
        with inside(self.namespace):
            self.table.lead(address, ifindex)

    def takes(self, frame: Packet, **super_packet: int) -> int:
        with inside(self.namespace):
            asked = RunContext(ifindex=socket.if_nametoindex("port-1"), **super_packet)
            return syscall.test_run(self.loaded.program_fd("substrate_port"), bytes(frame), asked).action

    def refused(self) -> int:
        row = syscall.lookup(self.loaded.map_fd("port"), bytes(4), ROW.size)
        return SubstratePort._make(ROW.unpack(row)).refused_packets


@pytest.fixture(scope="module")
def port() -> Iterator[Port]:
    namespace = f"rookery-t{secrets.token_hex(3)}"
    run("ip", "netns", "add", namespace)
    loaded = BpfObject(built_objects() / "substrate_port.bpf.o")
    try:
        loaded.load("substrate_port")
        made = Port(namespace, loaded, PortTable(loaded.map_fd("ports"), is_new=True))
        row = SubstratePort(substrate_bytes(SENDER), mac_bytes(mac_of(SENDER)), 0, made.plug("port-1"), 0, 0)
        syscall.update(loaded.map_fd("port"), bytes(4), ROW.pack(*row))
        made.lead(SENDER, row.ifindex)
        made.lead(KNOWN, made.plug("port-2"))
        made.plug("port-3")
        yield made
    finally:
        loaded.close()
        run("ip", "netns", "delete", namespace)


def datagram(to: str, size: int = 100, source: str = SENDER, mac: str = "") -> Packet:
    ethernet = Ether(src=mac or mac_of(SENDER), dst=mac_of(to))
    return ethernet / IP(src=source, dst=to) / UDP(sport=1, dport=6081) / Raw(bytes(size - 28))


def question(**claimed: str) -> Packet:
    return Ether(src=mac_of(SENDER), dst="ff:ff:ff:ff:ff:ff") / ARP(**{"hwsrc": mac_of(SENDER), "psrc": SENDER, "pdst": KNOWN, **claimed})


def test_a_frame_for_a_member_whose_port_is_known_goes_straight(port: Port):
    assert port.takes(datagram(KNOWN)) == STRAIGHT
    assert port.takes(Ether(src=mac_of(SENDER), dst=mac_of(KNOWN)) / question().payload) == STRAIGHT


def test_what_is_for_all_for_nobody_known_or_for_the_sender_itself_is_the_bridges(port: Port):
    foreign = datagram(KNOWN)
    foreign.dst = "06" + mac_of(KNOWN)[2:]
    assert [port.takes(one) for one in (question(), datagram(BRIDGES), datagram(UNKNOWN), datagram(SENDER), foreign)] == [BRIDGED] * 5


def test_a_frame_that_the_port_of_its_receiver_does_not_carry_is_the_bridges_and_a_super_packet_is_cut_behind_it(port: Port):
    assert [port.takes(datagram(KNOWN, size)) for size in (MTU, MTU + 1)] == [STRAIGHT, BRIDGED]
    assert port.takes(datagram(KNOWN, 3000), gso_segments=2, gso_size=1472) == STRAIGHT
    run("ip", "-n", port.namespace, "link", "set", "port-2", "mtu", "1400")
    taken = [port.takes(datagram(KNOWN, size)) for size in (1400, 1401)]
    run("ip", "-n", port.namespace, "link", "set", "port-2", "mtu", str(MTU))
    assert taken == [STRAIGHT, BRIDGED]


@pytest.mark.parametrize(
    "lie",
    (
        datagram(KNOWN, source=BRIDGES),
        datagram(KNOWN, mac=mac_of(BRIDGES)),
        question(psrc=KNOWN),
        question(hwsrc=mac_of(KNOWN)),
        Ether(src=mac_of(SENDER), dst=mac_of(KNOWN), type=0x86DD) / Raw(bytes(60)),
    ),
    ids=("another's address", "another's MAC", "another's address by ARP", "another's MAC by ARP", "no IPv4"),
)
def test_who_lies_is_refused_however_well_the_receiver_is_known(port: Port, lie: Packet):
    before = port.refused()
    assert (port.takes(lie), port.refused() - before) == (REFUSED, 1)


def test_a_member_that_is_left_to_the_bridge_is_reached_by_it_until_it_is_led_to_again(port: Port):
    port.table.leave_to_bridge(KNOWN)
    port.table.leave_to_bridge(KNOWN)
    assert port.takes(datagram(KNOWN)) == BRIDGED
    port.lead(KNOWN, port.number("port-2"))
    assert port.takes(datagram(KNOWN)) == STRAIGHT


def test_a_port_that_went_is_forgotten_by_the_kernel_and_who_gets_its_number_is_sent_nothing_of_it(port: Port):
    number = port.number("port-2")
    run("ip", "-n", port.namespace, "link", "delete", "port-2")
    assert port.plug("port-4", "index", str(number)) == number
    assert port.table.port_of(KNOWN) == 0
    assert port.takes(datagram(KNOWN)) == BRIDGED
    run("ip", "-n", port.namespace, "link", "delete", "port-4")
    port.lead(KNOWN, port.plug("port-2"))
    assert port.takes(datagram(KNOWN)) == STRAIGHT
