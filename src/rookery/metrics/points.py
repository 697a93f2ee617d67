"""A minute of a metric, and what becomes of many: statistics of periods. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from rookery.metrics.catalogue import Fold, Metric

MINUTE = 60

Packed = int | float | tuple[float, float, float, int]
Content = Mapping[int, Packed]  # by the metric's place in its family; what is missing is zero


class Statistics(NamedTuple):
    """Of the values in a span of time."""

    sum: float
    minimum: float
    maximum: float
    samples: int

    @property
    def average(self) -> float:
        return self.sum / self.samples

    def __or__(self, other: Statistics) -> Statistics:
        return Statistics(
            self.sum + other.sum,
            min(self.minimum, other.minimum),
            max(self.maximum, other.maximum),
            self.samples + other.samples,
        )


STATISTICS: dict[str, Callable[[Statistics], float]] = {
    "SampleCount": lambda found: float(found.samples),
    "Average": lambda found: found.average,
    "Sum": lambda found: found.sum,
    "Minimum": lambda found: found.minimum,
    "Maximum": lambda found: found.maximum,
}


def more_of(fold: Fold, before: Packed | None, value: float) -> Packed:
    """What a minute says after one more value: of a sum what is added, of a peak one more average, of a level one more look."""
    if fold in (Fold.LEVEL, Fold.OBSERVED):
        seen = Statistics(value, value, value, 1)
        return tuple(Statistics(*before) | seen) if isinstance(before, tuple | list) else tuple(seen)  # type: ignore[return-value]
    held = before if isinstance(before, int | float) else 0
    return held + value if fold is Fold.SUM else max(held, value)


def statistics_of(packed: Packed | None) -> Statistics:
    if isinstance(packed, tuple | list):
        return Statistics(*packed)
    value = float(packed or 0)
    return Statistics(value, value, value, 1)


def in_periods(
    metric_place: int, minutes: Iterable[tuple[int, Content]], period: int
) -> list[tuple[int, Statistics]]:
    """`minutes`: (unix seconds, content), in order. Each period begins at a multiple of it, as CloudWatch's do."""
    found: dict[int, Statistics] = {}
    for start, content in minutes:
        begins = start - start % period
        here = statistics_of(content.get(metric_place))
        found[begins] = found[begins] | here if begins in found else here
    return list(found.items())


def place_of(metrics: Iterable[Metric], name: str) -> int | None:
    """None: there is no such metric."""
    return next((place for place, metric in enumerate(metrics) if metric.name == name), None)
