"""What leads out of a VPC and back in: its gateways and its public addresses, and what an edge must hold of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rookery.intent.host import BlockIntent, EdgeIntent, GatewayIntent, PublicIntent
from rookery.intent.things import (
    ElasticIpThing,
    GatewayThing,
    HostThing,
    InterfaceThing,
    TableThing,
    VpcThing,
)

NO_TABLE = 0


def edge_intents(hosts: Iterable[HostThing]) -> Iterator[EdgeIntent]:
    """Everybody knows them: a host sends to them and hears from them."""
    return (EdgeIntent(name=host.name, address=host.address) for host in hosts if host.is_edge)


def gateway_intent(
    vpc: VpcThing,
    internet: Iterable[GatewayThing],
    egress_only: Iterable[GatewayThing],
    tables: Iterable[TableThing],
) -> GatewayIntent | None:
    """None: nothing leads out of the VPC. `internet`, `egress_only`: gateways, attached to it or not; `tables`: the VPC's."""
    attached = {gateway.id for gateway in internet if gateway.attached_vpc_id == vpc.id}
    only_out = any(gateway.attached_vpc_id == vpc.id for gateway in egress_only)
    if not attached and not only_out:
        return None
    return GatewayIntent(
        vni=vpc.vni, internet=bool(attached), egress_only=only_out, route_table=_table_of(attached, tables)
    )


def _table_of(gateways: set[str], tables: Iterable[TableThing]) -> int:
    """For what comes in through one of them. Should a fault associate two tables, the smaller id wins."""
    associated = (
        (table.id, table.number)
        for table in tables
        if any(association.gateway_id in gateways for association in table.associations if association.gateway_id)
    )
    return min(associated, default=("", NO_TABLE))[1]


def public_addresses(interface: InterfaceThing, elastic_ips: Iterable[ElasticIpThing]) -> tuple[tuple[str, str], ...]:
    """(private, public) of each address that has one, in the order of the interface's. `elastic_ips`: those associated with it.
    An address that came by itself gives way to an Elastic IP."""
    found = {interface.primary: interface.public_address} if interface.public_address else {}
    for elastic_ip in sorted(elastic_ips, key=lambda one: one.id):
        if elastic_ip.interface_id == interface.id:
            found[elastic_ip.private_address] = elastic_ip.address
    return tuple((private, found[private]) for private in interface.addresses if private in found)


def public_intents(interface: InterfaceThing, vni: int, pairs: Iterable[tuple[str, str]]) -> tuple[PublicIntent, ...]:
    """`pairs` as from public_addresses()."""
    return tuple(
        PublicIntent(address=public, vni=vni, interface=interface.number, private=private) for private, public in pairs
    )


def block_intents(vpc: VpcThing) -> Iterator[BlockIntent]:
    return (BlockIntent(cidr=block.cidr, vni=vpc.vni) for block in vpc.ipv6_cidr_associations)
