"""Prefixes of a subnet that are given to an interface as a whole: a /28 of IPv4, an /80 of IPv6.

A block with one of the subnet's own addresses (the first four, the last) is never given away.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network

from rookery.api.blocks import Block, block, overlap
from rookery.api.errors import invalid_parameter
from rookery.api.held import PREFIX_LENGTHS, Holdings
from rookery.api.operation import ApiError
from rookery.model.objects import Subnet, SubnetCidrReservation


class SubnetPrefixes:
    def __init__(self, subnet: Subnet, holdings: Holdings, reservations: Sequence[SubnetCidrReservation]):
        self._subnet = subnet
        self._holdings = holdings
        self._for_prefixes = [block(one.cidr) for one in reservations if one.kind == "prefix"]
        self._explicit = [block(one.cidr) for one in reservations if one.kind != "prefix"]

    def take(self, text: str, version: int) -> str:
        """This very prefix. Raises InvalidParameterValue, InvalidIPAddress.InUse."""
        chosen = parse_prefix(text, version)
        home = self._home(version)
        if not overlap(chosen, home):
            raise invalid_parameter(f"The prefix {chosen} does not fall within the subnet's address range")
        first, last = _pieces(home)
        piece = _piece_of(chosen)
        if piece in (first, last):
            raise invalid_parameter(f"The prefix {chosen} is in subnet's reserved address range")
        if piece in self._occupied(version):
            raise ApiError("InvalidIPAddress.InUse", f"Addresses of the prefix {chosen} are in use.")
        return self._holdings.take(str(chosen))

    def draw(self, count: int, version: int, seed: str) -> list[str]:
        """Any `count` free ones, of the reservations for prefixes as long as there are. Raises InsufficientCidrBlocks."""
        if not count:
            return []
        reserved, others = self._free(version)
        chance = random.Random(f"{seed} prefixes of IPv{version}")
        drawn = chance.sample(reserved, min(count, len(reserved)))
        if count - len(drawn) > len(others):
            raise ApiError(
                "InsufficientCidrBlocks",
                f"There are not enough free blocks in subnet '{self._subnet.id}' to satisfy the requested number of prefixes.",
            )
        drawn += chance.sample(others, count - len(drawn))
        return [self._holdings.take(str(_block_of(piece, version))) for piece in drawn]

    def _free(self, version: int) -> tuple[list[int], list[int]]:
        """(inside reservations for prefixes, outside of any reservation)."""
        first, last = _pieces(self._home(version))
        occupied = self._occupied(version)
        free = [piece for piece in range(first + 1, last) if piece not in occupied]
        if not (self._for_prefixes or self._explicit):
            return [], free
        blocks = [(piece, _block_of(piece, version)) for piece in free]
        blocks = [
            (piece, one) for piece, one in blocks if not any(overlap(one, each) for each in self._explicit)
        ]
        inside = [piece for piece, one in blocks if any(overlap(one, each) for each in self._for_prefixes)]
        outside = {piece for piece, _ in blocks} - set(inside)
        return inside, sorted(outside)

    def _occupied(self, version: int) -> set[int]:
        """Pieces of which some address is held."""
        family = (each for each in self._holdings if (":" in each) == (version == 6))
        return {_piece_of(ip_network(each)) for each in family}

    def _home(self, version: int) -> Block:
        if version == 4:
            return IPv4Network(self._subnet.cidr)
        associations = self._subnet.ipv6_cidr_associations
        if not associations:
            raise invalid_parameter(
                f"The subnet '{self._subnet.id}' has no IPv6 CIDR block associated with it"
            )
        return IPv6Network(associations[0].cidr)


def parse_prefix(text: str, version: int) -> Block:
    """Raises InvalidParameterValue unless it is written as AWS wants it: with its length, without host bits."""
    try:
        if "%" not in text and "/" in text:
            parsed = ip_network(text)
            if (parsed.version, parsed.prefixlen) == (version, PREFIX_LENGTHS[version]):
                return parsed
    except ValueError:
        pass
    raise invalid_parameter(
        f"Invalid IPv{version} prefix: '{text[:80]}' (expecting a /{PREFIX_LENGTHS[version]})"
    )


def _shift(version: int) -> int:
    return (32 if version == 4 else 128) - PREFIX_LENGTHS[version]


def _piece_of(one: Block) -> int:
    """The number of the block, as large as a prefix, in which it begins."""
    return int(one.network_address) >> _shift(one.version)


def _pieces(home: Block) -> tuple[int, int]:
    """Of a subnet: its first and its last."""
    shift = _shift(home.version)
    return int(home.network_address) >> shift, int(home.broadcast_address) >> shift


def _block_of(piece: int, version: int) -> Block:
    start, length = piece << _shift(version), PREFIX_LENGTHS[version]
    return IPv4Network((start, length)) if version == 4 else IPv6Network((start, length))
