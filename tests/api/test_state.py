"""The API's copy of the store: always as the store is, however it came there."""

from __future__ import annotations

import asyncio
import random

import pytest

from rookery.api.default_options import new_default_options
from rookery.api.default_vpc import build_default_vpc
from rookery.api.ids import RandomIds
from rookery.api.liveness import state_of
from rookery.api.state import State, claim_key
from rookery.api.zones import zones_of
from rookery.model.codec import encode
from rookery.model.keys import LIVE, key_of
from rookery.model.objects import Attachment, Instance, Live, NetworkInterface, Subnet, Vpc
from rookery.testing.memory_store import MemoryStore

ACCOUNT, REGION = "123456789012", "us-east-1"


def interface(number, vpc_id, subnet_id, addresses, attachment=None):
    return NetworkInterface(
        account=ACCOUNT,
        region=REGION,
        id=f"eni-{number:017x}",
        vpc_id=vpc_id,
        subnet_id=subnet_id,
        zone="us-east-1a",
        mac="02:00:00:00:00:01",
        addresses=addresses,
        attachment=attachment,
    )


def seen(state):
    """All that the views show, in comparable form."""
    return {
        place: (
            {kind: dict(ids) for kind, ids in realm.by_id.items() if ids},
            {key: dict(ids) for key, ids in realm.by_vpc.items() if ids},
            {subnet: dict(held) for subnet, held in realm.addresses.items() if held},
        )
        for place, realm in state.realms.items()
    }


@pytest.mark.parametrize("compact", [False, True])
def test_changes_one_by_one_and_a_fresh_read_give_the_same(compact):
    async def run():
        store, source = MemoryStore(), random.Random(1)
        followed = State(store)
        for number in range(200):
            one = interface(
                source.randrange(20) + 1, f"vpc-{source.randrange(3)}", "s", (f"10.0.0.{number}",)
            )
            if source.random() < 0.3:
                await store.txn([], {}, [key_of(one)])
            else:
                await store.txn([], {key_of(one): encode(one)})
            if number % 7 == 0:
                if compact:
                    await store.compact(await store.revision())
                await followed.catch_up()
        await followed.catch_up()
        fresh = State(store)
        await fresh.catch_up()
        assert seen(followed) == seen(fresh)
        assert followed.revision == fresh.revision == await store.revision()

    asyncio.run(run())


def test_a_terminated_instance_takes_no_place():
    async def run():
        store = MemoryStore()
        state = State(store)
        one = Instance(
            account=ACCOUNT,
            region=REGION,
            id="i-1",
            image_id="ami-1",
            instance_type="t3.micro",
            subnet_id="s",
            vpc_id="v",
            zone="us-east-1a",
            host="host-1",
            interface_ids=(),
        )
        for wanted, count in (("running", 1), ("stopped", 1), ("terminated", 0), ("running", 1)):
            await store.txn([], {key_of(one): encode(Instance(**{**_fields(one), "wanted": wanted}))})
            await state.catch_up()
            assert state.view(ACCOUNT, REGION).instances_on("host-1") == count
        await store.txn([], {}, [key_of(one)])
        await state.catch_up()
        assert state.view(ACCOUNT, REGION).instances_on("host-1") == 0

    asyncio.run(run())


def _fields(one):
    return {name: getattr(one, name) for name in one.__struct_fields__}


def test_a_thing_is_pending_until_its_hosts_have_it_and_a_tag_changes_nothing():
    async def run():
        store = MemoryStore()
        state = State(store)
        options = new_default_options(ACCOUNT, REGION, 1.0, RandomIds())
        made = build_default_vpc(options, 1.0, RandomIds(), zones_of(REGION, [0]))
        vpc = next(one for one in made if isinstance(one, Vpc))
        subnet = next(one for one in made if isinstance(one, Subnet))
        puts = {key_of(one): encode(one) for one in made}
        generation = await store.txn([], puts | {claim: b"x" for one in made if (claim := claim_key(one))})
        await state.catch_up()
        view = state.view(ACCOUNT, REGION)
        assert state_of(view, vpc, vpc.id) == "available"  # nobody holds it
        held = Attachment(id="a", instance_id="i", host="host-1")
        one = interface(1, vpc.id, subnet.id, ("172.31.0.4",), held)
        await store.txn([], {key_of(one): encode(one)})
        await state.catch_up()
        assert state_of(view, subnet, vpc.id) == "pending"
        await store.txn([], {LIVE: encode(Live(generation=generation))})
        await state.catch_up()
        assert state_of(view, subnet, vpc.id) == "available"
        await store.txn([], {key_of(vpc): encode(vpc)})
        await state.catch_up()
        assert state_of(view, vpc, vpc.id) == "available"

    asyncio.run(run())
