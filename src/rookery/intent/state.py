"""The intended state as plain data: all resources of all accounts and AWS regions, which share the hosts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypeVar

from rookery.model.codec import KINDS, decode, decode_resource, kind_of
from rookery.model.keys import CELLS, HOSTS, INTENDED, SHARDS
from rookery.model.objects import (
    Cell,
    DhcpOptions,
    EgressOnlyInternetGateway,
    ElasticIp,
    Host,
    Instance,
    InternetGateway,
    NatGateway,
    NetworkInterface,
    PrefixList,
    Resource,
    SecurityGroup,
    Shard,
    Subnet,
    Vpc,
    VpcPeering,
)
from rookery.store.interface import Batch, Entry

R = TypeVar("R", bound=Resource)


class Stamp(NamedTuple):
    """When something was last changed."""

    revision: int
    time: float  # unix seconds


class State:
    """`mtu` is that of instances in this Rookery region."""

    def __init__(self, entries: Iterable[Entry], generation: int, mtu: int):
        """Entries that are no intent (tokens, what was observed) are left out. Raises msgspec.DecodeError."""
        self.generation = generation
        self.mtu = mtu
        self.hosts: dict[str, Host] = {}
        self.cells: dict[str, Cell] = {}
        self.shards: dict[tuple[str, str], Shard] = {}  # by cell and account
        self._things: dict[type[Resource], dict[str, Resource]] = {kind: {} for kind in KINDS.values()}
        self._stamps: dict[str, Stamp] = {}
        for entry in entries:
            self._take(entry)

    def after(self, batches: Iterable[Batch]) -> State:
        """The state that follows; this one stays as it is. Only what changed is decoded. Raises msgspec.DecodeError."""
        made = State((), self.generation, self.mtu)
        made.hosts, made.cells, made.shards = dict(self.hosts), dict(self.cells), dict(self.shards)
        made._things = {kind: dict(things) for kind, things in self._things.items()}
        made._stamps = dict(self._stamps)
        for batch in batches:
            made.generation = batch.revision
            for change in batch.changes:
                if change.value is None:
                    made._drop(change.key)
                else:
                    made._take(Entry(change.key, change.value, batch.revision, batch.time))
        return made

    def _drop(self, key: str) -> None:
        """What lay there."""
        if key.startswith(HOSTS):
            self.hosts.pop(key.removeprefix(HOSTS), None)
        elif key.startswith(CELLS):
            self.cells.pop(key.removeprefix(CELLS), None)
        elif key.startswith(SHARDS):
            cell, _, account = key.removeprefix(SHARDS).partition("/")
            self.shards.pop((cell, account), None)
        elif key.startswith(INTENDED):
            gone = key.rpartition("/")[2]
            self._things[KINDS[kind_of(key)]].pop(gone, None)
            self._stamps.pop(gone, None)

    def _take(self, entry: Entry) -> None:
        if entry.key.startswith(HOSTS):
            host = decode(Host, entry.value)
            self.hosts[host.name] = host
        elif entry.key.startswith(CELLS):
            cell = decode(Cell, entry.value)
            self.cells[cell.name] = cell
        elif entry.key.startswith(SHARDS):
            shard = decode(Shard, entry.value)
            self.shards[shard.cell, shard.account] = shard
        elif entry.key.startswith(INTENDED):
            thing = decode_resource(entry.key, entry.value)
            self._things[type(thing)][thing.id] = thing
            self._stamps[thing.id] = Stamp(entry.revision, entry.time)

    def all(self, kind: type[R]) -> Iterable[R]:
        return self._by_id(kind).values()

    def _by_id(self, kind: type[R]) -> Mapping[str, R]:
        return self._things[kind]  # type: ignore[return-value]

    def get(self, kind: type[R], resource_id: str) -> R | None:
        return self._things[kind].get(resource_id)  # type: ignore[return-value]

    def stamp(self, resource: Resource) -> Stamp:
        return self._stamps[resource.id]

    def changed_since(self, resource_id: str, generation: int) -> bool:
        """Changed after it, or not there (any more)."""
        return resource_id not in self._stamps or self._stamps[resource_id].revision > generation

    # As rookery.intent.things.Things

    @property
    def vpcs(self) -> Mapping[str, Vpc]:
        return self._by_id(Vpc)

    @property
    def subnets(self) -> Mapping[str, Subnet]:
        return self._by_id(Subnet)

    @property
    def interfaces(self) -> Mapping[str, NetworkInterface]:
        return self._by_id(NetworkInterface)

    @property
    def instances(self) -> Mapping[str, Instance]:
        return self._by_id(Instance)

    @property
    def security_groups(self) -> Mapping[str, SecurityGroup]:
        return self._by_id(SecurityGroup)

    @property
    def prefix_lists(self) -> Mapping[str, PrefixList]:
        return self._by_id(PrefixList)

    @property
    def peerings(self) -> Mapping[str, VpcPeering]:
        return self._by_id(VpcPeering)

    @property
    def dhcp_options(self) -> Mapping[str, DhcpOptions]:
        return self._by_id(DhcpOptions)

    @property
    def internet_gateways(self) -> Mapping[str, InternetGateway]:
        return self._by_id(InternetGateway)

    @property
    def egress_only_gateways(self) -> Mapping[str, EgressOnlyInternetGateway]:
        return self._by_id(EgressOnlyInternetGateway)

    @property
    def nat_gateways(self) -> Mapping[str, NatGateway]:
        return self._by_id(NatGateway)

    def elastic_ips_of(self, interface_id: str) -> Iterable[ElasticIp]:
        return (one for one in self.all(ElasticIp) if one.interface_id == interface_id)
