"""The wire format against botocore, the clients' own: every operation of both services, there and back."""

from __future__ import annotations

import random
import time

import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.parsers import create_parser
from botocore.serialize import create_serializer

from rookery.api.operation import ApiError
from rookery.api.wire import form
from rookery.api.wire.answer import answer, error_answer
from rookery.api.wire.service import service
from rookery.testing.shapes import Values

SERVICES = ("ec2", "sts")


def model_of(name):
    return ServiceModel(Loader().load_service_model(name, "service-2"), name)


def flat(body):
    return {key: _text(value) for key, value in body.items()}


def _text(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


@pytest.mark.parametrize("name", SERVICES)
def test_every_request_is_read_as_botocore_meant_it(name):
    model, known = model_of(name), service(name)
    serializer = create_serializer(model.metadata["protocol"])
    values = Values(random.Random(7))
    for operation_name in model.operation_names:
        operation = model.operation_model(operation_name)
        if operation.input_shape is None:
            continue
        given = values.of(operation.input_shape)
        body = serializer.serialize_to_request(given, operation)["body"]
        read = known.operation(operation_name).parse(form.tree(flat(body)))
        assert read == without_empty(given), operation_name


def members(operation):
    return operation.output_shape.members if operation.output_shape else {}


def without_empty(value):
    """EC2's form cannot say an empty structure or list."""
    if isinstance(value, dict):
        cut = {name: without_empty(one) for name, one in value.items()}
        return {name: one for name, one in cut.items() if one not in ({}, [])}
    if isinstance(value, list):
        return [one for one in map(without_empty, value) if one != {}]
    return value


@pytest.mark.parametrize("name", SERVICES)
def test_every_answer_is_read_by_botocore_as_the_handler_meant_it(name):
    model, known = model_of(name), service(name)
    parser = create_parser(model.metadata["protocol"])
    values = Values(random.Random(8))
    for operation_name in model.operation_names:
        operation = model.operation_model(operation_name)
        result = values.of(operation.output_shape) if operation.output_shape else {}
        body = answer(known, known.operation(operation_name), result, "the-id")
        read = parser.parse({"status_code": 200, "headers": {}, "body": body}, operation.output_shape)
        metadata = read.pop("ResponseMetadata", {})
        assert metadata.get("RequestId") == "the-id" or operation.output_shape is None
        meant = {"Return": True, **result} if "Return" in members(operation) else result
        assert read == meant, operation_name


@pytest.mark.parametrize("name", SERVICES)
def test_an_error_is_read_by_botocore(name):
    model = model_of(name)
    parser = create_parser(model.metadata["protocol"])
    body = error_answer(ApiError("Some.Code", 'a "<&> b'), "the-id", name)
    read = parser.parse({"status_code": 400, "headers": {}, "body": body}, None)
    assert (read["Error"]["Code"], read["Error"]["Message"]) == ("Some.Code", 'a "<&> b')
    assert read["ResponseMetadata"]["RequestId"] == "the-id"


def parsed(operation, query):
    return service("ec2").operation(operation).parse(form.tree(form.fields(query)))


@pytest.mark.parametrize(
    ("operation", "query", "code"),
    [
        ("DescribeVpcs", b"Colour=red", "UnknownParameter"),
        ("DescribeVpcs", b"VpcId.x=vpc-1", "UnknownParameter"),
        ("DescribeVpcs", b"Filter.1.Colour=red", "UnknownParameter"),
        ("DescribeVpcs", b"VpcId=vpc-1", "InvalidParameterValue"),
        ("DescribeVpcs", b"VpcId.1.2=vpc-1", "InvalidParameterValue"),
        ("DescribeVpcs", b"VpcId.1=a&VpcId.01=b", "InvalidParameterValue"),
        ("DescribeVpcs", b"MaxResults=many", "InvalidParameterValue"),
        ("DescribeVpcs", b"MaxResults=1_0", "InvalidParameterValue"),
        ("DescribeVpcs", b"MaxResults=4", "InvalidParameterValue"),
        ("DescribeVpcs", b"MaxResults=99999999999999999999999999", "InvalidParameterValue"),
        ("DescribeVpcs", b"MaxResults=%D9%A1", "InvalidParameterValue"),
        ("DescribeVpcs", b"DryRun=perhaps", "InvalidParameterValue"),
        ("DescribeVpcs", b"DryRun.1=true", "InvalidParameterValue"),
        ("CreateSubnet", b"CidrBlock=10.0.0.0/24", "MissingParameter"),
        ("CreateVpc", b"CidrBlock=10.0.0.0/16&InstanceTenancy=rented", "InvalidParameterValue"),
        ("ImportKeyPair", b"KeyName=a&PublicKeyMaterial=%21%21", "InvalidParameterValue"),
        ("DescribeVpcs", b"VpcId.1=a&VpcId.1.2=b", "MalformedQueryString"),
        ("DescribeVpcs", b"VpcId.1.2=a&VpcId.1=b", "MalformedQueryString"),
        ("DescribeVpcs", b"VpcId.1=a&VpcId.1=b", "InvalidQueryParameter"),
        ("DescribeVpcs", b"VpcId.1=%zz", "MalformedQueryString"),
        ("DescribeVpcs", b"VpcId.1=%ff%fe", "MalformedQueryString"),
        ("DescribeVpcs", b"VpcId.1=\xff\xfe", "MalformedQueryString"),
        ("DescribeVpcs", b"VpcId.1=%00", "MalformedQueryString"),
        ("DescribeVpcs", b"VpcId.1=%ED%A0%80", "MalformedQueryString"),
        ("DescribeVpcs", b".".join([b"A"] * 5000) + b"=1", "MalformedQueryString"),
        ("DescribeVpcs", b"&".join(b"VpcId.%d=a" % n for n in range(30_000)), "MalformedQueryString"),
    ],
)
def test_a_wrong_request_is_told_what_is_wrong(operation, query, code):
    with pytest.raises(ApiError) as refusal:
        parsed(operation, query)
    assert refusal.value.code == code


def test_gaps_and_order_of_indices_do_not_matter():
    assert parsed("DescribeVpcs", b"VpcId.10=c&VpcId.2=b&VpcId.1=a") == {"VpcIds": ["a", "b", "c"]}


def test_plus_is_a_space_and_escapes_are_utf8():
    assert parsed("DescribeVpcs", b"VpcId.1=a+b%2B%C3%A9") == {"VpcIds": ["a b+é"]}


def test_a_result_that_the_model_does_not_know_is_a_mistake():
    known = service("ec2")
    with pytest.raises(KeyError):
        answer(known, known.operation("DescribeVpcs"), {"Vpcs": [{"Colour": "red"}]}, "id")


def test_reading_a_request_takes_well_under_a_tenth_of_a_millisecond():
    query = b"Action=DescribeVpcs&Version=2016-11-15&Filter.1.Name=tag%3Ak&Filter.1.Value.1=a&MaxResults=5"
    parsed("DescribeVpcs", query)
    rounds = []
    for _ in range(20):
        began = time.perf_counter()
        for _ in range(50):
            parsed("DescribeVpcs", query)
        rounds.append((time.perf_counter() - began) / 50)
    assert min(rounds) < 100e-6
