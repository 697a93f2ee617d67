"""Network interfaces, pure: 10.0.1.0/28 is subnet `small` of VPC 10.0.0.0/16, 10.0.2.0/24 is `wide`.

.0 network  .1 router  .2 resolver  .3 reserved  .4 ... .14 free  .15 broadcast
"""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from rookery.api.handlers.addresses import SubnetAddresses
from rookery.api.handlers.housekeeping import housekeeping
from rookery.api.handlers.image_catalogue import NAMESPACE_IMAGE
from rookery.api.quotas import Quotas
from rookery.model.objects import Host, Instance, NetworkInterface
from rookery.testing.small_view import SmallView
from tests.api.group_scene import default_group, identifier


@pytest.fixture
def here():
    view = SmallView([Host(name="host-1", zone=0, address="100.64.1.10")])
    vpc = view.make_vpc("10.0.0.0/16")
    return SimpleNamespace(
        view=view,
        vpc=vpc,
        default=default_group(view, vpc),
        small=view.make_subnet(vpc, "10.0.1.0/28"),
        wide=view.make_subnet(vpc, "10.0.2.0/24"),
    )


def create(here, **parameters):
    parameters = {"SubnetId": here.wide.id, **parameters}
    return here.view.call("CreateNetworkInterface", **parameters)["NetworkInterface"]


def describe(here, interface):
    answer = here.view.call(
        "DescribeNetworkInterfaces", NetworkInterfaceIds=[interface["NetworkInterfaceId"]]
    )
    return answer["NetworkInterfaces"][0]


def addresses(shape):
    return [each["PrivateIpAddress"] for each in shape["PrivateIpAddresses"]]


def launched_interface(here):
    """Of an instance with one interface of its own."""
    answer = here.view.call(
        "RunInstances", ImageId=NAMESPACE_IMAGE.id, MinCount=1, MaxCount=1, SubnetId=here.wide.id
    )
    return answer["Instances"][0]["NetworkInterfaces"][0]


def test_a_new_interface_is_described_whole(here):
    tag = {"Key": "Name", "Value": "web"}
    made = create(
        here,
        PrivateIpAddress="10.0.2.50",
        Description="first",
        TagSpecifications=[{"ResourceType": "network-interface", "Tags": [tag]}],
    )
    assert made == {
        "NetworkInterfaceId": made["NetworkInterfaceId"],
        "SubnetId": here.wide.id,
        "VpcId": here.vpc.id,
        "AvailabilityZone": "us-east-1a",
        "AvailabilityZoneId": "use1-az1",
        "OwnerId": "123456789012",
        "Description": "first",
        "InterfaceType": "interface",
        "MacAddress": made["MacAddress"],
        "PrivateDnsName": "ip-10-0-2-50.ec2.internal",
        "PrivateIpAddress": "10.0.2.50",
        "PrivateIpAddresses": [
            {"Primary": True, "PrivateDnsName": "ip-10-0-2-50.ec2.internal", "PrivateIpAddress": "10.0.2.50"}
        ],
        "SourceDestCheck": True,
        "Status": "available",
        "Groups": [identifier(here.default)],
        "Ipv6Addresses": [],
        "RequesterManaged": False,
        "TagSet": [tag],
    }
    assert describe(here, made) == made


def test_eleven_interfaces_fill_a_28_and_the_twelfth_is_refused(here):
    given = {create(here, SubnetId=here.small.id)["PrivateIpAddress"] for _ in range(11)}
    assert given == {f"10.0.1.{last}" for last in range(4, 15)}
    code = here.view.refusal("CreateNetworkInterface", SubnetId=here.small.id)
    assert code == "InsufficientFreeAddressesInSubnet"


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("10.0.2.0", "InvalidParameterValue"),
        ("10.0.2.1", "InvalidParameterValue"),
        ("10.0.2.3", "InvalidParameterValue"),
        ("10.0.2.255", "InvalidParameterValue"),
        ("10.0.3.7", "InvalidParameterValue"),
        ("10.0.2.999", "InvalidParameterValue"),
        ("fd00::1", "InvalidParameterValue"),
        ("10.0.2.9", "InvalidIPAddress.InUse"),
    ],
)
def test_an_address_that_cannot_be_given_is_refused(here, address, code):
    create(here, PrivateIpAddress="10.0.2.9")
    assert (
        here.view.refusal("CreateNetworkInterface", SubnetId=here.wide.id, PrivateIpAddress=address) == code
    )


def test_secondary_addresses_come_by_list_or_by_count(here):
    listed = create(
        here,
        PrivateIpAddresses=[
            {"PrivateIpAddress": "10.0.2.20", "Primary": False},
            {"PrivateIpAddress": "10.0.2.10", "Primary": True},
        ],
    )
    assert addresses(listed) == ["10.0.2.10", "10.0.2.20"]
    assert len(set(addresses(create(here, SecondaryPrivateIpAddressCount=3)))) == 4


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"SecondaryPrivateIpAddressCount": -1}, "InvalidParameterValue"),
        ({"SecondaryPrivateIpAddressCount": 50}, "PrivateIpAddressLimitExceeded"),
        ({"PrivateIpAddresses": [{"Primary": True}]}, "MissingParameter"),
        (
            {
                "PrivateIpAddress": "10.0.2.9",
                "PrivateIpAddresses": [{"Primary": True, "PrivateIpAddress": "10.0.2.8"}],
            },
            "InvalidParameterCombination",
        ),
        (
            {"SecondaryPrivateIpAddressCount": 1, "PrivateIpAddresses": [{"PrivateIpAddress": "10.0.2.8"}]},
            "InvalidParameterCombination",
        ),
        (
            {"PrivateIpAddresses": [{"PrivateIpAddress": f"10.0.2.{n}", "Primary": True} for n in (8, 9)]},
            "InvalidParameterValue",
        ),
        ({"PrivateIpAddresses": [{"PrivateIpAddress": "10.0.2.8"}] * 2}, "InvalidIPAddress.InUse"),
        ({"SubnetId": "subnet-0123456789abcdef0"}, "InvalidSubnetID.NotFound"),
        ({"SubnetId": "nonsense"}, "InvalidSubnetID.Malformed"),
        ({"Groups": ["sg-0123456789abcdef0"]}, "InvalidGroup.NotFound"),
        ({"Ipv6AddressCount": 1}, "InvalidParameterValue"),
        ({"Ipv4Prefixes": [{"Ipv4Prefix": "10.0.2.0/28"}]}, "InvalidParameterValue"),
        ({"InterfaceType": "efa"}, "UnsupportedOperation"),
    ],
)
def test_what_a_new_interface_cannot_have_is_refused(here, parameters, code):
    assert here.view.refusal("CreateNetworkInterface", **{"SubnetId": here.wide.id, **parameters}) == code


def test_a_parameter_that_asks_for_nothing_is_no_reason_to_refuse(here):
    create(here, Ipv6AddressCount=0, Groups=[], EnablePrimaryIpv6=False, Ipv4PrefixCount=0)


def test_more_interfaces_than_the_quota_are_refused(here):
    here.view.quotas = Quotas(network_interfaces=1)
    create(here)
    assert (
        here.view.refusal("CreateNetworkInterface", SubnetId=here.wide.id) == "NetworkInterfaceLimitExceeded"
    )


def test_a_deleted_interface_gives_its_addresses_back_at_once(here):
    made = create(here, PrivateIpAddress="10.0.2.9")
    here.view.call("DeleteNetworkInterface", NetworkInterfaceId=made["NetworkInterfaceId"])
    assert SubnetAddresses(here.wide, here.view.held_addresses(here.wide.id)).free == 251
    create(here, PrivateIpAddress="10.0.2.9")
    again = here.view.refusal("DeleteNetworkInterface", NetworkInterfaceId=made["NetworkInterfaceId"])
    assert again == "InvalidNetworkInterfaceID.NotFound"


def test_an_attached_interface_is_not_deleted(here):
    interface = launched_interface(here)
    code = here.view.refusal("DeleteNetworkInterface", NetworkInterfaceId=interface["NetworkInterfaceId"])
    assert code == "InvalidParameterValue"


def test_the_first_interface_is_never_detached(here):
    interface = launched_interface(here)
    attachment = interface["Attachment"]["AttachmentId"]
    refusal = here.view.refusal
    assert refusal("DetachNetworkInterface", AttachmentId=attachment) == "OperationNotPermitted"
    unknown = "eni-attach-0123456789abcdef0"
    assert refusal("DetachNetworkInterface", AttachmentId=unknown) == "InvalidAttachmentID.NotFound"
    code = refusal("DetachNetworkInterface", AttachmentId="eni-1")
    assert code == "InvalidNetworkInterfaceAttachmentId.Malformed"


def running_instance(here):
    instance = describe(here, launched_interface(here))["Attachment"]["InstanceId"]
    here.view.report(instance, "running")
    return instance


def plugged(here):
    """(an instance that runs, a second interface of it, the attachment) once its host has plugged that in."""
    instance, spare = running_instance(here), create(here)
    attach = {"NetworkInterfaceId": spare["NetworkInterfaceId"], "InstanceId": instance, "DeviceIndex": 1}
    attachment = here.view.call("AttachNetworkInterface", **attach)["AttachmentId"]
    here.view.report(instance, "running")
    return instance, spare, attachment


def attachment_status(here, interface):
    shape = describe(here, interface).get("Attachment")
    return shape and shape["Status"]


def instance_state(here, instance):
    answer = here.view.call("DescribeInstances", InstanceIds=[instance])
    return answer["Reservations"][0]["Instances"][0]["State"]["Name"]


def test_an_interface_is_attached_when_its_host_says_so_and_every_host_knows_where_it_lives(here):
    instance, spare = running_instance(here), create(here)
    here.view.live = here.view.revision
    attach = {"NetworkInterfaceId": spare["NetworkInterfaceId"], "InstanceId": instance, "DeviceIndex": 1}
    here.view.call("AttachNetworkInterface", **attach)
    assert attachment_status(here, spare) == "attaching"
    assert describe(here, spare)["Status"] == "in-use"
    here.view.report(instance, "running")
    assert attachment_status(here, spare) == "attaching"
    assert instance_state(here, instance) == "running"
    here.view.live = here.view.revision
    assert attachment_status(here, spare) == "attached"
    tag = {"Resources": [spare["NetworkInterfaceId"]], "Tags": [{"Key": "Name", "Value": "data"}]}
    here.view.call("CreateTags", **tag)
    assert attachment_status(here, spare) == "attached"


def test_a_detached_interface_is_available_when_its_host_has_unplugged_it_and_no_host_leads_to_it(here):
    instance, spare, attachment = plugged(here)
    eni = spare["NetworkInterfaceId"]
    here.view.live = here.view.revision
    here.view.call("DetachNetworkInterface", AttachmentId=attachment)
    again = {"NetworkInterfaceId": eni, "InstanceId": instance, "DeviceIndex": 1}
    for word, live in ((None, 0), ([], 0), (None, 1), ([], 1)):
        assert attachment_status(here, spare) == "detaching"
        assert here.view.refusal("AttachNetworkInterface", **again) == "InvalidNetworkInterface.InUse"
        assert here.view.refusal("DeleteNetworkInterface", NetworkInterfaceId=eni) == "InvalidParameterValue"
        first = here.view.get(Instance, instance).interface_ids[0]
        here.view.report(instance, "running", interfaces=[first, *([eni] if word is None else word)])
        here.view.live = here.view.revision - 1 + live
        here.view.apply(housekeeping(here.view, here.view.now))
    assert describe(here, spare) == spare
    assert len(here.view.get(Instance, instance).interface_ids) == 1
    here.view.call("AttachNetworkInterface", **again)


def test_a_forced_detachment_does_not_wait_for_the_host(here):
    instance, spare, attachment = plugged(here)
    here.view.call("DetachNetworkInterface", AttachmentId=attachment, Force=True)
    assert describe(here, spare) == spare
    assert len(here.view.get(Instance, instance).interface_ids) == 1


def test_an_interface_that_is_being_detached_ends_with_its_instance(here):
    instance, spare, attachment = plugged(here)
    here.view.call("DetachNetworkInterface", AttachmentId=attachment)
    here.view.call("StopInstances", InstanceIds=[instance])
    here.view.report(instance, "stopped")
    here.view.apply(housekeeping(here.view, here.view.now))
    assert describe(here, spare) == spare


@pytest.mark.parametrize("kept", [True, False])
def test_termination_frees_a_hot_plugged_interface_unless_it_was_told_otherwise(here, kept):
    instance, spare, attachment = plugged(here)
    change = {"AttachmentId": attachment, "DeleteOnTermination": not kept}
    eni = spare["NetworkInterfaceId"]
    here.view.call("ModifyNetworkInterfaceAttribute", NetworkInterfaceId=eni, Attachment=change)
    here.view.call("TerminateInstances", InstanceIds=[instance])
    found = here.view.get(NetworkInterface, eni)
    assert found.attachment is None if kept else found is None


def test_a_reboot_does_not_change_what_is_attached(here):
    instance, spare, _ = plugged(here)
    here.view.call("RebootInstances", InstanceIds=[instance])
    assert attachment_status(here, spare) == "attached"
    here.view.report(instance, "running", boot=2)
    assert attachment_status(here, spare) == "attached"


def test_nothing_is_plugged_while_an_instance_is_on_its_way(here):
    pending = describe(here, launched_interface(here))["Attachment"]["InstanceId"]
    spare = create(here)["NetworkInterfaceId"]
    attach = {"NetworkInterfaceId": spare, "InstanceId": pending, "DeviceIndex": 1}
    assert here.view.refusal("AttachNetworkInterface", **attach) == "IncorrectState"


def stopped_instance(here):
    instance = describe(here, launched_interface(here))["Attachment"]["InstanceId"]
    here.view.report(instance, "running")
    here.view.call("StopInstances", InstanceIds=[instance])
    here.view.report(instance, "stopped")
    return instance


def test_an_interface_is_attached_to_and_detached_from_a_stopped_instance(here):
    instance = stopped_instance(here)
    spare = create(here)
    name = spare["NetworkInterfaceId"]
    attach = {"NetworkInterfaceId": name, "InstanceId": instance, "DeviceIndex": 1}
    attachment = here.view.call("AttachNetworkInterface", **attach)["AttachmentId"]
    held = describe(here, spare)
    assert held["Status"] == "in-use"
    assert held["Attachment"]["DeleteOnTermination"] is False
    assert here.view.get(NetworkInterface, name).attachment.host == "host-1"
    assert here.view.get(Instance, instance).interface_ids[1] == name
    assert here.view.refusal("AttachNetworkInterface", **attach) == "InvalidNetworkInterface.InUse"
    here.view.call("DetachNetworkInterface", AttachmentId=attachment)
    assert describe(here, spare) == spare
    assert len(here.view.get(Instance, instance).interface_ids) == 1


def test_an_interface_that_does_not_fit_is_not_attached(here):
    instance = stopped_instance(here)
    elsewhere = here.view.make_subnet(here.vpc, "10.0.3.0/24", zone="us-east-1b")

    def refusal(device_index, **parameters):
        spare = create(here, **parameters)["NetworkInterfaceId"]
        request = {"NetworkInterfaceId": spare, "InstanceId": instance, "DeviceIndex": device_index}
        return here.view.refusal("AttachNetworkInterface", **request)

    assert refusal(0) == "InvalidParameterValue"
    assert refusal(-1) == "InvalidParameterValue"
    assert refusal(1, SubnetId=elsewhere.id) == "InvalidParameterCombination"
    assert refusal(1, SecondaryPrivateIpAddressCount=2) == "PrivateIpAddressLimitExceeded"
    spare = create(here)["NetworkInterfaceId"]
    here.view.call("AttachNetworkInterface", NetworkInterfaceId=spare, InstanceId=instance, DeviceIndex=5)
    assert refusal(1) == "AttachmentLimitExceeded"
    here.view.call("TerminateInstances", InstanceIds=[instance])
    assert here.view.get(NetworkInterface, spare).attachment is None
    assert refusal(1) == "IncorrectState"


def test_each_attribute_is_modified_described_and_reset_alone(here):
    made = create(here)
    name = {"NetworkInterfaceId": made["NetworkInterfaceId"]}
    here.view.call("ModifyNetworkInterfaceAttribute", **name, Description={"Value": "second"})
    here.view.call("ModifyNetworkInterfaceAttribute", **name, SourceDestCheck={"Value": False})

    def attribute(which):
        return here.view.call("DescribeNetworkInterfaceAttribute", **name, Attribute=which)

    assert attribute("description") == {**name, "Description": {"Value": "second"}}
    assert attribute("sourceDestCheck") == {**name, "SourceDestCheck": {"Value": False}}
    assert attribute("attachment") == name
    assert attribute("groupSet") == {**name, "Groups": [identifier(here.default)]}
    here.view.call("ResetNetworkInterfaceAttribute", **name, SourceDestCheck="true")
    assert describe(here, made) == {**made, "Description": "second"}


def test_delete_on_termination_belongs_to_the_attachment(here):
    interface = launched_interface(here)
    name = {"NetworkInterfaceId": interface["NetworkInterfaceId"]}
    change = {"AttachmentId": interface["Attachment"]["AttachmentId"], "DeleteOnTermination": False}
    here.view.call("ModifyNetworkInterfaceAttribute", **name, Attachment=change)
    assert describe(here, interface)["Attachment"]["DeleteOnTermination"] is False
    wrong = {**change, "AttachmentId": "eni-attach-0123456789abcdef0"}
    code = here.view.refusal("ModifyNetworkInterfaceAttribute", **name, Attachment=wrong)
    assert code == "InvalidAttachmentID.NotFound"


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({}, "MissingParameter"),
        ({"Description": {"Value": "x"}, "SourceDestCheck": {"Value": True}}, "InvalidParameterCombination"),
        ({"Groups": ["sg-0123456789abcdef0"]}, "InvalidGroup.NotFound"),
        ({"SourceDestCheck": {}}, "MissingParameter"),
        ({"Attachment": {"EnaQueueCount": 2}}, "UnsupportedOperation"),
        ({"Attachment": {"DeleteOnTermination": True}}, "MissingParameter"),
    ],
)
def test_a_modification_that_says_too_much_or_too_little_is_refused(here, parameters, code):
    name = create(here)["NetworkInterfaceId"]
    assert here.view.refusal("ModifyNetworkInterfaceAttribute", NetworkInterfaceId=name, **parameters) == code


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("subnet-id", "{subnet}", True),
        ("vpc-id", "{vpc}", True),
        ("private-ip-address", "10.0.2.9", True),
        ("addresses.private-ip-address", "10.0.2.1?", True),
        ("addresses.primary", "false", True),
        ("description", "a *", True),
        ("status", "available", True),
        ("status", "in-use", False),
        ("group-id", "*", True),
        ("attachment.instance-owner-id", "*", False),
        ("attachment.attach-time", "*", False),
        ("mac-address", "02:*", True),
        ("availability-zone-id", "use1-az1", True),
        ("private-dns-name", "ip-10-0-2-9.ec2.internal", True),
        ("tag:Name", "*", False),
    ],
)
def test_filters_find_interfaces(here, name, value, found):
    made = create(
        here,
        Description="a filtered one",
        PrivateIpAddresses=[
            {"PrivateIpAddress": "10.0.2.9", "Primary": True},
            {"PrivateIpAddress": "10.0.2.10"},
        ],
    )
    value = value.format(subnet=here.wide.id, vpc=here.vpc.id)
    answer = here.view.call("DescribeNetworkInterfaces", Filters=[{"Name": name, "Values": [value]}])
    assert answer["NetworkInterfaces"] == ([made] if found else [])


def test_the_filters_of_an_attached_interface_see_its_attachment(here):
    interface = launched_interface(here)
    for name, value in (
        ("attachment.attachment-id", interface["Attachment"]["AttachmentId"]),
        ("attachment.status", "attaching"),
        ("attachment.device-index", "0"),
        ("attachment.delete-on-termination", "true"),
        ("attachment.instance-owner-id", "123456789012"),
        ("attachment.attach-time", "2027-01-15T08:00:00.000Z"),
    ):
        answer = here.view.call("DescribeNetworkInterfaces", Filters=[{"Name": name, "Values": [value]}])
        assert [each["NetworkInterfaceId"] for each in answer["NetworkInterfaces"]] == [
            interface["NetworkInterfaceId"]
        ], name


def test_every_interface_of_the_view_is_described_once(here):
    made = [create(here) for _ in range(3)]
    assert here.view.call("DescribeNetworkInterfaces")["NetworkInterfaces"] == made
    assert len(here.view.all(NetworkInterface)) == 3
