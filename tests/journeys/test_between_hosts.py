"""What host A's program puts on the wire goes into host B's program, byte by byte. Two hosts in one process.

    instance 11 (VPC 7, 10.7.1.5) -- [host A] == bytes ==> [host B] -- instance 12 (VPC 7, 10.7.1.6)
                                                               |----- instance 13 (VPC 7, 10.7.2.7)
                                                               +----- instance 21 (VPC 8, 10.7.1.5: a twin)
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from scapy.packet import Packet, Raw

from rookery.dataplane.events import Event
from rookery.dataplane.formats import CounterKey, Traffic, Verdict
from rookery.dataplane.host import HostDataplane
from rookery.dataplane.node import WhatIf
from rookery.dataplane.syscall import RunContext
from tests.dataplane import plan
from tests.dataplane.objects import built_objects
from tests.dataplane.packets import IP, ROUTER, TCP, UDP, Ether, RookeryGeneve, frame_from_11, mac_text

DEVICE_OF_12 = plan.DEVICE


class Hosts(NamedTuple):
    a: HostDataplane
    b: HostDataplane

    def send(self, frame: Packet) -> bytes:
        """What host A puts on the wire."""
        outcome = self.a.what_if("host_egress", bytes(frame), plan.DEVICE, 3)
        assert outcome.verdict is Verdict.SENT
        return outcome.frame

    def receive(self, wire: bytes) -> WhatIf:
        return self.b.what_if("host_ingress", wire, plan.DEVICE, 3)

    def count(self, wire: bytes) -> Verdict:
        """As real traffic: the verdict under which host B counted it, and nothing else was counted."""
        before = self.b.counters()
        self.b.test_run("host_ingress", wire, RunContext(ifindex=plan.DEVICE))
        after = self.b.counters()
        changed = [key for key in after if after[key] != before.get(key, Traffic(0, 0))]
        assert len(changed) == 1
        return Verdict(changed[0].verdict)


@pytest.fixture(scope="module")
def hosts() -> Iterator[Hosts]:
    pins = [Path("/sys/fs/bpf") / f"rookery-t{secrets.token_hex(4)}" for _ in "ab"]
    opened: list[HostDataplane] = []
    try:
        for path, tables in zip(pins, (plan.host_a(), plan.host_b()), strict=True):
            opened.append(HostDataplane.open(path, built_objects(), max_mappings=256))
            plan.fill(opened[-1], tables)
        yield Hosts(*opened)
    finally:
        for one in opened:
            one.close()
        for path in pins:
            HostDataplane.remove_pins(path)


def patched(wire: bytes, at: int, content: bytes) -> bytes:
    return wire[:at] + content + wire[at + len(content) :]


def in_vpc(wire: bytes, vni: int) -> bytes:
    """All of it said to be another VPC's."""
    return patched(patched(wire, VNI, vni.to_bytes(3, "big")), ORIGIN_VNI, vni.to_bytes(3, "big"))


OUTER_SOURCE, OUTER_TARGET, VNI, ORIGIN_INTERFACE, ORIGIN_VNI, INNER_SOURCE = 26, 30, 46, 54, 58, 92


@pytest.mark.parametrize("content", [UDP(sport=1, dport=2) / Raw(b"x" * 64), TCP(sport=1, dport=2) / Raw(b"y" * 1400)])
def test_within_a_subnet_the_frame_arrives_as_it_left(hosts: Hosts, content: Packet) -> None:
    frame = frame_from_11(content=content)
    arrived = hosts.receive(hosts.send(frame))
    assert (arrived.verdict, arrived.target) == (Verdict.DELIVERED, DEVICE_OF_12)
    assert arrived.frame == bytes(frame)


def test_across_subnets_only_the_macs_change(hosts: Hosts) -> None:
    frame = frame_from_11("10.7.2.7", ROUTER)
    arrived = hosts.receive(hosts.send(frame))
    frame[Ether].src, frame[Ether].dst = ROUTER, mac_text(13)
    assert arrived.frame == bytes(frame)
    assert frame[IP].ttl == 64


def test_a_traced_journey_is_told_at_both_ends(hosts: Hosts) -> None:
    arrived = hosts.receive(hosts.send(frame_from_11()))
    assert [event.step.name for event in arrived.events] == ["RECEIVED", "VERIFIED", "UNTRACKED", "UNWRAPPED", "DELIVERED"]
    assert {event.outer_source for event in arrived.events} == {"100.64.1.10"}


def test_a_host_that_the_mapping_does_not_name_is_not_believed(hosts: Hosts) -> None:
    wire = patched(hosts.send(frame_from_11()), OUTER_SOURCE, bytes((100, 64, 1, 66)))
    assert hosts.count(wire) is Verdict.DROP_SOURCE_NOT_AT_HOST


def test_a_host_can_not_speak_for_another_hosts_instance(hosts: Hosts) -> None:
    """Host A wraps a packet in the name of instance 13, which lives at host B."""
    wire = patched(hosts.send(frame_from_11()), INNER_SOURCE, bytes((10, 7, 2, 7)))
    assert hosts.count(wire) is Verdict.DROP_SOURCE_NOT_AT_HOST


def test_a_twin_in_another_vpc_is_not_reached(hosts: Hosts) -> None:
    """VPC 8 has 10.7.1.5 too, at host B: in its VPC that address does not live at host A."""
    wire = in_vpc(hosts.send(frame_from_11()), plan.TWIN)
    assert hosts.count(wire) is Verdict.DROP_SOURCE_NOT_AT_HOST


@pytest.mark.parametrize("at", [VNI, ORIGIN_VNI])
def test_a_twin_is_no_peer(hosts: Hosts, at: int) -> None:
    wire = patched(hosts.send(frame_from_11()), at, bytes((0, 0, plan.TWIN)))
    assert hosts.count(wire) is Verdict.DROP_NOT_PEERED


def test_the_other_vpcs_own_packets_reach_only_its_own_instances(hosts: Hosts) -> None:
    """10.7.1.6 of VPC 8 lives at host A: to 10.7.1.5 of VPC 8, never to the one of VPC 7."""
    frame = Ether(src=mac_text(22), dst=mac_text(21)) / IP(src="10.7.1.6", dst="10.7.1.5") / UDP() / b"twin"
    header = Ether(src=bytes(6), dst=bytes(6)) / IP(src=str(plan.HOST_A), dst=str(plan.HOST_B), flags="DF", id=0)
    geneve = RookeryGeneve(vni=plan.TWIN, origin_vni=plan.TWIN, interface=22)
    arrived = hosts.receive(bytes(header / UDP(sport=50000, dport=6081, chksum=0) / geneve / frame))
    assert (arrived.verdict, arrived.target) == (Verdict.DELIVERED, 4021)
    assert arrived.frame == bytes(frame)


def test_an_unknown_vpc_is_nobodys(hosts: Hosts) -> None:
    wire = in_vpc(hosts.send(frame_from_11()), 0xABCDEF)
    assert hosts.count(wire) is Verdict.DROP_SOURCE_NOT_MAPPED


@pytest.mark.parametrize("interface", [14, 0xDEADBEEF])
def test_an_origin_that_the_mapping_does_not_name_is_not_believed(hosts: Hosts, interface: int) -> None:
    """The option is a claim; the mapping decides, and it names instance 11. 14 lives at host A too."""
    wire = patched(hosts.send(frame_from_11()), ORIGIN_INTERFACE, interface.to_bytes(4, "big"))
    assert hosts.count(wire) is Verdict.DROP_SOURCE_NOT_AT_HOST


def test_real_packets_tell_no_steps(hosts: Hosts) -> None:
    """Only a test run does, whose mark no packet brings: else a host could flood its peers' events."""
    wire = hosts.send(frame_from_11())
    told: list[Event] = []
    hosts.b.poll_events()
    stop = hosts.b.events(told.append)
    assert hosts.count(wire) is Verdict.DELIVERED
    hosts.b.poll_events()
    stop()
    assert told == []


def test_a_packet_for_another_host_is_left_alone(hosts: Hosts) -> None:
    wire = patched(hosts.send(frame_from_11()), OUTER_TARGET, bytes((100, 64, 1, 77)))
    assert hosts.receive(wire).verdict is Verdict.NOT_OURS


def test_an_instance_that_moved_away_gets_nothing_here(hosts: Hosts) -> None:
    wire = hosts.send(frame_from_11())
    here = {key: row for key, row in plan.local_rows(plan.host_b()).items() if key.interface == 12}
    hosts.b.local_interfaces.delete_many(here)
    try:
        assert hosts.count(wire) is Verdict.DROP_DESTINATION_NOT_HERE
    finally:
        hosts.b.local_interfaces.put_many(here)


def test_refused_packets_are_counted_on_the_substrate_device(hosts: Hosts) -> None:
    wire = patched(hosts.send(frame_from_11()), OUTER_SOURCE, bytes((100, 64, 1, 66)))
    key = CounterKey(plan.DEVICE, Verdict.DROP_SOURCE_NOT_AT_HOST)
    before = hosts.b.counters().get(key, Traffic(0, 0)).packets
    hosts.count(wire)
    assert hosts.b.counters()[key].packets == before + 1
