"""When the tracked flows are swept: a table and a clock of the test's own."""

from __future__ import annotations

from rookery.dataplane.formats import Allowance, InterfaceNumber, SweepOutcome
from rookery.host.sweep import HURRY, LONGEST_SECONDS, LOOK_SECONDS, FlowSweep

ALLOWED = 800
ROOM = 8000


class World:
    """Flows of interfaces by number, and how many of them a pass would forget."""

    def __init__(self):
        self.rows: dict[InterfaceNumber, Allowance] = {}
        self.over = 0  # of interface 1
        self.uncounted = 0
        self.passes = 0
        self.now = 1000.0
        self.sweep = FlowSweep(self, self.forget, ROOM, clock=lambda: self.now)

    def items(self):
        return list(self.rows.items())

    def forget(self) -> SweepOutcome:
        self.passes += 1
        if self.over:
            self.track(1, self.rows[InterfaceNumber(1)].tracked - self.over)
            self.over = 0
        return SweepOutcome(self.uncounted + sum(row.tracked for row in self.rows.values()), 0)

    def track(self, interface: int, flows: int) -> None:
        self.rows[InterfaceNumber(interface)] = Allowance(flows, ALLOWED)

    def look(self, times: int = 1) -> int:
        """Passes that it took."""
        before = self.passes
        for _ in range(times):
            self.sweep.look()
            self.now += LOOK_SECONDS
        return self.passes - before


def looked_at() -> World:
    world = World()
    world.track(1, 0)
    world.look()
    return world


def test_the_first_look_is_a_pass_whatever_an_earlier_agent_left():
    assert World().look() == 1


def test_an_idle_host_looks_and_makes_no_pass():
    assert looked_at().look(times=100) == 0


def test_few_flows_are_swept_now_and_then():
    world = looked_at()
    world.track(1, 3)
    assert world.look(times=100) == 100 * LOOK_SECONDS / LONGEST_SECONDS


def test_flows_that_fill_an_interfaces_allowance_are_swept_at_the_next_look():
    world = looked_at()
    world.track(1, ALLOWED // HURRY - 1)
    assert world.look() == 0
    world.track(1, ALLOWED // HURRY)
    assert world.look() == 1


def test_many_flows_that_stay_are_no_hurry():
    world = looked_at()
    world.track(1, ALLOWED // 2)
    assert world.look() == 1
    world.track(1, ALLOWED // 2 + 1)
    assert world.look() == 0


def test_a_full_allowance_is_swept_at_every_look():
    world = looked_at()
    world.track(1, ALLOWED)
    assert world.look(times=5) == 5


def test_flows_of_many_interfaces_that_fill_the_table_are_swept_at_the_next_look():
    world = looked_at()
    interfaces = 20
    each = ROOM // HURRY // interfaces
    assert each < ALLOWED // HURRY
    for interface in range(1, interfaces + 1):
        world.track(interface, each)
    assert world.look() == 1


def test_what_is_told_is_what_takes_room():
    world = looked_at()
    world.track(1, 5)
    world.over = 5
    assert world.sweep.look() == 5
    world.now += LONGEST_SECONDS
    assert world.sweep.look() == 0


def test_the_flows_of_an_interface_that_went_are_swept_at_the_next_look():
    world = looked_at()
    world.track(1, 3)
    world.look()
    del world.rows[InterfaceNumber(1)]
    assert world.look() == 1
    assert world.look(times=20) == 0


def test_flows_that_nobody_counts_are_swept_until_they_are_over():
    """An interface went and came back between two looks: its flows are in the table, and not in its new allowance."""
    world = looked_at()
    world.track(1, 3)
    world.look()
    world.track(1, 0)
    world.uncounted = 3
    assert world.look() == 1
    world.now += LONGEST_SECONDS
    assert world.look() == 1
    world.uncounted = 0
    world.now += LONGEST_SECONDS
    assert world.look() == 1
    world.now += LONGEST_SECONDS
    assert world.look() == 0
