"""Secondary addresses that come, move and go.

VPC 10.0.0.0/16 -- subnet 10.0.2.0/24 -- interfaces a (10.0.2.10), b (10.0.2.20)
                \\- subnet 10.0.3.0/24 -- interface far (10.0.3.10)
"""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from rookery.api.handlers.addresses import SubnetAddresses
from rookery.api.handlers.image_catalogue import NAMESPACE_IMAGE
from rookery.api.held import Held
from rookery.model.objects import Host, NetworkInterface
from rookery.testing.small_view import SmallView


@pytest.fixture
def here():
    view = SmallView([Host(name="host-1", zone=0, address="100.64.1.10")])
    vpc = view.make_vpc("10.0.0.0/16")
    near, other = view.make_subnet(vpc, "10.0.2.0/24"), view.make_subnet(vpc, "10.0.3.0/24")

    def interface(subnet, address):
        made = view.call("CreateNetworkInterface", SubnetId=subnet.id, PrivateIpAddress=address)
        return made["NetworkInterface"]["NetworkInterfaceId"]

    return SimpleNamespace(
        view=view,
        subnet=near,
        a=interface(near, "10.0.2.10"),
        b=interface(near, "10.0.2.20"),
        far=interface(other, "10.0.3.10"),
    )


def assign(here, interface, *addresses, **more):
    return here.view.call(
        "AssignPrivateIpAddresses", NetworkInterfaceId=interface, PrivateIpAddresses=list(addresses), **more
    )


def held(here, interface):
    return here.view.get(NetworkInterface, interface).addresses


def test_listed_addresses_are_assigned_in_order(here):
    answer = assign(here, here.a, "10.0.2.99", "10.0.2.98")
    assert answer == {
        "NetworkInterfaceId": here.a,
        "AssignedPrivateIpAddresses": [{"PrivateIpAddress": "10.0.2.99"}, {"PrivateIpAddress": "10.0.2.98"}],
    }
    assert held(here, here.a) == ("10.0.2.10", "10.0.2.99", "10.0.2.98")


def test_a_count_of_addresses_is_assigned(here):
    answer = here.view.call(
        "AssignPrivateIpAddresses", NetworkInterfaceId=here.a, SecondaryPrivateIpAddressCount=3
    )
    given = [each["PrivateIpAddress"] for each in answer["AssignedPrivateIpAddresses"]]
    assert held(here, here.a) == ("10.0.2.10", *given)
    assert len(set(given)) == 3


def test_what_an_interface_already_has_may_be_assigned_again(here):
    assign(here, here.a, "10.0.2.99")
    assert assign(here, here.a, "10.0.2.99")["AssignedPrivateIpAddresses"] == []
    assert held(here, here.a) == ("10.0.2.10", "10.0.2.99")


def test_an_address_moves_only_when_reassignment_is_allowed(here):
    assign(here, here.a, "10.0.2.99")
    request = {"NetworkInterfaceId": here.b, "PrivateIpAddresses": ["10.0.2.99", "10.0.2.98"]}
    assert here.view.refusal("AssignPrivateIpAddresses", **request) == "Resource.AlreadyAssigned"
    assert held(here, here.b) == ("10.0.2.20",)
    here.view.call("AssignPrivateIpAddresses", **request, AllowReassignment=True)
    assert held(here, here.a) == ("10.0.2.10",)
    assert held(here, here.b) == ("10.0.2.20", "10.0.2.99", "10.0.2.98")


def test_a_primary_address_never_moves(here):
    request = {"NetworkInterfaceId": here.b, "PrivateIpAddresses": ["10.0.2.10"], "AllowReassignment": True}
    assert here.view.refusal("AssignPrivateIpAddresses", **request) == "Resource.AlreadyAssigned"


def test_no_address_comes_from_another_subnet(here):
    assign(here, here.far, "10.0.3.99")
    request = {"NetworkInterfaceId": here.a, "PrivateIpAddresses": ["10.0.3.99"], "AllowReassignment": True}
    assert here.view.refusal("AssignPrivateIpAddresses", **request) == "InvalidParameterValue"


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({}, "MissingParameter"),
        ({"SecondaryPrivateIpAddressCount": 0}, "InvalidParameterValue"),
        ({"SecondaryPrivateIpAddressCount": -7}, "InvalidParameterValue"),
        ({"SecondaryPrivateIpAddressCount": 50}, "PrivateIpAddressLimitExceeded"),
        (
            {"SecondaryPrivateIpAddressCount": 1, "PrivateIpAddresses": ["10.0.2.9"]},
            "InvalidParameterCombination",
        ),
        ({"PrivateIpAddresses": ["10.0.2.1"]}, "InvalidParameterValue"),
        ({"Ipv4PrefixCount": 50}, "PrivateIpAddressLimitExceeded"),
        ({"Ipv4Prefixes": ["10.0.2.16/28"]}, "InvalidIPAddress.InUse"),
    ],
)
def test_an_assignment_that_makes_no_sense_is_refused(here, parameters, code):
    assert here.view.refusal("AssignPrivateIpAddresses", NetworkInterfaceId=here.a, **parameters) == code


def test_the_instance_type_limits_the_addresses_of_an_interface(here):
    answer = here.view.call(
        "RunInstances",
        ImageId=NAMESPACE_IMAGE.id,
        InstanceType="t3.nano",
        MinCount=1,
        MaxCount=1,
        SubnetId=here.subnet.id,
    )
    interface = answer["Instances"][0]["NetworkInterfaces"][0]["NetworkInterfaceId"]
    assign(here, interface, "10.0.2.99")
    request = {"NetworkInterfaceId": interface, "SecondaryPrivateIpAddressCount": 1}
    assert here.view.refusal("AssignPrivateIpAddresses", **request) == "PrivateIpAddressLimitExceeded"


def test_unassigning_gives_back_secondaries_only(here):
    assign(here, here.a, "10.0.2.99", "10.0.2.98")
    here.view.call("UnassignPrivateIpAddresses", NetworkInterfaceId=here.a, PrivateIpAddresses=["10.0.2.99"])
    assert held(here, here.a) == ("10.0.2.10", "10.0.2.98")
    for addresses, code in (
        (["10.0.2.10"], "InvalidParameterValue"),
        (["10.0.2.98", "10.0.2.20"], "InvalidParameterValue"),
        (["rubbish"], "InvalidParameterValue"),
        ([], "MissingParameter"),
    ):
        request = {"NetworkInterfaceId": here.a, "PrivateIpAddresses": addresses}
        assert here.view.refusal("UnassignPrivateIpAddresses", **request) == code


def test_the_same_request_draws_the_same_addresses(here):
    def drawn(seed):
        return SubnetAddresses(here.subnet, Held()).draw(5, seed)

    assert drawn("eni-1") == drawn("eni-1")
    assert drawn("eni-1") != drawn("eni-2")
