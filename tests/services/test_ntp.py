"""The time as a guest hears it: scapy reads the answers, independently of ours."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.ntp import NTPHeader

from rookery.host.services.ntp import answer

SECOND = 1_000_000_000
RECEIVED = 1_800_000_000 * SECOND + SECOND // 4
SENT = RECEIVED + 1000
UNIX_IN_1900 = 2_208_988_800


def packet(version: int = 4, mode: int = 3, poll: int = 4, sent: bytes = b"\1\2\3\4\5\6\7\x08") -> bytes:
    return struct.pack("!BBbb36x8s", version << 3 | mode, 0, poll, 0, sent)


@pytest.mark.parametrize("version", [3, 4])
def test_a_client_hears_when_its_packet_came_and_when_the_answer_left(version: int):
    told = NTPHeader(answer(packet(version), RECEIVED, SENT, error=250_000))
    assert (told.version, told.mode, told.leap, told.stratum, told.poll) == (version, 4, 0, 3, 4)
    assert bytes(told)[24:32] == b"\1\2\3\4\5\6\7\x08", "its own stamp comes back, so that it knows its question"
    assert float(told.recv) == pytest.approx(UNIX_IN_1900 + RECEIVED / SECOND, abs=1e-6)
    assert bytes(told)[32:40] == struct.pack("!II", UNIX_IN_1900 + 1_800_000_000, 1 << 30), "a quarter of a second"
    assert float(told.sent) > float(told.recv) >= float(told.ref)
    assert float(told.dispersion) == pytest.approx(0.25, abs=1e-4)


def test_an_unkept_clock_still_can_be_followed():
    assert float(NTPHeader(answer(packet(), RECEIVED, SENT, error=16_000_000)).dispersion) == 1.0


def test_stamps_wrap_around_in_2036_as_they_must():
    end_of_era = ((1 << 32) - UNIX_IN_1900) * SECOND
    assert answer(packet(), end_of_era, end_of_era, 0)[32:40] == bytes(8)


@pytest.mark.parametrize(
    "odd",
    [packet(mode=mode) for mode in (0, 1, 2, 4, 5, 6, 7)] + [packet(version) for version in (0, 1, 2, 5, 7)] + [packet()[:47]],
)
def test_what_no_client_says_is_not_answered(odd: bytes):
    assert answer(odd, RECEIVED, SENT, 0) is None


@given(st.binary(max_size=200))
def test_no_bytes_ever_get_more_back_than_they_were(asked: bytes):
    told = answer(asked, RECEIVED, SENT, 0)
    assert told is None or (len(told) == 48 <= len(asked))
