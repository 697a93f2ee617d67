"""What two accounts decide by the same things in the same moment, in two API processes: the second to commit looks again."""

from __future__ import annotations

import asyncio

import pytest

from rookery.api import handlers
from rookery.api.accounts import beginning
from rookery.api.commit import transaction_of
from rookery.api.ids import RandomIds
from rookery.api.operation import HANDLERS, Request
from rookery.api.state import State
from rookery.model.codec import encode
from rookery.model.keys import cell_key, host_key
from rookery.model.objects import Cell, Host, Subnet
from rookery.store.interface import Conflict
from rookery.testing.memory_store import MemoryStore
from tests.api.endpoint_scene import arn, balancer, stand_in

ONE, TWO, REGION = "123456789012", "210987654321", "us-east-1"


class Region:
    """A store with a cell, and two accounts with a default VPC each."""

    async def begin(self):
        handlers.load()
        self.store = MemoryStore()
        self.state = State(self.store)
        host, cell = Host(name="host-1", zone=0, address="100.64.1.10"), Cell(name="a", zones=(0,), nodes=("n1", "n2"))
        await self.store.txn([], {host_key(host.name): encode(host), cell_key(cell.name): encode(cell)})
        await self.state.catch_up()
        for account in (ONE, TWO):
            made = beginning(self.state, self.request(account, "Begin"))
            await self.store.txn(made.compares, made.puts, made.deletes)
            await self.state.catch_up()
        return self

    def request(self, account, operation, **parameters):
        return Request(
            account=account, region=REGION, operation=operation, parameters=parameters, now=1.8e9, ids=RandomIds()
        )

    def decided(self, account, operation, **parameters):
        """Its transaction, by what is known now."""
        request, view = self.request(account, operation, **parameters), self.state.view(account, REGION)
        outcome = HANDLERS[operation](request, view)
        return self.transaction(request, outcome), outcome

    def transaction(self, request, outcome):
        view, realm = self.state.view(request.account, REGION), self.state.realm(request.account, REGION)
        return transaction_of(request, outcome, view, realm, None)

    async def commit(self, made):
        await self.store.txn(made.compares, made.puts, made.deletes)
        await self.state.catch_up()

    def subnet(self, account):
        (found,) = self.state.view(account, REGION).all(Subnet)
        return found


def test_of_two_accounts_that_get_their_shards_at_once_the_second_chooses_again():
    async def run():
        region = await Region().begin()
        made = [
            region.decided(account, "CreateNatGateway", ConnectivityType="private", SubnetId=region.subnet(account).id)[0]
            for account in (ONE, TWO)
        ]
        await region.commit(made[0])
        with pytest.raises(Conflict):
            await region.commit(made[1])
        again, outcome = region.decided(
            TWO, "CreateNatGateway", ConnectivityType="private", SubnetId=region.subnet(TWO).id
        )
        await region.commit(again)
        assert outcome.shards[0].nodes == ("n1", "n2")

    asyncio.run(run())


@pytest.mark.parametrize("first", ["the endpoint", "the deletion"])
def test_of_an_endpoint_and_the_deletion_of_its_service_only_one_happens(monkeypatch, first):
    stand_in(monkeypatch, balancer("web", "vpc-0", {"us-east-1a": "eni-0000000000000aaaa"}))

    async def run():
        region = await Region().begin()
        made, outcome = region.decided(
            ONE, "CreateVpcEndpointServiceConfiguration", NetworkLoadBalancerArns=[arn("web")]
        )
        await region.commit(made)
        (service,) = outcome.puts
        named = {"ServiceId": service.id, "AddAllowedPrincipals": ["*"]}
        await region.commit(region.decided(ONE, "ModifyVpcEndpointServicePermissions", **named)[0])
        home = region.subnet(TWO)
        wanted = {"VpcEndpointType": "Interface", "ServiceName": service.name, "VpcId": home.vpc_id}
        endpoint, _ = region.decided(TWO, "CreateVpcEndpoint", **wanted, SubnetIds=[home.id])
        deletion, _ = region.decided(ONE, "DeleteVpcEndpointServiceConfigurations", ServiceIds=[service.id])
        order = [endpoint, deletion] if first == "the endpoint" else [deletion, endpoint]
        await region.commit(order[0])
        with pytest.raises(Conflict):
            await region.commit(order[1])

    asyncio.run(run())
