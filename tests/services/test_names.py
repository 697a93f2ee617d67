"""How many questions of one guest may wait at once."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from rookery.dataplane.formats import AskedAt, CallerSource
from rookery.host.services import names
from rookery.host.services.caller import Caller
from rookery.host.services.datagrams import Datagram
from rookery.host.services.names import SLOW_AT_ONCE, Full, Names, Places
from rookery.host.services.view import Guest, View
from tests.services.guests import guest

FIVE, SIX = guest(7, 5), guest(7, 6)


class SlowResolver:
    """Whose upstream never answers."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def quick(self, guest: Guest, query: bytes, over_tcp: bool) -> bytes | None:
        return None

    async def slow(self, guest: Guest, query: bytes, over_tcp: bool) -> bytes | None:
        self.asked.append(guest.interface.primary)
        await asyncio.Event().wait()
        return None


class Asked(Datagram):
    def answer(self, payload: bytes, to: Caller | None = None, port: int = 0) -> None:
        raise AssertionError("nobody knew an answer")


def asked_by(of: Guest) -> Datagram:
    return Asked(b"?", Caller(of.interface.number, CallerSource.IPV4, AskedAt.RESOLVER, bytes(8)), 1024, 0, None)


def test_questions_of_one_guest_that_wait_are_bounded_and_anothers_are_not_among_them():
    resolver, view = SlowResolver(), View()
    view.replace([FIVE.instance, SIX.instance], [])

    async def scene() -> None:
        port = Names(view, resolver)
        for _ in range(3 * SLOW_AT_ONCE):
            port.take(asked_by(FIVE))
        port.take(asked_by(SIX))
        await asyncio.sleep(0)

    asyncio.run(scene())
    assert resolver.asked == ["10.7.1.5"] * SLOW_AT_ONCE + ["10.7.1.6"]


def test_a_place_is_free_again_when_its_taker_is_done():
    places = Places(each=1)
    with places.one(5), places.one(6), pytest.raises(Full), places.one(5):
        pass
    with places.one(5):
        pass


def test_questions_over_tcp_have_a_pace_of_each_guests_own(monkeypatch: pytest.MonkeyPatch):
    """On a clock that stands still but while somebody sleeps."""
    now, slept = [100.25], []

    async def sleep(seconds: float) -> None:
        if seconds:
            slept.append(seconds)
            now[0] += seconds

    monkeypatch.setattr(names, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(names, "asyncio", SimpleNamespace(sleep=sleep))

    async def scene() -> None:
        pace = names.Pace(each=3)
        for _ in range(3):
            await pace.one(5)
        await pace.one(6)
        assert slept == []
        await pace.one(5)
        assert slept == [0.75]

    asyncio.run(scene())
