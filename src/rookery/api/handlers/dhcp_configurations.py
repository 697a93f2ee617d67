"""The keys of a DHCP options set and what each may say (VPC user guide, "DHCP option sets")."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_address
from typing import Any

from rookery.api.errors import invalid_parameter, invalid_value, missing_parameter
from rookery.intent.dhcp import AMAZON_PROVIDED_DNS, Configurations

SERVERS = 4  # of one family
LONGEST_DOMAIN = 253  # RFC 1035; it goes into one option of 255 bytes
NODE_TYPES = ("1", "2", "4", "8")  # RFC 2132, section 8.7
LEAST_PREFERRED, MOST_PREFERRED = 140, 2_147_483_647  # seconds

_LABEL = r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?\Z")

Check = Callable[[str, Sequence[str]], None]


def checked_configurations(given: Sequence[Mapping[str, Any]]) -> Configurations:
    """In the order given, values as given. Raises MissingParameter, InvalidParameterValue."""
    if not given:
        raise missing_parameter("DhcpConfiguration")
    found: dict[str, tuple[str, ...]] = {}
    for one in given:
        key = one.get("Key") or ""
        if key not in _CHECKS:
            raise invalid_value("key", key[:80], f"Expecting one of: {', '.join(_CHECKS)}.")
        if key in found:
            raise invalid_parameter(f"The DHCP option '{key}' is given twice.")
        values = tuple(one.get("Values") or ())
        if not values:
            raise invalid_parameter(f"The DHCP option '{key}' has no value.")
        _CHECKS[key](key, values)
        found[key] = values
    return tuple(found.items())


def _wrong(key: str, value: str, why: str) -> Exception:
    return invalid_value(key, value[:80], why)


def _check_domain(key: str, values: Sequence[str]) -> None:
    """Some clients take several search domains in the one value, with spaces between them."""
    value = _single(key, values)
    if len(value) > LONGEST_DOMAIN or not all(_DOMAIN.match(name) for name in value.split(" ")):
        raise _wrong(key, value, "It is not a valid domain name.")


def _check_name_servers(key: str, values: Sequence[str]) -> None:
    _check_servers(key, [value for value in values if value != AMAZON_PROVIDED_DNS])
    if values.count(AMAZON_PROVIDED_DNS) > 1:
        raise _wrong(key, AMAZON_PROVIDED_DNS, "It is given twice.")
    if AMAZON_PROVIDED_DNS in values and sum(":" not in value for value in values) > SERVERS:
        raise _too_many(key)  # it takes the place of an IPv4 address


def _check_servers(key: str, values: Sequence[str]) -> None:
    versions = [_version(key, value) for value in values]
    if max(map(versions.count, (4, 6))) > SERVERS:
        raise _too_many(key)


def _check_ipv4_servers(key: str, values: Sequence[str]) -> None:
    for value in values:
        if _version(key, value) != 4:
            raise _wrong(key, value, "It is not an IPv4 address.")
    if len(values) > SERVERS:
        raise _too_many(key)


def _too_many(key: str) -> Exception:
    return invalid_parameter(f"The DHCP option '{key}' has at most {SERVERS} addresses of each family.")


def _version(key: str, value: str) -> int:
    try:
        address = ip_address(value)
    except ValueError:
        raise _wrong(key, value, "It is not an IP address.") from None
    if "%" in value:
        raise _wrong(key, value, "An address with a scope has no meaning for another host.")
    return address.version


def _check_node_type(key: str, values: Sequence[str]) -> None:
    value = _single(key, values)
    if value not in NODE_TYPES:
        raise _wrong(key, value, f"Expecting one of: {', '.join(NODE_TYPES)}.")


def _check_preferred(key: str, values: Sequence[str]) -> None:
    value = _single(key, values)
    is_number = value.isascii() and value.isdecimal() and len(value) <= len(str(MOST_PREFERRED))
    if not is_number or not LEAST_PREFERRED <= int(value) <= MOST_PREFERRED:
        raise _wrong(key, value, f"It lies between {LEAST_PREFERRED} and {MOST_PREFERRED}.")


def _single(key: str, values: Sequence[str]) -> str:
    if len(values) != 1:
        raise invalid_parameter(f"The DHCP option '{key}' has exactly one value.")
    return values[0]


_CHECKS: dict[str, Check] = {
    "domain-name": _check_domain,
    "domain-name-servers": _check_name_servers,
    "ntp-servers": _check_servers,
    "netbios-name-servers": _check_ipv4_servers,
    "netbios-node-type": _check_node_type,
    "ipv6-address-preferred-lease-time": _check_preferred,
}
