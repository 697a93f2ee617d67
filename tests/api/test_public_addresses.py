"""Public addresses that instances get by themselves, pure (behaviour/02: T2-09, T2-15; behaviour/05.2). See edge_scene.py."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from rookery.api.handlers.housekeeping import housekeeping
from rookery.model.objects import AddressPool, NetworkInterface
from tests.api.edge_scene import allocate, associate, held, interface_of, now, public_account
from tests.api.instance_scene import described, launch, refusal, running, spare_interface


@pytest.fixture
def here():
    return public_account()


def public(here, **more):
    """A launch's one interface, which asks for a public address."""
    return [{"DeviceIndex": 0, "SubnetId": here.a.id, "AssociatePublicIpAddress": True, **more}]


def address_of(here, instance):
    return described(here, instance).get("PublicIpAddress", "")


def stop(here, instance, boot=1):
    here.view.call("StopInstances", InstanceIds=[instance])
    here.view.report(instance, "stopped", boot)


def start(here, instance, boot=2):
    here.view.call("StartInstances", InstanceIds=[instance])
    here.view.report(instance, "running", boot)


def map_on_launch(here):
    asked = {"SubnetId": here.a.id, "MapPublicIpOnLaunch": {"Value": True}}
    here.view.call("ModifySubnetAttribute", **asked)


def test_an_instance_that_asks_for_it_has_a_public_address_of_the_pool(here):
    instance = running(here, NetworkInterfaces=public(here))
    found = address_of(here, instance)
    assert found.startswith("198.18.0.")
    (interface,) = described(here, instance)["NetworkInterfaces"]
    association = {"IpOwnerId": "amazon", "PublicDnsName": "", "PublicIp": found}
    assert interface["Association"] == association
    assert interface["PrivateIpAddresses"][0]["Association"] == association
    (shown,) = here.view.call("DescribeNetworkInterfaces")["NetworkInterfaces"]
    assert shown["Association"] == association
    by_address = [{"Name": "ip-address", "Values": [found]}]
    assert here.view.call("DescribeInstances", Filters=by_address)["Reservations"]
    owned = [{"Name": "association.ip-owner-id", "Values": ["amazon"]}]
    assert len(here.view.call("DescribeNetworkInterfaces", Filters=owned)["NetworkInterfaces"]) == 1


def test_the_subnet_says_so_where_the_request_says_nothing(here):
    assert address_of(here, running(here)) == ""
    map_on_launch(here)
    assert address_of(here, running(here))
    assert address_of(here, running(here, NetworkInterfaces=public(here, AssociatePublicIpAddress=None)))
    assert address_of(here, running(here, NetworkInterfaces=public(here, AssociatePublicIpAddress=False))) == ""


def test_only_a_new_interface_that_is_the_only_one_gets_it(here):
    map_on_launch(here)
    two = [{"DeviceIndex": n, "SubnetId": here.a.id} for n in (0, 1)]
    assert address_of(here, running(here, NetworkInterfaces=two)) == ""
    one = [{"DeviceIndex": 0, "NetworkInterfaceId": spare_interface(here)}]
    assert address_of(here, running(here, NetworkInterfaces=one)) == ""
    insisted = [{**two[0], "AssociatePublicIpAddress": True}, two[1]]
    assert refusal(here, NetworkInterfaces=insisted) == "InvalidParameterCombination"


def test_all_instances_of_a_launch_have_addresses_of_their_own(here):
    map_on_launch(here)
    found = launch(here, MinCount=5, MaxCount=5)
    assert len({one["PublicIpAddress"] for one in found}) == 5


def test_a_launch_is_as_large_as_the_free_public_addresses_allow():
    here = public_account("198.18.0.0/30")
    map_on_launch(here)
    assert len(launch(here, MinCount=1, MaxCount=5)) == 2
    assert refusal(here) == "InsufficientAddressCapacity"
    assert launch(here, NetworkInterfaces=public(here, AssociatePublicIpAddress=False))


def test_where_there_is_no_pool_a_subnet_gives_nothing_and_a_request_that_insists_is_refused():
    here = public_account("")
    map_on_launch(here)
    assert address_of(here, running(here)) == ""
    assert refusal(here, NetworkInterfaces=public(here)) == "InsufficientAddressCapacity"


def test_an_instance_launched_before_there_was_a_pool_gets_an_address_at_its_next_start():
    here = public_account("")
    map_on_launch(here)
    instance = running(here)
    here.view.pools = [AddressPool(cidr="198.18.0.0/24")]
    stop(here, instance)
    start(here, instance)
    assert address_of(here, instance)


def test_stop_gives_the_address_back_and_start_draws_another(here):
    instance = running(here, NetworkInterfaces=public(here))
    before, private = address_of(here, instance), described(here, instance)["PrivateIpAddress"]
    stop(here, instance)
    assert (address_of(here, instance), held(here)) == ("", [])
    start(here, instance)
    after = address_of(here, instance)
    assert after not in ("", before)
    assert described(here, instance)["PrivateIpAddress"] == private
    here.view.call("RebootInstances", InstanceIds=[instance])
    assert address_of(here, instance) == after


def test_an_elastic_ip_outlives_stop_and_start_where_the_other_does_not(here):
    instance, one = running(here), allocate(here)
    associate(here, one, InstanceId=instance)
    stop(here, instance)
    start(here, instance)
    assert address_of(here, instance) == one.address


def test_a_started_instance_with_a_second_interface_gets_none(here):
    instance = running(here, NetworkInterfaces=public(here))
    stop(here, instance)
    here.view.call(
        "AttachNetworkInterface", NetworkInterfaceId=spare_interface(here), InstanceId=instance, DeviceIndex=1
    )
    start(here, instance)
    assert address_of(here, instance) == ""


def test_a_second_interface_takes_nothing_from_a_running_instance(here):
    instance = running(here, NetworkInterfaces=public(here))
    before = address_of(here, instance)
    here.view.call(
        "AttachNetworkInterface", NetworkInterfaceId=spare_interface(here), InstanceId=instance, DeviceIndex=1
    )
    assert address_of(here, instance) == before


def test_an_elastic_ip_takes_its_place_and_gives_it_back(here):
    instance, one = running(here, NetworkInterfaces=public(here)), allocate(here)
    before = address_of(here, instance)
    association = associate(here, one, InstanceId=instance)
    assert address_of(here, instance) == one.address
    assert held(here) == [one.address]
    here.view.call("DisassociateAddress", AssociationId=association)
    assert address_of(here, instance) not in ("", one.address)
    assert len(held(here)) == 2
    assert before not in held(here) or address_of(here, instance) == before


def test_an_elastic_ip_that_moves_lets_its_former_instance_have_an_address_again(here):
    former, latter = [running(here, NetworkInterfaces=public(here)) for _ in range(2)]
    one = allocate(here)
    associate(here, one, InstanceId=former)
    associate(here, one, InstanceId=latter)
    assert address_of(here, latter) == one.address
    assert address_of(here, former) not in ("", one.address)


def test_an_elastic_ip_on_a_secondary_address_leaves_the_primary_its_own(here):
    wanted = public(here, PrivateIpAddresses=[{"PrivateIpAddress": "10.0.1.77"}])
    instance, one = running(here, NetworkInterfaces=wanted), allocate(here)
    before, eni = address_of(here, instance), interface_of(here, instance)
    associate(here, one, NetworkInterfaceId=eni.id, PrivateIpAddress="10.0.1.77")
    assert address_of(here, instance) == before
    (shown,) = described(here, instance)["NetworkInterfaces"]
    assert [each["Association"]["PublicIp"] for each in shown["PrivateIpAddresses"]] == [before, one.address]


def test_a_start_beside_an_elastic_ip_on_the_primary_address_draws_nothing(here):
    instance, one = running(here, NetworkInterfaces=public(here)), allocate(here)
    associate(here, one, InstanceId=instance)
    stop(here, instance)
    start(here, instance)
    assert held(here) == [one.address]


def test_a_disassociated_instance_that_is_stopped_gets_nothing_until_it_starts(here):
    instance, one = running(here, NetworkInterfaces=public(here)), allocate(here)
    association = associate(here, one, InstanceId=instance)
    stop(here, instance)
    here.view.call("DisassociateAddress", AssociationId=association)
    assert held(here) == [one.address]
    start(here, instance)
    assert len(held(here)) == 2


def test_an_instance_that_ends_gives_its_address_back_even_with_an_interface_that_stays(here):
    instance = running(here, NetworkInterfaces=public(here, DeleteOnTermination=False))
    eni = interface_of(here, instance)
    here.view.call("TerminateInstances", InstanceIds=[instance])
    assert held(here) == []
    left = now(here, eni)
    assert (left.attachment, left.wants_public_address) == (None, False)


def test_a_guest_that_goes_down_by_itself_gives_its_address_back(here):
    instance = running(here, NetworkInterfaces=public(here))
    here.view.report(instance, "stopped")
    here.view.apply(housekeeping(here.view, here.view.now))
    assert held(here) == []
    start(here, instance)
    assert len(held(here)) == 1


def test_a_running_instance_gets_and_loses_an_address_by_its_interfaces_attribute(here):
    instance = running(here)
    eni = {"NetworkInterfaceId": interface_of(here, instance).id}

    def attribute():
        asked = here.view.call("DescribeNetworkInterfaceAttribute", **eni, Attribute="associatePublicIpAddress")
        return asked["AssociatePublicIpAddress"]

    assert attribute() is False
    here.view.call("ModifyNetworkInterfaceAttribute", **eni, AssociatePublicIpAddress=True)
    assert attribute() is True
    assert address_of(here, instance)
    here.view.call("ModifyNetworkInterfaceAttribute", **eni, AssociatePublicIpAddress=True)
    assert len(held(here)) == 1
    here.view.call("ModifyNetworkInterfaceAttribute", **eni, AssociatePublicIpAddress=False)
    assert (attribute(), held(here)) == (False, [])


def test_a_stopped_instance_is_given_the_address_with_its_next_boot(here):
    instance = running(here)
    stop(here, instance)
    eni = {"NetworkInterfaceId": interface_of(here, instance).id}
    here.view.call("ModifyNetworkInterfaceAttribute", **eni, AssociatePublicIpAddress=True)
    assert held(here) == []
    start(here, instance)
    assert address_of(here, instance)


def test_an_interface_that_is_no_instances_first_gets_none(here):
    free = spare_interface(here)
    asked = {"NetworkInterfaceId": free, "AssociatePublicIpAddress": True}
    assert here.view.refusal("ModifyNetworkInterfaceAttribute", **asked) == "OperationNotPermitted"
    here.view.call(
        "AttachNetworkInterface", NetworkInterfaceId=free, InstanceId=running(here), DeviceIndex=1
    )
    assert here.view.refusal("ModifyNetworkInterfaceAttribute", **asked) == "OperationNotPermitted"


def test_addresses_are_drawn_from_every_pool_and_from_none_that_is_held(here):
    here.view.pools = [AddressPool(cidr="198.18.5.0/31"), AddressPool(cidr="198.18.7.8/30")]
    every = {"198.18.5.0", "198.18.5.1", "198.18.7.9", "198.18.7.10"}
    map_on_launch(here)
    assert {one["PublicIpAddress"] for one in launch(here, MinCount=4, MaxCount=4)} == every
    assert here.view.refusal("AllocateAddress") == "InsufficientAddressCapacity"


def test_where_nothing_is_free_an_instance_does_not_start(here):
    instance = running(here, NetworkInterfaces=public(here))
    stop(here, instance)
    here.view.pools = [AddressPool(cidr="198.18.9.9/32")]
    taken = replace(interface_of(here, running(here)), public_address="198.18.9.9")
    here.view.put(taken)
    assert here.view.refusal("StartInstances", InstanceIds=[instance]) == "InsufficientAddressCapacity"
    assert isinstance(now(here, taken), NetworkInterface)
