"""A made packet's way from an instance to its destination, through the programs and maps that are loaded now. Out of the region and
into it, too: then an edge is one of the legs, and nodes of a cell are where a NAT gateway leads.

First, as a guest would, ARP or neighbour discovery for the next hop; then the packet, with the MAC that it gave; then the
bytes that left the first host go into the host they are addressed to. Every program runs as a what-if (BPF_PROG_TEST_RUN): it leaves no mark.
"""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Callable
from typing import Any

import msgspec

from rookery.host.control import EventLine, WhatIf, WhatIfReply
from rookery.model.objects import ElasticIp, NetworkInterface, Subnet
from rookery.region import agents, directory
from rookery.region.directory import Directory
from rookery.region.errors import NotFound
from rookery.region.layout import Layout
from rookery.region.status import current
from rookery.trace import packet
from rookery.trace.packet import Probe

EGRESS, INGRESS = "host_egress", "host_ingress"
OUTWARD, INWARD = "blackfoot_outward", "blackfoot_inward"
NODE = "hyperplane"
NODES_MAX = 24  # runs at nodes: two attachments, whose chains have six each, and as much again
SENT_OUTSIDE = "sent_outside"  # the step after which a packet is the internet's
INTERNET = "the internet"
SENT, DELIVERED, ANSWERED, SERVED = "sent", "delivered", "answered", "served"
IPV6_ROUTER = "fe80:ec2::1"  # of every subnet

Ask = Callable[[str, WhatIf], WhatIfReply]
"""(name of a host, what to run there)."""


class Leg(msgspec.Struct, kw_only=True):
    """One run of one program."""

    host: str
    cell: str = ""  # whose node it is; empty: of none
    program: str
    what: str  # "arp", "neighbour", "packet"
    sent: str  # the frame that went in, hex
    verdict: str
    steps: list[EventLine]
    delivered_to: str = ""  # eni id


class Journey(msgspec.Struct, kw_only=True):
    source_instance: str
    source_interface: str
    source_host: str
    source: str
    destination: str
    probe: str
    next_hop: str
    hosts: dict[str, str] = {}  # substrate address -> name
    cells: dict[str, str] = {}  # name of a node -> its cell's
    interfaces: dict[int, str] = {}  # number -> id
    next_hop_mac: str = ""
    legs: list[Leg] = []
    delivered: bool = False
    verdict: str = ""
    delivered_to: str = ""  # instance id, or the interface's if it is attached to none
    destination_host: str = ""
    left_at: str = ""  # the edge at which it left the region
    seen_as: str = ""  # its source outside

    @property
    def served(self) -> bool:
        """The host's services have it: there is nobody to deliver it to."""
        return self.verdict == SERVED


def travel(name: str, instance: str, destination: str, probe: Probe) -> Journey:
    """`instance` may be an address outside the region: the packet comes in through an edge.
    Raises NotFound, Ambiguous, NoAnswer, MalformedFrame."""
    plan = current(name).layout
    known = directory.read(plan)
    begin = from_outside if _is_address(instance) else journey
    return begin(known, instance, destination, probe, asking(plan))


def asking(plan: Layout) -> Ask:
    def ask(host: str, request: WhatIf) -> WhatIfReply:
        return agents.ask(plan.control_socket(host), request, WhatIfReply)

    return ask


def journey(known: Directory, instance: str, destination: str, probe: Probe, ask: Ask) -> Journey:
    start = known.instance(instance)
    interface = known.interface(start.interface_ids[0])
    wanted = known.address(destination, start.vpc_id)
    if wanted in interface.addresses + interface.ipv6_addresses:
        raise NotFound(f"{wanted} is an address of {start.id} itself: no packet to it leaves the instance")
    told = Journey(
        source_instance=start.id,
        source_interface=interface.id,
        source_host=start.host,
        source=_source(interface, wanted),
        destination=wanted,
        probe=str(probe),
        next_hop=next_hop(known.subnet_of(interface), wanted),
        **_names(known),
    )
    walk = _FromInstance(told, known, ask, interface)
    if walk.resolve():
        walk.send(probe)
    return told


def from_outside(known: Directory, source: str, destination: str, probe: Probe, ask: Ask) -> Journey:
    """Through the first edge: any other would do the same. `destination`: a public address, or an instance that has one."""
    edges = sorted(host.name for host in known.hosts.values() if host.is_edge)
    if not edges:
        raise NotFound("the region has no edge: nothing comes in from outside")
    told = Journey(
        source_instance=INTERNET,
        source_interface="",
        source_host=edges[0],
        source=source,
        destination=_public_address(known, destination),
        probe=str(probe),
        next_hop="",
        **_names(known),
    )
    _Walk(told, known, ask).come_in(probe)
    return told


def _names(known: Directory) -> dict[str, Any]:
    return {
        "hosts": {host.address: host.name for host in known.hosts.values()},
        "cells": {host.name: host.cell for host in known.hosts.values() if host.cell},
        "interfaces": {one.number: one.id for one in known.all(NetworkInterface)},
    }


def _is_address(word: str) -> bool:
    try:
        ipaddress.ip_address(word)
    except ValueError:
        return False
    return True


def _public_address(known: Directory, word: str) -> str:
    if _is_address(word):
        return str(ipaddress.ip_address(word))
    instance = known.instance(word)
    interface = known.interface(instance.interface_ids[0])
    elastic = [one.address for one in known.all(ElasticIp) if one.interface_id == interface.id]
    found = next(iter(elastic), interface.public_address)
    if not found:
        raise NotFound(f"{instance.id} has no public address")
    return found


def _source(interface: NetworkInterface, destination: str) -> str:
    """The first of its addresses that has the destination's family."""
    if ":" not in destination:
        return interface.primary
    if not interface.ipv6_addresses:
        raise NotFound(f"{interface.id} has no IPv6 address")
    return interface.ipv6_addresses[0]


def next_hop(subnet: Subnet, destination: str) -> str:
    """The destination itself inside the subnet, else its router."""
    blocks = [subnet.cidr, *(one.cidr for one in subnet.ipv6_cidr_associations)]
    address = ipaddress.ip_address(destination)
    if any(address in ipaddress.ip_network(block) for block in blocks):
        return destination
    return IPV6_ROUTER if address.version == 6 else str(ipaddress.ip_network(subnet.cidr)[1])


class _Walk:
    """From node to node."""

    def __init__(self, told: Journey, known: Directory, ask: Ask):
        self.told = told
        self.known = known
        self.ask = ask
        self.mark = secrets.randbelow(0xFFFF) + 1
        self.nodes = 0

    def come_in(self, probe: Probe) -> None:
        told = self.told
        frame = packet.ip_frame(packet.NO_MAC, packet.NO_MAC, told.source, told.destination, probe)
        reply = self._run(told.source_host, "packet", WhatIf(program=INWARD, frame=frame, trace=self.mark))
        if reply.verdict == SENT:
            self._arrive(reply.frame)

    def _arrive(self, frame: bytes) -> None:
        address = packet.outer_destination(frame)
        host = self.known.host_at(address)
        if host not in self.known.hosts:
            raise NotFound(f"the packet was sent to {address}, which is no host of this region")
        if self.known.hosts[host].is_edge:
            self._cross(host, packet.on_the_substrate(frame))
            return
        if self.known.hosts[host].cell:
            self._follow_chain(host, packet.on_the_substrate(frame))
            return
        request = WhatIf(program=INGRESS, frame=packet.on_the_substrate(frame), trace=self.mark)
        reply = self._run(host, "packet", request)
        if reply.verdict == DELIVERED:
            self._delivered(reply.delivered_to, host)

    def _cross(self, edge: str, frame: bytes) -> None:
        """Out, or back in: the destination may be a public address of this very region."""
        reply = self._run(edge, "packet", WhatIf(program=OUTWARD, frame=frame, trace=self.mark))
        if reply.verdict != SENT:
            return
        last = reply.steps[-1] if reply.steps else None
        if last and last.step == SENT_OUTSIDE:
            self.told.left_at, self.told.seen_as = edge, last.source
        else:
            self._arrive(reply.frame)

    def _follow_chain(self, node: str, frame: bytes) -> None:
        """From node to node of a cell, and out of it."""
        self.nodes += 1
        reply = self._run(node, "packet", WhatIf(program=NODE, frame=frame, trace=self.mark))
        if reply.verdict == SENT and self.nodes < NODES_MAX:
            self._arrive(reply.frame)

    def _delivered(self, interface_id: str, host: str) -> None:
        self.told.delivered = True
        self.told.delivered_to = self.known.instance_of(interface_id) or interface_id
        self.told.destination_host = host

    def _run(self, host: str, what: str, request: WhatIf) -> WhatIfReply:
        reply = self.ask(host, request)
        self.told.verdict = reply.verdict
        self.told.legs.append(
            Leg(
                host=host,
                cell=self.told.cells.get(host, ""),
                program=request.program,
                what=what,
                sent=request.frame.hex(),
                verdict=reply.verdict,
                steps=reply.steps,
                delivered_to=reply.delivered_to,
            )
        )
        return reply


class _FromInstance(_Walk):
    def __init__(self, told: Journey, known: Directory, ask: Ask, interface: NetworkInterface):
        super().__init__(told, known, ask)
        self.interface = interface

    def resolve(self) -> bool:
        """Asks for the next hop's MAC; False: nobody answered, and a guest would send nothing."""
        told, mine = self.told, self.interface
        ipv6 = ":" in told.destination
        ask = packet.neighbour_solicitation if ipv6 else packet.arp_request
        reply = self._leave("neighbour" if ipv6 else "arp", ask(mine.mac, told.source, told.next_hop))
        if reply.verdict == ANSWERED:
            read = packet.neighbour_answer if ipv6 else packet.arp_answer
            told.next_hop_mac = read(reply.frame, told.next_hop)
        return reply.verdict == ANSWERED

    def send(self, probe: Probe) -> None:
        told, mine = self.told, self.interface
        frame = packet.ip_frame(mine.mac, told.next_hop_mac, told.source, told.destination, probe)
        reply = self._leave("packet", frame)
        if reply.verdict == SENT:
            self._arrive(reply.frame)
        elif reply.verdict == DELIVERED:  # on the same host
            self._delivered(reply.delivered_to, told.source_host)

    def _leave(self, what: str, frame: bytes) -> WhatIfReply:
        request = WhatIf(program=EGRESS, frame=frame, trace=self.mark, interface=self.interface.id)
        return self._run(self.told.source_host, what, request)
