"""What follows from a VPC, its subnets and its route tables."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from functools import lru_cache

from rookery.intent.host import RouteIntent
from rookery.intent.things import SubnetThing, TableThing, VpcThing

NO_TABLE = 0  # the data plane finds no route in it


def routes_of(table: TableThing, vpc: VpcThing) -> list[RouteIntent]:
    """The local routes: one for each block of the VPC. Nobody can write them, so nobody stores them."""
    cidrs = dict.fromkeys(association.cidr for association in vpc.cidr_associations)
    return [RouteIntent(table=table.number, destination=cidr, kind="local") for cidr in cidrs]


def effective_tables(tables: Iterable[TableThing]) -> dict[str, int]:
    """Subnet id -> number of the table that names it, of one VPC's tables; the main table is under ""."""
    found: dict[str, int] = {}
    for table in sorted(tables, key=lambda table: table.id):
        for association in table.associations:
            found.setdefault(association.subnet_id, table.number)
    return found


def effective_table(subnet: SubnetThing, tables: dict[str, int]) -> int:
    """The number of the one table that routes for the subnet; `tables` as from effective_tables."""
    return tables.get(subnet.id, tables.get("", NO_TABLE))


def router_address(subnet: SubnetThing) -> str:
    """The first address after the network's: 10.0.0.1 in 10.0.0.0/24."""
    return _router_in(subnet.cidr)


@lru_cache(maxsize=65_536)  # a subnet has many interfaces, and reading a block takes longer than all the rest of one
def _router_in(cidr: str) -> str:
    return str(ipaddress.ip_network(cidr).network_address + 1)


def router_mac(subnet_number: int) -> str:
    """Locally administered and unlike any interface's (those begin with 02): 0e, 'R', the subnet's number."""
    octets = b"\x0eR" + subnet_number.to_bytes(4, "big")
    return octets.hex(":")


def prefix_length(subnet: SubnetThing) -> int:
    return int(subnet.cidr.rpartition("/")[2])
