"""IP protocols and ports as rules name them: canonical names and numbers, which of them have ports, and which ranges are sound.

Security groups speak of "tcp", "udp", "icmp", "icmpv6", "-1" and of all others by number; network ACLs of numbers only. Both
take either.
"""

from __future__ import annotations

import re
from typing import Any

from rookery.api.errors import invalid_parameter, missing_parameter

ALL = "-1"
ANY = -1  # port, type or code
TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58

_NAMES = {"tcp": TCP, "udp": UDP, "icmp": ICMP, "icmpv6": ICMPV6}
_NAME_OF = {number: name for name, number in _NAMES.items()}
_NUMBER = re.compile(r"[0-9]{1,3}\Z")

Range = tuple[int, int]  # ports; or type and code


def protocol_number(text: str) -> int:
    """-1: all protocols. Raises InvalidParameterValue."""
    if text == ALL:
        return -1
    name = text.lower()
    if name in _NAMES:
        return _NAMES[name]
    if _NUMBER.match(text) and int(text) <= 255:
        return int(text)
    raise invalid_parameter(f"Invalid value '{text[:40]}' for IP protocol. Unknown protocol.")


def protocol_name(number: int) -> str:
    """The one spelling in which a security group's rule is stored and answered."""
    return _NAME_OF.get(number, str(number))


def rule_range(number: int, first: int | None, last: int | None) -> Range:
    """FromPort and ToPort of a security group's rule. What has no ports loses them: AWS ignores them too.

    Raises InvalidParameterValue."""
    if number in (TCP, UDP):
        return _given(first, last, "TCP/UDP", port_range)
    if number == ICMPV6 and first is None and last is None:
        return ANY, ANY
    if number in (ICMP, ICMPV6):
        return _given(first, last, "ICMP", type_and_code)
    return ANY, ANY


def _given(first: int | None, last: int | None, name: str, checked: Any) -> Range:
    if first is None or last is None:
        why = f"Must specify both from and to ports with {name}."
        raise invalid_parameter(f"Invalid value '{why}' for portRange.")
    return checked(first, last)


def port_range(first: int, last: int) -> Range:
    """Raises InvalidParameterValue."""
    for port in (first, last):
        if not 0 <= port <= 65_535:
            raise invalid_parameter(f"TCP/UDP port ({port}) out of range")
    if first > last:
        raise invalid_parameter(
            f"Invalid value '{first}-{last}' for portRange. The first port is the greater one."
        )
    return first, last


def type_and_code(kind: int, code: int) -> Range:
    """Of ICMP. Raises InvalidParameterValue."""
    if not -1 <= kind <= 255:
        raise invalid_parameter(f"ICMP type ({kind}) out of range")
    if not -1 <= code <= 255 or (kind == ANY and code != ANY):
        raise invalid_parameter(f"ICMP code ({code}) out of range")
    return kind, code


def entry_range(number: int, is_ipv6: bool, given: dict[str, Any]) -> Range:
    """PortRange or IcmpTypeCode of a network ACL's entry. Raises MissingParameter, InvalidParameterValue."""
    if number in (TCP, UDP):
        ports = given.get("PortRange") or {}
        return port_range(_member(ports, "From", "portRange.from"), _member(ports, "To", "portRange.to"))
    if number == ICMP or (number == ICMPV6 and is_ipv6):
        kind = given.get("IcmpTypeCode") or {}
        return type_and_code(_member(kind, "Type", "icmp.type"), _member(kind, "Code", "icmp.code"))
    return ANY, ANY


def _member(given: dict[str, Any], name: str, parameter: str) -> int:
    if name not in given:
        raise missing_parameter(parameter)
    return int(given[name])
