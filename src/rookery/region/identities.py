"""The region's certificate authority and the certificates of its parts."""

from __future__ import annotations

import asyncio
import math
import time

from rookery.mapping.certificates import HOST, MAPPING
from rookery.model.codec import decode, encode
from rookery.model.keys import REVOCATIONS, revocation_key
from rookery.model.objects import Revocation
from rookery.region.settings import Settings
from rookery.store.interface import Store
from rookery.store.sqlite import opened


def issue_certificates(settings: Settings) -> list[str]:
    """The authority once; parts' certificates where they are missing or about to run out. The parts that got new ones."""
    from rookery.mapping.authority import make_authority, renew  # noqa: PLC0415 - X.509 is a sixth of a command that issues nothing

    plan = settings.layout
    make_authority(plan.certificates, plan.name)
    renewed = ["mapping"] if renew(plan.certificates, MAPPING) else []
    for name in settings.host_edge_and_node_names:
        if renew(plan.certificates, HOST, name):
            renewed.append(name)
    return renewed


def withdraw_certificates(settings: Settings) -> None:
    """Of hosts, edges and nodes that have left. By a key of theirs, or a copy of it, nobody gets in any more, also when another comes under the
    name. Returns when what is issued from then on is not meant."""
    from rookery.mapping.authority import names_with_keys, withdraw  # noqa: PLC0415 - as above

    folder = settings.layout.certificates
    left = names_with_keys(folder) - {*settings.host_edge_and_node_names}
    if not left:
        return
    before = math.ceil(time.time())  # certificates tell whole seconds
    asyncio.run(_revoke(settings, left, before))
    for name in left:
        withdraw(folder, name)
    time.sleep(max(before - time.time(), 0))


async def _revoke(settings: Settings, names: set[str], before: int) -> None:
    async with opened(settings.layout.database) as store:
        await store.txn([], {revocation_key(name): encode(Revocation(before=before)) for name in names}, await expired(store, names, before))


async def expired(store: Store, renewed: set[str], now: int) -> list[str]:
    """Rows that nobody needs any more: no certificate that they mean is valid."""
    from rookery.mapping.authority import LIFETIME  # noqa: PLC0415 - as above

    oldest = now - LIFETIME.total_seconds()
    rows = (await store.range(REVOCATIONS)).entries
    return [row.key for row in rows if row.key.removeprefix(REVOCATIONS) not in renewed and decode(Revocation, row.value).before < oldest]
