"""All that one host must hold, from the whole state: short and slow. The mapping service's index computes the same
step by step (rookery.mapping.index) and is tested against this."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from rookery.intent.attachment import in_effect, subnet_of
from rookery.intent.gateways import (
    block_intents,
    edge_intents,
    gateway_intent,
    public_addresses,
    public_intents,
)
from rookery.intent.groups import distinct, group_set
from rookery.intent.host import (
    GatewayIntent,
    GroupSetIntent,
    HostIntent,
    InstanceIntent,
    InterfaceIntent,
    MappingIntent,
    RouteIntent,
    RuleIntent,
)
from rookery.intent.instance import (
    RUNNING,
    forwarder_intent,
    held_attachment,
    instance_intent,
    interface_intent,
    interface_mappings,
    rank,
)
from rookery.intent.names import names_of, zone_intents
from rookery.intent.peering import peering_intents, peers_of
from rookery.intent.policy import acl_intent, policy_intent
from rookery.intent.regional import OpenAcl, RegionalPlace, open_acl
from rookery.intent.route import routes_of
from rookery.intent.state import State
from rookery.intent.tops import first_shard, tops_intent, tops_number
from rookery.model.objects import (
    EgressOnlyInternetGateway,
    Instance,
    InternetGateway,
    NatGateway,
    NetworkAcl,
    NetworkInterface,
    PrivateZone,
    RouteTable,
    Subnet,
    Vpc,
)

Attached = defaultdict[str, list[NetworkInterface]]  # by instance id


def host_intent(state: State, host: str) -> HostIntent:
    """Its instances, every mapping of the VPCs in which one of them runs and of their peers, the routes of the tables they
    use and the rules of all of these."""
    found = state.hosts.get(host)
    if found and found.is_edge:
        return _edge_intent(state, host)
    if found and found.cell:
        return _intent_of(state, host, [], _at_cell(state, found.cell))
    attached = _attached(state)
    mine = (instance for instance in state.all(Instance) if instance.host == host)
    instances = [_instance(state, instance, attached) for instance in mine]
    active = [i for instance in instances if instance.wanted == RUNNING for i in instance.interfaces]
    return _intent_of(state, host, instances, active)


def _intent_of(
    state: State, host: str, instances: list[InstanceIntent], active: list[InterfaceIntent]
) -> HostIntent:
    """`active`: the interfaces that work there: of instances at a host, of its cell at a node."""
    own = [vpc for vpc in state.all(Vpc) if vpc.vni in {interface.vni for interface in active}]
    held = {vpc.vni for vpc in own} | {peer.vni for vpc in own for peer in _peers(state, vpc)}
    rules = [
        *_policies(state, active),
        *_acls(state, active),
        *_peerings(state, own),
        *_zones(state, own),
        *_names(state, held),
        *_gateways(state, own),
        *edge_intents(state.hosts.values()),
        *_tops(state, held),
    ]
    return HostIntent(
        host=host,
        generation=state.generation,
        instances={instance.key: instance for instance in instances},
        mappings=_mappings(state, held),
        routes=_routes(state, {interface.route_table for interface in active}, _sends_in(state, host)),
        rules={rule.key: rule for rule in (*rules, *_of_interfaces(state, held))},
    )


def _edge_intent(state: State, host: str) -> HostIntent:
    """All of the VPCs out of which something leads, and their public addresses."""
    own = [vpc for vpc in state.all(Vpc) if _gateway(state, vpc)]
    held = {vpc.vni for vpc in own}
    gateways = list(_gateways(state, own))
    rules = [
        *_names(state, held),
        *gateways,
        *edge_intents(state.hosts.values()),
        *_tops(state, held),
        *_publics(state, held),
        *(block for vpc in own for block in block_intents(vpc)),
        *_of_interfaces(state, held),
    ]
    return HostIntent(
        host=host,
        generation=state.generation,
        mappings=_mappings(state, held),
        routes=_routes(state, {gateway.route_table for gateway in gateways}),
        rules={rule.key: rule for rule in rules},
    )


def _at_cell(state: State, cell: str) -> list[InterfaceIntent]:
    """The interfaces in whose name the cell works, as one that holds them needs them."""
    mine = (i for i in state.all(NetworkInterface) if i.cell_attachment and i.cell_attachment.cell == cell)
    return [intent for interface in mine if (intent := _interface(state, interface))]


def _tops(state: State, vnis: set[int]) -> Iterator[RuleIntent]:
    mappings = (_mappings_of(state, interface) for interface in state.all(NetworkInterface))
    wanted = {row.tops for rows in mappings for row in rows if row.tops and row.vni in vnis}
    for number in wanted:
        shards = [one for one in state.shards.values() if tops_number(one.cell, one.account) == number]
        if shard := first_shard(shards):
            yield tops_intent(shard, state.cells.get(shard.cell), state.hosts)


def _gateway(state: State, vpc: Vpc) -> GatewayIntent | None:
    tables = [table for table in state.all(RouteTable) if table.vpc_id == vpc.id]
    return gateway_intent(vpc, state.all(InternetGateway), state.all(EgressOnlyInternetGateway), tables)


def _gateways(state: State, own: list[Vpc]) -> Iterator[GatewayIntent]:
    return filter(None, (_gateway(state, vpc) for vpc in own))


def _publics(state: State, vnis: set[int]) -> Iterator[RuleIntent]:
    for interface in state.all(NetworkInterface):
        vpc, _ = _place(state, interface)
        if vpc is not None and vpc.vni in vnis:
            pairs = public_addresses(interface, state.elastic_ips_of(interface.id))
            yield from public_intents(interface, vpc.vni, pairs)


def _instance(state: State, instance: Instance, attached: Attached) -> InstanceIntent:
    mine = [_interface(state, interface) for interface in attached[instance.id]]
    return instance_intent(instance, [intent for intent in mine if intent])


def _attached(state: State) -> Attached:
    found: Attached = defaultdict(list)
    for interface in state.all(NetworkInterface):
        if held := held_attachment(interface):
            found[held.instance_id].append(interface)
    return found


def _place(state: State, interface: NetworkInterface) -> tuple[Vpc | None, Subnet | RegionalPlace | None]:
    subnet = subnet_of(state, interface)
    return (state.get(Vpc, subnet.vpc_id) if subnet else None), subnet


def _interface(state: State, interface: NetworkInterface) -> InterfaceIntent | None:
    vpc, subnet = _place(state, interface)
    if vpc is None or subnet is None:
        return None
    return interface_intent(interface, vpc, subnet, in_effect(state, subnet), mtu=state.mtu, things=state)


def _mappings(state: State, vnis: set[int]) -> dict[tuple[int, str], MappingIntent]:
    found: dict[tuple[int, str], MappingIntent] = {}
    for interface in state.all(NetworkInterface):
        for mapping in _mappings_of(state, interface):
            rival = found.get(mapping.key)
            if mapping.vni in vnis and (rival is None or rank(mapping) > rank(rival)):
                found[mapping.key] = mapping
    return found


def _mappings_of(state: State, interface: NetworkInterface) -> list[MappingIntent]:
    vpc, subnet = _place(state, interface)
    address = "" if interface.cell_attachment else _host_address(state, interface)
    if vpc is None or subnet is None or address is None:
        return []
    stamp = state.stamp(interface)
    return interface_mappings(
        interface, vpc, subnet, address, generation=stamp.revision, issued=int(stamp.time)
    )


def _host_address(state: State, interface: NetworkInterface) -> str | None:
    """None: it lives at no host now."""
    attachment = held_attachment(interface)
    instance = state.get(Instance, attachment.instance_id) if attachment else None
    host = state.hosts.get(attachment.host) if attachment else None
    return host.address if host and instance and instance.wanted == RUNNING else None


def _sends_in(state: State, host: str) -> int | None:
    """In the name of which zone it sends: none that holds no instances."""
    found = state.hosts.get(host)
    return found.zone if found and not found.is_edge and not found.cell else None


def _routes(state: State, tables: set[int], zone: int | None = None) -> dict[tuple[int, str], RouteIntent]:
    used = (table for table in state.all(RouteTable) if table.number in tables)
    pairs = ((table, state.get(Vpc, table.vpc_id)) for table in used)
    return {route.key: route for table, vpc in pairs if vpc for route in routes_of(table, vpc, state, zone)}


def _policies(state: State, active: list[InterfaceIntent]) -> Iterator[RuleIntent]:
    """Should a fault give one set of groups to two VPCs, the smaller VNI wins."""
    sets = {(interface.vni, distinct(state.interfaces[interface.id].groups)) for interface in active}
    for vni, groups in sorted(sets, reverse=True):
        vpc = next(vpc for vpc in state.all(Vpc) if vpc.vni == vni)
        if groups:
            yield policy_intent(vpc, groups, {peer.id for peer in _peers(state, vpc)}, state)


def _acls(state: State, active: list[InterfaceIntent]) -> Iterator[RuleIntent]:
    numbers = {interface.acl for interface in active}
    acls: list[NetworkAcl | OpenAcl] = [*state.all(NetworkAcl), *filter(None, map(open_acl, state.all(NatGateway)))]
    pairs = ((acl, state.get(Vpc, acl.vpc_id)) for acl in acls if acl.number in numbers)
    return (acl_intent(acl, vpc) for acl, vpc in pairs if vpc)


def _peers(state: State, vpc: Vpc) -> list[Vpc]:
    return peers_of(vpc, state.peerings.values(), state.vpcs)


def _peerings(state: State, own: list[Vpc]) -> Iterator[RuleIntent]:
    return (row for vpc in own for peer in _peers(state, vpc) for row in peering_intents(vpc, peer))


def _zones(state: State, own: list[Vpc]) -> Iterator[RuleIntent]:
    return (row for vpc in own for row in zone_intents(vpc, state.all(PrivateZone)))


def _names(state: State, vnis: set[int]) -> Iterator[RuleIntent]:
    attached = _attached(state)
    for instance in state.all(Instance):
        yield from (name for name in names_of(instance, _instance(state, instance, attached)) if name.vni in vnis)


def _of_interfaces(state: State, vnis: set[int]) -> Iterator[RuleIntent]:
    """The group sets and the forwarders of VPCs."""
    for interface in state.all(NetworkInterface):
        mapping = next(iter(_mappings_of(state, interface)), None)
        if mapping is not None and mapping.vni in vnis:
            if groups := distinct(interface.groups):
                yield GroupSetIntent(number=group_set(groups), groups=groups)
            if mapping.tops or not interface.source_dest_check or _is_target(state, interface):
                yield forwarder_intent(mapping)


def _is_target(state: State, interface: NetworkInterface) -> bool:
    vpc, _ = _place(state, interface)
    tables = (table for table in state.all(RouteTable) if vpc and table.vpc_id == vpc.id)
    return any(route.target == interface.id for table in tables for route in table.routes)
