"""The feed from the agent to the services, both ends in one loop and a socket between them."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from rookery.host import services_feed
from rookery.host.services import follower
from rookery.host.services.feed import Snapshot, framed
from rookery.host.services.follower import Follower
from rookery.host.services.view import Guest, View
from rookery.host.services_feed import NOBODY, PART_ROWS, ServicesFeed
from rookery.intent.host import GroupSetIntent, HostIntent, NameIntent, RuleIntent, ZoneIntent
from rookery.mapping.client import Update
from rookery.mapping.protocol import Delta
from tests.services.guests import guest

FIVE, SIX = guest(7, 5), guest(7, 6)
NAME = NameIntent(vni=7, name="i-1.ec2.internal", addresses=("10.7.1.5",))
ZONE = ZoneIntent(vni=7, name="corp.example", records=())
GROUP_SET = GroupSetIntent(number=1, groups=("sg-1",))


def intent(*guests: Guest, rules: tuple[RuleIntent, ...] = ()) -> HostIntent:
    instances = {one.instance.id: one.instance for one in guests}
    return HostIntent(host="host-1", generation=1, instances=instances, rules={rule.key: rule for rule in rules})


def whole(*guests: Guest, rules: tuple[RuleIntent, ...] = ()) -> Update:
    return Update(intent(*guests, rules=rules), None)


def changed(before: HostIntent, delta: Delta) -> Update:
    """As a subscription makes it: the intent's own dictionaries change."""
    for row in delta.put_instances:
        before.instances[row.key] = row
    for key in delta.delete_instances:
        del before.instances[key]
    for rule in delta.put_rules:
        before.rules[rule.key] = rule
    for key in delta.delete_rules:
        before.rules.pop(key, None)
    return Update(before, delta)


def run(scene: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(scene(), 20))


async def until(true: Callable[[], object], what: str) -> None:
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.002)
    assert true(), what


@asynccontextmanager
async def following(path: Path) -> AsyncIterator[tuple[View, Follower]]:
    view = View()
    follower = Follower(path, view)
    task = asyncio.create_task(follower.run())
    try:
        yield view, follower
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def knows(view: View, *guests: Guest) -> bool:
    return {one.instance.id for one in view.guests()} == {one.instance.id for one in guests}


def test_only_root_can_open_it(tmp_path: Path):
    async def scene() -> None:
        async with ServicesFeed().at(tmp_path / "run" / "feed"):
            assert stat.S_IMODE((tmp_path / "run" / "feed").stat().st_mode) == 0o600

    run(scene)


def test_a_reader_hears_all_there_is_and_then_each_change(tmp_path: Path):
    async def scene() -> None:
        feed = ServicesFeed()
        before = whole(FIVE, rules=(NAME, GROUP_SET))
        feed.publish(before)
        async with feed.at(tmp_path / "feed"), following(tmp_path / "feed") as (view, _):
            await until(lambda: view.version, "a snapshot")
            assert knows(view, FIVE) and view.guest(FIVE.interface.number) == FIVE
            assert view.name(7, NAME.name) == NAME and view.zone(7, "www.corp.example") is None
            delta = Delta(
                base=1,
                generation=2,
                put_instances=[SIX.instance],
                delete_instances=[FIVE.instance.id],
                put_rules=[ZONE, GROUP_SET],
                delete_rules=[NAME.key, GROUP_SET.key],
            )
            feed.publish(changed(before.intent, delta))
            await until(lambda: knows(view, SIX), "the change")
            assert view.name(7, NAME.name) is None and view.zone(7, "www.corp.example") == ZONE

    run(scene)


def test_a_new_snapshot_replaces_what_was_known(tmp_path: Path):
    async def scene() -> None:
        feed = ServicesFeed()
        feed.publish(whole(FIVE, rules=(NAME,)))
        async with feed.at(tmp_path / "feed"), following(tmp_path / "feed") as (view, _):
            await until(lambda: knows(view, FIVE), "a snapshot")
            feed.publish(whole(SIX))
            await until(lambda: knows(view, SIX), "another one")
            assert view.name(7, NAME.name) is None

    run(scene)


def test_a_change_that_concerns_no_service_is_not_sent(tmp_path: Path):
    async def scene() -> None:
        feed = ServicesFeed()
        before = whole(FIVE)
        feed.publish(before)
        async with feed.at(tmp_path / "feed"), following(tmp_path / "feed") as (view, _):
            await until(lambda: view.version, "a snapshot")
            version = view.version
            feed.publish(changed(before.intent, Delta(base=1, generation=2, put_rules=[GROUP_SET])))
            feed.publish(changed(before.intent, Delta(base=2, generation=3, put_rules=[NAME])))
            await until(lambda: view.name(7, NAME.name), "the second")
            assert view.version == version + 1

    run(scene)


def test_what_was_known_stays_while_the_agent_is_away(tmp_path: Path):
    async def scene() -> None:
        async with following(tmp_path / "feed") as (view, services):
            first = ServicesFeed()
            first.publish(whole(FIVE))
            async with first.at(tmp_path / "feed"):
                await until(lambda: knows(view, FIVE), "a snapshot")
            assert knows(view, FIVE)
            second = ServicesFeed()
            async with second.at(tmp_path / "feed"):
                services.say("")
                await until(lambda: not second.problem, "a reader")
                assert knows(view, FIVE), "an agent that knows nothing yet says nothing"
                second.publish(whole(SIX))
                await until(lambda: knows(view, SIX), "a snapshot")

    run(scene)


def test_the_agent_hears_whether_guests_can_reach_the_services(tmp_path: Path):
    async def scene() -> None:
        feed = ServicesFeed()
        assert feed.problem == NOBODY
        async with feed.at(tmp_path / "feed"):
            async with following(tmp_path / "feed") as (_, services):
                await until(lambda: feed.problem == "not started yet", feed.problem)
                services.say("")
                await until(lambda: feed.problem == "the agent has told nothing yet", feed.problem)
                feed.publish(whole(FIVE))
                await until(lambda: feed.problem == "", feed.problem)
            await until(lambda: feed.problem == NOBODY, feed.problem)

    run(scene)


def test_services_that_say_nothing_count_as_stuck(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(services_feed, "SILENCE", 0.05)
    monkeypatch.setattr(follower, "SAY_SECONDS", 0.2)

    async def scene() -> None:
        feed = ServicesFeed()
        feed.publish(whole(FIVE))
        async with feed.at(tmp_path / "feed"), following(tmp_path / "feed") as (_, services):
            services.say("")
            await until(lambda: feed.problem.startswith("stuck"), "silence")
            await until(lambda: feed.problem == "", "a word")

    run(scene)


def test_a_large_snapshot_comes_in_parts_and_is_taken_whole(tmp_path: Path):
    names = tuple(NameIntent(vni=7, name=f"n{i}.example", addresses=()) for i in range(3 * PART_ROWS + 1))

    async def scene() -> None:
        feed = ServicesFeed()
        feed.publish(whole(FIVE, rules=names))
        async with feed.at(tmp_path / "feed"), following(tmp_path / "feed") as (view, _):
            await until(lambda: view.version, "a snapshot")
            assert view.version == 1 and all(view.name(7, one.name) == one for one in names)

    run(scene)


def test_a_reader_that_does_not_keep_up_is_cut_and_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(services_feed, "BACKLOG", 1 << 20)
    large = NameIntent(vni=7, name="large.example", addresses=("10.7.1.5",) * 10_000)

    async def scene() -> None:
        feed = ServicesFeed()
        before = whole(FIVE)
        feed.publish(before)
        async with feed.at(tmp_path / "feed"), following(tmp_path / "feed") as (view, _):
            await until(lambda: view.version, "a snapshot")
            reader, writer = await asyncio.open_unix_connection(tmp_path / "feed", limit=1)
            await until(lambda: len(feed._readers) == 2, "the slow reader")
            delta = Delta(base=1, generation=2, put_rules=[large])
            for _ in range(40):
                feed.publish(changed(before.intent, delta))
                await asyncio.sleep(0)
            await until(lambda: len(feed._readers) == 1, "only one left")
            with suppress(ConnectionError):
                while await reader.read(1 << 20):
                    pass
            writer.close()
            await until(lambda: view.name(7, large.name), "the quick reader lost nothing")

    monkeypatch.setattr(services_feed, "SLOWEST_WRITE", 0.5)
    run(scene)


def test_who_speaks_another_language_is_hung_up_on(tmp_path: Path):
    async def scene() -> None:
        async with ServicesFeed().at(tmp_path / "feed"):
            for said in (b"GET / HTTP/1.1\r\n\r\n", framed(Snapshot(first=True, last=True)), bytes(4)):
                reader, writer = await asyncio.open_unix_connection(tmp_path / "feed")
                writer.write(said)
                with suppress(ConnectionError):
                    assert await reader.read() == b""
                writer.close()

    run(scene)
