"""Answers, without a wire: status by status, as page 01 of AWS's behaviour tells."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from rookery.dataplane.formats import CallerSource
from tests.services.metadata.plan import NOW, A, B, ask, instance, interface, token_of, with_options

ITEM = "/latest/meta-data/instance-id"
TOKEN = "/latest/api/token"
REQUIRED = with_options(A, tokens="required")


def test_a_token_comes_with_its_seconds_and_opens_everything_that_is_there():
    made = ask(REQUIRED, TOKEN, "PUT", x_aws_ec2_metadata_token_ttl_seconds="21600")
    assert (made.status, len(made.body), made.content_type) == (200, 56, "text/plain")
    assert made.headers == (("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600"),)
    got = ask(REQUIRED, ITEM, now=NOW + 100, x_aws_ec2_metadata_token=made.body.decode())
    assert (got.status, got.body) == (200, b"i-a")
    assert got.headers == (("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21500"),)


def test_without_a_token_there_is_an_answer_only_while_tokens_are_optional():
    assert ask(A, ITEM).status == 200
    assert ask(REQUIRED, ITEM).status == 401


@pytest.mark.parametrize("who", [A, REQUIRED], ids=["optional", "required"])
def test_a_token_that_is_not_good_is_refused_even_where_none_is_asked_for(who):
    ended = token_of(who, 60, NOW - 60)
    before_the_boot = token_of(replace(who, boot=0))
    for shown in (ended, before_the_boot, token_of(B), "", "x" * 56, "é"):
        assert ask(who, ITEM, x_aws_ec2_metadata_token=shown).status == 401


@pytest.mark.parametrize(
    "seconds", ["0", "21601", "99999999999999999999", "-1", "+60", "6e1", "", "60, 60", "٦"]
)
def test_a_token_for_a_time_that_is_not_allowed_is_not_made(seconds):
    assert ask(A, TOKEN, "PUT", x_aws_ec2_metadata_token_ttl_seconds=seconds).status == 400


@pytest.mark.parametrize("seconds", [1, 21600])
def test_a_token_for_the_shortest_and_the_longest_time_is_made(seconds):
    assert len(token_of(A, seconds)) == 56


def test_a_token_for_no_time_is_not_made():
    assert ask(A, TOKEN, "PUT").status == 400


def test_what_a_proxy_forwards_gets_no_token():
    wanted = {"x_aws_ec2_metadata_token_ttl_seconds": "60"}
    assert ask(A, TOKEN, "PUT", **wanted, x_forwarded_for="198.51.100.1").status == 403
    assert ask(A, TOKEN, "PUT", **wanted, x_forwarded_for="").status == 403
    assert ask(A, ITEM, x_forwarded_for="198.51.100.1").status == 200


def test_a_token_is_made_at_the_latest_path_only():
    wanted = {"x_aws_ec2_metadata_token_ttl_seconds": "60"}
    assert ask(A, "/2021-03-23/api/token", "PUT", **wanted).status == 403
    assert ask(A, "/1.0/api/token", "PUT", **wanted).status == 403


def test_an_endpoint_that_is_turned_off_answers_403_to_all():
    closed = with_options(A, endpoint="disabled")
    paths = ("/", ITEM, TOKEN, "/none", "/latest")
    assert {ask(closed, path, method).status for path in paths for method in ("GET", "PUT", "POST")} == {403}


@pytest.mark.parametrize("source", [CallerSource.IPV6, CallerSource.LINK_LOCAL])
def test_over_ipv6_there_are_answers_only_where_that_is_turned_on(source):
    assert ask(A, ITEM, source=source).status == 403
    assert ask(with_options(A, ipv6="enabled"), ITEM, source=source).status == 200
    assert ask(with_options(A, ipv6="enabled", endpoint="disabled"), ITEM, source=source).status == 403


def test_the_answer_to_a_put_may_travel_as_far_as_the_options_say_and_others_as_far_as_any():
    two = with_options(A, hop_limit=2)
    assert ask(two, TOKEN, "PUT", x_aws_ec2_metadata_token_ttl_seconds="60").hop_limit == 2
    assert ask(two, TOKEN, "PUT").hop_limit == 2
    assert [ask(two, path).hop_limit for path in (ITEM, TOKEN, "/none")] == [0, 0, 0]


@pytest.mark.parametrize("path", [TOKEN, "/2021-03-23/api/token"])
def test_tokens_are_not_read(path):
    for method in ("GET", "HEAD", "POST", "DELETE"):
        found = ask(A, path, method)
        assert (found.status, found.headers) == (405, (("Allow", "OPTIONS, PUT"),))
    assert ask(A, path, "OPTIONS").headers == (("Allow", "OPTIONS, PUT"),)


def test_items_are_only_read():
    for method in ("PUT", "POST", "DELETE", "PATCH", "TRACE"):
        found = ask(REQUIRED, ITEM, method)
        assert (found.status, found.headers) == (405, (("Allow", "GET, HEAD, OPTIONS"),))
    assert ask(REQUIRED, ITEM, "OPTIONS").status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/none",
        "/latest/none",
        "/2006-01-01/meta-data/instance-id",
        "/latest/meta-data/instance-id/more",
        "/latest/meta-data/iam/info",
        "/latest/meta-data/iam/security-credentials/",
        "/latest/meta-data/public-ipv4",
        "/latest/meta-data/public-keys/",
        "/latest/meta-data/network/interfaces/macs/02:07:01:07:00:05/ipv6s",
        "/latest/meta-data/tags/instance/",
        "/latest/user-data",
        "/latest/dynamic/instance-identity/pkcs7",
        "/latest/meta-data/../meta-data/instance-id",
        "/latest/meta-data/INSTANCE-ID",
    ],
)
def test_what_is_not_there_is_404_with_a_page_that_says_so(path):
    found = ask(A, path)
    assert (found.status, found.content_type) == (404, "text/html")
    assert b"<title>404 - Not Found</title>" in found.body


def test_a_directory_ends_with_a_slash_and_who_leaves_it_off_is_sent_there():
    assert ask(A, "/latest/meta-data/placement/").body == b"availability-zone\navailability-zone-id\nregion"
    sent = ask(A, "/latest/meta-data/network/interfaces/macs/02:07:01:07:00:05?x=1")
    assert (sent.status, sent.body) == (301, b"")
    assert sent.headers == (
        ("Location", "/latest/meta-data/network/interfaces/macs/02%3A07%3A01%3A07%3A00%3A05/"),
    )
    assert ask(A, "//latest").headers == (("Location", "/latest/"),)


@pytest.mark.parametrize(
    "path",
    ["/latest/meta-data/instance-id/", "//latest//meta-data//instance-id", f"{ITEM}?q", f"http://h{ITEM}"],
)
def test_clients_that_write_a_path_in_their_own_way_are_understood(path):
    assert ask(A, path).body == b"i-a"


@pytest.mark.parametrize("path", ["*", "latest", "/latest/%ff", "http://"])
def test_what_is_no_path_is_a_bad_request(path):
    assert ask(A, path).status == 400


def test_the_versions_are_listed_and_each_of_them_answers():
    versions = ask(A, "/").body.decode().split("\n")
    assert versions[0] == "1.0" and versions[-1] == "latest" and "2009-04-04" in versions
    assert {ask(A, f"/{version}/meta-data/instance-id").body for version in versions} == {b"i-a"}


def test_a_tag_with_a_strange_name_is_found_by_its_name_in_percents():
    tags = (("a/b", "1"), ("ä", "2"), ("a+b", "3"), ("empty", ""))
    shown = with_options(instance("i-a", interface(11, 7, 5), tags=tags), tags="enabled")
    found = [
        ask(shown, f"/latest/meta-data/tags/instance/{name}").body for name in ("a%2Fb", "%C3%A4", "a+b")
    ]
    assert found == [b"1", b"2", b"3"]
    assert ask(shown, "/latest/meta-data/tags/instance/empty").status == 200
