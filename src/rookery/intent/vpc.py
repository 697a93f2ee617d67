"""What follows from a VPC and its subnets: which table and which network ACL are in effect, and the router."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from rookery.intent.things import AclThing, SubnetThing, TableThing, VpcThing

NO_TABLE = 0  # the data plane finds no route in it
NO_ACL = 0  # the data plane lets nothing pass


class InEffect(NamedTuple):
    """In a subnet: numbers, see effective_table and effective_acl."""

    table: int = NO_TABLE
    acl: int = NO_ACL


def effective_tables(tables: Iterable[TableThing]) -> dict[str, int]:
    """Subnet id -> number of the table that names it, of one VPC's tables; the main table is under ""."""
    found: dict[str, int] = {}
    for table in sorted(tables, key=lambda table: table.id):
        for association in table.associations:
            if not association.gateway_id:
                found.setdefault(association.subnet_id, table.number)
    return found


def effective_table(subnet: SubnetThing, tables: dict[str, int]) -> int:
    """The number of the one table that routes for the subnet; `tables` as from effective_tables."""
    return tables.get(subnet.id, tables.get("", NO_TABLE))


def effective_acls(acls: Iterable[AclThing]) -> dict[str, int]:
    """Subnet id -> number of the network ACL that names it, of one VPC's; the default one is under ""."""
    found: dict[str, int] = {}
    for acl in sorted(acls, key=lambda acl: acl.id):
        if acl.is_default:
            found.setdefault("", acl.number)
        for association in acl.associations:
            found.setdefault(association.subnet_id, acl.number)
    return found


def effective_acl(subnet: SubnetThing, acls: dict[str, int]) -> int:
    """The number of the one network ACL that guards the subnet; `acls` as from effective_acls."""
    return acls.get(subnet.id, acls.get("", NO_ACL))


def router_address(subnet: SubnetThing) -> str:
    """The first address after the network's: 10.0.0.1 in 10.0.0.0/24."""
    return _nth(subnet.cidr, 1)


def router_ipv6_address(subnet: SubnetThing) -> str:
    """Of its IPv6 block; empty: it has none."""
    return _nth(subnet.ipv6_cidr_associations[0].cidr, 1) if subnet.ipv6_cidr_associations else ""


def resolver_address(vpc: VpcThing) -> str:
    """The second address after the network's, in the VPC's primary block: 10.0.0.2 in 10.0.0.0/16."""
    return _nth(vpc.cidr_associations[0].cidr, 2)


@lru_cache(maxsize=65_536)  # many interfaces ask for one; reading a block takes longer than the rest of one
def _nth(cidr: str, n: int) -> str:
    return str(ipaddress.ip_network(cidr).network_address + n)


def router_mac(subnet_number: int) -> str:
    """Locally administered and unlike any interface's (those begin with 02): 0e, 'R', the subnet's number."""
    octets = b"\x0eR" + subnet_number.to_bytes(4, "big")
    return octets.hex(":")


def prefix_length(subnet: SubnetThing) -> int:
    return int(subnet.cidr.rpartition("/")[2])


def ipv6_prefix_length(subnet: SubnetThing) -> int:
    """64 where there is no block: AWS has no other."""
    blocks = subnet.ipv6_cidr_associations
    return int(blocks[0].cidr.rpartition("/")[2]) if blocks else 64
