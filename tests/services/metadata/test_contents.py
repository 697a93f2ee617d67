"""What an instance may ask about itself: whole trees are compared."""

from __future__ import annotations

import json

from msgspec.structs import replace

from rookery.host.services.metadata.contents import contents
from rookery.host.services.metadata.identity_document import ARCHITECTURE
from rookery.model.objects import MetadataOptions
from tests.services.metadata.plan import A, instance, interface, with_user_data

PLAIN_INTERFACE = {
    "device-number": "0",
    "interface-id": "eni-11",
    "local-hostname": "ip-10-7-1-5.ec2.internal",
    "local-ipv4s": "10.7.1.5",
    "mac": "02:07:01:07:00:05",
    "network-card": "0",
    "owner-id": "111111111111",
    "security-group-ids": "sg-71\nsg-72",
    "security-groups": "web\nssh",
    "subnet-id": "subnet-71",
    "subnet-ipv4-cidr-block": "10.7.1.0/24",
    "vpc-id": "vpc-7",
    "vpc-ipv4-cidr-block": "10.7.0.0/16",
    "vpc-ipv4-cidr-blocks": "10.7.0.0/16\n10.9.0.0/16",
}


def test_an_instance_with_nothing_special_has_this_and_no_more():
    found = contents(A)
    assert found["meta-data"] == {
        "ami-id": "ami-1",
        "ami-launch-index": "0",
        "ami-manifest-path": "(unknown)",
        "events": {"maintenance": {"history": "[]", "scheduled": "[]"}},
        "hostname": "ip-10-7-1-5.ec2.internal",
        "instance-action": "none",
        "instance-id": "i-a",
        "instance-life-cycle": "on-demand",
        "instance-type": "t3.micro",
        "local-hostname": "ip-10-7-1-5.ec2.internal",
        "local-ipv4": "10.7.1.5",
        "mac": "02:07:01:07:00:05",
        "network": {"interfaces": {"macs": {"02:07:01:07:00:05": PLAIN_INTERFACE}}},
        "placement": {
            "availability-zone": "us-east-1a",
            "availability-zone-id": "use1-az1",
            "region": "us-east-1",
        },
        "profile": "default-hvm",
        "reservation-id": "r-1",
        "security-groups": "web\nssh",
        "services": {"domain": "amazonaws.com", "partition": "aws"},
    }
    assert "user-data" not in found


def test_what_an_interface_has_of_ipv6_and_of_prefixes_is_there():
    plain = interface(11, 7, 5)
    services = replace(
        plain.services,
        subnet_ipv6_cidrs=("2001:db8:7:1::/64",),
        vpc_ipv6_cidrs=("2001:db8:7::/56",),
        prefixes=("10.7.1.16/28", "2001:db8:7:1:a::/80", "10.7.1.32/28"),
    )
    more = replace(
        plain,
        addresses=("10.7.1.5", "10.7.1.9"),
        ipv6_addresses=("2001:db8:7:1::5", "2001:db8:7:1::6"),
        services=services,
    )
    found = contents(instance("i-a", more))["meta-data"]
    assert found["ipv6"] == "2001:db8:7:1::5"
    assert found["network"]["interfaces"]["macs"]["02:07:01:07:00:05"] == PLAIN_INTERFACE | {
        "ipv4-prefix": "10.7.1.16/28\n10.7.1.32/28",
        "ipv6-prefix": "2001:db8:7:1:a::/80",
        "ipv6s": "2001:db8:7:1::5\n2001:db8:7:1::6",
        "local-ipv4s": "10.7.1.5\n10.7.1.9",
        "subnet-ipv6-cidr-blocks": "2001:db8:7:1::/64",
        "vpc-ipv6-cidr-blocks": "2001:db8:7::/56",
    }


def test_each_interface_has_its_own_name_and_the_instance_that_of_its_first():
    two = instance("i-a", interface(11, 7, 5), interface(12, 7, 8, index=1))
    found = contents(replace(two, hostname="i-a"))["meta-data"]
    macs = found["network"]["interfaces"]["macs"]
    assert {mac: (one["device-number"], one["local-hostname"]) for mac, one in macs.items()} == {
        "02:07:01:07:00:05": ("0", "i-a.ec2.internal"),
        "02:07:01:07:00:08": ("1", "ip-10-7-1-8.ec2.internal"),
    }
    assert (found["hostname"], found["mac"]) == ("i-a.ec2.internal", "02:07:01:07:00:05")


def test_the_domain_is_the_one_that_dhcp_gives_and_none_when_it_gives_none():
    plain = interface(11, 7, 5)

    def hostname(domain: str) -> str:
        dhcp = replace(plain.services.dhcp, domain_name=domain)
        given = replace(plain, services=replace(plain.services, dhcp=dhcp))
        return contents(instance("i-a", given))["meta-data"]["local-hostname"]

    assert hostname("corp.example") == "ip-10-7-1-5.corp.example"
    assert hostname("") == "ip-10-7-1-5"


def test_the_key_pair_is_listed_by_number_and_name():
    keys = contents(instance("i-a", interface(11, 7, 5), key_name="mine", public_key="ssh-ed25519 AAAA mine"))
    assert keys["meta-data"]["public-keys"] == {"0": {"openssh-key": "ssh-ed25519 AAAA mine"}}
    assert keys["meta-data"]["public-keys"].listing == "0=mine"
    assert keys["meta-data"]["public-keys"]["0"].listing == "openssh-key"


def test_tags_are_there_only_when_the_options_show_them_also_those_without_a_value():
    tags = (("Name", "web"), ("spare", ""))
    shown = instance("i-a", interface(11, 7, 5), tags=tags, options=MetadataOptions(tags="enabled"))
    hidden = instance("i-a", interface(11, 7, 5), tags=tags)
    assert contents(shown)["meta-data"]["tags"] == {"instance": {"Name": "web", "spare": ""}}
    assert "tags" not in contents(hidden)["meta-data"]


def test_user_data_is_what_was_given_byte_for_byte():
    raw = bytes(range(256))
    assert contents(with_user_data(A, raw))["user-data"] == raw


def test_the_identity_document_says_who_it_is_in_json():
    assert json.loads(contents(A)["dynamic"]["instance-identity"]["document"]) == {
        "accountId": "111111111111",
        "architecture": ARCHITECTURE,
        "availabilityZone": "us-east-1a",
        "billingProducts": None,
        "devpayProductCodes": None,
        "imageId": "ami-1",
        "instanceId": "i-a",
        "instanceType": "t3.micro",
        "kernelId": None,
        "marketplaceProductCodes": None,
        "pendingTime": "2025-11-27T08:00:00Z",
        "privateIp": "10.7.1.5",
        "ramdiskId": None,
        "region": "us-east-1",
        "version": "2017-09-30",
    }


def test_directories_are_listed_with_a_slash_and_the_first_ones_without():
    found = contents(with_user_data(A, b"x"))
    assert found.listing == "dynamic\nmeta-data\nuser-data"
    assert found["dynamic"].listing == "instance-identity/"
    assert found["meta-data"]["network"]["interfaces"]["macs"].listing == "02:07:01:07:00:05/"
    assert found["meta-data"].listing.split("\n")[:4] == [
        "ami-id",
        "ami-launch-index",
        "ami-manifest-path",
        "events/",
    ]
