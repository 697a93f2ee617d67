"""Which nodes of a cell speak for an account's interfaces there, and to which of them one sends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from hashlib import blake2b

from rookery.intent.host import TopsIntent
from rookery.intent.things import CellThing, HostThing, InterfaceThing, ShardThing

NO_TOPS = 0


@lru_cache(maxsize=65_536)
def tops_number(cell: str, account: str) -> int:
    """The number of the set that serves the account at the cell: 32 bits that follow from the names alone, so that all parts agree
    without asking, and a shard that changes changes one row; never 0.

    Should two sets meet in one number, that with the smaller names is it (rookery.intent.tops.first_shard)."""
    digest = blake2b(f"{cell}/{account}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") or 1


def tops_of(interface: InterfaceThing) -> int:
    """NO_TOPS: the interface lives at no cell."""
    attachment = interface.cell_attachment
    return tops_number(attachment.cell, interface.account) if attachment else NO_TOPS


def tops_intent(shard: ShardThing, cell: CellThing | None, hosts: Mapping[str, HostThing]) -> TopsIntent:
    """Every node of the cell may speak: what came in for one account's endpoint goes on in the name of another's balancer, and a node
    that drains ends flows of accounts that were its own until now. Where all nodes of a shard drain, it is they who get the packets."""
    drains = set(cell.draining) if cell else set()
    serving = [node for node in shard.nodes if node not in drains] or shard.nodes
    chosen = _addresses(serving, hosts)
    others = _addresses(cell.nodes if cell else (), hosts) - chosen
    return TopsIntent(
        number=tops_number(shard.cell, shard.account), addresses=tuple(sorted(chosen)), others=tuple(sorted(others))
    )


def _addresses(nodes: Iterable[str], hosts: Mapping[str, HostThing]) -> set[str]:
    return {hosts[node].address for node in nodes if node in hosts}


def first_shard(shards: Iterable[ShardThing]) -> ShardThing | None:
    """Of those that have one number."""
    return min(shards, key=lambda shard: (shard.cell, shard.account), default=None)
