"""What is done once for all operations: DryRun, ClientToken, pages, filters, tags, errors of the front."""

from __future__ import annotations

import urllib.request
from concurrent.futures import ThreadPoolExecutor
from urllib.error import HTTPError
from xml.etree import ElementTree

import pytest
from botocore.exceptions import ClientError

from rookery.store.interface import Conflict, StoreUnavailable


def vpc(ec2, cidr="10.0.0.0/16", **more):
    return ec2.create_vpc(CidrBlock=cidr, **more)["Vpc"]["VpcId"]


def named(key="Name", value="x", resource="vpc"):
    return [{"ResourceType": resource, "Tags": [{"Key": key, "Value": value}]}]


def test_a_dry_run_says_that_it_would_and_does_not(api, ec2, refused):
    before = ec2.describe_vpcs()["Vpcs"], api.run(api.store.revision())
    with refused("DryRunOperation") as refusal:
        ec2.create_vpc(CidrBlock="10.0.0.0/16", DryRun=True)
    assert (refusal.status, refusal.message) == (412, "Request would have succeeded, but DryRun flag is set.")
    with refused("DryRunOperation"):
        ec2.describe_vpcs(DryRun=True)
    assert (ec2.describe_vpcs()["Vpcs"], api.run(api.store.revision())) == before


def test_a_dry_run_that_would_fail_says_how(ec2, refused):
    with refused("InvalidVpc.Range"):
        ec2.create_vpc(CidrBlock="10.0.0.0/8", DryRun=True)
    with refused("InvalidVpcID.NotFound"):
        ec2.delete_vpc(VpcId="vpc-0123456789abcdef0", DryRun=True)


def test_a_token_makes_one_thing_and_answers_it_afresh(ec2):
    vpc_id = vpc(ec2)
    first = ec2.create_route_table(VpcId=vpc_id, ClientToken="once")["RouteTable"]
    ec2.create_tags(Resources=[first["RouteTableId"]], Tags=[{"Key": "later", "Value": "1"}])
    again = ec2.create_route_table(VpcId=vpc_id, ClientToken="once")["RouteTable"]
    assert again["RouteTableId"] == first["RouteTableId"]
    assert again["Tags"] == [{"Key": "later", "Value": "1"}]
    assert (
        len(ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc_id]}])["RouteTables"]) == 2
    )


def test_a_token_with_other_parameters_is_refused(ec2, refused):
    ec2.create_route_table(VpcId=vpc(ec2), ClientToken="once")
    with refused("IdempotentParameterMismatch"):
        ec2.create_route_table(VpcId=vpc(ec2, "10.1.0.0/16"), ClientToken="once")


def test_a_token_of_a_thing_that_is_gone_repeats_the_first_answer(ec2):
    vpc_id = vpc(ec2)
    first = ec2.create_route_table(VpcId=vpc_id, ClientToken="once")["RouteTable"]
    ec2.delete_route_table(RouteTableId=first["RouteTableId"])
    assert ec2.create_route_table(VpcId=vpc_id, ClientToken="once")["RouteTable"] == first


def test_tokens_of_accounts_and_regions_are_apart(api, ec2):
    ec2.create_route_table(VpcId=vpc(ec2), ClientToken="once")
    other = api.client(region="eu-west-1")
    other.create_route_table(VpcId=vpc(other), ClientToken="once")


def test_the_same_token_at_the_same_time_makes_one_thing(api, ec2):
    vpc_id = vpc(ec2)
    with ThreadPoolExecutor(6) as pool:
        calls = [pool.submit(ec2.create_route_table, VpcId=vpc_id, ClientToken="once") for _ in range(12)]
        assert len({call.result()["RouteTable"]["RouteTableId"] for call in calls}) == 1


def test_an_overlong_token_is_refused(ec2, refused):
    with refused("InvalidClientToken"):
        ec2.create_route_table(VpcId=vpc(ec2), ClientToken="t" * 65)


def test_pages_hold_everything_once_while_others_change_it(ec2):
    vpcs = [vpc(ec2, f"10.{n}.0.0/16") for n in range(14)]
    first = ec2.describe_vpcs(MaxResults=5)
    ec2.delete_vpc(VpcId=first["Vpcs"][4]["VpcId"])  # the one that the token points at
    ec2.delete_vpc(VpcId=vpcs[12])
    late = vpc(ec2, "10.99.0.0/16")
    second = ec2.describe_vpcs(MaxResults=5, NextToken=first["NextToken"])
    third = ec2.describe_vpcs(MaxResults=5, NextToken=second["NextToken"])
    assert "NextToken" not in third
    seen = [one["VpcId"] for page in (first, second, third) for one in page["Vpcs"]]
    assert len(seen) == len(set(seen))
    assert set(seen) >= {*vpcs[:12], vpcs[13], late}


def test_boto3s_paginator_finds_all(ec2):
    made = {vpc(ec2, f"10.{n}.0.0/16") for n in range(12)}
    pages = list(ec2.get_paginator("describe_vpcs").paginate(PaginationConfig={"PageSize": 5}))
    assert [len(page["Vpcs"]) for page in pages] == [5, 5, 3]
    assert {one["VpcId"] for page in pages for one in page["Vpcs"]} > made


def test_a_token_of_another_question_is_refused(api, ec2, refused):
    for n in range(6):
        vpc(ec2, f"10.{n}.0.0/16")
    token = ec2.describe_vpcs(MaxResults=5)["NextToken"]
    with refused("InvalidNextToken"):
        ec2.describe_subnets(MaxResults=5, NextToken=token)
    with refused("InvalidNextToken"):
        ec2.describe_vpcs(MaxResults=5, NextToken=token, Filters=[{"Name": "state", "Values": ["available"]}])
    with refused("InvalidNextToken"):
        api.client(region="eu-west-1").describe_vpcs(MaxResults=5, NextToken=token)
    for wrong in (token[:-4], "A" + token[1:], "nonsense", "é", "="):
        with refused("InvalidNextToken"):
            ec2.describe_vpcs(MaxResults=5, NextToken=wrong)


def test_results_and_ids_do_not_go_together(ec2, refused):
    with refused("InvalidParameterCombination"):
        ec2.describe_vpcs(MaxResults=5, VpcIds=[vpc(ec2)])


@pytest.mark.parametrize("size", [4, 1001, 0, -1])
def test_a_page_has_five_to_a_thousand(api, refused, size):
    with refused("InvalidParameterValue"):
        api.client(parameter_validation=False).describe_vpcs(MaxResults=size)


def test_too_many_filter_values_are_refused(ec2, refused):
    with refused("FilterLimitExceeded"):
        ec2.describe_vpcs(Filters=[{"Name": "cidr", "Values": [str(n) for n in range(201)]}])


def test_wildcards_may_be_escaped(ec2):
    star = vpc(ec2, TagSpecifications=named(value="a*"))
    other = vpc(ec2, TagSpecifications=named(value="ab"))

    def found(pattern):
        return {
            one["VpcId"]
            for one in ec2.describe_vpcs(Filters=[{"Name": "tag:Name", "Values": [pattern]}])["Vpcs"]
        }

    assert found("a*") == found("a?") == {star, other}
    assert found(r"a\*") == {star}
    assert found("A*") == set()


def test_a_pattern_of_many_stars_is_matched_quickly(ec2):
    vpc(ec2, TagSpecifications=named(value="a" * 200))
    pattern = "*a" * 60 + "b"
    assert ec2.describe_vpcs(Filters=[{"Name": "tag:Name", "Values": [pattern]}])["Vpcs"] == []


def test_tags_are_made_changed_found_and_deleted(ec2):
    vpc_id = vpc(ec2, TagSpecifications=named())
    (subnet_id,) = [ec2.create_subnet(VpcId=vpc_id, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]]
    ec2.create_tags(
        Resources=[vpc_id, subnet_id], Tags=[{"Key": "Name", "Value": "y"}, {"Key": "é &<", "Value": ""}]
    )
    rows = {
        (one["ResourceId"], one["ResourceType"], one["Key"], one["Value"])
        for one in ec2.describe_tags()["Tags"]
    }
    assert rows == {
        (vpc_id, "vpc", "Name", "y"),
        (vpc_id, "vpc", "é &<", ""),
        (subnet_id, "subnet", "Name", "y"),
        (subnet_id, "subnet", "é &<", ""),
    }
    found = ec2.describe_tags(
        Filters=[{"Name": "resource-type", "Values": ["subnet"]}, {"Name": "key", "Values": ["N*"]}]
    )
    assert [one["ResourceId"] for one in found["Tags"]] == [subnet_id]
    ec2.delete_tags(Resources=[vpc_id], Tags=[{"Key": "Name", "Value": "other"}])
    assert len(ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [vpc_id]}])["Tags"]) == 2
    ec2.delete_tags(Resources=[vpc_id], Tags=[{"Key": "Name"}])
    ec2.delete_tags(Resources=[subnet_id])
    assert [(one["ResourceId"], one["Key"]) for one in ec2.describe_tags()["Tags"]] == [(vpc_id, "é &<")]


def test_fifty_tags_are_the_limit(ec2, refused):
    vpc_id = vpc(ec2)
    ec2.create_tags(Resources=[vpc_id], Tags=[{"Key": f"k{n}", "Value": ""} for n in range(50)])
    with refused("TagLimitExceeded"):
        ec2.create_tags(Resources=[vpc_id], Tags=[{"Key": "one more", "Value": ""}])
    ec2.create_tags(Resources=[vpc_id], Tags=[{"Key": "k0", "Value": "changed"}])


@pytest.mark.parametrize(
    ("key", "value", "code"),
    [
        ("aws:mine", "", "InvalidParameterValue"),
        ("AWS:mine", "", "InvalidParameterValue"),
        ("k" * 128, "", "InvalidTagKey.Malformed"),
        ("k", "v" * 257, "InvalidParameterValue"),
        ("", "v", "InvalidParameterValue"),
    ],
)
def test_a_wrong_tag_is_refused_and_nothing_made(ec2, refused, key, value, code):
    before = ec2.describe_vpcs()["Vpcs"]
    with refused(code):
        vpc(ec2, TagSpecifications=named(key, value))
    assert ec2.describe_vpcs()["Vpcs"] == before


def test_tags_for_another_type_are_refused(ec2, refused):
    with refused("InvalidParameterValue"):
        vpc(ec2, TagSpecifications=named(resource="subnet"))


def test_tagging_nothing_or_a_stranger_is_refused_whole(ec2, refused):
    vpc_id = vpc(ec2)
    with refused("InvalidID"):
        ec2.create_tags(Resources=[vpc_id, "thing-1"], Tags=[{"Key": "k", "Value": "v"}])
    with refused("InvalidSubnetID.NotFound"):
        ec2.create_tags(Resources=[vpc_id, "subnet-0123456789abcdef0"], Tags=[{"Key": "k", "Value": "v"}])
    assert ec2.describe_tags()["Tags"] == []


def test_a_change_says_its_generation_and_a_look_does_not(api, ec2):
    changed = ec2.create_vpc(CidrBlock="10.0.0.0/16")["ResponseMetadata"]["HTTPHeaders"]
    assert int(changed["x-rookery-generation"]) == api.run(api.store.revision())
    assert "x-rookery-generation" not in ec2.describe_vpcs()["ResponseMetadata"]["HTTPHeaders"]


def test_what_is_not_built_says_so(ec2, refused):
    with refused("UnsupportedOperation") as refusal:
        ec2.create_transit_gateway()
    assert refusal.message == "Rookery does not support the operation CreateTransitGateway yet."


def test_a_conflict_is_run_again_and_a_lasting_one_reported(api, ec2, refused):
    vpc(ec2)
    api.store.fail_next(Conflict("another was faster"))
    vpc(ec2)
    api.store.fail_next(*[Conflict("always")] * 10)
    with refused("RequestLimitExceeded") as refusal:
        vpc(ec2)
    assert refusal.status == 503


def test_a_store_that_does_not_answer_is_service_unavailable(api, ec2, refused):
    vpc(ec2)
    api.store.fail_next(StoreUnavailable("disk full"))
    with refused("ServiceUnavailable") as refusal:
        vpc(ec2)
    assert refusal.status == 503


def test_a_mistake_of_ours_is_an_internal_error_with_its_id_in_the_log(api, ec2, refused, caplog):
    vpc(ec2)
    api.store.fail_next(RuntimeError("unforeseen"))
    with refused("InternalError") as refusal:
        vpc(ec2)
    assert refusal.status == 500
    assert "unforeseen" not in refusal.message
    assert any(
        record.exc_info and record.request_id for record in caplog.records if hasattr(record, "request_id")
    )


def test_a_wrong_secret_and_an_unknown_key_are_told_apart(api, refused):
    with refused("SignatureDoesNotMatch") as refusal:
        api.client(secret="guess").describe_vpcs()
    assert refusal.status == 403
    with refused("AuthFailure") as refusal:
        api.client(access_key="AKIDUNKNOWN").describe_vpcs()
    assert refusal.status == 401
    with refused("InvalidClientTokenId") as refusal:
        api.client("sts", access_key="AKIDUNKNOWN").get_caller_identity()
    assert refusal.status == 403


def test_sts_says_who_one_is(api):
    identity = api.client("sts").get_caller_identity()
    identity.pop("ResponseMetadata")
    assert identity == {
        "UserId": "123456789012",
        "Account": "123456789012",
        "Arn": "arn:aws:iam::123456789012:root",
    }
    with pytest.raises(ClientError) as refusal:
        api.client("sts").get_session_token()
    assert refusal.value.response["Error"]["Code"] == "UnsupportedOperation"


def test_a_presigned_url_is_answered(api, ec2):
    vpc_id = vpc(ec2)
    url = ec2.generate_presigned_url("describe_vpcs", Params={"VpcIds": [vpc_id]}, HttpMethod="GET")
    with urllib.request.urlopen(url) as answer:
        text = answer.read().decode()
    assert f"<vpcId>{vpc_id}</vpcId>" in text


def raw(api, body=b"", method="POST", path="/", headers=()):
    """Status and error code of a request that is not signed."""
    request = urllib.request.Request(
        api.url + path, body if method == "POST" else None, dict(headers), method=method
    )
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, ""
    except HTTPError as refusal:
        return refusal.code, ElementTree.fromstring(refusal.read()).findtext(".//Code")


def test_unsigned_requests_are_refused_before_anything_is_read(api):
    assert raw(api, b"Action=Nonsense") == (403, "MissingAuthenticationToken")
    assert raw(api, b"\xff\xfe") == (403, "MissingAuthenticationToken")
    assert raw(api, method="PUT") == (405, "MethodNotAllowed")
    assert raw(api, path="/elsewhere") == (404, "InvalidRequest")


@pytest.mark.parametrize("size", [(1 << 20) + 1, 3 << 20])
def test_a_huge_body_is_refused(api, size):
    assert raw(api, b"a" * size) == (413, "RequestEntityTooLarge")


def test_a_huge_query_is_refused(api):
    with pytest.raises(HTTPError) as refusal:
        urllib.request.urlopen(f"{api.url}/?a=" + "a" * 66_000)
    assert refusal.value.code in (400, 413)  # the HTTP parser's own limit may come first


def test_health_needs_no_signature(api):
    with urllib.request.urlopen(f"{api.url}/health") as answer:
        assert (answer.status, answer.read()) == (200, b"ok\n")
