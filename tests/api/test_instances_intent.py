"""From a call to what a host must hold: the API's writes, read by the intent's pure functions.

boto3 --> front, handlers --> MemoryStore --> host_intent(state, host)
"""

from __future__ import annotations

import pytest

from rookery.api.handlers.image_catalogue import NAMESPACE_IMAGE
from rookery.intent.state import State
from rookery.intent.whole import host_intent
from rookery.model.codec import encode
from rookery.model.keys import instance_status_key
from rookery.model.objects import InstanceStatus

HOSTS = ("host-1", "host-2", "host-3", "host-4")


@pytest.fixture
def subnet(ec2):
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    return ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]


def intents(api):
    found = api.run(api.store.range(""))
    state = State(found.entries, found.revision, 1500)
    return {host: host_intent(state, host) for host in HOSTS}


def intended(api, name):
    """What the one host that holds the instance must do with it."""
    (instance,) = [each.instances[name] for each in intents(api).values() if name in each.instances]
    return instance


def mapped(api):
    """Address -> (substrate address of its host, generation), as all hosts that hold the VPC are told."""
    told = [
        {address: (row.host, row.generation) for (_, address), row in each.mappings.items()}
        for each in intents(api).values()
        if each.mappings
    ]
    assert all(each == told[0] for each in told)
    return told[0] if told else {}


def report(api, name, state, boot=1):
    """The host has done so, and every host knows."""
    status = InstanceStatus(id=name, state=state, boot=boot)
    api.hosts_have_applied(api.run(api.store.txn([], {instance_status_key(name): encode(status)})))


def run(ec2, **parameters):
    answer = ec2.run_instances(ImageId=NAMESPACE_IMAGE.id, MinCount=1, MaxCount=1, **parameters)
    return answer["Instances"][0]["InstanceId"]


def test_a_launch_reaches_its_host_with_every_interface_and_address(api, ec2, subnet):
    spare = ec2.create_network_interface(
        SubnetId=subnet,
        PrivateIpAddresses=[
            {"PrivateIpAddress": "10.0.1.20", "Primary": True},
            {"PrivateIpAddress": "10.0.1.21"},
        ],
    )["NetworkInterface"]["NetworkInterfaceId"]
    name = run(
        ec2,
        UserData="true",
        NetworkInterfaces=[
            {"DeviceIndex": 1, "NetworkInterfaceId": spare},
            {"DeviceIndex": 0, "SubnetId": subnet, "PrivateIpAddress": "10.0.1.10"},
        ],
    )
    instance = intended(api, name)
    assert (instance.wanted, instance.boot, instance.hostname) == ("running", 1, "ip-10-0-1-10")
    assert [each.addresses for each in instance.interfaces] == [("10.0.1.10",), ("10.0.1.20", "10.0.1.21")]
    assert set(mapped(api)) == {"10.0.1.10", "10.0.1.20", "10.0.1.21"}


def test_stopping_unmaps_and_starting_maps_anew_with_a_newer_generation(api, ec2, subnet):
    name = run(ec2, SubnetId=subnet, PrivateIpAddress="10.0.1.10")
    report(api, name, "running")
    before = mapped(api)["10.0.1.10"]
    ec2.stop_instances(InstanceIds=[name])
    assert mapped(api) == {}
    assert intended(api, name).wanted == "stopped"
    report(api, name, "stopped")
    ec2.start_instances(InstanceIds=[name])
    after = mapped(api)["10.0.1.10"]
    assert after[0] == before[0]
    assert after[1] > before[1]
    assert intended(api, name).boot == 2


def test_terminating_unmaps_at_once_and_the_host_is_told_to_end_it(api, ec2, subnet):
    name = run(ec2, SubnetId=subnet, PrivateIpAddress="10.0.1.10")
    ec2.terminate_instances(InstanceIds=[name])
    assert mapped(api) == {}
    assert (intended(api, name).wanted, intended(api, name).interfaces) == ("terminated", ())


def test_a_reused_address_belongs_to_the_new_instance_alone(api, ec2, subnet):
    old = run(ec2, SubnetId=subnet, PrivateIpAddress="10.0.1.10")
    ec2.terminate_instances(InstanceIds=[old])
    new = run(ec2, SubnetId=subnet, PrivateIpAddress="10.0.1.10")
    holders = [
        instance.id
        for each in intents(api).values()
        for instance in each.instances.values()
        if any("10.0.1.10" in interface.addresses for interface in instance.interfaces)
    ]
    assert holders == [new]


def test_a_reassigned_address_is_mapped_to_its_new_holder(api, ec2, subnet):
    names = [run(ec2, SubnetId=subnet, PrivateIpAddress=own) for own in ("10.0.1.10", "10.0.1.11")]
    first, second = (intended(api, name).interfaces[0] for name in names)
    ec2.assign_private_ip_addresses(NetworkInterfaceId=first.id, PrivateIpAddresses=["10.0.1.99"])
    ec2.assign_private_ip_addresses(
        NetworkInterfaceId=second.id, PrivateIpAddresses=["10.0.1.99"], AllowReassignment=True
    )
    assert intended(api, names[0]).interfaces[0].addresses == (first.primary,)
    assert intended(api, names[1]).interfaces[0].addresses == (second.primary, "10.0.1.99")
    assert mapped(api)["10.0.1.99"] == mapped(api)[second.primary]


def test_the_source_check_that_is_switched_off_reaches_the_host(api, ec2, subnet):
    name = run(ec2, SubnetId=subnet)
    ec2.modify_instance_attribute(InstanceId=name, SourceDestCheck={"Value": False})
    assert intended(api, name).interfaces[0].source_dest_check is False


def test_an_interface_attached_while_stopped_is_part_of_the_next_boot(api, ec2, subnet):
    name = run(ec2, SubnetId=subnet)
    report(api, name, "running")
    ec2.stop_instances(InstanceIds=[name])
    report(api, name, "stopped")
    spare = ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
    ec2.attach_network_interface(NetworkInterfaceId=spare, InstanceId=name, DeviceIndex=1)
    ec2.start_instances(InstanceIds=[name])
    assert [each.device_index for each in intended(api, name).interfaces] == [0, 1]
    assert len(mapped(api)) == 2
