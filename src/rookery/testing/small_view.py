"""One account in memory, for tests of handlers: no store, no front, every call applied at once."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any, TypeVar

import rookery.api.operation as api
from rookery.api import handlers
from rookery.api.default_security import default_acl, guarded, new_default_acl, new_default_group
from rookery.api.held import Held, held_by
from rookery.api.quotas import Quotas
from rookery.api.room import with_room
from rookery.api.state import public_address_of
from rookery.model.balancers import LoadBalancer
from rookery.model.objects import (
    AddressPool,
    Cell,
    CellStatus,
    CidrAssociation,
    ConsoleOutput,
    ElasticIp,
    Host,
    Instance,
    InstanceStatus,
    NetworkInterface,
    Resource,
    SecurityGroup,
    Shard,
    Subnet,
    TargetHealth,
    Vpc,
    VpcEndpoint,
    VpcEndpointService,
    VpcPeering,
)

R = TypeVar("R", bound=Resource)

ACCOUNT = "123456789012"
REGION = "us-east-1"
MANY = Quotas(network_interfaces=1_000_000, instances=1_000_000)


handlers.load()


class CountedIds:
    """The same ids in the same order, every time."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def new(self, prefix: str) -> str:
        return f"{prefix}-{next(self._numbers):017x}"

    def mac(self) -> str:
        return "02:" + next(self._numbers).to_bytes(5).hex(":")


class SmallView:
    """`rookery.api.operation.View`, and what a test does to it."""

    def __init__(self, hosts: Iterable[Host] = (), quotas: Quotas = MANY):
        self.account = ACCOUNT
        self.revision = 1
        self.now = 1_800_000_000.0
        self.ids = CountedIds()
        self.quotas = quotas
        self.statuses: dict[str, InstanceStatus] = {}
        self.consoles: dict[str, ConsoleOutput] = {}
        self.live = 1_000_000_000
        self.mtu = 1500
        self.pools: list[AddressPool] = []
        self.given_cells: dict[str, Cell] = {}
        self.given_shards: dict[str, dict[str, Shard]] = {}
        self.cell_statuses: dict[str, CellStatus] = {}
        self.found_health: dict[str, TargetHealth] = {}
        self.others: list[Resource] = []  # of other accounts
        self._hosts = list(hosts)
        self._resources: dict[type, dict[str, Resource]] = {}
        self._changed: dict[str, int] = {}
        self._made: dict[str, int] = {}
        self._held: dict[str, Held] = {}

    def get(self, kind: type[R], resource_id: str) -> R | None:
        return self._resources.get(kind, {}).get(resource_id)  # type: ignore[return-value]

    def all(self, kind: type[R]) -> list[R]:
        return list(self._resources.get(kind, {}).values())  # type: ignore[arg-type]

    def in_vpc(self, kind: type[R], vpc_id: str) -> list[R]:
        return [each for each in self.all(kind) if getattr(each, "vpc_id", None) == vpc_id]

    def held_addresses(self, subnet_id: str) -> Held:
        return self._held.setdefault(subnet_id, Held())

    def detaching(self) -> list[NetworkInterface]:
        return [each for each in self.all(NetworkInterface) if each.attachment and each.attachment.detaching]

    def hosts(self) -> list[Host]:
        return self._hosts

    def public_pools(self) -> list[AddressPool]:
        return self.pools

    def public_addresses(self) -> set[str]:
        holders = (*self.all(ElasticIp), *self.all(NetworkInterface))
        return {address for one in holders if (address := public_address_of(one))}

    def elastic_ips_of(self, interface_id: str) -> list[ElasticIp]:
        return [one for one in self.all(ElasticIp) if one.interface_id == interface_id]

    def cells(self) -> list[Cell]:
        return list(self.given_cells.values())

    def shards(self, cell: str) -> dict[str, Shard]:
        return self.given_shards.setdefault(cell, {})

    def cell_status(self, cell: str) -> CellStatus | None:
        return self.cell_statuses.get(cell)

    def target_health(self) -> list[TargetHealth]:
        return list(self.found_health.values())

    def cells_work(self) -> None:
        """By the state as it is now."""
        for cell in self.given_cells:
            self.cell_statuses[cell] = CellStatus(name=cell, epoch=self.revision, generation=self.revision)

    def cells_die(self) -> None:
        """No node says anything any more."""
        for cell in self.given_cells:
            self.cell_statuses[cell] = CellStatus(name=cell, epoch=0, generation=0)

    def instances_on(self, host: str) -> int:
        return sum(each.host == host and each.wanted != "terminated" for each in self.all(Instance))

    def console(self, instance_id: str) -> ConsoleOutput | None:
        return self.consoles.get(instance_id)

    def status(self, instance_id: str) -> InstanceStatus | None:
        return self.statuses.get(instance_id)

    def peer_vpc(self, account: str, vpc_id: str) -> Vpc | None:
        return self.get(Vpc, vpc_id) if account == ACCOUNT else None

    def peer_groups(self, account: str, vpc_id: str) -> list[SecurityGroup]:
        return self.in_vpc(SecurityGroup, vpc_id) if account == ACCOUNT else []

    def peerings_of(self, account: str, vpc_id: str) -> list[VpcPeering]:
        found = self.all(VpcPeering) if account == ACCOUNT else []
        return [one for one in found if vpc_id in (one.requester.vpc_id, one.accepter.vpc_id)]

    def endpoint_service(self, account: str, service_id: str) -> VpcEndpointService | None:
        found = self.get(VpcEndpointService, service_id)
        return found if found and found.account == account else None

    def balancer_of(self, account: str, balancer_id: str) -> LoadBalancer | None:
        found = self.get(LoadBalancer, balancer_id)
        return found if found and found.account == account else None

    def endpoint_services(self) -> list[VpcEndpointService]:
        return self.all(VpcEndpointService)

    def everybodys(self, kind: type[R]) -> list[R]:
        return [*self.all(kind), *(one for one in self.others if isinstance(one, kind))]

    def endpoints_of(self, service_id: str) -> list[VpcEndpoint]:
        return [one for one in self.all(VpcEndpoint) if one.service_id == service_id]

    def region_of_peering(self, peering_id: str) -> str:
        return REGION if self.get(VpcPeering, peering_id) else ""

    def changed_at(self, resource: Resource) -> int:
        return self._changed[resource.id]

    def made_at(self, resource: Resource) -> int:
        return self._made[resource.id]

    def put(self, *resources: Resource) -> None:
        self.revision += bool(resources)
        for resource in resources:
            self._forget_addresses(resource)
        for resource in resources:
            self._resources.setdefault(type(resource), {})[resource.id] = resource
            self._changed[resource.id] = self.revision
            self._made.setdefault(resource.id, self.revision)
            self._hold_addresses(resource)

    def delete(self, *resources: Resource) -> None:
        self.revision += bool(resources)
        for resource in resources:
            self._forget_addresses(resource)
            del self._resources[type(resource)][resource.id]

    def _forget_addresses(self, resource: Resource) -> None:
        before = self.get(type(resource), resource.id)
        if isinstance(before, NetworkInterface):
            self._held[before.subnet_id].release(before)

    def _hold_addresses(self, resource: Resource) -> None:
        if isinstance(resource, NetworkInterface):
            held = self._held.setdefault(resource.subnet_id, Held())
            for each in held_by(resource):
                assert each not in held, f"{each} has two holders"
            held.hold(resource)

    def call(self, operation: str, service: str = "ec2", **parameters: Any) -> dict[str, Any]:
        """The result; what the operation changes is applied. Raises ApiError."""
        request = api.Request(
            account=ACCOUNT,
            region=REGION,
            operation=operation,
            parameters=parameters,
            now=self.now,
            ids=self.ids,
            quotas=self.quotas,
            drawn=api.DRAWS[operation](parameters) if operation in api.DRAWS else None,
        )
        outcome = with_room(request, self, api.HANDLERS_OF[service][operation])
        self.apply(outcome)
        return outcome.result

    def refusal(self, operation: str, **parameters: Any) -> str:
        """The code it is refused with; nothing has changed then."""
        before = self.revision
        try:
            result = self.call(operation, **parameters)
        except api.ApiError as error:
            assert self.revision == before
            return error.code
        raise AssertionError(f"{operation} was not refused but answered {result}")

    def apply(self, outcome: api.Outcome) -> None:
        put = [each.id for each in outcome.puts]
        assert len(set(put)) == len(put), "a thing is put twice"
        assert not set(put) & {each.id for each in outcome.deletes}, "a thing is put and deleted"
        self.delete(*outcome.deletes)
        self.put(*outcome.puts)
        for shard in outcome.shards:
            assert shard.account not in self.shards(shard.cell), "a shard is given once"
            self.given_shards[shard.cell][shard.account] = shard

    def report(
        self,
        instance_id: str,
        state: str,
        boot: int = 1,
        message: str = "",
        interfaces: Iterable[str] | None = None,
    ) -> None:
        """What the instance's host says; without `interfaces` it has plugged in what was wanted."""
        if interfaces is None:
            instance = self.get(Instance, instance_id)
            interfaces = instance.interface_ids if instance and state == "running" else ()
        self.statuses[instance_id] = InstanceStatus(
            id=instance_id,
            state=state,
            boot=boot,
            since=self.now,
            message=message,
            interfaces=tuple(interfaces),
        )

    def make_vpc(self, cidr: str, is_default: bool = False) -> Vpc:
        vpc = Vpc(
            account=ACCOUNT,
            region=REGION,
            id=self.ids.new("vpc"),
            cidr_associations=(CidrAssociation(self.ids.new("vpc-cidr-assoc"), cidr),),
            is_default=is_default,
        )
        self.put(vpc, new_default_group(vpc, self.ids), new_default_acl(vpc, self.ids))
        return vpc

    def make_subnet(self, vpc: Vpc, cidr: str, zone: str = "us-east-1a", default: bool = False) -> Subnet:
        subnet = Subnet(
            account=ACCOUNT,
            region=REGION,
            id=self.ids.new("subnet"),
            vpc_id=vpc.id,
            cidr=cidr,
            zone=zone,
            default_for_zone=default,
        )
        self.put(subnet, guarded(default_acl(self, vpc.id), subnet.id, self.ids))
        return subnet
