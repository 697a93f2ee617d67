"""The rules of time, committed to a store as the API does it."""

from __future__ import annotations

import asyncio

import pytest

from rookery.api import handlers
from rookery.api.commit import transaction_of
from rookery.api.handlers.image_catalogue import NAMESPACE_IMAGE
from rookery.api.housekeeper import keep_house
from rookery.api.ids import RandomIds
from rookery.api.operation import HANDLERS, Outcome, Request
from rookery.api.state import State
from rookery.model.codec import encode
from rookery.model.keys import host_key, instance_status_key
from rookery.model.objects import (
    CidrAssociation,
    Host,
    Instance,
    InstanceStatus,
    NetworkInterface,
    Subnet,
    Vpc,
)
from rookery.store.interface import Conflict, StoreUnavailable
from rookery.testing.memory_store import MemoryStore

ACCOUNT, REGION, NOW = "123456789012", "us-east-1", 1_800_000_000.0
HOME = {"account": ACCOUNT, "region": REGION}


class Region:
    """A store with one subnet, and requests committed to it."""

    def __init__(self):
        handlers.load()
        self.store = MemoryStore()
        self.state = State(self.store)

    async def begin(self):
        await self.store.txn(
            [], {host_key("host-1"): encode(Host(name="host-1", zone=0, address="100.64.1.10"))}
        )
        vpc = Vpc(
            **HOME, id="vpc-00000000000000001", cidr_associations=(CidrAssociation("a", "10.0.0.0/16"),)
        )
        subnet = Subnet(
            **HOME, id="subnet-00000000000000002", vpc_id=vpc.id, cidr="10.0.1.0/24", zone="us-east-1a"
        )
        await self.state.catch_up()
        await self.commit(self.request("Begin", {}), Outcome(puts=(vpc, subnet)))
        return self

    def request(self, operation, parameters):
        return Request(**HOME, operation=operation, parameters=parameters, now=NOW, ids=RandomIds())

    def view(self):
        return self.state.view(ACCOUNT, REGION)

    async def commit(self, request, outcome):
        made = transaction_of(request, outcome, self.view(), self.state.realm(ACCOUNT, REGION), None)
        await self.store.txn(made.compares, made.puts, made.deletes)
        await self.state.catch_up()

    async def call(self, operation, **parameters):
        request = self.request(operation, parameters)
        outcome = HANDLERS[operation](request, self.view())
        await self.commit(request, outcome)
        return outcome.result

    async def launch(self, **parameters):
        usual = {"ImageId": NAMESPACE_IMAGE.id, "MinCount": 1, "MaxCount": 1}
        answer = await self.call("RunInstances", **usual, SubnetId="subnet-00000000000000002", **parameters)
        return answer["Instances"][0]["InstanceId"]

    async def report(self, instance, state):
        status = InstanceStatus(id=instance, state=state, boot=1, since=NOW)
        await self.store.txn([], {instance_status_key(instance): encode(status)})


def test_a_terminated_instance_leaves_the_store_with_all_that_was_said_of_it():
    async def story():
        region = await Region().begin()
        instance = await region.launch()
        await region.call("TerminateInstances", InstanceIds=[instance])
        await region.report(instance, "terminated")
        await keep_house(region.store, region.state, NOW + 3599)
        assert region.view().get(Instance, instance)
        await keep_house(region.store, region.state, NOW + 3600)
        assert region.view().get(Instance, instance) is None
        assert await region.store.get(instance_status_key(instance)) is None

    asyncio.run(story())


def test_a_guest_that_shut_down_with_terminate_gives_its_interface_back():
    async def story():
        region = await Region().begin()
        instance = await region.launch(InstanceInitiatedShutdownBehavior="terminate")
        await region.report(instance, "stopped")
        await keep_house(region.store, region.state, NOW)
        assert region.view().get(Instance, instance).wanted == "terminated"
        assert not region.view().all(NetworkInterface)
        revision = await region.store.revision()
        await keep_house(region.store, region.state, NOW)
        assert await region.store.revision() == revision

    asyncio.run(story())


def test_a_conflict_is_met_again_at_the_next_pass_and_a_lost_store_is_told():
    async def story():
        region = await Region().begin()
        instance = await region.launch()
        await region.report(instance, "stopped")
        region.store.fail_next(Conflict("another was faster"), StoreUnavailable("closed"))
        await keep_house(region.store, region.state, NOW)
        assert region.view().get(Instance, instance).wanted == "running"
        with pytest.raises(StoreUnavailable):
            await keep_house(region.store, region.state, NOW)
        await keep_house(region.store, region.state, NOW)
        assert region.view().get(Instance, instance).wanted == "stopped"

    asyncio.run(story())
