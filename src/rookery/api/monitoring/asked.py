"""What the ways to ask for a metric's values have in common: times, periods, statistics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rookery.api.errors import unsupported
from rookery.api.operation import ApiError, Request
from rookery.metrics.catalogue import FAMILIES
from rookery.metrics.points import MINUTE, STATISTICS, Statistics, in_periods, place_of
from rookery.metrics.resources import Measured
from rookery.metrics.series import Series

FINER = (1, 5, 10, 20, 30)  # periods of metrics that are kept by the second: there are none here
LONGEST = 86_400


class Wanted(NamedTuple):
    """One metric of something that is measured; what nobody measures has no values."""

    measured: Measured
    name: str
    unit: str  # empty: any

    @property
    def place(self) -> int | None:
        """In its family. None: there is no such metric, or not in this unit."""
        family = FAMILIES.get((self.measured.namespace, tuple(name for name, _ in self.measured.dimensions)))
        place = place_of(family.metrics, self.name) if family else None
        if family is None or place is None or self.unit not in ("", family.metrics[place].unit):
            return None
        return place

    @property
    def unit_of_values(self) -> str:
        """Of what has values."""
        place = self.place
        return "None" if place is None else self.measured.family.metrics[place].unit


def wanted(request: Request, metric: Mapping[str, Any], unit: str | None) -> Wanted:
    """Raises ValidationError: a dimension is named twice."""
    dimensions = tuple(sorted((one["Name"], one["Value"]) for one in metric.get("Dimensions", ())))
    if len({name for name, _ in dimensions}) < len(dimensions):
        raise ApiError("ValidationError", "Each dimension is named once.")
    measured = Measured(request.account, request.region, metric.get("Namespace", ""), dimensions)
    return Wanted(measured, metric.get("MetricName", ""), unit or "")


class Span(NamedTuple):
    """Unix seconds, `end` not in it."""

    start: int
    end: int

    def of(self, period: int) -> Span:
        """From the beginning of a period."""
        return Span(self.start - self.start % period, self.end)


def span(parameters: Mapping[str, Any], code: str) -> Span:
    """Whole minutes from StartTime to EndTime. Raises ApiError with the code `code`."""
    start, end = parameters["StartTime"].timestamp(), parameters["EndTime"].timestamp()
    if start >= end:
        raise ApiError(code, "The parameter EndTime must be greater than StartTime.")
    return Span(int(start) // MINUTE * MINUTE, int(end))


def check_period(period: int, code: str) -> None:
    """Raises ApiError with the code `code`."""
    if period not in FINER and (period % MINUTE or not MINUTE <= period <= LONGEST):
        raise ApiError(code, f"The period {period} is none of 1, 5, 10, 20, 30, and no multiple of 60 up to {LONGEST}.")


def check_statistics(names: Sequence[str], code: str) -> None:
    """Raises UnsupportedOperation for what is no simple statistic, but one of CloudWatch's; else ApiError with the code `code`."""
    for name in names:
        if name in STATISTICS:
            continue
        if name.lower().startswith(("p", "tm", "wm", "tc", "ts", "iqm", "pr")):
            raise unsupported(f"The statistic {name[:40]} is not supported by Rookery yet: {', '.join(STATISTICS)} are.")
        raise ApiError(code, f"The statistic {name[:40]} does not exist.")


def values(series: Series, asked: Wanted, when: Span, period: int) -> list[tuple[int, Statistics]]:
    """In order of time. Of periods under a minute there are none. Raises SeriesAway."""
    place = asked.place
    if place is None or period in FINER:
        return []
    minutes = series.minutes(asked.measured, *when.of(period))
    return in_periods(place, minutes, period)
