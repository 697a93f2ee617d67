"""GetMetricData: many metrics at once, a page at a time."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from rookery.api.errors import unsupported
from rookery.api.metrics_file import MetricsFile
from rookery.api.monitoring.asked import Span, Wanted, check_period, check_statistics, span, values, wanted
from rookery.api.operation import ApiError, Request
from rookery.api.pages import position_of, token_of
from rookery.metrics.points import STATISTICS
from rookery.metrics.series import Series

MOST_QUERIES = 500
MOST_POINTS = 100_800
_ID = re.compile(r"[a-z][a-zA-Z0-9_]{0,254}\Z")

Point = tuple[int, float]  # unix seconds, value


class Query(NamedTuple):
    id: str
    label: str
    metric: Wanted
    statistic: str
    period: int
    is_shown: bool


async def metric_data(request: Request, file: MetricsFile) -> dict[str, Any]:
    """Raises ApiError."""
    parameters = request.parameters
    queries = [_query(request, one) for one in parameters["MetricDataQueries"]]
    _check(queries)
    when = span(parameters, "ValidationError")
    first, most = _page(request)
    shown = [query for query in queries if query.is_shown]
    found = await file.ask(partial(_points, shown, when)) or [[] for _ in shown]
    if parameters.get("ScanBy") != "TimestampAscending":
        found = [points[::-1] for points in found]
    answer: dict[str, Any] = {"MetricDataResults": _results(shown, found, first, most), "Messages": []}
    if sum(map(len, found)) > first + most:
        answer["NextToken"] = token_of(request, (first + most, ""))
    return answer


def _page(request: Request) -> tuple[int, int]:
    """So many values were told before, so many are told at most."""
    most = request.parameters.get("MaxDatapoints", MOST_POINTS)
    if not 1 <= most <= MOST_POINTS:
        raise ApiError("ValidationError", f"MaxDatapoints lies between 1 and {MOST_POINTS}.")
    token = request.parameters.get("NextToken")
    return (int(position_of(request, token)[0]) if token else 0), most


def _query(request: Request, given: dict[str, Any]) -> Query:
    if "Expression" in given:
        raise unsupported("Metric math and Metrics Insights (Expression) are not supported by Rookery yet.")
    if "MetricStat" not in given:
        raise ApiError("ValidationError", f"The query {given['Id'][:80]} has neither MetricStat nor Expression.")
    if given.get("AccountId", request.account) != request.account:
        raise unsupported("Metrics of other accounts (AccountId) are not supported by Rookery yet.")
    if "${" in given.get("Label", ""):
        raise unsupported("Dynamic labels are not supported by Rookery yet.")
    asked = given["MetricStat"]
    check_period(asked["Period"], "ValidationError")
    check_statistics([asked["Stat"]], "ValidationError")
    metric = wanted(request, asked["Metric"], asked.get("Unit"))
    label = given.get("Label") or metric.name
    return Query(given["Id"], label, metric, asked["Stat"], asked["Period"], given.get("ReturnData", True))


def _check(queries: Sequence[Query]) -> None:
    if not 1 <= len(queries) <= MOST_QUERIES:
        raise ApiError("ValidationError", f"There are 1 to {MOST_QUERIES} queries in a request.")
    for query in queries:
        if not _ID.match(query.id):
            raise ApiError("ValidationError", f"The id {query.id[:80]} is no lower-case letter, then letters, digits and underscores.")
    if len({query.id for query in queries}) < len(queries):
        raise ApiError("ValidationError", "The ids of queries are not unique.")


def _points(queries: Sequence[Query], when: Span, series: Series) -> list[list[Point]]:
    """Of each query, in order of time."""
    return [
        [(time, STATISTICS[query.statistic](found)) for time, found in values(series, query.metric, when, query.period)]
        for query in queries
    ]


def _results(queries: Sequence[Query], found: Sequence[Sequence[Point]], first: int, most: int) -> list[dict[str, Any]]:
    """Of all values one after the other the page from `first` on. Who was told completely on an earlier page is in no later one."""
    results, begins = [], 0
    for query, points in zip(queries, found, strict=True):
        ends = begins + len(points)
        page = points[max(0, first - begins) : max(0, first + most - begins)]
        if not first or ends > first:
            results.append(_result(query, page, is_complete=ends <= first + most))
        begins = ends
    return results


def _result(query: Query, points: Sequence[Point], is_complete: bool) -> dict[str, Any]:
    return {
        "Id": query.id,
        "Label": query.label,
        "Timestamps": [datetime.datetime.fromtimestamp(time, datetime.UTC) for time, _ in points],
        "Values": [value for _, value in points],
        "StatusCode": "Complete" if is_complete else "PartialData",
    }
