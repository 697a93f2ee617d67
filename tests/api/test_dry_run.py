"""Every call that changes something, valid in a small region, with DryRun: it says that it would, and changes nothing (T13-02).

A VPC with one of everything; us-west-2 has no default VPC any more, us-east-1 no default subnet in its first zone.
"""

from __future__ import annotations

import pytest
from botocore import xform_name
from botocore.loaders import Loader
from botocore.model import ServiceModel
from cryptography.hazmat.primitives import serialization as forms
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from rookery.api import handlers
from rookery.api.handlers.image_catalogue import NAMESPACE_IMAGE
from rookery.api.operation import HANDLERS
from rookery.api.wire.service import service
from tests.api.edge_scene import without_internet_gateway
from tests.api.endpoint_scene import arn, balancer, stand_in

WEB = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
DNS = {"IpProtocol": "udp", "FromPort": 53, "ToPort": 53, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}
ALL = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
TOLD = [{**WEB, "IpRanges": [{"CidrIp": "0.0.0.0/0", "Description": "told"}]}]
TOLD_ALL = [{**ALL, "IpRanges": [{"CidrIp": "0.0.0.0/0", "Description": "told"}]}]
ENTRY = {
    "RuleNumber": 100,
    "Egress": False,
    "Protocol": "-1",
    "RuleAction": "allow",
    "CidrBlock": "10.0.0.0/8",
}
LAUNCH = {"ImageId": NAMESPACE_IMAGE.id, "MinCount": 1, "MaxCount": 1}
NTP = [{"Key": "ntp-servers", "Values": ["10.1.1.9"]}]
DNS_OPTION = {"AllowDnsResolutionFromRemoteVpc": False}


class Region:
    """Ids by what they are for."""

    def __init__(self, api, ec2):
        self.ec2 = ec2
        self.vpc, self.peer, self.asked, self.bare = [
            ec2.create_vpc(CidrBlock=f"10.{n}.0.0/16")["Vpc"]["VpcId"] for n in range(1, 5)
        ]
        self.subnet, self.empty = self._subnet(1), self._subnet(2)
        self.other_options = self._options()
        self._guards()
        self._peerings()
        self._instances(api)
        self._routes()
        self._gateways(api)
        ec2.create_key_pair(KeyName="me", KeyType="ed25519")
        reserved = ec2.create_subnet_cidr_reservation(
            SubnetId=self.subnet, Cidr="10.1.1.128/28", ReservationType="explicit"
        )
        self.reservation = reserved["SubnetCidrReservation"]["SubnetCidrReservationId"]
        forsake(ec2, zone="us-east-1a")

    def _subnet(self, n):
        made = self.ec2.create_subnet(
            VpcId=self.vpc, CidrBlock=f"10.1.{n}.0/24", AvailabilityZone="us-east-1a"
        )
        return made["Subnet"]["SubnetId"]

    def _options(self):
        return self.ec2.create_dhcp_options(DhcpConfigurations=NTP)["DhcpOptions"]["DhcpOptionsId"]

    def _guards(self):
        self.web, self.spare_group = [
            self.ec2.create_security_group(GroupName=name, Description="d", VpcId=self.vpc)["GroupId"]
            for name in ("web", "spare")
        ]
        made = self.ec2.authorize_security_group_ingress(GroupId=self.web, IpPermissions=[WEB])
        self.rule = made["SecurityGroupRules"][0]["SecurityGroupRuleId"]
        self.acl = self.ec2.create_network_acl(VpcId=self.vpc)["NetworkAcl"]["NetworkAclId"]
        self.ec2.create_network_acl_entry(NetworkAclId=self.acl, **ENTRY)
        chosen = [{"Name": "association.subnet-id", "Values": [self.empty]}]
        (default,) = self.ec2.describe_network_acls(Filters=chosen)["NetworkAcls"]
        self.guarding = default["Associations"][0]["NetworkAclAssociationId"]
        listed = self.ec2.create_managed_prefix_list(
            PrefixListName="x", MaxEntries=5, AddressFamily="IPv4", Entries=[{"Cidr": "10.9.0.0/16"}]
        )
        self.list = listed["PrefixList"]["PrefixListId"]
        self.ec2.modify_managed_prefix_list(
            PrefixListId=self.list, CurrentVersion=1, AddEntries=[{"Cidr": "10.8.0.0/16"}]
        )

    def _peerings(self):
        self.pcx, self.pending = [
            self.ec2.create_vpc_peering_connection(VpcId=self.vpc, PeerVpcId=other)["VpcPeeringConnection"][
                "VpcPeeringConnectionId"
            ]
            for other in (self.peer, self.asked)
        ]
        self.ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=self.pcx)

    def _instances(self, api):
        launched = self.ec2.run_instances(
            ImageId=NAMESPACE_IMAGE.id, SubnetId=self.subnet, MinCount=2, MaxCount=2
        )
        self.running, self.stopped = [one["InstanceId"] for one in launched["Instances"]]
        api.hosts_obey()
        self.ec2.stop_instances(InstanceIds=[self.stopped])
        api.hosts_obey()
        self.spare, second = [
            self.ec2.create_network_interface(SubnetId=self.subnet)["NetworkInterface"]["NetworkInterfaceId"]
            for _ in range(2)
        ]
        attached = self.ec2.attach_network_interface(
            NetworkInterfaceId=second, InstanceId=self.stopped, DeviceIndex=1
        )
        self.attachment = attached["AttachmentId"]
        api.hosts_obey()

    def _routes(self):
        self.table, self.empty_table = [
            self.ec2.create_route_table(VpcId=self.vpc)["RouteTable"]["RouteTableId"] for _ in range(2)
        ]
        self.ec2.create_route(RouteTableId=self.table, **self.way("10.77.0.0/16"))
        made = self.ec2.associate_route_table(RouteTableId=self.table, SubnetId=self.subnet)
        self.association = made["AssociationId"]

    def _gateways(self, api):
        api.add_pool()
        self.gateway, self.free_gateway = [
            self.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"] for _ in range(2)
        ]
        self.ec2.attach_internet_gateway(InternetGatewayId=self.gateway, VpcId=self.vpc)
        self.leaving = self.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        self.ec2.attach_internet_gateway(InternetGatewayId=self.leaving, VpcId=self.peer)
        made = self.ec2.create_egress_only_internet_gateway(VpcId=self.vpc)["EgressOnlyInternetGateway"]
        self.egress_only = made["EgressOnlyInternetGatewayId"]
        self.free_address, self.address = [
            self.ec2.allocate_address(Domain="vpc")["AllocationId"] for _ in range(2)
        ]
        made = self.ec2.associate_address(AllocationId=self.address, NetworkInterfaceId=self.spare)
        self.address_association = made["AssociationId"]
        self._nat_gateways(api)

    def _nat_gateways(self, api):
        """One public and one private, each with a secondary address."""
        api.add_cells()
        first, second = [self.ec2.allocate_address(Domain="vpc")["AllocationId"] for _ in range(2)]
        asked = {"SubnetId": self.subnet}
        made = [
            self.ec2.create_nat_gateway(**asked, AllocationId=first, SecondaryAllocationIds=[second]),
            self.ec2.create_nat_gateway(**asked, ConnectivityType="private", SecondaryPrivateIpAddressCount=1),
        ]
        self.public_nat, self.private_nat = [one["NatGateway"]["NatGatewayId"] for one in made]
        api.hosts_obey()
        waiter = self.ec2.get_waiter("nat_gateway_available")
        waiter.wait(
            NatGatewayIds=[self.public_nat, self.private_nat],
            WaiterConfig={"Delay": 0.1, "MaxAttempts": 100},
        )
        self.nat_association = self.ec2.describe_addresses(AllocationIds=[second])["Addresses"][0]["AssociationId"]
        (private,) = self.ec2.describe_nat_gateways(NatGatewayIds=[self.private_nat])["NatGateways"]
        self.nat_address = private["NatGatewayAddresses"][1]["PrivateIp"]
        self._endpoints()

    def _endpoints(self):
        """A service that waits to accept its endpoint, and one without any."""
        made = [
            self.ec2.create_vpc_endpoint_service_configuration(
                NetworkLoadBalancerArns=[arn(name)], PrivateDnsName=f"{name}.example.com"
            )
            for name in ("web", "idle")
        ]
        self.service, self.idle_service = [one["ServiceConfiguration"] for one in made]
        endpoint = self.ec2.create_vpc_endpoint(**self.connection(self.vpc), SubnetIds=[self.subnet])
        self.endpoint = endpoint["VpcEndpoint"]["VpcEndpointId"]

    def connection(self, vpc):
        return {"VpcEndpointType": "Interface", "VpcId": vpc, "ServiceName": self.service["ServiceName"]}

    def way(self, to):
        return {"DestinationCidrBlock": to, "NetworkInterfaceId": self.spare}


def forsake(ec2, zone="*"):
    """Takes the default VPC's subnets away."""
    chosen = [
        {"Name": "default-for-az", "Values": ["true"]},
        {"Name": "availability-zone", "Values": [zone]},
    ]
    for subnet in ec2.describe_subnets(Filters=chosen)["Subnets"]:
        ec2.delete_subnet(SubnetId=subnet["SubnetId"])


def valid_calls(here):
    """Operation -> parameters."""
    instance, interface = {"InstanceId": here.running}, {"NetworkInterfaceId": here.spare}
    acl, group, table = {"NetworkAclId": here.acl}, {"GroupId": here.web}, {"RouteTableId": here.table}
    pending, pcx = {"VpcPeeringConnectionId": here.pending}, {"VpcPeeringConnectionId": here.pcx}
    tagged = {"Resources": [here.vpc], "Tags": [{"Key": "team", "Value": "net"}]}
    permission = {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 2, "CidrIpv4": "10.0.0.0/8"}
    service, endpoint = {"ServiceId": here.service["ServiceId"]}, {"VpcEndpointIds": [here.endpoint]}
    return {
        "AcceptVpcEndpointConnections": {**service, **endpoint},
        "CreateVpcEndpoint": here.connection(here.peer),
        "CreateVpcEndpointServiceConfiguration": {"NetworkLoadBalancerArns": [arn("free")]},
        "DeleteVpcEndpointServiceConfigurations": {"ServiceIds": [here.idle_service["ServiceId"]]},
        "DeleteVpcEndpoints": endpoint,
        "ModifyVpcEndpoint": {"VpcEndpointId": here.endpoint, "RemoveSubnetIds": [here.subnet]},
        "ModifyVpcEndpointServiceConfiguration": {**service, "AcceptanceRequired": False},
        "ModifyVpcEndpointServicePermissions": {**service, "AddAllowedPrincipals": ["*"]},
        "RejectVpcEndpointConnections": {**service, **endpoint},
        "StartVpcEndpointServicePrivateDnsVerification": service,
        "AcceptVpcPeeringConnection": pending,
        "AllocateAddress": {"Domain": "vpc"},
        "AssignPrivateNatGatewayAddress": {"NatGatewayId": here.private_nat, "PrivateIpAddressCount": 1},
        "AssociateNatGatewayAddress": {
            "NatGatewayId": here.public_nat,
            "AllocationIds": [here.free_address],
        },
        "CreateNatGateway": {"SubnetId": here.subnet, "AllocationId": here.free_address},
        "DeleteNatGateway": {"NatGatewayId": here.public_nat},
        "DisassociateNatGatewayAddress": {
            "NatGatewayId": here.public_nat,
            "AssociationIds": [here.nat_association],
        },
        "UnassignPrivateNatGatewayAddress": {
            "NatGatewayId": here.private_nat,
            "PrivateIpAddresses": [here.nat_address],
        },
        "AssociateAddress": {"AllocationId": here.free_address, **instance},
        "AssociateDhcpOptions": {"DhcpOptionsId": here.other_options, "VpcId": here.vpc},
        "AssociateRouteTable": {"RouteTableId": here.empty_table, "SubnetId": here.empty},
        "AttachInternetGateway": {"InternetGatewayId": here.free_gateway, "VpcId": here.bare},
        "AttachNetworkInterface": {**interface, **instance, "DeviceIndex": 1},
        "AuthorizeSecurityGroupEgress": {**group, "IpPermissions": [DNS]},
        "AuthorizeSecurityGroupIngress": {**group, "IpPermissions": [DNS]},
        "CreateDefaultSubnet": {"AvailabilityZone": "us-east-1a"},
        "CreateDefaultVpc": {},
        "CreateDhcpOptions": {"DhcpConfigurations": NTP},
        "CreateEgressOnlyInternetGateway": {"VpcId": here.peer},
        "CreateInternetGateway": {},
        "CreateKeyPair": {"KeyName": "new", "KeyType": "ed25519"},
        "CreateManagedPrefixList": {"PrefixListName": "y", "MaxEntries": 1, "AddressFamily": "IPv4"},
        "CreateNetworkAcl": {"VpcId": here.vpc},
        "CreateNetworkAclEntry": {**acl, **ENTRY, "RuleNumber": 200},
        "CreateNetworkInterface": {"SubnetId": here.subnet},
        "CreateRoute": {**table, **here.way("10.78.0.0/16")},
        "CreateRouteTable": {"VpcId": here.vpc},
        "CreateSecurityGroup": {"GroupName": "new", "Description": "d", "VpcId": here.vpc},
        "CreateSubnet": {"VpcId": here.vpc, "CidrBlock": "10.1.9.0/24"},
        "CreateSubnetCidrReservation": {
            "SubnetId": here.subnet,
            "Cidr": "10.1.1.64/28",
            "ReservationType": "explicit",
        },
        "CreateTags": tagged,
        "CreateVpc": {"CidrBlock": "10.200.0.0/16"},
        "CreateVpcPeeringConnection": {"VpcId": here.bare, "PeerVpcId": here.peer},
        "DeleteDhcpOptions": {"DhcpOptionsId": here.other_options},
        "DeleteEgressOnlyInternetGateway": {"EgressOnlyInternetGatewayId": here.egress_only},
        "DeleteInternetGateway": {"InternetGatewayId": here.free_gateway},
        "DeleteKeyPair": {"KeyName": "me"},
        "DeleteManagedPrefixList": {"PrefixListId": here.list},
        "DeleteNetworkAcl": acl,
        "DeleteNetworkAclEntry": {**acl, "RuleNumber": 100, "Egress": False},
        "DeleteNetworkInterface": interface,
        "DeleteRoute": {**table, "DestinationCidrBlock": "10.77.0.0/16"},
        "DeleteRouteTable": {"RouteTableId": here.empty_table},
        "DeleteSecurityGroup": {"GroupId": here.spare_group},
        "DeleteSubnet": {"SubnetId": here.empty},
        "DeleteSubnetCidrReservation": {"SubnetCidrReservationId": here.reservation},
        "DeleteTags": tagged,
        "DeleteVpc": {"VpcId": here.bare},
        "DeleteVpcPeeringConnection": pcx,
        "DetachInternetGateway": {"InternetGatewayId": here.leaving, "VpcId": here.peer},
        "DetachNetworkInterface": {"AttachmentId": here.attachment},
        "DisassociateAddress": {"AssociationId": here.address_association},
        "DisassociateRouteTable": {"AssociationId": here.association},
        "ImportKeyPair": {"KeyName": "mine", "PublicKeyMaterial": public_key()},
        "ModifyAddressAttribute": {"AllocationId": here.address, "DomainName": "mail.example.com"},
        "ModifyInstanceAttribute": {**instance, "DisableApiTermination": {"Value": True}},
        "ModifyInstanceMetadataDefaults": {"HttpTokens": "required"},
        "ModifyInstanceMetadataOptions": {**instance, "HttpTokens": "required"},
        "ModifyManagedPrefixList": {"PrefixListId": here.list, "MaxEntries": 9},
        "ModifyNetworkInterfaceAttribute": {**interface, "Description": {"Value": "told"}},
        "ModifyPrivateDnsNameOptions": {**instance, "PrivateDnsHostnameType": "resource-name"},
        "ModifySecurityGroupRules": {
            **group,
            "SecurityGroupRules": [{"SecurityGroupRuleId": here.rule, "SecurityGroupRule": permission}],
        },
        "ModifyVpcPeeringConnectionOptions": {**pcx, "RequesterPeeringConnectionOptions": DNS_OPTION},
        "RebootInstances": {"InstanceIds": [here.running]},
        "RejectVpcPeeringConnection": pending,
        "ReleaseAddress": {"AllocationId": here.free_address},
        "ReplaceNetworkAclAssociation": {"AssociationId": here.guarding, **acl},
        "ReplaceNetworkAclEntry": {**acl, **ENTRY, "RuleAction": "deny"},
        "ReplaceRoute": {**table, "DestinationCidrBlock": "10.77.0.0/16", **pcx},
        "ReplaceRouteTableAssociation": {
            "AssociationId": here.association,
            "RouteTableId": here.empty_table,
        },
        "ResetAddressAttribute": {"AllocationId": here.address, "Attribute": "domain-name"},
        "ResetInstanceAttribute": {**instance, "Attribute": "sourceDestCheck"},
        "ResetNetworkInterfaceAttribute": {**interface, "SourceDestCheck": "true"},
        "RestoreManagedPrefixListVersion": {
            "PrefixListId": here.list,
            "PreviousVersion": 1,
            "CurrentVersion": 2,
        },
        "RevokeSecurityGroupEgress": {**group, "IpPermissions": [ALL]},
        "RevokeSecurityGroupIngress": {**group, "IpPermissions": [WEB]},
        "RunInstances": {**LAUNCH, "SubnetId": here.subnet},
        "StartInstances": {"InstanceIds": [here.stopped]},
        "StopInstances": {"InstanceIds": [here.running]},
        "TerminateInstances": {"InstanceIds": [here.running]},
        "UpdateSecurityGroupRuleDescriptionsEgress": {**group, "IpPermissions": TOLD_ALL},
        "UpdateSecurityGroupRuleDescriptionsIngress": {**group, "IpPermissions": TOLD},
    }


def public_key():
    key = Ed25519PrivateKey.generate().public_key()
    return key.public_bytes(forms.Encoding.OpenSSH, forms.PublicFormat.OpenSSH)


def operations_with_a_dry_run():
    handlers.load()
    model = ServiceModel(Loader().load_service_model("ec2", "service-2"), "ec2")
    changing = [name for name in HANDLERS if not service("ec2").operation(name).is_read_only]
    return {name for name in changing if "DryRun" in model.operation_model(name).input_shape.members}


@pytest.fixture
def without_default_vpc(api):
    elsewhere = api.client(region="us-west-2")
    forsake(elsewhere)
    (vpc,) = elsewhere.describe_vpcs()["Vpcs"]
    without_internet_gateway(elsewhere, vpc["VpcId"])
    elsewhere.delete_vpc(VpcId=vpc["VpcId"])
    return elsewhere


@pytest.fixture
def balancers(monkeypatch):
    """Stand-ins."""
    zones = {"us-east-1a": "eni-0000000000000aaaa"}
    stand_in(monkeypatch, *(balancer(name, "vpc-0", zones) for name in ("web", "idle", "free")))


@pytest.mark.usefixtures("balancers")
def test_no_dry_run_changes_anything(api, ec2, refused, without_default_vpc):
    calls = valid_calls(Region(api, ec2))
    assert calls.keys() == operations_with_a_dry_run()
    before = api.run(api.store.range("")).entries
    for name, parameters in calls.items():
        client = without_default_vpc if name == "CreateDefaultVpc" else ec2
        with refused("DryRunOperation") as refusal:
            getattr(client, xform_name(name))(**parameters, DryRun=True)
        assert refusal.status == 412, name
        assert api.run(api.store.range("")).entries == before, name
