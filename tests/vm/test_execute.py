"""A command over a guest's serial line, with a test in the place of the guest."""

from __future__ import annotations

import base64
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from rookery.vm.execute import GuestGone, execute


def run(folder: Path, guest: Callable[[bytes, bytes, socket.socket], None], *command: str) -> tuple[int, bytes]:
    """(exit code, output) of `command`, when the guest answers (word, command, line)."""
    output: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "commands"))
        listener.listen()

        def serve() -> None:
            line, _ = listener.accept()
            with line, line.makefile("rb") as lines:
                word, encoded = lines.readline().split()
                guest(word, base64.b64decode(encoded), line)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            return execute(folder / "commands", list(command), output.append), b"".join(output)
        finally:
            thread.join()


def test_the_output_and_the_exit_code_come_back(tmp_path: Path):
    code, output = run(tmp_path, lambda word, said, line: line.sendall(word + b"\nhello\n" + word + b" 7\n"), "true")
    assert (code, output) == (7, b"hello\n")


def test_words_reach_the_guests_shell_as_they_were_given(tmp_path: Path):
    _, output = run(
        tmp_path, lambda word, said, line: line.sendall(word + b"\n" + said + word + b" 0\n"), "echo", "a b", "$HOME"
    )
    assert output == b"echo 'a b' '$HOME'"


def test_what_an_earlier_command_left_on_the_line_is_not_ours(tmp_path: Path):
    code, output = run(
        tmp_path, lambda word, said, line: line.sendall(b"old\nold 3\n" + word + b"\nnew" + word + b" 0\n"), "true"
    )
    assert (code, output) == (0, b"new")


def test_an_answer_may_come_in_single_bytes(tmp_path: Path):
    def guest(word: bytes, _: bytes, line: socket.socket) -> None:
        for byte in b"old" + word + b"\n" + bytes(range(256)) + word + b" 12\n":
            line.sendall(bytes([byte]))

    assert run(tmp_path, guest, "true") == (12, bytes(range(256)))


def test_a_guest_that_ends_under_the_command_is_told(tmp_path: Path):
    with pytest.raises(GuestGone):
        run(tmp_path, lambda word, said, line: line.sendall(word + b"\nhalf"), "poweroff")


def test_a_guest_that_boots_again_under_the_command_is_told_and_an_earlier_boot_is_not_ours(tmp_path: Path):
    booted = b"rookery.commands booted 01234567-89ab-cdef-0123-456789abcdef\n"

    def guest(word: bytes, _: bytes, line: socket.socket) -> None:
        line.sendall(booted + word + b"\nfine")
        line.sendall(booted)

    with pytest.raises(GuestGone, match="booted again"):
        run(tmp_path, guest, "reboot")
