"""Peering on real packets.

    hub 10.40.0.0/16     a 10.40.1.10 (zone a)       the account of the tests
    one 10.41.0.0/16     b 10.41.1.10 (zone b)       the same account, peered with hub
    two 10.42.0.0/16     c 10.42.1.10 (zone a)       the same account, peered with one
"""

from __future__ import annotations

import pytest

from rookery.tour.permission import rule
from tests.rules.conftest import ALL, PATIENCE, make_stage

VPCS = {"hub": ("10.40.0.0/16", "a", 0), "one": ("10.41.0.0/16", "b", 1), "two": ("10.42.0.0/16", "c", 0)}


def address(name: str) -> str:
    return {"a": "10.40.1.10", "b": "10.41.1.10", "c": "10.42.1.10"}[name]


class Net:
    def __init__(self, region):
        self.stage = stage = make_stage(region)
        self.ec2 = stage.ec2
        self.vpcs: dict[str, str] = {}
        for vpc, (cidr, name, zone) in VPCS.items():
            self.vpcs[vpc] = self.ec2.create_vpc(CidrBlock=cidr)["Vpc"]["VpcId"]
            stage.make_subnet(vpc, self.vpcs[vpc], cidr.replace(".0.0/16", ".1.0/24"), zone)
            stage.launch(name, vpc, address(name))
        stage.wait_until_running()
        self.open = {vpc: stage.group(ALL, vpc=self.vpcs[vpc]) for vpc in VPCS}

    def request(self, one: str, other: str) -> str:
        made = self.ec2.create_vpc_peering_connection(VpcId=self.vpcs[one], PeerVpcId=self.vpcs[other])
        return made["VpcPeeringConnection"]["VpcPeeringConnectionId"]

    def accept(self, pcx: str) -> None:
        self.stage.now(self.ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=pcx))

    def delete(self, pcx: str) -> None:
        self.stage.now(self.ec2.delete_vpc_peering_connection(VpcPeeringConnectionId=pcx))

    def table(self, vpc: str) -> dict:
        filters = [{"Name": "vpc-id", "Values": [self.vpcs[vpc]]}]
        return self.ec2.describe_route_tables(Filters=filters)["RouteTables"][0]

    def route(self, vpc: str, destination: str, pcx: str) -> None:
        self.stage.now(
            self.ec2.create_route(
                RouteTableId=self.table(vpc)["RouteTableId"],
                DestinationCidrBlock=destination,
                VpcPeeringConnectionId=pcx,
            )
        )

    def state(self, vpc: str, destination: str) -> str:
        return next(r["State"] for r in self.table(vpc)["Routes"] if r["DestinationCidrBlock"] == destination)

    def clean(self) -> None:
        """No written routes, no peerings, everybody open."""
        for vpc, (_cidr, name, _zone) in VPCS.items():
            self.stage.wear(name, self.open[vpc])
        for vpc in VPCS:
            table = self.table(vpc)
            for route in table["Routes"]:
                if route["Origin"] == "CreateRoute":
                    self.ec2.delete_route(
                        RouteTableId=table["RouteTableId"], DestinationCidrBlock=route["DestinationCidrBlock"]
                    )
        for one in self.ec2.describe_vpc_peering_connections()["VpcPeeringConnections"]:
            if one["Status"]["Code"] in ("active", "pending-acceptance"):
                self.delete(one["VpcPeeringConnectionId"])


@pytest.fixture(scope="module")
def whole_net(region) -> Net:
    return Net(region)


@pytest.fixture
def net(whole_net) -> Net:
    whole_net.clean()
    return whole_net


def peered(net: Net, one: str, other: str) -> str:
    pcx = net.request(one, other)
    net.accept(pcx)
    net.route(one, VPCS[other][0], pcx)
    net.route(other, VPCS[one][0], pcx)
    return pcx


def test_t9_04_a_pending_peering_is_a_black_hole_until_it_is_accepted(net):
    pcx = net.request("hub", "one")
    net.route("hub", "10.41.0.0/16", pcx)
    net.route("one", "10.40.0.0/16", pcx)
    assert net.state("hub", "10.41.0.0/16") == "blackhole"
    assert not net.stage.ping("a", address("b"))
    net.accept(pcx)
    assert net.state("hub", "10.41.0.0/16") == "active"
    assert net.stage.ping("a", address("b"))


def test_t9_05_and_t4_11_a_deleted_peering_stops_packets_and_leaves_stale_rules(net):
    pcx = peered(net, "hub", "one")
    friends = net.stage.group(ALL, vpc=net.vpcs["hub"])
    net.stage.wear("a", friends)
    guarded = net.stage.group([rule("icmp", source=friends)], vpc=net.vpcs["one"])
    net.stage.wear("b", guarded)
    assert net.stage.ping("a", address("b"))
    net.delete(pcx)
    assert net.state("hub", "10.41.0.0/16") == "blackhole"
    assert not net.stage.ping("a", address("b"))
    stale = net.ec2.describe_stale_security_groups(VpcId=net.vpcs["one"])["StaleSecurityGroupSet"]
    assert [one["GroupId"] for one in stale] == [guarded]


def test_t9_02_there_is_no_way_through_a_peer_to_its_peers(net):
    pcx = peered(net, "hub", "one")
    peered(net, "one", "two")
    net.route("hub", "10.42.0.0/16", pcx)
    before = net.stage.drops("drop_no_mapping")
    assert not net.stage.ping("a", address("c"))
    assert net.stage.drops("drop_no_mapping") > before


def test_t9_07_a_peering_is_no_hop_and_carries_packets_as_large_as_within_a_vpc(net):
    peered(net, "hub", "one")
    said = net.stage.run("a", "ping", "-c1", "-W1", "-t1", address("b")).stdout.decode()
    assert "ttl=64" in said
    assert net.stage.ping("a", address("b"), "-Mdo", "-s1472")


def test_peers_have_no_packets_of_each_other_but_by_a_route(net):
    pcx = net.request("hub", "one")
    net.accept(pcx)
    net.route("hub", "10.41.0.0/16", pcx)
    assert not net.stage.ping("a", address("b"))  # the answer finds no route
    net.route("one", "10.40.0.0/16", pcx)
    assert net.stage.ping("a", address("b"))
    assert net.stage.talk("a")("connect", "kept", address("b"), 9, PATIENCE) == "refused"


def test_a_request_that_overlaps_ends_as_failed(net):
    twin = net.ec2.create_vpc(CidrBlock="10.40.128.0/17")["Vpc"]["VpcId"]
    made = net.ec2.create_vpc_peering_connection(VpcId=net.vpcs["hub"], PeerVpcId=twin)
    pcx = made["VpcPeeringConnection"]["VpcPeeringConnectionId"]
    found = net.ec2.describe_vpc_peering_connections(VpcPeeringConnectionIds=[pcx])
    assert found["VpcPeeringConnections"][0]["Status"]["Code"] == "failed"
    net.ec2.delete_vpc(VpcId=twin)


def test_t9_03_a_default_route_to_a_peer_leads_to_its_own_addresses_only(net):
    """T6-17: nor to a NAT gateway of the peer's, which no address of the internet is."""
    pcx = peered(net, "hub", "one")
    net.route("hub", "0.0.0.0/0", pcx)
    before = net.stage.drops("drop_no_mapping")
    assert not net.stage.ping("a", "198.51.100.7")
    assert net.stage.drops("drop_no_mapping") > before
    assert net.stage.ping("a", address("b"))


def test_a_peer_of_another_account_is_reached_like_any_other(net):
    other = make_stage(net.stage.region)
    account = other.ec2.describe_security_groups()["SecurityGroups"][0]["OwnerId"]
    vpc = other.vpc = other.ec2.create_vpc(CidrBlock="10.43.0.0/16")["Vpc"]["VpcId"]
    other.make_subnet("theirs", vpc, "10.43.1.0/24", 1)
    other.launch("d", "theirs", "10.43.1.10")
    other.wait_until_running()
    made = net.ec2.create_vpc_peering_connection(
        VpcId=net.vpcs["hub"], PeerVpcId=vpc, PeerOwnerId=account
    )
    pcx = made["VpcPeeringConnection"]["VpcPeeringConnectionId"]
    other.now(other.ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=pcx))
    friends = net.stage.group(ALL, vpc=net.vpcs["hub"])
    owner = net.ec2.describe_security_groups(GroupIds=[friends])["SecurityGroups"][0]["OwnerId"]
    by_group = {"IpProtocol": "icmp", "FromPort": -1, "ToPort": -1}
    by_group["UserIdGroupPairs"] = [{"GroupId": friends, "UserId": owner}]
    other.wear("d", other.group([by_group]))
    net.route("hub", "10.43.0.0/16", pcx)
    table = other.ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["RouteTables"][0]
    other.now(
        other.ec2.create_route(
            RouteTableId=table["RouteTableId"],
            DestinationCidrBlock="10.40.0.0/16",
            VpcPeeringConnectionId=pcx,
        )
    )
    assert not net.stage.ping("a", "10.43.1.10")
    net.stage.wear("a", friends)
    assert net.stage.ping("a", "10.43.1.10")
