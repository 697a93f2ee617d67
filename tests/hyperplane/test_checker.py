"""Many checks at once, each by its own clock: what a node says of its targets."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager

import msgspec

from rookery.hyperplane.check_ways import NoWay
from rookery.hyperplane.checker import AT_ONCE, Checker
from rookery.hyperplane.checks import Way, wanted_checks
from rookery.hyperplane.health import FAILED, PASSED, TIMEOUT, WRONG_CODE
from rookery.intent.cell import CellIntent, HealthCheckIntent
from tests.hyperplane.files import attachment, target
from tests.hyperplane.target_servers import SILENCE, check, closed_port, loopback, serving, until


class Told:
    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> None:
        self.times += 1


@asynccontextmanager
async def checking(*checks, open_socket=loopback):
    told = Told()
    async with Checker(open_socket, told) as checker:
        checker.told = told
        checker.become(of(*checks))
        yield checker


def of(*checks):
    return {one.key: one for one in checks}


def words(port, word, group="tg-1"):
    return {group: {f"10.1.8.4:{port}": word}}


async def test_a_target_that_dies_and_comes_back():
    async with serving() as server:
        port = server.port
        async with checking(check(port)) as checker:
            await until(lambda: checker.words == words(port, PASSED), "it is healthy")
            await until(lambda: server.connections > 3, "it is asked again")
            server.answer = SILENCE
        assert checker.told.times == 1
    async with checking(check(port)) as checker:
        await until(lambda: checker.words == words(port, FAILED), "it is unhealthy")
        async with serving(port=port):
            await until(lambda: checker.words == words(port, PASSED), "it is healthy again")
        assert checker.told.times == 2


async def test_each_change_of_a_word_is_told_and_nothing_else():
    async with serving() as server, checking(check(server.port, protocol="HTTP")) as checker:
        await until(lambda: server.connections > 3, "it is asked")
        assert checker.told.times == 1
        server.answer = b"HTTP/1.1 503 No\r\n\r\n"
        await until(lambda: checker.words == words(server.port, WRONG_CODE), "it is unhealthy")
        assert checker.told.times == 2
        server.answer = b"HTTP/1.1 200 OK\r\n\r\n"
        before = server.connections
        await until(lambda: checker.words == words(server.port, PASSED), "it is healthy")
        assert server.connections - before >= 5  # so many passes in a row
        assert checker.told.times == 3


async def test_other_settings_are_tried_at_once_and_what_is_known_stays():
    async with serving() as server:
        slow = {"interval": 1000.0}
        async with checking(check(server.port, **slow)) as checker:
            await until(lambda: checker.words == words(server.port, PASSED), "it is healthy")
            asked = check(server.port, protocol="HTTP", path="/other", **slow)
            checker.become(of(asked))
            assert checker.words == words(server.port, PASSED)
            await until(lambda: server.heard, "it is asked by the other protocol")
            assert server.heard[0].startswith(b"GET /other ")
            checker.become(of(asked))
            await asyncio.sleep(0)
            assert len(server.heard) == 1


async def test_a_target_at_another_port_is_another_target():
    async with serving() as one, serving() as other, checking(check(one.port)) as checker:
        await until(lambda: checker.words == words(one.port, PASSED), "it is healthy")
        checker.become(of(check(other.port)))
        assert checker.words == {}
        await until(lambda: checker.words == words(other.port, PASSED), "the other one is")


async def test_whoever_is_a_target_no_more_is_not_asked():
    async with serving() as server, checking(check(server.port)) as checker:
        await until(lambda: server.connections > 1, "it is asked")
        checker.become({})
        assert (checker.words, checker.ways) == ({}, set())
        before = server.connections
        async with serving() as other:
            checker.become(of(check(other.port)))
            await until(lambda: other.connections > 5, "others are")
        assert server.connections <= before + 1  # one may have been on its way


async def test_unhealthy_by_one_of_two_addresses_is_unhealthy_and_each_is_told():
    def one_is_cut(vni, interface, address):
        found, there = loopback(vni, interface, address)
        return found, there if interface == 7 else "127.0.0.2"

    async with serving() as server, checking(check(server.port, 7), check(server.port, 8), open_socket=one_is_cut) as checker:
        place = f"10.1.8.4:{server.port}"
        told = {place: FAILED, f"{place}@7": PASSED, f"{place}@8": FAILED}
        await until(lambda: checker.words == {"tg-1": told}, "it is unhealthy, by one of them")
        assert checker.ways == {Way(1, 7, "10.1.8.4"), Way(1, 8, "10.1.8.4")}


async def test_a_node_that_cannot_ask_says_nothing_of_the_target():
    asked = []

    def no_way(*way):
        asked.append(way)
        raise NoWay("no slot is free")

    async with checking(check(80), open_socket=no_way) as checker:
        await until(lambda: len(asked) > 3, "it tries")
        assert checker.words == {}


async def test_targets_that_hang_delay_others_and_fail_none():
    """As many as may be under way, and one that is well."""
    async with serving() as silent, serving() as server:
        silent.answer = SILENCE
        stuck = [check(silent.port, front, protocol="HTTP", timeout=0.3) for front in range(AT_ONCE)]
        async with checking(*stuck, check(server.port, group="tg-2")) as checker:
            await until(lambda: checker.words.get("tg-1") == words(silent.port, TIMEOUT)["tg-1"], "they are unhealthy")
            await until(lambda: checker.words.get("tg-2") == words(server.port, PASSED, "tg-2")["tg-2"], "it is healthy")


async def test_no_socket_is_left():
    before = set(os.listdir("/proc/self/fd"))
    async with serving() as server, serving(secured=True) as secured:
        server.answer = SILENCE
        asked = [
            check(server.port),
            check(server.port, 8, protocol="HTTP", timeout=0.05),
            check(secured.port, 9, protocol="HTTPS"),
            check(closed_port(), 10),
            check(server.port, 11, protocol="HTTPS", timeout=0.05),
        ]
        async with checking(*asked) as checker:
            await until(lambda: checker.told.times >= 5, "each has a word")
    await until(lambda: set(os.listdir("/proc/self/fd")) <= before, "all sockets are closed")


# Which checks there are


def test_a_node_checks_each_target_by_each_attachment_that_may_send_to_it():
    settings = HealthCheckIntent(protocol="HTTP", listener=80)
    one = msgspec.structs.replace(target(1), checked_by=(7, 8), check=settings)
    other = target(2)  # draining, or of a zone that none of them sends to
    lost = msgspec.structs.replace(target(3), checked_by=(9,), check=settings)  # its attachment is not in the file
    intent = CellIntent(cell="cell-1", generation=1, attachments=(attachment(7), attachment(8)), targets=(one, other, lost))
    checks = wanted_checks(intent)
    assert {(key.way, key.target_port) for key in checks} == {(Way(1, n, one.address), one.port) for n in (7, 8)}
    assert {found.host for found in checks.values()} == {"10.1.0.11:80", "10.1.0.12:80"}
