"""A service of a shop, consumed in the VPC of another account whose addresses are the shop's too; who is where: tests/balancing/conftest.py.

    buyer 10.80.1.10 (VPC buyer) --+-- door (endpoint, "counter.example") -- counter (balancer in VPC shop) -- one 10.80.1.10, three
    friend (peered with buyer) ----+
                                   +-- shut (endpoint whose group admits nothing)
"""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from botocore.exceptions import ClientError

from tests.balancing.street import LONG, SHORT, Street, address
from tests.dataplane.proxy_header import LENGTH, Said, read
from tests.waiting import until

pytestmark = pytest.mark.real_packets
NAME = "counter.example"


class Doors(NamedTuple):
    street: Street
    service: str  # vpce-svc-...
    ids: dict[str, str]

    @property
    def buyer(self) -> Any:
        return self.street.clients["buyer"]

    def state(self, name: str) -> str:
        (found,) = self.buyer.describe_vpc_endpoints(VpcEndpointIds=[self.ids[name]])["VpcEndpoints"]
        return found["State"]

    def address(self, name: str) -> str:
        (found,) = self.buyer.describe_vpc_endpoints(VpcEndpointIds=[self.ids[name]])["VpcEndpoints"]
        (one,) = self.buyer.describe_network_interfaces(NetworkInterfaceIds=found["NetworkInterfaceIds"])["NetworkInterfaces"]
        return one["PrivateIpAddress"]

    def names(self, name: str) -> list[str]:
        (found,) = self.buyer.describe_vpc_endpoints(VpcEndpointIds=[self.ids[name]])["VpcEndpoints"]
        return [one["DnsName"] for one in found["DnsEntries"]]


@pytest.fixture(scope="module")
def doors(whole_street: Street) -> Doors:
    """Nobody has accepted them yet."""
    street = whole_street
    buyer = street.clients["buyer"]
    offered = {"NetworkLoadBalancerArns": [street.balancers["counter"]], "AcceptanceRequired": True, "PrivateDnsName": NAME}
    made = street.ec2.create_vpc_endpoint_service_configuration(**offered)["ServiceConfiguration"]
    buyer.modify_vpc_attribute(VpcId=street.vpcs["buyer"], EnableDnsHostnames={"Value": True})
    wanted = {"VpcId": street.vpcs["buyer"], "VpcEndpointType": "Interface", "ServiceName": made["ServiceName"], "SubnetIds": [street.subnets["buyer a"]]}
    with pytest.raises(ClientError) as refused:  # T8-04
        buyer.create_vpc_endpoint(**wanted, SecurityGroupIds=[street.groups["open buyer"]])
    assert refused.value.response["Error"]["Code"] == "InvalidServiceName"
    permitted = {"AddAllowedPrincipals": [f"arn:aws:iam::{street.buyers_account}:root"]}
    street.ec2.modify_vpc_endpoint_service_permissions(ServiceId=made["ServiceId"], **permitted)
    shut = street.group("admits nothing", "buyer", [])
    found = Doors(street, made["ServiceId"], {})
    for name, group, named in (("door", street.groups["open buyer"], True), ("shut", shut, False)):
        answer = buyer.create_vpc_endpoint(**wanted, SecurityGroupIds=[group], PrivateDnsEnabled=named)
        found.ids[name] = answer["VpcEndpoint"]["VpcEndpointId"]
    street.now(answer)
    return found


def test_nobody_comes_through_until_the_provider_accepts(doors: Doors):
    """T8-01; T8-02: the target sees an address of its own VPC, which is the buyer's VPC's as well."""
    door, street = doors.address("door"), doors.street
    assert doors.state("door") == "pendingAcceptance"
    assert street.ask("buyer", door, 80, SHORT) == "silent"
    street.ec2.accept_vpc_endpoint_connections(ServiceId=doors.service, VpcEndpointIds=list(doors.ids.values()))
    until(lambda: {doors.state(name) for name in doors.ids} == {"available"}, "they are available")
    said = until(lambda: (told := street.ask("buyer", door, 80, SHORT)) != "silent" and told, "it answers")
    who, _, seen, port = said.split()
    assert who in ("one", "three") and seen == street.fronts("counter")["a"][0] and int(port) >= 1024
    assert address("one") == address("buyer")


def test_what_goes_through_an_endpoint_arrives_whole(doors: Doors):
    buyer = doors.street.talk("buyer")
    buyer("hold", "long", doors.address("door"), 80, LONG)
    assert buyer("send_and_compare", "long", 3_000_000, LONG) == "whole"


def test_the_group_of_an_endpoint_is_asked(doors: Doors):
    """T8-06."""
    assert doors.street.ask("buyer", doors.address("shut"), 80, SHORT) == "silent"


def test_a_private_name_leads_to_the_endpoint_in_its_own_vpc_only(doors: Doors):
    """T8-07. Its other names need no DNS host names."""
    street, door = doors.street, doors.address("door")
    until(lambda: street.talk("buyer")("look_up", NAME) == [door], "the name is known")
    for name in set(doors.names("door")) - {NAME}:
        assert street.talk("buyer")("look_up", name) == [door]
    assert street.talk("client")("look_up", NAME) == street.talk("friend")("look_up", NAME) == []


def test_an_endpoint_answers_no_ping(doors: Doors):
    """T8-09."""
    assert not doors.street.pings("buyer", doors.address("door"))


def test_a_peer_reaches_an_endpoint(doors: Doors):
    """T8-15."""
    assert " sees " in doors.street.ask("friend", doors.address("door"), 80)


def test_a_buyer_reaches_a_shop_by_ipv6(doors: Doors):
    """T8-02, T8-07: through an endpoint of both families, whose name leads to both."""
    street, buyer = doors.street, doors.buyer
    offered = {"NetworkLoadBalancerArns": [street.balancers["dual"]], "AcceptanceRequired": False, "SupportedIpAddressTypes": ["ipv4", "ipv6"]}
    made = street.ec2.create_vpc_endpoint_service_configuration(**offered)["ServiceConfiguration"]
    permitted = {"AddAllowedPrincipals": [f"arn:aws:iam::{street.buyers_account}:root"]}
    street.ec2.modify_vpc_endpoint_service_permissions(ServiceId=made["ServiceId"], **permitted)
    wanted = {"VpcId": street.vpcs["buyer"], "VpcEndpointType": "Interface", "ServiceName": made["ServiceName"], "SubnetIds": [street.subnets["buyer a"]]}
    answer = buyer.create_vpc_endpoint(**wanted, SecurityGroupIds=[street.groups["open buyer"]], IpAddressType="dualstack")["VpcEndpoint"]
    (front,) = buyer.describe_network_interfaces(NetworkInterfaceIds=answer["NetworkInterfaceIds"])["NetworkInterfaces"]
    (private, _), ipv6 = street.fronts("dual")["a"], street.fronts_ipv6("dual")["a"]
    for port, seen in ((80, private), (81, ipv6)):
        told = until(lambda port=port: (said := street.ask("buyer", front["Ipv6Address"], port, SHORT)) and " sees " in said and said, f"it answers at {port}")
        assert told.split()[2] == seen
    assert street.ask("buyer", front["PrivateIpAddress"], 81).split()[2] == ipv6
    until(lambda: " sees " in street.ask("buyer", front["Ipv6Address"], 82, SHORT), "it answers at 82")
    header = read(bytes.fromhex(street.talk("buyer")("ask_for_echo", front["Ipv6Address"], 82, LENGTH, LONG)))
    assert header._replace(source_port=0) == Said(street.ipv6_of("buyer"), front["Ipv6Address"], 0, 82, answer["VpcEndpointId"])  # T8-03
    name = answer["DnsEntries"][0]["DnsName"]
    assert street.talk("buyer")("look_up_ipv6", name) == [front["Ipv6Address"]]
    assert street.talk("buyer")("look_up", name) == [front["PrivateIpAddress"]]


def test_what_goes_through_an_endpoint_is_measured_for_its_consumer_and_for_its_provider(doors: Doors):
    """Three megabytes each way, and two endpoints that may send; each account is told of its own."""
    street, endpoint, megabytes = doors.street, doors.ids["door"], 6_000_000
    (described,) = doors.buyer.describe_vpc_endpoints(VpcEndpointIds=[endpoint])["VpcEndpoints"]
    name, vpc, arn = described["ServiceName"], street.vpcs["buyer"], street.balancers["counter"]

    def consumed(metric: str, door: str = "door") -> float:
        of = {"Endpoint__Type": "Interface", "Service__Name": name, "VPC__Endpoint__Id": doors.ids[door], "VPC__Id": vpc}
        return street.measured("buyer", "AWS/PrivateLinkEndpoints", metric, "Sum", **of)

    def provided(metric: str, statistic: str = "Sum", **more: str) -> float:
        return street.measured("shop", "AWS/PrivateLinkServices", metric, statistic, Service__Id=doors.service, **more)

    until(lambda: consumed("BytesProcessed") >= megabytes, "the consumer is told", 25)
    for more in ({}, {"Az": "us-east-1a"}, {"Load__Balancer__Arn": arn}, {"VPC__Endpoint__Id": endpoint}):
        assert provided("BytesProcessed", **more) >= megabytes, more
    until(lambda: provided("EndpointsCount", "Maximum") == 2, "both are counted", 15)
    assert consumed("NewConnections") >= 2
    until(lambda: consumed("PacketsDropped", "shut") > 0, "what a group does not admit is counted", 15)
    spoken = {one["Namespace"] for one in street.clients["buyer's metrics"].list_metrics()["Metrics"]}
    assert spoken == {"AWS/PrivateLinkEndpoints"}


def test_a_rejected_endpoint_carries_nothing_more(doors: Doors):
    """T8-05."""
    street, door = doors.street, doors.address("door")
    assert " sees " in street.talk("buyer")("hold", "kept", door, 80, LONG)
    street.ec2.reject_vpc_endpoint_connections(ServiceId=doors.service, VpcEndpointIds=[doors.ids["door"]])
    until(lambda: street.ask("buyer", door, 80, SHORT) == "silent", "new ones die")
    assert street.talk("buyer")("exchange", "kept", SHORT) in ("silent", "reset")
    assert doors.state("door") == "rejected"
