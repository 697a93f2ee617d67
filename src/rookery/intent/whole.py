"""All that one host must hold, from the whole state: short and slow. The mapping service's index computes the same
step by step (rookery.mapping.index) and is tested against this."""

from __future__ import annotations

from rookery.intent.host import HostIntent, InstanceIntent, InterfaceIntent, MappingIntent, RouteIntent
from rookery.intent.instance import (
    RUNNING,
    held_attachment,
    instance_intent,
    interface_intent,
    interface_mappings,
    rank,
)
from rookery.intent.state import State
from rookery.intent.vpc import effective_table, effective_tables, routes_of
from rookery.model.objects import Instance, NetworkInterface, RouteTable, Subnet, Vpc


def host_intent(state: State, host: str) -> HostIntent:
    """Its instances, every mapping of the VPCs in which one of them runs, and the routes of the tables they use."""
    instances = [_instance(state, instance) for instance in state.all(Instance) if instance.host == host]
    active = [i for instance in instances if instance.wanted == RUNNING for i in instance.interfaces]
    return HostIntent(
        host=host,
        generation=state.generation,
        instances={instance.key: instance for instance in instances},
        mappings=_mappings(state, {interface.vni for interface in active}),
        routes=_routes(state, {interface.route_table for interface in active}),
    )


def _instance(state: State, instance: Instance) -> InstanceIntent:
    mine = [_interface(state, i) for i in state.all(NetworkInterface) if _attached_to(i, instance)]
    return instance_intent(instance, [intent for intent in mine if intent])


def _attached_to(interface: NetworkInterface, instance: Instance) -> bool:
    held = held_attachment(interface)
    return held is not None and held.instance_id == instance.id


def _place(state: State, interface: NetworkInterface) -> tuple[Vpc | None, Subnet | None]:
    subnet = state.get(Subnet, interface.subnet_id)
    return (state.get(Vpc, subnet.vpc_id) if subnet else None), subnet


def _interface(state: State, interface: NetworkInterface) -> InterfaceIntent | None:
    vpc, subnet = _place(state, interface)
    if vpc is None or subnet is None:
        return None
    tables = effective_tables(table for table in state.all(RouteTable) if table.vpc_id == vpc.id)
    return interface_intent(interface, vpc, subnet, effective_table(subnet, tables), state.mtu)


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
    attachment = held_attachment(interface)
    instance = state.get(Instance, attachment.instance_id) if attachment else None
    host = state.hosts.get(attachment.host) if attachment else None
    if vpc is None or subnet is None or host is None or instance is None or instance.wanted != RUNNING:
        return []
    stamp = state.stamp(interface)
    return interface_mappings(
        interface, vpc, subnet, host.address, generation=stamp.revision, issued=int(stamp.time)
    )


def _routes(state: State, tables: set[int]) -> dict[tuple[int, str], RouteIntent]:
    used = (table for table in state.all(RouteTable) if table.number in tables)
    pairs = ((table, state.get(Vpc, table.vpc_id)) for table in used)
    return {route.key: route for table, vpc in pairs if vpc for route in routes_of(table, vpc)}
