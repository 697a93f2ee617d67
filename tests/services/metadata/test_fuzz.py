"""Whatever one guest sends: the service stays, others are answered, and no connection sees another's instance."""

from __future__ import annotations

import socket

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.services.metadata.plan import A, B, C, address
from tests.services.metadata.wire import LOOPS, Wire, served

pytestmark = pytest.mark.real_packets
ITEM = "/latest/meta-data/instance-id"

WORDS = [
    b"GET ", b"PUT ", b"HEAD ", b"OPTIONS ", b"CONNECT ", b"/latest/api/token", b"/latest/meta-data/instance-id",
    b"/latest/meta-data/../", b"/%00", b"/%zz", b"?", b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", b" HTTP/9.9\r\n", b"\r\n", b"\n",
    b"Host: h\r\n", b"X-aws-ec2-metadata-token-ttl-seconds: 60\r\n", b"X-aws-ec2-metadata-token: AAAA\r\n",
    b"X-Forwarded-For: 1\r\n", b"Content-Length: 3\r\n", b"Content-Length: -1\r\n", b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n", b"Connection: upgrade\r\nUpgrade: x\r\n", b"Expect: 100-continue\r\n", b"3\r\nabc\r\n0\r\n\r\n",
    b"abc", b"\0", b"x" * 3000,
]  # fmt: skip
WHOLE = b"GET /latest/meta-data/instance-id HTTP/1.1\r\nHost: h\r\n\r\n"
STREAMS = st.lists(st.sampled_from([*WORDS, WHOLE]) | st.binary(max_size=20), max_size=12).map(b"".join)
MANY = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("loop", LOOPS)
def test_any_bytes_of_one_guest_leave_the_others_alone(wire: Wire, loop: str):
    with served(wire, loop, patience=2, requests=1_000_000), wire.connection(B) as steady:

        @MANY
        @given(STREAMS, st.sampled_from([A, C]))
        def send(stream: bytes, who):
            with wire.connect(wire.guest(who), address(who)) as connection:
                connection.sendall(stream)
                connection.shutdown(socket.SHUT_WR)
                found = _rest(connection)
            assert b"i-b" not in found
            assert (b"i-c" if who is A else b"i-a") not in found
            steady.request("GET", ITEM)
            assert steady.getresponse().read() == b"i-b"

        send()


def _rest(connection: socket.socket) -> bytes:
    found = b""
    try:
        while part := connection.recv(65_536):
            found += part
    except ConnectionResetError:  # it sent more after its last request than anybody reads
        pass
    return found
