"""Frames that come in at a device are heard once each, and those that the ring had no room for are counted.

    sender namespace  near 198.18.0.1 ---- far 198.18.0.2  receiver namespace: captured
"""

from __future__ import annotations

import secrets
import socket
from collections.abc import Iterator
from contextlib import closing
from typing import NamedTuple

import pytest

from rookery.host.instances.namespace import inside
from rookery.region import namespaces
from rookery.testing.capture import Capture, Frame, Missed

PORT = 9
HEADS = 14 + 20 + 8


class Cable(NamedTuple):
    sender: str
    receiver: str


@pytest.fixture(scope="module")
def cable() -> Iterator[Cable]:
    name = f"t{secrets.token_hex(4)}"
    made = Cable(f"{name}-sender", f"{name}-receiver")
    try:
        for one in made:
            namespaces.ensure(one)
        namespaces.run("ip", "link", "add", "name", "near", "netns", made.sender, "type", "veth", "peer", "name", "far", "netns", made.receiver)
        for namespace, device, last in ((made.sender, "near", 1), (made.receiver, "far", 2)):
            namespaces.run("ip", "-netns", namespace, "address", "add", f"198.18.0.{last}/24", "dev", device)
            namespaces.run("ip", "-netns", namespace, "link", "set", device, "up")
        yield made
    finally:
        for one in made:
            namespaces.remove(one)


def send(cable: Cable, count: int, port: int = PORT) -> None:
    """Numbered datagrams, all of which the other end's device takes in."""
    with inside(cable.sender):
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with one:
        for number in range(count):
            one.sendto(number.to_bytes(4, "big") + bytes(100), ("198.18.0.2", port))


def heard(capture: Capture) -> list[Frame | Missed]:
    capture.finish()
    return list(capture.heard())


def test_each_frame_that_the_filter_names_is_heard_once_its_first_bytes_in_their_order(cable: Cable):
    with closing(Capture(cable.receiver, f"udp dst port {PORT}", HEADS + 4)) as capture:
        send(cable, 1)  # whose address is asked for first
        send(cable, 500)
        send(cable, 20, port=PORT + 1)
        found = heard(capture)
    assert [int.from_bytes(one.content[HEADS:], "big") for one in found if isinstance(one, Frame)] == [0, *range(500)]


def test_what_goes_out_is_not_heard(cable: Cable):
    with closing(Capture(cable.sender, f"udp dst port {PORT}", HEADS + 4)) as capture:
        send(cable, 50)
        assert heard(capture) == []


def test_what_the_ring_has_no_room_for_is_counted_with_its_time(cable: Cable):
    sent = 40_000
    with closing(Capture(cable.receiver, f"udp dst port {PORT}", HEADS + 4, blocks=1)) as capture:
        with capture.standing_still():
            send(cable, sent)
        found = heard(capture)
    gaps = [one for one in found if isinstance(one, Missed)]
    frames = [one.time for one in found if isinstance(one, Frame)]
    assert gaps
    assert len(frames) + sum(gap.frames for gap in gaps) == sent
    assert gaps[0].time < max(frames) < gaps[-1].until
