"""From security groups and network ACLs to lists of rules as the programs ask them (bpf/formats/maps.h). Pure.

A rule is a bit. A list is named by what it says, so that another wording is another list and an interface goes from one to
the next in one step; which interfaces have which groups is no part of its name, for they come and go every second.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from ipaddress import IPv4Network, IPv6Network, ip_network
from struct import Struct
from typing import NamedTuple

import msgspec

from rookery.dataplane.addresses import address_bytes
from rookery.dataplane.formats import (
    Direction,
    OpenFamily,
    RuleAddressKey,
    RuleBits,
    RuleConstant,
    RuleGroupKey,
    RulePortKey,
    RulePorts,
)
from rookery.host.port_prefixes import PORTS, Range, covering, elementary_ranges
from rookery.intent.host import AclEntryIntent, AclIntent, GroupRuleIntent, GroupSetIntent, PolicyIntent

ANY = -1
ICMP, TCP, UDP, ICMPV6 = 1, 6, 17, 58
WITH_PORTS = frozenset({TCP, UDP, ICMP, ICMPV6})  # ICMP: type and code in the place of a port
TRACKED_BY_CHOICE = (TCP, UDP)  # all others are tracked always
PROTOCOL_NAMES = {ANY: "all protocols", ICMP: "icmp", TCP: "tcp", UDP: "udp", ICMPV6: "icmpv6"}
ANYWHERE = {"0.0.0.0/0": OpenFamily.IPV4, "::/0": OpenFamily.IPV6}
ROOTS = (ip_network("0.0.0.0/0"), ip_network("::/0"))
MAPPED = IPv6Network("::ffff:0:0/96")  # no IPv6 packet carries these: in the tables they are IPv4's
WORDS = Struct(f"={RuleConstant.WORDS}Q")
DIRECTIONS = (Direction.EGRESS, Direction.INGRESS)

Network = IPv4Network | IPv6Network
_encode = msgspec.msgpack.Encoder().encode


class Bit(NamedTuple):
    """One rule in its place: what it fits, whichever kind it is of."""

    number: int
    name: str
    protocol: int
    ports: Range
    networks: tuple[Network, ...]
    group: str


class Names(NamedTuple):
    """What a person calls a list and its rules: kept longer than the list, for flows that it once admitted."""

    of: str  # "sg-a, sg-b"; "acl-..."
    rules: Mapping[tuple[int, int], str]  # (direction, bit) -> "sgr-... of sg-... (tcp 443 from 10.0.0.0/16)"; "acl-... rule 100 (...)"
    is_acl: bool


@dataclass(frozen=True)
class CompiledList:
    number: int  # never 0
    vni: int
    addresses: Mapping[RuleAddressKey, RuleBits]
    ports: Mapping[RulePortKey, RulePorts]
    groups: Mapping[tuple[int, str], int]  # (direction, group that rules name as their peer) -> bits
    names: Names


def compile_policy(policy: PolicyIntent) -> CompiledList:
    """Raises ValueError: more rules than there are bits, or a rule that contradicts itself."""
    groups = sorted(set(policy.groups))
    rules = [msgspec.structs.replace(rule, cidrs=tuple(sorted(set(rule.cidrs)))) for rule in policy.rules]
    number = _number("policy", policy.vni, groups, sorted(map(_encode, rules)))
    parts = {d: _parts([rule for rule in rules if rule.egress == (d is Direction.EGRESS)]) for d in DIRECTIONS}
    bits = {d: _policy_bits(parts[d], d) for d in DIRECTIONS}
    names = Names(", ".join(groups), _names(bits), is_acl=False)
    return _list(number, policy.vni, bits, _policy_ports(number, parts, bits), names)


def _policy_ports(
    number: int, parts: Mapping[Direction, list[GroupRuleIntent]], bits: Mapping[Direction, list[Bit]]
) -> dict[RulePortKey, RulePorts]:
    opened = {(d, p): _open(parts[d], p) for d in DIRECTIONS for p in TRACKED_BY_CHOICE}
    rows = {}
    for direction in DIRECTIONS:
        anywhere = sum(_is_anywhere(rule.cidrs) for rule in parts[direction])
        for key, row in _port_bits(number, direction, bits[direction], TRACKED_BY_CHOICE).items():
            protocol = int.from_bytes(key.protocol, "big")
            own, opposite = (opened.get((d, protocol), 0) for d in (direction, _opposite(direction)))
            rows[key] = RulePorts(_packed(row), anywhere, own, opposite, 0)
    return rows


def compile_acl(acl: AclIntent) -> CompiledList:
    """Raises ValueError, as compile_policy()."""
    entries = sorted(acl.entries, key=lambda entry: entry.number)
    number = _number("acl", acl.vni, [acl.id], list(map(_encode, entries)))
    bits = {d: _acl_bits(acl, [e for e in entries if e.egress == (d is Direction.EGRESS)], d) for d in DIRECTIONS}
    ports = {
        key: RulePorts(_packed(row), 0, 0, 0, 0)
        for direction in DIRECTIONS
        for key, row in _port_bits(number, direction, bits[direction], ()).items()
    }
    return _list(number, acl.vni, bits, ports, Names(acl.id, _names(bits), is_acl=True))


def group_rows(compiled: CompiledList, sets_with: Mapping[str, Iterable[GroupSetIntent]]) -> dict[RuleGroupKey, RuleBits]:
    """`sets_with`: group -> the sets that have it. A set whose groups no rule names has no row."""
    rows: dict[RuleGroupKey, int] = {}
    for (direction, group), bits in compiled.groups.items():
        for having in sets_with.get(group, ()):
            key = RuleGroupKey(compiled.number, having.number, direction, 0)
            rows[key] = rows.get(key, 0) | bits
    return {key: RuleBits(_packed(bits)) for key, bits in rows.items()}


def sets_by_group(sets: Iterable[GroupSetIntent]) -> dict[str, list[GroupSetIntent]]:
    found: dict[str, list[GroupSetIntent]] = {}
    for one in sets:
        for group in one.groups:
            found.setdefault(group, []).append(one)
    return found


def _list(
    number: int, vni: int, bits: Mapping[Direction, list[Bit]], ports: dict[RulePortKey, RulePorts], names: Names
) -> CompiledList:
    addresses = {key: row for direction in DIRECTIONS for key, row in _addresses(number, direction, bits[direction])}
    groups: dict[tuple[int, str], int] = {}
    for direction in DIRECTIONS:
        for bit in bits[direction]:
            if bit.group:
                groups[direction, bit.group] = groups.get((direction, bit.group), 0) | 1 << bit.number
    return CompiledList(number, vni, addresses, ports, groups, names)


def _number(kind: str, vni: int, of: list[str], content: list[bytes]) -> int:
    """The ids of rules are part of it: what is told of a packet names the rule, and rules that say the same have other ids."""
    digest = blake2b(_encode((kind, vni, of, content)), digest_size=8).digest()
    return int.from_bytes(digest, "big") or 1


def _opposite(direction: Direction) -> Direction:
    return Direction.INGRESS if direction is Direction.EGRESS else Direction.EGRESS


def _parts(rules: list[GroupRuleIntent]) -> list[GroupRuleIntent]:
    """In the order of their bits: those for a whole family first. A prefix list that holds a whole family and more becomes two,
    or the rest would count as "anywhere" too."""
    whole, rest = [], []
    for rule in sorted(rules, key=_encode):
        everywhere = tuple(sorted({cidr for cidr in rule.cidrs if cidr in ANYWHERE}))
        others = tuple(cidr for cidr in rule.cidrs if cidr not in ANYWHERE)
        if everywhere:
            whole.append(msgspec.structs.replace(rule, cidrs=everywhere, group=""))
        if others or rule.group:
            rest.append(msgspec.structs.replace(rule, cidrs=others))
    return whole + rest


def _is_anywhere(cidrs: Iterable[str]) -> bool:
    return any(cidr in ANYWHERE for cidr in cidrs)


def _open(rules: list[GroupRuleIntent], protocol: int) -> int:
    """Families from which the whole protocol is admitted."""
    families = 0
    for rule in rules:
        if rule.protocol in (protocol, ANY) and _ports(rule) == PORTS:
            families |= sum(ANYWHERE[cidr] for cidr in rule.cidrs if cidr in ANYWHERE)
    return families


def _policy_bits(rules: list[GroupRuleIntent], direction: Direction) -> list[Bit]:
    _check_room(len(rules), direction)
    return [
        Bit(n, f"{r.id} of {r.of} ({_in_words(r)})", r.protocol, _ports(r), tuple(map(ip_network, r.cidrs)), r.group)
        for n, r in enumerate(rules)
    ]


def _acl_bits(acl: AclIntent, entries: list[AclEntryIntent], direction: Direction) -> list[Bit]:
    _check_room(2 * len(entries), direction)
    return [
        Bit(
            number=2 * place + (not entry.allow),
            name=f"{acl.id} rule {entry.number} ({_in_words(entry)})",
            protocol=entry.protocol,
            ports=_ports(entry),
            networks=(ip_network(entry.cidr),),
            group="",
        )
        for place, entry in enumerate(entries)
    ]


def _check_room(bits: int, direction: Direction) -> None:
    if bits > RuleConstant.BITS:
        raise ValueError(f"{bits} bits of rules for {direction.name.lower()}: a list has {RuleConstant.BITS}")


def _ports(rule: GroupRuleIntent | AclEntryIntent) -> Range:
    """Raises ValueError for what could mean anything."""
    if rule.protocol not in WITH_PORTS or rule.from_port == ANY:
        return PORTS
    first, last = rule.from_port, rule.to_port
    if rule.protocol in (ICMP, ICMPV6):
        kind, code = first, last
        first, last = (kind << 8, kind << 8 | 0xFF) if code == ANY else (kind << 8 | code, kind << 8 | code)
        if not (0 <= kind <= 0xFF and ANY <= code <= 0xFF):
            raise ValueError(f"type {kind} and code {code} of ICMP")
    if not 0 <= first <= last <= PORTS.last:
        raise ValueError(f"ports {first} to {last}")
    return Range(first, last)


def _addresses(number: int, direction: Direction, bits: list[Bit]) -> Iterator[tuple[RuleAddressKey, RuleBits]]:
    """A row of a prefix has the bits of all shorter ones of its family. Both roots are always there, or an IPv4 address that
    no rule names would find the row of an IPv6 prefix."""
    own: dict[Network, int] = dict.fromkeys(ROOTS, 0)
    for bit in bits:
        for network in bit.networks:
            if not (isinstance(network, IPv6Network) and network.subnet_of(MAPPED)):
                own[network] = own.get(network, 0) | 1 << bit.number
    lengths = {v: sorted({n.prefixlen for n in own if n.version == v}) for v in (4, 6)}
    for network in own:
        shorter = (length for length in lengths[network.version] if length <= network.prefixlen)
        total = 0
        for length in shorter:
            total |= own.get(network.supernet(new_prefix=length), 0)
        yield address_key(number, direction, network), RuleBits(_packed(total))


def address_key(number: int, direction: int, network: Network) -> RuleAddressKey:
    family = RuleConstant.IPV4_BITS if network.version == 4 else 0
    return RuleAddressKey(
        prefix_length=RuleConstant.LIST_BITS + family + network.prefixlen,
        direction=direction,
        list=number,
        remote=address_bytes(str(network.network_address)),
    )


def _port_bits(number: int, direction: Direction, bits: list[Bit], always: Iterable[int]) -> dict[RulePortKey, int]:
    """`always`: protocols that have a row of their own even when no rule names them."""
    every = _or(bit for bit in bits if bit.protocol == ANY)
    rows = {_port_key(number, direction, None): every}
    for protocol in {bit.protocol for bit in bits if bit.protocol != ANY} | set(always):
        named = [bit for bit in bits if bit.protocol == protocol]
        default = every | _or(bit for bit in named if bit.ports == PORTS)
        rows[_port_key(number, direction, protocol)] = default
        for ports, total in elementary_ranges((bit.ports, 1 << bit.number) for bit in named):
            if every | total != default:
                rows |= {
                    _port_key(number, direction, protocol, first, length): every | total
                    for first, length in covering(ports)
                }
    return rows


def _port_key(number: int, direction: int, protocol: int | None, port: int = 0, length: int = 0) -> RulePortKey:
    prefix = RuleConstant.LIST_BITS + (0 if protocol is None else RuleConstant.PROTOCOL_BITS + length)
    return RulePortKey(
        prefix_length=prefix,
        direction=direction,
        list=number,
        protocol=(protocol or 0).to_bytes(2, "big"),
        port=port.to_bytes(2, "big"),
        padding=0,
    )


def _or(bits: Iterable[Bit]) -> int:
    total = 0
    for bit in bits:
        total |= 1 << bit.number
    return total


def _packed(bits: int) -> bytes:
    """`__u64 word[]` in the machine's own order, the lowest word first."""
    return WORDS.pack(*(bits >> 64 * word & (1 << 64) - 1 for word in range(RuleConstant.WORDS)))


def _names(bits: Mapping[Direction, list[Bit]]) -> dict[tuple[int, int], str]:
    return {(direction, bit.number): bit.name for direction in DIRECTIONS for bit in bits[direction]}


def _in_words(rule: GroupRuleIntent | AclEntryIntent) -> str:
    """"tcp 443 from 10.0.0.0/16"."""
    protocol = PROTOCOL_NAMES.get(rule.protocol, f"protocol {rule.protocol}")
    way = "to" if rule.egress else "from"
    if isinstance(rule, AclEntryIntent):
        return f"{'allow' if rule.allow else 'deny'} {protocol}{_ports_in_words(rule)} {way} {rule.cidr}"
    more = f" and {len(rule.cidrs) - 1} more" if len(rule.cidrs) > 1 else ""
    peer = rule.group or (rule.cidrs[0] + more if rule.cidrs else "nobody")
    return f"{protocol}{_ports_in_words(rule)} {way} {peer}"


def _ports_in_words(rule: GroupRuleIntent | AclEntryIntent) -> str:
    ports = _ports(rule)
    if ports == PORTS:
        return ""
    if rule.protocol in (ICMP, ICMPV6):
        return f" type {rule.from_port}" + ("" if rule.to_port == ANY else f" code {rule.to_port}")
    return f" {ports.first}" if ports.first == ports.last else f" {ports.first}-{ports.last}"
