"""The control socket's manners, without an agent behind it."""

from __future__ import annotations

import asyncio
import contextlib
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from rookery.host.control import ErrorReply, EventLine, GetInstance, InstanceReply, Request
from rookery.host.control_socket import CannotAnswer, ControlServer
from rookery.host.watchers import BACKLOG, Watchers

LINE = EventLine(host="host-1", time=1.0, program="host_egress", step="dropped", verdict="drop_multicast")


async def answer(request: Request) -> msgspec.Struct:
    assert isinstance(request, GetInstance)
    if request.id != "i-00000001":
        raise CannotAnswer(f"{request.id} is not here")
    return InstanceReply(id=request.id, state="running", pid=7)


def with_server(folder: Path, talk: Callable[[Path, Watchers], Awaitable[None]]) -> None:
    async def main() -> None:
        watchers = Watchers()
        path = folder / "control.sock"
        async with ControlServer("host-1", answer, watchers).at(path):
            await asyncio.wait_for(talk(path, watchers), 10)
        assert not path.exists()

    asyncio.run(main())


async def ask(path: Path, request: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(request)
    reply = await reader.read()
    writer.close()
    return reply


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


def test_a_request_is_answered_by_one_line_and_the_end(tmp_path: Path):
    async def talk(path: Path, _: Watchers) -> None:
        reply = await ask(path, b'{"type":"instance","id":"i-00000001"}\n')
        assert reply == b'{"id":"i-00000001","state":"running","pid":7,"netns":"","commands":""}\n'

    with_server(tmp_path, talk)


def test_what_cannot_be_answered_is_said_and_the_next_request_is_served(tmp_path: Path):
    async def talk(path: Path, _: Watchers) -> None:
        error = msgspec.json.decode(await ask(path, b'{"type":"instance","id":"i-2"}\n'), type=ErrorReply)
        assert error.error == "i-2 is not here"
        for nonsense in (b"\n", b"{}\n", b"[1\n", b'{"type":"instance"}\n'):
            assert b'"error"' in await ask(path, nonsense)
        with contextlib.suppress(ConnectionResetError):  # it hangs up on who never ends
            await ask(path, b"x" * (2 << 20))
        assert b'"running"' in await ask(path, b'{"type":"instance","id":"i-00000001"}\n')

    with_server(tmp_path, talk)


def test_only_its_owner_may_open_the_socket_and_a_dead_agents_socket_is_replaced(tmp_path: Path):
    (tmp_path / "control.sock").write_text("left by a crash")

    async def talk(path: Path, _: Watchers) -> None:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    with_server(tmp_path, talk)


def test_all_watchers_get_every_line_until_they_leave(tmp_path: Path):
    async def talk(path: Path, watchers: Watchers) -> None:
        connections = [await asyncio.open_unix_connection(path) for _ in range(2)]
        for _, writer in connections:
            writer.write(b'{"type":"watch"}\n')
        for reader, _ in connections:
            assert await reader.readline() == b'{"watching":"host-1"}\n'
        assert len(watchers) == 2
        watchers.publish(LINE)
        for reader, writer in connections:
            assert msgspec.json.decode(await reader.readline(), type=EventLine) == LINE
            writer.close()
        await until(lambda: len(watchers) == 0)

    with_server(tmp_path, talk)


def test_a_watcher_that_does_not_keep_up_is_cut_and_the_others_are_not(tmp_path: Path):
    async def talk(_: Path, watchers: Watchers) -> None:
        with watchers.watching() as slow, watchers.watching() as quick:
            for _ in range(BACKLOG + 1):
                watchers.publish(LINE)
                assert await anext(quick) == LINE
            assert len([line async for line in slow]) == BACKLOG - 1
            assert len(watchers) == 1

    with_server(tmp_path, talk)
