"""The stage of the tour of rules: found again by Name tags, made where it is missing.

    VPC rules    10.50.0.0/16                                                     VPC partner  10.51.0.0/16
    left  10.50.1.0/24 (zone a)   client 10.50.1.10   near 10.50.1.20             p 10.51.1.0/24 (zone b)  partner 10.51.1.10
    right 10.50.2.0/24 (zone b)   server 10.50.2.10
    middle 10.50.3.0/24 (zone a)  box 10.50.3.10   (an appliance: it forwards)
"""

from __future__ import annotations

import secrets
from typing import Any, NamedTuple

from rookery.tour.permission import rule
from rookery.tour.twins import named, named_tags, wait_running


class Role(NamedTuple):
    name: str
    subnet: str
    address: str


VPCS = {"rules": "10.50.0.0/16", "partner": "10.51.0.0/16"}
SUBNETS = {
    "left": ("rules", "10.50.1.0/24", "a"),
    "right": ("rules", "10.50.2.0/24", "b"),
    "middle": ("rules", "10.50.3.0/24", "a"),
    "p": ("partner", "10.51.1.0/24", "b"),
}
ROLES = (
    Role("client", "left", "10.50.1.10"),
    Role("near", "left", "10.50.1.20"),
    Role("server", "right", "10.50.2.10"),
    Role("box", "middle", "10.50.3.10"),
    Role("partner", "p", "10.51.1.10"),
)
ADDRESS = {role.name: role.address for role in ROLES}
EVERYTHING = [rule("-1")]


class Scene:
    """`ec2`: a botocore client. `wait(answer)` returns when every host has applied what the answer says."""

    def __init__(self, ec2: Any, wait: Any):
        self.ec2 = ec2
        self.wait = wait
        self.vpcs = {name: self._vpc(name, cidr) for name, cidr in VPCS.items()}
        self.subnets = {name: self._subnet(name, *place) for name, place in SUBNETS.items()}
        self.instances = {role.name: self._instance(role) for role in ROLES}
        wait_running(ec2, list(self.instances.values()))
        self.interfaces = {name: self._interface(found) for name, found in self.instances.items()}
        self.open_groups = {vpc: self._open_group(vpc) for vpc in VPCS}
        self._tidy()

    def _open_group(self, vpc: str) -> str:
        """Admits everything."""
        filters = [{"Name": "group-name", "Values": ["open"]}, {"Name": "vpc-id", "Values": [self.vpcs[vpc]]}]
        found = self.ec2.describe_security_groups(Filters=filters)["SecurityGroups"]
        return found[0]["GroupId"] if found else self.group(vpc, EVERYTHING, name="open")

    def _vpc(self, name: str, cidr: str) -> str:
        found = self.ec2.describe_vpcs(Filters=named(name))["Vpcs"]
        made = found or [self.ec2.create_vpc(CidrBlock=cidr, TagSpecifications=named_tags("vpc", name))["Vpc"]]
        return made[0]["VpcId"]

    def _subnet(self, name: str, vpc: str, cidr: str, zone: str) -> str:
        found = self.ec2.describe_subnets(Filters=named(name, vpc_id=self.vpcs[vpc]))["Subnets"]
        if found:
            return found[0]["SubnetId"]
        made = self.ec2.create_subnet(
            VpcId=self.vpcs[vpc],
            CidrBlock=cidr,
            AvailabilityZone=f"{self.ec2.meta.region_name}{zone}",
            TagSpecifications=named_tags("subnet", name),
        )
        return made["Subnet"]["SubnetId"]

    def _instance(self, role: Role) -> str:
        filters = named(role.name, subnet_id=self.subnets[role.subnet], instance_state_name="pending,running")
        found = self.ec2.describe_instances(Filters=filters)["Reservations"]
        if found:
            return found[0]["Instances"][0]["InstanceId"]
        made = self.ec2.run_instances(
            ImageId=self.ec2.describe_images()["Images"][0]["ImageId"],
            InstanceType="t3.micro",
            MinCount=1,
            MaxCount=1,
            SubnetId=self.subnets[role.subnet],
            PrivateIpAddress=role.address,
            TagSpecifications=named_tags("instance", role.name),
        )
        return made["Instances"][0]["InstanceId"]

    def _interface(self, instance: str) -> str:
        found = self.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
        return found["NetworkInterfaces"][0]["NetworkInterfaceId"]

    def _tidy(self) -> None:
        """What an earlier tour left behind when it was interrupted."""
        self.drop_routes()
        for found in self.ec2.describe_vpc_peering_connections()["VpcPeeringConnections"]:
            ours = found["RequesterVpcInfo"]["VpcId"] in self.vpcs.values()
            if ours and found["Status"]["Code"] in ("active", "pending-acceptance"):
                self.unpeer(found["VpcPeeringConnectionId"])
        for name in ("left", "right"):
            self.guard(name, self.default_acl())
        self.check("box", on=True)

    def group(
        self,
        vpc: str,
        ingress: list[dict[str, Any]],
        egress: list[dict[str, Any]] | None = None,
        name: str = "",
    ) -> str:
        """A new security group that admits this and no more (egress: everything, unless said)."""
        name = name or f"tour {secrets.token_hex(4)}"
        made = self.ec2.create_security_group(GroupName=name, Description=name, VpcId=self.vpcs[vpc])["GroupId"]
        if egress is not None:
            self.ec2.revoke_security_group_egress(GroupId=made, IpPermissions=EVERYTHING)
            if egress:
                self.wait(self.ec2.authorize_security_group_egress(GroupId=made, IpPermissions=egress))
        if ingress:
            self.wait(self.ec2.authorize_security_group_ingress(GroupId=made, IpPermissions=ingress))
        return made

    def revoke(self, group: str, permission: dict[str, Any]) -> None:
        self.wait(self.ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=[permission]))

    def wear(self, name: str, group: str) -> None:
        interface = self.interfaces[name]
        self.wait(
            self.ec2.modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=[group])
        )

    def check(self, name: str, on: bool) -> None:
        """The source/destination check."""
        self.wait(
            self.ec2.modify_network_interface_attribute(
                NetworkInterfaceId=self.interfaces[name], SourceDestCheck={"Value": on}
            )
        )

    def default_acl(self) -> str:
        filters = [{"Name": "vpc-id", "Values": [self.vpcs["rules"]]}, {"Name": "default", "Values": ["true"]}]
        return self.ec2.describe_network_acls(Filters=filters)["NetworkAcls"][0]["NetworkAclId"]

    def acl(self, *entries: tuple[int, str, str, str, bool]) -> str:
        """A new network ACL: (number, action, protocol, CIDR, egress)."""
        made = self.ec2.create_network_acl(VpcId=self.vpcs["rules"])["NetworkAcl"]["NetworkAclId"]
        for number, action, protocol, cidr, egress in entries:
            self.ec2.create_network_acl_entry(
                NetworkAclId=made,
                RuleNumber=number,
                RuleAction=action,
                Protocol=protocol,
                CidrBlock=cidr,
                Egress=egress,
                PortRange={"From": 0, "To": 65535},
            )
        return made

    def guard(self, subnet: str, acl: str) -> None:
        subnet_id = self.subnets[subnet]
        filters = [{"Name": "association.subnet-id", "Values": [subnet_id]}]
        found = self.ec2.describe_network_acls(Filters=filters)["NetworkAcls"][0]
        if found["NetworkAclId"] == acl:
            return
        association = next(one for one in found["Associations"] if one["SubnetId"] == subnet_id)
        self.wait(
            self.ec2.replace_network_acl_association(
                AssociationId=association["NetworkAclAssociationId"], NetworkAclId=acl
            )
        )

    def table(self, vpc: str) -> dict[str, Any]:
        """The VPC's main route table."""
        filters = [{"Name": "vpc-id", "Values": [self.vpcs[vpc]]}, {"Name": "association.main", "Values": ["true"]}]
        return self.ec2.describe_route_tables(Filters=filters)["RouteTables"][0]

    def own_table(self, subnet: str) -> str:
        """A route table for this subnet alone; rookery.tour.scene.Scene.drop_routes takes it away."""
        found = self._own_tables(subnet)
        if found:
            return found[0]["RouteTableId"]
        vpc = self.vpcs[SUBNETS[subnet][0]]
        made = self.ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
        self.wait(self.ec2.associate_route_table(RouteTableId=made, SubnetId=self.subnets[subnet]))
        return made

    def _own_tables(self, subnet: str) -> list[dict[str, Any]]:
        filters = [{"Name": "association.subnet-id", "Values": [self.subnets[subnet]]}]
        return self.ec2.describe_route_tables(Filters=filters)["RouteTables"]

    def route(self, table: str, destination: str, **target: str) -> None:
        self.wait(self.ec2.create_route(RouteTableId=table, DestinationCidrBlock=destination, **target))

    def state(self, table: str, destination: str) -> str:
        found = self.ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"][0]["Routes"]
        return next(route["State"] for route in found if route.get("DestinationCidrBlock") == destination)

    def drop_routes(self) -> None:
        """No written routes, no tables of single subnets."""
        for vpc in self.vpcs:
            self._empty(self.table(vpc))
        for subnet in self.subnets:
            for table in self._own_tables(subnet):
                for association in table["Associations"]:
                    association_id = association["RouteTableAssociationId"]
                    self.wait(self.ec2.disassociate_route_table(AssociationId=association_id))
                self.ec2.delete_route_table(RouteTableId=table["RouteTableId"])

    def _empty(self, table: dict[str, Any]) -> None:
        for route in table["Routes"]:
            if route["Origin"] == "CreateRoute":
                destination = route["DestinationCidrBlock"]
                self.wait(
                    self.ec2.delete_route(RouteTableId=table["RouteTableId"], DestinationCidrBlock=destination)
                )

    def peer(self, one: str, other: str) -> dict[str, Any]:
        """A request for a peering between two VPCs, given by id."""
        made = self.ec2.create_vpc_peering_connection(VpcId=one, PeerVpcId=other)["VpcPeeringConnection"]
        found = self.ec2.describe_vpc_peering_connections(
            VpcPeeringConnectionIds=[made["VpcPeeringConnectionId"]]
        )
        return found["VpcPeeringConnections"][0]

    def unpeer(self, pcx: str) -> None:
        self.wait(self.ec2.delete_vpc_peering_connection(VpcPeeringConnectionId=pcx))
