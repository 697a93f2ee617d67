"""Managed prefix lists through boto3: versions, sizes, and the routes that use them (behaviour/03)."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from rookery.api.handlers.prefix_lists import KEPT_VERSIONS
from rookery.api.quotas import Quotas
from rookery.model.objects import PrefixList, SecurityGroup, SecurityGroupRule
from rookery.testing.small_view import ACCOUNT, REGION, SmallView


def entry(cidr, description=""):
    return {"Cidr": cidr, "Description": description}


def create(ec2, *cidrs, most=5, family="IPv4", name="offices", **more):
    made = ec2.create_managed_prefix_list(
        PrefixListName=name,
        MaxEntries=most,
        AddressFamily=family,
        Entries=[entry(cidr) for cidr in cidrs],
        **more,
    )
    return made["PrefixList"]


def entries(ec2, list_id, **more):
    found = ec2.get_managed_prefix_list_entries(PrefixListId=list_id, **more)["Entries"]
    return [each["Cidr"] for each in found]


def modify(ec2, list_id, version=1, **more):
    return ec2.modify_managed_prefix_list(PrefixListId=list_id, CurrentVersion=version, **more)["PrefixList"]


def test_a_list_is_made_and_told(ec2):
    tag = {"Key": "Name", "Value": "x"}
    made = create(ec2, "10.9.1.7/24", TagSpecifications=[{"ResourceType": "prefix-list", "Tags": [tag]}])
    list_id = made["PrefixListId"]
    assert made == {
        "PrefixListId": list_id,
        "PrefixListArn": f"arn:aws:ec2:us-east-1:123456789012:prefix-list/{list_id}",
        "PrefixListName": "offices",
        "AddressFamily": "IPv4",
        "MaxEntries": 5,
        "State": "create-in-progress",
        "Version": 1,
        "OwnerId": "123456789012",
        "Tags": [tag],
    }
    (found,) = ec2.describe_managed_prefix_lists(PrefixListIds=[list_id])["PrefixLists"]
    assert found == {**made, "State": "create-complete"}
    assert entries(ec2, list_id) == ["10.9.1.0/24"]
    named = [{"Name": "prefix-list-name", "Values": ["off*"]}]
    assert len(ec2.describe_managed_prefix_lists(Filters=named)["PrefixLists"]) == 1


def test_a_change_of_entries_is_a_new_version_and_an_old_one_can_be_restored(ec2):
    list_id = create(ec2, "10.9.0.0/16", "10.8.0.0/16")["PrefixListId"]
    answer = modify(
        ec2, list_id, AddEntries=[entry("10.7.0.0/16", "new")], RemoveEntries=[{"Cidr": "10.9.0.0/16"}]
    )
    assert (answer["State"], answer["Version"]) == ("modify-in-progress", 2)
    assert entries(ec2, list_id) == ["10.7.0.0/16", "10.8.0.0/16"]
    assert entries(ec2, list_id, TargetVersion=1) == ["10.8.0.0/16", "10.9.0.0/16"]
    ec2.restore_managed_prefix_list_version(PrefixListId=list_id, PreviousVersion=1, CurrentVersion=2)
    (found,) = ec2.describe_managed_prefix_lists(PrefixListIds=[list_id])["PrefixLists"]
    assert (found["State"], found["Version"]) == ("restore-complete", 3)
    assert entries(ec2, list_id) == ["10.8.0.0/16", "10.9.0.0/16"]


def test_a_name_and_a_size_make_no_version(ec2):
    list_id = create(ec2, "10.9.0.0/16")["PrefixListId"]
    ec2.modify_managed_prefix_list(PrefixListId=list_id, PrefixListName="homes", MaxEntries=7)
    (found,) = ec2.describe_managed_prefix_lists(PrefixListIds=[list_id])["PrefixLists"]
    assert (found["PrefixListName"], found["MaxEntries"], found["Version"]) == ("homes", 7, 1)
    assert found["State"] == "modify-complete"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"AddEntries": [entry("10.7.0.0/16")], "CurrentVersion": 2}, "PrefixListVersionMismatch"),
        ({"AddEntries": [entry("10.7.0.0/16")]}, "PrefixListVersionMismatch"),
        ({"AddEntries": [entry("10.7.0.0/16")], "MaxEntries": 3}, "InvalidParameterCombination"),
        ({"CurrentVersion": 1, "AddEntries": [entry("10.9.0.0/16", "again")]}, "InvalidRequest"),
        ({"CurrentVersion": 1, "RemoveEntries": [{"Cidr": "10.7.0.0/16"}]}, "InvalidRequest"),
        (
            {
                "CurrentVersion": 1,
                "AddEntries": [entry("10.9.0.0/16")],
                "RemoveEntries": [{"Cidr": "10.9.0.0/16"}],
            },
            "InvalidParameterValue",
        ),
        (
            {"CurrentVersion": 1, "AddEntries": [entry(f"10.7.{n}.0/24") for n in range(2)]},
            "PrefixListMaxEntriesExceeded",
        ),
        ({"CurrentVersion": 1, "AddEntries": [entry("2001:db8::/48")]}, "InvalidParameterValue"),
        ({"CurrentVersion": 1, "AddEntries": [entry("10.7.0.0/16")] * 2}, "InvalidParameterValue"),
        ({"MaxEntries": 0}, "InvalidParameterValue"),
        ({"MaxEntries": 1001}, "InvalidParameterValue"),
        ({"PrefixListName": "com.amazonaws.mine"}, "InvalidParameterValue"),
    ],
)
def test_a_change_that_cannot_be_is_refused(ec2, refused, change, code):
    list_id = create(ec2, "10.9.0.0/16", most=2)["PrefixListId"]
    with refused(code):
        ec2.modify_managed_prefix_list(PrefixListId=list_id, **change)
    assert entries(ec2, list_id) == ["10.9.0.0/16"]


def test_a_list_is_of_one_family(ec2, refused):
    assert create(ec2, "2001:db8:0::/48", family="IPv6")["AddressFamily"] == "IPv6"
    for family in ("IPv4", "ipv6"):
        with refused("InvalidParameterValue"):
            create(ec2, "2001:db8::/48", family=family)


def test_what_is_not_there_is_not_found(ec2, refused):
    with refused("InvalidPrefixListID.NotFound"):
        ec2.describe_managed_prefix_lists(PrefixListIds=["pl-0123456789abcdef0"])
    with refused("InvalidPrefixListId.Malformed"):
        ec2.delete_managed_prefix_list(PrefixListId="nonsense")
    with refused("InvalidParameterValue"):
        entries(ec2, create(ec2)["PrefixListId"], TargetVersion=2)
    assert ec2.describe_prefix_lists()["PrefixLists"] == []
    with refused("InvalidPrefixListId.NotFound"):
        ec2.describe_prefix_lists(PrefixListIds=["pl-0123456789abcdef0"])


def test_more_lists_than_the_quota_are_refused():
    view = SmallView(quotas=Quotas(prefix_lists=1))
    wish = {"PrefixListName": "x", "MaxEntries": 1, "AddressFamily": "IPv4"}
    view.call("CreateManagedPrefixList", **wish)
    assert view.refusal("CreateManagedPrefixList", **wish) == "PrefixListLimitExceeded"


def test_old_versions_are_forgotten_and_the_others_keep_their_numbers():
    view = SmallView()
    made = view.call("CreateManagedPrefixList", PrefixListName="x", MaxEntries=1, AddressFamily="IPv4")[
        "PrefixList"
    ]
    list_id = made["PrefixListId"]
    for version in range(1, KEPT_VERSIONS + 1):
        change = {"AddEntries": [entry("10.9.0.0/16")]}
        if version % 2 == 0:
            change = {"RemoveEntries": [entry("10.9.0.0/16")]}
        view.call("ModifyManagedPrefixList", PrefixListId=list_id, CurrentVersion=version, **change)
    asked = {"PrefixListId": list_id, "TargetVersion": 1}
    assert view.refusal("GetManagedPrefixListEntries", **asked) == "InvalidParameterValue"
    told = view.call("GetManagedPrefixListEntries", PrefixListId=list_id, TargetVersion=2)["Entries"]
    assert [each["Cidr"] for each in told] == ["10.9.0.0/16"]
    assert len(view.get(PrefixList, list_id).versions) == KEPT_VERSIONS + 1


# -------------------------------------------------------------------------------------------------------------- routes


@pytest.fixture
def used(ec2):
    """(list, table, interface, subnet): the table of VPC 10.0.0.0/16 has a route to the list."""
    vpc_id = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet_id = ec2.create_subnet(VpcId=vpc_id, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    interface = ec2.create_network_interface(SubnetId=subnet_id)["NetworkInterface"]["NetworkInterfaceId"]
    table_id = ec2.create_route_table(VpcId=vpc_id)["RouteTable"]["RouteTableId"]
    list_id = create(ec2, "10.9.0.0/16")["PrefixListId"]
    ec2.create_route(RouteTableId=table_id, DestinationPrefixListId=list_id, NetworkInterfaceId=interface)
    return list_id, table_id, interface


def test_a_route_may_be_for_a_list(ec2, refused, used):
    list_id, table_id, interface = used
    found = [{"Name": "route.destination-prefix-list-id", "Values": [list_id]}]
    (table,) = ec2.describe_route_tables(Filters=found)["RouteTables"]
    assert table["Routes"][1] == {
        "DestinationPrefixListId": list_id,
        "NetworkInterfaceId": interface,
        "Origin": "CreateRoute",
        "State": "blackhole",
    }
    uses = ec2.get_managed_prefix_list_associations(PrefixListId=list_id)["PrefixListAssociations"]
    assert uses == [{"ResourceId": table_id, "ResourceOwner": "123456789012"}]
    with refused("DependencyViolation"):
        ec2.delete_managed_prefix_list(PrefixListId=list_id)
    ec2.delete_route(RouteTableId=table_id, DestinationPrefixListId=list_id)
    answer = ec2.delete_managed_prefix_list(PrefixListId=list_id)["PrefixList"]
    assert answer["State"] == "delete-in-progress"


def test_a_list_that_routes_use_keeps_out_of_the_vpc(ec2, refused, used):
    list_id, table_id, interface = used
    with refused("InvalidParameterValue"):
        modify(ec2, list_id, AddEntries=[entry("10.0.1.128/25")])
    with refused("InvalidParameterValue"):
        modify(ec2, list_id, AddEntries=[entry("169.254.169.254/32")])
    for cidr in ("10.0.7.0/24", "10.0.0.0/16"):
        inside = create(ec2, cidr)["PrefixListId"]
        with refused("InvalidParameterValue"):
            ec2.create_route(
                RouteTableId=table_id, DestinationPrefixListId=inside, NetworkInterfaceId=interface
            )


def test_a_list_weighs_what_it_may_hold(ec2, refused, used):
    list_id, table_id, interface = used
    big = create(ec2, "10.7.0.0/16", most=485)["PrefixListId"]
    ec2.create_route(RouteTableId=table_id, DestinationPrefixListId=big, NetworkInterfaceId=interface)
    twenty = create(ec2, most=20)["PrefixListId"]
    route = {"RouteTableId": table_id, "NetworkInterfaceId": interface}
    with refused("RouteLimitExceeded"):  # 5 + 485 + 20
        ec2.create_route(**route, DestinationPrefixListId=twenty)
    with refused("RouteLimitExceeded"):
        ec2.modify_managed_prefix_list(PrefixListId=list_id, MaxEntries=16)
    of_ipv6 = create(ec2, most=20, family="IPv6")["PrefixListId"]
    ec2.create_route(**route, DestinationPrefixListId=of_ipv6)  # families are counted apart
    ec2.modify_managed_prefix_list(PrefixListId=list_id, MaxEntries=15)


def test_routes_are_counted_one_by_one():
    view = SmallView(quotas=Quotas(routes_per_table=2))
    vpc = view.make_vpc("10.0.0.0/16")
    home = view.make_subnet(vpc, "10.0.1.0/24")
    target = view.call("CreateNetworkInterface", SubnetId=home.id)["NetworkInterface"]["NetworkInterfaceId"]
    table = view.call("CreateRouteTable", VpcId=vpc.id)["RouteTable"]["RouteTableId"]
    route = {"RouteTableId": table, "NetworkInterfaceId": target}
    view.call("ReplaceRoute", **route, DestinationCidrBlock="10.0.0.0/16")  # local ones do not count
    for cidr in ("10.1.0.0/16", "10.2.0.0/16"):
        view.call("CreateRoute", **route, DestinationCidrBlock=cidr)
    assert view.refusal("CreateRoute", **route, DestinationCidrBlock="10.3.0.0/16") == "RouteLimitExceeded"


def test_a_list_that_a_security_group_uses_is_not_deleted():
    view = SmallView()
    wish = {"PrefixListName": "x", "MaxEntries": 1, "AddressFamily": "IPv4"}
    list_id = view.call("CreateManagedPrefixList", **wish)["PrefixList"]["PrefixListId"]
    rule = SecurityGroupRule(id="sgr-1", is_egress=False, protocol="-1", prefix_list_id=list_id)
    group = SecurityGroup(
        account=ACCOUNT,
        region=REGION,
        id=view.ids.new("sg"),
        vpc_id=view.make_vpc("10.0.0.0/16").id,
        name="web",
        description="web",
        rules=(rule,),
    )
    view.put(group)
    assert view.refusal("DeleteManagedPrefixList", PrefixListId=list_id) == "DependencyViolation"
    view.put(replace(group, rules=()))
    view.call("DeleteManagedPrefixList", PrefixListId=list_id)


def test_a_list_grows_only_as_far_as_the_groups_that_use_it_may_hold():
    """For a group a list counts as full as it may become."""
    view = SmallView()
    view.quotas = Quotas(security_group_rules=10)
    made = view.call("CreateManagedPrefixList", PrefixListName="x", MaxEntries=5, AddressFamily="IPv4")
    list_id = made["PrefixList"]["PrefixListId"]
    vpc = view.make_vpc("10.0.0.0/16")
    (group,) = view.in_vpc(SecurityGroup, vpc.id)
    rule = {"IpProtocol": "-1", "PrefixListIds": [{"PrefixListId": list_id}]}
    view.call("AuthorizeSecurityGroupIngress", GroupId=group.id, IpPermissions=[rule])
    code = view.refusal("ModifyManagedPrefixList", PrefixListId=list_id, MaxEntries=11)
    assert code == "RulesPerSecurityGroupLimitExceeded"
    view.call("ModifyManagedPrefixList", PrefixListId=list_id, MaxEntries=9)
