"""What may happen to a cell, for hypothesis to make histories of: whichever model of its nodes. A history in which the world raises Violation is
shortened."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from tests.hyperplane.chance import FLOWS
from tests.hyperplane.protocol import NODES

PLACES = st.integers(0, NODES - 1)
NUMBERS = st.integers(0, 60)


class Chain(RuleBasedStateMachine):
    world: Any  # protocol.World, or built.World

    @rule(flow=st.sampled_from(FLOWS), top=PLACES, begins=st.booleans())
    def a_packet_comes_from_inside(self, flow, top, begins):
        self.world.packet(flow, top, begins)

    @precondition(lambda self: self.world.visible)
    @rule(top=PLACES, number=NUMBERS)
    def an_answer_comes_from_outside(self, top, number):
        seen = sorted(self.world.visible)
        self.world.answer_from_outside(seen[number % len(seen)].back, top)

    @precondition(lambda self: self.world.net)
    @rule(number=NUMBERS)
    def a_message_arrives_and_may_overtake_others(self, number):
        self.world.deliver(number)

    @precondition(lambda self: self.world.net)
    @rule(most=st.integers(1, 12))
    def messages_arrive_in_order(self, most):
        self.world.deliver_all(most)

    @precondition(lambda self: self.world.net)
    @rule(number=NUMBERS)
    def a_message_is_lost(self, number):
        self.world.lose(number)

    @rule(ticks=st.integers(1, 4))
    def time_passes(self, ticks):
        self.world.tick(ticks)

    @rule(place=PLACES)
    def a_node_dies(self, place):
        self.world.kill(place)

    @rule(place=PLACES)
    def a_node_comes_back_empty(self, place):
        self.world.restart(place)

    @rule(place=PLACES, other=PLACES)
    def a_node_wrongly_thinks_another_dead(self, place, other):
        self.world.suspect(place, other)

    @rule(place=PLACES)
    def a_node_trusts_again(self, place):
        self.world.trust(place)
