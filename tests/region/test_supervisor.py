"""What dies starts again; what lives survives its supervisor. The parts here are small web servers of Python's own.

supervise() -- pidfd --> python -m http.server
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from rookery.region import owned, processes
from rookery.region.parts import Part
from rookery.region.processes import Process
from rookery.region.supervisor import delay_after, read_records, supervise


@dataclass(frozen=True)
class Folders:
    """Of a Layout, what supervise() uses."""

    run: Path


@pytest.fixture
def part(tmp_path: Path):
    options = ("-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", str(tmp_path))
    part = Part("web", sys.executable, options, "", tmp_path / "web.log")
    yield part
    while left := owned.find(part.identity):
        processes.end([left], 1.0)
        with suppress(ChildProcessError):
            os.waitpid(left.pid, 0)


@asynccontextmanager
async def supervised(part: Part, folder: Path) -> AsyncIterator[None]:
    task = asyncio.create_task(supervise([part], Folders(folder)))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def record_when(folder: Path, true: Callable):
    async with asyncio.timeout(20):
        while True:
            records = read_records(Folders(folder))
            if records and true(records[0]):
                return records[0]
            await asyncio.sleep(0.01)


def test_a_part_that_is_killed_starts_again_and_is_counted(part: Part, tmp_path: Path):
    async def scenario():
        async with supervised(part, tmp_path):
            first = await record_when(tmp_path, lambda r: r.pid)
            processes.send(Process(first.pid, first.started), signal.SIGKILL)
            return first, await record_when(tmp_path, lambda r: r.restarts == 1 and r.pid)

    first, second = asyncio.run(scenario())
    assert second.pid != first.pid
    assert second.last_end == "killed by SIGKILL"


def test_a_part_outlives_its_supervisor_and_the_next_one_takes_it_over(part: Part, tmp_path: Path):
    async def scenario():
        async with supervised(part, tmp_path):
            first = await record_when(tmp_path, lambda r: r.pid)
        assert processes.is_alive(Process(first.pid, first.started))
        (tmp_path / "parts.json").unlink()
        async with supervised(part, tmp_path):
            return first, await record_when(tmp_path, lambda r: r.pid)

    first, second = asyncio.run(scenario())
    assert (second.pid, second.started) == (first.pid, first.started)


def test_the_count_of_restarts_survives_the_supervisor(part: Part, tmp_path: Path):
    async def scenario():
        async with supervised(part, tmp_path):
            first = await record_when(tmp_path, lambda r: r.pid)
            processes.send(Process(first.pid, first.started), signal.SIGKILL)
            await record_when(tmp_path, lambda r: r.restarts == 1 and r.pid)
        async with supervised(part, tmp_path):
            return await record_when(tmp_path, lambda r: r.pid)

    assert asyncio.run(scenario()).restarts == 1


def test_a_part_that_dies_in_a_row_waits_longer_each_time_up_to_a_limit():
    assert [delay_after(deaths) for deaths in (0, 1, 2, 3, 4, 50)] == [0.1, 0.1, 0.2, 0.4, 0.8, 10.0]


def test_a_signal_does_not_reach_a_later_process_with_the_same_number():
    me = processes.identify(os.getpid())
    processes.send(Process(me.pid, me.started - 1), signal.SIGKILL)
    assert processes.is_alive(me)
