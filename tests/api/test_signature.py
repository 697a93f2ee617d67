"""The signature's verifier against botocore's signer."""

from __future__ import annotations

import datetime
from unittest import mock
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.api.operation import ApiError
from rookery.api.signature import HttpRequest, claim_of, verify

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
NOW = 1_800_000_000.0
HOST = "127.0.0.1:4580"


def at(moment):
    stamp = datetime.datetime.fromtimestamp(moment, datetime.UTC).replace(tzinfo=None)
    return mock.patch("botocore.auth.get_current_datetime", return_value=stamp, create=True)


def signed(
    *,
    signer=None,
    moment=NOW,
    method="POST",
    query="",
    body=b"Action=X",
    headers=(),
    key="AKID",
    secret=SECRET,
    service="ec2",
    region="us-east-1",
    token=None,
):
    """As botocore would send it."""
    url = f"http://{HOST}/" + (f"?{query}" if query else "")
    request = AWSRequest(method, url, dict(headers), body)
    with at(moment):
        auth = (signer or SigV4Auth)(Credentials(key, secret, token), service, region)
        auth.add_auth(request)
    return wire(request)


def wire(request):
    prepared = request.prepare()
    parts = urlsplit(prepared.url)
    sent = {"host": [HOST]}
    for name, value in prepared.headers.items():
        text = value.decode() if isinstance(value, bytes) else value
        sent[name.lower()] = [text]
    return HttpRequest(prepared.method, parts.path or "/", parts.query, sent, prepared.body or b"")


def check(request, now=NOW, secret=SECRET):
    claim = claim_of(request)
    verify(request, claim, {"AKID": secret}.get, now)
    return claim


def refusal(request, now=NOW):
    with pytest.raises(ApiError) as refused:
        check(request, now)
    return refused.value.code


TEXT = st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=20)
HEADER = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)


@given(
    body=st.binary(max_size=200),
    names=st.dictionaries(st.from_regex(r"\Ax-[a-z]{1,8}\Z"), HEADER, max_size=4),
    region=st.sampled_from(["us-east-1", "eu-central-1", "us-gov-west-1", "ap-southeast-2"]),
    service=st.sampled_from(["ec2", "sts"]),
    secret=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=60),
)
@settings(max_examples=150, deadline=None)
def test_what_botocore_signs_is_accepted(body, names, region, service, secret):
    request = signed(body=body, headers=names, region=region, service=service, secret=secret)
    claim = check(request, secret=secret)
    assert (claim.credential.region, claim.credential.service) == (region, service)


@given(
    query=st.lists(
        st.tuples(st.from_regex(r"\A[A-Za-z.]{1,8}\Z"), TEXT), max_size=5, unique_by=lambda pair: pair[0]
    ),
    expires=st.integers(1, 604_800),
)
@settings(max_examples=150, deadline=None)
def test_what_botocore_presigns_is_accepted(query, expires):
    request = AWSRequest("GET", f"http://{HOST}/", params=dict(query))
    with at(NOW):
        SigV4QueryAuth(Credentials("AKID", SECRET), "ec2", "us-east-1", expires).add_auth(request)
    assert check(wire(request), NOW + expires - 1).expires == expires


@given(place=st.integers(0, 10_000), bit=st.integers(0, 7))
@settings(max_examples=100, deadline=None)
def test_a_changed_body_is_refused(place, bit):
    request = signed(body=b"Action=DescribeVpcs&Version=2016-11-15")
    body = bytearray(request.body)
    body[place % len(body)] ^= 1 << bit
    assert refusal(request._replace(body=bytes(body))) == "SignatureDoesNotMatch"


def test_a_changed_signed_header_query_method_or_path_is_refused():
    request = signed(headers={"x-amz-meaning": "one"}, query="a=1")
    for changed in (
        request._replace(headers={**request.headers, "x-amz-meaning": ["two"]}),
        request._replace(headers={k: v for k, v in request.headers.items() if k != "x-amz-meaning"}),
        request._replace(headers={**request.headers, "host": ["elsewhere"]}),
        request._replace(query="a=2"),
        request._replace(method="GET"),
        request._replace(path="/other"),
    ):
        assert refusal(changed) == "SignatureDoesNotMatch"


def test_a_header_that_was_not_signed_may_change():
    request = signed()
    check(request._replace(headers={**request.headers, "accept-encoding": ["gzip"]}))


def test_a_request_without_a_signature_misses_its_token():
    request = HttpRequest("POST", "/", "", {"host": [HOST]}, b"Action=X")
    assert refusal(request) == "MissingAuthenticationToken"


@pytest.mark.parametrize(
    "authorization",
    [
        "Basic dXNlcjpwYXNz",
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 Credential=AKID/20270115/us-east-1/ec2/aws4_request",
        "AWS4-HMAC-SHA256 Credential=AKID, SignedHeaders=host, Signature=00",
        "AWS4-HMAC-SHA256 Credential=AKID/20270115/us-east-1/ec2/aws4_request, SignedHeaders=x-amz-date, Signature=0",
        "AWS4-HMAC-SHA256 Credential=AKID/20270115/us-east-1/ec2/aws4_request, SignedHeaders=host;a, Signature=0",
        "AWS4-HMAC-SHA256 Credential=../x/20270115/us-east-1/ec2/aws4_request, SignedHeaders=host, Signature=0",
        "AWS4-HMAC-SHA256 " + "Credential=" * 5000,
    ],
)
def test_a_half_signature_is_incomplete(authorization):
    headers = {"host": [HOST], "authorization": [authorization], "x-amz-date": ["20270115T080000Z"]}
    assert refusal(HttpRequest("POST", "/", "", headers, b"")) == "IncompleteSignature"


@pytest.mark.parametrize("date", ["", "20270115", "20271315T080000Z", "2027-01-15T08:00:00Z"])
def test_a_request_needs_a_proper_date(date):
    request = signed()
    assert (
        refusal(request._replace(headers={**request.headers, "x-amz-date": [date]})) == "IncompleteSignature"
    )


@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_clock_six_minutes_off_is_refused(minutes):
    assert refusal(signed(moment=NOW + minutes * 60)) == "RequestExpired"
    assert refusal(signed(moment=NOW + minutes * 60, service="sts")) == "SignatureDoesNotMatch"


@pytest.mark.parametrize("minutes", [-4, 4])
def test_a_clock_four_minutes_off_is_accepted(minutes):
    check(signed(moment=NOW + minutes * 60))


def test_a_presigned_request_expires():
    request = AWSRequest("GET", f"http://{HOST}/?Action=DescribeVpcs&Version=2016-11-15")
    with at(NOW):
        SigV4QueryAuth(Credentials("AKID", SECRET), "ec2", "us-east-1", 60).add_auth(request)
    sent = wire(request)
    check(sent, NOW + 59)
    assert refusal(sent, NOW + 61) == "RequestExpired"
    longer = sent._replace(query=sent.query.replace("X-Amz-Expires=60", "X-Amz-Expires=600"))
    assert refusal(longer, NOW + 61) == "SignatureDoesNotMatch"
    for_ever = sent._replace(query=sent.query.replace("X-Amz-Expires=60", "X-Amz-Expires=999999999"))
    assert refusal(for_ever) == "IncompleteSignature"


def test_an_unknown_key_is_told_as_each_service_tells_it():
    assert refusal(signed(key="AKIDUNKNOWN")) == "AuthFailure"
    assert refusal(signed(key="AKIDUNKNOWN", service="sts")) == "InvalidClientTokenId"


def test_a_session_token_that_nobody_gave_out_is_refused():
    assert refusal(signed(token="made-up")) == "AuthFailure"


def test_another_secret_does_not_match():
    assert refusal(signed(secret="guess")) == "SignatureDoesNotMatch"


def test_a_service_that_is_not_built_is_told_so():
    assert refusal(signed(service="s3")) == "UnsupportedOperation"


@pytest.mark.parametrize(
    ("service", "region"), [("ec2", "../etc"), ("ec2", "us-east-1/x")]
)
def test_a_scope_without_a_region_is_refused(service, region):
    assert refusal(signed(service=service, region=region)) in ("SignatureDoesNotMatch", "IncompleteSignature")


def test_the_scope_and_the_request_are_of_the_same_day():
    request = signed()
    (authorization,) = request.headers["authorization"]
    other = authorization.replace("/20270115/", "/20270114/")
    assert other != authorization
    changed = request._replace(headers={**request.headers, "authorization": [other]})
    assert refusal(changed) == "SignatureDoesNotMatch"


def test_a_wrong_payload_hash_is_refused():
    request = signed(headers={"x-amz-content-sha256": "0" * 64})
    assert refusal(request) == "SignatureDoesNotMatch"
