"""Applies the rules of rookery.api.handlers.housekeeping to the store while an API process lives.

Several processes may do so at once: what one has committed is a conflict for the others, who look again a period later.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable

from rookery.api.commit import transaction_of
from rookery.api.handlers.balancer_state import balancers_proceed
from rookery.api.handlers.endpoint_state import endpoints_proceed
from rookery.api.handlers.housekeeping import finished_detachments, housekeeping
from rookery.api.handlers.nat_gateway_state import gateways_proceed
from rookery.api.handlers.regional_nat_zones import regional_gateways_follow
from rookery.api.ids import RandomIds
from rookery.api.older_stores import what_is_missing
from rookery.api.operation import Outcome, Request, View
from rookery.api.quotas import Quotas
from rookery.api.state import State
from rookery.model.balancers import LoadBalancer
from rookery.model.keys import OBSERVED, OBSERVED_HEALTH, console_key, instance_status_key
from rookery.model.objects import Instance, NatGateway, VpcEndpoint
from rookery.store.interface import Compacted, Conflict, Store, StoreUnavailable

PERIOD_SECONDS = 2.0

Home = tuple[str, str]  # account, AWS region
Rule = Callable[[View, float], Outcome]

_log = logging.getLogger(__name__)


async def keep_house_forever(store: Store, state: State, quotas: Quotas) -> None:
    """Until cancelled."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_by_the_clock(store, state, quotas))
        tasks.create_task(_by_word_of_hosts(store, state))


async def _by_word_of_hosts(store: Store, state: State) -> None:
    """Who detaches an interface, or makes a gateway, waits for it, and names follow the health of targets: what a host or a cell
    says is acted on at once."""
    while True:
        try:
            async with contextlib.aclosing(store.watch(OBSERVED, await store.revision())) as words:
                async for word in words:
                    await finish_detachments(store, state, time.time())
                    await proceed_with_cells(store, state, time.time())
                    if any(change.key.startswith(OBSERVED_HEALTH) for change in word.changes):
                        await proceed_balancers(store, state, time.time())
        except Compacted:
            _log.info("housekeeping looks at what hosts say from now on")
        except StoreUnavailable as error:
            _log.warning("housekeeping waits for the store: %s", error)
            await asyncio.sleep(PERIOD_SECONDS)


async def _by_the_clock(store: Store, state: State, quotas: Quotas) -> None:
    completed = False
    while True:
        try:
            if not completed:
                await complete_older_stores(store, state, time.time())
                completed = True
            await keep_house(store, state, time.time())
            await follow_interfaces(store, state, time.time(), quotas)
        except StoreUnavailable as error:
            _log.warning("housekeeping waits for the store: %s", error)
        await asyncio.sleep(PERIOD_SECONDS)


async def keep_house(store: Store, state: State, now: float) -> None:
    """Once, in every account and region. Raises StoreUnavailable."""
    await state.catch_up()
    for home in list(state.realms):
        await _tidy(store, state, home, now, housekeeping)


async def follow_interfaces(store: Store, state: State, now: float, quotas: Quotas) -> None:
    """Regional NAT gateways, where there are any. Raises StoreUnavailable."""
    await state.catch_up()
    for home, realm in list(state.realms.items()):
        if realm.by_id.get(NatGateway):
            await _tidy(store, state, home, now, _following(_requested(home, now, quotas)))


def _following(request: Request) -> Rule:
    return lambda view, _now: regional_gateways_follow(request, view)


async def complete_older_stores(store: Store, state: State, now: float) -> None:
    """Hosts need it before anybody asks the API: instances that ran before go on. Raises StoreUnavailable."""
    await state.catch_up()
    for home in list(state.realms):
        await _tidy(
            store, state, home, now, lambda view, _now: Outcome(puts=what_is_missing(view, RandomIds()))
        )


async def finish_detachments(store: Store, state: State, now: float) -> None:
    """Where there are any. Raises StoreUnavailable."""
    await state.catch_up()
    for home, realm in list(state.realms.items()):
        if realm.detaching:
            await _tidy(store, state, home, now, lambda view, _now: finished_detachments(view))


async def proceed_with_cells(store: Store, state: State, now: float) -> None:
    """Where there are any. Raises StoreUnavailable."""
    await state.catch_up()
    for home, realm in list(state.realms.items()):
        if realm.by_id.get(NatGateway):
            await _tidy(store, state, home, now, gateways_proceed)
        if realm.by_id.get(VpcEndpoint):
            await _tidy(store, state, home, now, lambda view, _now: endpoints_proceed(view))


async def proceed_balancers(store: Store, state: State, now: float) -> None:
    """Where there are any: their names follow the health of their targets. Raises StoreUnavailable."""
    await state.catch_up()
    for home, realm in list(state.realms.items()):
        if realm.by_id.get(LoadBalancer):
            await _tidy(store, state, home, now, balancers_proceed)


async def _tidy(store: Store, state: State, home: Home, now: float, rule: Rule) -> None:
    try:
        await _commit(store, state, home, now, rule)
    except Conflict:
        _log.info("housekeeping of %s in %s met another change, and tries again", *home)


async def _commit(store: Store, state: State, home: Home, now: float, rule: Rule) -> None:
    """What a host said of an instance is forgotten with it."""
    account, region = home
    request = _requested(home, now, Quotas())
    view = state.view(account, region)
    outcome = rule(view, now)
    if not (outcome.puts or outcome.deletes):
        return
    made = transaction_of(request, outcome, view, state.realm(account, region), None)
    gone = [each.id for each in outcome.deletes if isinstance(each, Instance)]
    observed = [key(instance) for instance in gone for key in (instance_status_key, console_key)]
    await store.txn(made.compares, made.puts, [*made.deletes, *observed])
    await state.catch_up()


def _requested(home: Home, now: float, quotas: Quotas) -> Request:
    """By nobody."""
    account, region = home
    return Request(
        account=account, region=region, operation="Housekeeping", parameters={}, now=now, ids=RandomIds(), quotas=quotas
    )
