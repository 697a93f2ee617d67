"""The chain's invariants, in a model of nodes and a bad network (tests/hyperplane/protocol.py):

    one decision per flow that is visible; no two living flows on one port towards one destination, so no packet to another tenant;
    a decision is on two nodes before it is visible, or on the only one; a repeated SYN gets the same decision, and takes no second port

Every rule is there because the model fails without it, which is tested as well."""

from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import settings
from hypothesis.stateful import precondition, rule, run_state_machine_as_test

from tests.hyperplane.chain_histories import NUMBERS, PLACES, Chain
from tests.hyperplane.chance import (
    BEATS,
    DOUBT,
    FLOWS,
    LONELY,
    RINGS,
    STORM,
    TAILS,
    as_many_as_asked,
    first_broken,
)
from tests.hyperplane.protocol import KEEP, LIFE, WAIT, Back, Flow, Rules, Violation, World


class ModelChain(Chain):
    def __init__(self) -> None:
        super().__init__()
        self.world = World()

    @precondition(lambda self: self.world.net)
    @rule(number=NUMBERS)
    def a_message_is_repeated(self, number):
        self.world.repeat(number)

    @rule(top=PLACES)
    def a_top_sends_its_heartbeats(self, top):
        self.world.beat(top)

    @rule(place=PLACES)
    def a_node_joins_or_leaves_the_ring(self, place):
        self.world.change_ring(place)

    @rule(place=PLACES)
    def a_node_reads_the_new_file(self, place):
        self.world.adopt(place)


def test_hypothesis_finds_no_history_that_breaks_an_invariant():
    run_state_machine_as_test(ModelChain, settings=settings(max_examples=50, stateful_step_count=60, deadline=None))


@pytest.mark.parametrize("weather", [{}, STORM, DOUBT, RINGS | {"kill": 0.3}], ids=["all", "storm", "doubt", "rings"])
def test_no_throw_of_dice_breaks_an_invariant(weather):
    assert first_broken(World, range(as_many_as_asked(120)), weather, 300) == ""


# Where the dice find it: the weather, the first throw that is tried, the steps of a history. Another model needs other throws.
BREAKS = {
    "tail_keeps_what_it_has": ({}, 62, 250),
    "port_is_checked_at_the_second": ({}, 960, 250),
    "young_do_not_lead": (LONELY, 52, 250),
    "top_two_of_late": (LONELY, 962, 250),
    "leases": ({}, 3, 250),
    "beats_never_overwrite": (BEATS, 352, 250),
    "decider_remembers_flows": ({}, 26, 250),
    "known_flows_walk": ({}, 3, 250),
    "tail_is_kept": (TAILS, 552, 250),
    "confirmations_name_the_question": ({}, 104_120, 400),
    "previous_rings_count": ({}, 104_260, 400),
    "rings_change_one_by_one": (RINGS, 2_000, 250),
}
SCRIPTED = {"conflict_is_told", "stamps_are_the_tops"}
THROWS = 400


@pytest.mark.parametrize("broken", BREAKS)
def test_without_this_rule_the_model_fails(broken):
    weather, first, steps = BREAKS[broken]
    found = first_broken(lambda: World(Rules(**{broken: False})), range(first, first + THROWS), weather, steps)
    assert found != ""


def test_every_rule_has_a_test_that_breaks_it():
    assert {rule.name for rule in fields(Rules)} == BREAKS.keys() | SCRIPTED


def established(world: World, flow: Flow, top: int = 4) -> None:
    """By a node that is no tracker of anything: it is not in the ring."""
    world.packet(flow, top)
    world.deliver_all()
    assert flow in world.nodes[top].cache


def rivals() -> tuple[Flow, Flow]:
    """Two flows towards one destination to which one node would give one port."""
    for one in FLOWS:
        for other in FLOWS:
            if one != other and one.destination == other.destination and decided(one) == decided(other) is not None:
                return one, other
    raise AssertionError("no two such flows: change the model's numbers")


def decided(flow: Flow) -> tuple[int, int] | None:
    world = World()
    world.packet(flow, 4)
    world.deliver_all()
    found = world.nodes[4].cache.get(flow)
    return (found.decision.port, found.decision.decider) if found else None


@pytest.mark.parametrize("by_the_stamp", [True, False])
def test_a_slow_chain_gives_no_lease_that_outlives_the_record_it_came_from(by_the_stamp):
    slow, quick = rivals()
    world = World(Rules(stamps_are_the_tops=by_the_stamp))
    world.packet(slow, 4)
    while world.net:
        world.tick(LIFE)
        world.deliver(0)
    while any(world.record(node, key) for node in world.nodes for key in list(node.records) if isinstance(key, Back)):
        world.tick(1)
    world.packet(quick, 4)
    if by_the_stamp:
        world.deliver_all()
    else:
        with pytest.raises(Violation, match="one port"):
            world.deliver_all()


def after_its_primary_forgot(flow: Flow, rules: Rules) -> bool:
    """Is a flow answered as before, by a top that never saw it, when its primary and its decider came back empty and no heartbeat reached them?"""
    world = World(rules)
    established(world, flow)
    secondary = world.ranks(world.nodes[4], flow)[1]
    known = world.nodes[4].cache[flow].decision
    forgetful = {world.ranks(world.nodes[4], flow)[0], known.decider} - {secondary}
    world.tick(3)  # its ports come in another order
    for place in forgetful:
        world.kill(place)
        world.restart(place)
    for _ in range(WAIT):
        world.tick(1)
        world.beat(4)
        world.net = [message for message in world.net if message.to not in forgetful]
        world.deliver_all()
    answers = set()
    for _ in range(4):
        world.packet(flow, secondary)
        world.deliver_all()
        answers |= {entry.decision for entry in [world.nodes[secondary].cache.get(flow)] if entry}
        world.tick(1)
    assert answers <= {known}
    return bool(answers)


def test_a_flow_whose_primary_forgot_it_is_told_what_the_secondary_knows():
    """Where the conflict is only noticed, and the packet dropped, the flow never gets on again."""
    flows = [flow for flow in FLOWS if decided(flow)]
    assert all(after_its_primary_forgot(flow, Rules()) for flow in flows)
    assert not all(after_its_primary_forgot(flow, Rules(conflict_is_told=False)) for flow in flows)


def test_a_repeated_syn_takes_no_second_port():
    world, flow = World(), FLOWS[0]
    for top in (4, 0, 1, 4, 2):
        world.packet(flow, top)
        world.deliver_all()
    held = {record.decision.port for node in world.nodes for record in node.records.values() if record.decision}
    assert len(held) == 1


def test_a_single_death_stops_no_new_flow():
    """The secondary was told of all that the primary knew: it leads at once."""
    for flow in FLOWS:
        if decided(flow) is None:
            continue
        world = World()
        established(world, flow)
        world.kill(world.ranks(world.nodes[4], flow)[0])
        world.tick(KEEP + 4)  # noticed, and the flow's own records gone
        world.packet(flow, 4)
        asked = [message for message in world.net if message.kind == "ask"]
        world.deliver(0)
        assert asked and [message.kind for message in world.net] == ["decide"]
