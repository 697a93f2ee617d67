"""RunInstances, pure: where, how many, with which interfaces, and what is refused (tests/api/instance_scene.py)."""

from __future__ import annotations

import base64
from collections import Counter

import pytest

from rookery.api.handlers.image_catalogue import NAMESPACE_IMAGE
from rookery.api.handlers.placement import place
from rookery.api.quotas import Quotas
from rookery.model.objects import Host, Instance, NetworkInterface
from tests.api.instance_scene import (
    account,
    described,
    launch,
    refusal,
    spare_interface,
)


@pytest.fixture
def here():
    return account()


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
        ({"Placement": {"AvailabilityZoneId": "use1-az2"}}, "UnsupportedOperation"),
        ({"BlockDeviceMappings": [{"DeviceName": "/dev/sda1"}]}, "UnsupportedOperation"),
        ({"IamInstanceProfile": {"Name": "admin"}}, "UnsupportedOperation"),
        ({"SecurityGroupIds": ["sg-0123456789abcdef0"]}, "InvalidGroup.NotFound"),
        ({"InstanceMarketOptions": {"MarketType": "spot"}}, "UnsupportedOperation"),
        ({"HibernationOptions": {"Configured": True}}, "UnsupportedOperation"),
        ({"Monitoring": {"Enabled": True}}, "UnsupportedOperation"),
        ({"EbsOptimized": True}, "UnsupportedOperation"),
        ({"CreditSpecification": {"CpuCredits": "standard"}}, "UnsupportedOperation"),
        ({"MetadataOptions": {"HttpPutResponseHopLimit": 65}}, "InvalidParameterValue"),
        ({"MetadataOptions": {"SomethingOfNextYear": "on"}}, "UnsupportedOperation"),
        ({"PrivateDnsNameOptions": {"SomethingOfNextYear": True}}, "UnsupportedOperation"),
        ({"LaunchTemplate": {"LaunchTemplateName": "t"}}, "UnsupportedOperation"),
        ({"Ipv6AddressCount": 1}, "InvalidParameterValue"),
        ({"SomethingOfNextYear": "on"}, "UnsupportedOperation"),
        ({"TagSpecifications": [{"ResourceType": "snapshot", "Tags": []}]}, "InvalidParameterValue"),
    ],
)
def test_a_launch_that_cannot_be_is_refused_whole(here, parameters, code):
    assert refusal(here, **parameters) == code


def test_what_clients_always_send_is_accepted_when_it_is_true_anyway(here):
    launch(
        here,
        Monitoring={"Enabled": False},
        EbsOptimized=False,
        Placement={
            "AvailabilityZone": "us-east-1a",
            "AvailabilityZoneId": "use1-az1",
            "Tenancy": "default",
        },
        TagSpecifications=[{"ResourceType": "volume", "Tags": [{"Key": "Name", "Value": "disk"}]}],
        CreditSpecification={"CpuCredits": "unlimited"},
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
        (
            [{"DeviceIndex": 0, "SubnetId": "{a}", "AssociatePublicIpAddress": True}],
            "InsufficientAddressCapacity",
        ),
        (
            [{"DeviceIndex": 0, "NetworkInterfaceId": "{spare}", "AssociatePublicIpAddress": True}],
            "InvalidParameterCombination",
        ),
        ([{"DeviceIndex": 0, "SubnetId": "{a}", "Groups": ["sg-1"]}], "InvalidGroupId.Malformed"),
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


def test_placement_fills_the_emptiest_host_first_and_stops_when_all_are_full():
    hosts = [Host(name=f"host-{n}", zone=0, address=f"100.64.1.{n}", capacity=4) for n in (1, 2, 3)]
    held = {"host-1": 3, "host-2": 0, "host-3": 2}
    assert Counter(place(hosts, held.__getitem__, 5)) == {"host-1": 1, "host-2": 3, "host-3": 1}
    everything = place(hosts, held.__getitem__, 100)
    assert Counter(everything) == {"host-1": 1, "host-2": 4, "host-3": 2}
    assert place([], held.__getitem__, 3) == []
