"""The one thread of a process that writes to the SQLite store.

It takes all transactions that wait, runs each as its own revision, and commits them with one sync of the disk: under load
the disk's latency is shared, and the event loop never waits for the disk or for another process's lock. Nobody is
answered before the commit is durable.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import apsw

from rookery.store import doorbell, tables
from rookery.store.interface import Conflict, StoreUnavailable

MOST_AT_ONCE = 256

Work = Callable[[apsw.Connection, float], tuple[Any, bool]]  # -> (answer, whether it changed anything)
Job = tuple[Work, Future]


class Writer:
    def __init__(self, connection: apsw.Connection, bells: Path):
        self._connection = connection
        self._bells = bells
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    def submit(self, work: Work) -> Future:
        """`work` runs inside a transaction with others; it raises Conflict only before it has changed anything."""
        answer: Future = Future()
        self._jobs.put((work, answer))
        return answer

    def close(self) -> None:
        """What waits is still done. Blocks for that long."""
        self._jobs.put(None)
        self._thread.join()
        self._connection.close()

    def _run(self) -> None:
        open_ = True
        while open_:
            jobs, open_ = self._next_jobs()
            if jobs:
                self._commit(jobs)

    def _next_jobs(self) -> tuple[list[Job], bool]:
        jobs = [self._jobs.get()]
        while jobs[-1] is not None and len(jobs) < MOST_AT_ONCE:
            try:
                jobs.append(self._jobs.get_nowait())
            except queue.Empty:
                break
        return [job for job in jobs if job is not None], jobs[-1] is not None

    def _commit(self, jobs: list[Job]) -> None:
        try:
            answers, changed = self._transaction(jobs)
        except apsw.Error as error:
            answers, changed = [StoreUnavailable(f"the store cannot write: {error}")] * len(jobs), False
        except Exception as error:  # noqa: BLE001 - handed to those who wait; a dead thread would leave them waiting
            answers, changed = [error] * len(jobs), False
        for (_, future), answer in zip(jobs, answers, strict=True):
            _resolve(future, answer)
        if changed:
            doorbell.ring(self._bells)

    def _transaction(self, jobs: list[Job]) -> tuple[list[Any], bool]:
        answers, changed = [], False
        with tables.writing(self._connection):
            now = time.time()
            for work, _ in jobs:
                answer, changes = _run_one(work, self._connection, now)
                answers.append(answer)
                changed = changed or changes
        return answers, changed


def _run_one(work: Work, connection: apsw.Connection, now: float) -> tuple[Any, bool]:
    try:
        return work(connection, now)
    except Conflict as error:
        return error, False


def _resolve(future: Future, answer: Any) -> None:
    if not future.set_running_or_notify_cancel():
        return
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)
