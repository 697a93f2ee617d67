"""Which edges a host counts as living."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import cast

import pytest

from rookery.dataplane.formats import EdgeConstant, EdgeSet
from rookery.host.edge_probes import EdgeProbes, addresses_of, edge_set
from rookery.host.probes import Liveness, Rounds
from rookery.host.top_probes import TopProbes

ONE, TWO = "100.64.1.20", "100.64.1.21"


def rounds(liveness: Liveness, *answers: set[str]) -> None:
    for edges in answers:
        for edge in edges:
            liveness.answered(edge)
        liveness.end_round()


@pytest.fixture
def both() -> Liveness:
    found = Liveness()
    found.know((ONE, TWO))
    rounds(found, *[{ONE, TWO}] * 3)
    return found


def test_three_missed_in_a_row_and_no_flow_is_led_there(both: Liveness) -> None:
    rounds(both, {ONE}, {ONE})
    assert both.living == (ONE, TWO)
    rounds(both, {ONE})
    assert both.living == (ONE,)


def test_one_answer_in_between_counts_anew(both: Liveness) -> None:
    rounds(both, {ONE}, {ONE}, {ONE, TWO}, {ONE}, {ONE})
    assert both.living == (ONE, TWO)


def test_three_answers_in_a_row_and_it_is_back(both: Liveness) -> None:
    rounds(both, *[{ONE}] * 3, {ONE, TWO}, {ONE, TWO})
    assert both.living == (ONE,)
    rounds(both, {ONE, TWO})
    assert both.living == (ONE, TWO)


def test_when_none_answers_all_stay(both: Liveness) -> None:
    rounds(both, *[set()] * 10)
    assert both.living == (ONE, TWO)
    rounds(both, *[{TWO}] * 3)
    assert both.living == (TWO,)


def test_a_new_edge_answers_before_it_is_chosen(both: Liveness) -> None:
    three = "100.64.1.22"
    both.know((ONE, TWO, three))
    assert both.living == (ONE, TWO)
    rounds(both, *[{ONE, TWO, three}] * 3)
    assert both.living == (ONE, TWO, three)


def test_an_agent_that_comes_back_goes_on_with_those_that_were_chosen_and_turns_to_no_dead_one() -> None:
    again = Liveness(chosen=(TWO,))
    again.know((ONE, TWO))
    assert again.living == (TWO,)
    rounds(again, {TWO})
    assert again.living == (TWO,)


def test_what_was_chosen_is_read_as_it_was_written() -> None:
    assert addresses_of(edge_set((ONE, TWO))) == [ONE, TWO]
    assert addresses_of(edge_set(())) == []


def test_an_edge_that_is_gone_is_forgotten_at_once(both: Liveness) -> None:
    both.know((TWO,))
    assert both.living == (TWO,)
    both.answered(ONE)
    both.know(())
    assert both.living == ()


def test_no_more_edges_than_the_programs_choose_among() -> None:
    many = Liveness()
    many.know(f"100.64.1.{n}" for n in range(EdgeConstant.EDGES_MAX + 5))
    assert len(many.living) == EdgeConstant.EDGES_MAX
    assert edge_set(many.living).living == EdgeConstant.EDGES_MAX


class Mirror(asyncio.DatagramProtocol):
    """An edge as far as probes go."""

    def __init__(self, spoil: Callable[[bytes], bytes]):
        self.spoil = spoil

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        version, flags, _, vni = struct.unpack_from("!BBHI", data)
        assert (version, flags, vni) == (0, 0x80, 0)  # a control packet of nobody's VPC
        self.transport.sendto(self.spoil(data), addr)


async def chosen(monkeypatch: pytest.MonkeyPatch, spoil: Callable[[bytes], bytes], wanted: EdgeSet) -> None:
    """Two edges, of which only 127.0.0.2 answers. Returns once `wanted` was chosen."""
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    transport, _ = await loop.create_datagram_endpoint(lambda: Mirror(spoil), local_addr=("127.0.0.2", 0))
    monkeypatch.setattr("rookery.host.probes.GENEVE_PORT", transport.get_extra_info("sockname")[1])
    monkeypatch.setattr("rookery.host.probes.PROBE_SECONDS", 0.01)
    rounds = Rounds("127.0.0.1")
    rounds.add(EdgeProbes(lambda: ("127.0.0.2", "127.0.0.3"), lambda row: told.set() if row == wanted else None))
    running = asyncio.create_task(rounds.run())
    try:
        async with asyncio.timeout(10):
            await told.wait()
    finally:
        running.cancel()
        transport.close()


def test_who_answers_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    asyncio.run(chosen(monkeypatch, lambda data: data, edge_set(["127.0.0.2"])))


def test_who_is_of_two_kinds_is_asked_once_and_counts_for_both(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        asked: list[bytes] = []
        told: dict[str, frozenset[str]] = {}

        def note(data: bytes) -> bytes:
            asked.append(data)
            return data

        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: Mirror(note), local_addr=("127.0.0.2", 0))
        monkeypatch.setattr("rookery.host.probes.GENEVE_PORT", transport.get_extra_info("sockname")[1])
        monkeypatch.setattr("rookery.host.probes.PROBE_SECONDS", 0.01)
        rounds = Rounds("127.0.0.1")
        for kind in ("cell", "tops"):
            rounds.add(TopProbes(lambda: ("127.0.0.2",), lambda living, kind=kind: told.update({kind: living}), ()))
        running = asyncio.create_task(rounds.run())
        try:
            async with asyncio.timeout(10):
                while told != dict.fromkeys(("cell", "tops"), frozenset({"127.0.0.2"})):
                    await asyncio.sleep(0.01)
        finally:
            running.cancel()
            transport.close()
        assert len(asked) == len(set(asked))  # each round has its own question

    asyncio.run(work())


def test_a_flood_of_answers_that_nobody_asked_for_ends_no_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """And a real one is heard in it."""

    async def work() -> None:
        found: list[EdgeSet] = []
        flood = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        flood.bind(("127.0.0.2", 0))
        flood.setblocking(False)
        monkeypatch.setattr("rookery.host.probes.GENEVE_PORT", flood.getsockname()[1])
        monkeypatch.setattr("rookery.host.probes.PROBE_SECONDS", 0.01)
        rounds = Rounds("127.0.0.1")
        rounds.add(EdgeProbes(lambda: ("127.0.0.2",), found.append))
        running, loop = asyncio.create_task(rounds.run()), asyncio.get_running_loop()
        try:
            async with asyncio.timeout(10):
                for _ in range(20):
                    question, asker = await loop.sock_recvfrom(flood, 64)
                    for data in (b"noise", question, b"", question + b"!", *[b"noise"] * 20):
                        flood.sendto(data, asker)
        finally:
            running.cancel()
            flood.close()
        assert found[-1] == edge_set(["127.0.0.2"])

    asyncio.run(work())


def test_an_answer_to_another_round_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    stale = chosen(monkeypatch, lambda data: data[:-1] + bytes((data[-1] ^ 1,)), edge_set(["127.0.0.2"]))
    with pytest.raises(TimeoutError):
        asyncio.run(asyncio.wait_for(stale, 0.5))
