"""How an instance's metadata may be asked for, and by which names it is known (behaviour/01: 1.7, 1.8)."""

from __future__ import annotations

import pytest

from rookery.model.objects import Instance, MetadataOptions, PrivateNameOptions
from tests.api.instance_scene import account, described, launch, refusal, running

NOBODY_SAID = {
    "State": "applied",
    "HttpTokens": "optional",
    "HttpPutResponseHopLimit": 1,
    "HttpEndpoint": "enabled",
    "HttpProtocolIpv6": "disabled",
    "InstanceMetadataTags": "disabled",
}
BY_ADDRESS = {
    "HostnameType": "ip-name",
    "EnableResourceNameDnsARecord": False,
    "EnableResourceNameDnsAAAARecord": False,
}


@pytest.fixture
def here():
    return account()


def options(here, instance_id):
    return described(here, instance_id)["MetadataOptions"]


def modify(here, instance_id, **given):
    return here.view.call("ModifyInstanceMetadataOptions", InstanceId=instance_id, **given)


def rename(here, instance_id, **given):
    return here.view.call("ModifyPrivateDnsNameOptions", InstanceId=instance_id, **given)


def tagged(*keys):
    return [{"ResourceType": "instance", "Tags": [{"Key": key, "Value": "v"} for key in keys]}]


def chosen(here, name, *values):
    found = here.view.call("DescribeInstances", Filters=[{"Name": name, "Values": list(values)}])
    return [one["InstanceId"] for each in found["Reservations"] for one in each["Instances"]]


def test_metadata_is_there_where_nobody_says_otherwise(here):
    assert options(here, running(here)) == NOBODY_SAID


def test_a_launch_says_how_metadata_may_be_asked_for(here):
    given = {"HttpTokens": "required", "HttpPutResponseHopLimit": 2, "InstanceMetadataTags": "enabled"}
    instance_id = running(here, MetadataOptions=given)
    assert options(here, instance_id) == {**NOBODY_SAID, **given}
    assert here.view.get(Instance, instance_id).metadata == MetadataOptions(
        tokens="required", hop_limit=2, tags="enabled"
    )


def test_what_is_changed_later_leaves_the_rest(here):
    instance_id = running(here, MetadataOptions={"HttpTokens": "required"})
    changed = {"HttpEndpoint": "disabled", "HttpProtocolIpv6": "enabled", "HttpPutResponseHopLimit": 64}
    assert modify(here, instance_id, **changed) == {
        "InstanceId": instance_id,
        "InstanceMetadataOptions": {**NOBODY_SAID, "HttpTokens": "required", **changed, "State": "pending"},
    }
    assert options(here, instance_id) == {**NOBODY_SAID, "HttpTokens": "required", **changed}


def test_a_change_is_pending_until_the_hosts_have_it(here):
    instance_id = running(here)
    here.view.live = here.view.revision
    assert options(here, instance_id)["State"] == "applied"
    modify(here, instance_id, HttpTokens="required")
    assert options(here, instance_id)["State"] == "pending"
    assert described(here, instance_id)["State"]["Name"] == "running"
    here.view.live = here.view.revision
    assert options(here, instance_id)["State"] == "applied"


def test_what_is_so_already_changes_nothing(here):
    instance_id = running(here)
    before = here.view.revision
    modify(here, instance_id, HttpTokens="optional")
    rename(here, instance_id, PrivateDnsHostnameType="ip-name")
    assert here.view.revision == before


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({}, "MissingParameter"),
        ({"HttpPutResponseHopLimit": 0}, "InvalidParameterValue"),
        ({"HttpPutResponseHopLimit": 65}, "InvalidParameterValue"),
        ({"SomethingOfNextYear": "on"}, "UnsupportedOperation"),
        ({"InstanceId": "i-0123456789abcdef0", "HttpTokens": "required"}, "InvalidInstanceID.NotFound"),
        ({"InstanceId": "i-x", "HttpTokens": "required"}, "InvalidInstanceID.Malformed"),
    ],
)
def test_a_change_that_cannot_be_is_refused(here, given, code):
    parameters = {"InstanceId": running(here), **given}
    assert here.view.refusal("ModifyInstanceMetadataOptions", **parameters) == code


def test_a_terminated_instance_stays_as_it_is(here):
    instance_id = running(here)
    here.view.call("TerminateInstances", InstanceIds=[instance_id])
    for operation, given in (
        ("ModifyInstanceMetadataOptions", {"HttpTokens": "required"}),
        ("ModifyPrivateDnsNameOptions", {"EnableResourceNameDnsARecord": True}),
    ):
        code = here.view.refusal(operation, InstanceId=instance_id, **given)
        assert code == "IncorrectInstanceState"


@pytest.mark.parametrize("key", ["a/b", "two words", ".", "..", "_index", "ä"])
def test_metadata_shows_no_tags_whose_keys_are_no_part_of_a_path(here, key):
    shown = {"InstanceMetadataTags": "enabled"}
    assert refusal(here, MetadataOptions=shown, TagSpecifications=tagged(key)) == "InvalidParameterValue"
    hidden = running(here, TagSpecifications=tagged(key))
    assert (
        here.view.refusal("ModifyInstanceMetadataOptions", InstanceId=hidden, **shown)
        == "InvalidParameterValue"
    )
    bare = running(here, MetadataOptions=shown)
    tags = [{"Key": key, "Value": "v"}]
    assert here.view.refusal("CreateTags", Resources=[bare], Tags=tags) == "InvalidParameterValue"
    here.view.call("CreateTags", Resources=[bare], Tags=[{"Key": "a-b_c+d=e.f,g:h@i", "Value": "v"}])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("metadata-options.http-tokens", "required"),
        ("metadata-options.http-endpoint", "disabled"),
        ("metadata-options.http-put-response-hop-limit", "3"),
        ("metadata-options.http-protocol-ipv6", "enabled"),
        ("metadata-options.instance-metadata-tags", "enabled"),
        ("private-dns-name-options.hostname-type", "resource-name"),
        ("private-dns-name-options.enable-resource-name-dns-a-record", "true"),
        ("private-dns-name-options.enable-resource-name-dns-aaaa-record", "true"),
    ],
)
def test_instances_are_chosen_by_these_options(here, name, value):
    running(here)
    other = running(
        here,
        MetadataOptions={
            "HttpTokens": "required",
            "HttpEndpoint": "disabled",
            "HttpPutResponseHopLimit": 3,
            "HttpProtocolIpv6": "enabled",
            "InstanceMetadataTags": "enabled",
        },
        PrivateDnsNameOptions={
            "HostnameType": "resource-name",
            "EnableResourceNameDnsARecord": True,
            "EnableResourceNameDnsAAAARecord": True,
        },
    )
    assert chosen(here, name, value) == [other]


def test_options_are_chosen_by_their_state(here):
    pending = launch(here)[0]["InstanceId"]
    applied = running(here)
    assert chosen(here, "metadata-options.state", "pending") == [pending]
    assert chosen(here, "metadata-options.state", "applied") == [applied]


def test_an_instance_is_named_by_its_address_where_nobody_says_otherwise(here):
    found = described(here, running(here, PrivateIpAddress="10.0.1.7"))
    assert found["PrivateDnsNameOptions"] == BY_ADDRESS
    assert (found["PrivateDnsName"], found["PublicDnsName"]) == ("ip-10-0-1-7.ec2.internal", "")


def test_an_instance_takes_its_names_from_its_subnet(here):
    for attribute in (
        {"PrivateDnsHostnameTypeOnLaunch": "resource-name"},
        {"EnableResourceNameDnsARecordOnLaunch": {"Value": True}},
        {"EnableResourceNameDnsAAAARecordOnLaunch": {"Value": True}},
    ):
        here.view.call("ModifySubnetAttribute", SubnetId=here.a.id, **attribute)
    instance_id = running(here)
    found = described(here, instance_id)
    assert found["PrivateDnsNameOptions"] == {
        "HostnameType": "resource-name",
        "EnableResourceNameDnsARecord": True,
        "EnableResourceNameDnsAAAARecord": True,
    }
    assert found["PrivateDnsName"] == f"{instance_id}.ec2.internal"
    assert chosen(here, "private-dns-name", f"{instance_id}.ec2.internal") == [instance_id]
    said = running(here, PrivateDnsNameOptions={"HostnameType": "ip-name"})
    assert here.view.get(Instance, said).private_names == PrivateNameOptions(
        resource_name_a=True, resource_name_aaaa=True
    )


def test_the_subnet_says_it_at_launch_and_not_later(here):
    instance_id = running(here)
    here.view.call(
        "ModifySubnetAttribute", SubnetId=here.a.id, PrivateDnsHostnameTypeOnLaunch="resource-name"
    )
    assert described(here, instance_id)["PrivateDnsNameOptions"] == BY_ADDRESS


def test_an_instances_names_are_changed(here):
    instance_id = running(here)
    assert rename(here, instance_id, EnableResourceNameDnsARecord=True) == {"Return": True}
    rename(here, instance_id, PrivateDnsHostnameType="resource-name")
    found = described(here, instance_id)
    assert found["PrivateDnsNameOptions"] == {
        **BY_ADDRESS,
        "HostnameType": "resource-name",
        "EnableResourceNameDnsARecord": True,
    }
    assert found["PrivateDnsName"] == f"{instance_id}.ec2.internal"
    assert here.view.refusal("ModifyPrivateDnsNameOptions", InstanceId=instance_id) == "MissingParameter"


def test_an_instance_keeps_the_public_key_it_was_launched_with(here):
    made = here.view.call("CreateKeyPair", KeyName="me", KeyType="ed25519")
    instance_id = running(here, KeyName="me")
    here.view.call("DeleteKeyPair", KeyPairId=made["KeyPairId"])
    stored = here.view.get(Instance, instance_id)
    assert stored.key_name == "me"
    assert stored.public_key.startswith("ssh-ed25519 ")


def defaults(here):
    return here.view.call("GetInstanceMetadataDefaults")["AccountLevel"]


def test_a_launch_that_says_nothing_takes_the_accounts_defaults(here):
    assert defaults(here) == {}
    before = running(here)
    said = {"HttpTokens": "required", "HttpPutResponseHopLimit": 2, "InstanceMetadataTags": "enabled"}
    here.view.call("ModifyInstanceMetadataDefaults", **said)
    assert defaults(here) == {**said, "ManagedBy": "account"}
    assert options(here, running(here)) == {**NOBODY_SAID, **said}
    other = running(here, MetadataOptions={"HttpTokens": "optional"})
    assert options(here, other) == {**NOBODY_SAID, **said, "HttpTokens": "optional"}
    assert options(here, before) == NOBODY_SAID
    assert refusal(here, TagSpecifications=tagged("a/b")) == "InvalidParameterValue"


def test_a_default_is_taken_back(here):
    here.view.call("ModifyInstanceMetadataDefaults", HttpTokens="required", HttpPutResponseHopLimit=3)
    here.view.call("ModifyInstanceMetadataDefaults", HttpTokens="no-preference")
    assert defaults(here) == {"HttpPutResponseHopLimit": 3, "ManagedBy": "account"}
    here.view.call(
        "ModifyInstanceMetadataDefaults", HttpPutResponseHopLimit=-1, HttpTokensEnforced="disabled"
    )
    assert defaults(here) == {}
    assert options(here, running(here)) == NOBODY_SAID


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({}, "MissingParameter"),
        ({"HttpPutResponseHopLimit": 0}, "InvalidParameterValue"),
        ({"HttpPutResponseHopLimit": -2}, "InvalidParameterValue"),
        ({"HttpTokensEnforced": "enabled"}, "UnsupportedOperation"),
    ],
)
def test_defaults_that_cannot_be_are_refused(here, given, code):
    assert here.view.refusal("ModifyInstanceMetadataDefaults", **given) == code
