"""What is the same of every interface in whose name a cell works: its place in its VPC."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypedDict

from rookery.intent.regional import RegionalPlace, place_without_subnet, zone_number
from rookery.intent.state import State
from rookery.intent.vpc import (
    InEffect,
    effective_acl,
    effective_acls,
    effective_table,
    effective_tables,
    router_mac,
)
from rookery.model.objects import Cell, NetworkAcl, NetworkInterface, RouteTable, Subnet, Vpc

MOST_MTU = 8500  # what Hyperplane takes: NAT gateways, balancers and endpoints alike (VPC guide, "NAT gateway basics")


class Place(TypedDict):
    """Fields of AttachmentIntent."""

    id: str
    account: str
    vni: int
    interface: int
    zone: int
    subnet: int
    route_table: int
    acl: int
    primary: str
    mac: str
    router_mac: str
    mtu: int


def attached_to(state: State, cell: Cell) -> Iterable[NetworkInterface]:
    """By id."""
    found = (one for one in state.all(NetworkInterface) if one.cell_attachment is not None)
    mine = (one for one in found if one.cell_attachment and one.cell_attachment.cell == cell.name)
    return sorted(mine, key=lambda one: one.id)


def place_of(state: State, interface: NetworkInterface) -> Place | None:
    """None: its subnet or its VPC is gone."""
    subnet = subnet_of(state, interface)
    vpc = state.get(Vpc, subnet.vpc_id) if subnet else None
    if subnet is None or vpc is None:
        return None
    found = in_effect(state, subnet)
    return Place(
        id=interface.id,
        account=interface.account,
        vni=vpc.vni,
        interface=interface.number,
        zone=zone_number(interface.zone),
        subnet=subnet.number,
        route_table=found.table,
        acl=found.acl,
        primary=interface.primary,
        mac=interface.mac,
        router_mac=router_mac(subnet.number),
        mtu=min(state.mtu, MOST_MTU),
    )


def subnet_of(state: State, interface: NetworkInterface) -> Subnet | RegionalPlace | None:
    """Or what is in its place, of a regional NAT gateway's."""
    return state.get(Subnet, interface.subnet_id) or place_without_subnet(interface, state.nat_gateways)


def in_effect(state: State, subnet: Subnet | RegionalPlace) -> InEffect:
    if isinstance(subnet, RegionalPlace):
        return subnet.in_effect
    tables = effective_tables(one for one in state.all(RouteTable) if one.vpc_id == subnet.vpc_id)
    acls = effective_acls(one for one in state.all(NetworkAcl) if one.vpc_id == subnet.vpc_id)
    return InEffect(effective_table(subnet, tables), effective_acl(subnet, acls))
