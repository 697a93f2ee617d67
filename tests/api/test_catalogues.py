"""Images, instance types, volumes: small, and true."""

from __future__ import annotations

import pytest

from rookery.api.handlers.image_catalogue import GUEST_IMAGE, IMAGES, NAMESPACE_IMAGE
from rookery.api.handlers.instance_type_catalogue import CATALOGUE
from rookery.model.objects import Host
from rookery.testing.small_view import SmallView


@pytest.fixture
def view():
    return SmallView([Host(name=f"host-{n}", zone=n, address=f"100.64.{n + 1}.10") for n in (0, 1)])


NAMESPACE, GUEST = NAMESPACE_IMAGE.id, GUEST_IMAGE.id


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ({}, [NAMESPACE, GUEST]),
        ({"ImageIds": [NAMESPACE]}, [NAMESPACE]),
        ({"ImageIds": [GUEST, NAMESPACE]}, [NAMESPACE, GUEST]),
        ({"Owners": ["000000000000"]}, [NAMESPACE, GUEST]),
        ({"Owners": ["rookery"]}, [NAMESPACE, GUEST]),
        ({"Owners": ["amazon", "self"]}, []),
        ({"ExecutableUsers": ["self"]}, []),
        ({"ExecutableUsers": ["all"]}, [NAMESPACE, GUEST]),
        ({"Filters": [{"Name": "name", "Values": ["rookery-namespace-*"]}]}, [NAMESPACE]),
        ({"Filters": [{"Name": "virtualization-type", "Values": ["hvm"]}]}, [GUEST]),
        ({"Filters": [{"Name": "architecture", "Values": ["arm64"]}]}, []),
        ({"Filters": [{"Name": "root-device-type", "Values": ["ebs"]}]}, []),
    ],
)
def test_images_are_found_by_what_they_are(view, parameters, found):
    images = view.call("DescribeImages", **parameters)["Images"]
    assert [each["ImageId"] for each in images] == found


def test_only_a_guest_has_what_aws_calls_virtualization(view):
    told = {each["ImageId"]: each.get("VirtualizationType") for each in view.call("DescribeImages")["Images"]}
    assert told == {NAMESPACE: None, GUEST: "hvm"}


def test_the_most_recent_image_is_the_namespace():
    assert max(IMAGES.values(), key=lambda image: image.created) is NAMESPACE_IMAGE


def test_unknown_images_are_refused(view):
    unknown = ["ami-0123456789abcdef0"]
    assert view.refusal("DescribeImages", ImageIds=unknown) == "InvalidAMIID.NotFound"
    assert view.refusal("DescribeImages", ImageIds=["x"]) == "InvalidAMIID.Malformed"


def test_instance_types_tell_the_limits_that_are_enforced(view):
    (told,) = view.call("DescribeInstanceTypes", InstanceTypes=["t3.small"])["InstanceTypes"]
    network = told["NetworkInfo"]
    assert (network["MaximumNetworkInterfaces"], network["Ipv4AddressesPerInterface"]) == (3, 4)
    assert (told["VCpuInfo"]["DefaultVCpus"], told["MemoryInfo"]["SizeInMiB"]) == (2, 2048)
    assert view.refusal("DescribeInstanceTypes", InstanceTypes=["m9.huge"]) == "InvalidInstanceType"


def test_instance_types_come_in_pages(view):
    names, token = [], None
    for _ in range(3):
        more = {"NextToken": token} if token else {}
        answer = view.call("DescribeInstanceTypes", MaxResults=5, **more)
        names += [each["InstanceType"] for each in answer["InstanceTypes"]]
        token = answer.get("NextToken")
        if not token:
            break
    assert sorted(names) == sorted(CATALOGUE)


@pytest.mark.parametrize(
    ("location_type", "locations"),
    [
        ("region", {"us-east-1"}),
        ("availability-zone", {"us-east-1a", "us-east-1b"}),
        ("availability-zone-id", {"use1-az1", "use1-az2"}),
        ("outpost", set()),
    ],
)
def test_every_type_is_offered_everywhere(view, location_type, locations):
    answer = view.call("DescribeInstanceTypeOfferings", LocationType=location_type)["InstanceTypeOfferings"]
    assert {(each["InstanceType"], each["Location"]) for each in answer} == {
        (name, location) for name in CATALOGUE for location in locations
    }


def test_offerings_are_filtered(view):
    filters = [{"Name": "instance-type", "Values": ["t3.*"]}, {"Name": "location", "Values": ["us-east-1b"]}]
    answer = view.call("DescribeInstanceTypeOfferings", LocationType="availability-zone", Filters=filters)
    assert {each["InstanceType"] for each in answer["InstanceTypeOfferings"]} == {
        name for name in CATALOGUE if name.startswith("t3.")
    }


def test_burstable_instances_have_unlimited_credit_because_nobody_throttles_them(view):
    subnet = view.make_subnet(view.make_vpc("10.0.0.0/16"), "10.0.1.0/24")
    usual = {"ImageId": NAMESPACE_IMAGE.id, "SubnetId": subnet.id, "MinCount": 1, "MaxCount": 1}
    burstable = view.call("RunInstances", **usual, InstanceType="t3.nano")["Instances"][0]["InstanceId"]
    view.call("RunInstances", **usual, InstanceType="m5.large")
    answer = view.call("DescribeInstanceCreditSpecifications")["InstanceCreditSpecifications"]
    assert answer == [{"InstanceId": burstable, "CpuCredits": "unlimited"}]


def test_there_are_no_volumes(view):
    assert view.call("DescribeVolumes") == {"Volumes": []}
    filters = [{"Name": "attachment.instance-id", "Values": ["i-1"]}]
    assert view.call("DescribeVolumes", Filters=filters) == {"Volumes": []}
    unknown = ["vol-0123456789abcdef0"]
    assert view.refusal("DescribeVolumes", VolumeIds=unknown) == "InvalidVolume.NotFound"
