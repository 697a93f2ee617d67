"""GetMetricStatistics: one metric, in several statistics at once."""

from __future__ import annotations

import datetime
from functools import partial
from typing import Any

from rookery.api.errors import unsupported
from rookery.api.metrics_file import MetricsFile
from rookery.api.monitoring.asked import (
    Span,
    Wanted,
    check_period,
    check_statistics,
    span,
    values,
    wanted,
)
from rookery.api.operation import ApiError, Request
from rookery.metrics.points import STATISTICS, Statistics
from rookery.metrics.series import Series

MOST_POINTS = 1_440
INVALID, COMBINATION, MISSING = "InvalidParameterValue", "InvalidParameterCombination", "MissingParameter"


async def metric_statistics(request: Request, file: MetricsFile) -> dict[str, Any]:
    """Raises ApiError."""
    parameters = request.parameters
    names = _statistics(parameters)
    period, when = parameters["Period"], span(parameters, INVALID)
    check_period(period, INVALID)
    _check_number(when.of(period), period)
    metric = wanted(request, parameters, parameters.get("Unit"))
    found = await file.ask(partial(_values, metric, when, period)) or []
    points = [_point(time, one, names, metric.unit_of_values) for time, one in found]
    return {"Label": metric.name, "Datapoints": points}


def _values(metric: Wanted, when: Span, period: int, series: Series) -> list[tuple[int, Statistics]]:
    return values(series, metric, when, period)


def _statistics(parameters: dict[str, Any]) -> list[str]:
    simple, extended = parameters.get("Statistics"), parameters.get("ExtendedStatistics")
    if simple and extended:
        raise ApiError(COMBINATION, "Statistics and ExtendedStatistics cannot be used together.")
    if extended:
        raise unsupported("ExtendedStatistics are not supported by Rookery yet.")
    if not simple:
        raise ApiError(MISSING, "Statistics or ExtendedStatistics must be given.")
    check_statistics(simple, INVALID)
    return list(dict.fromkeys(simple))


def _check_number(when: Span, period: int) -> None:
    many = -(-(when.end - when.start) // period)
    if many > MOST_POINTS:
        why = f"You have requested up to {many:,} datapoints, which exceeds the limit of {MOST_POINTS:,}."
        raise ApiError(COMBINATION, f"{why} A longer Period, or a shorter time, has fewer.")


def _point(time: int, found: Statistics, names: list[str], unit: str) -> dict[str, Any]:
    when = datetime.datetime.fromtimestamp(time, datetime.UTC)
    return {"Timestamp": when, **{name: STATISTICS[name](found) for name in names}, "Unit": unit}
