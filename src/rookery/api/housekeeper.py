"""Applies the rules of rookery.api.handlers.housekeeping to the store while an API process lives.

Several processes may do so at once: what one has committed is a conflict for the others, who look again a period later.
"""

from __future__ import annotations

import asyncio
import logging
import time

from rookery.api.commit import transaction_of
from rookery.api.handlers.housekeeping import housekeeping
from rookery.api.ids import RandomIds
from rookery.api.operation import Request
from rookery.api.state import State
from rookery.model.keys import instance_status_key
from rookery.model.objects import Instance
from rookery.store.interface import Conflict, Store, StoreUnavailable

PERIOD_SECONDS = 2.0

_log = logging.getLogger(__name__)


async def keep_house_forever(store: Store, state: State) -> None:
    """Until cancelled."""
    while True:
        try:
            await keep_house(store, state, time.time())
        except StoreUnavailable as error:
            _log.warning("housekeeping waits for the store: %s", error)
        await asyncio.sleep(PERIOD_SECONDS)


async def keep_house(store: Store, state: State, now: float) -> None:
    """Once, in every account and region. Raises StoreUnavailable."""
    await state.catch_up()
    for account, region in list(state.realms):
        try:
            await _tidy(store, state, account, region, now)
        except Conflict:
            _log.info("housekeeping of %s in %s met another change, and tries again", account, region)


async def _tidy(store: Store, state: State, account: str, region: str, now: float) -> None:
    """What a host said of an instance is forgotten with it."""
    request = Request(
        account=account, region=region, operation="Housekeeping", parameters={}, now=now, ids=RandomIds()
    )
    view = state.view(account, region)
    outcome = housekeeping(view, now)
    if not (outcome.puts or outcome.deletes):
        return
    made = transaction_of(request, outcome, view, state.realm(account, region), None)
    statuses = [instance_status_key(each.id) for each in outcome.deletes if isinstance(each, Instance)]
    await store.txn(made.compares, made.puts, [*made.deletes, *statuses])
    await state.catch_up()
