"""Connections to the metadata service over a real wire: wire.py draws it. All of it with both event loops."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from rookery.host.services.caller import address_of, caller
from tests.services.metadata.plan import A, B, C, address, ipv6_address, with_options, with_user_data
from tests.services.metadata.wire import LOOPS, METADATA, Served, Wire, ask_on, served, token_on
from tests.waiting import until

pytestmark = pytest.mark.real_packets
ITEM = "/latest/meta-data/instance-id"


@pytest.fixture(params=LOOPS)
def loop(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def service(wire: Wire, loop: str) -> Iterator[Served]:
    with served(wire, loop) as made:
        yield made


def everything(connection: socket.socket) -> bytes:
    """Until the other side ends."""
    found = b""
    while part := connection.recv(65_536):
        found += part
    return found


def replies(stream: bytes) -> list[tuple[int, bytes]]:
    """Status and body of each."""
    found = []
    while stream:
        head, _, rest = stream.partition(b"\r\n\r\n")
        length = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
        found.append((int(head.split()[1]), rest[:length]))
        stream = rest[length:]
    return found


@pytest.mark.usefixtures("service")
def test_each_guest_sees_itself_though_two_have_one_address(wire):
    assert [wire.ask(who, ITEM).body for who in (A, B, C)] == [b"i-a", b"i-b", b"i-c"]
    assert (
        wire.ask(A, "/latest/meta-data/local-ipv4").body == wire.ask(B, "/latest/meta-data/local-ipv4").body
    )


def test_a_token_opens_nothing_on_another_instance(wire, service):
    service.change(with_options(A, tokens="required"), with_options(B, tokens="required"))
    with wire.connection(A) as a, wire.connection(B) as b:
        token = token_on(a)
        assert ask_on(a, ITEM, X_aws_ec2_metadata_token=token).body == b"i-a"
        assert ask_on(b, ITEM, X_aws_ec2_metadata_token=token).status == 401


@pytest.mark.usefixtures("service")
def test_an_answer_looks_like_one_of_awss(wire):
    found = wire.ask(A, ITEM)
    assert found.headers["Date"].endswith(" GMT")
    assert {name: value for name, value in found.headers.items() if name != "Date"} == {
        "Content-Type": "text/plain",
        "Accept-Ranges": "none",
        "Content-Length": "3",
        "Server": "EC2ws",
    }


@pytest.mark.usefixtures("service")
def test_head_is_get_without_a_body(wire):
    with wire.connection(A) as connection:
        heads = ask_on(connection, ITEM, "HEAD")
        assert (heads.status, heads.headers["Content-Length"], heads.body) == (200, "3", b"")
        assert ask_on(connection, "/none", "HEAD").status == 404
        assert ask_on(connection, ITEM).body == b"i-a"


def test_what_changes_counts_from_the_next_request_on_an_open_connection_too(wire, service):
    with wire.connection(A) as connection:
        assert ask_on(connection, ITEM).status == 200
        service.change(with_options(A, tokens="required"))
        assert ask_on(connection, ITEM).status == 401
        token = token_on(connection)
        service.change(with_options(A, endpoint="disabled"))
        assert ask_on(connection, ITEM, X_aws_ec2_metadata_token=token).status == 403
        tagged = replace(A.metadata, tags=(("Name", "web"),))
        service.change(with_options(replace(A, metadata=tagged), tags="enabled"))
        path = "/latest/meta-data/tags/instance/Name"
        assert ask_on(connection, path, X_aws_ec2_metadata_token=token).body == b"web"
        service.change(replace(A, boot=2))
        assert ask_on(connection, ITEM, X_aws_ec2_metadata_token=token).status == 401


def test_an_instance_that_is_gone_is_not_answered(wire, service):
    with wire.connection(A) as connection:
        assert ask_on(connection, ITEM).status == 200
        service.delete(A.id)
        with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
            ask_on(connection, ITEM)
    with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
        wire.ask(A, ITEM)
    assert wire.ask(B, ITEM).body == b"i-b"


@pytest.mark.usefixtures("service")
def test_an_address_that_no_program_wrote_is_not_answered(wire):
    with wire.connect(wire.services, METADATA) as connection:
        assert everything(connection) == b""


def test_ipv6_is_an_endpoint_of_its_own(wire, service):
    assert wire.ask(A, ITEM, source=ipv6_address(A)).status == 403
    service.change(with_options(A, ipv6="enabled"))
    assert wire.ask(A, ITEM, source=ipv6_address(A)).body == b"i-a"


@pytest.mark.usefixtures("service")
def test_requests_sent_at_once_are_answered_in_their_order(wire):
    paths = ["instance-id", "ami-id", "reservation-id", "mac"] * 20
    requests = [b"GET /latest/meta-data/%b HTTP/1.1\r\nHost: h\r\n\r\n" % path.encode() for path in paths]
    with wire.connect(wire.guest(A), address(A)) as connection:
        connection.sendall(b"".join(requests) + b"GET /latest/ HTTP/1.0\r\n\r\n")
        found = everything(connection)
    bodies = {
        "instance-id": b"i-a",
        "ami-id": b"ami-1",
        "reservation-id": b"r-1",
        "mac": b"02:07:01:07:00:05",
    }
    assert replies(found) == [*((200, bodies[path]) for path in paths), (200, b"dynamic\nmeta-data")]


@pytest.mark.usefixtures("service")
def test_old_clients_keep_a_connection_if_they_ask_for_it(wire):
    with wire.connect(wire.guest(A), address(A)) as connection:
        connection.sendall(b"GET /latest/ HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        until(lambda: b"Connection: keep-alive" in connection.recv(65_536, socket.MSG_PEEK), "an answer")
        connection.sendall(b"GET /latest/ HTTP/1.0\r\n\r\n")
        assert everything(connection).count(b"HTTP/1.1 200 OK") == 2


@pytest.mark.usefixtures("service")
def test_who_sends_no_more_is_still_answered(wire):
    with wire.connect(wire.guest(A), address(A)) as connection:
        connection.sendall(b"GET /latest/meta-data/mac HTTP/1.1\r\nHost: h\r\n\r\n" * 3)
        connection.shutdown(socket.SHUT_WR)
        assert everything(connection).count(b"02:07:01:07:00:05") == 3


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", b"400 Bad Request"),
        (b"GET /%b HTTP/1.0\r\n\r\n" % (b"x" * 4000), b"414 URI Too Long"),
        (b"GET / HTTP/1.0\r\nA: %b" % (b"x" * 40_000), b"431 Request Header Fields Too Large"),
        (b"PUT / HTTP/1.0\r\nContent-Length: 999999\r\n\r\n%b" % (b"x" * 99_999), b"413 Content Too Large"),
    ],
    ids=["400", "414", "431", "413"],
)
def test_a_refusal_arrives_though_more_was_sent_than_was_read(wire, sent, status):
    with wire.connect(wire.guest(A), address(A)) as connection:
        connection.sendall(sent)
        assert everything(connection).startswith(b"HTTP/1.1 " + status)


def test_who_does_not_finish_a_request_is_cut_off(wire, loop):
    with served(wire, loop, patience=0.3), wire.connect(wire.guest(A), address(A)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHo")
        assert everything(connection) == b""


def test_who_does_not_take_an_answer_is_cut_off_and_held_up_nobody(wire, loop):
    with served(wire, loop, patience=0.5) as service:
        service.change(with_user_data(A, b"x" * 16_384))
        with wire.connect(wire.guest(A), address(A)) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.sendall(b"GET /latest/user-data HTTP/1.1\r\nHost: h\r\n\r\n" * 400)
            assert wire.ask(B, ITEM).body == b"i-b"
            until(lambda: _is_reset(connection), "the connection is cut off")


def _is_reset(connection: socket.socket) -> bool:
    """Nothing is read: that would be to take the answer."""
    return connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0


def test_an_instance_has_its_share_of_connections_and_another_its_own(wire, loop):
    with served(wire, loop, connections=3):
        kept = [wire.connect(wire.guest(A), address(A)) for _ in range(3)]
        assert [_peek_status(one) for one in kept] == [b"200"] * 3
        with wire.connect(wire.guest(A), address(A)) as one_more:
            assert one_more.recv(12) == b"HTTP/1.1 503"
        assert wire.ask(B, ITEM).body == b"i-b"
        for one in kept:
            one.close()
        until(lambda: _served(wire), "connections are given back")


def test_when_few_connections_are_left_who_has_many_is_asked_to_close_them(wire, loop):
    with served(wire, loop, all_connections=4), wire.connection(A) as first:
        assert "Connection" not in ask_on(first, ITEM).headers
        others = [wire.connect(wire.guest(who), address(who)) for who in (A, B)]
        assert [_peek_status(one) for one in others] == [b"200"] * 2
        with wire.connection(C) as last:
            assert "Connection" not in ask_on(last, ITEM).headers
            assert ask_on(first, ITEM).headers["Connection"] == "close"
        for one in others:
            one.close()


def _peek_status(connection: socket.socket) -> bytes:
    connection.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    return connection.recv(12)[-3:]


def _served(wire: Wire) -> bool:
    try:
        return wire.ask(A, ITEM).status == 200
    except (ConnectionError, http.client.HTTPException):
        return False


def test_an_instance_has_its_share_of_requests_and_another_its_own(wire, loop):
    with served(wire, loop, requests=50):
        with wire.connect(wire.guest(A), address(A)) as connection:
            connection.sendall(b"GET /latest/ HTTP/1.1\r\nHost: h\r\n\r\n" * 500)
            found = everything(connection)
        assert 50 <= found.count(b"HTTP/1.1 200 OK") <= 100  # a new second may begin meanwhile
        assert found.count(b"HTTP/1.1 503 Service Unavailable") == 1
        assert wire.ask(B, ITEM).body == b"i-b"
        until(lambda: _served(wire), "the next second")


def test_a_token_outlives_the_service(wire, loop):
    with served(wire, loop), wire.connection(A) as connection:
        token = token_on(connection)
    with served(wire, loop):
        assert wire.ask(A, ITEM, X_aws_ec2_metadata_token=token).body == b"i-a"


def test_the_addresses_of_these_tests_are_those_of_the_data_plane():
    assert address_of(caller(address(A))) == address(A)
