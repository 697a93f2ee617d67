"""The checker itself: it finds each kind of damage, and nothing in a sound store.

VPC 7: subnet 10.7.1.0/24 with instances 10 and 11 on host-1, guarded by the default group and network ACL
VPC 8: nothing but its own guards; the partner where VPC 7 has a peering
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from rookery.api.state import claim_key, public_address_of
from rookery.model.codec import encode
from rookery.model.keys import LIVE, cell_key, head_key, host_key, public_claim
from rookery.model.objects import (
    Cell,
    CidrAssociation,
    DhcpOptions,
    EgressOnlyInternetGateway,
    ElasticIp,
    Host,
    InternetGateway,
    Live,
    MetadataDefaults,
    MetadataOptions,
    NetworkAclAssociation,
    NetworkInterface,
    PeeringSide,
    PrivateZone,
    Resource,
    Route,
    RouteTableAssociation,
    VpcPeering,
)
from rookery.store.interface import Entry
from rookery.testing import things
from rookery.testing.invariants import broken

Rows = dict[str, bytes]
GROUP, ACL = GUARDS = things.guards(7, 1)
LOOSE = replace(
    things.launch(7, 1, 20, "host-1")[1], attachment=None, addresses=("10.7.1.20",), prefixes=("10.7.1.32/28",)
)
PARTNER = [*things.vpc(8), *things.guards(8)]
INSIDE_7 = (CidrAssociation("vpc-cidr-assoc-8", "10.7.128.0/17"),)
BLOCK = CidrAssociation("vpc-cidr-assoc-9", "2001:db8::/56")
RULE = GROUP.rules[0]


OPTIONS = DhcpOptions(
    **things.OWNER, id="dopt-1", configurations=(("domain-name", ("example.org",)),), is_default=True
)
ZONE = PrivateZone(**things.OWNER, id="zone-1", name="example.org", vpc_ids=(GROUP.vpc_id,))

GATEWAY = InternetGateway(**things.OWNER, id="igw-1", attached_vpc_id=GROUP.vpc_id)
ONE_WAY = EgressOnlyInternetGateway(**things.OWNER, id="eigw-1", attached_vpc_id=GROUP.vpc_id)
FREE_IP = ElasticIp(**things.OWNER, id="eipalloc-1", address="198.18.0.1")
LAUNCHED = things.launch(7, 1, 10, "host-1")[1]
ELASTIC_IP = replace(FREE_IP, association_id="eipassoc-1", interface_id=LAUNCHED.id, private_address=LAUNCHED.primary)
OF_GATEWAY = RouteTableAssociation("rtbassoc-9", gateway_id=GATEWAY.id)
MAIN = RouteTableAssociation("rtbassoc-1")

DEFAULTS = MetadataDefaults(**things.OWNER, id="imd-1", tokens="required")


def peering(number: int, status: str = "active", **times: float) -> VpcPeering:
    return VpcPeering(
        **things.OWNER,
        id=f"pcx-{number:017x}",
        requester=PeeringSide(**things.OWNER, vpc_id=things.vpc(7)[0].id),
        accepter=PeeringSide(**things.OWNER, vpc_id=things.vpc(8)[0].id),
        status=status,
        **times,
    )


def launched(number: int) -> tuple[Resource, Resource]:
    instance, interface = things.launch(7, 1, number, "host-1")
    return instance, replace(interface, groups=(GROUP.id,))


def sound() -> list[Resource]:
    return [
        *things.vpc(7),
        things.subnet(7, 1),
        *launched(10),
        *launched(11),
        *GUARDS,
        *PARTNER,
    ]


def stored(*resources: Resource) -> Rows:
    claims = {claim: one.id.encode() for one in resources if (claim := claim_key(one))}
    claims |= {public_claim(public): one.id.encode() for one in resources if (public := public_address_of(one))}
    head = {head_key(**things.OWNER): b""}
    return things.rows(*things.hosts(1), *resources) | claims | head


def found(rows: Rows) -> list[str]:
    return broken(Entry(key, value, 1) for key, value in rows.items())


def changed(number: int, **fields: object) -> Callable[[], Rows]:
    def rows() -> Rows:
        resources = sound()
        resources[number] = replace(resources[number], **fields)
        return stored(*resources)

    return rows


def without(number: int) -> Callable[[], Rows]:
    return lambda: stored(*(one for n, one in enumerate(sound()) if n != number))


def with_more(more: Callable[[list[Resource]], Resource]) -> Callable[[], Rows]:
    return lambda: stored(*sound(), more(sound()))


def without_key(part: str) -> Callable[[], Rows]:
    return lambda: {key: value for key, value in stored(*sound()).items() if part not in key}


HOST = things.hosts(1)[0]
NODE = Host(name="node-1", zone=0, address="100.64.240.1", cell="cell-a")
CELL = Cell(name="cell-a", zones=(0,), nodes=("node-1", "", "node-2"), draining=("node-2",))


def with_cell(changed: Host | Cell | None = None) -> Callable[[], Rows]:
    """A cell, of which one node is there; `changed`: instead of what had its key."""

    def rows() -> Rows:
        infrastructure = {host_key(NODE.name): NODE, cell_key(CELL.name): CELL}
        if changed is not None:
            key = cell_key(changed.name) if isinstance(changed, Cell) else host_key(changed.name)
            infrastructure[key] = changed
        return stored(*sound()) | {key: encode(one) for key, one in infrastructure.items()}

    return rows


def test_a_store_with_a_cell_breaks_no_rule():
    assert found(with_cell()()) == []


def test_a_sound_store_breaks_no_rule():
    assert found(stored(*sound())) == []


def test_a_store_with_ipv6_prefixes_and_peerings_that_follow_each_other_breaks_no_rule():
    vpc, main, subnet, *others = sound()
    six = [replace(vpc, ipv6_cidr_associations=(BLOCK,)), main]
    inside = replace(subnet, ipv6_cidr_associations=(CidrAssociation("subnet-cidr-assoc-9", "2001:db8::/64"),))
    loose = replace(LOOSE, ipv6_addresses=("2001:db8::9",), groups=(GROUP.id,))
    peerings = [
        peering(1, "deleted", created=1.0),
        peering(2, "pending-acceptance", created=2.0, expires=3.0),
        peering(3, created=4.0),
    ]
    assert found(stored(*six, inside, *others, loose, *peerings)) == []


def test_a_store_with_options_sets_and_zones_breaks_no_rule():
    vpc, *others = sound()
    associated = replace(vpc, dhcp_options_id=OPTIONS.id)
    more = replace(OPTIONS, id="dopt-2", is_default=False), ZONE, replace(ZONE, id="zone-2", name="example.net")
    assert found(stored(associated, *others, OPTIONS, *more)) == []


def _with_a_table_that_leads_out() -> list[Resource]:
    vpc, main, *others = sound()
    return [vpc, replace(main, associations=(MAIN, OF_GATEWAY), routes=(Route("0.0.0.0/0", GATEWAY.id),)), *others, GATEWAY]


def _stopped_with_an_address() -> list[Resource]:
    resources = sound()
    resources[3] = replace(resources[3], wanted="stopped")
    resources[4] = replace(resources[4], public_address="198.18.0.2")
    return resources


def test_a_store_with_gateways_and_public_addresses_breaks_no_rule():
    resources = sound()
    resources[1] = replace(resources[1], associations=(MAIN, OF_GATEWAY), routes=(Route("10.7.1.0/24", LAUNCHED.id),))
    resources[6] = replace(resources[6], public_address="198.18.0.2", wants_public_address=True)
    assert found(stored(*resources, GATEWAY, ONE_WAY, ELASTIC_IP, replace(GATEWAY, id="igw-2", attached_vpc_id=""))) == []


def _twin(resources: list[Resource]) -> Resource:
    """Another interface with the address of the first."""
    interface = resources[4]
    assert isinstance(interface, NetworkInterface)
    return replace(interface, id=f"eni-{99:017x}", mac="02:00:00:00:00:99", attachment=None)


@pytest.mark.parametrize(
    ("rows", "word"),
    [
        (without(0), "in no block"),
        (without(1), "0 main route tables"),
        (without(2), "which is gone or elsewhere"),
        (without(3), "does not name it"),
        (without(4), "which is gone or elsewhere"),
        (without_key("claims/vni"), "names None"),
        (without_key("/head"), "its head at None"),
        (without_key("host-1"), "which is gone or elsewhere"),
        (changed(2, cidr="10.8.1.0/24"), "in no block"),
        (changed(3, host="host-9"), "at host-1, its"),
        (changed(3, interface_ids=()), "has no interface"),
        (with_cell(replace(HOST, cell="cell-a")), "host-1, which holds no instances"),
        (with_cell(replace(HOST, is_edge=True)), "host-1, which holds no instances"),
        (with_cell(replace(NODE, cell="cell-b")), "node-1 is at cell-a, and says 'cell-b'"),
        (with_cell(replace(CELL, draining=("node-9",))), "of which ('node-9',) drain"),
        (with_cell(replace(CELL, nodes=("node-1", "node-1"))), "has the nodes ['node-1', 'node-1']"),
        (changed(3, wanted="terminated", interface_ids=()), "does not name it"),
        (changed(4, addresses=("10.7.2.10",)), "does not give"),
        (changed(4, addresses=("10.7.1.3",)), "does not give"),
        (changed(4, mac="02:00:00:07:01:0b"), "is used 2 times"),
        (with_more(_twin), "10.7.1.10 is held by"),
        (with_more(lambda _: replace(things.subnet(7, 2), cidr="10.7.1.128/25")), "overlap"),
        (with_more(lambda _: things.vpc(9)[0]), "0 main route tables"),
        (
            changed(1, associations=(RouteTableAssociation("rtbassoc-1"), RouteTableAssociation("rtbassoc-2", "subnet-9"))),
            "names subnet-9",
        ),
        (changed(0, ipv6_cidr_associations=(BLOCK, replace(BLOCK, cidr="2001:db8:0:1::/64"))), "overlap"),
        (changed(2, ipv6_cidr_associations=(BLOCK,)), "in no IPv6 block"),
        (changed(4, ipv6_addresses=("2001:db8::9",)), "which is not of"),
        (changed(4, prefixes=("10.7.1.0/28",)), "10.7.1.0/28 and 10.7.1.10/32 overlap"),
        (with_more(lambda _: replace(LOOSE, prefixes=("10.7.2.32/28",))), "which is not of"),
        (changed(4, groups=("sg-9",)), "has sg-9, which is gone"),
        (changed(4, groups=()), "has no security group"),
        (changed(1, routes=(Route("0.0.0.0/0", "eni-1"), Route("0.0.0.0/0", "eni-2"))), "has 2 routes for"),
        (without(7), "has 0 default groups"),
        (without(8), "0 default network ACLs"),
        (changed(8, associations=()), "has 0 network ACLs"),
        (changed(8, associations=(*ACL.associations, NetworkAclAssociation("aclassoc-9", "subnet-9"))), "names subnet-9"),
        (changed(8, entries=(*ACL.entries, ACL.entries[0])), "(False, 100) twice"),
        (with_more(lambda _: replace(ACL, id=f"acl-{9:017x}", is_default=False)), "has 2 network ACLs"),
        (changed(7, rules=(RULE, RULE)), "is 2 rules"),
        (changed(7, rules=(replace(RULE, group_id=GROUP.id),)), "has 2 peers"),
        (changed(7, rules=(replace(RULE, cidr=""),)), "has 0 peers"),
        (lambda: stored(*sound(), peering(1), peering(2)), "join the same VPCs"),
        (
            lambda: stored(*sound(), peering(1, "pending-acceptance", expires=3.0), peering(2, created=2.0)),
            "join the same VPCs",
        ),
        (lambda: stored(*sound()[:-len(PARTNER)], peering(1)), "is active, and vpc-00000000000000008 is gone"),
        (
            lambda: stored(*sound(), replace(peering(1), accepter=replace(peering(1).accepter, account="210987654321"))),
            "is active, and vpc-00000000000000008 is gone",
        ),
        (
            lambda: stored(*sound(), peering(1), replace(PARTNER[0], cidr_associations=INSIDE_7)),
            "the blocks of its VPCs overlap",
        ),
        (changed(0, dhcp_options_id="dopt-9"), "has the DHCP options dopt-9"),
        (changed(0, dhcp_options_id="default"), "has the DHCP options default"),
        (lambda: stored(*sound(), OPTIONS, replace(OPTIONS, id="dopt-2")), "has 2 default sets"),
        (changed(0, enable_dns_support=False, enable_dns_hostnames=True), "no DNS support"),
        (with_more(lambda _: replace(ZONE, vpc_ids=("vpc-9",))), "is of vpc-9, which is gone"),
        (lambda: stored(*sound(), ZONE, replace(ZONE, id="zone-2")), "has 2 zones"),
        (changed(3, metadata=MetadataOptions(tags="enabled"), tags={"a/b": ""}), "no part of a path"),
        (lambda: stored(*sound(), DEFAULTS, replace(DEFAULTS, id="imd-2")), "has 2 defaults of metadata"),
        (changed(3, metadata=MetadataOptions(hop_limit=65)), "hop limit 65"),
        (lambda: stored(*sound(), replace(GATEWAY, attached_vpc_id="vpc-9")), "is attached to vpc-9"),
        (lambda: stored(*sound(), GATEWAY, replace(GATEWAY, id="igw-2")), "has 2 of internet-gateway"),
        (lambda: stored(*sound(), ONE_WAY, replace(ONE_WAY, id="eigw-2")), "has 2 of egress-only-internet-gateway"),
        (changed(1, associations=(MAIN, OF_GATEWAY)), "names igw-1"),
        (lambda: stored(*_with_a_table_that_leads_out()), "is of a gateway, and leads to igw-1"),
        (lambda: stored(*sound(), GATEWAY, replace(ELASTIC_IP, association_id="")), "is half associated"),
        (lambda: stored(*sound(), GATEWAY, replace(ELASTIC_IP, private_address="10.7.1.99")), "which is not there"),
        (lambda: stored(*sound(), GATEWAY, replace(ELASTIC_IP, interface_id="eni-9")), "which is not there"),
        (lambda: stored(*sound(), ELASTIC_IP), "which has no internet gateway"),
        (lambda: stored(*sound(), FREE_IP, replace(FREE_IP, id="eipalloc-2")), "198.18.0.1 has 2 holders"),
        (
            lambda: stored(*sound(), GATEWAY, ELASTIC_IP, replace(ELASTIC_IP, id="eipalloc-2", address="198.18.0.3")),
            "has 2 public addresses",
        ),
        (lambda: stored(*_stopped_with_an_address()), "is no running instance's first"),
        (
            lambda: {key: row for key, row in stored(*sound(), FREE_IP).items() if "claims/public" not in key},
            "claims/public/198.18.0.1 belongs to eipalloc-1, and names None",
        ),
        (lambda: stored(*sound()) | {LIVE: encode(Live(generation=9))}, "is said to be live"),
        (lambda: stored(*sound()) | {"claims/number/0000dead": b"eni-x"}, "belongs to None"),
    ],
)
def test_damage_is_named(rows: Callable[[], Rows], word: str):
    assert any(word in sentence for sentence in found(rows())), found(rows())
