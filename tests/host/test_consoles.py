"""What is told of consoles, and how often (tests are on files, with a clock of their own)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rookery.host.instances.consoles import KEPT, LONGEST_REST, TOLD, Consoles
from rookery.host.instances.record import Places, console_file
from rookery.model.objects import ConsoleOutput, InstanceStatus

ONE = InstanceStatus(id="i-0000000000000001", state="running", boot=1)


class Bench:
    def __init__(self, folder: Path):
        self.places = Places(folder / "state", folder / "run")
        self.places.folder(ONE.id).mkdir(parents=True)
        self.file = console_file(self.places, ONE.id)
        self.told: list[ConsoleOutput] = []
        self.now = 100.0
        self.consoles = Consoles(self.places, self.told.extend, lambda: self.now)

    def say(self, words: bytes) -> None:
        with self.file.open("ab") as file:
            file.write(words)

    def look(self, *statuses: InstanceStatus) -> list[bytes]:
        """What was told by one look."""
        self.told.clear()
        self.consoles.look(statuses or (ONE,))
        return [said.output for said in self.told]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_what_is_said_is_told_once(bench: Bench):
    assert bench.look() == []
    bench.say(b"hello\n")
    assert bench.look() == [b"hello\n"]
    bench.now += 1000
    assert bench.look() == []


def test_an_instance_that_goes_on_talking_is_told_ever_more_rarely(bench: Bench):
    moments = []
    for second in range(600):
        bench.now = float(second)
        bench.say(b".")
        if bench.look():
            moments.append(second)
    rests = [later - earlier for earlier, later in zip(moments, moments[1:], strict=False)]
    assert rests[:6] == [1, 2, 4, 8, 16, 32] and set(rests[6:]) == {LONGEST_REST}


def test_a_new_boot_and_an_end_are_heard_at_once(bench: Bench):
    bench.say(b"first\n")
    bench.look()
    bench.say(b"bye\n")
    assert bench.look() == []
    assert bench.look(InstanceStatus(id=ONE.id, state="stopped", boot=1)) == [b"first\nbye\n"]
    assert bench.look(InstanceStatus(id=ONE.id, state="running", boot=2)) == [b"first\nbye\n"]


def test_only_the_end_is_told_and_a_long_file_is_cut(bench: Bench):
    bench.say(b"a" * KEPT + b"the end")
    (told,) = bench.look()
    assert len(told) == TOLD and told.endswith(b"the end")
    assert bench.file.read_bytes() == told
    bench.now += 10
    assert bench.look() == []
    bench.say(b", really")
    assert bench.look()[0].endswith(b"the end, really")


def test_an_instance_without_a_console_file_is_passed_over(bench: Bench):
    assert bench.look(InstanceStatus(id="i-0000000000000002", state="running")) == []
    bench.say(b"x")
    os.unlink(bench.file)
    assert bench.look() == []
