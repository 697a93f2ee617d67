"""What follows from the state, example by example. The wild states are in tests/mapping/test_index.py."""

from __future__ import annotations

import msgspec
import pytest

from rookery.intent.digest import digest_of
from rookery.intent.host import (
    HostIntent,
    InstanceIntent,
    InstanceMetadata,
    InterfaceIntent,
    InterfaceServices,
    MappingIntent,
    RouteIntent,
)
from rookery.intent.names import domain_name
from rookery.intent.route import routes_of
from rookery.intent.state import State
from rookery.intent.vpc import effective_table, effective_tables, router_address, router_mac
from rookery.intent.whole import host_intent
from rookery.model.objects import CidrAssociation, RouteTable, RouteTableAssociation
from rookery.store.interface import Entry
from rookery.testing.things import OWNER, hosts, launch, rows, subnet, vpc

VPC, MAIN = vpc(1)
INSTANCE, INTERFACE = launch(1, 1, 10, "host-1")


def state(*things, revision: int = 7, time: float = 1_700_000_000.9) -> State:
    return State([Entry(key, value, revision, time) for key, value in rows(*things).items()], revision, 1500)


def test_the_whole_of_a_hosts_intent():
    found = host_intent(state(*hosts(2), VPC, MAIN, subnet(1, 1), INSTANCE, INTERFACE), "host-1")
    interface = InterfaceIntent(
        id="eni-0000000000001010a",
        vni=1,
        number=0x1010A,
        subnet=0xB0000101,
        route_table=0xA0000001,
        router="10.1.1.1",
        primary="10.1.1.10",
        addresses=("10.1.1.10",),
        prefix_length=24,
        mac="02:00:00:01:01:0a",
        router_mac="0e:52:b0:00:01:01",
        mtu=1500,
        source_dest_check=True,
        device_index=0,
        resolver="10.1.0.2",
        services=InterfaceServices(
            account="123456789012",
            vpc=VPC.id,
            subnet=subnet(1, 1).id,
            subnet_cidr="10.1.1.0/24",
            vpc_cidrs=("10.1.0.0/16",),
        ),
    )
    instance = InstanceIntent(
        id="i-0000000000001010a",
        wanted="running",
        boot=1,
        hostname="ip-10-1-1-10",
        domain="ec2.internal",
        user_data="",
        interfaces=(interface,),
        metadata=InstanceMetadata(
            account="123456789012",
            region="us-east-1",
            zone="us-east-1a",
            zone_id="use1-az1",
            image="ami-1",
            instance_type="t3.nano",
        ),
    )
    mapping = MappingIntent(
        vni=1,
        address="10.1.1.10",
        host="100.64.1.10",
        interface=0x1010A,
        subnet=0xB0000101,
        mac="02:00:00:01:01:0a",
        source_dest_check=True,
        group_set=0,
        generation=7,
        issued=1_700_000_000,
    )
    route = RouteIntent(table=0xA0000001, destination="10.1.0.0/16", kind="local")
    assert found == HostIntent(
        host="host-1",
        generation=7,
        instances={instance.id: instance},
        mappings={(1, "10.1.1.10"): mapping},
        routes={(0xA0000001, "10.1.0.0/16"): route},
    )


def test_a_host_without_instances_holds_nothing():
    found = host_intent(state(*hosts(2), VPC, MAIN, subnet(1, 1), INSTANCE, INTERFACE), "host-2")
    assert found == HostIntent(host="host-2", generation=7)


def test_every_address_of_an_interface_is_mapped():
    more = msgspec.structs.replace(INTERFACE, addresses=("10.1.1.10", "10.1.1.20", "10.1.1.21"))
    found = host_intent(state(*hosts(1), VPC, MAIN, subnet(1, 1), INSTANCE, more), "host-1")
    assert [address for _, address in found.mappings] == ["10.1.1.10", "10.1.1.20", "10.1.1.21"]


@pytest.mark.parametrize("wanted", ["stopped", "terminated"])
def test_an_instance_that_shall_not_run_needs_neither_mappings_nor_routes(wanted):
    instance, interface = launch(1, 1, 10, "host-1", wanted=wanted)
    found = host_intent(state(*hosts(1), VPC, MAIN, subnet(1, 1), instance, interface), "host-1")
    assert (found.mappings, found.routes, found.instances[instance.id].wanted) == ({}, {}, wanted)


def test_a_detached_interface_has_no_mapping():
    loose = msgspec.structs.replace(INTERFACE, attachment=None)
    neighbour = launch(1, 1, 11, "host-1")
    found = host_intent(state(*hosts(1), VPC, MAIN, subnet(1, 1), INSTANCE, loose, *neighbour), "host-1")
    assert list(found.mappings) == [(1, "10.1.1.11")]
    assert found.instances[INSTANCE.id].hostname == INSTANCE.id


def test_two_vpcs_with_the_same_addresses_do_not_meet():
    twin = [
        msgspec.structs.replace(VPC, id=f"vpc-{2:017x}"),
        msgspec.structs.replace(MAIN, id="rtb-000000002", vpc_id=f"vpc-{2:017x}"),
    ]
    other = msgspec.structs.replace(subnet(1, 1), id="subnet-00000002", vpc_id=f"vpc-{2:017x}")
    instance, interface = launch(1, 1, 12, "host-2")
    interface = msgspec.structs.replace(
        interface, subnet_id=other.id, vpc_id=other.vpc_id, addresses=("10.1.1.10",)
    )
    whole = state(*hosts(2), VPC, MAIN, subnet(1, 1), INSTANCE, INTERFACE, *twin, other, instance, interface)
    assert list(host_intent(whole, "host-1").mappings) == [(1, "10.1.1.10")]
    assert list(host_intent(whole, "host-2").mappings) == [(2, "10.1.1.10")]


def test_an_explicit_association_beats_the_main_table():
    named = RouteTable(
        **OWNER, id="rtb-00000009", vpc_id=VPC.id, associations=(RouteTableAssociation("a", subnet(1, 1).id),)
    )
    tables = effective_tables([MAIN, named])
    assert effective_table(subnet(1, 1), tables) == 9
    assert effective_table(subnet(1, 2), tables) == MAIN.number


def test_each_block_of_a_vpc_has_its_local_route():
    wide = msgspec.structs.replace(
        VPC, cidr_associations=(*VPC.cidr_associations, CidrAssociation("b", "10.200.0.0/16"))
    )
    assert [(r.destination, r.kind) for r in routes_of(MAIN, wide, state())] == [
        ("10.1.0.0/16", "local"),
        ("10.200.0.0/16", "local"),
    ]


def test_the_router_is_the_first_address_and_its_mac_is_no_interfaces():
    assert router_address(subnet(1, 1)) == "10.1.1.1"
    assert router_mac(0xB0000101) == "0e:52:b0:00:01:01"
    first = int(router_mac(1)[:2], 16)
    assert first & 0b10 and not first & 0b01, "locally administered, unicast"


def test_the_domain_is_that_of_the_region():
    assert domain_name("us-east-1") == "ec2.internal"
    assert domain_name("eu-west-3") == "eu-west-3.compute.internal"


def test_the_digest_does_not_know_order_or_generation():
    neighbours = [thing for n in range(20, 25) for thing in launch(1, 1, n, "host-2")]
    found = host_intent(state(*hosts(2), VPC, MAIN, subnet(1, 1), INSTANCE, INTERFACE, *neighbours), "host-1")
    turned = msgspec.structs.replace(found, mappings=dict(reversed(found.mappings.items())), generation=99)
    assert digest_of(turned) == digest_of(found)


@pytest.mark.parametrize(
    "field, value",
    [("host", "100.64.1.99"), ("mac", "02:00:00:00:00:99"), ("generation", 8), ("source_dest_check", False)],
)
def test_the_digest_sees_every_field_of_a_row(field, value):
    found = host_intent(state(*hosts(1), VPC, MAIN, subnet(1, 1), INSTANCE, INTERFACE), "host-1")
    key, row = next(iter(found.mappings.items()))
    other = msgspec.structs.replace(found, mappings={key: msgspec.structs.replace(row, **{field: value})})
    assert digest_of(other) != digest_of(found)
    assert digest_of(msgspec.structs.replace(found, host="host-2")) != digest_of(found)
