"""What stands behind a cell when its nodes die: two accounts whose VPCs have the same addresses.

    VPC 10.60.0.0/16                     wren                                     owl
      front 10.60.1.0/24  -> igw         NAT gateway, balancer 10.60.1.40         NAT gateway, balancer to the internet
      back  10.60.2.0/24  -> NAT         client .10, targets .21, .22             client .10, target .21

The balancers listen for TCP 7000, which keeps clients' addresses, TCP 7002, which hides them, and UDP 7001, which keeps them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from rookery.tour.permission import rule

BALANCER = "10.60.1.40"
STREAMS, DATAGRAMS, HIDDEN = 7000, 7001, 7002  # ports
WAIT = {"Delay": 0.1, "MaxAttempts": 600}


class Tenant:
    """Ids. `clients(service)`: boto3 or botocore clients with the account's key."""

    def __init__(self, region: str, name: str, clients: Callable[[str], Any], targets: int, internal: bool):
        self.region, self.name = region, name
        self.ec2, self.elb = clients("ec2"), clients("elbv2")
        self.associations: dict[int, str] = {}  # of subnets with route tables
        self.groups: dict[str, str] = {}  # ARNs of target groups
        self.listeners: dict[str, str] = {}  # ARNs
        self._build_vpc()
        self._build_nat()
        self.client = self._launch("10.60.2.10")
        self.targets = [self._launch(f"10.60.2.{21 + n}") for n in range(targets)]
        self.ec2.get_waiter("instance_running").wait(InstanceIds=[self.client, *self.targets], WaiterConfig=WAIT)
        self._build_balancer(internal)
        self.ec2.get_waiter("nat_gateway_available").wait(NatGatewayIds=[self.nat], WaiterConfig=WAIT)
        self.lead(self.back_table, NatGatewayId=self.nat)

    def _build_vpc(self) -> None:
        ec2 = self.ec2
        self.vpc = ec2.create_vpc(CidrBlock="10.60.0.0/16")["Vpc"]["VpcId"]
        self.gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        ec2.attach_internet_gateway(InternetGatewayId=self.gateway, VpcId=self.vpc)
        mine = [{"Name": "vpc-id", "Values": [self.vpc]}]
        group = ec2.describe_security_groups(Filters=mine)["SecurityGroups"][0]["GroupId"]
        ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule("-1")])
        self.front, self.front_table = self._subnet(1)
        self.back, self.back_table = self._subnet(2)
        self.lead(self.front_table, GatewayId=self.gateway)

    def _subnet(self, number: int) -> tuple[str, str]:
        """And its route table."""
        zone = self.ec2.describe_availability_zones()["AvailabilityZones"][0]["ZoneName"]
        asked = {"VpcId": self.vpc, "CidrBlock": f"10.60.{number}.0/24", "AvailabilityZone": zone}
        subnet = self.ec2.create_subnet(**asked)["Subnet"]["SubnetId"]
        table = self.ec2.create_route_table(VpcId=self.vpc)["RouteTable"]["RouteTableId"]
        self.associations[number] = self.ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)["AssociationId"]
        return subnet, table

    def lead(self, table: str, **target: str) -> Any:
        return self.ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", **target)

    def _build_nat(self) -> None:
        address = self.ec2.allocate_address(Domain="vpc")
        made = self.ec2.create_nat_gateway(SubnetId=self.front, AllocationId=address["AllocationId"])["NatGateway"]
        self.public, self.nat = address["PublicIp"], made["NatGatewayId"]

    def _launch(self, address: str) -> str:
        image = self.ec2.describe_images()["Images"][0]["ImageId"]
        asked = {"ImageId": image, "SubnetId": self.back, "PrivateIpAddress": address, "MinCount": 1, "MaxCount": 1}
        return self.ec2.run_instances(**asked)["Instances"][0]["InstanceId"]

    def _build_balancer(self, internal: bool) -> None:
        place = {"SubnetMappings": [{"SubnetId": self.front, "PrivateIPv4Address": BALANCER}]} if internal else {"Subnets": [self.front]}
        scheme = "internal" if internal else "internet-facing"
        made = self.elb.create_load_balancer(Name=self.name, Type="network", Scheme=scheme, **place)["LoadBalancers"][0]
        self.balancer = made["LoadBalancerArn"]
        self._listen("streams", "TCP", STREAMS, STREAMS)
        self._listen("datagrams", "UDP", DATAGRAMS, DATAGRAMS)
        self._listen("hidden", "TCP", HIDDEN, STREAMS)
        hides = [{"Key": "preserve_client_ip.enabled", "Value": "false"}]
        self.elb.modify_target_group_attributes(TargetGroupArn=self.groups["hidden"], Attributes=hides)

    def _listen(self, name: str, protocol: str, port: int, target_port: int) -> None:
        asked = {"Name": f"{self.name}-{name}", "Protocol": protocol, "Port": target_port, "VpcId": self.vpc, "HealthCheckPort": str(STREAMS)}
        group = self.elb.create_target_group(**asked)["TargetGroups"][0]["TargetGroupArn"]
        action = [{"Type": "forward", "TargetGroupArn": group}]
        asked = {"LoadBalancerArn": self.balancer, "Protocol": protocol, "Port": port, "DefaultActions": action}
        self.listeners[name] = self.elb.create_listener(**asked)["Listeners"][0]["ListenerArn"]
        self.groups[name] = group

    def change_every_row(self) -> None:
        """Of the cell's file that there is of it; nothing works another way than before. """
        table = self.ec2.create_route_table(VpcId=self.vpc)["RouteTable"]["RouteTableId"]
        self.lead(table, GatewayId=self.gateway)
        self.ec2.replace_route_table_association(AssociationId=self.associations[1], RouteTableId=table)
        for group in self.groups.values():
            self.elb.modify_target_group(TargetGroupArn=group, HealthCheckIntervalSeconds=20)
        longer = [{"Key": "tcp.idle_timeout.seconds", "Value": "400"}]
        for name in ("streams", "hidden"):
            self.elb.modify_listener_attributes(ListenerArn=self.listeners[name], Attributes=longer)

    @property
    def front_address(self) -> str:
        """The balancer's to the internet."""
        found = self.ec2.describe_network_interfaces(Filters=[{"Name": "subnet-id", "Values": [self.front]}])["NetworkInterfaces"]
        return next(one["Association"]["PublicIp"] for one in found if one["Description"].startswith("ELB") and "Association" in one)

    def register_targets(self) -> None:
        """Who serves already, so that a first check finds them healthy. Returns when new connections go to them."""
        targets = [{"Id": one} for one in self.targets]
        for group in self.groups.values():
            self.elb.register_targets(TargetGroupArn=group, Targets=targets)
        wait_until(self._is_healthy, f"{self.name}'s targets are healthy")

    def _is_healthy(self) -> bool:
        found = [self.elb.describe_target_health(TargetGroupArn=one)["TargetHealthDescriptions"] for one in self.groups.values()]
        return all(len(group) == len(self.targets) and all(one["TargetHealth"]["State"] == "healthy" for one in group) for group in found)


def both_tenants(region: str, wren: Callable[[str], Any], owl: Callable[[str], Any]) -> tuple[Tenant, Tenant]:
    """Made beside each other, for most of it is waiting. What they are given: clients, by service."""
    with ThreadPoolExecutor(2) as pool:
        making = pool.submit(Tenant, region, "wren", wren, 2, True), pool.submit(Tenant, region, "owl", owl, 1, False)
        return making[0].result(), making[1].result()


def wait_until(true: Callable[[], object], what: str, within: float = 60.0) -> None:
    """Raises RuntimeError."""
    deadline = time.monotonic() + within
    while not true():
        if time.monotonic() > deadline:
            raise RuntimeError(f"not within {within:.0f} s: {what}")
        time.sleep(0.02)
