"""Instances, pure.

zone a: host-1, host-3      zone b: host-2
VPC 10.0.0.0/16: subnet a 10.0.1.0/24 (zone a), subnet b 10.0.2.0/28 (zone b)
"""

from __future__ import annotations

import base64
from collections import Counter
from types import SimpleNamespace

import pytest

from rookery.api.handlers.housekeeping import housekeeping
from rookery.api.handlers.image_catalogue import NAMESPACE_IMAGE
from rookery.api.handlers.placement import place
from rookery.api.quotas import Quotas
from rookery.model.objects import Host, Instance, NetworkInterface
from rookery.testing.small_view import SmallView

HOSTS = [
    Host(name="host-1", zone=0, address="100.64.1.10", capacity=10),
    Host(name="host-2", zone=1, address="100.64.2.11", capacity=30),
    Host(name="host-3", zone=0, address="100.64.1.12", capacity=10),
]


@pytest.fixture
def here():
    view = SmallView(HOSTS)
    vpc = view.make_vpc("10.0.0.0/16")
    return SimpleNamespace(
        view=view,
        vpc=vpc,
        a=view.make_subnet(vpc, "10.0.1.0/24", zone="us-east-1a"),
        b=view.make_subnet(vpc, "10.0.2.0/28", zone="us-east-1b"),
    )


def wish(here, **parameters):
    """RunInstances' parameters: one in subnet a unless said otherwise."""
    usual = {"ImageId": NAMESPACE_IMAGE.id, "MinCount": 1, "MaxCount": 1}
    if not {"SubnetId", "NetworkInterfaces"} & set(parameters):
        usual["SubnetId"] = here.a.id
    return {**usual, **parameters}


def launch(here, **parameters):
    return here.view.call("RunInstances", **wish(here, **parameters))["Instances"]


def running(here, **parameters):
    instance = launch(here, **parameters)[0]
    here.view.report(instance["InstanceId"], "running")
    return instance["InstanceId"]


def refusal(here, **parameters):
    return here.view.refusal("RunInstances", **wish(here, **parameters))


def described(here, instance_id):
    return here.view.call("DescribeInstances", InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]


def state(here, instance_id):
    return described(here, instance_id)["State"]["Name"]


def spare_interface(here, subnet=None):
    made = here.view.call("CreateNetworkInterface", SubnetId=(subnet or here.a).id)
    return made["NetworkInterface"]["NetworkInterfaceId"]


# ------------------------------------------------------------------------------------------------------------- launch


def test_a_launch_spreads_over_the_hosts_of_its_zone_and_is_one_reservation(here):
    instances = launch(here, MinCount=5, MaxCount=5)
    assert Counter(here.view.get(Instance, each["InstanceId"]).host for each in instances) == {
        "host-1": 3,
        "host-3": 2,
    }
    assert [each["AmiLaunchIndex"] for each in instances] == [0, 1, 2, 3, 4]
    assert {each["State"]["Name"] for each in instances} == {"pending"}
    assert len(here.view.call("DescribeInstances")["Reservations"]) == 1
    assert len({each["PrivateIpAddress"] for each in instances}) == 5


def test_a_launch_is_as_large_as_fits_between_its_bounds(here):
    assert len(launch(here, MinCount=15, MaxCount=40)) == 20  # host-1 and host-3 hold ten each
    assert refusal(here) == "InsufficientInstanceCapacity"
    assert len(launch(here, SubnetId=here.b.id, MinCount=1, MaxCount=40)) == 11  # a /28 holds eleven
    assert refusal(here, SubnetId=here.b.id) == "InsufficientFreeAddressesInSubnet"


def test_secondary_addresses_count_for_what_fits(here):
    wish_for_three = {"DeviceIndex": 0, "SubnetId": here.b.id, "SecondaryPrivateIpAddressCount": 2}
    instances = launch(here, InstanceType="t3.small", MaxCount=9, NetworkInterfaces=[wish_for_three])
    assert len(instances) == 3  # eleven free addresses, three each


def test_a_launch_beyond_the_quota_is_refused(here):
    here.view.quotas = Quotas(instances=3)
    launch(here, MinCount=2, MaxCount=2)
    assert refusal(here, MinCount=2, MaxCount=2) == "InstanceLimitExceeded"
    here.view.quotas = Quotas(network_interfaces=2)
    assert refusal(here) == "NetworkInterfaceLimitExceeded"


def test_a_new_instance_is_described_with_its_interface(here):
    instance = launch(
        here,
        PrivateIpAddress="10.0.1.7",
        TagSpecifications=[
            {"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "web"}]},
            {"ResourceType": "network-interface", "Tags": [{"Key": "Name", "Value": "web-eni"}]},
        ],
    )[0]
    assert instance["PrivateIpAddress"] == "10.0.1.7"
    assert instance["PrivateDnsName"] == "ip-10-0-1-7.ec2.internal"
    assert instance["Tags"] == [{"Key": "Name", "Value": "web"}]
    assert instance["InstanceType"] == "t3.micro"
    interface = instance["NetworkInterfaces"][0]
    assert interface["Status"] == "in-use"
    assert interface["Attachment"]["DeleteOnTermination"] is True
    stored = here.view.get(NetworkInterface, interface["NetworkInterfaceId"])
    assert stored.tags == {"Name": "web-eni"}
    assert stored.attachment.host == here.view.get(Instance, instance["InstanceId"]).host
    assert described(here, instance["InstanceId"]) == instance


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"ImageId": "ami-0123456789abcdef0"}, "InvalidAMIID.NotFound"),
        ({"ImageId": "debian"}, "InvalidAMIID.Malformed"),
        ({"ImageId": ""}, "MissingParameter"),
        ({"MinCount": 0}, "InvalidParameterValue"),
        ({"MinCount": 3, "MaxCount": 2}, "InvalidParameterValue"),
        ({"InstanceType": "p5.48xlarge"}, "Unsupported"),
        ({"SubnetId": "subnet-0123456789abcdef0"}, "InvalidSubnetID.NotFound"),
        ({"PrivateIpAddress": "10.0.1.7", "MaxCount": 2}, "InvalidParameterCombination"),
        ({"PrivateIpAddress": "10.0.9.7"}, "InvalidParameterValue"),
        ({"UserData": "not base64!"}, "InvalidUserData.Malformed"),
        ({"UserData": base64.b64encode(b"x" * 16385).decode()}, "InvalidParameterValue"),
        ({"KeyName": "unknown"}, "InvalidKeyPair.NotFound"),
        ({"Placement": {"AvailabilityZone": "us-east-1b"}}, "InvalidParameterValue"),
        ({"Placement": {"Tenancy": "dedicated"}}, "UnsupportedOperation"),
        ({"BlockDeviceMappings": [{"DeviceName": "/dev/sda1"}]}, "UnsupportedOperation"),
        ({"IamInstanceProfile": {"Name": "admin"}}, "UnsupportedOperation"),
        ({"SecurityGroupIds": ["sg-0123456789abcdef0"]}, "UnsupportedOperation"),
        ({"InstanceMarketOptions": {"MarketType": "spot"}}, "UnsupportedOperation"),
        ({"HibernationOptions": {"Configured": True}}, "UnsupportedOperation"),
        ({"Monitoring": {"Enabled": True}}, "UnsupportedOperation"),
        ({"EbsOptimized": True}, "UnsupportedOperation"),
        ({"CreditSpecification": {"CpuCredits": "standard"}}, "UnsupportedOperation"),
        ({"MetadataOptions": {"HttpEndpoint": "enabled"}}, "UnsupportedOperation"),
        ({"LaunchTemplate": {"LaunchTemplateName": "t"}}, "UnsupportedOperation"),
        ({"Ipv6AddressCount": 1}, "UnsupportedOperation"),
        ({"SomethingOfNextYear": "on"}, "UnsupportedOperation"),
        ({"TagSpecifications": [{"ResourceType": "volume", "Tags": []}]}, "InvalidParameterValue"),
    ],
)
def test_a_launch_that_cannot_be_is_refused_whole(here, parameters, code):
    assert refusal(here, **parameters) == code


def test_what_clients_always_send_is_accepted_when_it_is_true_anyway(here):
    launch(
        here,
        Monitoring={"Enabled": False},
        EbsOptimized=False,
        Placement={"AvailabilityZone": "us-east-1a", "Tenancy": "default"},
        CreditSpecification={"CpuCredits": "unlimited"},
        MetadataOptions={"HttpEndpoint": "disabled"},
        CapacityReservationSpecification={"CapacityReservationPreference": "open"},
        SecurityGroupIds=[],
        InstanceInitiatedShutdownBehavior="terminate",
    )


def test_without_a_subnet_the_default_one_of_the_zone_is_used(here):
    parameters = {"ImageId": NAMESPACE_IMAGE.id, "MinCount": 1, "MaxCount": 1}
    assert here.view.refusal("RunInstances", **parameters) == "VPCIdNotSpecified"
    vpc = here.view.make_vpc("172.31.0.0/16", is_default=True)
    assert here.view.refusal("RunInstances", **parameters) == "MissingInput"
    here.view.make_subnet(vpc, "172.31.0.0/20", zone="us-east-1a", default=True)
    in_b = here.view.make_subnet(vpc, "172.31.16.0/20", zone="us-east-1b", default=True)
    placed = {**parameters, "Placement": {"AvailabilityZone": "us-east-1b"}}
    assert here.view.call("RunInstances", **placed)["Instances"][0]["SubnetId"] == in_b.id
    assert here.view.call("RunInstances", **parameters)["Instances"][0]["VpcId"] == vpc.id


def test_several_interfaces_are_given_at_launch(here):
    spare = spare_interface(here)
    instance = launch(
        here,
        NetworkInterfaces=[
            {"DeviceIndex": 1, "NetworkInterfaceId": spare},
            {
                "DeviceIndex": 0,
                "SubnetId": here.a.id,
                "PrivateIpAddress": "10.0.1.9",
                "SecondaryPrivateIpAddressCount": 1,
                "Description": "front",
                "DeleteOnTermination": False,
            },
        ],
    )[0]
    first, second = instance["NetworkInterfaces"]
    assert (first["PrivateIpAddress"], first["Description"]) == ("10.0.1.9", "front")
    assert len(first["PrivateIpAddresses"]) == 2
    assert second["NetworkInterfaceId"] == spare
    assert [each["Attachment"]["DeviceIndex"] for each in (first, second)] == [0, 1]
    assert [each["Attachment"]["DeleteOnTermination"] for each in (first, second)] == [False, False]
    stored = here.view.get(Instance, instance["InstanceId"])
    assert stored.interface_ids == (first["NetworkInterfaceId"], spare)


def test_chance_never_draws_an_address_that_the_launch_itself_asks_for(here):
    for _ in range(5):
        instance = launch(
            here,
            NetworkInterfaces=[
                {"DeviceIndex": 0, "SubnetId": here.b.id},
                {"DeviceIndex": 1, "SubnetId": here.b.id, "PrivateIpAddress": "10.0.2.10"},
            ],
        )[0]
        here.view.call("TerminateInstances", InstanceIds=[instance["InstanceId"]])


@pytest.mark.parametrize(
    ("specifications", "code"),
    [
        ([{"DeviceIndex": 1, "SubnetId": "{a}"}], "InvalidParameterCombination"),
        ([{"SubnetId": "{a}"}], "MissingParameter"),
        (
            [{"DeviceIndex": 0, "SubnetId": "{a}"}, {"DeviceIndex": 0, "SubnetId": "{a}"}],
            "InvalidParameterValue",
        ),
        ([{"DeviceIndex": -1, "SubnetId": "{a}"}], "InvalidParameterValue"),
        (
            [
                {"DeviceIndex": 0, "SubnetId": "{a}", "AssociatePublicIpAddress": True},
                {"DeviceIndex": 1, "SubnetId": "{a}"},
            ],
            "InvalidParameterCombination",
        ),
        ([{"DeviceIndex": 0, "SubnetId": "{a}", "AssociatePublicIpAddress": True}], "UnsupportedOperation"),
        ([{"DeviceIndex": 0, "SubnetId": "{a}", "Groups": ["sg-1"]}], "UnsupportedOperation"),
        ([{"DeviceIndex": n, "SubnetId": "{a}"} for n in range(3)], "AttachmentLimitExceeded"),
        (
            [{"DeviceIndex": 0, "SubnetId": "{a}", "SecondaryPrivateIpAddressCount": 2}],
            "InvalidInterface.IpAddressLimitExceeded",
        ),
        (
            [{"DeviceIndex": 0, "SubnetId": "{a}"}, {"DeviceIndex": 1, "SubnetId": "{b}"}],
            "InvalidParameterCombination",
        ),
        (
            [{"DeviceIndex": 0, "NetworkInterfaceId": "{spare}", "SubnetId": "{a}"}],
            "InvalidParameterCombination",
        ),
        (
            [{"DeviceIndex": 0, "NetworkInterfaceId": "{spare}", "DeleteOnTermination": True}],
            "InvalidParameterCombination",
        ),
        ([{"DeviceIndex": 0, "NetworkInterfaceId": "{used}"}], "InvalidNetworkInterface.InUse"),
        ([{"DeviceIndex": n, "NetworkInterfaceId": "{spare}"} for n in range(2)], "InvalidParameterValue"),
        (
            [{"DeviceIndex": 0, "NetworkInterfaceId": "eni-0123456789abcdef0"}],
            "InvalidNetworkInterfaceID.NotFound",
        ),
    ],
)
def test_interfaces_that_cannot_be_given_are_refused(here, specifications, code):
    used = launch(here)[0]["NetworkInterfaces"][0]["NetworkInterfaceId"]
    words = {"a": here.a.id, "b": here.b.id, "spare": spare_interface(here), "used": used}
    filled = [
        {name: value.format(**words) if isinstance(value, str) else value for name, value in each.items()}
        for each in specifications
    ]
    assert refusal(here, NetworkInterfaces=filled) == code


@pytest.mark.parametrize(
    "both",
    [
        {"SubnetId": "subnet-0123456789abcdef0"},
        {"PrivateIpAddress": "10.0.1.7"},
        {"SecurityGroupIds": ["sg-1"]},
    ],
)
def test_interfaces_and_instance_level_network_parameters_exclude_each_other(here, both):
    specifications = [{"DeviceIndex": 0, "SubnetId": here.a.id}]
    assert refusal(here, NetworkInterfaces=specifications, **both) == "InvalidParameterCombination"


def test_an_existing_interface_serves_one_instance_only(here):
    specifications = [{"DeviceIndex": 0, "NetworkInterfaceId": spare_interface(here)}]
    code = refusal(here, NetworkInterfaces=specifications, MinCount=1, MaxCount=2)
    assert code == "InvalidParameterCombination"


# -------------------------------------------------------------------------------------------------------------- states


def test_pending_until_the_host_runs_it_and_every_host_can_reach_it(here):
    here.view.live = 0
    instance = launch(here)[0]["InstanceId"]
    assert state(here, instance) == "pending"
    here.view.report(instance, "running")
    assert state(here, instance) == "pending"
    here.view.live = here.view.revision
    assert state(here, instance) == "running"


def test_a_later_change_of_tag_or_description_does_not_make_it_pending_again(here):
    instance = running(here)
    here.view.live = here.view.revision
    interface = described(here, instance)["NetworkInterfaces"][0]["NetworkInterfaceId"]
    here.view.call(
        "ModifyNetworkInterfaceAttribute", NetworkInterfaceId=interface, Description={"Value": "later"}
    )
    assert state(here, instance) == "running"


def test_stop_and_start_keep_the_address_and_go_through_all_states(here):
    instance = running(here)
    address = described(here, instance)["PrivateIpAddress"]
    answer = here.view.call("StopInstances", InstanceIds=[instance])
    assert answer["StoppingInstances"] == [
        {
            "InstanceId": instance,
            "PreviousState": {"Code": 16, "Name": "running"},
            "CurrentState": {"Code": 64, "Name": "stopping"},
        }
    ]
    assert state(here, instance) == "stopping"
    assert here.view.refusal("StartInstances", InstanceIds=[instance]) == "IncorrectInstanceState"
    here.view.report(instance, "stopped")
    stopped = described(here, instance)
    assert stopped["State"] == {"Code": 80, "Name": "stopped"}
    assert stopped["StateReason"]["Code"] == "Client.UserInitiatedShutdown"
    assert stopped["StateTransitionReason"] == "User initiated (2027-01-15 08:00:00 GMT)"
    here.view.now += 60
    here.view.call("StartInstances", InstanceIds=[instance])
    assert state(here, instance) == "pending"
    here.view.report(instance, "running", boot=2)
    again = described(here, instance)
    assert (again["State"]["Name"], again["PrivateIpAddress"]) == ("running", address)
    assert again["LaunchTime"] == here.view.now
    assert "StateReason" not in again


def test_a_started_instance_is_pending_until_its_new_mappings_are_known_everywhere(here):
    instance = running(here)
    here.view.call("StopInstances", InstanceIds=[instance])
    here.view.report(instance, "stopped")
    here.view.live = here.view.revision
    here.view.call("StartInstances", InstanceIds=[instance])
    here.view.report(instance, "running", boot=2)
    assert state(here, instance) == "pending"
    here.view.live = here.view.revision
    assert state(here, instance) == "running"


def test_a_word_about_an_earlier_boot_says_nothing_about_this_one(here):
    instance = running(here)
    here.view.call("StopInstances", InstanceIds=[instance])
    here.view.report(instance, "stopped")
    here.view.call("StartInstances", InstanceIds=[instance])
    here.view.report(instance, "stopped", boot=1)
    assert state(here, instance) == "pending"


def test_a_reboot_is_not_seen_from_outside(here):
    instance = running(here)
    assert here.view.call("RebootInstances", InstanceIds=[instance]) == {}
    assert here.view.get(Instance, instance).boot == 2
    assert state(here, instance) == "running"
    here.view.report(instance, "running", boot=2)
    assert state(here, instance) == "running"
    here.view.call("StopInstances", InstanceIds=[instance])
    assert here.view.refusal("RebootInstances", InstanceIds=[instance]) == "IncorrectInstanceState"


def test_rebooting_what_has_not_booted_yet_changes_nothing(here):
    instance = launch(here)[0]["InstanceId"]
    here.view.call("RebootInstances", InstanceIds=[instance])
    assert here.view.get(Instance, instance).boot == 1


def test_what_could_not_be_started_is_stopped_and_says_why(here):
    instance = launch(here)[0]["InstanceId"]
    here.view.report(instance, "failed", message="no space left on device")
    failed = described(here, instance)
    assert failed["State"]["Name"] == "stopped"
    assert failed["StateReason"] == {
        "Code": "Server.InternalError",
        "Message": "Server.InternalError: no space left on device",
    }
    here.view.call("StartInstances", InstanceIds=[instance])
    assert state(here, instance) == "pending"


def test_a_request_changes_all_its_instances_or_none(here):
    first, second = running(here), launch(here)[0]["InstanceId"]
    assert here.view.refusal("StopInstances", InstanceIds=[first, second]) == "IncorrectInstanceState"
    unknown = "i-0123456789abcdef0"
    assert here.view.refusal("StopInstances", InstanceIds=[first, unknown]) == "InvalidInstanceID.NotFound"
    assert here.view.refusal("StopInstances", InstanceIds=["web"]) == "InvalidInstanceID.Malformed"
    assert state(here, first) == "running"


def test_stopping_and_starting_twice_changes_nothing(here):
    instance = running(here)
    assert here.view.call("StartInstances", InstanceIds=[instance])["StartingInstances"][0][
        "CurrentState"
    ] == {
        "Code": 16,
        "Name": "running",
    }
    here.view.call("StopInstances", InstanceIds=[instance])
    before = here.view.revision
    here.view.call("StopInstances", InstanceIds=[instance, instance])
    assert here.view.revision == before


# ----------------------------------------------------------------------------------------------------------- terminate


def test_terminating_takes_launch_interfaces_and_frees_the_others(here):
    spare = spare_interface(here)
    instance = launch(
        here,
        NetworkInterfaces=[
            {"DeviceIndex": 0, "SubnetId": here.a.id},
            {"DeviceIndex": 1, "NetworkInterfaceId": spare},
        ],
    )[0]
    launched = instance["NetworkInterfaces"][0]["NetworkInterfaceId"]
    name = instance["InstanceId"]
    answer = here.view.call("TerminateInstances", InstanceIds=[name])
    assert answer["TerminatingInstances"][0]["CurrentState"] == {"Code": 32, "Name": "shutting-down"}
    assert here.view.get(NetworkInterface, launched) is None
    assert here.view.get(NetworkInterface, spare).attachment is None
    assert state(here, name) == "shutting-down"
    here.view.report(name, "terminated")
    gone = described(here, name)
    assert gone["State"] == {"Code": 48, "Name": "terminated"}
    assert gone["NetworkInterfaces"] == []
    assert not {"PrivateIpAddress", "SubnetId", "VpcId"} & set(gone)


def test_terminating_again_is_no_error(here):
    instance = running(here)
    here.view.call("TerminateInstances", InstanceIds=[instance])
    before = here.view.revision
    here.view.call("TerminateInstances", InstanceIds=[instance])
    assert here.view.revision == before
    for operation in ("StartInstances", "StopInstances", "RebootInstances"):
        assert here.view.refusal(operation, InstanceIds=[instance]) == "IncorrectInstanceState"


def test_protected_instances_are_neither_terminated_nor_stopped(here):
    instance = running(here, DisableApiTermination=True, DisableApiStop=True)
    other = running(here)
    both = [other, instance]
    assert here.view.refusal("TerminateInstances", InstanceIds=both) == "OperationNotPermitted"
    assert here.view.refusal("StopInstances", InstanceIds=both) == "OperationNotPermitted"
    for attribute in ("DisableApiTermination", "DisableApiStop"):
        here.view.call("ModifyInstanceAttribute", InstanceId=instance, **{attribute: {"Value": False}})
    here.view.call("StopInstances", InstanceIds=both)
    here.view.call("TerminateInstances", InstanceIds=both)


def test_terminated_instances_are_forgotten_an_hour_after_their_end(here):
    instance = running(here)
    here.view.call("TerminateInstances", InstanceIds=[instance])
    here.view.now += 7200
    assert housekeeping(here.view, here.view.now).deletes == ()  # its host has not said that it ended
    here.view.report(instance, "terminated")
    assert housekeeping(here.view, here.view.now + 3599).deletes == ()
    here.view.apply(housekeeping(here.view, here.view.now + 3600))
    assert here.view.refusal("DescribeInstances", InstanceIds=[instance]) == "InvalidInstanceID.NotFound"


def test_what_a_lost_host_held_is_forgotten_too(here):
    instance = running(here)
    here.view.call("TerminateInstances", InstanceIds=[instance])
    here.view.hosts().clear()
    assert [each.id for each in housekeeping(here.view, here.view.now + 3600).deletes] == [instance]


@pytest.mark.parametrize(("behavior", "end"), [("stop", "stopped"), ("terminate", "shutting-down")])
def test_a_guest_that_shuts_itself_down_ends_as_its_owner_said(here, behavior, end):
    instance = running(here, InstanceInitiatedShutdownBehavior=behavior)
    here.view.report(instance, "stopped")
    assert state(here, instance) == "stopped"
    assert described(here, instance)["StateReason"]["Code"] == "Client.InstanceInitiatedShutdown"
    here.view.apply(housekeeping(here.view, here.view.now))
    assert state(here, instance) == end
    assert described(here, instance)["StateReason"]["Code"] == "Client.InstanceInitiatedShutdown"
    assert housekeeping(here.view, here.view.now).puts == ()


# ---------------------------------------------------------------------------------------------------------- attributes


def test_attributes_are_described_one_by_one(here):
    data = base64.b64encode(b"#!/bin/sh\n").decode()
    instance = running(here, UserData=data)
    for attribute, value in (
        ("disableApiStop", {"DisableApiStop": {"Value": False}}),
        ("disableApiTermination", {"DisableApiTermination": {"Value": False}}),
        ("instanceInitiatedShutdownBehavior", {"InstanceInitiatedShutdownBehavior": {"Value": "stop"}}),
        ("userData", {"UserData": {"Value": data}}),
        ("sourceDestCheck", {"SourceDestCheck": {"Value": True}}),
        ("instanceType", {"InstanceType": {"Value": "t3.micro"}}),
        ("blockDeviceMapping", {"BlockDeviceMappings": []}),
    ):
        answer = here.view.call("DescribeInstanceAttribute", InstanceId=instance, Attribute=attribute)
        assert answer == {"InstanceId": instance, **value}


def test_attributes_are_modified_by_member_or_by_name(here):
    instance = running(here)

    def modify(**parameters):
        here.view.call("ModifyInstanceAttribute", InstanceId=instance, **parameters)

    modify(Attribute="disableApiStop", Value="true")
    modify(DisableApiTermination={"Value": True})
    modify(InstanceInitiatedShutdownBehavior={"Value": "terminate"})
    modify(SourceDestCheck={"Value": False})
    stored = here.view.get(Instance, instance)
    assert (stored.disable_api_stop, stored.disable_api_termination) == (True, True)
    assert stored.shutdown_behavior == "terminate"
    assert described(here, instance)["SourceDestCheck"] is False
    here.view.call("ResetInstanceAttribute", InstanceId=instance, Attribute="sourceDestCheck")
    assert described(here, instance)["SourceDestCheck"] is True


def test_type_and_user_data_change_only_while_stopped(here):
    instance = running(here)
    change = {"InstanceId": instance, "InstanceType": {"Value": "t3.small"}}
    assert here.view.refusal("ModifyInstanceAttribute", **change) == "IncorrectInstanceState"
    here.view.call("StopInstances", InstanceIds=[instance])
    here.view.report(instance, "stopped")
    here.view.call("ModifyInstanceAttribute", **change)
    here.view.call("ModifyInstanceAttribute", InstanceId=instance, UserData={"Value": b"#!/bin/sh\n"})
    stored = here.view.get(Instance, instance)
    assert stored.instance_type == "t3.small"
    assert base64.b64decode(stored.user_data) == b"#!/bin/sh\n"


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({}, "MissingParameter"),
        (
            {"DisableApiStop": {"Value": True}, "SourceDestCheck": {"Value": True}},
            "InvalidParameterCombination",
        ),
        ({"Attribute": "disableApiStop"}, "MissingParameter"),
        ({"Attribute": "disableApiStop", "Value": "perhaps"}, "InvalidParameterValue"),
        ({"Attribute": "kernel", "Value": "aki-1"}, "UnsupportedOperation"),
        ({"InstanceInitiatedShutdownBehavior": {"Value": "explode"}}, "InvalidParameterValue"),
        ({"Groups": ["sg-1"]}, "UnsupportedOperation"),
        ({"EbsOptimized": {"Value": True}}, "UnsupportedOperation"),
    ],
)
def test_modifications_that_cannot_be_are_refused(here, parameters, code):
    assert here.view.refusal("ModifyInstanceAttribute", InstanceId=running(here), **parameters) == code


# ------------------------------------------------------------------------------------------------------------ describe


@pytest.mark.parametrize(
    ("name", "value", "count"),
    [
        ("instance-state-name", "running", 1),
        ("instance-state-code", "0", 1),
        ("availability-zone", "us-east-1b", 1),
        ("private-ip-address", "10.0.1.77", 1),
        ("network-interface.addresses.private-ip-address", "10.0.1.7*", 1),
        ("network-interface.attachment.status", "attached", 1),
        ("subnet-id", "{a}", 1),
        ("vpc-id", "{vpc}", 2),
        ("tag:Name", "w?b", 1),
        ("tag-key", "Name", 1),
        ("instance-type", "t3.*", 2),
        ("launch-time", "2027-01-15T*", 2),
        ("key-name", "*", 0),
        ("state-reason-code", "*", 0),
    ],
)
def test_filters_find_instances(here, name, value, count):
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "web"}]}]
    running(here, PrivateIpAddress="10.0.1.77", TagSpecifications=tags)
    launch(here, SubnetId=here.b.id)
    filters = [{"Name": name, "Values": [value.format(a=here.a.id, vpc=here.vpc.id)]}]
    answer = here.view.call("DescribeInstances", Filters=filters)
    assert sum(len(each["Instances"]) for each in answer["Reservations"]) == count


def test_pages_count_instances_and_cut_reservations(here):
    launch(here, MinCount=8, MaxCount=8)
    first = here.view.call("DescribeInstances", MaxResults=5)
    second = here.view.call("DescribeInstances", MaxResults=5, NextToken=first["NextToken"])
    assert [len(each["Instances"]) for each in first["Reservations"] + second["Reservations"]] == [5, 3]
    assert "NextToken" not in second
    seen = [i["InstanceId"] for page in (first, second) for r in page["Reservations"] for i in r["Instances"]]
    assert len(set(seen)) == 8


def test_statuses_are_told_of_running_instances_unless_all_are_asked_for(here):
    instance = running(here)
    launch(here)
    told = here.view.call("DescribeInstanceStatus")["InstanceStatuses"]
    assert [each["InstanceId"] for each in told] == [instance]
    assert told[0]["InstanceStatus"]["Status"] == told[0]["SystemStatus"]["Status"] == "ok"
    everything = here.view.call("DescribeInstanceStatus", IncludeAllInstances=True)["InstanceStatuses"]
    assert [each["InstanceStatus"]["Status"] for each in everything] == ["ok", "not-applicable"]


# ----------------------------------------------------------------------------------------------------------- placement


def test_placement_fills_the_emptiest_host_first_and_stops_when_all_are_full():
    hosts = [Host(name=f"host-{n}", zone=0, address=f"100.64.1.{n}", capacity=4) for n in (1, 2, 3)]
    held = {"host-1": 3, "host-2": 0, "host-3": 2}
    assert Counter(place(hosts, held.__getitem__, 5)) == {"host-1": 1, "host-2": 3, "host-3": 1}
    everything = place(hosts, held.__getitem__, 100)
    assert Counter(everything) == {"host-1": 1, "host-2": 4, "host-3": 2}
    assert place([], held.__getitem__, 3) == []
