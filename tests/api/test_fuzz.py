"""A few thousand requests of tests/api/fuzz.py, which can make any number."""

from __future__ import annotations

import asyncio
import random

import pytest

from rookery.api import handlers
from rookery.api.operation import HANDLERS
from rookery.api.signature import HttpRequest
from tests.api.fuzz import IN_THE_WAY, MODEL, make_front, rounds, unsigned


@pytest.fixture(autouse=True)
def unsigned_requests():
    with unsigned():
        yield


SECURITY = sorted(name for name in MODEL.operation_names if "SecurityGroup" in name or "NetworkAcl" in name)


@pytest.mark.parametrize("seed", range(3))
def test_groups_and_acls_never_fail_and_leave_the_state_sound(seed):
    handlers.load()
    names = [name for name in SECURITY if name in HANDLERS]
    names += ["CreateSubnet", "DeleteSubnet", "CreateTags", "DeleteTags"]
    seen = asyncio.run(rounds(seed, 1500, names, spoil=0.1, avoided=IN_THE_WAY))
    assert seen.get("ok", 0) > 50, seen
    assert {"InvalidPermission.Duplicate", "CannotDelete"} <= seen.keys(), seen


EDGE = ("InternetGateway", "Address", "RouteTable", "Route")


@pytest.mark.parametrize("seed", range(3))
def test_gateways_and_public_addresses_never_fail_and_leave_the_state_sound(seed):
    handlers.load()
    names = [name for name in sorted(HANDLERS) if name.endswith(EDGE)]
    names += ["CreateVpc", "DeleteVpc", "CreateSubnet", "RunInstances", "TerminateInstances"]
    names += ["CreateNetworkInterface", "DeleteNetworkInterface", "AssignPrivateIpAddresses", "UnassignPrivateIpAddresses"]
    seen = asyncio.run(rounds(seed, 1500, names, spoil=0.05, avoided=IN_THE_WAY))
    assert seen.get("ok", 0) > 50, seen
    assert {"Resource.AlreadyAssociated", "Gateway.NotAttached", "AddressLimitExceeded"} & seen.keys(), seen


NAT = ("NatGateway", "NatGatewayAddress", "NatGateways")


@pytest.mark.parametrize("seed", range(3))
def test_nat_gateways_never_fail_and_leave_the_state_sound(seed):
    handlers.load()
    names = [name for name in sorted(HANDLERS) if name.endswith(NAT)] * 2
    names += ["CreateNatGateway"] * 8 + ["AllocateAddress"] * 4
    names += ["AssociateAddress", "DisassociateAddress", "ReleaseAddress", "CreateRoute"]
    names += ["AssignPrivateIpAddresses", "DeleteNetworkInterface", "DetachNetworkInterface", "RunInstances"]
    names += ["DetachInternetGateway", "CreateTags"]
    seen = asyncio.run(rounds(seed, 1500, names, spoil=0.05, avoided={*IN_THE_WAY, *NARROW}))
    assert seen.get("ok", 0) > 50, seen
    assert {"OperationNotPermitted", "IncorrectState", "AuthFailure"} <= seen.keys(), seen


ZONAL = {"SubnetId", "AllocationId", "SecondaryAllocationIds", "SecondaryPrivateIpAddresses", "SecondaryPrivateIpAddressCount"}
ZONAL |= {"ConnectivityType", "PrivateIpAddresses", "PrivateIpAddress", "ClientToken", "AvailabilityZoneId"}


def test_regional_nat_gateways_never_fail_and_leave_the_state_sound():
    handlers.load()
    names = ["CreateNatGateway", "AssociateNatGatewayAddress", "DisassociateNatGatewayAddress", "DeleteNatGateway"] * 4
    names += ["AllocateAddress", "ReleaseAddress", "DisassociateAddress", "DescribeNatGateways", "DescribeAddresses"]
    names += ["RunInstances", "TerminateInstances", "DeleteRouteTable", "AssociateRouteTable", "DeleteVpc", "DescribeNetworkInterfaces"]
    seen = asyncio.run(rounds(7, 1000, names, spoil=0.02, avoided={*IN_THE_WAY, *ZONAL, *NARROW} - REGIONAL))
    assert seen.get("ok", 0) > 50, seen
    assert {"IncorrectState", "DependencyViolation", "InvalidParameter"} <= seen.keys(), seen


REGIONAL = {"AvailabilityMode", "VpcId", "AvailabilityZone"}
PRIVATELINK = ("VpcEndpoint", "VpcEndpoints", "VpcEndpointServiceConfiguration", "VpcEndpointServiceConfigurations")
PRIVATELINK += ("VpcEndpointConnections", "VpcEndpointServicePermissions", "VpcEndpointServices")


@pytest.mark.parametrize("seed", range(3))
def test_endpoints_of_two_accounts_never_fail_and_leave_the_state_sound(seed):
    handlers.load()
    names = [name for name in sorted(HANDLERS) if name.endswith(PRIVATELINK)]
    names += ["CreateVpcEndpoint"] * 10 + ["CreateVpcEndpointServiceConfiguration"] * 3
    names += ["ModifyVpcAttribute", "DeleteSecurityGroup", "DeleteVpc", "CreateTags"]
    seen = asyncio.run(rounds(seed, 1500, names, spoil=0.05, avoided={*IN_THE_WAY, *ODD}))
    assert seen.get("ok", 0) > 50, seen
    assert {"InvalidServiceName", "IncorrectState", "InvalidParameter"} <= seen.keys(), seen


ODD = {"GatewayLoadBalancerArns", "SupportedRegions", "SupportedIpAddressTypes", "PolicyDocument", "ResetPolicy"}
ODD |= {"RouteTableIds", "DnsOptions", "IpAddressType", "SubnetConfigurations", "ServiceNetworkArn", "ServiceRegion"}
ODD |= {"ResourceConfigurationArn", "AddRouteTableIds", "RemoveRouteTableIds", "ClientToken", "PermissionType"}
ODD |= {f"{verb}{what}" for verb in ("Add", "Remove") for what in sorted(ODD)}
ODD |= {"TransitGatewayAttachmentIds", "RemoveGatewayLoadBalancerArns", "AddGatewayLoadBalancerArns"}

# Members of these calls that most often only contradict others.
NARROW = {"AvailabilityMode", "VpcId", "AvailabilityZoneAddresses", "AvailabilityZone", "AvailabilityZoneId"}
NARROW |= {"PrivateIpAddresses", "SecondaryPrivateIpAddresses", "ClientToken", "PrivateIpAddress"}
NARROW |= {"Address", "CustomerOwnedIpv4Pool", "IpamPoolId", "NetworkBorderGroup", "PublicIpv4Pool", "PublicIp"}


@pytest.mark.parametrize("seed", range(4))
def test_built_operations_never_fail_and_leave_the_state_sound(seed):
    handlers.load()
    seen = asyncio.run(rounds(seed, 1600, sorted(HANDLERS), spoil=0.3))
    assert seen.get("ok", 0) > 50, seen


def test_every_operation_of_the_model_is_answered():
    seen = asyncio.run(rounds(99, 1500, sorted(MODEL.operation_names), spoil=0.5))
    assert seen["UnsupportedOperation"] > 100, seen


def test_random_bytes_are_answered():
    async def run():
        _, front = await make_front()
        source = random.Random(5)
        for _ in range(500):
            body = source.randbytes(source.randrange(300))
            answer = await front.handle(
                HttpRequest("POST", "/", "", {"key": "AKID"}, b"Action=DescribeVpcs&" + body)
            )
            assert 400 <= answer.status < 500

    asyncio.run(run())
