"""The tables of the SQLite store, and the statements over them. Synchronous; the caller holds the transaction.

`state` has one row: the newest revision, and the one up to which the history is forgotten.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import apsw

from rookery.store.interface import Batch, Change, Compacted, Compare, Entry, Range, StoreUnavailable

FORMAT = 1  # PRAGMA user_version
SCHEMA = f"""
CREATE TABLE state (one INTEGER PRIMARY KEY CHECK (one = 1), revision INTEGER NOT NULL, compacted INTEGER NOT NULL);
INSERT INTO state VALUES (1, 0, 0);
CREATE TABLE current (key TEXT PRIMARY KEY, value BLOB NOT NULL, revision INTEGER NOT NULL, time REAL NOT NULL)
    WITHOUT ROWID;
CREATE TABLE history (revision INTEGER, key TEXT, value BLOB, time REAL NOT NULL, PRIMARY KEY (revision, key))
    WITHOUT ROWID;
PRAGMA user_version = {FORMAT};
"""


def connect(path: Path, busy_milliseconds: int) -> apsw.Connection:
    """Opens the database, making it where it is missing. Raises StoreUnavailable."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        connection = apsw.Connection(str(path))
        connection.set_busy_timeout(busy_milliseconds)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")  # the log is on disk before a commit returns
        _make_tables(connection)
    except (apsw.Error, OSError) as error:
        raise StoreUnavailable(f"cannot open {path}: {error}") from error
    return connection


def _make_tables(connection: apsw.Connection) -> None:
    with writing(connection):  # another process may be making them
        found = connection.pragma("user_version")
        if found not in (0, FORMAT):
            raise StoreUnavailable(f"the database has format {found}, this program knows {FORMAT}")
        if found == 0:
            connection.execute(SCHEMA)


@contextlib.contextmanager
def writing(connection: apsw.Connection) -> Iterator[None]:
    """A transaction that holds the write lock from its beginning; whole or not at all."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # some errors (a full disk) have rolled back already
            connection.execute("ROLLBACK")
        raise


def bounds(prefix: str) -> tuple[str, str | bytes]:
    """The keys that start with `prefix` are those >= the first and < the second."""
    stem = prefix.rstrip("\U0010ffff")
    if not stem:
        return prefix, b""  # SQLite sorts every blob behind every text
    following = ord(stem[-1]) + 1
    if following == 0xD800:  # surrogates are no characters
        following = 0xE000
    return prefix, stem[:-1] + chr(following)


def newest(connection: apsw.Connection) -> int:
    return connection.execute("SELECT revision FROM state").get


def _state(connection: apsw.Connection) -> tuple[int, int]:
    """The newest revision, and the one up to which the history is forgotten."""
    revision, compacted = connection.execute("SELECT revision, compacted FROM state").get
    return revision, compacted


def read_range(connection: apsw.Connection, prefix: str) -> Range:
    rows = connection.execute(
        "SELECT key, value, revision, time FROM current WHERE key >= ? AND key < ? ORDER BY key",
        bounds(prefix),
    )
    return Range([Entry._make(row) for row in rows], newest(connection))


def read_entry(connection: apsw.Connection, key: str) -> Entry | None:
    row = connection.execute(
        "SELECT key, value, revision, time FROM current WHERE key = ?", (key,)
    ).fetchone()
    return Entry._make(row) if row else None


def read_history(
    connection: apsw.Connection, after: int, prefix: str, revisions: int
) -> tuple[list[Batch], int]:
    """The batches of at most `revisions` revisions after `after`, and the last revision that was looked at."""
    revision, compacted = _state(connection)
    if after < compacted:
        raise Compacted(compacted + 1)
    upto = max(after, min(revision, after + revisions))
    rows = connection.execute(
        "SELECT revision, key, value, time FROM history"
        " WHERE revision > ? AND revision <= ? AND key >= ? AND key < ? ORDER BY revision, key",
        (after, upto, *bounds(prefix)),
    )
    return _batches(rows), upto


def _batches(rows: Iterable[tuple]) -> list[Batch]:
    batches: list[Batch] = []
    for revision, key, value, time in rows:
        if not batches or batches[-1].revision != revision:
            batches.append(Batch(revision, [], time))
        batches[-1].changes.append(Change(key, value))
    return batches


def failed_compare(connection: apsw.Connection, compares: Sequence[Compare]) -> Compare | None:
    for compare in compares:
        row = connection.execute("SELECT revision FROM current WHERE key = ?", (compare.key,)).fetchone()
        if (row[0] if row else 0) != compare.revision:
            return compare
    return None


def write(
    connection: apsw.Connection, puts: Mapping[str, bytes], deletes: Sequence[str], time: float
) -> tuple[int, bool]:
    """The store's revision afterwards, and whether it is a new one."""
    revision = newest(connection)
    gone = [key for key in dict.fromkeys(deletes) if read_entry(connection, key)]
    if not puts and not gone:
        return revision, False
    revision += 1
    connection.execute("UPDATE state SET revision = ?", (revision,))
    connection.executemany(
        "INSERT INTO current VALUES (?1, ?2, ?3, ?4)"
        " ON CONFLICT (key) DO UPDATE SET value = ?2, revision = ?3, time = ?4",
        [(key, value, revision, time) for key, value in puts.items()],
    )
    connection.executemany("DELETE FROM current WHERE key = ?", [(key,) for key in gone])
    connection.executemany(
        "INSERT INTO history VALUES (?, ?, ?, ?)",
        [(revision, key, value, time) for key, value in puts.items()]
        + [(revision, key, None, time) for key in gone],
    )
    return revision, True


def mark_compacted(connection: apsw.Connection, revision: int) -> None:
    connection.execute("UPDATE state SET compacted = max(compacted, min(revision, ?))", (revision,))


def sweep(connection: apsw.Connection, revisions: int) -> bool:
    """Deletes the forgotten history of some revisions; whether there is more."""
    oldest = connection.execute("SELECT min(revision) FROM history").get
    compacted = _state(connection)[1]
    if oldest is None or oldest > compacted:
        return False
    upto = min(compacted, oldest + revisions - 1)
    connection.execute("DELETE FROM history WHERE revision <= ?", (upto,))
    return upto < compacted


def last_revision_before(connection: apsw.Connection, time: float) -> int:
    """The newest revision committed before `time`, by a search over revisions (clocks go forward, nearly)."""
    revision, compacted = _state(connection)
    low, high = compacted, revision
    while low < high:
        middle = (low + high + 1) // 2
        committed = connection.execute("SELECT time FROM history WHERE revision = ? LIMIT 1", (middle,)).get
        low, high = (middle, high) if committed < time else (low, middle - 1)
    return low
