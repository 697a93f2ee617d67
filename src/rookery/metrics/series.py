"""The file in which a region's metrics are kept: one writer (rookery.metrics), readers beside it.

    measured   id, account, region, namespace, dimensions
    points     a minute of one of them: all its metrics in one row
    totals     of what is summed: since the file was made
    seen       what each node said last, committed with what was made of it: nothing is counted twice, or never
    user_version    BEGUN: somebody has looked at the nodes since the file was made

It is no part of the store: what is measured is nobody's intent, and a minute's points would wake everybody who watches. Bounded: DAYS of
minutes, and MOST_ROWS altogether; the oldest go first.

SeriesAway    the file cannot be read or written"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import apsw
import msgspec

from rookery.metrics.points import MINUTE, Content, Packed
from rookery.metrics.resources import Measured

DAYS = 15  # as CloudWatch keeps minutes
DAY_SECONDS = 86_400
MOST_ROWS = 2_000_000  # some 200 MB
BUSY_MILLISECONDS = 2_000
BEGUN = 1

TABLES = """
CREATE TABLE IF NOT EXISTS measured (
    id INTEGER PRIMARY KEY, account TEXT, region TEXT, namespace TEXT, dimensions TEXT, last INTEGER,
    UNIQUE (account, region, namespace, dimensions));
CREATE TABLE IF NOT EXISTS points (
    minute INTEGER, id INTEGER, content BLOB, PRIMARY KEY (id, minute)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_minute ON points (minute);
CREATE TABLE IF NOT EXISTS totals (id INTEGER PRIMARY KEY, content BLOB);
CREATE TABLE IF NOT EXISTS seen (node TEXT PRIMARY KEY, content BLOB);
"""

_pack = msgspec.msgpack.encode
_content = msgspec.msgpack.Decoder(dict[int, int | float | tuple[float, float, float, int]])


class SeriesAway(Exception):
    """Caught by the collector, which tries again, and by the API, which says so."""


def _opened(path: Path) -> apsw.Connection:
    """To write. Raises SeriesAway."""
    with _answering():
        path.touch(mode=0o600)
        connection = apsw.Connection(str(path))
        connection.set_busy_timeout(BUSY_MILLISECONDS)
        connection.pragma("journal_mode", "wal")
        connection.pragma("synchronous", 1)  # NORMAL: a power cut may take the last seconds
        connection.execute(TABLES)
        return connection


@contextlib.contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except (apsw.Error, OSError, msgspec.DecodeError) as error:
        raise SeriesAway(f"the file of metrics: {error}") from error


class Series:
    """Make it with `open` (the writer) or `reading`. Blocks; of one thread at a time."""

    def __init__(self, connection: apsw.Connection, path: Path):
        self._connection = connection
        self._path = path
        self._ids: dict[Measured, int] = {}

    @classmethod
    def open(cls, path: Path) -> Series:
        """Makes the file (0600). Raises SeriesAway."""
        return cls(_opened(path), path)

    @classmethod
    def reading(cls, path: Path) -> Series:
        """Raises SeriesAway; also when nothing was measured yet, so that there is no file."""
        with _answering():
            connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)  # a reader in write-ahead mode writes its marks
            connection.set_busy_timeout(BUSY_MILLISECONDS)
            connection.pragma("query_only", True)
            return cls(connection, path)

    def close(self) -> None:
        self._connection.close()

    def make_if_deleted(self) -> bool:
        """Whether somebody has deleted the file, so that it was made anew. Raises SeriesAway."""
        if self._path.exists():
            return False
        self._connection.close()
        self._connection, self._ids = _opened(self._path), {}
        return True

    def _ask(self, asked: str, *values: Any) -> list[tuple[Any, ...]]:
        return list(self._connection.execute(asked, values))

    # Written

    @property
    def is_begun(self) -> bool:
        """Whether anything was ever put. Raises SeriesAway."""
        with _answering():
            return self._connection.pragma("user_version") == BEGUN or bool(self._ask("SELECT 1 FROM seen LIMIT 1"))

    def seen(self) -> dict[str, bytes]:
        """By node. Raises SeriesAway."""
        with _answering():
            return {node: content for node, content in self._ask("SELECT node, content FROM seen")}

    def put(
        self,
        rows: Mapping[tuple[Measured, int], Content],
        totals: Mapping[Measured, Mapping[int, int]],
        seen: Mapping[str, bytes],
    ) -> None:
        """`rows`: by what is measured and the minute's first second; `totals`: what is added to them. All of it or nothing. Raises
        SeriesAway."""
        self._ids.clear()  # what was not committed has no number
        with _answering(), self._connection:
            for (measured, minute), content in sorted(rows.items(), key=lambda row: row[0][1]):
                self._put_row(self._id(measured, minute), minute, content)
            for measured, more in totals.items():
                self._add_totals(self._id(measured, 0), more)
            self._connection.executemany("INSERT OR REPLACE INTO seen VALUES (?, ?)", seen.items())
            self._connection.pragma("user_version", BEGUN)

    def _put_row(self, number: int, minute: int, content: Content) -> None:
        packed = _pack({place: value for place, value in content.items() if value})
        self._connection.execute("INSERT OR REPLACE INTO points VALUES (?, ?, ?)", (minute, number, packed))
        # The newest, also when the clock was set back and there are minutes that are still to come.
        self._connection.execute("UPDATE measured SET last = ? WHERE id = ?", (minute, number))

    def _add_totals(self, number: int, more: Mapping[int, int]) -> None:
        held = self._totals_of(number)
        for place, value in more.items():
            held[place] = held.get(place, 0) + value
        self._connection.execute("INSERT OR REPLACE INTO totals VALUES (?, ?)", (number, _pack(held)))

    def _totals_of(self, number: int) -> dict[int, Any]:
        found = self._ask("SELECT content FROM totals WHERE id = ?", number)
        return dict(_content.decode(found[0][0])) if found else {}

    def _id(self, measured: Measured, minute: int) -> int:
        if measured not in self._ids:
            named = (measured.account, measured.region, measured.namespace, _text(measured.dimensions))
            insert = "INSERT OR IGNORE INTO measured (account, region, namespace, dimensions, last) VALUES (?, ?, ?, ?, ?)"
            self._connection.execute(insert, (*named, minute))
            found = self._find(measured)
            assert found is not None
            self._ids[measured] = found
        return self._ids[measured]

    def trim(self, now: float) -> int:
        """What is too old or too much goes; how many rows. Raises SeriesAway."""
        with _answering(), self._connection:
            before = self._connection.total_changes()
            oldest = int(now) - DAYS * DAY_SECONDS
            self._connection.execute("DELETE FROM points WHERE minute < ?", (oldest,))
            self._trim_to(MOST_ROWS)
            gone: int = self._connection.total_changes() - before
            kept = "SELECT id FROM measured WHERE last >= ?"
            self._connection.execute(f"DELETE FROM totals WHERE id NOT IN ({kept})", (oldest,))
            self._connection.execute("DELETE FROM measured WHERE last < ?", (oldest,))
            self._ids.clear()
        return gone

    def _trim_to(self, most: int) -> None:
        """Whole minutes: the oldest of all."""
        ((held,),) = self._ask("SELECT count(*) FROM points")
        if held > most:
            ((minute,),) = self._ask("SELECT minute FROM points ORDER BY minute LIMIT 1 OFFSET ?", held - most - 1)
            self._connection.execute("DELETE FROM points WHERE minute <= ?", (minute,))

    # Read

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """What is read within is of one moment. Raises SeriesAway."""
        with _answering(), self._connection:
            yield

    def row(self, measured: Measured, minute: int) -> dict[int, Packed]:
        """Empty: there is none. Raises SeriesAway."""
        return next((dict(content) for _, content in self.minutes(measured, minute, minute + MINUTE)), {})

    def measured(self, account: str, region: str, since: int = 0) -> list[Measured]:
        """Those of an account in an AWS region that had points at `since` (unix seconds) or later. Raises SeriesAway."""
        asked = "SELECT namespace, dimensions FROM measured WHERE account = ? AND region = ? AND last >= ?"
        with _answering():
            found = self._ask(asked, account, region, since)
        return sorted(Measured(account, region, namespace, _dimensions(text)) for namespace, text in found)

    def minutes(self, measured: Measured, start: int, end: int) -> list[tuple[int, Content]]:
        """From `start` until before `end` (unix seconds), in order. Raises SeriesAway."""
        asked = "SELECT minute, content FROM points WHERE id = ? AND minute >= ? AND minute < ? ORDER BY minute"
        with _answering():
            number = self._find(measured)
            found = self._ask(asked, number, start, end) if number else []
            return [(minute, _content.decode(content)) for minute, content in found]

    def everything(self, since: int) -> Iterator[tuple[Measured, Content, Content]]:
        """Of all accounts, what had points at `since` or later: its newest minute, and its totals. Raises SeriesAway."""
        with _answering():
            asked = "SELECT id, account, region, namespace, dimensions, last FROM measured WHERE last >= ?"
            for number, account, region, namespace, text, last in self._ask(asked, since):
                measured = Measured(account, region, namespace, _dimensions(text))
                yield measured, self.row(measured, last), self._totals_of(number)

    def _find(self, measured: Measured) -> int | None:
        asked = "SELECT id FROM measured WHERE account = ? AND region = ? AND namespace = ? AND dimensions = ?"
        named = (measured.account, measured.region, measured.namespace, _text(measured.dimensions))
        found = self._ask(asked, *named)
        return found[0][0] if found else None


def _text(dimensions: Iterable[tuple[str, str]]) -> str:
    return msgspec.json.encode(list(dimensions)).decode()


def _dimensions(text: str) -> tuple[tuple[str, str], ...]:
    return msgspec.json.decode(text, type=tuple[tuple[str, str], ...])
