"""What the Mapping Service gave each host beside what its kernel holds, row by row."""

from __future__ import annotations

import msgspec

from rookery.host.control import GetMappings, MappingRow, MappingsReply
from rookery.model.objects import NetworkInterface, Vpc
from rookery.region import agents, directory
from rookery.region.directory import Directory
from rookery.region.status import current


class HeldMapping(msgspec.Struct, kw_only=True):
    holder: str  # the host that holds the row
    vpc: str  # id; "vni 0x0a1b2c" when no VPC has it
    address: str
    interface: str  # eni id; its number in hex when no interface has it
    mac: str
    intended_host: str  # name; empty: not intended
    kernel_host: str  # name; empty: not in the kernel's map
    generation: int
    issued: int
    difference: str  # empty: the same


def compare(name: str, vpc: str = "", host: str = "") -> list[HeldMapping]:
    """Of all hosts, or one; of all VPCs, or one. Raises NotFound, NoAnswer."""
    plan = current(name).layout
    known = directory.read(plan)
    vni = known.vpc(vpc).vni if vpc else 0
    holders = [known.host(host).name] if host else sorted(known.hosts)
    names = _Names(known)
    held = []
    for holder in holders:
        reply = agents.ask(plan.control_socket(holder), GetMappings(vni=vni), MappingsReply)
        held += [names.held(holder, row) for row in reply.rows]
    return held


class _Names:
    """Turns the data plane's numbers back into ids."""

    def __init__(self, known: Directory):
        self.vpcs = {vpc.vni: vpc.id for vpc in known.all(Vpc)}
        self.interfaces = {interface.number: interface.id for interface in known.all(NetworkInterface)}
        self.hosts = {host.address: host.name for host in known.hosts.values()}

    def held(self, holder: str, row: MappingRow) -> HeldMapping:
        return HeldMapping(
            holder=holder,
            vpc=self.vpcs.get(row.vni, f"vni {row.vni:#08x}"),
            address=row.address,
            interface=self.interfaces.get(row.interface, f"{row.interface:#010x}"),
            mac=row.mac,
            intended_host=self.hosts.get(row.intended_host, row.intended_host),
            kernel_host=self.hosts.get(row.kernel_host, row.kernel_host),
            generation=row.generation,
            issued=row.issued,
            difference=difference(row),
        )


def difference(row: MappingRow) -> str:
    """In words; empty when intent and kernel agree."""
    if row.intended_host == row.kernel_host:
        return ""
    if not row.kernel_host:
        return "MISSING in the kernel"
    if not row.intended_host:
        return "only in the kernel"
    return "DIFFERENT"
