"""The health check of a target group: what requests say of it, and what they may."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from rookery.api.errors import unsupported
from rookery.api.handlers.balancer_zones import wrong_configuration
from rookery.api.operation import ApiError
from rookery.intent.matcher import codes as matched
from rookery.model.balancers import TRAFFIC_PORT, HealthCheck

SETTINGS = {
    "HealthCheckProtocol",
    "HealthCheckPort",
    "HealthCheckEnabled",
    "HealthCheckPath",
    "HealthCheckIntervalSeconds",
    "HealthCheckTimeoutSeconds",
    "HealthyThresholdCount",
    "UnhealthyThresholdCount",
    "Matcher",
}
_PROTOCOLS = ("TCP", "HTTP", "HTTPS")
_TIMEOUTS = {"TCP": 10, "HTTP": 6, "HTTPS": 10}  # seconds, where nobody says otherwise
_CODE = "[2-5][0-9][0-9]"
_MATCHER = re.compile(rf"{_CODE}(?:-{_CODE})?(?:,{_CODE}(?:-{_CODE})?)*\Z")
_NUMBERS = {
    "HealthCheckIntervalSeconds": "interval",
    "HealthCheckTimeoutSeconds": "timeout",
    "HealthyThresholdCount": "healthy",
    "UnhealthyThresholdCount": "unhealthy",
}


def health_check(parameters: Mapping[str, Any], before: HealthCheck | None = None) -> HealthCheck:
    """`before`: of a group that has one; what is not said stays. Raises ValidationError, InvalidConfigurationRequest."""
    if parameters.get("HealthCheckEnabled") is False:
        why = "Health checks cannot be disabled for target groups of the types 'instance' and 'ip'"
        raise wrong_configuration(why)
    protocol = parameters.get("HealthCheckProtocol") or (before.protocol if before else "TCP")
    if protocol not in _PROTOCOLS:
        why = f"Health check protocol '{protocol}' is not valid: it is one of {', '.join(_PROTOCOLS)}"
        raise ApiError("ValidationError", why)
    basis = before if before and before.protocol == protocol else _usual(protocol)
    numbers = {name: parameters[given] for given, name in _NUMBERS.items() if given in parameters}
    said = {**numbers, **_http(parameters, protocol), **_port(parameters)}
    found: HealthCheck = replace(basis, **said)
    if found.timeout > found.interval:
        why = f"Health check timeout '{found.timeout}' must be smaller than or equal to the interval '{found.interval}'"
        raise ApiError("ValidationError", why)
    return found


def _usual(protocol: str) -> HealthCheck:
    if protocol == "TCP":
        return HealthCheck()
    return HealthCheck(protocol=protocol, timeout=_TIMEOUTS[protocol], path="/", matcher="200-399")


def _http(parameters: Mapping[str, Any], protocol: str) -> dict[str, str]:
    path, matcher = parameters.get("HealthCheckPath"), parameters.get("Matcher") or {}
    if matcher.get("GrpcCode"):
        raise unsupported("Health checks by gRPC are not supported by Rookery yet.")
    codes = matcher.get("HttpCode")
    if protocol == "TCP" and (path or codes):
        raise wrong_configuration("A health check of the protocol TCP has no path and no matcher")
    if path and not (path.startswith("/") and path.isascii() and path.isprintable() and " " not in path):
        raise ApiError("ValidationError", f"Health check path '{path[:80]}' must begin with a '/' character")
    if codes and not (_MATCHER.match(codes) and matched(codes)):
        raise ApiError(
            "ValidationError", f"Health check matcher HTTP code '{codes[:80]}' must be within '200-599'"
        )
    return {name: value for name, value in (("path", path), ("matcher", codes)) if value}


def _port(parameters: Mapping[str, Any]) -> dict[str, int]:
    said = parameters.get("HealthCheckPort")
    if not said:
        return {}
    if said == "traffic-port":
        return {"port": TRAFFIC_PORT}
    if not (said.isascii() and said.isdigit() and len(said) <= 5 and 1 <= int(said) <= 65_535):
        raise ApiError("ValidationError", f"Health check port '{said[:80]}' is not valid")
    return {"port": int(said)}


def health_check_shape(check: HealthCheck) -> dict[str, Any]:
    shape = {
        "HealthCheckProtocol": check.protocol,
        "HealthCheckPort": str(check.port) if check.port != TRAFFIC_PORT else "traffic-port",
        "HealthCheckEnabled": True,
        "HealthCheckIntervalSeconds": check.interval,
        "HealthCheckTimeoutSeconds": check.timeout,
        "HealthyThresholdCount": check.healthy,
        "UnhealthyThresholdCount": check.unhealthy,
    }
    if check.protocol == "TCP":
        return shape
    return {**shape, "HealthCheckPath": check.path, "Matcher": {"HttpCode": check.matcher}}
