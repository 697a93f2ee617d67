"""Instance 11 behind rules, and the other end of its flows on another host.

    instance 11 (10.7.1.5) -- gate -- [host A] -- substrate -- host B with 12 (10.7.1.6, same subnet) and 13 (10.7.2.7)
                                         +------- gate -- instance 14 (10.7.1.8)

What leaves is decided by host_egress, what arrives by host_ingress: on host A, both by the rules of 11."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

from scapy.packet import Packet

from rookery.dataplane import formats
from rookery.dataplane.addresses import address_bytes
from rookery.dataplane.formats import Ifindex, InterfaceNumber, LocalInterfaceKey, MappingKey, Step, Verdict
from rookery.dataplane.host import HostDataplane
from rookery.dataplane.node import WhatIf
from rookery.dataplane.syscall import RunContext
from tests.dataplane import plan, rule_rows
from tests.dataplane.packets import IP, ROUTER, TCP, UDP, Ether, frame_from_11, mac_text, wrapped
from tests.dataplane.rule_rows import Rule

OWN, NEAR, FAR, LOCAL = "10.7.1.5", "10.7.1.6", "10.7.2.7", "10.7.1.8"
NUMBERS = {OWN: 11, NEAR: 12, FAR: 13, LOCAL: 14}
EGRESS, INGRESS = "host_egress", "host_ingress"
POLICY, ACL = 0x5000, 0xAC00
SECOND = 1_000_000_000
DROPPED = 2  # TC_ACT_SHOT


def outgoing(content: Packet, to: str = NEAR, **ip: object) -> tuple[str, bytes]:
    """A packet of instance 11."""
    through = ROUTER if to == FAR else mac_text(NUMBERS[to])
    return EGRESS, bytes(frame_from_11(to, through, content, **ip))


def incoming(content: Packet, source: str = NEAR, **ip: object) -> tuple[str, bytes]:
    """A packet to instance 11."""
    sender = NUMBERS[source]
    inner = Ether(src=mac_text(sender), dst=mac_text(11)) / IP(**{"src": source, "dst": OWN, "flags": "DF", **ip}) / content
    return INGRESS, bytes(wrapped(inner, interface=sender))


def tcp(sport: int, dport: int, flags: str) -> Packet:
    return TCP(sport=sport, dport=dport, flags=flags)


def udp(sport: int, dport: int) -> Packet:
    return UDP(sport=sport, dport=dport) / b"x"


class Gated(NamedTuple):
    """Host A, as tests of gates use it."""

    real: HostDataplane

    def passes(self, packet: tuple[str, bytes]) -> bool:
        """As real traffic."""
        program, frame = packet
        return self.real.test_run(program, frame, RunContext(ifindex=plan.DEVICE)).action != DROPPED  # type: ignore[arg-type]

    def ask(self, packet: tuple[str, bytes]) -> WhatIf:
        program, frame = packet
        return self.real.what_if(program, frame, plan.DEVICE, 5)  # type: ignore[arg-type]

    def verdict(self, packet: tuple[str, bytes]) -> str:
        return self.ask(packet).verdict.name

    def steps(self, packet: tuple[str, bytes]) -> list[Step]:
        return [event.step for event in self.ask(packet).events]

    def policy(self, *rules: Rule, number: int = POLICY) -> None:
        """Of instance 11, in one step."""
        rule_rows.put_policy(self.real, number, rules)
        self.change_gates(policy=number)

    def acl(self, *entries: Rule, number: int = ACL) -> None:
        """Of instance 11's subnet."""
        rule_rows.put_acl(self.real, number, entries)
        self.change_gates(acl=number)

    def change_gates(self, **fields: int) -> None:
        speaker, local = Ifindex(plan.DEVICE), LocalInterfaceKey(plan.VPC, 11)
        config, row = self.real.interfaces.get(speaker), self.real.local_interfaces.get(local)
        assert config and row
        self.real.interfaces.put_many({speaker: config._replace(**fields)})
        self.real.local_interfaces.put_many({local: row._replace(**fields)})

    def local_gates(self, interface: int, **fields: int) -> None:
        key = LocalInterfaceKey(plan.VPC, interface)
        row = self.real.local_interfaces.get(key)
        assert row
        self.real.local_interfaces.put_many({key: row._replace(**fields)})

    def set_groups(self, address: str, group_set: int) -> None:
        key = MappingKey(plan.VPC, address_bytes(address))
        row = self.real.mappings.get(key)
        assert row
        self.real.mappings.put_many({key: row._replace(group_set=group_set)})

    @property
    def connections(self) -> dict[formats.ConnectionKey, formats.Connection]:
        return dict(self.real.connections.items())

    def only_connection(self) -> formats.Connection:
        (row,) = self.connections.values()
        return row

    def wait(self, seconds: float) -> None:
        """Time passes for the flows: they end so much earlier."""
        past = int(seconds * SECOND)
        aged = {key: row._replace(deadline=row.deadline - past) for key, row in self.connections.items()}
        self.real.connections.put_many(aged)

    def idle(self) -> float:
        """Seconds after which the only flow is forgotten."""
        return (self.only_connection().deadline - time.monotonic_ns()) / SECOND

    def tracked(self, interface: int = 11) -> int:
        row = self.real.allowances.get(InterfaceNumber(interface))
        assert row
        return row.tracked

    def allow(self, allowed: int, interface: int = 11) -> None:
        self.real.allowances.put_many({InterfaceNumber(interface): formats.Allowance(0, allowed)})

    def counted(self, verdict: Verdict) -> int:
        rows = self.real.counters()
        return sum(row.packets for key, row in rows.items() if key.verdict == verdict)

    def all_pass(self, packets: Sequence[tuple[str, bytes]]) -> bool:
        return [self.passes(packet) for packet in packets] == [True] * len(packets)
