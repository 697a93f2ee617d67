"""Drives a model of the chain by dice: thousands of short histories, each named by its seed, under what weather they have."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from random import Random
from typing import Any

from tests.faults.size import SIZE
from tests.hyperplane.protocol import NODES, Flow, Violation

FLOWS = [Flow(tenant, source, destination) for tenant in (1, 2) for source in (1, 2) for destination in (1, 2)]
ACTIONS = {"packet": 6, "data": 4, "back": 3, "deliver": 30, "lose": 2, "repeat": 1, "beat": 6, "tick": 5, "kill": 1, "restart": 1,
           "suspect": 0.5, "trust": 0.7, "ring": 0.3, "adopt": 1, "arrive": 0, "cut": 0}  # fmt: skip
STEPS = 250

# Weathers: how often what happens, where it is not as usual.
STORM = {"kill": 3, "restart": 5, "beat": 12, "tick": 12, "deliver": 40, "suspect": 2, "trust": 2, "lose": 6, "packet": 10}
DOUBT = {"kill": 0.5, "suspect": 6, "trust": 5, "beat": 10, "deliver": 60, "lose": 12, "repeat": 6, "packet": 15}
RINGS = {"ring": 8, "adopt": 6, "tick": 12, "beat": 8, "deliver": 60, "kill": 0, "suspect": 0, "packet": 15}
LONELY = {"kill": 4, "restart": 5, "tick": 9, "beat": 2, "deliver": 60, "packet": 14, "suspect": 0, "ring": 0, "lose": 2, "back": 0}
BEATS = {"suspect": 4, "trust": 4, "tick": 8, "beat": 12, "repeat": 6}
TAILS = {"kill": 2, "suspect": 6, "trust": 5, "tick": 4, "beat": 1, "deliver": 30, "packet": 30}


def as_many_as_asked(usual: int) -> int:
    """Throws of each weather: `ROOKERY_FAULTS` (tests/faults/size.py) asks for more, and for minutes."""
    return {"": usual, "small": 10 * usual, "whole": 2_500}[SIZE]


def broken(world: Any, dice: int, weather: Mapping[str, float], steps: int = STEPS) -> str:
    """What must never be, and was. Empty: nothing. `world`: protocol.World, or built.World."""
    random = Random(dice)
    weights = ACTIONS | weather
    try:
        for action in random.choices(list(weights), list(weights.values()), k=steps):
            act(world, action, random)
    except Violation as found:
        return str(found)
    return ""


def first_broken(make: Callable[[], Any], throws: Iterable[int], weather: Mapping[str, float], steps: int = STEPS) -> str:
    """Empty: none of them was."""
    found = (f"{said}, by history {dice}" for dice in throws if (said := broken(make(), dice, weather, steps)))
    return next(found, "")


def act(world: Any, action: str, random: Random) -> None:
    place = random.randrange(NODES)
    if action in ("packet", "data"):
        world.packet(random.choice(FLOWS), place, begins=action == "packet")
    elif action == "close":
        world.close(random.choice(FLOWS), place)
    elif action == "back" and world.visible:
        world.answer_from_outside(random.choice(sorted(world.visible)).back, place)
    elif action in ("deliver", "lose", "repeat") and world.net:
        getattr(world, action)(random.randrange(len(world.net)))
    elif action == "arrive":
        world.deliver_all()
    elif action == "tick":
        world.tick(random.randint(1, 3))
    elif action == "pause":
        world.tick(random.randint(6, 24))
    elif action == "suspect":
        world.suspect(place, random.randrange(NODES))
    elif action == "ring":
        world.change_ring(place)
    elif action in ("beat", "kill", "cut", "restart", "trust", "adopt"):
        getattr(world, action)(place)
