"""CloudWatch, as far as it is built: reading metrics. They are measured, and nobody can put any."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from rookery.api.metrics_file import MetricsFile
from rookery.api.monitoring.data import metric_data
from rookery.api.monitoring.lists import metrics
from rookery.api.monitoring.statistics import metric_statistics
from rookery.api.operation import ApiError, Request

_OPERATIONS: dict[str, Callable[[Request, MetricsFile], Awaitable[dict[str, Any]]]] = {
    "GetMetricData": metric_data,
    "GetMetricStatistics": metric_statistics,
    "ListMetrics": metrics,
}


async def run(request: Request, file: MetricsFile) -> dict[str, Any]:
    """Raises ApiError."""
    found = _OPERATIONS.get(request.operation)
    if found is None:
        why = f"Rookery does not support the operation {request.operation} of CloudWatch yet."
        raise ApiError("UnsupportedOperation", why)
    return await found(request, file)
