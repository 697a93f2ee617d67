"""What tours are made of: lessons, each of which says what should happen and ends the tour when something else did."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, NamedTuple, TypeVar

from rookery.tour.twins import wait_until
from rookery.tour.walk import TourFailed, say

G = TypeVar("G")  # a tour's guide: what it does things with


class Lesson(NamedTuple, Generic[G]):
    title: str
    show: Callable[[G], None]


def teach(lessons: Iterable[Lesson[G]], guide: G) -> None:
    for number, lesson in enumerate(lessons, 1):
        say(f"{number}. {lesson.title}")
        lesson.show(guide)


def expect(seen: object, expected: object, what: str) -> None:
    """Raises TourFailed."""
    if seen != expected:
        raise TourFailed(f"{what}: {seen!r}, and should be {expected!r}")


def become(seen: Callable[[], object], expected: object, what: str) -> None:
    """The hosts follow within milliseconds, and what stands on them with them. Raises StageError when they do not."""
    wait_until(lambda: seen() == expected, lambda: f"{what}: {seen()!r}, and should be {expected!r}")
