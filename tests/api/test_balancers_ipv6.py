"""Balancers and endpoints with IPv6: which have which addresses, what their names lead to, which target groups they take, what cells hold.

VPC 10.0.0.0/16 and a /56 -- subnets a and b (tests/api/balancer_scene.py) with a /64 each
consumer VPC 10.0.0.0/16 and a /56 -- subnet 10.0.1.0/24 (zone a) with a /64, subnet 10.0.2.0/24 (zone b) without
"""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network

import pytest
from msgspec.structs import replace

from rookery.hyperplane.checks import wanted_checks
from rookery.intent.privatelink import endpoint_attachments, endpoint_services
from rookery.model.objects import Cell, NetworkInterface, PrivateZone, Subnet, VpcEndpoint
from tests.api.balancer_scene import (
    HEALTHY,
    balance,
    balanced_account,
    checks_find,
    deregister,
    elb,
    forward,
    fronts,
    group,
    intent,
    listen,
    modify,
    refusal,
    register,
    state_now,
    stored_balancer,
    stored_group,
    target_health,
)
from tests.api.instance_scene import running

IPV6_BLOCKED = "ipv6.deny_all_igw_traffic"


def give_ipv6(here, vpc, *subnets):
    """A /56, and to each subnet the next /64 of it."""
    here.view.call("AssociateVpcCidrBlock", VpcId=vpc.id, AmazonProvidedIpv6CidrBlock=True)
    (shown,) = here.view.call("DescribeVpcs", VpcIds=[vpc.id])["Vpcs"]
    parts = IPv6Network(shown["Ipv6CidrBlockAssociationSet"][0]["Ipv6CidrBlock"]).subnets(new_prefix=64)
    for subnet, part in zip(subnets, parts):  # noqa: B905 - there are 256
        here.view.call("AssociateSubnetCidrBlock", SubnetId=subnet.id, Ipv6CidrBlock=str(part))
    return [IPv6Network(here.view.get(Subnet, one.id).ipv6_cidr_associations[0].cidr) for one in subnets]


@pytest.fixture
def here():
    found = balanced_account()
    found.blocks = give_ipv6(found, found.vpc, found.a, found.b)
    return found


def dual(here, name="web", **parameters):
    return balance(here, name, IpAddressType="dualstack", **parameters)


def names(here, name="web"):
    """(kind, name without the balancer's own) -> addresses."""
    balancer = stored_balancer(here, name)
    zone = here.view.get(PrivateZone, f"zone-0{balancer.digits}")
    return {(one.kind, one.name.removesuffix(zone.name)): one.values for one in zone.records}


def ipv6_of(here, name="web"):
    return {zone: one.ipv6_addresses for zone, one in fronts(here, name).items()}


def ipv6_group(here, name="six", **parameters):
    return group(here, name, IpAddressType="ipv6", **parameters)


def instance_with_ipv6(here, subnet, primary=True):
    return running(here, SubnetId=subnet.id, Ipv6AddressCount=1, **({"EnablePrimaryIpv6": True} if primary else {}))


# Addresses


def test_a_dualstack_balancer_has_an_address_of_both_families_in_each_zone(here):
    made = dual(here)
    assert made["IpAddressType"] == "dualstack"
    held = ipv6_of(here)
    for block, (address,) in zip(here.blocks, (held[zone] for zone in sorted(held)), strict=True):
        assert IPv6Address(address) in block
    first, second = (held[zone][0] for zone in sorted(held))
    assert names(here)["AAAA", ""] == (first, second)
    assert names(here)["AAAA", "us-east-1a."] == (first,)
    assert names(here)["A", "us-east-1b."] == (fronts(here)["us-east-1b"].primary,)


def test_its_owner_may_choose_the_addresses(here):
    wanted = str(here.blocks[0][0x50])
    made = dual(here, SubnetMappings=[{"SubnetId": here.a.id, "IPv6Address": wanted}, {"SubnetId": here.b.id}])
    shown = {zone["ZoneName"]: zone["LoadBalancerAddresses"] for zone in made["AvailabilityZones"]}
    assert shown == {"us-east-1a": [{"IPv6Address": wanted}], "us-east-1b": []}
    assert ipv6_of(here)["us-east-1a"] == (wanted,)
    again = dual(here, SubnetMappings=[{"SubnetId": here.a.id, "IPv6Address": wanted}, {"SubnetId": here.b.id}])
    assert again["LoadBalancerArn"] == made["LoadBalancerArn"]


@pytest.mark.parametrize(("asked", "code"), [
    ({"IPv6Address": "2001:db8::1"}, "InvalidConfigurationRequest"),
    ({"IPv6Address": "penguin"}, "InvalidConfigurationRequest"),
    ({"SourceNatIpv6Prefix": "2001:db8::/80"}, "UnsupportedOperation"),
])  # fmt: skip
def test_addresses_that_a_dualstack_balancer_cannot_have_are_refused(here, asked, code):
    mappings = [{"SubnetId": here.a.id, **asked}]
    wanted = {"Type": "network", "Scheme": "internal", "IpAddressType": "dualstack", "SubnetMappings": mappings}
    assert refusal(here, "CreateLoadBalancer", Name="web", **wanted) == code


def test_a_subnet_without_ipv6_is_no_place_for_one():
    here = balanced_account()
    wanted = {"Name": "web", "Type": "network", "Scheme": "internal", "Subnets": [here.a.id]}
    assert refusal(here, "CreateLoadBalancer", **wanted, IpAddressType="dualstack") == "InvalidSubnet"
    assert refusal(here, "CreateLoadBalancer", **wanted, IpAddressType="penguin") == "ValidationError"
    assert refusal(here, "CreateLoadBalancer", **wanted, IpAddressType="dualstack-without-public-ipv4") == "InvalidConfigurationRequest"


def test_the_same_name_with_another_address_type_is_another_balancer(here):
    dual(here)
    wanted = {"Name": "web", "Type": "network", "Scheme": "internal", "Subnets": [here.a.id, here.b.id]}
    assert refusal(here, "CreateLoadBalancer", **wanted) == "DuplicateLoadBalancerName"


def test_the_address_type_changes_and_what_it_had_stays(here):
    named = {"LoadBalancerArn": balance(here)["LoadBalancerArn"]}
    before = fronts(here)
    assert elb(here, "SetIpAddressType", **named, IpAddressType="dualstack") == {"IpAddressType": "dualstack"}
    assert {zone: one.addresses for zone, one in fronts(here).items()} == {zone: one.addresses for zone, one in before.items()}
    assert names(here)["AAAA", "us-east-1a."] == ipv6_of(here)["us-east-1a"] != ()
    elb(here, "SetIpAddressType", **named, IpAddressType="ipv4")
    assert fronts(here) == before and ("AAAA", "") not in names(here)
    assert refusal(here, "SetIpAddressType", **named, IpAddressType="penguin") == "ValidationError"


def test_zones_and_the_address_type_change_together(here):
    named = {"LoadBalancerArn": balance(here, Subnets=[here.a.id])["LoadBalancerArn"]}
    wanted = str(here.blocks[0][0x60])
    mappings = [{"SubnetId": here.a.id, "IPv6Address": wanted}, {"SubnetId": here.b.id}]
    answer = elb(here, "SetSubnets", **named, SubnetMappings=mappings, IpAddressType="dualstack")
    assert answer["IpAddressType"] == "dualstack"
    assert ipv6_of(here)["us-east-1a"] == (wanted,) and len(ipv6_of(here)["us-east-1b"]) == 1
    other = [{"SubnetId": here.a.id, "IPv6Address": str(here.blocks[0][0x61])}]
    assert refusal(here, "SetSubnets", **named, SubnetMappings=other) == "InvalidConfigurationRequest"
    elb(here, "SetSubnets", **named, SubnetMappings=mappings[:1])
    assert ipv6_of(here) == {"us-east-1a": (wanted,)}


# Target groups and listeners


def test_targets_of_ipv6_have_an_address_that_stays(here):
    arn = ipv6_group(here)
    (shown,) = elb(here, "DescribeTargetGroups", TargetGroupArns=[arn])["TargetGroups"]
    assert shown["IpAddressType"] == "ipv6"
    good, bad = instance_with_ipv6(here, here.a), instance_with_ipv6(here, here.a, primary=False)
    register(here, arn, good)
    assert refusal(here, "RegisterTargets", TargetGroupArn=arn, Targets=[{"Id": bad}]) == "InvalidTarget"
    listen(here, dual(here), arn)
    (row,) = intent(here, {}).targets
    assert IPv6Address(row.address) in here.blocks[0] and row.zone == 0


def test_an_address_of_ipv6_is_a_target_wherever_it_is_written(here):
    arn = ipv6_group(here, TargetType="ip")
    address = here.blocks[0][0x99]
    register(here, arn, address.exploded)
    assert list(target_health(here, arn)) == [(str(address), 80)]
    for text, code in (("10.0.1.9", "ValidationError"), ("2001:db8::1", "InvalidTarget"), (str(here.blocks[1][0].__class__(int(here.blocks[1][0]) + (9 << 64))), "InvalidTarget")):
        assert refusal(here, "RegisterTargets", TargetGroupArn=arn, Targets=[{"Id": text}]) == code
    deregister(here, arn, address.exploded)
    assert not target_health(here, arn)
    four = group(here, "four", TargetType="ip")
    assert refusal(here, "RegisterTargets", TargetGroupArn=four, Targets=[{"Id": str(address)}]) == "ValidationError"


def creates_listener(here, balancer, *arns, protocol="TCP"):
    wanted = {"LoadBalancerArn": balancer["LoadBalancerArn"], "Port": 80, "Protocol": protocol}
    return refusal(here, "CreateListener", **wanted, DefaultActions=forward(*arns))


def test_what_a_listener_cannot_lead_to_is_refused(here):
    six, four = ipv6_group(here), group(here, "four")
    assert creates_listener(here, balance(here, "narrow"), six) == "InvalidConfigurationRequest"
    web = dual(here)
    assert creates_listener(here, web, (six, 1), (four, 1)) == "InvalidConfigurationRequest"
    for protocol in ("UDP", "TCP_UDP"):
        datagrams = ipv6_group(here, protocol.lower().replace("_", "-"), Protocol=protocol)
        assert creates_listener(here, web, datagrams, protocol=protocol) == "InvalidConfigurationRequest"


def test_the_address_type_does_not_change_under_what_needs_it(here):
    six, datagrams = ipv6_group(here), group(here, "datagrams", Protocol="UDP")
    web, narrow = dual(here), balance(here, "narrow")
    listen(here, web, six)
    listen(here, narrow, datagrams, port=53, protocol="UDP")
    for balancer, kind in ((web, "ipv4"), (narrow, "dualstack")):
        assert refusal(here, "SetIpAddressType", LoadBalancerArn=balancer["LoadBalancerArn"], IpAddressType=kind) == "InvalidConfigurationRequest"


# What cells hold


def test_targets_of_either_family_may_want_the_proxy_protocol(here):
    """T7-16: whether they say so before they have a listener, or then."""
    before, then, four = ipv6_group(here), ipv6_group(here, "then"), group(here, "four")
    for arn in (before, four):
        modify(here, "ModifyTargetGroupAttributes", {"proxy_protocol_v2.enabled": "true"}, TargetGroupArn=arn)
    web = dual(here)
    for port, arn in ((80, before), (81, then), (82, four)):
        listen(here, web, arn, port=port)
    shown = {one.port: (one.to_ipv6, one.proxy_protocol) for one in intent(here, {}).services}
    assert shown == {80: (True, True), 81: (True, False), 82: (False, True)}
    modify(here, "ModifyTargetGroupAttributes", {"proxy_protocol_v2.enabled": "true"}, TargetGroupArn=then)
    assert {one.port: one.proxy_protocol for one in intent(here, {}).services} == {80: True, 81: True, 82: True}


def test_a_cell_learns_the_addresses_and_of_which_family_the_targets_are(here):
    six, four = ipv6_group(here, TargetType="ip"), group(here, "four")
    web = dual(here)
    listen(here, web, six, port=443)
    listen(here, web, four, port=80)
    address = str(here.blocks[0][0x99])
    register(here, six, address)
    checks_find(here, six, {f"{address}:80": HEALTHY})
    cell = intent(here, {stored_group(here, six).id: {f"{address}:80": HEALTHY}})
    (attachment,) = cell.attachments
    assert (attachment.primary_ipv6,) == ipv6_of(here)["us-east-1a"]
    assert {one.port: one.to_ipv6 for one in cell.services} == {443: True, 80: False}
    assert [key for one in cell.services for key, _ in one.choices] == [(stored_group(here, six).id, address, 80)]
    assert target_health(here, six) == {(address, 80): ("healthy", "")}
    assert [check.host for check in wanted_checks(cell).values()] == [f"[{attachment.primary_ipv6}]:443"]


def test_whether_the_internet_reaches_it_can_be_said(here):
    """An internal balancer's address is the world's, and nobody outside gets there."""
    web = dual(here)
    (before,) = intent(here, {}).attachments
    modify(here, "ModifyLoadBalancerAttributes", {IPV6_BLOCKED: "false"}, LoadBalancerArn=web["LoadBalancerArn"])
    (after,) = intent(here, {}).attachments
    assert (before.shut_out, after) == (True, replace(before, shut_out=False))
    narrow = balance(here, "narrow")
    pairs = [{"Key": IPV6_BLOCKED, "Value": "false"}]
    assert refusal(here, "ModifyLoadBalancerAttributes", LoadBalancerArn=narrow["LoadBalancerArn"], Attributes=pairs) == "UnsupportedOperation"


# Endpoints


@pytest.fixture
def linked(here):
    """A service of a dualstack balancer, for both families, and a consumer."""
    here.web = dual(here)
    listen(here, here.web, group(here))
    here.consumer = here.view.make_vpc("10.0.0.0/16")
    here.view.call("ModifyVpcAttribute", VpcId=here.consumer.id, EnableDnsHostnames={"Value": True})
    here.in_a = here.view.make_subnet(here.consumer, "10.0.1.0/24", zone="us-east-1a")
    here.in_b = here.view.make_subnet(here.consumer, "10.0.2.0/24", zone="us-east-1b")
    (here.block,) = give_ipv6(here, here.consumer, here.in_a)
    return here


def offer(here, *types, balancer=None):
    wanted = {"NetworkLoadBalancerArns": [(balancer or here.web)["LoadBalancerArn"]], "SupportedIpAddressTypes": list(types)}
    return here.view.call("CreateVpcEndpointServiceConfiguration", **wanted, AcceptanceRequired=False)["ServiceConfiguration"]


def connect(here, service, **parameters):
    wanted = {"VpcId": here.consumer.id, "VpcEndpointType": "Interface", "ServiceName": service["ServiceName"], "SubnetIds": [here.in_a.id]}
    return here.view.call("CreateVpcEndpoint", **{**wanted, **parameters})["VpcEndpoint"]


def shown(here, endpoint):
    (one,) = here.view.call("DescribeVpcEndpoints", VpcEndpointIds=[endpoint["VpcEndpointId"]])["VpcEndpoints"]
    return one


def zones_of(here, endpoint):
    held = [one for one in here.view.all(PrivateZone) if one.of == endpoint["VpcEndpointId"]]
    return {one.name.split(".")[0].removeprefix(here.view.get(VpcEndpoint, endpoint["VpcEndpointId"]).name): {record.kind: record.values for record in one.records} for one in held}


def front_of(here, endpoint):
    return here.view.get(NetworkInterface, shown(here, endpoint)["NetworkInterfaceIds"][0])


def test_a_dualstack_endpoint_has_both_families_and_its_names_lead_to_both(linked):
    service = offer(linked, "ipv6", "ipv4")
    assert service["SupportedIpAddressTypes"] == ["ipv4", "ipv6"]
    made = connect(linked, service, IpAddressType="dualstack")
    front = front_of(linked, made)
    (address,) = front.ipv6_addresses
    assert IPv6Address(address) in linked.block
    assert (made["IpAddressType"], made["DnsOptions"]) == ("dualstack", {"DnsRecordIpType": "dualstack"})
    assert zones_of(linked, made) == dict.fromkeys(("", "-us-east-1a"), {"A": (front.primary,), "AAAA": (address,)})
    (described,) = linked.view.call("DescribeNetworkInterfaces", NetworkInterfaceIds=[front.id])["NetworkInterfaces"]
    assert described["DenyAllIgwTraffic"] is True


@pytest.mark.parametrize(("said", "kinds"), [("ipv4", {"A"}), ("ipv6", {"AAAA"}), ("dualstack", {"A", "AAAA"})])
def test_its_names_lead_where_its_owner_says(linked, said, kinds):
    made = connect(linked, offer(linked, "ipv4", "ipv6"), IpAddressType="dualstack", DnsOptions={"DnsRecordIpType": said})
    assert shown(linked, made)["DnsOptions"] == {"DnsRecordIpType": said}
    assert [set(records) for records in zones_of(linked, made).values()] == [kinds, kinds]


def test_the_address_type_of_an_endpoint_changes(linked):
    made = connect(linked, offer(linked, "ipv4", "ipv6"))
    named, before = {"VpcEndpointId": made["VpcEndpointId"]}, front_of(linked, made)
    linked.view.call("ModifyVpcEndpoint", **named, IpAddressType="dualstack", DnsOptions={"DnsRecordIpType": "ipv6"})
    held = front_of(linked, made)
    assert (held.addresses, len(held.ipv6_addresses)) == (before.addresses, 1)
    assert zones_of(linked, made)[""] == {"AAAA": held.ipv6_addresses}
    linked.view.call("ModifyVpcEndpoint", **named, DnsOptions={"DnsRecordIpType": "dualstack"})
    assert front_of(linked, made) == held and set(zones_of(linked, made)[""]) == {"A", "AAAA"}
    assert linked.view.refusal("ModifyVpcEndpoint", **named, AddSubnetIds=[linked.in_b.id]) == "InvalidParameter"
    linked.view.call("ModifyVpcEndpoint", **named, IpAddressType="ipv4")
    assert front_of(linked, made) == before and set(zones_of(linked, made)[""]) == {"A"}


@pytest.mark.parametrize("asked", [{"IpAddressType": "ipv6"}, {"IpAddressType": "dualstack"}, {"DnsOptions": {"DnsRecordIpType": "ipv6"}}])
def test_what_an_endpoint_cannot_have_in_a_subnet_without_ipv6_is_refused(linked, asked):
    service = offer(linked, "ipv4", "ipv6")
    wanted = {"VpcId": linked.consumer.id, "VpcEndpointType": "Interface", "ServiceName": service["ServiceName"]}
    assert linked.view.refusal("CreateVpcEndpoint", **wanted, SubnetIds=[linked.in_b.id], **asked) == "InvalidParameter"


def test_a_service_offers_what_its_balancers_and_its_endpoints_bear(linked):
    view = linked.view
    narrow = balance(linked, "narrow")
    wanted = {"NetworkLoadBalancerArns": [narrow["LoadBalancerArn"]], "SupportedIpAddressTypes": ["ipv4", "ipv6"]}
    assert view.refusal("CreateVpcEndpointServiceConfiguration", **wanted) == "InvalidParameter"
    modify_service, named = "ModifyVpcEndpointServiceConfiguration", {"ServiceId": offer(linked, "ipv4")["ServiceId"]}
    (service,) = view.call("DescribeVpcEndpointServiceConfigurations", ServiceIds=[named["ServiceId"]])["ServiceConfigurations"]
    assert view.refusal("CreateVpcEndpoint", VpcId=linked.consumer.id, VpcEndpointType="Interface", ServiceName=service["ServiceName"],
                        SubnetIds=[linked.in_a.id], IpAddressType="dualstack") == "InvalidParameter"  # fmt: skip
    view.call(modify_service, **named, AddSupportedIpAddressTypes=["ipv6"])
    assert view.refusal(modify_service, **named, AddNetworkLoadBalancerArns=[narrow["LoadBalancerArn"]]) == "InvalidParameter"
    assert refusal(linked, "SetIpAddressType", LoadBalancerArn=linked.web["LoadBalancerArn"], IpAddressType="ipv4") == "ResourceInUse"
    connect(linked, service, IpAddressType="dualstack")
    assert view.refusal(modify_service, **named, RemoveSupportedIpAddressTypes=["ipv6"]) == "ExistingVpcEndpointConnections"
    assert view.refusal(modify_service, **named, RemoveSupportedIpAddressTypes=["ipv4", "ipv6"]) == "ExistingVpcEndpointConnections"


def test_a_cell_learns_an_endpoints_address_and_keeps_the_internet_out(linked):
    made = connect(linked, offer(linked, "ipv4", "ipv6"), IpAddressType="dualstack")
    state, cell = state_now(linked), Cell(name="cell-0", zones=(0,), nodes=())
    (attachment,) = endpoint_attachments(state, cell)
    assert (attachment.primary_ipv6,) == front_of(linked, made).ipv6_addresses and attachment.shut_out
    balancing = intent(linked, {})
    interfaces = stored_balancer(linked).interfaces
    (service,) = endpoint_services(state, cell, balancing.services, lambda _: interfaces)
    assert not service.to_ipv6 and service.port == 80
