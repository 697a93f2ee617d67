"""Elastic IPs, pure (behaviour/05: T5-04, T5-08, T5-13; behaviour/02: T2-07, T2-10, T2-13). See tests/api/edge_scene.py."""

from __future__ import annotations

import pytest

from rookery.api.quotas import Quotas
from rookery.model.objects import ElasticIp, NetworkInterface
from tests.api.edge_scene import allocate, associate, held, interface_of, now, public_account
from tests.api.instance_scene import described, launch, running, spare_interface


@pytest.fixture
def here():
    return public_account()


def spare(here, *secondaries):
    """A free interface in subnet a."""
    listed = [{"PrivateIpAddress": one} for one in secondaries]
    made = here.view.call("CreateNetworkInterface", SubnetId=here.a.id, PrivateIpAddresses=listed)
    return here.view.get(NetworkInterface, made["NetworkInterface"]["NetworkInterfaceId"])


def address(here, elastic_ip):
    (found,) = here.view.call("DescribeAddresses", AllocationIds=[elastic_ip.id])["Addresses"]
    return found


def test_an_address_is_allocated_shown_and_released(here):
    tags = [{"ResourceType": "elastic-ip", "Tags": [{"Key": "Name", "Value": "web"}]}]
    made = here.view.call("AllocateAddress", Domain="vpc", TagSpecifications=tags)
    assert made["PublicIp"].startswith("198.18.0.")
    assert (made["Domain"], made["PublicIpv4Pool"], made["NetworkBorderGroup"]) == (
        "vpc",
        "amazon",
        "us-east-1",
    )
    assert here.view.call("DescribeAddresses")["Addresses"] == [
        {
            **made,
            "Tags": [{"Key": "Name", "Value": "web"}],
        }
    ]
    here.view.call("ReleaseAddress", AllocationId=made["AllocationId"])
    assert here.view.call("DescribeAddresses")["Addresses"] == []
    gone = here.view.refusal("ReleaseAddress", AllocationId=made["AllocationId"])
    assert gone == "InvalidAllocationID.NotFound"


def test_a_released_address_is_given_again_to_who_asks_for_it_while_it_is_free(here):
    first = allocate(here)
    assert here.view.refusal("AllocateAddress", Address=first.address) == "InvalidAddress.NotFound"
    here.view.call("ReleaseAddress", AllocationId=first.id)
    again = allocate(here, Address=first.address)
    assert (again.address, again.id == first.id) == (first.address, False)
    assert here.view.refusal("AllocateAddress", Address="8.8.8.8") == "InvalidAddress.NotFound"
    assert here.view.refusal("AllocateAddress", Address="nonsense") == "InvalidAddress.Malformed"


@pytest.mark.parametrize("asked", [{"Domain": "standard"}, {"PublicIpv4Pool": "ipv4pool-ec2-1"}])
def test_what_the_region_does_not_have_is_not_allocated(here, asked):
    assert here.view.refusal("AllocateAddress", **asked) == "UnsupportedOperation"


def test_a_pool_gives_each_of_its_addresses_once_and_then_no_more():
    here = public_account("198.18.0.0/29")
    here.view.quotas = Quotas(elastic_ips=100)
    assert sorted(allocate(here).address for _ in range(6)) == [f"198.18.0.{n}" for n in range(1, 7)]
    assert here.view.refusal("AllocateAddress") == "InsufficientAddressCapacity"


def test_a_region_without_a_pool_has_no_address_to_give():
    assert public_account("").view.refusal("AllocateAddress") == "InsufficientAddressCapacity"


def test_an_account_has_five_addresses(here):
    here.view.quotas = Quotas()
    for _ in range(5):
        allocate(here)
    assert here.view.refusal("AllocateAddress") == "AddressLimitExceeded"


def test_an_associated_address_is_seen_from_all_sides(here):
    instance = running(here)
    eni, one = interface_of(here, instance), allocate(here)
    association = associate(here, one, InstanceId=instance)
    assert address(here, one) == {
        "AllocationId": one.id,
        "PublicIp": one.address,
        "Domain": "vpc",
        "PublicIpv4Pool": "amazon",
        "NetworkBorderGroup": "us-east-1",
        "Tags": [],
        "AssociationId": association,
        "InstanceId": instance,
        "NetworkInterfaceId": eni.id,
        "NetworkInterfaceOwnerId": "123456789012",
        "PrivateIpAddress": eni.primary,
    }
    (interface,) = here.view.call("DescribeNetworkInterfaces")["NetworkInterfaces"]
    full = {
        "IpOwnerId": "123456789012",
        "PublicDnsName": "",
        "PublicIp": one.address,
        "AllocationId": one.id,
        "AssociationId": association,
    }
    assert interface["Association"] == full
    assert interface["PrivateIpAddresses"][0]["Association"] == full
    shown = described(here, instance)
    assert (shown["PublicIpAddress"], shown["PublicDnsName"]) == (one.address, "")
    (inside,) = shown["NetworkInterfaces"]
    assert inside["Association"] == {
        "IpOwnerId": "123456789012",
        "PublicDnsName": "",
        "PublicIp": one.address,
    }


def test_it_has_a_public_name_where_the_vpc_gives_names(here):
    instance, one = running(here), allocate(here)
    associate(here, one, InstanceId=instance)
    here.view.call("ModifyVpcAttribute", VpcId=here.vpc.id, EnableDnsHostnames={"Value": True})
    name = f"ec2-{one.address.replace('.', '-')}.compute-1.amazonaws.com"
    assert described(here, instance)["PublicDnsName"] == name
    by_name = [{"Name": "dns-name", "Values": [name]}]
    assert here.view.call("DescribeInstances", Filters=by_name)["Reservations"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("association.public-ip", "address"),
        ("association.allocation-id", "id"),
        ("association.association-id", "association_id"),
        ("association.ip-owner-id", "account"),
        ("addresses.association.public-ip", "address"),
    ],
)
def test_interfaces_and_instances_are_found_by_their_association(here, name, value):
    instance, one = running(here), allocate(here)
    running(here)
    associate(here, one, InstanceId=instance)
    wanted = getattr(now(here, one), value)
    (found,) = here.view.call("DescribeNetworkInterfaces", Filters=[{"Name": name, "Values": [wanted]}])[
        "NetworkInterfaces"
    ]
    assert found["NetworkInterfaceId"] == interface_of(here, instance).id
    through = [{"Name": f"network-interface.{name}", "Values": [wanted]}]
    (reservation,) = here.view.call("DescribeInstances", Filters=through)["Reservations"]
    assert reservation["Instances"][0]["InstanceId"] == instance


def test_addresses_are_found_by_what_they_stand_for(here):
    instance, one, _ = running(here), allocate(here), allocate(here)
    association, eni = associate(here, one, InstanceId=instance), interface_of(here, instance)
    for name, value in (
        ("allocation-id", one.id),
        ("association-id", association),
        ("instance-id", instance),
        ("network-interface-id", eni.id),
        ("network-interface-owner-id", "123456789012"),
        ("private-ip-address", eni.primary),
        ("public-ip", one.address),
    ):
        found = here.view.call("DescribeAddresses", Filters=[{"Name": name, "Values": [value]}])["Addresses"]
        assert [each["AllocationId"] for each in found] == [one.id], name
    by_address = here.view.call("DescribeAddresses", PublicIps=[one.address])["Addresses"]
    assert [each["AllocationId"] for each in by_address] == [one.id]
    assert here.view.refusal("DescribeAddresses", PublicIps=["198.18.0.255"]) == "InvalidAddress.NotFound"
    domain = [{"Name": "domain", "Values": ["vpc"]}, {"Name": "network-border-group", "Values": ["us-east-1"]}]
    assert len(here.view.call("DescribeAddresses", Filters=domain)["Addresses"]) == 2


def test_an_address_moves_unless_that_is_forbidden(here):
    """T5-04."""
    first, second, one = spare(here), spare(here), allocate(here)
    before = associate(here, one, NetworkInterfaceId=first.id)
    code = here.view.refusal(
        "AssociateAddress", AllocationId=one.id, NetworkInterfaceId=second.id, AllowReassociation=False
    )
    assert code == "Resource.AlreadyAssociated"
    assert now(here, one).interface_id == first.id
    after = associate(here, one, NetworkInterfaceId=second.id)
    assert before != after
    assert now(here, one).interface_id == second.id
    here.view.call("DisassociateAddress", AssociationId=before)  # it has ended
    assert now(here, one).association_id == after


def test_the_same_association_again_is_the_same(here):
    eni, one = spare(here), allocate(here)
    first = associate(here, one, NetworkInterfaceId=eni.id)
    again = associate(here, one, NetworkInterfaceId=eni.id, PrivateIpAddress=eni.primary, AllowReassociation=False)
    assert first == again


def test_the_address_that_stood_there_before_stays_allocated(here):
    eni, one, other = spare(here), allocate(here), allocate(here)
    associate(here, one, NetworkInterfaceId=eni.id)
    associate(here, other, NetworkInterfaceId=eni.id)
    assert now(here, one).association_id == ""
    assert now(here, other).interface_id == eni.id


def test_each_private_address_has_its_own(here):
    eni = spare(here, "10.0.1.77")
    one, other = allocate(here), allocate(here)
    associate(here, one, NetworkInterfaceId=eni.id)
    associate(here, other, NetworkInterfaceId=eni.id, PrivateIpAddress="10.0.1.77")
    (shown,) = here.view.call("DescribeNetworkInterfaces", NetworkInterfaceIds=[eni.id])["NetworkInterfaces"]
    assert [each["Association"]["PublicIp"] for each in shown["PrivateIpAddresses"]] == [
        one.address,
        other.address,
    ]
    associate(here, other, NetworkInterfaceId=eni.id)  # from the secondary to the primary address
    assert (now(here, one).association_id, now(here, other).private_address) == ("", eni.primary)


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ({}, "MissingParameter"),
        ({"InstanceId": "i-0123456789abcdef0"}, "InvalidInstanceID.NotFound"),
        ({"NetworkInterfaceId": "eni-0123456789abcdef0"}, "InvalidNetworkInterfaceID.NotFound"),
        ({"NetworkInterfaceId": "{eni}", "InstanceId": "{instance}"}, "InvalidParameterCombination"),
        ({"NetworkInterfaceId": "{eni}", "PrivateIpAddress": "10.0.1.250"}, "InvalidParameterValue"),
        ({"NetworkInterfaceId": "{eni}", "PublicIp": "{address}"}, "InvalidParameterCombination"),
    ],
)
def test_an_association_with_nothing_is_refused(here, target, code):
    one = allocate(here)
    words = {"eni": spare_interface(here), "instance": running(here), "address": one.address}
    filled = {name: value.format(**words) for name, value in target.items()}
    assert here.view.refusal("AssociateAddress", AllocationId=one.id, **filled) == code


def test_an_address_that_nobody_here_has_is_not_associated(here):
    eni = {"NetworkInterfaceId": spare_interface(here)}
    assert here.view.refusal("AssociateAddress", **eni) == "MissingParameter"
    for asked, code in (
        ({"AllocationId": "eipalloc-0123456789abcdef0"}, "InvalidAllocationID.NotFound"),
        ({"PublicIp": "198.18.0.7"}, "InvalidAddress.NotFound"),
        ({"PublicIp": "198.18.0.777"}, "InvalidAddress.Malformed"),
    ):
        assert here.view.refusal("AssociateAddress", **asked, **eni) == code
    one = allocate(here)
    here.view.call("AssociateAddress", PublicIp=one.address, **eni)
    assert now(here, one).interface_id == eni["NetworkInterfaceId"]


def test_an_instance_with_two_interfaces_names_one(here):
    two = [{"DeviceIndex": n, "SubnetId": here.a.id} for n in (0, 1)]
    instance, one = running(here, NetworkInterfaces=two), allocate(here)
    assert here.view.refusal("AssociateAddress", AllocationId=one.id, InstanceId=instance) == "InvalidInstanceID"
    associate(here, one, NetworkInterfaceId=interface_of(here, instance).id)


def test_an_instance_that_begins_or_ended_has_no_address_associated(here):
    one = allocate(here)
    begins = launch(here)[0]["InstanceId"]
    assert here.view.refusal("AssociateAddress", AllocationId=one.id, InstanceId=begins) == "InvalidInstanceID"
    here.view.report(begins, "running")
    here.view.call("TerminateInstances", InstanceIds=[begins])
    code = here.view.refusal("AssociateAddress", AllocationId=one.id, InstanceId=begins)
    assert code == "IncorrectInstanceState"


def test_without_a_gateway_no_address_is_associated(here):
    """T5-08."""
    here.view.call("DetachInternetGateway", InternetGatewayId=here.gateway, VpcId=here.vpc.id)
    eni, one = spare(here), allocate(here)
    code = here.view.refusal("AssociateAddress", AllocationId=one.id, NetworkInterfaceId=eni.id)
    assert code == "Gateway.NotAttached"


def test_a_gateway_is_not_detached_from_under_an_elastic_ip(here):
    """T5-09."""
    one = allocate(here)
    associated = associate(here, one, NetworkInterfaceId=spare_interface(here))
    detach = {"InternetGatewayId": here.gateway, "VpcId": here.vpc.id}
    assert here.view.refusal("DetachInternetGateway", **detach) == "DependencyViolation"
    here.view.call("DisassociateAddress", AssociationId=associated)
    here.view.call("DetachInternetGateway", **detach)


def test_an_address_in_use_is_not_released_and_disassociation_may_be_repeated(here):
    """T5-13."""
    one = allocate(here)
    association = associate(here, one, NetworkInterfaceId=spare_interface(here))
    assert here.view.refusal("ReleaseAddress", AllocationId=one.id) == "InvalidIPAddress.InUse"
    for _ in range(2):
        here.view.call("DisassociateAddress", AssociationId=association)
    here.view.call("DisassociateAddress", PublicIp=one.address)
    here.view.call("ReleaseAddress", PublicIp=one.address)
    assert here.view.refusal("ReleaseAddress", PublicIp=one.address) == "InvalidAddressID.NotFound"
    for asked, code in (
        ({"AssociationId": association}, "InvalidAssociationID.NotFound"),
        ({"AssociationId": "eipassoc-x"}, "InvalidParameterValue"),
        ({"PublicIp": one.address}, "InvalidAddress.NotFound"),
        ({}, "MissingParameter"),
    ):
        assert here.view.refusal("DisassociateAddress", **asked) == code


def test_in_the_default_vpc_a_release_ends_the_association(here):
    vpc = here.view.make_vpc("172.31.0.0/16", is_default=True)
    subnet = here.view.make_subnet(vpc, "172.31.0.0/20")
    gateway = here.view.call("CreateInternetGateway")["InternetGateway"]["InternetGatewayId"]
    here.view.call("AttachInternetGateway", InternetGatewayId=gateway, VpcId=vpc.id)
    one = allocate(here)
    associate(here, one, NetworkInterfaceId=spare_interface(here, subnet))
    here.view.call("ReleaseAddress", AllocationId=one.id)
    assert held(here) == []


def test_an_address_moves_with_the_secondary_address_it_stands_for(here):
    loser, gainer, one = spare(here, "10.0.1.77"), spare(here), allocate(here)
    association = associate(here, one, NetworkInterfaceId=loser.id, PrivateIpAddress="10.0.1.77")
    wanted = {"NetworkInterfaceId": gainer.id, "PrivateIpAddresses": ["10.0.1.77"]}
    assert here.view.refusal("AssignPrivateIpAddresses", **wanted) == "Resource.AlreadyAssigned"
    assert now(here, one).interface_id == loser.id
    here.view.call("AssignPrivateIpAddresses", **wanted, AllowReassignment=True)
    moved = now(here, one)
    assert (moved.interface_id, moved.private_address, moved.association_id) == (
        gainer.id,
        "10.0.1.77",
        association,
    )


def test_an_address_is_left_alone_when_what_it_stood_for_goes(here):
    eni, one, other = spare(here, "10.0.1.77"), allocate(here), allocate(here)
    associate(here, one, NetworkInterfaceId=eni.id, PrivateIpAddress="10.0.1.77")
    associate(here, other, NetworkInterfaceId=eni.id)
    here.view.call(
        "UnassignPrivateIpAddresses", NetworkInterfaceId=eni.id, PrivateIpAddresses=["10.0.1.77"]
    )
    assert (now(here, one).association_id, now(here, other).interface_id) == ("", eni.id)
    here.view.call("DeleteNetworkInterface", NetworkInterfaceId=eni.id)
    assert now(here, other).interface_id == ""
    assert held(here) == sorted([one.address, other.address])


def test_a_terminated_instance_leaves_its_address_allocated_and_one_of_an_interface_that_stays_associated(here):
    instance, one, other = running(here), allocate(here), allocate(here)
    hot = spare_interface(here)
    here.view.call("AttachNetworkInterface", NetworkInterfaceId=hot, InstanceId=instance, DeviceIndex=1)
    associate(here, one, NetworkInterfaceId=interface_of(here, instance).id)
    associate(here, other, NetworkInterfaceId=hot)
    here.view.call("StopInstances", InstanceIds=[instance])
    assert described(here, instance)["PublicIpAddress"] == one.address
    here.view.call("TerminateInstances", InstanceIds=[instance])
    assert (now(here, one).association_id, now(here, one).address) == ("", one.address)
    assert now(here, other).interface_id == hot
    assert "InstanceId" not in {k: v for k, v in address(here, other).items() if v}


def test_a_guest_that_ends_itself_leaves_its_address_too(here):
    instance, one = running(here, InstanceInitiatedShutdownBehavior="terminate"), allocate(here)
    associate(here, one, InstanceId=instance)
    here.view.report(instance, "stopped")
    keep_house(here)
    assert now(here, one).association_id == ""


def keep_house(here):
    from rookery.api.handlers.housekeeping import housekeeping  # noqa: PLC0415

    here.view.apply(housekeeping(here.view, here.view.now))


# -------------------------------------------------------------------------------------------------------- reverse name


def test_a_reverse_name_is_asked_for_pending_and_taken_back(here):
    one, _ = allocate(here), allocate(here)
    pending = {
        "PublicIp": one.address,
        "AllocationId": one.id,
        "PtrRecordUpdate": {
            "Value": "mail.example.com.",
            "Status": "PENDING",
            "Reason": "Rookery does not serve public reverse DNS.",
        },
    }
    named = {"AllocationId": one.id}
    changed = here.view.call("ModifyAddressAttribute", **named, DomainName="Mail.example.com")
    assert changed == {"Address": pending}
    assert here.view.call("DescribeAddressesAttribute", Attribute="domain-name") == {"Addresses": [pending]}
    assert here.view.refusal("ModifyAddressAttribute", **named, DomainName="no name") == "InvalidParameterValue"
    assert here.view.refusal("ModifyAddressAttribute", **named) == "MissingParameter"
    here.view.call("ResetAddressAttribute", **named, Attribute="domain-name")
    plain = {"PublicIp": one.address, "AllocationId": one.id}
    asked = here.view.call("DescribeAddressesAttribute", AllocationIds=[one.id], Attribute="domain-name")
    assert asked == {"Addresses": [plain]}
    assert here.view.call("DescribeAddressesAttribute", Attribute="domain-name") == {"Addresses": []}


def test_what_is_stored_of_an_address_that_was_never_associated_is_little(here):
    one = allocate(here)
    assert (one.interface_id, one.private_address, one.association_id) == ("", "", "")
    assert isinstance(one, ElasticIp)
