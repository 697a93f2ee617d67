"""Names of addresses: 5.0.0.10.in-addr.arpa and the nibbles of ip6.arpa.

The VPC's own have names where enableDnsHostnames is on: without it there are no reverse zones. Those of private ranges never
exist otherwise, and nobody is asked: the world knows nothing of them (RFC 6303), and need not know who was looked for."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import NamedTuple

from rookery.host.services.dns.block import Block, block, blocks
from rookery.host.services.dns.found import Found, addresses, nothing, pointer
from rookery.host.services.dns.instance_names import LOCALHOST, LOOPBACK
from rookery.host.services.dns.wire_name import is_within
from rookery.host.services.view import Guest
from rookery.intent.names import private_dns_name

# RFC 6303 and 7793, without the ranges for examples, which a region may use as public ones.
LOCAL = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "255.255.255.255/32",
    "::/127",
    "fc00::/7",
    "fe80::/10",
)


class Family(NamedTuple):
    version: int
    suffix: str
    bits: int  # of one label
    base: int  # in which a label is written
    whole: int  # labels


FAMILIES = (Family(4, "in-addr.arpa", 8, 10, 4), Family(6, "ip6.arpa", 4, 16, 32))
DIGITS = "0123456789abcdef"
LONGEST_NUMBER = 3  # digits


class Asked(NamedTuple):
    family: Family
    block: Block  # what the labels that are numbers name
    labels: tuple[str, ...]  # they, from left to right
    beyond: bool  # something stands to the left of them


def find(guest: Guest, ipv6_names: Mapping[str, str], name: str) -> Found | None:
    """`ipv6_names`: of the VPC's instances, by address. None: not a reverse name, or of an address of the world."""
    asked = _asked(name)
    if asked is None:
        return None
    services = guest.interface.services
    own = (*services.vpc_cidrs, *services.vpc_ipv6_cidrs)
    around = next((cidr for cidr in (*own, *LOCAL) if block(cidr).contains(asked.block)), "")
    if not around:
        return None
    zone = _zone(asked, around)
    is_whole = len(asked.labels) == asked.family.whole
    is_own = services.dns_hostnames and any(mine.overlaps(asked.block) for mine in blocks(own))
    target = _target(guest, ipv6_names, asked, is_own) if is_whole and not asked.beyond else ""
    if target:
        return pointer(zone, name, target)
    has_names_below = is_own and not is_whole and not asked.beyond
    return addresses(zone, name, ()) if has_names_below else nothing(zone)


def _target(guest: Guest, ipv6_names: Mapping[str, str], asked: Asked, is_own: bool) -> str:
    """Empty: the address has no name."""
    address = _address(asked)
    if address in LOOPBACK:
        return LOCALHOST
    if not is_own:
        return ""
    if asked.family.version == 6:
        return ipv6_names.get(address, "")
    return private_dns_name(address, guest.instance.metadata.region)


def _address(asked: Asked) -> str:
    if asked.family.version == 4:
        return socket.inet_ntop(socket.AF_INET, asked.block.first.to_bytes(4, "big"))
    return socket.inet_ntop(socket.AF_INET6, asked.block.first.to_bytes(16, "big"))


def _zone(asked: Asked, around: str) -> str:
    """The name of the block, or of the part of it that a name can say: 16.172.in-addr.arpa. Never that of one address."""
    count = min(-(-int(around.partition("/")[2]) // asked.family.bits), asked.family.whole - 1)
    return ".".join((*asked.labels[len(asked.labels) - count :], asked.family.suffix))


def _asked(name: str) -> Asked | None:
    for family in FAMILIES:
        if is_within(name, family.suffix) and name != family.suffix:
            labels = name.removesuffix(f".{family.suffix}").split(".")
            numbers = _numbers(labels, family)
            used = tuple(labels[len(labels) - len(numbers) :])
            return Asked(family, _block(numbers, family), used, len(numbers) < len(labels))
    return None


def _numbers(labels: list[str], family: Family) -> list[int]:
    """The labels from right to left, as far as they are numbers as an address has them."""
    found: list[int] = []
    for label in reversed(labels):
        number = _number(label, family)
        if number is None or len(found) == family.whole:
            break
        found.append(number)
    return found


def _number(label: str, family: Family) -> int | None:
    """Without zeros in front: an address has one name."""
    digits = DIGITS[: family.base]
    if not 0 < len(label) <= LONGEST_NUMBER or any(digit not in digits for digit in label):
        return None
    number = int(label, family.base)
    return number if number < 1 << family.bits and (label == "0" or label[0] != "0") else None


def _block(numbers: list[int], family: Family) -> Block:
    first = 0
    for number in numbers:
        first = first << family.bits | number
    free = (family.whole - len(numbers)) * family.bits
    first <<= free
    return Block(family.version, first, first | (1 << free) - 1)
