"""The accepter's copy of a peering connection follows the store, however the API came to know of it."""

from __future__ import annotations

import asyncio
import random

import pytest

from rookery.api.state import State
from rookery.model.codec import encode
from rookery.model.keys import key_of
from rookery.model.objects import PeeringSide, VpcPeering
from rookery.testing.memory_store import MemoryStore

REGION = "us-east-1"
ACCOUNTS = ("111111111111", "222222222222", "333333333333")


def connection(number, requester, accepter, status):
    return VpcPeering(
        account=requester,
        region=REGION,
        id=f"pcx-{number:017x}",
        requester=PeeringSide(account=requester, region=REGION, vpc_id=f"vpc-{requester}"),
        accepter=PeeringSide(account=accepter, region=REGION, vpc_id=f"vpc-{accepter}"),
        status=status,
    )


def seen(state):
    """Account -> the peerings it sees, and their states."""
    return {
        account: {one.id: one.status for one in state.view(account, REGION).all(VpcPeering)}
        for account in ACCOUNTS
    }


def expected(held):
    """What failed is its requester's alone; everything else is both sides'."""
    return {
        account: {
            one.id: one.status
            for one in held.values()
            if one.account == account or (one.accepter.account == account and one.status != "failed")
        }
        for account in ACCOUNTS
    }


@pytest.mark.parametrize("seed", range(3))
def test_both_sides_see_what_the_store_holds(seed):
    async def run():
        store, source, held = MemoryStore(), random.Random(seed), {}
        followed = State(store)
        for _ in range(150):
            number = source.randrange(12)
            if number in held and source.random() < 0.3:
                await store.txn([], {}, [key_of(held.pop(number))])
            else:
                status = source.choice(["pending-acceptance", "active", "failed", "deleted"])
                sides = ACCOUNTS[number % 3], ACCOUNTS[number // 4]
                held[number] = connection(number + 1, *sides, status)
                await store.txn([], {key_of(held[number]): encode(held[number])})
            await followed.catch_up()
            assert seen(followed) == expected(held)
        fresh = State(store)
        await fresh.catch_up()
        assert seen(fresh) == expected(held)

    asyncio.run(run())


def test_a_request_to_an_account_nobody_knows_leaves_no_trace_of_it():
    async def run():
        store = MemoryStore()
        state = State(store)
        failed = connection(1, ACCOUNTS[0], "999999999999", "failed")
        await store.txn([], {key_of(failed): encode(failed)})
        await state.catch_up()
        view = state.view(ACCOUNTS[0], REGION)
        assert view.peer_vpc("999999999999", "vpc-1") is None
        assert list(view.peer_groups("999999999999", "vpc-1")) == []
        assert list(view.peerings_of("999999999999", "vpc-1")) == []
        assert view.head_of("999999999999") == 0
        assert ("999999999999", REGION) not in state.realms

    asyncio.run(run())
