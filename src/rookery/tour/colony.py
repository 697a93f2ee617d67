"""The stage of the tour of Hyperplane: VPCs and instances are found again by Name tags, made where they are missing; what a cell works for
is made by the lessons, and taken away.

    VPC colony 10.62.0.0/16, with an internet gateway            VPC island 10.62.0.0/16 (the same addresses)
    colony-shore 10.62.0.0/24 (zone a)  0.0.0.0/0 -> gateway     island-a 10.62.1.0/24 (zone a)  visitor 10.62.1.10
    colony-nests 10.62.1.0/24 (zone a)  0.0.0.0/0 -> NAT gateway
      king 10.62.1.10   rockhopper 10.62.1.11   macaroni 10.62.1.12   all serve; nobody has a public address
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from rookery.tour.permission import rule
from rookery.tour.twins import named, named_tags, wait_running, wait_until

BLOCK = "10.62.0.0/16"
NAME = "colony"  # of the balancer, its target group, and everything that has a Name tag


class Bird(NamedTuple):
    name: str
    subnet: str
    address: str


SUBNETS = {"colony-shore": ("colony", "10.62.0.0/24"), "colony-nests": ("colony", "10.62.1.0/24"), "island-a": ("island", "10.62.1.0/24")}
SERVERS = ("king", "rockhopper", "macaroni")
BIRDS = (
    Bird("king", "colony-nests", "10.62.1.10"),
    Bird("rockhopper", "colony-nests", "10.62.1.11"),
    Bird("macaroni", "colony-nests", "10.62.1.12"),
    Bird("visitor", "island-a", "10.62.1.10"),
)
SERVED, CHECKED = 80, 8080


class Colony:
    """`ec2`, `elb`: botocore clients. `wait(answer)` returns when every host, edge and node has applied what the answer says."""

    def __init__(self, ec2: Any, elb: Any, wait: Any):
        self.ec2, self.elb, self.wait = ec2, elb, wait
        self.vpcs = {name: self._vpc(name) for name in ("colony", "island")}
        self.subnets = {name: self._subnet(name, *place) for name, place in SUBNETS.items()}
        self.clear()
        self.gateway = self._gateway()
        self._lead(self._own_table("colony-shore"), GatewayId=self.gateway)
        self.instances = {bird.name: self._instance(bird) for bird in BIRDS}
        wait_running(ec2, list(self.instances.values()))
        for vpc in self.vpcs.values():
            self._open(vpc)

    # What stays

    def _vpc(self, name: str) -> str:
        found = self.ec2.describe_vpcs(Filters=named(name))["Vpcs"]
        made = found or [self.ec2.create_vpc(CidrBlock=BLOCK, TagSpecifications=named_tags("vpc", name))["Vpc"]]
        return str(made[0]["VpcId"])

    def _subnet(self, name: str, vpc: str, cidr: str) -> str:
        found = self.ec2.describe_subnets(Filters=named(name, vpc_id=self.vpcs[vpc]))["Subnets"]
        if found:
            return str(found[0]["SubnetId"])
        asked = {"VpcId": self.vpcs[vpc], "CidrBlock": cidr, "AvailabilityZone": f"{self.ec2.meta.region_name}a"}
        return str(self.ec2.create_subnet(**asked, TagSpecifications=named_tags("subnet", name))["Subnet"]["SubnetId"])

    def _gateway(self) -> str:
        found = self.ec2.describe_internet_gateways(Filters=named(NAME))["InternetGateways"]
        if not found:
            tags = named_tags("internet-gateway", NAME)
            found = [self.ec2.create_internet_gateway(TagSpecifications=tags)["InternetGateway"]]
        if not found[0].get("Attachments"):
            self.wait(self.ec2.attach_internet_gateway(InternetGatewayId=found[0]["InternetGatewayId"], VpcId=self.vpcs["colony"]))
        return str(found[0]["InternetGatewayId"])

    def _own_table(self, subnet: str) -> str:
        filters = [{"Name": "association.subnet-id", "Values": [self.subnets[subnet]]}]
        found = self.ec2.describe_route_tables(Filters=filters)["RouteTables"]
        if found:
            return str(found[0]["RouteTableId"])
        made = self.ec2.create_route_table(VpcId=self.vpcs["colony"])["RouteTable"]["RouteTableId"]
        self.wait(self.ec2.associate_route_table(RouteTableId=made, SubnetId=self.subnets[subnet]))
        return str(made)

    def _lead(self, table: str, **target: str) -> None:
        """Everything that is not local, and only there."""
        routes = self.ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"][0]["Routes"]
        change = self.ec2.create_route if len(routes) == 1 else self.ec2.replace_route
        self.wait(change(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", **target))

    def _instance(self, bird: Bird) -> str:
        filters = named(bird.name, subnet_id=self.subnets[bird.subnet], instance_state_name="pending,running")
        found = self.ec2.describe_instances(Filters=filters)["Reservations"]
        if found:
            return str(found[0]["Instances"][0]["InstanceId"])
        made = self.ec2.run_instances(
            ImageId=self.ec2.describe_images()["Images"][0]["ImageId"],
            InstanceType="t3.micro",
            MinCount=1,
            MaxCount=1,
            SubnetId=self.subnets[bird.subnet],
            PrivateIpAddress=bird.address,
            TagSpecifications=named_tags("instance", bird.name),
        )
        return str(made["Instances"][0]["InstanceId"])

    def _open(self, vpc: str) -> None:
        """The default group: to web clients from anywhere."""
        group = self._default_group(vpc)
        with contextlib.suppress(ClientError):  # it is already
            permissions = [rule("tcp", SERVED), rule("tcp", CHECKED)]
            self.wait(self.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=permissions))

    def _default_group(self, vpc: str) -> str:
        filters = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "group-name", "Values": ["default"]}]
        return str(self.ec2.describe_security_groups(Filters=filters)["SecurityGroups"][0]["GroupId"])

    # What lessons make

    def make_nat(self) -> tuple[str, str]:
        """(id, its public address), and the route of the nests to it."""
        tags = named_tags("elastic-ip", NAME)
        address = self.ec2.allocate_address(Domain="vpc", TagSpecifications=tags)
        asked = {"SubnetId": self.subnets["colony-shore"], "AllocationId": address["AllocationId"]}
        nat = self.ec2.create_nat_gateway(**asked)["NatGateway"]["NatGatewayId"]
        wait_until(lambda: self._nats("available"), lambda: f"{nat} does not become available")
        self._lead(self._own_table("colony-nests"), NatGatewayId=nat)
        return str(nat), str(address["PublicIp"])

    def make_balancer(self) -> tuple[str, str]:
        """(private address, public address): TCP 80 to the servers that are registered. Active."""
        asked = {"Type": "network", "Scheme": "internet-facing", "Subnets": [self.subnets["colony-shore"]]}
        balancer = self.elb.create_load_balancer(Name=NAME, **asked)["LoadBalancers"][0]["LoadBalancerArn"]
        checks = {"HealthCheckPort": str(CHECKED), "HealthCheckIntervalSeconds": 5, "HealthCheckTimeoutSeconds": 2}
        group = {"Protocol": "TCP", "Port": SERVED, "VpcId": self.vpcs["colony"], "TargetType": "instance", **checks}
        self.group = self.elb.create_target_group(Name=NAME, **group)["TargetGroups"][0]["TargetGroupArn"]
        actions = [{"Type": "forward", "TargetGroupArn": self.group}]
        self.elb.create_listener(LoadBalancerArn=balancer, Protocol="TCP", Port=SERVED, DefaultActions=actions)
        wait_until(lambda: self._balancers()[0]["State"]["Code"] == "active", lambda: f"{balancer} does not become active")
        return self.front()

    def front(self) -> tuple[str, str]:
        """(private address, public address) of the balancer."""
        path = self._balancers()[0]["LoadBalancerArn"].partition("loadbalancer/")[2]
        filters = [{"Name": "description", "Values": [f"ELB {path}"]}]
        (found,) = self.ec2.describe_network_interfaces(Filters=filters)["NetworkInterfaces"]
        return found["PrivateIpAddress"], found["Association"]["PublicIp"]

    def register(self, *names: str) -> None:
        self.elb.register_targets(TargetGroupArn=self.group, Targets=[{"Id": self.instances[name]} for name in names])

    def deregister(self, name: str) -> None:
        self.elb.deregister_targets(TargetGroupArn=self.group, Targets=[{"Id": self.instances[name]}])

    def states(self) -> dict[str, str]:
        """Of the targets, by name."""
        names = {found: name for name, found in self.instances.items()}
        told = self.elb.describe_target_health(TargetGroupArn=self.group)["TargetHealthDescriptions"]
        return {names[one["Target"]["Id"]]: one["TargetHealth"]["State"] for one in told}

    def make_endpoint(self) -> tuple[str, str, str]:
        """(service, endpoint, its address): of the balancer, in the island. Nobody has accepted it yet."""
        offered = {"NetworkLoadBalancerArns": [self._balancers()[0]["LoadBalancerArn"]], "AcceptanceRequired": True}
        tags = named_tags("vpc-endpoint-service", NAME)
        service = self.ec2.create_vpc_endpoint_service_configuration(**offered, TagSpecifications=tags)["ServiceConfiguration"]
        made = self.ec2.create_vpc_endpoint(
            VpcId=self.vpcs["island"],
            VpcEndpointType="Interface",
            ServiceName=service["ServiceName"],
            SubnetIds=[self.subnets["island-a"]],
            SecurityGroupIds=[self._default_group(self.vpcs["island"])],
        )
        self.wait(made)
        endpoint = self._endpoint(made["VpcEndpoint"]["VpcEndpointId"])
        (front,) = self.ec2.describe_network_interfaces(NetworkInterfaceIds=endpoint["NetworkInterfaceIds"])["NetworkInterfaces"]
        return service["ServiceId"], endpoint["VpcEndpointId"], front["PrivateIpAddress"]

    def accept(self, service: str, endpoint: str) -> None:
        self.ec2.accept_vpc_endpoint_connections(ServiceId=service, VpcEndpointIds=[endpoint])
        wait_until(lambda: self._endpoint(endpoint)["State"] == "available", lambda: f"{endpoint} does not become available")

    def reject(self, service: str, endpoint: str) -> None:
        self.ec2.reject_vpc_endpoint_connections(ServiceId=service, VpcEndpointIds=[endpoint])

    def name_of(self, endpoint: str) -> str:
        return str(self._endpoint(endpoint)["DnsEntries"][0]["DnsName"])

    def _endpoint(self, endpoint: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = self.ec2.describe_vpc_endpoints(VpcEndpointIds=[endpoint])["VpcEndpoints"]
        return found[0]

    def _nats(self, *states: str) -> list[str]:
        filters = [{"Name": "vpc-id", "Values": [self.vpcs["colony"]]}, {"Name": "state", "Values": list(states)}]
        return [one["NatGatewayId"] for one in self.ec2.describe_nat_gateways(Filters=filters)["NatGateways"]]

    def _balancers(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.elb.describe_load_balancers()["LoadBalancers"]
        return [one for one in found if one["LoadBalancerName"] == NAME and one["VpcId"] == self.vpcs["colony"]]

    # What goes, also that of a tour that was interrupted

    def clear(self) -> None:
        """Everything that a cell works for."""
        self._clear_endpoints()
        for balancer in self._balancers():
            self.elb.delete_load_balancer(LoadBalancerArn=balancer["LoadBalancerArn"])
        for group in self.elb.describe_target_groups()["TargetGroups"]:
            if group["TargetGroupName"] == NAME and group["VpcId"] == self.vpcs["colony"]:
                self.elb.delete_target_group(TargetGroupArn=group["TargetGroupArn"])
        self._clear_nats()

    def _clear_endpoints(self) -> None:
        def endpoints() -> list[str]:
            filters = [{"Name": "vpc-id", "Values": [self.vpcs["island"]]}]
            return [one["VpcEndpointId"] for one in self.ec2.describe_vpc_endpoints(Filters=filters)["VpcEndpoints"]]

        if found := endpoints():
            self.ec2.delete_vpc_endpoints(VpcEndpointIds=found)
            wait_until(lambda: not endpoints(), lambda: f"{found} do not go")
        services = self.ec2.describe_vpc_endpoint_service_configurations(Filters=named(NAME))["ServiceConfigurations"]
        if services:
            self.ec2.delete_vpc_endpoint_service_configurations(ServiceIds=[one["ServiceId"] for one in services])

    def _clear_nats(self) -> None:
        for nat in self._nats("pending", "available"):
            self.ec2.delete_nat_gateway(NatGatewayId=nat)
        wait_until(lambda: not self._nats("pending", "available", "deleting"), lambda: "the NAT gateway does not go")
        for address in self._addresses():
            self.ec2.release_address(AllocationId=address["AllocationId"])

    def _addresses(self) -> Iterator[dict[str, Any]]:
        yield from self.ec2.describe_addresses(Filters=named(NAME))["Addresses"]
