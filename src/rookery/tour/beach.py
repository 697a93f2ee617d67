"""The stage of the tour of the edge: found again by Name tags, made where it is missing.

    VPC beach 10.60.0.0/16, with an internet gateway and a route 0.0.0.0/0 to it
    beach-a 10.60.1.0/24 (zone a)   adelie 10.60.1.10          both serve their name on port 80
    beach-b 10.60.2.0/24 (zone b)   gentoo 10.60.2.10

One Elastic IP, associated with nobody when the tour begins.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from rookery.tour.permission import rule
from rookery.tour.twins import SERVE_NAME, named, named_tags, wait_running

VPC = "10.60.0.0/16"


class Bird(NamedTuple):
    name: str
    subnet: str
    cidr: str
    zone: str
    address: str


BIRDS = (
    Bird("adelie", "beach-a", "10.60.1.0/24", "a", "10.60.1.10"),
    Bird("gentoo", "beach-b", "10.60.2.0/24", "b", "10.60.2.10"),
)


class Beach:
    """`ec2`: a botocore client. `wait(answer)` returns when every host and edge has applied what the answer says."""

    def __init__(self, ec2: Any, wait: Any):
        self.ec2 = ec2
        self.wait = wait
        self.vpc = self._vpc()
        self._gateway()
        self.instances = {bird.name: self._instance(bird) for bird in BIRDS}
        wait_running(ec2, list(self.instances.values()))
        self.interfaces = {name: self._interface(found) for name, found in self.instances.items()}
        self._open()
        self.allocation, self.address = self._elastic_ip()
        self.take_back()

    def give(self, name: str) -> None:
        """The Elastic IP, whoever has it."""
        self.wait(self.ec2.associate_address(AllocationId=self.allocation, NetworkInterfaceId=self.interfaces[name]))

    def take_back(self) -> None:
        found = self.ec2.describe_addresses(AllocationIds=[self.allocation])["Addresses"][0]
        if "AssociationId" in found:
            self.wait(self.ec2.disassociate_address(AssociationId=found["AssociationId"]))

    def _vpc(self) -> str:
        found = self.ec2.describe_vpcs(Filters=named("beach"))["Vpcs"]
        made = found or [self.ec2.create_vpc(CidrBlock=VPC, TagSpecifications=named_tags("vpc", "beach"))["Vpc"]]
        return made[0]["VpcId"]

    def _gateway(self) -> None:
        found = self.ec2.describe_internet_gateways(Filters=named("beach"))["InternetGateways"]
        if not found:
            tags = named_tags("internet-gateway", "beach")
            found = [self.ec2.create_internet_gateway(TagSpecifications=tags)["InternetGateway"]]
        gateway = found[0]["InternetGatewayId"]
        if not found[0].get("Attachments"):
            self.wait(self.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=self.vpc))
        main = [{"Name": "vpc-id", "Values": [self.vpc]}, {"Name": "association.main", "Values": ["true"]}]
        table = self.ec2.describe_route_tables(Filters=main)["RouteTables"][0]
        if not any(route.get("GatewayId") == gateway for route in table["Routes"]):
            self.wait(
                self.ec2.create_route(
                    RouteTableId=table["RouteTableId"], DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway
                )
            )

    def _subnet(self, bird: Bird) -> str:
        found = self.ec2.describe_subnets(Filters=named(bird.subnet, vpc_id=self.vpc))["Subnets"]
        if found:
            return found[0]["SubnetId"]
        made = self.ec2.create_subnet(
            VpcId=self.vpc,
            CidrBlock=bird.cidr,
            AvailabilityZone=f"{self.ec2.meta.region_name}{bird.zone}",
            TagSpecifications=named_tags("subnet", bird.subnet),
        )
        return made["Subnet"]["SubnetId"]

    def _instance(self, bird: Bird) -> str:
        subnet = self._subnet(bird)
        filters = named(bird.name, subnet_id=subnet, instance_state_name="pending,running")
        found = self.ec2.describe_instances(Filters=filters)["Reservations"]
        if found:
            return found[0]["Instances"][0]["InstanceId"]
        made = self.ec2.run_instances(
            ImageId=self.ec2.describe_images()["Images"][0]["ImageId"],
            InstanceType="t3.micro",
            MinCount=1,
            MaxCount=1,
            SubnetId=subnet,
            PrivateIpAddress=bird.address,
            UserData=SERVE_NAME.format(name=bird.name),
            TagSpecifications=named_tags("instance", bird.name),
        )
        return made["Instances"][0]["InstanceId"]

    def _interface(self, instance: str) -> str:
        found = self.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
        return found["NetworkInterfaces"][0]["NetworkInterfaceId"]

    def _open(self) -> None:
        """To web clients and pings from anywhere."""
        filters = [{"Name": "group-name", "Values": ["shore"]}, {"Name": "vpc-id", "Values": [self.vpc]}]
        found = self.ec2.describe_security_groups(Filters=filters)["SecurityGroups"]
        group = found[0]["GroupId"] if found else self._group()
        for interface in self.interfaces.values():
            self.wait(self.ec2.modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=[group]))

    def _group(self) -> str:
        made = self.ec2.create_security_group(GroupName="shore", Description="web and ping", VpcId=self.vpc)["GroupId"]
        permissions = [rule("tcp", 80), rule("icmp", -1)]
        self.wait(self.ec2.authorize_security_group_ingress(GroupId=made, IpPermissions=permissions))
        return made

    def _elastic_ip(self) -> tuple[str, str]:
        """(allocation, address)."""
        found = self.ec2.describe_addresses(Filters=named("beach"))["Addresses"]
        one = found[0] if found else self.ec2.allocate_address(Domain="vpc", TagSpecifications=named_tags("elastic-ip", "beach"))
        return one["AllocationId"], one["PublicIp"]
