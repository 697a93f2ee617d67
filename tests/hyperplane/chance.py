"""Drives the model by dice: thousands of short histories, each named by its seed."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from tests.hyperplane.protocol import NODES, Flow, Rules, Violation, World

FLOWS = [Flow(tenant, source, destination) for tenant in (1, 2) for source in (1, 2) for destination in (1, 2)]
ACTIONS = {"packet": 6, "data": 4, "back": 3, "deliver": 30, "lose": 2, "repeat": 1, "beat": 6, "tick": 5, "kill": 1, "restart": 1,
           "suspect": 0.5, "trust": 0.7, "ring": 0.3, "adopt": 1}  # fmt: skip


def history(dice: int, rules: Rules, steps: int = 250, only: dict[str, float] | None = None) -> World:
    """Raises Violation."""
    return throw(Random(dice), World(rules), steps, only or {})


def throw(random: Random, world: World, steps: int, only: dict[str, float]) -> World:
    weights = ACTIONS | only
    for action in random.choices(list(weights), list(weights.values()), k=steps):
        act(world, action, random)
    return world


def act(world: World, action: str, random: Random) -> None:
    place = random.randrange(NODES)
    if action in ("packet", "data"):
        world.packet(random.choice(FLOWS), place, begins=action == "packet")
    elif action == "back" and world.visible:
        world.answer_from_outside(random.choice(sorted(world.visible)).back, place)
    elif action in ("deliver", "lose", "repeat") and world.net:
        getattr(world, action)(random.randrange(len(world.net)))
    elif action == "tick":
        world.tick(random.randint(1, 3))
    elif action == "pause":
        world.tick(random.randint(6, 24))
    elif action == "close":
        world.close(random.choice(FLOWS), place)  # type: ignore[attr-defined]
    elif action == "suspect":
        world.suspect(place, random.randrange(NODES))
    elif action == "ring":
        world.change_ring(place)
    elif action in ("beat", "kill", "restart", "trust", "adopt"):
        getattr(world, action)(place)


def first_violation(rules: Rules, throws: Iterable[int], only: dict[str, float], steps: int) -> str:
    """Empty: none was found."""
    for dice in throws:
        try:
            history(dice, rules, steps, only)
        except Violation as found:
            return f"history {dice}: {found}"
    return ""
