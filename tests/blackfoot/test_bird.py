"""BIRD's configuration, read by BIRD itself, and its answers."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from rookery.blackfoot.bird import Peer, Speaker, configuration
from rookery.blackfoot.birdc import (
    BFD_SESSION,
    BirdRefused,
    BirdSilent,
    Reply,
    Session,
    ask,
    bfd_states_of,
    read_reply,
    sessions_of,
)

PEER = Peer("outside1", "x0", "198.51.100.1", "2001:db8:fe:1::2", "198.51.100.0", 64496)
BLOCKS = ("203.0.113.0/24", "2001:db8:7::/56")


def block(text: str, protocol: str) -> str:
    """The lines of one protocol."""
    return text.split(f"protocol {protocol} ")[1].split("\n}\n", maxsplit=1)[0]


@pytest.mark.parametrize("peers", [(), (PEER,), (PEER, PEER._replace(name="outside2", device="x1", passive=True))])
@pytest.mark.parametrize("announced", [(), BLOCKS])
def test_bird_takes_every_configuration_that_is_written(tmp_path: Path, peers, announced):
    file = tmp_path / "bird.conf"
    file.write_text(configuration(Speaker("198.51.100.1", 64512, peers, announced)))
    done = subprocess.run(("/usr/sbin/bird", "-p", "-c", file), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_each_family_is_announced_by_its_own_protocol_and_nothing_else_leaves():
    text = configuration(Speaker("198.51.100.1", 64512, (PEER,), BLOCKS))
    assert "route 203.0.113.0/24 blackhole" in block(text, "static announced4")
    assert "route 2001:db8:7::/56 blackhole" in block(text, "static announced6")
    session = block(text, "bgp outside1")
    assert 'export where proto = "announced4"; next hop self;' in session
    assert 'export where proto = "announced6"; next hop address 2001:db8:fe:1::2;' in session


def test_who_drains_announces_nothing_and_keeps_its_sessions():
    text = configuration(Speaker("198.51.100.1", 64512, (PEER,)))
    assert "blackhole" not in text
    assert "protocol bgp outside1" in text


def test_the_order_of_blocks_makes_no_other_configuration():
    one, other = (configuration(Speaker("198.51.100.1", 64512, (PEER,), blocks)) for blocks in (BLOCKS, BLOCKS[::-1] * 2))
    assert one == other


def test_what_is_no_block_is_refused_before_bird_sees_it():
    with pytest.raises(ValueError, match="203.0.113"):
        configuration(Speaker("198.51.100.1", 64512, (PEER,), ("203.0.113.7/24; } protocol pipe {",)))


def test_an_answer_ends_with_the_line_that_has_no_hyphen():
    lines = iter(["1002-outside1 BGP\n", " more of it\n", "0000 \n", "0001 the next answer\n"])
    assert list(read_reply(lines)) == [Reply(1002, "outside1 BGP"), Reply(1002, "more of it"), Reply(0, "")]
    assert next(lines) == "0001 the next answer\n"


def test_a_refusal_is_an_error_with_birds_words():
    with pytest.raises(BirdRefused, match="syntax error"):
        list(read_reply(iter(["0002-Reading configuration\n", "8002 bird.conf:3:1 syntax error\n"])))


def test_an_answer_that_breaks_off_is_no_answer():
    with pytest.raises(BirdSilent):
        list(read_reply(iter(["1002-outside1 BGP\n"])))


def test_a_bird_that_is_not_there_is_silent(tmp_path: Path):
    with pytest.raises(BirdSilent, match="does not answer"):
        ask(tmp_path / "bird.ctl", "show status")


def test_sessions_are_read_with_their_neighbours_and_states():
    replies = [
        Reply(1002, "device1    Device     ---        up     10:00:00.000"),
        Reply(1002, "outside1   BGP        ---        up     10:19:11.660  Established"),
        Reply(1006, "BGP state:          Established"),
        Reply(1006, "Neighbor address: 198.51.100.0%x0"),
        Reply(1002, "outside2   BGP        ---        start  10:19:12.000  Active        Socket: Connection refused"),
        Reply(1006, "Neighbor address: 198.51.100.2%x1"),
    ]
    assert sessions_of(replies) == [
        Session("outside1", "198.51.100.0", "Established", "10:19:11.660"),
        Session("outside2", "198.51.100.2", "Active", "10:19:12.000"),
    ]


def test_bfd_is_read_by_neighbour():
    head = "IP address                Interface  State      Since         Interval  Timeout"
    row = "198.51.100.0              x0         Up         10:19:10.823    0.100    0.300"
    assert bfd_states_of([Reply(BFD_SESSION, text) for text in ("liveness:", head, row)]) == {"198.51.100.0": "Up"}
