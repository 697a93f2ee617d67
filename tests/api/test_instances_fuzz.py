"""Every operation of this part, fed from botocore's shapes: whatever is typed right is answered or refused, never a crash.

What the front guarantees to a handler (required members, types, enumerations) is kept; everything else is random, with
ids and addresses that really exist mixed in.
"""

from __future__ import annotations

from functools import cache
from unittest.mock import patch

import botocore.session
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rookery.api.handlers.image_catalogue import NAMESPACE_IMAGE
from rookery.api.handlers.key_material import new_key
from rookery.api.operation import ApiError
from rookery.model.objects import AddressPool, Host
from rookery.testing.small_view import SmallView

MODEL = botocore.session.get_session().get_service_model("ec2")

OPERATIONS = [
    "AssignPrivateIpAddresses",
    "AttachNetworkInterface",
    "CreateKeyPair",
    "CreateNetworkInterface",
    "DeleteKeyPair",
    "DeleteNetworkInterface",
    "DescribeImages",
    "DescribeInstanceAttribute",
    "DescribeInstanceCreditSpecifications",
    "DescribeInstances",
    "DescribeInstanceStatus",
    "DescribeInstanceTypeOfferings",
    "DescribeInstanceTypes",
    "DescribeKeyPairs",
    "DescribeNetworkInterfaceAttribute",
    "DescribeNetworkInterfaces",
    "DescribeVolumes",
    "DetachNetworkInterface",
    "GetConsoleOutput",
    "ImportKeyPair",
    "ModifyInstanceAttribute",
    "ModifyNetworkInterfaceAttribute",
    "RebootInstances",
    "ResetInstanceAttribute",
    "ResetNetworkInterfaceAttribute",
    "RunInstances",
    "StartInstances",
    "StopInstances",
    "TerminateInstances",
    "UnassignPrivateIpAddresses",
]


def small_region():
    """One instance with two interfaces, and a spare interface."""
    view = SmallView([Host(name="host-1", zone=0, address="100.64.1.10", capacity=50)])
    view.pools = [AddressPool(cidr="198.18.0.0/24")]
    subnet = view.make_subnet(view.make_vpc("10.0.0.0/16", is_default=True), "10.0.1.0/24", default=True)
    answer = view.call(
        "RunInstances",
        ImageId=NAMESPACE_IMAGE.id,
        MinCount=1,
        MaxCount=1,
        NetworkInterfaces=[{"DeviceIndex": n, "SubnetId": subnet.id} for n in (0, 1)],
    )
    instance = answer["Instances"][0]["InstanceId"]
    attachment = answer["Instances"][0]["NetworkInterfaces"][1]["Attachment"]["AttachmentId"]
    view.report(instance, "running")
    spare = view.call("CreateNetworkInterface", SubnetId=subnet.id, PrivateIpAddress="10.0.1.9")
    key = view.call("CreateKeyPair", KeyName="k", KeyType="ed25519")
    return view, [
        instance,
        attachment,
        subnet.id,
        spare["NetworkInterface"]["NetworkInterfaceId"],
        key["KeyPairId"],
        "k",
        NAMESPACE_IMAGE.id,
        "t3.micro",
        "10.0.1.9",
        "10.0.1.77",
        "us-east-1a",
        "true",
    ]


REGION_WORDS = small_region()[1]  # ids are counted: the same in every region


def texts():
    return st.sampled_from(REGION_WORDS) | st.text(max_size=12) | st.sampled_from(["", "*", "x" * 300])


def values(shape, depth=0):
    kinds = {
        "string": lambda: st.sampled_from(shape.enum[:40]) if shape.enum else texts(),
        "integer": lambda: st.sampled_from([0, 1, 2, 5]) | st.integers(-(2**31), 2**31 - 1),
        "long": lambda: st.integers(-(2**63), 2**63 - 1),
        "double": lambda: st.floats(allow_nan=False),
        "float": lambda: st.floats(allow_nan=False),
        "boolean": st.booleans,
        "blob": lambda: st.binary(max_size=20),
        "timestamp": st.datetimes,
        "list": lambda: st.lists(values(shape.member, depth + 1), max_size=3),
        "structure": lambda: structures(shape, depth + 1),
    }
    return kinds[shape.type_name]()


def structures(shape, depth=0):
    """Few optional members at once: a request with thirty of them is refused for the first."""
    required = {
        name: values(member, depth)
        for name, member in shape.members.items()
        if name in shape.required_members
    }
    optional = [name for name in shape.members if name not in shape.required_members]
    if depth > 4 or not optional:
        return st.fixed_dictionaries(required)
    return st.lists(st.sampled_from(optional), max_size=3, unique=True).flatmap(
        lambda chosen: st.fixed_dictionaries(
            {**required, **{name: values(shape.members[name], depth) for name in chosen}}
        )
    )


def sensible(operation, words):
    """What makes the operation succeed, so that some random additions get past the first check."""
    instance, _, subnet, spare = words[:4]
    known = {
        "RunInstances": {"ImageId": NAMESPACE_IMAGE.id, "MinCount": 1, "MaxCount": 2, "SubnetId": subnet},
        "CreateNetworkInterface": {"SubnetId": subnet},
        "InstanceIds": {"InstanceIds": [instance]},
        "InstanceId": {"InstanceId": instance},
        "NetworkInterfaceId": {"NetworkInterfaceId": spare},
    }
    if operation in known:
        return known[operation]
    required = MODEL.operation_model(operation).input_shape.required_members
    return {key: value for name in required for key, value in known.get(name, {}).items()}


@pytest.fixture(scope="module", autouse=True)
def one_key_of_each_type():
    """Drawing them has its own tests; here it would only take time."""
    with patch("rookery.api.handlers.key_pairs.new_key", cache(new_key)):
        yield


@pytest.mark.parametrize("operation", OPERATIONS)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_request_of_the_right_types_crashes(operation, data):
    view, _ = small_region()
    for _attempt in range(3):
        parameters = data.draw(structures(MODEL.operation_model(operation).input_shape))
        if data.draw(st.booleans()):
            parameters = {**parameters, **sensible(operation, REGION_WORDS)}
        try:
            view.call(operation, **parameters)
        except ApiError as error:
            assert error.status in (400, 500)
            assert error.message
