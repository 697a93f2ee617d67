"""Security groups and idle timeouts of interfaces and instances (behaviour/02: T2-12, T2-16).

VPC 10.0.0.0/16 with groups default, web and data: subnet a 10.0.1.0/24      VPC 10.9.0.0/16 with group elsewhere
"""

from __future__ import annotations

import pytest

from rookery.model.codec import encode
from rookery.model.keys import key_of
from rookery.model.objects import NetworkInterface, SecurityGroup
from rookery.testing.invariants import broken
from rookery.testing.small_view import ACCOUNT, REGION
from tests.api.group_scene import default_group, group, identifier
from tests.api.instance_scene import account, described, launch, refusal, running, spare_interface

UNKNOWN = "sg-0123456789abcdef0"


@pytest.fixture
def here():
    scene = account()
    scene.default = default_group(scene.view, scene.vpc)
    scene.web = group(scene.view, scene.vpc, "web")
    scene.data = group(scene.view, scene.vpc, "data")
    scene.elsewhere = group(scene.view, scene.view.make_vpc("10.9.0.0/16"), "elsewhere")
    return scene


def create(here, **parameters):
    made = here.view.call("CreateNetworkInterface", SubnetId=here.a.id, **parameters)
    return made["NetworkInterface"]


def described_interface(here, interface_id):
    answer = here.view.call("DescribeNetworkInterfaces", NetworkInterfaceIds=[interface_id])
    return answer["NetworkInterfaces"][0]


def filtered(here, operation, member, name, value):
    answer = here.view.call(operation, Filters=[{"Name": name, "Values": [value]}])
    return answer[member]


# ---------------------------------------------------------------------------------------------------------- interfaces


def test_an_interface_without_groups_gets_the_default_one_of_its_vpc(here):
    assert create(here)["Groups"] == [identifier(here.default)]


def test_an_interface_has_the_groups_it_is_given_each_once_in_the_order_given(here):
    made = create(here, Groups=[here.web.id, here.data.id, here.web.id])
    assert made["Groups"] == [identifier(here.web), identifier(here.data)]
    assert described_interface(here, made["NetworkInterfaceId"]) == made


def test_groups_of_a_living_interface_are_replaced_at_once(here):
    instance = running(here)
    interface = described(here, instance)["NetworkInterfaces"][0]["NetworkInterfaceId"]
    here.view.call(
        "ModifyNetworkInterfaceAttribute", NetworkInterfaceId=interface, Groups=[here.data.id, here.web.id]
    )
    assert here.view.get(NetworkInterface, interface).groups == (here.data.id, here.web.id)
    shown = described(here, instance)
    assert shown["SecurityGroups"] == [identifier(here.data), identifier(here.web)]
    assert shown["NetworkInterfaces"][0]["Groups"] == shown["SecurityGroups"]
    answer = here.view.call(
        "DescribeNetworkInterfaceAttribute", NetworkInterfaceId=interface, Attribute="groupSet"
    )
    assert answer == {"NetworkInterfaceId": interface, "Groups": shown["SecurityGroups"]}


def test_groups_that_cannot_be_are_refused_everywhere_alike(here):
    many = [group(here.view, here.vpc, f"many-{n}").id for n in range(6)]
    spare = spare_interface(here)
    instance = running(here)
    asked = {
        "InvalidGroup.NotFound": [UNKNOWN],
        "InvalidGroupId.Malformed": ["sg-1"],
        "InvalidParameter": [here.web.id, here.elsewhere.id],
        "SecurityGroupsPerInterfaceLimitExceeded": many,
    }
    for code, groups in asked.items():
        refused = here.view.refusal
        assert refused("CreateNetworkInterface", SubnetId=here.a.id, Groups=groups) == code
        assert refused("ModifyNetworkInterfaceAttribute", NetworkInterfaceId=spare, Groups=groups) == code
        assert refused("ModifyInstanceAttribute", InstanceId=instance, Groups=groups) == code
        assert refusal(here, SecurityGroupIds=groups) == code
        specification = {"DeviceIndex": 0, "SubnetId": here.a.id, "Groups": groups}
        assert refusal(here, NetworkInterfaces=[specification]) == code
    assert len(create(here, Groups=many[:5])["Groups"]) == 5


def test_an_interface_is_never_without_groups(here):
    spare = spare_interface(here)
    code = here.view.refusal("ModifyNetworkInterfaceAttribute", NetworkInterfaceId=spare, Groups=[])
    assert code == "MissingParameter"


def test_interfaces_are_found_by_their_groups(here):
    made = create(here, Groups=[here.web.id])
    create(here, Groups=[here.data.id])
    for name, value in (("group-id", here.web.id), ("group-name", "w?b")):
        assert filtered(here, "DescribeNetworkInterfaces", "NetworkInterfaces", name, value) == [made]


# ----------------------------------------------------------------------------------------------------------- instances


def test_a_launch_without_groups_gets_the_default_one_of_its_vpc(here):
    assert launch(here)[0]["SecurityGroups"] == [identifier(here.default)]


def test_a_launch_gives_its_groups_to_the_first_interface(here):
    instance = launch(here, SecurityGroupIds=[here.web.id, here.data.id])[0]
    assert instance["SecurityGroups"] == [identifier(here.web), identifier(here.data)]
    assert instance["NetworkInterfaces"][0]["Groups"] == instance["SecurityGroups"]


def test_a_launch_names_groups_in_the_default_vpc_only(here):
    home = here.view.make_vpc("172.31.0.0/16", is_default=True)
    here.view.make_subnet(home, "172.31.0.0/20", default=True)
    named = group(here.view, home, "named")
    launched = here.view.call(
        "RunInstances", ImageId=described_image(here), MinCount=1, MaxCount=1, SecurityGroups=["named"]
    )["Instances"][0]
    assert launched["SecurityGroups"] == [identifier(named)]
    assert refusal(here, SecurityGroups=["named"]) == "InvalidParameterCombination"  # with a subnet
    code = here.view.refusal(
        "RunInstances", ImageId=described_image(here), MinCount=1, MaxCount=1, SecurityGroups=["web"]
    )
    assert code == "InvalidGroup.NotFound"


def described_image(here):
    return here.view.call("DescribeImages")["Images"][0]["ImageId"]


def test_each_interface_of_a_launch_has_groups_of_its_own(here):
    specifications = [
        {"DeviceIndex": 0, "SubnetId": here.a.id, "Groups": [here.web.id]},
        {"DeviceIndex": 1, "SubnetId": here.a.id, "Groups": [here.data.id]},
    ]
    instance = launch(here, NetworkInterfaces=specifications)[0]
    assert [each["Groups"] for each in instance["NetworkInterfaces"]] == [
        [identifier(here.web)],
        [identifier(here.data)],
    ]
    assert instance["SecurityGroups"] == [identifier(here.web)]
    code = here.view.refusal(
        "ModifyInstanceAttribute", InstanceId=instance["InstanceId"], Groups=[here.web.id]
    )
    assert code == "InvalidInstanceID"


@pytest.mark.parametrize("level", ["SecurityGroupIds", "SecurityGroups"])
def test_groups_of_the_launch_and_interfaces_exclude_each_other(here, level):
    specification = {"DeviceIndex": 0, "SubnetId": here.a.id}
    code = refusal(here, NetworkInterfaces=[specification], **{level: [here.web.id]})
    assert code == "InvalidParameterCombination"


def test_an_existing_interface_keeps_its_groups(here):
    specification = {"DeviceIndex": 0, "NetworkInterfaceId": spare_interface(here)}
    code = refusal(here, NetworkInterfaces=[{**specification, "Groups": [here.web.id]}])
    assert code == "InvalidParameterCombination"
    instance = launch(here, NetworkInterfaces=[specification])[0]
    assert instance["SecurityGroups"] == [identifier(here.default)]


def test_groups_of_an_instance_are_those_of_its_only_interface(here):
    instance = running(here)
    here.view.call("ModifyInstanceAttribute", InstanceId=instance, Groups=[here.data.id])
    answer = here.view.call("DescribeInstanceAttribute", InstanceId=instance, Attribute="groupSet")
    assert answer == {"InstanceId": instance, "Groups": [identifier(here.data)]}
    assert described(here, instance)["NetworkInterfaces"][0]["Groups"] == [identifier(here.data)]


def test_a_terminated_instance_has_no_groups(here):
    instance = running(here, SecurityGroupIds=[here.web.id])
    here.view.call("TerminateInstances", InstanceIds=[instance])
    assert described(here, instance)["SecurityGroups"] == []
    answer = here.view.call("DescribeInstanceAttribute", InstanceId=instance, Attribute="groupSet")
    assert answer["Groups"] == []


def test_instances_are_found_by_the_groups_of_their_interfaces(here):
    specifications = [
        {"DeviceIndex": 0, "SubnetId": here.a.id, "Groups": [here.web.id]},
        {"DeviceIndex": 1, "SubnetId": here.a.id, "Groups": [here.data.id]},
    ]
    launch(here, NetworkInterfaces=specifications)
    launch(here)

    def found(name, value):
        return len(filtered(here, "DescribeInstances", "Reservations", name, value))

    for name in ("group-id", "instance.group-id"):
        assert (found(name, here.web.id), found(name, here.data.id)) == (1, 0)
    for name in ("group-name", "instance.group-name"):
        assert (found(name, "web"), found(name, "data")) == (1, 0)
    assert found("network-interface.group-id", here.data.id) == 1
    assert found("network-interface.group-name", "d*") == 2  # data and default


# ------------------------------------------------------------------------------------------------------------ timeouts

CHOSEN = {"TcpEstablishedTimeout": 60, "UdpTimeout": 45, "UdpStreamTimeout": 120}


def test_timeouts_are_stored_and_shown_once_somebody_has_chosen_them(here):
    assert "ConnectionTrackingConfiguration" not in create(here)
    made = create(here, ConnectionTrackingSpecification=CHOSEN)
    assert made["ConnectionTrackingConfiguration"] == CHOSEN
    specification = {
        "DeviceIndex": 0,
        "SubnetId": here.a.id,
        "ConnectionTrackingSpecification": {"TcpEstablishedTimeout": 60},
    }
    instance = launch(here, NetworkInterfaces=[specification])[0]
    assert instance["NetworkInterfaces"][0]["ConnectionTrackingConfiguration"] == {
        "TcpEstablishedTimeout": 60,
        "UdpTimeout": 30,
        "UdpStreamTimeout": 180,
    }


def test_a_timeout_that_is_not_asked_for_stays(here):
    made = create(here, ConnectionTrackingSpecification=CHOSEN)["NetworkInterfaceId"]
    here.view.call(
        "ModifyNetworkInterfaceAttribute",
        NetworkInterfaceId=made,
        ConnectionTrackingSpecification={"UdpTimeout": 60},
    )
    shown = described_interface(here, made)["ConnectionTrackingConfiguration"]
    assert shown == {**CHOSEN, "UdpTimeout": 60}


@pytest.mark.parametrize(
    ("member", "least", "most"),
    [("TcpEstablishedTimeout", 60, 432_000), ("UdpTimeout", 30, 60), ("UdpStreamTimeout", 60, 180)],
)
def test_a_timeout_has_its_range(here, member, least, most):
    spare = spare_interface(here)

    def modify(seconds):
        return {"NetworkInterfaceId": spare, "ConnectionTrackingSpecification": {member: seconds}}

    for seconds in (0, least - 1, most + 1, -1):
        code = here.view.refusal("ModifyNetworkInterfaceAttribute", **modify(seconds))
        assert code == "InvalidParameterValue"
    for seconds in (least, most):
        here.view.call("ModifyNetworkInterfaceAttribute", **modify(seconds))


# ---------------------------------------------------------------------------------------------------------- over the wire


def stored_group(api, number, vpc_id, name):
    made = SecurityGroup(
        account=ACCOUNT,
        region=REGION,
        id=f"sg-{number:017x}",
        vpc_id=vpc_id,
        name=name,
        description=name,
    )
    api.run(api.store.txn([], {key_of(made): encode(made)}))
    return made


def test_boto3_gives_groups_and_reads_them_back(api, ec2):
    vpc_id = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet_id = ec2.create_subnet(VpcId=vpc_id, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    web, data = (stored_group(api, n, vpc_id, name) for n, name in ((1, "web"), (2, "data")))
    image = ec2.describe_images()["Images"][0]["ImageId"]
    (instance,) = ec2.run_instances(
        ImageId=image, MinCount=1, MaxCount=1, SubnetId=subnet_id, SecurityGroupIds=[web.id, data.id]
    )["Instances"]
    assert instance["SecurityGroups"] == [identifier(web), identifier(data)]
    interface_id = instance["NetworkInterfaces"][0]["NetworkInterfaceId"]
    ec2.modify_network_interface_attribute(NetworkInterfaceId=interface_id, Groups=[data.id])
    ec2.modify_network_interface_attribute(
        NetworkInterfaceId=interface_id, ConnectionTrackingSpecification={"UdpTimeout": 60}
    )
    (interface,) = ec2.describe_network_interfaces(Filters=[{"Name": "group-name", "Values": ["data"]}])[
        "NetworkInterfaces"
    ]
    assert interface["NetworkInterfaceId"] == interface_id
    assert interface["Groups"] == [identifier(data)]
    assert interface["ConnectionTrackingConfiguration"]["UdpTimeout"] == 60
    ec2.modify_instance_attribute(InstanceId=instance["InstanceId"], Groups=[web.id])
    answer = ec2.describe_instance_attribute(InstanceId=instance["InstanceId"], Attribute="groupSet")
    assert answer["Groups"] == [identifier(web)]
    made = ec2.create_network_interface(SubnetId=subnet_id, Groups=[data.id])["NetworkInterface"]
    assert made["Groups"] == [identifier(data)]
    assert broken(api.run(api.store.range("")).entries) == []
