"""Reading requests out of bytes, without a wire."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.host.services.metadata.answers import Request
from rookery.host.services.metadata.requests import (
    LARGEST_HEAD,
    LARGEST_MESSAGE,
    LARGEST_TARGET,
    PIECE,
    Refused,
    RequestReader,
    Wanted,
)

HELLO = b"GET /latest/ HTTP/1.1\r\nHost: h\r\nX-AWS-EC2-Metadata-Token: t\r\nAccept: */*\r\n\r\n"
PUT = b"PUT /latest/api/token HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n12345"
OLD = b"HEAD /x HTTP/1.0\r\n\r\n"


def read(stream: bytes, piece: int = PIECE) -> list[Wanted | Refused]:
    """As a connection reads it: to the end, or to the first refusal."""
    reader, found = RequestReader(), []
    for start in range(0, len(stream), piece):
        found += reader.feed(memoryview(stream)[start : start + piece])
        if found and isinstance(found[-1], Refused):
            break
    return found


def test_a_request_is_its_method_its_target_and_the_headers_that_matter():
    headers = {b"host": b"h", b"x-aws-ec2-metadata-token": b"t"}
    assert read(HELLO) == [Wanted(Request("GET", b"/latest/", headers), "1.1", True)]


def test_requests_may_follow_each_other_at_once_and_bodies_are_left_out():
    found = read(PUT + HELLO + OLD)
    assert [(one.request.method, one.version, one.keep_alive) for one in found] == [
        ("PUT", "1.1", True),
        ("GET", "1.1", True),
        ("HEAD", "1.0", False),
    ]


@given(st.lists(st.sampled_from([HELLO, PUT]), min_size=1, max_size=4).map(b"".join), st.integers(1, 200))
def test_how_the_bytes_come_in_pieces_changes_nothing(stream, piece):
    assert read(stream, piece) == read(stream)


@given(st.binary(max_size=400), st.integers(1, 50))
def test_any_bytes_are_requests_or_are_refused_once(stream, piece):
    found = read(HELLO + stream, piece)
    assert [type(one) for one in found[:-1]] == [Wanted] * (len(found) - 1)


@pytest.mark.parametrize(
    "stream",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/2.0\r\nHost: h\r\n\r\n",
        b"GET /\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PUT /latest/api/token HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n",
        b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nbad header\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n folded\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused(stream):
    assert read(stream) == [Refused(400)]


def test_what_came_before_a_bad_request_is_still_answered():
    assert [type(one) for one in read(HELLO + b"nonsense\r\n\r\n")] == [Wanted, Refused]


@pytest.mark.parametrize("piece", [PIECE, 100])
def test_a_target_and_headers_have_their_largest_length(piece):
    def target(length: int) -> bytes:
        return b"GET /%b HTTP/1.0\r\n\r\n" % (b"x" * (length - 1))

    def headers(length: int) -> bytes:
        return b"GET / HTTP/1.0\r\nA: %b\r\nB: c\r\n\r\n" % (b"x" * (length - 3))

    assert isinstance(read(target(LARGEST_TARGET), piece)[0], Wanted)
    assert read(target(LARGEST_TARGET + 1), piece) == [Refused(414)]
    assert read(headers(LARGEST_HEAD + 1), piece) == [Refused(431)]
    assert isinstance(read(headers(LARGEST_HEAD - 100), piece)[0], Wanted)


def test_a_header_that_does_not_end_is_given_up():
    endless = b"GET / HTTP/1.0\r\nA: " + b"x" * (LARGEST_HEAD + 2 * PIECE)
    assert read(endless) == [Refused(431)]


def test_a_body_and_what_follows_it_have_their_largest_length():
    start = b"PUT / HTTP/1.0\r\nContent-Length: %d\r\n\r\n"
    assert isinstance(read(start % 60_000 + b"x" * 60_000)[0], Wanted)
    assert read(start % 1_000_000 + b"x" * (LARGEST_MESSAGE + 2 * PIECE)) == [Refused(413)]
    trailer = b"PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: " + b"x" * 80_000
    assert read(trailer) == [Refused(413)]


def test_many_small_requests_are_not_one_large_one():
    assert len(read(HELLO * 2000)) == 2000


def test_a_header_behind_the_body_changes_nothing():
    stream = (
        b"PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
        b"X-aws-ec2-metadata-token-ttl-seconds: 60\r\n\r\n"
    )
    assert [one.request.headers for one in read(stream)] == [{b"host": b"h"}]


def test_a_header_without_a_value_is_there():
    stream = b"GET / HTTP/1.0\r\nX-Forwarded-For:\r\nX-aws-ec2-metadata-token: \r\n\r\n"
    assert read(stream)[0].request.headers == {b"x-forwarded-for": b"", b"x-aws-ec2-metadata-token": b""}


def test_a_header_given_twice_has_both_values():
    stream = b"GET / HTTP/1.0\r\nX-Forwarded-For: a\r\nx-forwarded-for: b\r\n\r\n"
    assert read(stream)[0].request.headers == {b"x-forwarded-for": b"a, b"}


def test_who_asks_for_another_protocol_is_answered_in_this_one_and_that_is_all():
    stream = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"
    assert [(one.request.target, one.keep_alive) for one in read(HELLO + stream + HELLO)] == [
        (b"/latest/", True),
        (b"/", False),
    ]
