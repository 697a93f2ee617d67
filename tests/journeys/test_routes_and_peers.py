"""Where routes lead: bytes out of one host into the next, through appliances, into peers. Three hosts in one process.

    VPC 7   host A: 11 (10.7.1.5 and 10.7.1.16/28)                  subnet 1: 10.7.4.0/24 leads to 16
            host B: 12 (10.7.1.6 and 10.7.1.32/28), 19 (10.7.4.9)   subnet 7: 10.7.1.0/24 leads to 16
            host C: 16 (10.7.3.10), an appliance: its source/destination check is off
            host B: 17 (10.7.3.11), an appliance that somebody forgot to switch the check off at
    VPC 6   host B: 31 (10.6.1.5), host A: 32 (10.6.1.6)            a peer of 7, 8 and 5
    VPC 8   host A: 22 (10.7.1.6)                                   the same addresses as VPC 7
    VPC 5   host B: 41 (10.5.1.5)
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
from scapy.packet import Packet

from rookery.dataplane.formats import Ifindex, PeeringKey, Verdict
from rookery.dataplane.host import HostDataplane
from rookery.dataplane.node import WhatIf
from tests.dataplane import plan
from tests.dataplane.clearing import clear
from tests.dataplane.objects import built_objects
from tests.dataplane.packets import IP, ROUTER, UDP, Ether, RookeryGeneve, mac_text

TABLES = {"100.64.1.10": plan.host_a, "100.64.1.11": plan.host_b, "100.64.1.12": plan.host_c}
HOME = {number: str(host) for number, _, host in plan.ADDRESSES.values()}
ANY_TRACE = 3
INNER_DESTINATION = 96  # bytes into the wire


class Hosts(NamedTuple):
    at: dict[str, HostDataplane]  # by substrate address

    def leave(self, number: int, packet: Packet, checked: bool = True) -> WhatIf:
        """Instance `number` sends `packet` to its router; `checked`: its host checks the source where it should."""
        host, me = self.at[HOME[number]], plan.interface(number, source_check=checked)
        host.interfaces.put_many({Ifindex(plan.DEVICE): plan.interface_row(me)})
        frame = Ether(src=mac_text(number), dst=ROUTER) / packet
        return host.what_if("host_egress", bytes(frame), plan.DEVICE, ANY_TRACE)

    def arrive(self, wire: bytes) -> WhatIf:
        """At the host that the wire names."""
        host = self.at[IP(wire[14:]).dst]
        return host.what_if("host_ingress", wire, plan.DEVICE, ANY_TRACE)

    def travel(self, number: int, packet: Packet) -> WhatIf:
        left = self.leave(number, packet)
        assert left.verdict is Verdict.SENT
        return self.arrive(left.frame)


@pytest.fixture(scope="module")
def loaded() -> Iterator[Hosts]:
    made: dict[Path, HostDataplane] = {}
    at = {}
    try:
        for address in TABLES:
            path = Path("/sys/fs/bpf") / f"rookery-t{secrets.token_hex(4)}"
            made[path] = at[address] = HostDataplane.open(path, built_objects(), max_mappings=256)
        yield Hosts(at)
    finally:
        for path, one in made.items():
            one.close()
            HostDataplane.remove_pins(path)


@pytest.fixture
def hosts(loaded: Hosts) -> Hosts:
    """Loaded once, their tables as in the plan."""
    for address, tables in TABLES.items():
        clear(loaded.at[address])
        plan.fill(loaded.at[address], tables())
    return loaded


def packet(source: str, destination: str, ttl: int = 64) -> Packet:
    return IP(src=source, dst=destination, flags="DF", ttl=ttl) / UDP(sport=1111, dport=2222) / b"penguin"


def handed_over(number: int, content: Packet) -> bytes:
    """What instance `number` gets from its router."""
    return bytes(Ether(src=ROUTER, dst=mac_text(number)) / content)


def steps(outcome: WhatIf) -> list[str]:
    return [event.step.name for event in outcome.events]


def test_a_packet_passes_an_appliance_on_a_third_host_and_its_answer_does_too(hosts: Hosts) -> None:
    asked, answer = packet("10.7.1.5", "10.7.4.9"), packet("10.7.4.9", "10.7.1.5")
    ways = [(11, asked, 16), (16, asked, 19), (19, answer, 16), (16, answer, 11)]
    for sender, content, receiver in ways:
        arrived = hosts.travel(sender, content)
        assert (arrived.verdict, arrived.frame) == (Verdict.DELIVERED, handed_over(receiver, content))


def test_what_an_appliance_passes_on_is_told_as_such(hosts: Hosts) -> None:
    assert "VERIFIED" in steps(hosts.travel(11, packet("10.7.1.5", "10.7.4.9")))
    assert "FORWARDED" in steps(hosts.travel(16, packet("10.7.1.5", "10.7.4.9")))
    assert "VERIFIED" in steps(hosts.travel(16, packet("10.7.3.10", "10.7.4.9")))


def test_a_foreign_source_arrives_once_the_check_is_off(hosts: Hosts) -> None:
    foreign = packet("1.2.3.4", "10.7.1.6")
    assert hosts.leave(11, foreign).verdict is Verdict.DROP_SOURCE_ADDRESS
    assert hosts.travel(16, foreign).frame == handed_over(12, foreign)


def test_an_appliance_with_its_check_on_gets_nothing_for_others(hosts: Hosts) -> None:
    assert hosts.travel(11, packet("10.7.1.5", "198.51.100.70")).verdict is Verdict.DROP_DESTINATION_CHECK


def test_an_appliance_with_its_check_on_sends_nothing_for_others(hosts: Hosts) -> None:
    """Nor does a host that lets it: the receiver knows that the check is on."""
    foreign = packet("198.51.100.70", "10.7.1.5")
    assert hosts.leave(17, foreign).verdict is Verdict.DROP_SOURCE_ADDRESS
    assert hosts.arrive(hosts.leave(17, foreign, checked=False).frame).verdict is Verdict.DROP_SOURCE_NOT_MAPPED


def test_a_host_can_not_pass_an_instance_off_as_an_appliance(hosts: Hosts) -> None:
    """Neither its own nor the one that lives elsewhere."""
    wire = hosts.leave(11, packet("1.2.3.4", "10.7.1.6"), checked=False).frame
    assert hosts.arrive(wire).verdict is Verdict.DROP_SOURCE_NOT_MAPPED
    assert hosts.arrive(claiming(wire, interface=16)).verdict is Verdict.DROP_SOURCE_NOT_MAPPED
    assert hosts.arrive(claiming(wire, interface=18)).verdict is Verdict.DELIVERED  # an appliance of host A
    of_peer = claiming(wire, interface=18, origin_vni=plan.PEER)
    assert hosts.arrive(of_peer).verdict is Verdict.DROP_SOURCE_NOT_MAPPED  # which is none of the peer's


def claiming(wire: bytes, **fields: int) -> bytes:
    """The same, with other claims in its Geneve header."""
    claim = RookeryGeneve(wire[42:66])
    for name, value in fields.items():
        setattr(claim, name, value)
    return wire[:42] + bytes(claim) + wire[66:]


def test_a_claim_in_another_vpcs_name_is_not_believed(hosts: Hosts) -> None:
    """Between peers even: each VPC's addresses are looked up in that VPC."""
    wire = hosts.leave(11, packet("10.7.1.5", "10.6.1.5")).frame
    assert hosts.arrive(claiming(wire, origin_vni=plan.PEER)).verdict is Verdict.DROP_SOURCE_NOT_MAPPED
    assert hosts.arrive(claiming(wire, origin_vni=plan.TWIN)).verdict is Verdict.DROP_SOURCE_NOT_AT_HOST
    assert hosts.arrive(claiming(wire, origin_vni=9)).verdict is Verdict.DROP_NOT_PEERED


def test_peers_reach_each_other_and_no_router_is_passed(hosts: Hosts) -> None:
    asked, answer = packet("10.7.1.5", "10.6.1.5", ttl=1), packet("10.6.1.5", "10.7.1.5", ttl=1)
    assert hosts.travel(11, asked).frame == handed_over(31, asked)
    assert hosts.travel(31, answer).frame == handed_over(11, answer)


def test_peers_on_one_host_reach_each_other(hosts: Hosts) -> None:
    asked, answer = packet("10.7.1.5", "10.6.1.6"), packet("10.6.1.6", "10.7.1.5")
    assert hosts.leave(11, asked).frame == handed_over(32, asked)
    assert hosts.leave(32, answer).frame == handed_over(11, answer)


def test_a_peers_appliances_are_not_for_others(hosts: Hosts) -> None:
    """Across a peering only the owner of an address gets anything, whatever a sender's host claims and the check says."""
    tables = plan.host_b()
    tables.local[plan.PEER, 31] = replace(tables.local[plan.PEER, 31], source_check=False)
    plan.fill(hosts.at[HOME[31]], tables)
    wire = hosts.leave(11, packet("10.7.1.5", "10.6.1.5")).frame
    outside = wire[:INNER_DESTINATION] + bytes((198, 51, 100, 9)) + wire[INNER_DESTINATION + 4 :]
    assert hosts.arrive(outside).verdict is Verdict.DROP_DESTINATION_NOT_HERE
    assert hosts.arrive(claiming(outside, target=31)).verdict is Verdict.DROP_DESTINATION_CHECK


def test_without_its_row_a_peering_admits_nothing(hosts: Hosts) -> None:
    hosts.at[HOME[31]].peerings.delete_many([PeeringKey(plan.PEER, plan.VPC)])
    assert hosts.travel(11, packet("10.7.1.5", "10.6.1.5")).verdict is Verdict.DROP_NOT_PEERED
    answer = packet("10.6.1.5", "10.7.1.5")
    assert hosts.travel(31, answer).frame == handed_over(11, answer)  # each side admits for itself


def test_there_is_no_transit_through_a_peer(hosts: Hosts) -> None:
    """7 and 6 are peers, 6 and 5 are: 7's route for 5 leads into 6, where nobody has the address."""
    assert hosts.leave(11, packet("10.7.1.5", "10.5.1.5")).verdict is Verdict.DROP_NO_MAPPING
    wire = hosts.leave(11, packet("10.7.1.5", "10.6.1.5")).frame
    assert hosts.arrive(claiming(wire, vni=plan.THIRD)).verdict is Verdict.DROP_NOT_PEERED


def test_an_answer_follows_the_responders_routes_whoever_asked(hosts: Hosts) -> None:
    """8 asks, and 7 has the same addresses: the answer goes to 7, as the peer's route table says."""
    asked, answer = packet("10.7.1.6", "10.6.1.5"), packet("10.6.1.5", "10.7.1.6")
    assert hosts.travel(22, asked).frame == handed_over(31, asked)
    came_back = hosts.leave(31, answer)
    assert (came_back.verdict, came_back.frame) == (Verdict.DELIVERED, handed_over(12, answer))


def test_a_delegated_prefix_speaks_and_is_spoken_to(hosts: Hosts) -> None:
    asked, answer = packet("10.7.1.20", "10.7.1.40"), packet("10.7.1.40", "10.7.1.20")
    there = hosts.travel(11, asked)
    assert there.frame == bytes(Ether(src=mac_text(11), dst=mac_text(12)) / asked)
    assert hosts.travel(12, answer).frame == bytes(Ether(src=mac_text(12), dst=mac_text(11)) / answer)


def test_a_delegated_prefix_reaches_a_peer(hosts: Hosts) -> None:
    asked, answer = packet("10.7.1.20", "10.6.1.5"), packet("10.6.1.5", "10.7.1.20")
    assert hosts.travel(11, asked).frame == handed_over(31, asked)
    assert hosts.travel(31, answer).frame == handed_over(11, answer)
