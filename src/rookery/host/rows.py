"""From the intent's words to the kernel's rows. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping

from rookery.dataplane import formats
from rookery.dataplane.addresses import address_bytes, mac_bytes, substrate_bytes
from rookery.dataplane.formats import (
    Ifindex,
    InterfaceConfig,
    InterfaceFlag,
    LocalInterface,
    LocalInterfaceKey,
    MappingKey,
    MappingKind,
    Route,
    RouteConstant,
    RouteKey,
    RouteKind,
)
from rookery.intent.host import InstanceIntent, InterfaceIntent, MappingIntent, RouteIntent

Devices = Mapping[tuple[str, int], int]  # (instance, number of an interface) -> ifindex of its host side


def _flags(source_dest_check: bool) -> int:
    return int(InterfaceFlag.SOURCE_DEST_CHECK) if source_dest_check else 0


def _wired(instances: Mapping[str, InstanceIntent], devices: Devices) -> list[tuple[InterfaceIntent, int]]:
    """Interfaces that may speak and have a device. What is terminated may not: its addresses may be another's already.
    A device counts for the instance it is plugged into: an interface that moved is not that of the guest it left."""
    return [
        (interface, devices[instance.id, interface.number])
        for instance in instances.values()
        if instance.wanted != "terminated"
        for interface in instance.interfaces
        if (instance.id, interface.number) in devices
    ]


def interfaces(instances: Mapping[str, InstanceIntent], devices: Devices) -> dict[Ifindex, InterfaceConfig]:
    return {Ifindex(ifindex): _interface(i) for i, ifindex in _wired(instances, devices)}


def _interface(i: InterfaceIntent) -> InterfaceConfig:
    return InterfaceConfig(
        vni=i.vni,
        interface=i.number,
        subnet=i.subnet,
        route_table=i.route_table,
        router=address_bytes(i.router),
        primary=address_bytes(i.primary),
        mac=mac_bytes(i.mac),
        router_mac=mac_bytes(i.router_mac),
        mtu=i.mtu,
        flags=_flags(i.source_dest_check),
    )


def local_interfaces(
    instances: Mapping[str, InstanceIntent], devices: Devices
) -> dict[LocalInterfaceKey, LocalInterface]:
    return {
        LocalInterfaceKey(i.vni, i.number): LocalInterface(
            ifindex=ifindex,
            mtu=i.mtu,
            flags=_flags(i.source_dest_check),
            mac=mac_bytes(i.mac),
            router_mac=mac_bytes(i.router_mac),
            subnet=i.subnet,
        )
        for i, ifindex in _wired(instances, devices)
    }


def mapping_key(key: tuple[int, str]) -> MappingKey:
    return MappingKey(key[0], address_bytes(key[1]))


def mapping_keys(keys: Iterable[tuple[int, str]]) -> list[MappingKey]:
    return list(map(mapping_key, keys))


def mappings(intents: Iterable[MappingIntent]) -> dict[MappingKey, formats.Mapping]:
    return {mapping_key(intent.key): _mapping(intent) for intent in intents}


def _mapping(intent: MappingIntent) -> formats.Mapping:
    return formats.Mapping(
        host=substrate_bytes(intent.host),
        interface=intent.interface,
        subnet=intent.subnet,
        mac=mac_bytes(intent.mac),
        kind=MappingKind.INTERFACE,
        flags=_flags(intent.source_dest_check),
        issued=intent.issued,
        generation=intent.generation,
    )


def route_key(key: tuple[int, str]) -> RouteKey:
    network = ipaddress.ip_network(key[1])
    family = RouteConstant.IPV4_BITS if network.version == 4 else 0
    return RouteKey(
        prefix_length=RouteConstant.TABLE_BITS + family + network.prefixlen,
        table=key[0],
        destination=address_bytes(str(network.network_address)),
    )


def route_keys(keys: Iterable[tuple[int, str]]) -> list[RouteKey]:
    return list(map(route_key, keys))


def routes(intents: Iterable[RouteIntent]) -> dict[RouteKey, Route]:
    """Raises ValueError for a kind that this version does not know: better no row than a wrong one."""
    return {route_key(intent.key): _route(intent) for intent in intents}


def _route(intent: RouteIntent) -> Route:
    try:
        return Route(kind=RouteKind[intent.kind.upper()], target=0)
    except KeyError as error:
        raise ValueError(f"route {intent.destination}: this host does not know the kind {intent.kind!r}") from error
