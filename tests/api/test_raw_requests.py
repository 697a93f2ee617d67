"""Signed requests whose content no SDK would send: told with a 4xx, in AWS's words."""

from __future__ import annotations

import re
import urllib.request
from urllib.error import HTTPError

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from rookery.testing.running_api import ACCESS_KEY, SECRET


def signed(api, body, service="ec2"):
    """Status and code."""
    request = AWSRequest("POST", f"{api.url}/", {"Content-Type": "application/x-www-form-urlencoded"}, body)
    SigV4Auth(Credentials(ACCESS_KEY, SECRET), service, "us-east-1").add_auth(request)
    sent = urllib.request.Request(f"{api.url}/", body, dict(request.headers), method="POST")
    try:
        with urllib.request.urlopen(sent) as answer:
            return answer.status, ""
    except HTTPError as refusal:
        text = refusal.read().decode()
        return refusal.code, re.search("<Code>(.*)</Code>", text)[1]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "MissingParameter"),
        (b"Version=2016-11-15", "MissingParameter"),
        (b"Action=DescribeVpcs", "MissingParameter"),
        (b"Action=DescribeVpcs&Version=2006-01-01", "NoSuchVersion"),
        (b"Action=DescribeVpcs&Version=", "NoSuchVersion"),
        (b"Action=MakeTea&Version=2016-11-15", "InvalidAction"),
        (b"Action=%3Cscript%3E&Version=2016-11-15", "InvalidAction"),
        (b"Action.1=DescribeVpcs&Version=2016-11-15", "MissingParameter"),
        (b"Action=DescribeVpcs&Version=2016-11-15&Action.1=x", "MalformedQueryString"),
        (b"Action=DescribeVpcs&Version=2016-11-15&Nonsense=1", "UnknownParameter"),
        (b"\xff\xff=\xff", "MalformedQueryString"),
        (b'{"Action": "DescribeVpcs"}', "MissingParameter"),
        (b"<xml/>", "MissingParameter"),
        (b"Action=DescribeVpcs&Version=2016-11-15&" + b"a." * 10_000 + b"a=1", "MalformedQueryString"),
        (b"Action=DescribeVpcs&Version=2016-11-15&" + b"x&" * 25_000, "MalformedQueryString"),
        (b"Action=DescribeVpcs&Version=2016-11-15&Filter.1.Name=a&Filter.1.Name=b", "InvalidQueryParameter"),
        (b"Action=CreateVpc&Version=2016-11-15&CidrBlock=" + b"1" * 500_000, "InvalidParameterValue"),
        (
            b"Action=DescribeVpcs&Version=2016-11-15&" + b"&".join(b"VpcId.%d=vpc-%08x" % (n, n) for n in range(9000)),
            "InvalidVpcID.NotFound",
        ),
    ],
)
def test_a_request_no_sdk_sends_is_told_what_is_wrong(api, body, code):
    assert signed(api, body) == (400, code)


def test_an_operation_belongs_to_its_service(api):
    assert signed(api, b"Action=DescribeVpcs&Version=2016-11-15", "sts") == (400, "NoSuchVersion")
    assert signed(api, b"Action=GetCallerIdentity&Version=2011-06-15", "ec2") == (400, "NoSuchVersion")
    assert signed(api, b"Action=GetCallerIdentity&Version=2011-06-15", "sts") == (200, "")
