"""The emulator's control socket, with a test at its other end."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rookery.vm.qmp import NoQmp, Qmp, QmpError, connected

GREETING = {"QMP": {"version": {}, "capabilities": []}}
DONE = {"return": {}}
DELETED = {"event": "DEVICE_DELETED", "data": {"device": "eni1", "path": "/x"}}


@contextmanager
def emulator(folder: Path, *answers: list[dict]) -> Iterator[tuple[Path, list[str]]]:
    """Greets, then answers each question with the next lines, then hangs up. Yields its socket and what it was asked."""
    asked: list[str] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "control"))
        listener.listen()
        thread = threading.Thread(target=_serve, args=(listener, answers, asked))
        thread.start()
        yield folder / "control", asked
    thread.join()


def _serve(listener: socket.socket, answers: tuple[list[dict], ...], asked: list[str]) -> None:
    connection, _ = listener.accept()
    with connection, connection.makefile("rw") as lines:
        tell: Callable[[dict], None] = lambda line: (lines.write(json.dumps(line) + "\n"), lines.flush())  # noqa: E731
        tell(GREETING)
        for answer in ([DONE], *answers):
            asked.append(json.loads(lines.readline())["execute"])
            for line in answer:
                tell(line)


def test_a_question_is_answered_after_the_handshake(tmp_path: Path):
    with emulator(tmp_path, [{"return": {"status": "running"}}]) as (path, asked), connected(path) as qmp:
        assert qmp.ask("query-status") == {"status": "running"}
    assert asked == ["qmp_capabilities", "query-status"]


def test_an_event_before_the_answer_is_kept_for_who_waits_for_it(tmp_path: Path):
    with emulator(tmp_path, [DELETED, DONE]) as (path, _), connected(path) as qmp:
        qmp.ask("device_del", id="eni1")
        assert qmp.await_event("DEVICE_DELETED", 0.0, device="eni1")


def test_an_event_after_the_answer_is_waited_for_and_that_of_another_device_is_not_it(tmp_path: Path):
    other = {"event": "DEVICE_DELETED", "data": {"device": "eni2"}}
    with emulator(tmp_path, [DONE, other, DELETED]) as (path, _), connected(path) as qmp:
        qmp.ask("device_del", id="eni1")
        assert qmp.await_event("DEVICE_DELETED", 5.0, device="eni1")


def test_a_refusal_is_told_in_the_emulators_words(tmp_path: Path):
    refused = {"error": {"class": "GenericError", "desc": "Bus 'port0' not found"}}
    with emulator(tmp_path, [refused]) as (path, _), connected(path) as qmp, pytest.raises(QmpError, match="port0"):
        qmp.ask("device_add")


def test_one_that_hangs_up_or_never_was_is_no_answer(tmp_path: Path):
    def ask(qmp: Qmp) -> None:
        qmp.ask("query-status")

    with emulator(tmp_path, []) as (path, _), pytest.raises(NoQmp), connected(path) as qmp:
        ask(qmp)
    with pytest.raises(NoQmp), connected(tmp_path / "nobody"):
        pass
