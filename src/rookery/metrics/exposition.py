"""The same numbers as Prometheus reads them (text format 0.0.4): what is summed as a counter, what is held as a gauge. Pure.

    aws_nat_gateway_bytes_in_from_source_total{account="123456789012",region="us-east-1",nat_gateway_id="nat-1"} 4711

Of namespaces that tell the same by several dimensions only the finest is told: Prometheus adds up itself."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator

from rookery.metrics.catalogue import Fold, Metric
from rookery.metrics.points import Content, statistics_of
from rookery.metrics.resources import Measured

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
_BORDER = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def exposition(found: Iterable[tuple[Measured, Content, Content]]) -> str:
    """`found`: what is measured, its newest minute, and its totals."""
    kinds: dict[str, str] = {}
    lines: defaultdict[str, list[str]] = defaultdict(list)
    for measured, newest, totals in found:
        if not measured.family.finest:
            continue
        for name, kind, value in _told(measured, newest, totals):
            kinds[name] = kind
            lines[name].append(f"{name}{{{_labels(measured)}}} {value!r}")
    return "".join(f"# TYPE {name} {kinds[name]}\n" + "".join(f"{line}\n" for line in sorted(lines[name])) for name in sorted(lines))


def _told(measured: Measured, newest: Content, totals: Content) -> Iterator[tuple[str, str, float]]:
    """A level as it was at the last looks, on average."""
    for place, metric in enumerate(measured.family.metrics):
        if metric.fold is Fold.SUM:
            yield f"{_name(measured, metric)}_total", "counter", _number(totals.get(place))
        else:
            yield _name(measured, metric), "gauge", statistics_of(newest.get(place)).average


def _number(packed: object) -> float:
    return packed if isinstance(packed, int | float) else 0


def _name(measured: Measured, metric: Metric) -> str:
    """aws_nat_gateway_bytes_in_from_source"""
    return f"{_snake(measured.namespace.replace('/', '_'))}_{_snake(metric.name)}"


def _snake(text: str) -> str:
    """NatGatewayId and "VPC Endpoint Id": nat_gateway_id, vpc_endpoint_id."""
    return re.sub("_+", "_", _BORDER.sub("_", text).replace(" ", "_")).lower()


def _labels(measured: Measured) -> str:
    named = [("account", measured.account), ("region", measured.region), *((_snake(name), value) for name, value in measured.dimensions)]
    return ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in named)
