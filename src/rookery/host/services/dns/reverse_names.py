"""Names of addresses: 5.0.0.10.in-addr.arpa and the nibbles of ip6.arpa.

The VPC's own have names where enableDnsHostnames is on: without it there are no reverse zones. Those of private ranges never
exist otherwise, and nobody is asked: the world knows nothing of them (RFC 6303), and need not know who was looked for."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import NamedTuple

from rookery.host.services.dns.found import Found, addresses, nothing, pointer
from rookery.host.services.dns.instance_names import LOCALHOST, LOOPBACK
from rookery.host.services.dns.wire_name import is_within
from rookery.host.services.view import Guest
from rookery.intent.names import private_dns_name

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# RFC 6303 and 7793, without the ranges for examples, which a region may use as public ones.
LOCAL = tuple(
    ipaddress.ip_network(block)
    for block in (
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
)


class Family(NamedTuple):
    suffix: str
    bits: int  # of one label
    base: int  # in which a label is written
    whole: int  # labels


FAMILIES = (Family("in-addr.arpa", 8, 10, 4), Family("ip6.arpa", 4, 16, 32))
DIGITS = "0123456789abcdef"
LONGEST_NUMBER = 3  # digits


class Asked(NamedTuple):
    family: Family
    network: Network  # what the labels that are numbers name
    labels: tuple[str, ...]  # they, from left to right
    beyond: bool  # something stands to the left of them


def find(guest: Guest, ipv6_names: Mapping[str, str], name: str) -> Found | None:
    """`ipv6_names`: of the VPC's instances, by address. None: not a reverse name, or of an address of the world."""
    asked = _asked(name)
    if asked is None:
        return None
    own = _own(guest, asked.network.version)
    around = next((block for block in (*own, *LOCAL) if _lies_in(asked.network, block)), None)
    if around is None:
        return None
    zone = _zone(asked, around)
    if str(asked.network.network_address) in LOOPBACK and len(asked.labels) == asked.family.whole:
        return nothing(zone) if asked.beyond else pointer(zone, name, LOCALHOST)
    if not guest.interface.services.dns_hostnames or asked.beyond:
        return nothing(zone)
    if len(asked.labels) < asked.family.whole:
        return addresses(zone, name, ()) if any(map(asked.network.overlaps, own)) else nothing(zone)
    return _whole(guest, ipv6_names, zone, name, asked.network)


def _whole(guest: Guest, ipv6_names: Mapping[str, str], zone: str, name: str, network: Network) -> Found:
    if not any(_lies_in(network, block) for block in _own(guest, network.version)):
        return nothing(zone)
    address = str(network.network_address)
    if network.version == 6:
        target = ipv6_names.get(address)
        return pointer(zone, name, target) if target else nothing(zone)
    return pointer(zone, name, private_dns_name(address, guest.instance.metadata.region))


def _own(guest: Guest, version: int) -> list[Network]:
    services = guest.interface.services
    cidrs = services.vpc_cidrs if version == 4 else services.vpc_ipv6_cidrs
    return [ipaddress.ip_network(cidr) for cidr in cidrs]


def _lies_in(network: Network, block: Network) -> bool:
    return network.version == block.version and network.subnet_of(block)  # type: ignore[arg-type]


def _zone(asked: Asked, block: Network) -> str:
    """The name of the block, or of the part of it that a name can say: 16.172.in-addr.arpa. Never that of one address."""
    count = min(-(-block.prefixlen // asked.family.bits), asked.family.whole - 1)
    return ".".join((*asked.labels[len(asked.labels) - count :], asked.family.suffix))


def _asked(name: str) -> Asked | None:
    for family in FAMILIES:
        if is_within(name, family.suffix) and name != family.suffix:
            labels = name.removesuffix(f".{family.suffix}").split(".")
            numbers = _numbers(labels, family)
            used = tuple(labels[len(labels) - len(numbers) :])
            return Asked(family, _network(numbers, family), used, len(numbers) < len(labels))
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


def _network(numbers: list[int], family: Family) -> Network:
    value = 0
    for number in (*numbers, *[0] * (family.whole - len(numbers))):
        value = value << family.bits | number
    length = len(numbers) * family.bits
    return ipaddress.ip_network((value.to_bytes(family.bits * family.whole // 8, "big"), length))
