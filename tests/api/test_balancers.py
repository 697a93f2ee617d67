"""Load balancers: what is made for one, who may have one, and that it goes without a trace.

internet -- igw -- VPC 10.0.0.0/16: subnet a (zone a, cell-0), subnet b (zone b, cell-1)
"""

from __future__ import annotations

import pytest

from rookery.api.quotas import Quotas
from rookery.model.objects import CellAttachment, CellStatus, ElasticIp, NetworkInterface, PrivateZone
from tests.api.balancer_scene import (
    balance,
    balanced_account,
    elb,
    fronts,
    group,
    listen,
    modify,
    refusal,
    stored_balancer,
)
from tests.api.edge_scene import allocate, held
from tests.api.instance_scene import running


@pytest.fixture
def here():
    return balanced_account()


def new_group(here, name="lb", vpc=None):
    made = here.view.call(
        "CreateSecurityGroup", GroupName=name, Description=name, VpcId=(vpc or here.vpc).id
    )
    return made["GroupId"]


def state(here, balancer):
    (found,) = elb(here, "DescribeLoadBalancers", LoadBalancerArns=[balancer["LoadBalancerArn"]])["LoadBalancers"]
    return found["State"]["Code"]


def test_a_balancer_is_named_as_aws_names_it(here):
    made = balance(here)
    digits = made["LoadBalancerArn"].rpartition("/")[2]
    assert len(digits) == 16
    assert made["LoadBalancerArn"].endswith(f":123456789012:loadbalancer/net/web/{digits}")
    assert made["DNSName"] == f"web-{digits}.elb.us-east-1.amazonaws.com"
    assert (made["Type"], made["IpAddressType"], made["VpcId"]) == ("network", "ipv4", here.vpc.id)
    assert "SecurityGroups" not in made


def test_a_balancer_has_an_interface_at_the_cell_of_each_zone_which_nobody_else_may_touch(here):
    made = balance(here)
    path = made["LoadBalancerArn"].partition("loadbalancer/")[2]
    balancer = stored_balancer(here)
    for zone, cell in (("us-east-1a", "cell-0"), ("us-east-1b", "cell-1")):
        front = fronts(here)[zone]
        assert front.cell_attachment == CellAttachment(cell=cell, of=balancer.id)
        assert (front.interface_type, front.description) == ("network_load_balancer", f"ELB {path}")
        assert not front.source_dest_check
        assert not front.groups
        shown = here.view.call("DescribeNetworkInterfaces", NetworkInterfaceIds=[front.id])
        assert shown["NetworkInterfaces"][0]["RequesterManaged"]
        assert here.view.refusal("DeleteNetworkInterface", NetworkInterfaceId=front.id)
        assert here.view.refusal(
            "ModifyNetworkInterfaceAttribute", NetworkInterfaceId=front.id, Description={"Value": "mine"}
        )
        assert here.view.refusal(
            "AssignPrivateIpAddresses", NetworkInterfaceId=front.id, SecondaryPrivateIpAddressCount=1
        )
        instance = running(here, SubnetId=front.subnet_id)
        assert here.view.refusal(
            "AttachNetworkInterface", NetworkInterfaceId=front.id, InstanceId=instance, DeviceIndex=1
        )
    assert here.view.refusal("DeleteSubnet", SubnetId=here.a.id) == "DependencyViolation"
    assert here.view.refusal("DeleteVpc", VpcId=here.vpc.id) == "DependencyViolation"


def test_the_first_balancer_of_an_account_gets_a_shard_in_each_cell_and_keeps_it(here):
    balance(here)
    first = {cell: here.view.shards(cell)["123456789012"].nodes for cell in ("cell-0", "cell-1")}
    assert [len(nodes) for nodes in first.values()] == [2, 2]
    balance(here, "other")
    assert {cell: here.view.shards(cell)["123456789012"].nodes for cell in ("cell-0", "cell-1")} == first


def test_a_balancer_is_active_when_the_cells_of_all_its_zones_work_for_it(here):
    made = balance(here, works=False)
    assert made["State"]["Code"] == "provisioning"
    now = here.view.revision
    here.view.cell_statuses["cell-0"] = CellStatus(name="cell-0", epoch=1, generation=now)
    here.view.cell_statuses["cell-1"] = CellStatus(name="cell-1", epoch=1, generation=now - 1)
    assert state(here, made) == "provisioning"
    here.view.cells_work()
    assert state(here, made) == "active"
    elb(here, "AddTags", ResourceArns=[made["LoadBalancerArn"]], Tags=[{"Key": "team", "Value": "net"}])
    assert state(here, made) == "active"


def test_the_same_call_again_answers_the_same_balancer_and_another_scheme_is_a_duplicate(here):  # T7-18
    first = balance(here)
    again = balance(here)
    assert again["LoadBalancerArn"] == first["LoadBalancerArn"]
    assert len(here.view.all(NetworkInterface)) == 2
    same = {"Name": "web", "Type": "network", "Subnets": [here.a.id, here.b.id]}
    assert refusal(here, "CreateLoadBalancer", **same) == "DuplicateLoadBalancerName"
    fewer = {**same, "Scheme": "internal", "Subnets": [here.a.id]}
    assert refusal(here, "CreateLoadBalancer", **fewer) == "DuplicateLoadBalancerName"
    tagged = {**same, "Scheme": "internal", "Tags": [{"Key": "a", "Value": "b"}]}
    assert refusal(here, "CreateLoadBalancer", **tagged) == "DuplicateLoadBalancerName"


def test_a_missing_balancer_is_deleted_already(here):  # T7-19
    made = balance(here)
    arn = made["LoadBalancerArn"]
    elb(here, "DeleteLoadBalancer", LoadBalancerArn=arn)
    assert elb(here, "DeleteLoadBalancer", LoadBalancerArn=arn) == {}
    assert refusal(here, "DeleteLoadBalancer", LoadBalancerArn="web") == "ValidationError"
    target_group = group(here)
    assert refusal(here, "DeleteLoadBalancer", LoadBalancerArn=target_group) == "ValidationError"
    assert refusal(here, "DescribeLoadBalancers", LoadBalancerArns=[arn]) == "LoadBalancerNotFound"
    assert refusal(here, "DescribeLoadBalancers", Names=["web"]) == "LoadBalancerNotFound"


def test_a_deleted_balancer_leaves_nothing_but_its_target_groups(here):
    made = balance(here, Scheme="internet-facing")
    target_group = group(here)
    listen(here, made, target_group)
    elb(here, "DeleteLoadBalancer", LoadBalancerArn=made["LoadBalancerArn"])
    assert here.view.all(NetworkInterface) == []
    assert here.view.all(PrivateZone) == []
    assert held(here) == []
    (left,) = elb(here, "DescribeTargetGroups")["TargetGroups"]
    assert left["LoadBalancerArns"] == []
    elb(here, "DeleteTargetGroup", TargetGroupArn=target_group)


def test_deletion_protection_protects(here):
    made = balance(here)
    named = {"LoadBalancerArn": made["LoadBalancerArn"]}
    modify(here, "ModifyLoadBalancerAttributes", {"deletion_protection.enabled": "true"}, **named)
    assert refusal(here, "DeleteLoadBalancer", **named) == "OperationNotPermitted"
    modify(here, "ModifyLoadBalancerAttributes", {"deletion_protection.enabled": "false"}, **named)
    elb(here, "DeleteLoadBalancer", **named)


# ------------------------------------------------------------------------------------------------------------ addresses


def test_a_balancer_that_faces_the_internet_has_a_public_address_in_each_zone_that_goes_with_it(here):
    balance(here, Scheme="internet-facing")
    public = sorted(front.public_address for front in fronts(here).values())
    assert public == held(here)
    assert len(set(public)) == 2


def test_an_elastic_ip_of_its_owner_stays_his(here):
    mine = allocate(here)
    mappings = [{"SubnetId": here.a.id, "AllocationId": mine.id}, {"SubnetId": here.b.id}]
    made = balance(here, Scheme="internet-facing", SubnetMappings=mappings)
    (found,) = elb(here, "DescribeLoadBalancers", Names=["web"])["LoadBalancers"]
    first, second = (zone["LoadBalancerAddresses"] for zone in found["AvailabilityZones"])
    assert (first, second) == ([{"IpAddress": mine.address, "AllocationId": mine.id}], [])
    front = fronts(here)["us-east-1a"]
    assert here.view.get(ElasticIp, mine.id).interface_id == front.id
    assert here.view.refusal("DisassociateAddress", PublicIp=mine.address)
    assert here.view.refusal("ReleaseAddress", AllocationId=mine.id)
    other = [{"SubnetId": here.a.id, "AllocationId": mine.id}]
    again = {"Name": "other", "Type": "network", "SubnetMappings": other}
    assert refusal(here, "CreateLoadBalancer", **again) == "ResourceInUse"
    elb(here, "DeleteLoadBalancer", LoadBalancerArn=made["LoadBalancerArn"])
    assert not here.view.get(ElasticIp, mine.id).association_id
    assert held(here) == [mine.address]


def test_an_internal_balancer_may_choose_its_private_addresses(here):
    made = balance(here, SubnetMappings=[{"SubnetId": here.a.id, "PrivateIPv4Address": "10.0.1.77"}])
    (zone,) = made["AvailabilityZones"]
    assert zone["LoadBalancerAddresses"] == [{"PrivateIPv4Address": "10.0.1.77"}]
    assert fronts(here)["us-east-1a"].primary == "10.0.1.77"


@pytest.mark.parametrize(
    ("scheme", "mapping", "code"),
    [
        ("internal", {"PrivateIPv4Address": "10.0.2.5"}, "InvalidConfigurationRequest"),
        ("internal", {"PrivateIPv4Address": "10.0.1.1"}, "InvalidConfigurationRequest"),
        ("internal", {"PrivateIPv4Address": "nonsense"}, "InvalidConfigurationRequest"),
        ("internal", {"AllocationId": "eipalloc-0123456789abcdef0"}, "InvalidConfigurationRequest"),
        ("internet-facing", {"AllocationId": "eipalloc-0123456789abcdef0"}, "AllocationIdNotFound"),
        ("internet-facing", {"PrivateIPv4Address": "10.0.1.5"}, "InvalidConfigurationRequest"),
        ("internal", {"IPv6Address": "2001:db8::1"}, "InvalidConfigurationRequest"),
        ("internal", {"SourceNatIpv6Prefix": "2001:db8::/80"}, "UnsupportedOperation"),
    ],
)
def test_addresses_that_a_balancer_cannot_have_are_refused(here, scheme, mapping, code):
    asked = {"SubnetMappings": [{"SubnetId": here.a.id, **mapping}], "Scheme": scheme}
    assert refusal(here, "CreateLoadBalancer", Name="web", Type="network", **asked) == code


def test_a_balancer_cannot_face_the_internet_where_nothing_leads_to_it(here):
    vpc = here.view.make_vpc("10.1.0.0/16")
    subnet = here.view.make_subnet(vpc, "10.1.1.0/24")
    asked = {"Name": "web", "Type": "network", "Subnets": [subnet.id]}
    assert refusal(here, "CreateLoadBalancer", **asked) == "InvalidSubnet"
    elb(here, "CreateLoadBalancer", **asked, Scheme="internal")


def test_the_gateway_of_a_balancer_that_faces_the_internet_cannot_be_detached(here):
    balance(here, Scheme="internet-facing")
    refused = here.view.refusal("DetachInternetGateway", InternetGatewayId=here.gateway, VpcId=here.vpc.id)
    assert refused == "DependencyViolation"


# -------------------------------------------------------------------------------------------------------------- subnets


def test_what_is_wrong_with_subnets_is_told(here):
    asked = {"Name": "web", "Type": "network", "Scheme": "internal"}
    second_in_a = here.view.make_subnet(here.vpc, "10.0.3.0/24", zone="us-east-1a")
    elsewhere = here.view.make_subnet(here.view.make_vpc("10.1.0.0/16"), "10.1.1.0/24", zone="us-east-1b")
    unserved = here.view.make_subnet(here.vpc, "10.0.4.0/24", zone="us-east-1c")

    def code(*subnets):
        return refusal(here, "CreateLoadBalancer", **asked, Subnets=[*subnets])

    assert code() == "ValidationError"
    assert code("subnet-0123456789abcdef0") == "SubnetNotFound"
    assert code(here.a.id, second_in_a.id) == "InvalidConfigurationRequest"
    assert code(here.a.id, elsewhere.id) == "InvalidConfigurationRequest"
    assert code(unserved.id) == "AvailabilityZoneNotSupported"
    both = {"Subnets": [here.a.id], "SubnetMappings": [{"SubnetId": here.a.id}]}
    assert refusal(here, "CreateLoadBalancer", **asked, **both) == "ValidationError"


def test_a_subnet_needs_eight_free_addresses(here):
    for _ in range(4):  # of eleven
        here.view.call("CreateNetworkInterface", SubnetId=here.b.id)
    asked = {"Name": "web", "Type": "network", "Scheme": "internal", "Subnets": [here.b.id]}
    assert refusal(here, "CreateLoadBalancer", **asked) == "InvalidSubnet"


def test_a_region_without_a_cell_has_no_balancers(here):
    here.view.given_cells.clear()
    asked = {"Name": "web", "Type": "network", "Scheme": "internal", "Subnets": [here.a.id]}
    assert refusal(here, "CreateLoadBalancer", **asked) == "AvailabilityZoneNotSupported"


def test_zones_are_added_and_given_up_and_those_that_stay_keep_their_addresses(here):
    made = balance(here, Subnets=[here.a.id])
    before = fronts(here)["us-east-1a"]
    named = {"LoadBalancerArn": made["LoadBalancerArn"]}
    both = elb(here, "SetSubnets", **named, Subnets=[here.b.id, here.a.id])["AvailabilityZones"]
    assert [zone["ZoneName"] for zone in both] == ["us-east-1a", "us-east-1b"]
    assert state(here, made) == "provisioning"
    here.view.cells_work()
    assert state(here, made) == "active"
    assert fronts(here)["us-east-1a"] == before
    elb(here, "SetSubnets", **named, Subnets=[here.a.id])
    assert list(fronts(here)) == ["us-east-1a"]
    assert here.view.all(NetworkInterface) == [before]
    other = here.view.make_subnet(here.vpc, "10.0.3.0/24", zone="us-east-1a")
    assert refusal(here, "SetSubnets", **named, Subnets=[other.id]) == "InvalidConfigurationRequest"
    chosen = [{"SubnetId": here.a.id, "PrivateIPv4Address": "10.0.1.99"}]
    assert refusal(here, "SetSubnets", **named, SubnetMappings=chosen) == "InvalidConfigurationRequest"
    assert refusal(here, "SetSubnets", **named, Subnets=[]) == "ValidationError"


# --------------------------------------------------------------------------------------------------------------- groups


def test_a_balancer_that_was_born_without_groups_never_gets_any(here):  # T7-12
    made = balance(here)
    asked = {"LoadBalancerArn": made["LoadBalancerArn"], "SecurityGroups": [new_group(here)]}
    assert refusal(here, "SetSecurityGroups", **asked) == "InvalidConfigurationRequest"


def test_groups_are_those_of_its_interfaces_and_change_together(here):
    first, second = new_group(here), new_group(here, "lb2")
    made = balance(here, SecurityGroups=[first])
    assert made["SecurityGroups"] == [first]
    assert made["EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic"] == "on"
    named = {"LoadBalancerArn": made["LoadBalancerArn"]}
    answer = elb(
        here,
        "SetSecurityGroups",
        **named,
        SecurityGroups=[second, first],
        EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic="off",
    )
    assert answer == {
        "SecurityGroupIds": [second, first],
        "EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic": "off",
    }
    assert {front.groups for front in fronts(here).values()} == {(second, first)}
    assert refusal(here, "SetSecurityGroups", **named, SecurityGroups=[]) == "InvalidConfigurationRequest"
    assert here.view.refusal("DeleteSecurityGroup", GroupId=first) == "DependencyViolation"
    elb(here, "SetSecurityGroups", **named, SecurityGroups=[second])
    here.view.call("DeleteSecurityGroup", GroupId=first)


def test_groups_of_elsewhere_are_invalid(here):
    foreign = new_group(here, vpc=here.view.make_vpc("10.1.0.0/16"))
    asked = {"Name": "web", "Type": "network", "Scheme": "internal", "Subnets": [here.a.id]}
    for wrong in (foreign, "sg-0123456789abcdef0"):
        assert refusal(here, "CreateLoadBalancer", **asked, SecurityGroups=[wrong]) == "InvalidSecurityGroup"
    many = [new_group(here, f"lb{n}") for n in range(6)]
    assert refusal(here, "CreateLoadBalancer", **asked, SecurityGroups=many) == "InvalidConfigurationRequest"


# ------------------------------------------------------------------------------------------------- names, types, limits


@pytest.mark.parametrize("name", ["", "-web", "web-", "w" * 33, "we_b", "internal-web", "web\n"])
def test_a_name_has_letters_digits_and_hyphens(here, name):
    asked = {"Name": name, "Type": "network", "Subnets": [here.a.id]}
    assert refusal(here, "CreateLoadBalancer", **asked) == "ValidationError"


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"Type": "application"},
        {"Type": "gateway"},
        {"Type": "network", "CustomerOwnedIpv4Pool": "ipv4pool-coip-1"},
        {"Type": "network", "EnablePrefixForIpv6SourceNat": "on"},
    ],
)
def test_balancers_of_other_kinds_are_not_built(here, asked):
    """T7-20, T7-21: those of gateways."""
    assert refusal(here, "CreateLoadBalancer", Name="web", Subnets=[here.a.id], **asked) == "UnsupportedOperation"


def test_an_account_has_as_many_balancers_as_its_quota_says(here):
    here.view.quotas = Quotas(load_balancers=1)
    balance(here)
    asked = {"Name": "other", "Type": "network", "Scheme": "internal", "Subnets": [here.a.id]}
    assert refusal(here, "CreateLoadBalancer", **asked) == "TooManyLoadBalancers"
    limits = {one["Name"]: one["Max"] for one in elb(here, "DescribeAccountLimits")["Limits"]}
    assert limits["network-load-balancers"] == "1"
    assert limits["targets-per-availability-zone-per-network-load-balancer"] == "500"


def test_balancers_are_described_in_pages_and_by_name_or_arn_but_not_both(here):
    arns = [balance(here, f"lb{n}", Subnets=[here.a.id])["LoadBalancerArn"] for n in range(3)]
    first = elb(here, "DescribeLoadBalancers", PageSize=2)
    rest = elb(here, "DescribeLoadBalancers", PageSize=2, Marker=first["NextMarker"])
    found = [one["LoadBalancerArn"] for page in (first, rest) for one in page["LoadBalancers"]]
    assert sorted(found) == sorted(arns)
    assert "NextMarker" not in rest
    assert refusal(here, "DescribeLoadBalancers", Marker="nonsense") == "ValidationError"
    both = {"LoadBalancerArns": arns[:1], "Names": ["lb0"]}
    assert refusal(here, "DescribeLoadBalancers", **both) == "ValidationError"
    assert refusal(here, "DescribeLoadBalancers", Names=["lb0", "missing"]) == "LoadBalancerNotFound"


def test_nobody_reserves_capacity_and_there_are_no_tls_policies(here):
    named = {"LoadBalancerArn": balance(here)["LoadBalancerArn"]}
    assert elb(here, "DescribeCapacityReservation", **named) == {"CapacityReservationState": []}
    assert elb(here, "DescribeSSLPolicies") == {"SslPolicies": []}
    assert refusal(here, "DescribeSSLPolicies", Names=["ELBSecurityPolicy-2016-08"]) == "SSLPolicyNotFound"


# ----------------------------------------------------------------------------------------------------------------- tags


def test_tags_are_added_told_and_removed_for_several_things_at_once(here):
    made = balance(here, Tags=[{"Key": "a", "Value": "1"}])
    target_group = group(here)
    listener = listen(here, made, target_group)
    arns = [made["LoadBalancerArn"], target_group, listener["ListenerArn"]]
    elb(here, "AddTags", ResourceArns=arns, Tags=[{"Key": "team", "Value": "net"}])
    told = {
        one["ResourceArn"]: one["Tags"]
        for one in elb(here, "DescribeTags", ResourceArns=arns)["TagDescriptions"]
    }
    assert told[arns[0]] == [{"Key": "a", "Value": "1"}, {"Key": "team", "Value": "net"}]
    assert told[arns[1]] == told[arns[2]] == [{"Key": "team", "Value": "net"}]
    elb(here, "RemoveTags", ResourceArns=arns, TagKeys=["team", "missing"])
    assert [one["Tags"] for one in elb(here, "DescribeTags", ResourceArns=arns[1:])["TagDescriptions"]] == [[], []]


def test_what_is_wrong_with_tags_is_told(here):
    arn = balance(here)["LoadBalancerArn"]

    def code(*tags, arns=(arn,)):
        pairs = [{"Key": key, "Value": "x"} for key in tags]
        return refusal(here, "AddTags", ResourceArns=list(arns), Tags=pairs)

    assert code("a", "a") == "DuplicateTagKeys"
    assert code("aws:x") == "ValidationError"
    assert code("<a>") == "ValidationError"
    assert code(*(f"k{n}" for n in range(51))) == "TooManyTags"
    assert code("a", arns=[arn[:-1] + ("0" if arn[-1] != "0" else "1")]) == "LoadBalancerNotFound"
    assert code("a", arns=["arn:aws:s3:::bucket"]) == "ValidationError"
    rule = "arn:aws:elasticloadbalancing:us-east-1:123456789012:listener-rule/app/web/50dc6c495c0c9188/50dc6c495c0c9188/50dc6c495c0c9188"
    assert code("a", arns=[rule]) == "RuleNotFound"
