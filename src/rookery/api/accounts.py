"""The beginning of an account in an AWS region, and its way back to there."""

from __future__ import annotations

import contextlib
import time

from rookery.api.commit import Transaction, transaction_of
from rookery.api.default_options import new_default_options
from rookery.api.default_vpc import build_default_vpc, default_vpc
from rookery.api.handlers.peering_state import IN_FORCE, as_of, deleted_by
from rookery.api.ids import RandomIds
from rookery.api.older_stores import what_is_missing
from rookery.api.operation import Outcome, Request
from rookery.api.state import State, claim_key, public_address_of
from rookery.api.zones import zones_of
from rookery.model import keys
from rookery.model.codec import decode, decode_resource, encode, kind_of
from rookery.model.objects import Host, Resource, VpcPeering
from rookery.store.interface import Compare, Conflict, Store, StoreUnavailable

_ATTEMPTS = 10


def beginning(state: State, request: Request) -> Transaction | None:
    """What the account still needs in this region before a handler may look at it: its default VPC when nobody has used
    it, and what a store of an earlier version lacks. Raises Conflict when a drawn number is taken."""
    view = state.view(request.account, request.region)
    realm = state.realm(request.account, request.region)
    puts = what_is_missing(view, request.ids) if realm.head else default_vpc(request, view)
    return transaction_of(request, Outcome(puts=puts), view, realm, None) if puts else None


async def reset(store: Store, account: str) -> list[str]:
    """Deletes everything of the account and gives every AWS region it has used a new default VPC; the regions.

    Instances simply cease to be wanted: their hosts end them. Raises StoreUnavailable when others change the account
    all the time."""
    for _ in range(_ATTEMPTS):
        with contextlib.suppress(Conflict):
            return await _reset(store, account)
    raise StoreUnavailable(f"the account {account} changes too often to be reset")


async def _reset(store: Store, account: str) -> list[str]:
    heads = (await store.range(f"{keys.ACCOUNTS}{account}/")).entries
    regions = [head.key.split("/")[2] for head in heads if head.key.endswith("/head")]
    puts: dict[str, bytes] = {}
    compares = [Compare(head.key, head.revision) for head in heads]
    deletes = await _everything_of(store, account)
    zone_numbers = await _zone_numbers(store)
    for region in regions:
        puts[keys.head_key(account, region)] = b"reset"
        ids, now = RandomIds(), time.time()
        options = new_default_options(account, region, now, ids)
        made = build_default_vpc(options, now, ids, zones_of(region, zone_numbers))
        for resource in (options, *made):
            _put_new(resource, puts, compares)
    await _leave_peerings(store, account, puts, compares)
    await store.txn(compares, puts, deletes)
    return regions


async def _leave_peerings(
    store: Store, account: str, puts: dict[str, bytes], compares: list[Compare]
) -> None:
    """Of those that lie with other accounts, the ones that are in force end: this account's VPCs are gone."""
    for entry in (await store.range(keys.INTENDED)).entries:
        if kind_of(entry.key) != VpcPeering.KIND:
            continue
        peering = as_of(decode(VpcPeering, entry.value), time.time())
        if (
            peering.account == account
            or peering.accepter.account != account
            or peering.status not in IN_FORCE
        ):
            continue
        compares.append(Compare(entry.key, entry.revision))
        puts[entry.key] = encode(deleted_by(account, peering, time.time()))
        puts[keys.head_key(peering.account, peering.region)] = b"reset"


def _put_new(resource: Resource, puts: dict[str, bytes], compares: list[Compare]) -> None:
    puts[keys.key_of(resource)] = encode(resource)
    claim = claim_key(resource)
    if claim:
        puts[claim] = resource.id.encode()
        compares.append(Compare(claim, 0))


async def _everything_of(store: Store, account: str) -> list[str]:
    resources = (await store.range(f"{keys.INTENDED}{account}/")).entries
    tokens = (await store.range(f"{keys.TOKENS}{account}/")).entries
    claims = [claim for entry in resources for claim in _claims_of(decode_resource(entry.key, entry.value))]
    return [entry.key for entry in (*resources, *tokens)] + claims


def _claims_of(resource: Resource) -> list[str]:
    number, address = claim_key(resource), public_address_of(resource)
    return [*filter(None, [number]), *(keys.public_claim(one) for one in (address,) if one)]


async def _zone_numbers(store: Store) -> list[int]:
    hosts = (await store.range(keys.HOSTS)).entries
    return sorted({decode(Host, entry.value).zone for entry in hosts}) or [0]
