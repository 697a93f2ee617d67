"""A street of VPCs, of two accounts that nobody else uses: a shop behind its balancers, and who buys there.

    outside (the page's machine)
       |  internet gateway
    VPC shop 10.80.0.0/16                 VPC buyer 10.80.0.0/16 (the same)     VPC friend 10.81.0.0/16, peered with buyer
      a 10.80.1.0/24  one .10  three .30    a 10.80.1.0/24  buyer .10             a 10.81.1.0/24  friend .10
                      client .20  kept .40
      b 10.80.2.0/24  two .10

Shop and buyer have IPv6 in zone a, where one, client and buyer have a primary address of it.

one, two, three and kept are targets; everybody is open to all, but kept, which admits the group "guard" only. Each says on each of PORTS, by TCP and UDP, who it is and whom it sees."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv6Network
from typing import Any

from rookery.region.inside import entering
from rookery.region.layout import Layout
from rookery.region.namespaces import inside
from rookery.region.status import live_generation
from rookery.tour.permission import rule
from rookery.tour.talk import Talker, talker_in, talker_outside
from tests.cloudwatch import measured
from tests.waiting import until

VPCS = {"shop": "10.80.0.0/16", "buyer": "10.80.0.0/16", "friend": "10.81.0.0/16"}
SUBNETS = {  # VPC, CIDR, zone
    "shop a": ("shop", "10.80.1.0/24", "us-east-1a"),
    "shop b": ("shop", "10.80.2.0/24", "us-east-1b"),
    "buyer a": ("buyer", "10.80.1.0/24", "us-east-1a"),
    "friend a": ("friend", "10.81.1.0/24", "us-east-1a"),
}
PLACES = {
    "one": ("shop a", "10.80.1.10"),
    "three": ("shop a", "10.80.1.30"),
    "client": ("shop a", "10.80.1.20"),
    "kept": ("shop a", "10.80.1.40"),
    "two": ("shop b", "10.80.2.10"),
    "buyer": ("buyer a", "10.80.1.10"),
    "friend": ("friend a", "10.81.1.10"),
}
TARGETS = ("one", "two", "three", "kept")
WITH_IPV6 = {"shop a": ("one", "client"), "buyer a": ("buyer",)}
CHECKED = 7  # where everybody is well
ENDS = 8  # where those are well who have not left it
APART = 9  # where the balancer's address in zone b does not reach three
PORTS = (CHECKED, ENDS, APART, 53, 80, 81, 82)
EVERYTHING = [rule("-1"), rule("-1", source="::/0")]
SHORT = 0.7  # seconds: a packet of this machine needs less than a hundredth of that
LONG = 3.0


def address(name: str) -> str:
    return PLACES[name][1]


@dataclass
class Street:
    """Ids and ARNs by name. The buyer and the friend are of another account than the shop."""

    region: Any
    clients: dict[str, Any]  # "ec2", "elb" and "buyer": EC2 of the other account; "shop's metrics" and "buyer's metrics"
    buyers_account: str
    vpcs: dict[str, str] = field(default_factory=dict)
    subnets: dict[str, str] = field(default_factory=dict)
    instances: dict[str, str] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    targets: dict[str, str] = field(default_factory=dict)
    balancers: dict[str, str] = field(default_factory=dict)
    talkers: dict[str, Talker] = field(default_factory=dict)

    @property
    def ec2(self) -> Any:
        return self.clients["ec2"]

    @property
    def elb(self) -> Any:
        return self.clients["elb"]

    @property
    def plan(self) -> Layout:
        return Layout(self.region.name)

    def ec2_of(self, vpc: str) -> Any:
        return self.clients["ec2" if vpc == "shop" else "buyer"]

    def ipv6_of(self, name: str) -> str:
        ec2 = self.ec2_of(SUBNETS[PLACES[name][0]][0])
        (found,) = ec2.describe_instances(InstanceIds=[self.instances[name]])["Reservations"][0]["Instances"]
        return found["NetworkInterfaces"][0]["Ipv6Addresses"][0]["Ipv6Address"]

    def now(self, answer: Any) -> Any:
        """When every host, edge and node has applied what the answer says; what is in the cell's file comes later."""
        generation = int(answer["ResponseMetadata"]["HTTPHeaders"]["x-rookery-generation"])
        until(lambda: live_generation(self.region.name) >= generation, "hosts, edges and nodes follow")
        return answer

    def talk(self, name: str) -> Talker:
        """"outside": at the page's machine."""
        if name not in self.talkers:
            outside = name == "outside"
            self.talkers[name] = talker_outside(self.plan.page_namespace) if outside else talker_in(self.region.name, self.instances[name])
        return self.talkers[name]

    def ask(self, who: str, to: str, port: int, patience: float = LONG) -> str:
        return self.talk(who)("ask", to, port, patience)

    def asks(self, who: str, to: str, port: int, times: int = 12) -> set[str]:
        """Who answers."""
        return {self.ask(who, to, port).split()[0] for _ in range(times)}

    def pings(self, who: str, to: str) -> bool:
        ping = ("ping", "-n", "-c", "1", "-W", str(SHORT), to)
        enter, environment = (inside(self.plan.page_namespace, *ping), None) if who == "outside" else entering(self.region.name, self.instances[who], list(ping))
        return subprocess.run(enter, env=environment, capture_output=True, check=False, timeout=20).returncode == 0

    def group(self, name: str, vpc: str, ingress: Sequence[dict[str, Any]]) -> str:
        ec2 = self.ec2_of(vpc)
        made = ec2.create_security_group(GroupName=name, Description=name, VpcId=self.vpcs[vpc])["GroupId"]
        if ingress:
            ec2.authorize_security_group_ingress(GroupId=made, IpPermissions=list(ingress))
        self.groups[name] = made
        return made

    def let_nothing_out(self, group: str) -> None:
        everywhere = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
        self.ec2.revoke_security_group_egress(GroupId=self.groups[group], IpPermissions=everywhere)

    def keep_apart(self, subnet: str, to: str, port: int) -> None:
        """The subnet's network ACL lets TCP to this port of an instance no longer out."""
        made = self.ec2.create_network_acl(VpcId=self.vpcs["shop"])["NetworkAcl"]["NetworkAclId"]
        everything = {"NetworkAclId": made, "Protocol": "-1", "CidrBlock": "0.0.0.0/0"}
        for egress in (True, False):
            self.ec2.create_network_acl_entry(**everything, RuleNumber=100, RuleAction="allow", Egress=egress)
        denied = {**everything, "Protocol": "6", "CidrBlock": f"{address(to)}/32", "PortRange": {"From": port, "To": port}}
        self.ec2.create_network_acl_entry(**denied, RuleNumber=50, RuleAction="deny", Egress=True)
        of_subnet = [{"Name": "association.subnet-id", "Values": [self.subnets[subnet]]}]
        (before,) = self.ec2.describe_network_acls(Filters=of_subnet)["NetworkAcls"]
        (association,) = [one for one in before["Associations"] if one["SubnetId"] == self.subnets[subnet]]
        self.ec2.replace_network_acl_association(AssociationId=association["NetworkAclAssociationId"], NetworkAclId=made)

    def measured(self, whose: str, namespace: str, name: str, statistic: str, **dimensions: str) -> float:
        """In the last hour: what was counted, or the highest. `whose`: "shop" or "buyer"; in dimensions' names __ stands for a blank."""
        named = {key.replace("__", " "): value for key, value in dimensions.items()}
        return measured(self.clients[f"{whose}'s metrics"], namespace, name, statistic, named)

    def target_group(
        self, name: str, protocol: str, port: int, *targets: str, by: str = "instance", check: int = CHECKED, family: str = "ipv4"
    ) -> str:
        """`check`: port of the health checks."""
        asked = {"Protocol": protocol, "Port": port, "VpcId": self.vpcs["shop"], "TargetType": by, "IpAddressType": family}
        checks = {"HealthCheckProtocol": "TCP", "HealthCheckPort": str(check), "HealthCheckIntervalSeconds": 5, "HealthCheckTimeoutSeconds": 2}
        made = self.elb.create_target_group(Name=name, **asked, **checks, HealthyThresholdCount=2)["TargetGroups"][0]
        self.targets[name] = made["TargetGroupArn"]
        ids = [self.instances[one] if by == "instance" else address(one) for one in targets]
        self.elb.register_targets(TargetGroupArn=self.targets[name], Targets=[{"Id": one} for one in ids])
        return self.targets[name]

    def balancer(self, name: str, zones: str = "ab", **more: Any) -> str:
        """Internal unless said otherwise."""
        subnets = [self.subnets[f"shop {zone}"] for zone in zones]
        asked = {"Name": name, "Type": "network", "Scheme": "internal", "Subnets": subnets, **more}
        self.balancers[name] = self.elb.create_load_balancer(**asked)["LoadBalancers"][0]["LoadBalancerArn"]
        return self.balancers[name]

    def listen(self, balancer: str, port: int, group: str, protocol: str = "TCP") -> None:
        forward = [{"Type": "forward", "TargetGroupArn": self.targets[group]}]
        self.elb.create_listener(LoadBalancerArn=self.balancers[balancer], Protocol=protocol, Port=port, DefaultActions=forward)

    def weigh(self, balancer: str, port: int, **weights: int) -> None:
        """A listener with so many shares of new connections for each target group, made or changed."""
        rows = [{"TargetGroupArn": self.targets[name], "Weight": weight} for name, weight in weights.items()]
        actions = [{"Type": "forward", "ForwardConfig": {"TargetGroups": rows}}]
        found = self.elb.describe_listeners(LoadBalancerArn=self.balancers[balancer])["Listeners"]
        there = next((one["ListenerArn"] for one in found if one["Port"] == port), None)
        if there:
            self.elb.modify_listener(ListenerArn=there, DefaultActions=actions)
        else:
            asked = {"LoadBalancerArn": self.balancers[balancer], "Protocol": "TCP", "Port": port}
            self.elb.create_listener(**asked, DefaultActions=actions)

    def set_group(self, name: str, **values: str) -> None:
        """A target group's attributes; __ stands for a dot."""
        pairs = [{"Key": key.replace("__", "."), "Value": value} for key, value in values.items()]
        self.elb.modify_target_group_attributes(TargetGroupArn=self.targets[name], Attributes=pairs)

    def fronts(self, balancer: str) -> dict[str, tuple[str, str]]:
        """By zone's letter: private address, public address or ''."""
        path = self.balancers[balancer].partition("loadbalancer/")[2]
        found = self.ec2.describe_network_interfaces(Filters=[{"Name": "description", "Values": [f"ELB {path}"]}])["NetworkInterfaces"]
        return {one["AvailabilityZone"][-1]: (one["PrivateIpAddress"], one.get("Association", {}).get("PublicIp", "")) for one in found}

    def fronts_ipv6(self, balancer: str) -> dict[str, str]:
        path = self.balancers[balancer].partition("loadbalancer/")[2]
        found = self.ec2.describe_network_interfaces(Filters=[{"Name": "description", "Values": [f"ELB {path}"]}])["NetworkInterfaces"]
        return {one["AvailabilityZone"][-1]: one["Ipv6Address"] for one in found}

    def until_active(self) -> None:
        self.elb.get_waiter("load_balancer_available").wait(LoadBalancerArns=list(self.balancers.values()), WaiterConfig={"Delay": 0.2, "MaxAttempts": 150})

    def end(self) -> None:
        for talker in self.talkers.values():
            talker.end()


def built(region: Any) -> Street:
    _, key = region.new_account()
    account, other = region.new_account()
    clients = {"ec2": region.client(key=key), "elb": region.client("elbv2", key=key), "buyer": region.client(key=other)}
    watching = {f"{whose}'s metrics": region.client("cloudwatch", key=of) for whose, of in (("shop", key), ("buyer", other))}
    street = Street(region, clients | watching, account)
    for name, cidr in VPCS.items():
        street.vpcs[name] = street.ec2_of(name).create_vpc(CidrBlock=cidr)["Vpc"]["VpcId"]
    for name, (vpc, cidr, zone) in SUBNETS.items():
        ipv6 = {"Ipv6CidrBlock": _first_block(street, vpc)} if name in WITH_IPV6 else {}
        made = street.ec2_of(vpc).create_subnet(VpcId=street.vpcs[vpc], CidrBlock=cidr, AvailabilityZone=zone, **ipv6)
        street.subnets[name] = made["Subnet"]["SubnetId"]
    for vpc in VPCS:
        street.group(f"open {vpc}", vpc, EVERYTHING)
    street.group("guard", "shop", [rule("tcp", 80, source=f"{address('client')}/32")])
    street.group("behind guard", "shop", [rule("-1", source=street.groups["guard"])])
    for name in PLACES:
        _launch(street, name)
    _lead_out(street)
    _peer(street)
    for vpc in ("shop", "buyer"):
        ids = [found for name, found in street.instances.items() if (PLACES[name][0].startswith("shop")) == (vpc == "shop")]
        street.ec2_of(vpc).get_waiter("instance_running").wait(InstanceIds=ids, WaiterConfig={"Delay": 0.1, "MaxAttempts": 300})
    for name in TARGETS:
        for port in PORTS:
            street.talk(name)("greet", name, port)
    return street


def _first_block(street: Street, vpc: str) -> str:
    """A /64 of the VPC's new block."""
    ec2, vpc_id = street.ec2_of(vpc), street.vpcs[vpc]
    ec2.associate_vpc_cidr_block(VpcId=vpc_id, AmazonProvidedIpv6CidrBlock=True)
    (described,) = ec2.describe_vpcs(VpcIds=[vpc_id])["Vpcs"]
    whole = IPv6Network(described["Ipv6CidrBlockAssociationSet"][0]["Ipv6CidrBlock"])
    return str(next(whole.subnets(new_prefix=64)))


def _launch(street: Street, name: str) -> None:
    subnet, private = PLACES[name]
    vpc = SUBNETS[subnet][0]
    ec2 = street.ec2_of(vpc)
    asked = {"ImageId": ec2.describe_images()["Images"][0]["ImageId"], "InstanceType": "t3.small", "MinCount": 1, "MaxCount": 1}
    group = street.groups["behind guard" if name == "kept" else f"open {vpc}"]
    more: dict[str, Any] = {"SubnetId": street.subnets[subnet], "PrivateIpAddress": private, "SecurityGroupIds": [group]}
    if name in WITH_IPV6.get(subnet, ()):
        more |= {"Ipv6AddressCount": 1, "EnablePrimaryIpv6": True}
    street.instances[name] = ec2.run_instances(**asked, **more)["Instances"][0]["InstanceId"]


def main_table(ec2: Any, vpc: str) -> str:
    main = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "association.main", "Values": ["true"]}]
    return ec2.describe_route_tables(Filters=main)["RouteTables"][0]["RouteTableId"]


def _lead_out(street: Street) -> None:
    gateway = street.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    street.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=street.vpcs["shop"])
    table = main_table(street.ec2, street.vpcs["shop"])
    street.ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    street.ec2.create_route(RouteTableId=table, DestinationIpv6CidrBlock="::/0", GatewayId=gateway)


def _peer(street: Street) -> None:
    ec2, ends = street.clients["buyer"], {"buyer": "friend", "friend": "buyer"}
    made = ec2.create_vpc_peering_connection(VpcId=street.vpcs["buyer"], PeerVpcId=street.vpcs["friend"])["VpcPeeringConnection"]
    peering = {"VpcPeeringConnectionId": made["VpcPeeringConnectionId"]}
    ec2.accept_vpc_peering_connection(**peering)
    for one, other in ends.items():
        ec2.create_route(RouteTableId=main_table(ec2, street.vpcs[one]), DestinationCidrBlock=VPCS[other], **peering)
