"""Lists of rules, asked as the programs ask them, against an oracle that goes through the rules one by one."""

from __future__ import annotations

import ipaddress
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.dataplane.addresses import address_bytes
from rookery.dataplane.formats import LAYOUTS, Direction, OpenFamily, RuleBits, RuleConstant, RulePorts
from rookery.host.port_prefixes import PORTS, Range, covering
from rookery.host.rule_lists import (
    CompiledList,
    compile_acl,
    compile_policy,
    group_rows,
    sets_by_group,
)
from rookery.intent.host import AclEntryIntent, AclIntent, GroupRuleIntent, GroupSetIntent, PolicyIntent

ICMP, TCP, UDP, GRE, ICMPV6 = 1, 6, 17, 47, 58
ADDRESSES = ("10.0.0.1", "10.0.1.1", "10.1.0.1", "192.0.2.1", "2001:db8::1", "2001:db8:1::1", "fd00::1", "::1")
CIDRS = (
    "0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/16", "10.0.1.0/24", "10.0.0.1/32", "128.0.0.0/1",
    "::/0", "::/1", "::/8", "2001:db8::/32", "2001:db8:1::/48", "2001:db8::1/128", "::ffff:0:0/96", "::ffff:10.0.0.0/104",
)  # fmt: skip
SETS = {
    0: (),
    1: ("sg-a",),
    2: ("sg-a", "sg-b"),
    3: ("sg-c",),
}
GROUP_SETS = [GroupSetIntent(number=number, groups=groups) for number, groups in SETS.items() if groups]


class Packet(NamedTuple):
    """As a gate sees it: `port` is the destination's, or type and code of ICMP."""

    direction: Direction
    remote: str
    group_set: int
    protocol: int
    port: int


PORTS_OF_PACKETS = st.sampled_from([0, 1, 22, 80, 443, 768, 772, 1023, 1024, 2048, 2049, 65535]) | st.integers(0, 65535)
PACKETS = st.builds(
    Packet,
    st.sampled_from(Direction),
    st.sampled_from(ADDRESSES),
    st.sampled_from(sorted(SETS)),
    st.sampled_from([ICMP, TCP, UDP, GRE, ICMPV6, 0]),
    PORTS_OF_PACKETS,
)


@st.composite
def what(draw) -> tuple[int, int, int]:
    """(protocol, from, to)."""
    protocol = draw(st.sampled_from([-1, ICMP, TCP, UDP, GRE, ICMPV6]))
    if protocol in (ICMP, ICMPV6):
        kind = draw(st.sampled_from([-1, 0, 3, 8, 255]))
        return protocol, kind, -1 if kind == -1 else draw(st.sampled_from([-1, 0, 1, 4, 255]))
    if protocol in (TCP, UDP):
        ends = st.sampled_from([0, 1, 22, 80, 443, 1023, 1024, 65534, 65535])
        return protocol, *sorted((draw(ends), draw(ends)))
    return protocol, -1, -1


@st.composite
def group_rules(draw) -> tuple[GroupRuleIntent, ...]:
    rules = []
    for n in range(draw(st.integers(0, 8))):
        protocol, first, last = draw(what())
        named = draw(st.booleans())
        rules.append(
            GroupRuleIntent(
                id=f"sgr-{n}",
                of=draw(st.sampled_from(["sg-a", "sg-b"])),
                egress=draw(st.booleans()),
                protocol=protocol,
                from_port=first,
                to_port=last,
                cidrs=() if named else tuple(draw(st.lists(st.sampled_from(CIDRS), max_size=3))),
                group=draw(st.sampled_from(["sg-a", "sg-b", "sg-c", "sg-gone"])) if named else "",
            )
        )
    return tuple(rules)


@st.composite
def entries(draw) -> tuple[AclEntryIntent, ...]:
    found = []
    for n in range(draw(st.integers(0, 8))):
        protocol, first, last = draw(what())
        found.append(
            AclEntryIntent(
                number=10 * n + 10,
                egress=draw(st.booleans()),
                allow=draw(st.booleans()),
                protocol=protocol,
                cidr=draw(st.sampled_from(CIDRS)),
                from_port=first,
                to_port=last,
            )
        )
    return tuple(found)


def a_policy(rules: tuple[GroupRuleIntent, ...]) -> PolicyIntent:
    return PolicyIntent(vni=7, group_set=1, groups=("sg-a", "sg-b"), rules=rules)


def an_acl(found: tuple[AclEntryIntent, ...]) -> AclIntent:
    return AclIntent(number=1, id="acl-1", vni=7, entries=found)


# The oracle: nothing of it knows bits, prefixes or tables.


def fits(rule: GroupRuleIntent | AclEntryIntent, cidrs: tuple[str, ...], packet: Packet) -> bool:
    if rule.egress != (packet.direction is Direction.EGRESS) or rule.protocol not in (-1, packet.protocol):
        return False
    remote = ipaddress.ip_address(packet.remote)
    networks = map(ipaddress.ip_network, cidrs)
    here = any(network.version == remote.version and remote in network for network in networks)
    group = getattr(rule, "group", "")
    return (here or (group != "" and group in SETS[packet.group_set])) and port_fits(rule, packet)


def port_fits(rule: GroupRuleIntent | AclEntryIntent, packet: Packet) -> bool:
    if rule.protocol in (TCP, UDP):
        return rule.from_port <= packet.port <= rule.to_port
    if rule.protocol in (ICMP, ICMPV6):
        kind, code = divmod(packet.port, 256)
        return rule.from_port in (-1, kind) and rule.to_port in (-1, code)
    return True


# The programs' way: two searches for the longest prefix, one in a hash, and the lowest common bit.


def longest(rows: dict, layout, direction: int, number: int, wanted: bytes):
    """As BPF_MAP_TYPE_LPM_TRIE: the packed key behind its length, bit by bit."""
    data = direction.to_bytes(4, "little") + number.to_bytes(8, "little") + wanted
    best = None
    for key, row in rows.items():
        packed = layout.pack(*key)[4:]
        bits = key.prefix_length
        same = int.from_bytes(packed, "big") >> 8 * len(packed) - bits == int.from_bytes(data, "big") >> 8 * len(data) - bits
        if same and (best is None or bits > best[0]):
            best = (bits, row)
    return best[1] if best else None


def asked(compiled: CompiledList, packet: Packet) -> tuple[int, RulePorts | None]:
    """The rule that counts (or RuleConstant.NONE), and the row of its ports."""
    direction, number = packet.direction, compiled.number
    address_layout = LAYOUTS[type(next(iter(compiled.addresses)))]
    address = longest(compiled.addresses, address_layout, direction, number, address_bytes(packet.remote))
    assert isinstance(address, RuleBits), "both families have a root"
    port_layout = LAYOUTS[type(next(iter(compiled.ports)))]
    wanted = packet.protocol.to_bytes(2, "big") + packet.port.to_bytes(2, "big") + bytes(4)
    ports = longest(compiled.ports, port_layout, direction, number, wanted)
    if ports is None:
        return RuleConstant.NONE, None
    groups = group_rows(compiled, sets_by_group(GROUP_SETS))
    named = [row for key, row in groups.items() if (key.group_set, key.direction) == (packet.group_set, direction)]
    peer = word(address.word) | sum(word(row.word) for row in named)
    common = peer & word(ports.rules)
    return ((common & -common).bit_length() - 1 if common else RuleConstant.NONE), ports


def word(packed: bytes) -> int:
    return int.from_bytes(packed, "little")


@settings(max_examples=150)
@given(group_rules(), st.lists(PACKETS, min_size=1, max_size=6))
def test_security_groups_admit_what_one_of_their_rules_fits_and_name_it(rules, packets):
    compiled = compile_policy(a_policy(rules))
    for packet in packets:
        fitting = {rule.id for rule in rules if fits(rule, rule.cidrs, packet)}
        bit, _ = asked(compiled, packet)
        assert (bit != RuleConstant.NONE) == bool(fitting)
        if fitting:
            assert compiled.names.rules[packet.direction, bit].split()[0] in fitting


@given(group_rules(), PACKETS)
def test_a_rule_for_a_whole_family_counts_first(rules, packet):
    """`anywhere` decides whether a flow may go untracked, so it must be exact."""
    family = "::/0" if ":" in packet.remote else "0.0.0.0/0"
    compiled = compile_policy(a_policy(rules))
    bit, ports = asked(compiled, packet)
    everywhere = any(fits(rule, (family,), packet) and family in rule.cidrs for rule in rules)
    assert (bit != RuleConstant.NONE and ports is not None and bit < ports.anywhere) == everywhere


@given(group_rules(), PACKETS)
def test_a_direction_is_open_when_it_admits_the_whole_protocol_from_everywhere(rules, packet):
    _, ports = asked(compile_policy(a_policy(rules)), packet)
    assert ports is not None, "security groups have a row for every protocol"
    families = {OpenFamily.IPV4: "0.0.0.0/0", OpenFamily.IPV6: "::/0"}

    def opened(egress: bool) -> int:
        if packet.protocol not in (TCP, UDP):
            return 0
        whole = [r for r in rules if r.egress == egress and (r.protocol, r.from_port, r.to_port) in every]
        return sum(f for f, cidr in families.items() if any(cidr in rule.cidrs for rule in whole))

    every = {(-1, -1, -1), (packet.protocol, 0, 65535)}
    egress = packet.direction is Direction.EGRESS
    assert (ports.open, ports.opposite_open) == (opened(egress), opened(not egress))


@settings(max_examples=150)
@given(entries(), st.lists(PACKETS, min_size=1, max_size=6))
def test_the_first_entry_of_an_acl_that_fits_decides_and_none_denies(found, packets):
    compiled = compile_acl(an_acl(found))
    for packet in packets:
        first = next((entry for entry in found if fits(entry, (entry.cidr,), packet)), None)
        bit, _ = asked(compiled, packet)
        assert (bit == RuleConstant.NONE) == (first is None)
        if first:
            assert (bit % 2 == 0) == first.allow
            assert compiled.names.rules[packet.direction, bit].startswith(f"acl-1 rule {first.number} (")


@given(group_rules(), st.randoms())
def test_a_list_is_named_by_what_it_says_and_not_by_the_order_it_was_told_in(rules, random):
    shuffled = [msgspec.structs.replace(rule, cidrs=tuple(sorted(rule.cidrs, reverse=True))) for rule in rules]
    random.shuffle(shuffled)
    assert compile_policy(a_policy(tuple(shuffled))) == compile_policy(a_policy(rules))


@given(group_rules(), group_rules())
def test_other_rules_are_another_list(one, other):
    content = [sorted(msgspec.json.encode(msgspec.structs.replace(r, cidrs=tuple(sorted(set(r.cidrs))))) for r in rules)
               for rules in (one, other)]  # fmt: skip
    numbers = [compile_policy(a_policy(rules)).number for rules in (one, other)]
    assert (numbers[0] == numbers[1]) == (content[0] == content[1])
    assert 0 not in numbers


def test_the_same_rules_in_another_vpc_are_another_list():
    policy = a_policy(())
    assert compile_policy(policy).number != compile_policy(msgspec.structs.replace(policy, vni=8)).number


SSH = GroupRuleIntent(
    id="sgr-1", of="sg-a", egress=False, protocol=TCP, from_port=22, to_port=22, cidrs=("10.0.0.0/8",)
)


def many(count: int) -> tuple[GroupRuleIntent, ...]:
    return tuple(msgspec.structs.replace(SSH, id=f"sgr-{n:04}") for n in range(count))


def test_as_many_rules_as_there_are_bits_are_kept_and_one_more_is_refused():
    compiled = compile_policy(a_policy(many(RuleConstant.BITS)))
    packet = Packet(Direction.INGRESS, "10.0.0.1", 0, TCP, 22)
    assert asked(compiled, packet)[0] == 0
    with pytest.raises(ValueError, match="1025 bits of rules for ingress: a list has 1024"):
        compile_policy(a_policy(many(RuleConstant.BITS + 1)))


@pytest.mark.parametrize(("first", "last"), [(23, 22), (0, 65536), (-2, 5), (5, -1)])
def test_ports_that_contradict_themselves_are_refused(first: int, last: int):
    with pytest.raises(ValueError, match="ports"):
        compile_policy(a_policy((msgspec.structs.replace(SSH, from_port=first, to_port=last),)))


def test_a_range_of_ports_costs_few_rows():
    ephemeral = msgspec.structs.replace(SSH, from_port=1024, to_port=65535)
    rows = compile_policy(a_policy((ephemeral,))).ports
    assert len([key for key in rows if key.prefix_length > RuleConstant.LIST_BITS + RuleConstant.PROTOCOL_BITS]) == 6


@given(st.integers(0, 65535), st.integers(0, 65535))
def test_prefixes_cover_just_the_ports_of_a_range(one, other):
    ports = Range(min(one, other), max(one, other))
    covered = [(first, first + (1 << 16 - length)) for first, length in covering(ports)]
    assert covered[0][0] == ports.first and covered[-1][1] == ports.last + 1
    assert all(end == start for (_, end), (start, _) in zip(covered, covered[1:], strict=False))
    assert all(first % (end - first) == 0 for first, end in covered)
    assert len(covered) <= 30


def test_all_ports_are_one_prefix():
    assert list(covering(PORTS)) == [(0, 0)]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, "sgr-1 of sg-a (tcp 22 from 10.0.0.0/8)"),
        ({"to_port": 25, "egress": True}, "sgr-1 of sg-a (tcp 22-25 to 10.0.0.0/8)"),
        ({"from_port": 0, "to_port": 65535, "cidrs": (), "group": "sg-b"}, "sgr-1 of sg-a (tcp from sg-b)"),
        ({"protocol": ICMP, "from_port": 8, "to_port": -1}, "sgr-1 of sg-a (icmp type 8 from 10.0.0.0/8)"),
        ({"protocol": GRE}, "sgr-1 of sg-a (protocol 47 from 10.0.0.0/8)"),
        ({"cidrs": ("10.1.0.0/16", "10.2.0.0/16")}, "sgr-1 of sg-a (tcp 22 from 10.1.0.0/16 and 1 more)"),
    ],
)
def test_a_rule_is_called_as_a_person_would(change: dict, words: str):
    compiled = compile_policy(a_policy((msgspec.structs.replace(SSH, **change),)))
    assert list(compiled.names.rules.values()) == [words]
