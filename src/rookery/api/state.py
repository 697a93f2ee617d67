"""The API's copy of the store, decoded and indexed: what handlers see as a View.

Before each request it applies everything up to the store's newest revision, so that every answer is as fresh as the store,
with several API processes too. Handlers run without an await in between: what they see is one revision.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Mapping
from typing import Any, TypeVar

from rookery.api.held import NOTHING, Held
from rookery.api.idempotency import TokenRecord
from rookery.model import keys
from rookery.model.balancers import LoadBalancer
from rookery.model.codec import KINDS, decode, decode_resource, kind_of
from rookery.model.defaults import INSTANCE_MTU
from rookery.model.objects import (
    AccessKey,
    AddressPool,
    Cell,
    CellStatus,
    ConsoleOutput,
    ElasticIp,
    Host,
    Instance,
    InstanceStatus,
    Live,
    NetworkAcl,
    NetworkInterface,
    Resource,
    RouteTable,
    SecurityGroup,
    Shard,
    Subnet,
    TargetHealth,
    Vpc,
    VpcEndpoint,
    VpcEndpointService,
    VpcPeering,
)
from rookery.store.interface import Batch, Compacted, Store

R = TypeVar("R", bound=Resource)


class Realm:
    """One account in one AWS region."""

    def __init__(self) -> None:
        self.head = 0  # revision of the head key; 0: never used
        self.by_id: dict[type[Resource], dict[str, Resource]] = {}
        self.by_vpc: dict[tuple[type[Resource], str], dict[str, Resource]] = {}
        self.addresses: dict[str, Held] = {}  # by subnet id
        self.detaching: dict[str, NetworkInterface] = {}  # by id
        self.elastic_ips: dict[str, dict[str, ElasticIp]] = {}  # by network interface and id: associated ones
        self.accepted: dict[str, VpcPeering] = {}  # by id: those that lie with other accounts
        self.tokens: dict[str, TokenRecord] = {}  # by store key, oldest first

    def put(self, resource: Resource) -> None:
        kind = type(resource)
        self._unindex(self.by_id.get(kind, {}).get(resource.id))
        self.by_id.setdefault(kind, {})[resource.id] = resource
        vpc_id = getattr(resource, "vpc_id", None)
        if vpc_id:
            self.by_vpc.setdefault((kind, vpc_id), {})[resource.id] = resource
        if isinstance(resource, NetworkInterface):
            self.addresses.setdefault(resource.subnet_id, Held()).hold(resource)
            if resource.attachment and resource.attachment.detaching:
                self.detaching[resource.id] = resource
        if isinstance(resource, ElasticIp) and resource.interface_id:
            self.elastic_ips.setdefault(resource.interface_id, {})[resource.id] = resource

    def delete(self, kind: type[Resource], resource_id: str) -> None:
        self._unindex(self.by_id.get(kind, {}).pop(resource_id, None))

    def _unindex(self, resource: Resource | None) -> None:
        vpc_id = getattr(resource, "vpc_id", None)
        if resource is not None and vpc_id:
            self.by_vpc[type(resource), vpc_id].pop(resource.id, None)
        if isinstance(resource, NetworkInterface):
            self.addresses.setdefault(resource.subnet_id, Held()).release(resource)
            self.detaching.pop(resource.id, None)
        if isinstance(resource, ElasticIp) and resource.interface_id:
            self._forget_association(resource)

    def _forget_association(self, elastic_ip: ElasticIp) -> None:
        associated = self.elastic_ips[elastic_ip.interface_id]
        del associated[elastic_ip.id]
        if not associated:
            del self.elastic_ips[elastic_ip.interface_id]


class State:
    """All of the store."""

    def __init__(self, store: Store, mtu: int = INSTANCE_MTU):
        self._store = store
        self.mtu = mtu
        self._empty()

    def _empty(self) -> None:
        self.revision = -1
        self.changed: dict[str, int] = {}  # store key -> revision of its last change
        self.realms: dict[tuple[str, str], Realm] = {}
        self.hosts: dict[str, Host] = {}  # edges and nodes of cells hold no instances, and are not here
        self.cells: dict[str, Cell] = {}
        self.shards: dict[str, dict[str, Shard]] = {}  # by cell and account
        self.cell_statuses: dict[str, CellStatus] = {}
        self.target_health: dict[str, TargetHealth] = {}  # by cell
        self.pools: dict[str, AddressPool] = {}  # by first address
        self.public_addresses: set[str] = set()  # held by whomever
        self.instances_on: dict[str, int] = {}
        self.statuses: dict[str, InstanceStatus] = {}
        self.consoles: dict[str, bytes] = {}  # as the store has them: few are asked for
        self.access_keys: dict[str, AccessKey] = {}
        self.live = 0

    async def catch_up(self) -> None:
        """Raises StoreUnavailable."""
        if await self._store.revision() == self.revision:
            return
        if self.revision >= 0:
            with contextlib.suppress(Compacted):
                self._apply_all(await self._store.changes_since(self.revision, ""))
                return
        await self._read_everything()

    async def _read_everything(self) -> None:
        found = await self._store.range("")
        self._empty()
        entries = [(entry.revision, entry.key, entry.value) for entry in found.entries]
        for revision, key, value in entries:
            self._apply(key, value, revision)
        for realm in self.realms.values():
            for kind, resources in realm.by_id.items():
                ordered = sorted(resources.values(), key=lambda one: (one.created, one.id))
                realm.by_id[kind] = {one.id: one for one in ordered}
        self.revision = found.revision

    def _apply_all(self, batches: Iterable[Batch]) -> None:
        for batch in batches:
            if batch.revision <= self.revision:
                continue  # another request of this process was faster
            for key, value in batch.changes:
                self._apply(key, value, batch.revision)
            self.revision = batch.revision

    def _apply(self, key: str, value: bytes | None, revision: int) -> None:
        if value is None:
            self.changed.pop(key, None)
        else:
            self.changed[key] = revision
        family = key.partition("/")[0]
        apply = _APPLY.get(family)
        if apply is not None:
            apply(self, key, value, revision)

    def realm(self, account: str, region: str) -> Realm:
        return self.realms.setdefault((account, region), Realm())

    def view(self, account: str, region: str) -> RealmView:
        return RealmView(self, self.realm(account, region), account, region)

    def _apply_intended(self, key: str, value: bytes | None, _revision: int) -> None:
        _, account, region, _, resource_id = key.split("/")
        realm = self.realm(account, region)
        if value is not None:
            resource = decode_resource(key, value)
            self._count(realm, resource.id, resource)
            self._show_to_accepter(realm, resource.id, resource)
            realm.put(resource)
        else:
            self._count(realm, resource_id, None)
            self._show_to_accepter(realm, resource_id, None)
            realm.delete(KINDS[kind_of(key)], resource_id)

    def _count(self, realm: Realm, resource_id: str, after: Resource | None) -> None:
        """Keeps `instances_on`: a terminated instance no longer takes a place."""
        before = realm.by_id.get(Instance, {}).get(resource_id)
        for instance, step in ((before, -1), (after, +1)):
            if isinstance(instance, Instance) and instance.wanted != "terminated":
                self.instances_on[instance.host] = self.instances_on.get(instance.host, 0) + step

    def _show_to_accepter(self, realm: Realm, resource_id: str, after: Resource | None) -> None:
        """Of another account. What failed at once, its accepter never hears of: a request may name anybody."""
        before = realm.by_id.get(VpcPeering, {}).get(resource_id)
        for peering in (before, after):
            if isinstance(peering, VpcPeering) and peering.accepter.account != peering.account:
                shown = peering if peering is after and peering.status != "failed" else None
                self._set_accepted(peering, shown)

    def _set_accepted(self, peering: VpcPeering, shown: VpcPeering | None) -> None:
        side = peering.accepter
        if shown is not None:
            self.realm(side.account, side.region).accepted[peering.id] = shown
        elif (side.account, side.region) in self.realms:
            self.realms[side.account, side.region].accepted.pop(peering.id, None)

    def _apply_observed(self, key: str, value: bytes | None, _revision: int) -> None:
        if key == keys.LIVE:
            self.live = decode(Live, value).generation if value else 0
        elif key.startswith(keys.OBSERVED_INSTANCES):
            _set(
                self.statuses,
                key[len(keys.OBSERVED_INSTANCES) :],
                decode(InstanceStatus, value) if value else None,
            )
        elif key.startswith(keys.OBSERVED_CONSOLES):
            _set(self.consoles, key[len(keys.OBSERVED_CONSOLES) :], value)
        elif key.startswith(keys.OBSERVED_CELLS):
            name = key[len(keys.OBSERVED_CELLS) :]
            _set(self.cell_statuses, name, decode(CellStatus, value) if value else None)
        elif key.startswith(keys.OBSERVED_HEALTH):
            name = key[len(keys.OBSERVED_HEALTH) :]
            _set(self.target_health, name, decode(TargetHealth, value) if value else None)

    def _apply_infrastructure(self, key: str, value: bytes | None, _revision: int) -> None:
        if key.startswith(keys.HOSTS):
            host = decode(Host, value) if value else None
            holds_instances = host is not None and not (host.is_edge or host.cell)
            _set(self.hosts, key[len(keys.HOSTS) :], host if holds_instances else None)
        elif key.startswith(keys.POOLS):
            _set(self.pools, key[len(keys.POOLS) :], decode(AddressPool, value) if value else None)
        elif key.startswith(keys.CELLS):
            _set(self.cells, key[len(keys.CELLS) :], decode(Cell, value) if value else None)
        elif key.startswith(keys.SHARDS):
            cell, account = key[len(keys.SHARDS) :].split("/")
            _set(self.shards.setdefault(cell, {}), account, decode(Shard, value) if value else None)

    def _apply_claims(self, key: str, value: bytes | None, _revision: int) -> None:
        if key.startswith(keys.PUBLIC_CLAIMS):
            change = self.public_addresses.discard if value is None else self.public_addresses.add
            change(key[len(keys.PUBLIC_CLAIMS) :])

    def _apply_credentials(self, key: str, value: bytes | None, _revision: int) -> None:
        _set(self.access_keys, key[len(keys.CREDENTIALS) :], decode(AccessKey, value) if value else None)

    def _apply_accounts(self, key: str, value: bytes | None, revision: int) -> None:
        _, account, region, last = key.split("/")
        if last == "head":
            self.realm(account, region).head = revision if value is not None else 0

    def _apply_tokens(self, key: str, value: bytes | None, _revision: int) -> None:
        _, account, region, _ = key.split("/", 3)
        _set(self.realm(account, region).tokens, key, decode(TokenRecord, value) if value else None)


_APPLY: dict[str, Any] = {
    "intended": State._apply_intended,
    "observed": State._apply_observed,
    "infrastructure": State._apply_infrastructure,
    "claims": State._apply_claims,
    "credentials": State._apply_credentials,
    "accounts": State._apply_accounts,
    "tokens": State._apply_tokens,
}


def _set(place: dict[str, Any], name: str, value: Any) -> None:
    if value is None:
        place.pop(name, None)
    else:
        place[name] = value


def claim_key(resource: Resource) -> str | None:
    """The claim that this resource's number needs; made with it and never changed."""
    if isinstance(resource, Vpc):
        return keys.vni_claim(resource.vni)
    if isinstance(resource, Subnet | NetworkInterface | RouteTable | NetworkAcl):
        return keys.number_claim(resource.number)
    return None


def public_address_of(resource: Resource) -> str:
    """The public address it holds now, of which there is a claim; empty: none."""
    if isinstance(resource, ElasticIp):
        return resource.address
    return resource.public_address if isinstance(resource, NetworkInterface) else ""


class RealmView:
    """rookery.api.operation.View."""

    def __init__(self, state: State, realm: Realm, account: str, region: str):
        self._state = state
        self._realm = realm
        self.account = account
        self.region = region

    @property
    def revision(self) -> int:
        return self._state.revision

    @property
    def live(self) -> int:
        return self._state.live

    @property
    def mtu(self) -> int:
        return self._state.mtu

    def get(self, kind: type[R], resource_id: str) -> R | None:
        found = self._realm.by_id.get(kind, {}).get(resource_id)
        if found is None and kind is VpcPeering:
            found = self._realm.accepted.get(resource_id)
        return found  # type: ignore[return-value]

    def all(self, kind: type[R]) -> Collection[R]:
        found = self._realm.by_id.get(kind, {}).values()
        if kind is VpcPeering and self._realm.accepted:
            return [*found, *self._realm.accepted.values()]  # type: ignore[list-item]
        return found  # type: ignore[return-value]

    def in_vpc(self, kind: type[R], vpc_id: str) -> Iterable[R]:
        return self._realm.by_vpc.get((kind, vpc_id), {}).values()  # type: ignore[return-value]

    def held_addresses(self, subnet_id: str) -> Held:
        return self._realm.addresses.get(subnet_id, NOTHING)

    def detaching(self) -> Iterable[NetworkInterface]:
        return self._realm.detaching.values()

    def hosts(self) -> Iterable[Host]:
        return self._state.hosts.values()

    def public_pools(self) -> Collection[AddressPool]:
        return self._state.pools.values()

    def public_addresses(self) -> Collection[str]:
        return self._state.public_addresses

    def cells(self) -> Collection[Cell]:
        return self._state.cells.values()

    def shards(self, cell: str) -> Mapping[str, Shard]:
        return self._state.shards.get(cell, {})

    def cell_status(self, cell: str) -> CellStatus | None:
        return self._state.cell_statuses.get(cell)

    def target_health(self) -> Collection[TargetHealth]:
        return self._state.target_health.values()

    def elastic_ips_of(self, interface_id: str) -> Collection[ElasticIp]:
        return self._realm.elastic_ips.get(interface_id, {}).values()

    def instances_on(self, host: str) -> int:
        return self._state.instances_on.get(host, 0)

    def status(self, instance_id: str) -> InstanceStatus | None:
        return self._state.statuses.get(instance_id)

    def console(self, instance_id: str) -> ConsoleOutput | None:
        stored = self._state.consoles.get(instance_id)
        return decode(ConsoleOutput, stored) if stored else None

    def _beside(self, account: str) -> RealmView | None:
        """Of another account; None: it has nothing here. Asking for it makes nothing."""
        realm = self._state.realms.get((account, self.region))
        return RealmView(self._state, realm, account, self.region) if realm else None

    def peer_vpc(self, account: str, vpc_id: str) -> Vpc | None:
        beside = self._beside(account)
        return beside.get(Vpc, vpc_id) if beside else None

    def peer_groups(self, account: str, vpc_id: str) -> Iterable[SecurityGroup]:
        beside = self._beside(account)
        return beside.in_vpc(SecurityGroup, vpc_id) if beside else ()

    def peerings_of(self, account: str, vpc_id: str) -> Iterable[VpcPeering]:
        beside = self._beside(account)
        found = beside.all(VpcPeering) if beside else ()
        return [one for one in found if vpc_id in (one.requester.vpc_id, one.accepter.vpc_id)]

    def endpoint_service(self, account: str, service_id: str) -> VpcEndpointService | None:
        beside = self._beside(account)
        return beside.get(VpcEndpointService, service_id) if beside else None

    def balancer_of(self, account: str, balancer_id: str) -> LoadBalancer | None:
        beside = self._beside(account)
        return beside.get(LoadBalancer, balancer_id) if beside else None

    def endpoint_services(self) -> Iterable[VpcEndpointService]:
        return self._of_everybody(VpcEndpointService)

    def endpoints_of(self, service_id: str) -> Iterable[VpcEndpoint]:
        return (one for one in self._of_everybody(VpcEndpoint) if one.service_id == service_id)

    def _of_everybody(self, kind: type[R]) -> Iterable[R]:
        realms = [realm for (_, region), realm in self._state.realms.items() if region == self.region]
        return (one for realm in realms for one in realm.by_id.get(kind, {}).values())  # type: ignore[misc]

    def region_of_peering(self, peering_id: str) -> str:
        return next(
            (
                region
                for (account, region), realm in self._state.realms.items()
                if account == self.account
                and (peering_id in realm.by_id.get(VpcPeering, {}) or peering_id in realm.accepted)
            ),
            "",
        )

    def everybodys(self, kind: type[R]) -> Iterable[R]:
        realms = self._state.realms.values()
        return (one for realm in realms for one in realm.by_id.get(kind, {}).values())  # type: ignore[misc]

    def head_of(self, account: str) -> int:
        """0: this account has never used the AWS region."""
        realm = self._state.realms.get((account, self.region))
        return realm.head if realm else 0

    def changed_at(self, resource: Resource) -> int:
        return self._state.changed.get(keys.key_of(resource), 0)

    def cell_changed_at(self, cell: str) -> int:
        return self._state.changed.get(keys.cell_key(cell), 0)

    def room_changed_at(self, cell: str) -> int:
        return self._state.changed.get(keys.room_key(cell), 0)

    def made_at(self, resource: Resource) -> int:
        """The revision that made it (its claim is of that transaction and never changes)."""
        claim = claim_key(resource)
        return self._state.changed.get(claim, 0) if claim else self.changed_at(resource)

    def token(self, key: str) -> TokenRecord | None:
        return self._realm.tokens.get(key)
