"""IPv6: what host A's program puts on the wire goes into host B's program, byte by byte.

    instance 11 (VPC 7, 2001:db8:7:1::5) -- [host A] == bytes ==> [host B] -- instance 12 (VPC 7, 2001:db8:7:1::6)
                                                                       |----- instance 13 (VPC 7, 2001:db8:7:2::7)
                                                                       +----- instance 21 (VPC 8, a twin of 11)
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from ipaddress import IPv6Address
from pathlib import Path
from typing import NamedTuple

import pytest
from scapy.layers.inet import TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    fragment6,
)
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from rookery.dataplane.formats import Verdict
from rookery.dataplane.host import HostDataplane
from rookery.dataplane.node import WhatIf
from rookery.dataplane.syscall import RunContext
from tests.dataplane import plan, plan_ipv6
from tests.dataplane.objects import built_objects
from tests.dataplane.packets import ROUTER, mac_text
from tests.dataplane.packets_ipv6 import ipv6_from_11

OUTER_SOURCE, VNI = 26, 46
HEAD = 14 + 20 + 8 + 8 + 16  # in front of the inner frame
INNER_SOURCE = HEAD + 14 + 8


class Hosts(NamedTuple):
    a: HostDataplane
    b: HostDataplane

    def send(self, frame: Packet) -> bytes:
        """What host A puts on the wire."""
        outcome = self.a.what_if("host_egress", bytes(frame), plan.DEVICE, 3)
        assert outcome.verdict is Verdict.SENT
        return outcome.frame

    def send_for_real(self, frame: Packet) -> bytes:
        """As `send`, and host A remembers it."""
        return self.a.test_run("host_egress", bytes(frame), RunContext(ifindex=plan.DEVICE)).frame

    def receive_for_real(self, wire: bytes) -> bytes:
        return self.b.test_run("host_ingress", wire, RunContext(ifindex=plan.DEVICE)).frame

    def receive(self, wire: bytes) -> WhatIf:
        return self.b.what_if("host_ingress", wire, plan.DEVICE, 3)


@pytest.fixture(scope="module")
def hosts() -> Iterator[Hosts]:
    pins = [Path("/sys/fs/bpf") / f"rookery-t{secrets.token_hex(4)}" for _ in "ab"]
    opened: list[HostDataplane] = []
    try:
        for path, tables, number in zip(pins, (plan.host_a(), plan.host_b()), (11, 12), strict=True):
            opened.append(HostDataplane.open(path, built_objects(), max_mappings=256))
            plan.fill(opened[-1], tables)
            plan_ipv6.fill(opened[-1], {number: plan.DEVICE})
        yield Hosts(*opened)
    finally:
        for one in opened:
            one.close()
        for path in pins:
            HostDataplane.remove_pins(path)


def patched(wire: bytes, at: int, content: bytes) -> bytes:
    return wire[:at] + content + wire[at + len(content) :]


CONTENTS = {
    "udp": UDP(sport=1, dport=2) / Raw(b"x" * 64),
    "tcp": TCP(sport=1, dport=2) / Raw(b"y" * 1400),
    "echo": ICMPv6EchoRequest(id=7, seq=1) / Raw(b"z" * 56),
    "extension headers": IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / UDP(sport=1, dport=2) / Raw(b"x" * 64),
}


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS.keys())
def test_within_a_subnet_the_frame_arrives_as_it_left(hosts: Hosts, content: Packet) -> None:
    frame = ipv6_from_11(content=content)
    arrived = hosts.receive(hosts.send(frame))
    assert (arrived.verdict, arrived.target) == (Verdict.DELIVERED, plan.DEVICE)
    assert arrived.frame == bytes(frame)


def test_across_subnets_only_the_macs_change(hosts: Hosts) -> None:
    frame = ipv6_from_11("2001:db8:7:2::7", ROUTER, hlim=1)
    arrived = hosts.receive(hosts.send(frame))
    frame[Ether].src, frame[Ether].dst = ROUTER, mac_text(13)
    assert arrived.frame == bytes(frame)


def test_each_fragment_arrives_as_it_left_and_takes_the_same_way(hosts: Hosts) -> None:
    whole = ipv6_from_11(content=IPv6ExtHdrFragment(id=5) / UDP(sport=1, dport=2) / Raw(bytes(range(256)) * 16))
    ports = set()
    for piece in fragment6(whole, 1400):
        wire = hosts.send_for_real(piece)
        assert hosts.receive_for_real(wire) == bytes(piece)
        ports.add(wire[34:36])
    assert len(ports) == 1


def test_a_traced_journey_is_told_at_both_ends(hosts: Hosts) -> None:
    arrived = hosts.receive(hosts.send(ipv6_from_11()))
    assert [event.step.name for event in arrived.events] == ["RECEIVED", "VERIFIED", "UNTRACKED", "UNWRAPPED", "DELIVERED"]
    assert {event.source for event in arrived.events} == {"2001:db8:7:1::5"}


FORGERIES = {
    "another host": (OUTER_SOURCE, bytes((100, 64, 1, 66)), Verdict.DROP_SOURCE_NOT_AT_HOST),
    "another host's instance": (INNER_SOURCE, IPv6Address("2001:db8:7:2::7").packed, Verdict.DROP_SOURCE_NOT_AT_HOST),
    "nobody's address": (INNER_SOURCE, IPv6Address("2001:db8:7:1::99").packed, Verdict.DROP_SOURCE_NOT_MAPPED),
    "an IPv4 address in IPv6": (INNER_SOURCE, IPv6Address("::ffff:10.7.1.5").packed, Verdict.DROP_MALFORMED_IP),
    "the router's address": (INNER_SOURCE, IPv6Address("fe80:ec2::1").packed, Verdict.DROP_SOURCE_NOT_MAPPED),
}


@pytest.mark.parametrize(("at", "content", "verdict"), FORGERIES.values(), ids=FORGERIES.keys())
def test_a_host_is_not_believed_what_the_mapping_does_not_say(
    hosts: Hosts, at: int, content: bytes, verdict: Verdict
) -> None:
    assert hosts.receive(patched(hosts.send(ipv6_from_11()), at, content)).verdict is verdict


def test_a_twin_in_another_vpc_is_not_reached(hosts: Hosts) -> None:
    wire = patched(hosts.send(ipv6_from_11()), VNI, bytes((0, 0, plan.TWIN)))
    assert hosts.receive(wire).verdict in (Verdict.DROP_SOURCE_NOT_AT_HOST, Verdict.DROP_NOT_PEERED)
