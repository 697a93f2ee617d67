"""Rules as rows of the rule tables, in the simplest way that can be right: what the agent's compiler does is not used here,
so that the programs are tested against formats/maps.h and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network, ip_network

from rookery.dataplane import formats
from rookery.dataplane.addresses import address_bytes
from rookery.dataplane.cell import CellDataplane
from rookery.dataplane.formats import Direction, RuleConstant
from rookery.dataplane.host import HostDataplane

ALL, ICMP, TCP, UDP, GRE = -1, 1, 6, 17, 47
FAMILIES = (ip_network("0.0.0.0/0"), ip_network("::/0"))
PORTS = 1 << 16
ALLOWED = 1000


@dataclass(frozen=True)
class Rule:
    """Of a security group, or of a network ACL. Its peer is `cidr`, or the group sets that have the group it names."""

    direction: Direction
    protocol: int = ALL
    ports: tuple[int, int] = (0, PORTS - 1)  # ICMP: type << 8 | code
    cidr: str = "0.0.0.0/0"
    group_sets: tuple[int, ...] = ()
    allow: bool = True

    @cached_property
    def network(self) -> IPv4Network | IPv6Network:
        return ip_network(self.cidr)

    @property
    def anywhere(self) -> bool:
        return not self.group_sets and self.network in FAMILIES

    def fits_ports(self, protocol: int, port: int) -> bool:
        return self.protocol == ALL or (self.protocol == protocol and self.ports[0] <= port <= self.ports[1])


def out(protocol: int = ALL, ports: tuple[int, int] | int = (0, PORTS - 1), cidr: str = "0.0.0.0/0", *sets: int) -> Rule:
    return Rule(Direction.EGRESS, protocol, ports if isinstance(ports, tuple) else (ports, ports), cidr, sets)


def into(protocol: int = ALL, ports: tuple[int, int] | int = (0, PORTS - 1), cidr: str = "0.0.0.0/0", *sets: int) -> Rule:
    return Rule(Direction.INGRESS, protocol, ports if isinstance(ports, tuple) else (ports, ports), cidr, sets)


def group_order(rules: Sequence[Rule]) -> list[Rule]:
    """Bit n is rule n of this order."""
    return sorted(rules, key=lambda rule: not rule.anywhere)


def words(bits: Sequence[int]) -> bytes:
    return sum(1 << bit for bit in set(bits)).to_bytes(RuleConstant.BITS // 8, "little")


Bits = list[tuple[int, Rule]]


def address_rows(number: int, bits: Bits, direction: Direction) -> dict[formats.RuleAddressKey, formats.RuleBits]:
    peers = [(bit, rule.network) for bit, rule in bits if rule.direction == direction and not rule.group_sets]
    rows = {}
    for prefix in {*(network for _, network in peers), *FAMILIES}:
        above = 96 if prefix.version == 4 else 0
        key = formats.RuleAddressKey(
            RuleConstant.LIST_BITS + above + prefix.prefixlen, direction, number, address_bytes(str(prefix[0]))
        )
        rows[key] = formats.RuleBits(words([bit for bit, peer in peers if covers(peer, prefix)]))
    return rows


def covers(wide: IPv4Network | IPv6Network, narrow: IPv4Network | IPv6Network) -> bool:
    if wide.version != narrow.version or wide.prefixlen > narrow.prefixlen:
        return False
    return narrow.network_address in wide


def group_rows(number: int, bits: Bits, direction: Direction) -> dict[formats.RuleGroupKey, formats.RuleBits]:
    named = [(bit, rule) for bit, rule in bits if rule.direction == direction]
    return {
        formats.RuleGroupKey(number, one, direction, 0): formats.RuleBits(
            words([bit for bit, rule in named if one in rule.group_sets])
        )
        for one in {one for _, rule in named for one in rule.group_sets}
    }


def opened(bits: Bits, direction: Direction, protocol: int) -> int:
    """Families from which the direction admits the whole protocol."""
    whole = [
        rule.network
        for _, rule in bits
        if rule.direction == direction
        and rule.anywhere
        and rule.protocol in (ALL, protocol)
        and (rule.protocol == ALL or rule.ports == (0, PORTS - 1))
    ]
    return sum(flag for flag, family in zip(formats.OpenFamily, FAMILIES, strict=True) if family in whole)


def admitted_whole(entries: Sequence[Rule], direction: Direction) -> int:
    """Families of which a network ACL's first entry, in that direction, allows everything: not all that there are."""
    first = {family: [e for e in entries if e.direction == direction and e.network.version == family.version][:1] for family in FAMILIES}
    whole = [family for family, found in first.items() if found and found[0].allow and found[0].anywhere and found[0].protocol == ALL]
    return sum(flag for flag, family in zip(formats.OpenFamily, FAMILIES, strict=True) if family in whole)


def pieces(bits: Bits, protocol: int) -> Iterator[tuple[int, int]]:
    """Prefixes of ports (first port, bits) within which every rule fits everywhere or nowhere."""
    cuts = {0, PORTS}
    for _, rule in bits:
        if rule.protocol == protocol:
            cuts |= {rule.ports[0], rule.ports[1] + 1}
    at = 0
    while at < PORTS:
        size = PORTS
        while at % size or any(at < cut < at + size for cut in cuts):
            size //= 2
        yield at, 16 - (size.bit_length() - 1)
        at += size


def port_rows(
    number: int, bits: Bits, direction: Direction, opposite: Direction, anywhere: int
) -> dict[formats.RulePortKey, formats.RulePorts]:
    mine = [(bit, rule) for bit, rule in bits if rule.direction == direction]

    def row(fits: Callable[[Rule], bool], protocol: int) -> formats.RulePorts:
        admitted = words([bit for bit, rule in mine if fits(rule)])
        return formats.RulePorts(
            admitted, anywhere, opened(bits, direction, protocol), opened(bits, opposite, protocol), 0
        )

    head = RuleConstant.LIST_BITS
    rows = {
        formats.RulePortKey(head, direction, number, bytes(2), bytes(2), 0): row(
            lambda rule: rule.protocol == ALL, ALL
        )
    }
    for protocol in {TCP, UDP, *(rule.protocol for _, rule in bits if rule.protocol != ALL)}:
        for port, length in pieces(mine, protocol):
            key = formats.RulePortKey(
                head + 16 + length, direction, number, protocol.to_bytes(2, "big"), port.to_bytes(2, "big"), 0
            )
            rows[key] = row(lambda rule, p=protocol, n=port: rule.fits_ports(p, n), protocol)  # type: ignore[misc]
    return rows


def put_list(real: HostDataplane | CellDataplane, number: int, bits: Bits, anywhere: int = 0) -> None:
    for direction, opposite in ((Direction.EGRESS, Direction.INGRESS), (Direction.INGRESS, Direction.EGRESS)):
        real.rule_addresses.put_many(address_rows(number, bits, direction))
        real.rule_groups.put_many(group_rows(number, bits, direction))
        real.rule_ports.put_many(port_rows(number, bits, direction, opposite, anywhere))


def put_policy(real: HostDataplane | CellDataplane, number: int, rules: Sequence[Rule]) -> None:
    ordered = group_order(rules)
    put_list(real, number, list(enumerate(ordered)), sum(rule.anywhere for rule in ordered))


def put_acl(real: HostDataplane | CellDataplane, number: int, entries: Sequence[Rule]) -> None:
    """In the order in which they count."""
    put_list(real, number, [(2 * place + (not entry.allow), entry) for place, entry in enumerate(entries)])


def remove_lists(real: HostDataplane | CellDataplane, *numbers: int) -> None:
    for table in (real.rule_addresses, real.rule_groups, real.rule_ports):
        table.delete_many([key for key, _ in table.items() if key.list in numbers])  # type: ignore[attr-defined]


def clear_rules(real: HostDataplane) -> None:
    tables = (real.rule_addresses, real.rule_groups, real.rule_ports, real.connections, real.allowances, real.fragments)
    for table in tables:
        table.delete_many([key for key, _ in table.items()])


def put_open(real: HostDataplane | CellDataplane, number: int) -> None:
    """The list `number` admits everything, as a policy and as a network ACL."""
    whole = [Rule(direction, cidr=str(family)) for direction in (Direction.EGRESS, Direction.INGRESS) for family in FAMILIES]
    put_list(real, number, [(0, rule) for rule in whole], anywhere=1)


def allow_all(real: HostDataplane, number: int, interfaces: set[int]) -> None:
    """As put_open(); nobody's allowance is used."""
    put_open(real, number)
    room = formats.Allowance(0, ALLOWED)
    real.allowances.put_many({formats.InterfaceNumber(interface): room for interface in interfaces})
