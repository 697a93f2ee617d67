"""Attributes, filters, pages and statuses of instances, pure (tests/api/instance_scene.py)."""

from __future__ import annotations

import base64

import pytest

from rookery.api.operation import ApiError
from rookery.model.objects import ConsoleOutput, Instance
from tests.api.instance_scene import (
    account,
    described,
    launch,
    running,
)


@pytest.fixture
def here():
    return account()


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
        ({"Groups": ["sg-1"]}, "InvalidGroupId.Malformed"),
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


def test_the_console_is_what_the_host_told_last(here):
    instance = running(here)
    assert here.view.call("GetConsoleOutput", InstanceId=instance) == {"InstanceId": instance, "Timestamp": here.view.now}
    here.view.consoles[instance] = ConsoleOutput(id=instance, time=1234.0, output=b"login: \xff")
    for latest in (False, True):
        answer = here.view.call("GetConsoleOutput", InstanceId=instance, Latest=latest)
        assert answer["Timestamp"] == 1234.0 and base64.b64decode(answer["Output"]) == b"login: \xff"
    with pytest.raises(ApiError, match="does not exist"):
        here.view.call("GetConsoleOutput", InstanceId="i-0123456789abcdef0")
