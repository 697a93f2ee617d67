"""The frames that a trace makes, read by somebody else (scapy)."""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
)
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet

from rookery.region.errors import RegionError
from rookery.trace import packet
from rookery.trace.packet import MalformedFrame, Probe

MAC, ROUTER = "02:00:0a:00:00:05", "02:00:0a:00:00:01"
SOURCE, DESTINATION = "10.0.1.5", "10.0.2.7"
SOURCE_IPV6, DESTINATION_IPV6 = "2001:db8:1::5", "2001:db8:2::7"


def rebuilt(frame: bytes) -> bytes:
    """The frame with its checksums and lengths computed again by scapy."""
    read = Ether(frame)
    for layer in (IP, ICMP, TCP, UDP, IPv6, ICMPv6EchoRequest, ICMPv6ND_NS):
        if layer in read:
            for field in ("chksum", "len", "plen", "cksum"):
                if field in read[layer].fields:
                    del read[layer].fields[field]
    return bytes(read)


@pytest.mark.parametrize("probe", [Probe.of(None, None), Probe.of(443, None), Probe.of(None, 53)], ids=str)
def test_a_packet_has_the_checksums_and_lengths_that_scapy_computes(probe: Probe):
    frame = packet.ipv4_frame(MAC, ROUTER, SOURCE, DESTINATION, probe)
    assert rebuilt(frame) == frame
    assert (Ether(frame).src, Ether(frame).dst) == (MAC, ROUTER)
    assert (Ether(frame)[IP].src, Ether(frame)[IP].dst) == (SOURCE, DESTINATION)


@pytest.mark.parametrize("probe", [Probe.of(None, None), Probe.of(443, None), Probe.of(None, 53)], ids=str)
def test_an_ipv6_packet_has_the_checksums_and_lengths_that_scapy_computes(probe: Probe):
    frame = packet.ip_frame(MAC, ROUTER, SOURCE_IPV6, DESTINATION_IPV6, probe)
    assert rebuilt(frame) == frame
    assert (Ether(frame)[IPv6].src, Ether(frame)[IPv6].dst) == (SOURCE_IPV6, DESTINATION_IPV6)


def test_a_neighbour_solicitation_asks_the_group_of_the_next_hop():
    frame = packet.neighbour_solicitation(MAC, SOURCE_IPV6, "fe80:ec2::1")
    assert rebuilt(frame) == frame
    read = Ether(frame)
    assert (read.dst, read[IPv6].dst, read[IPv6].hlim) == ("33:33:ff:00:00:01", "ff02::1:ff00:1", 255)
    assert (read[ICMPv6ND_NS].tgt, read[ICMPv6NDOptSrcLLAddr].lladdr) == ("fe80:ec2::1", MAC)


def told_neighbour(target: str) -> Packet:
    told = ICMPv6ND_NA(tgt=target) / ICMPv6NDOptDstLLAddr(lladdr=ROUTER)
    return Ether(src=ROUTER, dst=MAC) / IPv6(src=target, dst=SOURCE_IPV6) / told


def test_the_answer_of_neighbour_discovery_gives_its_mac():
    assert packet.neighbour_answer(bytes(told_neighbour("fe80:ec2::1")), "fe80:ec2::1") == ROUTER


@pytest.mark.parametrize("frame", [b"", bytes(told_neighbour("2001:db8:1::9")), bytes(Ether() / IP() / (b"x" * 90))])
def test_what_is_no_answer_to_our_solicitation_is_refused(frame: bytes):
    with pytest.raises(MalformedFrame):
        packet.neighbour_answer(frame, "fe80:ec2::1")


def test_tcp_is_a_syn_and_icmp_an_echo_request():
    syn = Ether(packet.ipv4_frame(MAC, ROUTER, SOURCE, DESTINATION, Probe.of(22, None)))
    echo = Ether(packet.ipv4_frame(MAC, ROUTER, SOURCE, DESTINATION, Probe.of(None, None)))
    assert (syn[TCP].dport, str(syn[TCP].flags)) == (22, "S")
    assert (echo[ICMP].type, echo[ICMP].code) == (8, 0)


def test_an_arp_request_asks_everybody_for_the_next_hop():
    read = Ether(packet.arp_request(MAC, SOURCE, "10.0.1.1"))
    assert read.dst == packet.BROADCAST
    assert (read[ARP].op, read[ARP].hwsrc, read[ARP].psrc, read[ARP].pdst) == (1, MAC, SOURCE, "10.0.1.1")


def test_the_answer_to_arp_gives_its_mac():
    reply = Ether(src=ROUTER, dst=MAC) / ARP(op=2, hwsrc=ROUTER, psrc="10.0.1.1", hwdst=MAC, pdst=SOURCE)
    assert packet.arp_answer(bytes(reply), "10.0.1.1") == ROUTER


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        bytes(Ether(src=ROUTER, dst=MAC) / IP()),
        bytes(Ether(src=ROUTER, dst=MAC) / ARP(op=1, psrc="10.0.1.1")),
        bytes(Ether(src=ROUTER, dst=MAC) / ARP(op=2, psrc="10.0.1.9")),
    ],
    ids=["nothing", "no arp", "a request", "another address"],
)
def test_what_is_no_answer_to_our_arp_is_refused(frame: bytes):
    with pytest.raises(MalformedFrame):
        packet.arp_answer(frame, "10.0.1.1")


def test_the_outer_destination_is_read_from_the_wire():
    outer = Ether(src=ROUTER, dst=MAC) / IP(src="100.64.1.10", dst="100.64.2.11") / UDP(dport=6081)
    assert packet.outer_destination(bytes(outer)) == "100.64.2.11"
    assert packet.on_the_substrate(bytes(outer))[14:] == bytes(outer)[14:]


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_that_does_not_exist_is_refused(port: int):
    with pytest.raises(RegionError, match="1 to 65535"):
        Probe.of(port, None)
