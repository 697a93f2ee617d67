"""How far a token travels: guest A stands between the service and a container (wire.py), and takes one hop."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

import pytest

from rookery.host.instances import namespace
from tests.services.metadata.plan import A, address, with_options
from tests.services.metadata.wire import CONTAINER, LOOPS, Served, Wire, ask_on, served, token_on
from tests.waiting import until

pytestmark = pytest.mark.real_packets
ITEM = "/latest/meta-data/instance-id"
BEHIND = address(A, CONTAINER)
ETH_P_IPV6, HOP_LIMIT, NEXT_HEADER, TCP = 0x86DD, 7, 6, 6


@pytest.fixture(params=LOOPS)
def service(wire: Wire, request: pytest.FixtureRequest) -> Iterator[Served]:
    with served(wire, request.param) as made:
        yield made


WANT_TOKEN = b"PUT /latest/api/token HTTP/1.1\r\nHost: h\r\nX-aws-ec2-metadata-token-ttl-seconds: 60\r\n\r\n"


def from_container(wire: Wire):
    return wire.connection(A, space=wire.container, source=BEHIND)


def reaches_the_guest_only(wire: Wire, connection: socket.socket, sent: bytes) -> None:
    """What answers `sent` comes to guest A with one hop left, again and again, and never behind it."""
    with heard(wire) as packets:
        connection.sendall(sent)
        seen: list[int] = []
        until(lambda: seen.extend(hop_limits(packets, connection)) or len(seen) >= 3, "an answer is sent a third time")
        assert set(seen) == {1}
    connection.setblocking(False)
    with pytest.raises(BlockingIOError):
        connection.recv(1)


def test_by_default_a_container_behind_a_guest_gets_no_token_though_it_gets_items(wire, service):
    service.change(with_options(A, hop_limit=1))
    with from_container(wire) as container:
        assert ask_on(container, ITEM).body == b"i-a"
        reaches_the_guest_only(wire, container.sock, WANT_TOKEN)


def test_with_two_hops_it_gets_one(wire, service):
    service.change(with_options(A, hop_limit=2, tokens="required"))
    with from_container(wire) as container:
        token = token_on(container)
        assert ask_on(container, ITEM, X_aws_ec2_metadata_token=token).body == b"i-a"


def test_a_request_sent_behind_the_one_for_a_token_does_not_carry_it_further(wire, service):
    """What is not acknowledged is sent again, with what the socket says then."""
    service.change(with_options(A, hop_limit=1))
    with from_container(wire) as container:
        reaches_the_guest_only(wire, container.sock, WANT_TOKEN + b"GET /latest/ HTTP/1.1\r\nHost: h\r\n\r\n")


@pytest.mark.parametrize("hops", [1, 2, 64])
def test_a_guest_gets_its_token_with_the_hop_limit_of_its_options_and_the_rest_with_64(wire, service, hops):
    service.change(with_options(A, hop_limit=hops))
    with wire.connection(A) as guest, heard(wire) as packets:
        assert ask_on(guest, ITEM).status == 200
        assert set(hop_limits(packets, guest.sock)) == {64}
        token_on(guest)
        assert set(hop_limits(packets, guest.sock)) == {hops}


def heard(wire: Wire) -> socket.socket:
    """All that passes guest A's device from now on."""
    with namespace.inside(wire.guest(A)):
        made = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_IPV6))
    made.bind(("eth0", ETH_P_IPV6))
    made.setblocking(False)
    return made


def hop_limits(packets: socket.socket, connection: socket.socket) -> list[int]:
    """Of those TCP packets with content for `connection` that came since the last look. They are there when their content is. What an
    earlier connection never acknowledged still comes again."""
    found = []
    port = connection.getsockname()[1]
    while packet := _next(packets):
        incoming = packet[1][2] != socket.PACKET_OUTGOING
        if incoming and packet[0][NEXT_HEADER] == TCP and _port(packet[0]) == port and _has_content(packet[0]):
            found.append(packet[0][HOP_LIMIT])
    return found


def _next(packets: socket.socket):
    try:
        return packets.recvfrom(65_536)
    except BlockingIOError:
        return None


def _port(packet: bytes) -> int:
    """To which it goes."""
    return struct.unpack_from("!H", packet, 40 + 2)[0]


def _has_content(packet: bytes) -> bool:
    length = struct.unpack_from("!H", packet, 4)[0]
    return length > (packet[40 + 12] >> 4) * 4
