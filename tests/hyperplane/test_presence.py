"""Since when a node lives, and until when it did."""

from __future__ import annotations

from rookery.dataplane.formats import CellPresence
from rookery.hyperplane.presence import changes


def test_who_remembers_nothing_is_new_itself_and_nobody_else_is() -> None:
    """Or no node of a cell that begins could be told from one that came back."""
    assert changes(0, 0b1111, {}, me=2, now=50) == {2: CellPresence(came=50, left=0)}


def test_who_goes_is_noted_and_who_comes() -> None:
    held = {0: CellPresence(came=7, left=0), 3: CellPresence(came=1, left=30)}
    assert changes(0b0111, 0b1110, held, me=1, now=50) == {0: CellPresence(came=7, left=50), 3: CellPresence(came=50, left=0)}


def test_who_saw_nobody_and_sees_others_again_was_away_itself() -> None:
    """Its cable was cut: nobody has died, and it knows nothing of what began meanwhile."""
    held = {0: CellPresence(came=7, left=0), 2: CellPresence(came=1, left=30)}
    assert changes(0b1111, 0b1111, held, me=2, now=50, alone=True) == {2: CellPresence(came=50, left=0)}
    assert changes(0b1111, 0b0111, held, me=2, now=50, alone=True) == {2: CellPresence(came=50, left=0), 3: CellPresence(came=0, left=50)}


def test_where_nothing_changed_nothing_is_written() -> None:
    assert changes(0b1011, 0b1011, {}, me=0, now=50) == {}
