"""The chain as it is built keeps what 0021's model promises (tests/hyperplane/built.py, docs/decisions/0031), where a node may wrongly think another dead, any
number die, all of a top's heartbeats may be lost, and rings stand still:

    one decision per flow that is visible, but where both that kept it have died before anybody had a copy; no two living flows on one port towards
    one destination; a decision is on two nodes before it is visible, or on the only one"""

from __future__ import annotations

from dataclasses import fields
from random import Random

import pytest
from hypothesis import settings
from hypothesis.stateful import rule, run_state_machine_as_test

from tests.hyperplane.built import Built, World
from tests.hyperplane.chain_histories import PLACES, Chain
from tests.hyperplane.chance import throw
from tests.hyperplane.protocol import Violation
from tests.hyperplane.test_protocol_model import BEATS, DOUBT, STORM, TAILS

CALM = {"packet": 20, "data": 10, "deliver": 40, "beat": 0.3, "copy": 4, "tick": 12, "kill": 0.3, "restart": 2, "lose": 8, "suspect": 0.2}
MUTE = {"beat": 0, "packet": 20, "data": 12, "deliver": 50, "tick": 10}
STILL = {"copy": 4, "ring": 0, "adopt": 0}
TWO = {"kill": 1.2, "restart": 0.2, "packet": 20, "beat": 0, "copy": 0, "deliver": 60, "tick": 8, "suspect": 0, "lose": 0}
BACK = {"kill": 3, "restart": 6, "packet": 20, "beat": 0, "copy": 0, "deliver": 60, "tick": 10, "suspect": 0, "lose": 0}
PAIR = {"kill": 0, "suspect": 8, "trust": 3, "packet": 30, "deliver": 60, "tick": 6, "beat": 0}
WEATHERS = {"all": {}, "storm": STORM, "doubt": DOUBT, "heartbeats": BEATS, "tails": TAILS, "calm": CALM, "no heartbeat": MUTE, "two": TWO, "back": BACK, "pair": PAIR}
STEPS = 250


def violation(dice: int, weather: dict[str, float], built: Built) -> str:
    try:
        throw(Random(dice), World(built, suspicions=2), STEPS, STILL | weather | {"ring": 0})
    except Violation as found:
        return str(found)
    return ""


@pytest.mark.parametrize("weather", WEATHERS)
def test_no_throw_of_dice_breaks_an_invariant(weather: str) -> None:
    assert [found for dice in range(40) if (found := violation(dice, WEATHERS[weather], Built()))] == []


class BuiltChain(Chain):
    def __init__(self) -> None:
        super().__init__()
        self.world = World()

    @rule(place=PLACES)
    def a_node_tells_the_other_keepers_what_it_keeps(self, place):
        self.world.copy(place)


def test_hypothesis_finds_no_history_that_breaks_an_invariant() -> None:
    run_state_machine_as_test(BuiltChain, settings=settings(max_examples=25, stateful_step_count=50, deadline=None))


# Where the dice find it: the weather, and the throw. Another model needs other throws.
BREAKS: dict[str, tuple[str, int]] = {
    "leases": ("back", 7),
    "known_flows_walk": ("back", 7),
    "the_last_keeps_what_it_has": ("back", 15),
    "the_second_checks_ports": ("back", 41),
    "who_begins_names_the_tail": ("back", 72),
    "newcomers_do_not_decide": ("back", 105),
}
# Of these no throw that was tried shows the need, for others stand in: programs have them, and their own tests (tests/dataplane/test_cell_*.py).
NOT_SHOWN = {
    "substitutes_walk", "the_tail_is_kept", "the_tail_asks_its_own_decider", "blocks_wait_for_leases", "doubt_is_left_to_keepers", "copies_are_no_sign_of_life",
    "copies_take_nobodys_place", "who_lost_a_port_is_forgotten",
}  # fmt: skip


@pytest.mark.parametrize("broken", BREAKS)
def test_without_this_rule_the_model_fails(broken: str) -> None:
    weather, dice = BREAKS[broken]
    assert violation(dice, WEATHERS[weather], Built(**{broken: False})) and not violation(dice, WEATHERS[weather], Built())


def test_of_every_rule_it_is_said_whether_the_dice_need_it() -> None:
    assert {rule.name for rule in fields(Built)} == BREAKS.keys() | NOT_SHOWN
