"""What a change of a name, of an options set or of an instance's metadata tells the hosts, and what it does not.

host-1: instances 1, 2 of the first VPC | host-2: 3 of the first, 4 of the second | host-3: 5 of the third
"""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from rookery.intent.host import DhcpIntent, InterfaceServices
from rookery.mapping.change import HostChange
from rookery.model.objects import MetadataOptions, PrivateNameOptions
from tests.mapping.followed import Region, one
from tests.mapping.wild import (
    GROUPS,
    INSTANCES,
    INTERFACES,
    OPTIONS,
    VPCS,
    ZONE_NAMES,
    ZONES,
    options,
)

NAMED = PrivateNameOptions(resource_name_a=True, resource_name_aaaa=True)
NAME = f"{INSTANCES[0]}.ec2.internal"


@pytest.fixture
def followed() -> Region:
    return Region()


def services(told: dict[str, HostChange]) -> dict[str, InterfaceServices]:
    """By instance id: what its interface is told anew."""
    return {
        identity: intent.interfaces[0].services
        for change in told.values()
        for identity, intent in change.instances.items()
        if intent
    }


def test_another_options_set_reaches_the_instances_of_the_vpc_and_no_others(followed):
    associated = replace(one(VPCS[0]), dhcp_options_id=OPTIONS[0])
    told = services(followed.change(associated))
    assert {identity: found.dhcp.domain_name for identity, found in told.items()} == dict.fromkeys(
        INSTANCES[:3], ZONE_NAMES[0]
    )


def test_default_as_an_options_set_means_none(followed):
    told = services(followed.change(replace(one(VPCS[1]), dhcp_options_id="default")))
    assert {identity: found.dhcp for identity, found in told.items()} == {INSTANCES[3]: DhcpIntent()}


def test_the_content_of_an_options_set_reaches_the_vpcs_that_have_it(followed):
    told = services(followed.change(options(OPTIONS[0], "new.example", ())))
    assert {identity: found.dhcp.domain_name for identity, found in told.items()} == {
        INSTANCES[3]: "new.example"
    }
    assert followed.change(options(OPTIONS[1], "new.example", ())) == {}


def test_an_options_set_that_comes_after_its_vpc_is_read_then(followed):
    assert followed.change(gone=(one(OPTIONS[0]),))
    assert services(followed.change(one(OPTIONS[0])))[INSTANCES[3]].dhcp.domain_name == ZONE_NAMES[0]


def test_a_dns_attribute_of_a_vpc_reaches_its_instances(followed):
    told = services(followed.change(replace(one(VPCS[2]), enable_dns_support=False)))
    assert {identity: found.dns_support for identity, found in told.items()} == {INSTANCES[4]: False}


def test_another_name_of_a_group_reaches_its_members(followed):
    told = services(followed.change(replace(one(GROUPS[1]), name="renamed")))
    assert {identity: found.groups for identity, found in told.items()} == {
        INSTANCES[2]: ((GROUPS[0], "name"), (GROUPS[1], "renamed")),
        INSTANCES[3]: ((GROUPS[1], "renamed"),),
    }


def test_tags_reach_a_host_only_where_metadata_shows_them(followed):
    tagged = replace(one(INSTANCES[0]), tags={"Name": "one"})
    assert followed.change(tagged) == {}
    told = followed.change(replace(tagged, metadata=MetadataOptions(tags="enabled")))
    assert told["host-1"].instances[INSTANCES[0]].metadata.tags == (("Name", "one"),)
    assert list(told) == ["host-1"]


def test_options_of_metadata_tell_one_instance_and_nothing_else(followed):
    told = followed.change(replace(one(INSTANCES[0]), metadata=MetadataOptions(tokens="required")))
    assert list(told) == ["host-1"]
    (intent,) = told["host-1"].instances.values()
    assert intent.metadata.options.tokens == "required"
    assert len(told["host-1"]) == 1


def test_a_resource_name_reaches_the_hosts_that_hold_the_vpc(followed):
    told = followed.change(replace(one(INSTANCES[0]), private_names=NAMED))
    rows = {host: change.rules for host, change in told.items()}
    assert rows["host-1"] == rows["host-2"]  # which holds it, and its peer
    assert sorted(rows) == ["host-1", "host-2"]
    assert rows["host-1"]["name", 0xA1, NAME].addresses == ("10.0.1.4", "2001:db8:0:1::4")


def test_a_resource_name_follows_the_address_of_the_interface(followed):
    followed.change(replace(one(INSTANCES[0]), private_names=NAMED))
    told = followed.change(replace(one(INTERFACES[0]), ipv6_addresses=()))
    assert told["host-2"].rules["name", 0xA1, NAME].addresses == ("10.0.1.4",)


def test_a_resource_name_goes_with_its_instance(followed):
    followed.change(replace(one(INSTANCES[0]), private_names=NAMED))
    told = followed.change(gone=(one(INSTANCES[0]),))
    assert told["host-2"].rules.get(("name", 0xA1, NAME), "untold") is None


def test_a_zone_reaches_the_hosts_of_its_vpcs_and_leaves_them(followed):
    key = ("zone", 0xA1, ZONE_NAMES[0])
    wide = replace(one(ZONES[0]), vpc_ids=VPCS[:1])
    told = followed.change(wide)
    assert told["host-1"].rules[key].records == wide.records
    assert told["host-2"].rules[key] == told["host-1"].rules[key]
    assert told["host-3"].rules == {("zone", 0xA3, ZONE_NAMES[0]): None}
    assert followed.change(gone=(wide,))["host-1"].rules == {key: None}
