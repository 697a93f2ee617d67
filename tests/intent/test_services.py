"""What the services on an instance's wire are told: of its interface, of itself, of the names of its VPC."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from rookery.intent.dhcp import dhcp_intent
from rookery.intent.host import DhcpIntent, HostIntent, InterfaceServices, NameIntent, ZoneIntent
from rookery.intent.state import State
from rookery.intent.whole import host_intent
from rookery.intent.zones import zone_id
from rookery.model.objects import (
    CidrAssociation,
    DhcpOptions,
    DnsRecord,
    MetadataOptions,
    PrivateNameOptions,
    PrivateZone,
    Resource,
    Subnet,
    Vpc,
)
from rookery.store.interface import Entry
from rookery.testing.things import OWNER, group, guards, hosts, launch, rows, subnet, vpc

VPC, MAIN = vpc(1)
assert isinstance(VPC, Vpc)
SUBNET = subnet(1, 1)
INSTANCE, INTERFACE = launch(1, 1, 10, "host-1")
OPTIONS = DhcpOptions(
    **OWNER,
    id="dopt-00000000000000001",
    configurations=(("domain-name", ("example.org",)), ("domain-name-servers", ("AmazonProvidedDNS",))),
)
RECORD = DnsRecord(name="db.example.org", kind="A", values=("10.1.1.10",))
ZONE = PrivateZone(
    **OWNER, id="zone-00000000000000001", name="example.org", vpc_ids=(VPC.id,), records=(RECORD,)
)
BOTH_NAMES = PrivateNameOptions(hostname_type="resource-name", resource_name_a=True, resource_name_aaaa=True)


def intent(*things: Resource) -> HostIntent:
    """Of host-1, where the latest thing of an id counts."""
    found = rows(*hosts(1), VPC, MAIN, SUBNET, *guards(1), INSTANCE, INTERFACE, *things)
    return host_intent(State([Entry(key, value, 7, 1.0) for key, value in found.items()], 7, 1500), "host-1")


def told(*things: Resource) -> InterfaceServices:
    return intent(*things).instances[INSTANCE.id].interfaces[0].services


def test_an_interface_knows_its_place_and_its_groups():
    dual = CidrAssociation("a", "2001:db8:1::/56"), CidrAssociation("b", "2001:db8:1:1::/64")
    wide = replace(
        VPC,
        cidr_associations=(*VPC.cidr_associations, CidrAssociation("c", "100.64.0.0/16")),
        ipv6_cidr_associations=dual[:1],
        enable_dns_hostnames=True,
    )
    placed: Subnet = replace(SUBNET, ipv6_cidr_associations=dual[1:])
    interface = replace(INTERFACE, groups=("sg-9", group(1)), prefixes=("10.1.1.16/28",))
    assert told(wide, placed, interface) == InterfaceServices(
        account=OWNER["account"],
        vpc=VPC.id,
        subnet=SUBNET.id,
        subnet_cidr="10.1.1.0/24",
        subnet_ipv6_cidrs=("2001:db8:1:1::/64",),
        vpc_cidrs=("10.1.0.0/16", "100.64.0.0/16"),
        vpc_ipv6_cidrs=("2001:db8:1::/56",),
        prefixes=("10.1.1.16/28",),
        groups=(("sg-9", ""), (group(1), "default")),
        dns_support=True,
        dns_hostnames=True,
    )


def test_the_resolver_is_in_the_vpcs_primary_block_wherever_the_subnet_is():
    second = CidrAssociation("c", "10.9.0.0/16")
    wide = replace(VPC, cidr_associations=(*VPC.cidr_associations, second))
    moved = intent(wide, replace(SUBNET, cidr="10.9.1.0/24"), replace(INTERFACE, addresses=("10.9.1.5",)))
    interface = moved.instances[INSTANCE.id].interfaces[0]
    assert (interface.resolver, interface.router) == ("10.1.0.2", "10.9.1.1")


def test_the_options_set_of_the_vpc_is_what_dhcp_says():
    associated = replace(VPC, dhcp_options_id=OPTIONS.id)
    assert told(associated, OPTIONS).dhcp == DhcpIntent(
        domain_name="example.org", name_servers=("AmazonProvidedDNS",)
    )


def test_a_vpc_without_a_set_hands_out_nothing():
    assert told(OPTIONS).dhcp == DhcpIntent()


def test_every_key_of_a_set_has_its_meaning():
    said = (
        ("domain-name", ("a.example b.example",)),
        ("domain-name-servers", ("10.1.1.5", "2001:db8::5")),
        ("ntp-servers", ("10.1.1.6",)),
        ("netbios-name-servers", ("10.1.1.7", "10.1.1.8")),
        ("netbios-node-type", ("8",)),
        ("ipv6-address-preferred-lease-time", ("300",)),
    )
    assert dhcp_intent(said) == DhcpIntent(
        domain_name="a.example b.example",
        name_servers=("10.1.1.5", "2001:db8::5"),
        ntp_servers=("10.1.1.6",),
        netbios_name_servers=("10.1.1.7", "10.1.1.8"),
        netbios_node_type=8,
        ipv6_preferred_seconds=300,
    )


def test_an_instance_knows_its_tags_only_where_its_metadata_shows_them():
    tagged = replace(INSTANCE, tags={"Stage": "test", "Name": "one"})
    shown = replace(tagged, metadata=MetadataOptions(tags="enabled"))
    assert intent(tagged).instances[INSTANCE.id].metadata.tags == ()
    assert intent(shown).instances[INSTANCE.id].metadata.tags == (("Name", "one"), ("Stage", "test"))


def test_the_options_of_its_metadata_reach_the_host():
    options = MetadataOptions(tokens="required", hop_limit=2)
    assert intent(replace(INSTANCE, metadata=options)).instances[INSTANCE.id].metadata.options == options


def test_an_instance_is_called_by_its_address_or_by_its_id():
    assert intent().instances[INSTANCE.id].hostname == "ip-10-1-1-10"
    named = replace(INSTANCE, private_names=PrivateNameOptions(hostname_type="resource-name"))
    found = intent(named)
    assert found.instances[INSTANCE.id].hostname == INSTANCE.id
    assert not any(isinstance(row, NameIntent) for row in found.rules.values())


def test_a_resource_name_leads_to_the_primary_addresses_of_the_primary_interface():
    dual = replace(
        INTERFACE, addresses=("10.1.1.10", "10.1.1.11"), ipv6_addresses=("2001:db8::a", "2001:db8::b")
    )
    name = f"{INSTANCE.id}.ec2.internal"
    row = intent(replace(INSTANCE, private_names=BOTH_NAMES), dual).rules["name", 1, name]
    assert row == NameIntent(vni=1, name=name, addresses=("10.1.1.10", "2001:db8::a"))
    only = replace(BOTH_NAMES, resource_name_a=False)
    row = intent(replace(INSTANCE, private_names=only), dual).rules["name", 1, name]
    assert row == NameIntent(vni=1, name=name, addresses=("2001:db8::a",))


@pytest.mark.parametrize("wanted, names", [("stopped", 1), ("terminated", 0)])
def test_a_stopped_instance_keeps_its_resource_name_while_another_of_its_vpc_runs(wanted, names):
    other = launch(1, 1, 11, "host-1")
    found = intent(replace(INSTANCE, private_names=BOTH_NAMES, wanted=wanted), *other)
    assert sum(isinstance(row, NameIntent) for row in found.rules.values()) == names


def test_a_private_zone_goes_to_the_hosts_of_its_vpcs():
    row = ZoneIntent(vni=1, name="example.org", records=(RECORD,))
    assert intent(ZONE).rules["zone", 1, "example.org"] == row
    assert not any(
        isinstance(row, ZoneIntent) for row in intent(replace(ZONE, vpc_ids=("vpc-2",))).rules.values()
    )


def test_of_two_zones_of_one_name_the_smaller_id_answers():
    twin = replace(ZONE, id="zone-00000000000000002", records=())
    assert intent(ZONE, twin).rules["zone", 1, "example.org"].records == (RECORD,)


@pytest.mark.parametrize(
    "region, zone, identity",
    [("us-east-1", "us-east-1a", "use1-az1"), ("ap-southeast-2", "ap-southeast-2c", "apse2-az3")],
)
def test_a_zones_id_follows_from_its_name(region, zone, identity):
    assert zone_id(region, zone) == identity
