"""What only the SQLite store promises: several processes on one file, durability, waking, bounds."""

from __future__ import annotations

import asyncio
import os
import random
import stat
import subprocess
import sys
import time
from pathlib import Path

import apsw
import pytest

from rookery.store import doorbell
from rookery.store.interface import Compacted, StoreUnavailable
from rookery.store.sqlite import SqliteStore

SOURCES = str(Path(__file__).resolve().parents[2] / "src")

# Writes pairs that belong together, several transactions at a time, and says which revisions it was answered.
WRITER = """
import asyncio, sys
from rookery.store.sqlite import SqliteStore

async def main():
    store = SqliteStore.open(sys.argv[1])
    async def write(n):
        for turn in range(1_000_000):
            value = b"%d/%d" % (n, turn)
            revision = await store.txn([], {f"left/{n}": value, f"right/{n}": value, f"all/{n}/{turn}": value})
            sys.stdout.write(f"{revision} {n} {turn}\\n")
            sys.stdout.flush()
    await asyncio.gather(*(write(n) for n in range(4)))

asyncio.run(main())
"""


def child(program: str, *words: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", program, *words],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": SOURCES},
    )


def run(scene) -> None:
    asyncio.run(scene)


def test_what_was_answered_survives_kill_9_at_any_moment_and_nothing_is_half(tmp_path):
    path = tmp_path / "store.db"
    moments = random.Random(7)
    for _ in range(6):
        writer = child(WRITER, str(path))
        answered = [writer.stdout.readline() for _ in range(moments.randrange(1, 400))]
        writer.kill()
        answered += writer.stdout.readlines()
        writer.wait()
        run(check_everything_is_there(path, [line.split() for line in answered if line.endswith("\n")]))


async def check_everything_is_there(path: Path, answered: list[list[str]]) -> None:
    store = SqliteStore.open(path)
    found = await store.range("")
    entries = {entry.key: entry for entry in found.entries}
    batches = {
        batch.revision: {c.key: c.value for c in batch.changes} for batch in await store.changes_since(0, "")
    }
    for revision, n, turn in answered:
        value = f"{n}/{turn}".encode()
        whole = {f"left/{n}": value, f"right/{n}": value, f"all/{n}/{turn}": value}
        assert batches[int(revision)] == whole
    for n in range(4):
        assert entries[f"left/{n}"][1:] == entries[f"right/{n}"][1:]
    assert sorted(batches) == list(range(1, found.revision + 1))
    assert all(len(changes) == 3 for changes in batches.values())
    await store.close()


def test_a_watcher_is_woken_by_another_process_long_before_it_would_look_by_itself(tmp_path, monkeypatch):
    monkeypatch.setattr("rookery.store.sqlite.POLL_SECONDS", 60.0)

    async def scene() -> None:
        store = SqliteStore.open(tmp_path / "store.db")
        writer = child(WRITER, str(tmp_path / "store.db"))
        try:
            async with asyncio.timeout(10):
                seen = [batch.revision async for batch in first(store.watch("left/", 0), 50)]
        finally:
            writer.kill()
            writer.wait()
            writer.stdout.close()
        assert seen == list(range(1, 51))
        await store.close()

    run(scene())


async def first(batches, count: int):
    for _ in range(count):
        yield await anext(batches)
    await batches.aclose()


def test_a_watcher_whose_bell_is_gone_looks_by_itself(tmp_path, monkeypatch):
    monkeypatch.setattr("rookery.store.sqlite.POLL_SECONDS", 0.05)

    async def scene() -> None:
        store = SqliteStore.open(tmp_path / "store.db")
        watch = store.watch("", 0)
        waiting = asyncio.create_task(anext(watch))
        await asyncio.sleep(0)
        for bell in (tmp_path / "store.db-watchers").iterdir():
            bell.unlink()
        await store.txn([], {"a": b""})
        assert (await asyncio.wait_for(waiting, 5)).revision == 1
        await watch.aclose()
        await store.close()

    run(scene())


def test_a_dead_watchers_bell_is_removed_and_a_deaf_one_blocks_nobody(tmp_path):
    async def scene() -> None:
        store = SqliteStore.open(tmp_path / "store.db")
        dead = doorbell.Doorbell(tmp_path / "store.db-watchers")
        dead._socket.close()
        deaf = doorbell.Doorbell(tmp_path / "store.db-watchers")
        for n in range(100):  # more than a socket's queue holds
            await asyncio.wait_for(store.txn([], {"a": b"%d" % n}), 5)
        assert not dead.path.exists()
        assert deaf.path.exists()
        deaf.close()
        await store.close()

    run(scene())


def test_a_watcher_that_does_not_read_costs_writers_nothing_and_misses_nothing(tmp_path):
    async def scene() -> None:
        store = SqliteStore.open(tmp_path / "store.db")
        watch = store.watch("", 0)
        await store.txn([], {"a": b""})
        await anext(watch)
        await asyncio.gather(*(store.txn([], {"a": b""}) for _ in range(3_000)))
        assert [(await anext(watch)).revision for _ in range(3_000)] == list(range(2, 3_002))
        await watch.aclose()
        await store.close()

    run(scene())


def test_the_files_are_the_owners_alone(tmp_path):
    async def scene() -> None:
        store = SqliteStore.open(tmp_path / "state" / "store.db")
        await store.txn([], {"credentials/x": b"secret"})
        watch = store.watch("", 0)
        await anext(watch)
        for path in (tmp_path / "state").rglob("*"):
            if path.is_dir() or not stat.S_ISSOCK(path.stat().st_mode):
                assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
        assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
        await watch.aclose()
        await store.close()

    run(scene())


def test_a_path_longer_than_a_sockets_name_may_be_works(tmp_path):
    async def scene() -> None:
        store = SqliteStore.open(tmp_path / ("d" * 120) / "store.db")
        await store.txn([], {"a": b""})
        watch = store.watch("", 0)
        assert (await anext(watch)).revision == 1
        await watch.aclose()
        await store.close()

    run(scene())


def test_a_lock_held_too_long_is_unavailable_and_nothing_is_lost_afterwards(tmp_path):
    async def scene() -> None:
        store = SqliteStore.open(tmp_path / "store.db", busy_milliseconds=50)
        await store.txn([], {"a": b"1"})
        other = apsw.Connection(str(tmp_path / "store.db"))
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable):
            await store.txn([], {"a": b"2"})
        assert (await store.get("a")).value == b"1"
        other.execute("ROLLBACK")
        assert await store.txn([], {"a": b"3"}) == 2
        await store.close()

    run(scene())


def test_a_waiting_writer_does_not_hold_up_the_event_loop(tmp_path):
    async def scene() -> None:
        store = SqliteStore.open(tmp_path / "store.db", busy_milliseconds=5_000)
        other = apsw.Connection(str(tmp_path / "store.db"))
        other.execute("BEGIN IMMEDIATE")
        writing = asyncio.create_task(store.txn([], {"a": b""}))
        for _ in range(20):  # reads and other tasks go on meanwhile
            await asyncio.sleep(0)
            assert await store.revision() == 0
        assert not writing.done()
        other.execute("ROLLBACK")
        assert await writing == 1
        await store.close()

    run(scene())


def test_a_full_disk_is_unavailable_writes_nothing_and_heals(tmp_path):
    async def scene() -> None:
        store = SqliteStore.open(tmp_path / "store.db")
        await store.txn([], {"a": b"1"})
        connection = store._writer._connection
        connection.pragma("max_page_count", connection.pragma("page_count") + 2)
        with pytest.raises(StoreUnavailable):
            await store.txn([], {"a": b"2", "big": bytes(1 << 20)})
        assert [tuple(entry)[:3] for entry in (await store.range("")).entries] == [("a", b"1", 1)]
        connection.pragma("max_page_count", 1 << 30)
        assert await store.txn([], {"a": b"3"}) == 2
        await store.close()

    run(scene())


def test_nonsense_is_refused_and_the_writer_lives_on(tmp_path):
    async def scene() -> None:
        store = SqliteStore.open(tmp_path / "store.db")
        with pytest.raises(TypeError):
            await store.txn([], {"a": "text"})
        with pytest.raises(UnicodeEncodeError):
            await store.txn([], {"\ud800": b""})
        assert await store.txn([], {"a": b""}) == 1
        await store.close()

    run(scene())


def test_many_processes_may_make_the_database_at_once(tmp_path):
    program = "import sys; from rookery.store.sqlite import SqliteStore; SqliteStore.open(sys.argv[1])"
    children = [child(program, str(tmp_path / "new" / "store.db")) for _ in range(6)]
    for one in children:
        one.communicate(timeout=30)
    assert [one.returncode for one in children] == [0] * 6


def test_a_database_of_another_format_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "store.db"
    apsw.Connection(str(path)).pragma("user_version", 99)
    with pytest.raises(StoreUnavailable, match="format 99"):
        SqliteStore.open(path)
    assert apsw.Connection(str(path)).pragma("user_version") == 99


def test_a_file_that_is_no_database_is_unavailable(tmp_path):
    (tmp_path / "store.db").write_bytes(b"nothing of the kind" * 100)
    with pytest.raises(StoreUnavailable):
        SqliteStore.open(tmp_path / "store.db")


def test_trimming_keeps_the_history_bounded_by_number(tmp_path):
    async def scene() -> None:
        store = SqliteStore.open(tmp_path / "store.db")
        await asyncio.gather(*(store.txn([], {f"k/{n % 7}": b""}) for n in range(100)))
        await store.trim(keep_revisions=10, keep_seconds=1_000)
        assert [batch.revision for batch in await store.changes_since(90, "")] == list(range(91, 101))
        with pytest.raises(Compacted):
            await store.changes_since(89, "")
        assert len((await store.range("")).entries) == 7
        assert history_rows(tmp_path) == 10
        await store.close()

    run(scene())


def test_trimming_keeps_the_history_bounded_by_age(tmp_path, monkeypatch):
    async def scene() -> None:
        store = SqliteStore.open(tmp_path / "store.db")
        for n in range(9):
            await store.txn([], {"a": b"%d" % n})
        old = (await store.get("a")).time
        while time.time() <= old:
            await asyncio.sleep(0)
        await store.txn([], {"a": b"young"})
        monkeypatch.setattr(time, "time", lambda: old + 100.0)
        young = (await store.get("a")).time
        await store.trim(keep_revisions=1_000, keep_seconds=100.0 - (young - old) / 2)
        assert [batch.revision for batch in await store.changes_since(9, "")] == [10]
        assert history_rows(tmp_path) == 1
        await store.close()

    run(scene())


def history_rows(directory: Path) -> int:
    return apsw.Connection(str(directory / "store.db")).execute("SELECT count(*) FROM history").get


def test_catching_up_when_nothing_changed_costs_less_than_50_microseconds(tmp_path):
    async def scene() -> None:
        store = SqliteStore.open(tmp_path / "store.db")
        revision = await store.txn([], {"intended/x": b""})
        durations = []
        for _ in range(2_000):
            start = time.perf_counter()
            await store.changes_since(revision, "intended/")
            durations.append(time.perf_counter() - start)
        assert sorted(durations)[1_000] < 50e-6
        await store.close()

    run(scene())


def test_a_stranger_among_the_bells_is_left_alone(tmp_path):
    async def scene() -> None:
        store = SqliteStore.open(tmp_path / "store.db")
        bells = tmp_path / "store.db-watchers"
        bells.mkdir()
        (bells / "note.txt").write_text("mine")
        await store.txn([], {"a": b""})
        assert (bells / "note.txt").read_text() == "mine"
        await store.close()

    run(scene())


def test_a_ring_where_nobody_ever_listened_is_no_error(tmp_path):
    doorbell.ring(tmp_path / "no such directory")
    assert not (tmp_path / "no such directory").exists()
