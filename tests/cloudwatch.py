"""What CloudWatch tells of the last hour."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any


def measured(cloudwatch: Any, namespace: str, name: str, statistic: str, dimensions: Mapping[str, str]) -> float:
    """What was counted, or the highest."""
    now = datetime.datetime.now(datetime.UTC)
    found = cloudwatch.get_metric_statistics(
        Namespace=namespace,
        MetricName=name,
        Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
        StartTime=now - datetime.timedelta(hours=1),
        EndTime=now + datetime.timedelta(minutes=1),
        Period=60,
        Statistics=[statistic],
    )["Datapoints"]
    values = [one[statistic] for one in found]
    return sum(values) if statistic == "Sum" else max(values, default=0)
