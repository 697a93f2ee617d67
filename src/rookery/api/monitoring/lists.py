"""ListMetrics: what has been measured in the days that are kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rookery.api.errors import unsupported
from rookery.api.metrics_file import MetricsFile
from rookery.api.operation import Request
from rookery.api.pages import position_of, token_of
from rookery.metrics.resources import Measured
from rookery.metrics.series import Series

PAGE = 500
RECENT, RECENT_SECONDS = "PT3H", 3 * 3600


async def metrics(request: Request, file: MetricsFile) -> dict[str, Any]:
    """Raises ApiError."""
    parameters = request.parameters
    if parameters.get("OwningAccount", request.account) != request.account:
        raise unsupported("Metrics of other accounts (OwningAccount) are not supported by Rookery yet.")
    since = int(request.now) - RECENT_SECONDS if parameters.get("RecentlyActive") == RECENT else 0
    found = await file.ask(_all_of(request, since)) or []
    named = [
        (one, metric.name)
        for one in found
        if _fits(one, parameters)
        for metric in one.family.metrics
        if parameters.get("MetricName", metric.name) == metric.name
    ]
    return _page(request, named)


def _all_of(request: Request, since: int) -> Callable[[Series], list[Measured]]:
    return lambda series: series.measured(request.account, request.region, since)


def _fits(one: Measured, parameters: Mapping[str, Any]) -> bool:
    if parameters.get("Namespace", one.namespace) != one.namespace:
        return False
    held = dict(one.dimensions)
    return all(
        asked["Name"] in held and asked.get("Value", held[asked["Name"]]) == held[asked["Name"]]
        for asked in parameters.get("Dimensions", ())
    )


def _page(request: Request, named: Sequence[tuple[Measured, str]]) -> dict[str, Any]:
    """A token names the last one that was told."""
    token = request.parameters.get("NextToken")
    after = position_of(request, token)[1] if token else ""
    rest = [one for one in named if _name(one) > after] if token else list(named)
    rest.sort(key=_name)
    answer: dict[str, Any] = {"Metrics": [_shown(*one) for one in rest[:PAGE]]}
    if request.parameters.get("IncludeLinkedAccounts"):
        answer["OwningAccounts"] = [request.account for _ in rest[:PAGE]]
    if len(rest) > PAGE:
        answer["NextToken"] = token_of(request, (0.0, _name(rest[PAGE - 1])))
    return answer


def _name(one: tuple[Measured, str]) -> str:
    measured, name = one
    return "\n".join((measured.namespace, *(f"{key}={value}" for key, value in measured.dimensions), name))


def _shown(measured: Measured, name: str) -> dict[str, Any]:
    dimensions = [{"Name": key, "Value": value} for key, value in measured.dimensions]
    return {"Namespace": measured.namespace, "MetricName": name, "Dimensions": dimensions}
