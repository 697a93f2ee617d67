"""Regional NAT gateways: where their interfaces are, which lie in no subnet, and to which of them a zone's packets go.

The data plane knows such an interface by what it knows of every other: a subnet, a route table and a network ACL, by their numbers. All
three are those of the gateway's own route table, and that network ACL admits everything: there is no subnet whose ACL it could be."""

from __future__ import annotations

import string
from collections.abc import Mapping

import msgspec

from rookery.intent.things import InterfaceThing, NatThing
from rookery.intent.vpc import InEffect
from rookery.model.objects import CidrAssociation, NetworkAclAssociation, NetworkAclEntry

# Private addresses of regional gateways: no VPC may have such a block, no instance may send there, and Amazon's services have other
# parts of 169.254.0.0/16.
BLOCK = "169.254.128.0/19"
ENTRY = 100  # as the first entry of a network ACL that AWS makes


class RegionalPlace(msgspec.Struct, frozen=True, gc=False):
    """Of its interfaces (rookery.intent.things.SubnetThing)."""

    id: str  # of the gateway's route table
    number: int
    vpc_id: str
    cidr: str = BLOCK
    ipv6_cidr_associations: tuple[CidrAssociation, ...] = ()
    enable_dns64: bool = False

    @property
    def in_effect(self) -> InEffect:
        return InEffect(self.number, self.number)


class OpenAcl(msgspec.Struct, frozen=True, gc=False):
    """Admits everything (rookery.intent.things.AclThing)."""

    id: str
    number: int
    vpc_id: str
    is_default: bool = False
    associations: tuple[NetworkAclAssociation, ...] = ()

    @property
    def entries(self) -> tuple[NetworkAclEntry, ...]:
        return tuple(
            NetworkAclEntry(number=ENTRY, is_egress=is_egress, allow=True, protocol=-1, cidr=cidr)
            for is_egress in (False, True)
            for cidr in ("0.0.0.0/0", "::/0")
        )


def regional_place(nat: NatThing) -> RegionalPlace | None:
    """None: it is a zonal one, or ended before it had a table."""
    if not nat.route_table_id:
        return None
    return RegionalPlace(id=nat.route_table_id, number=_number(nat.route_table_id), vpc_id=nat.vpc_id)


def open_acl(nat: NatThing) -> OpenAcl | None:
    """As regional_place."""
    place = regional_place(nat)
    return OpenAcl(id=place.id, number=place.number, vpc_id=place.vpc_id) if place else None


def place_without_subnet(interface: InterfaceThing, nats: Mapping[str, NatThing]) -> RegionalPlace | None:
    """None: it is in a subnet, or its gateway is gone."""
    nat = nats.get(interface.cell_attachment.of) if interface.cell_attachment and not interface.subnet_id else None
    return regional_place(nat) if nat else None


def interfaces_of(nat: NatThing) -> tuple[str, ...]:
    """eni-...: those in whose name a cell works while the gateway lives."""
    if nat.zones:
        return tuple(one.interface_id for one in nat.zones if not one.leaving)
    return (nat.interface_id,) if nat.interface_id else ()


def interface_for(nat: NatThing, zone: int | None) -> str:
    """To which packets go that senders of `zone` send to it; None: no zone is theirs. Empty: nowhere. In the automatic mode a zone that
    has no interface yet is served by the first that has; in the manual mode who is not covered is not served."""
    here = [one for one in nat.zones if not one.leaving]
    if not here:
        return nat.interface_id
    own = next((one for one in here if zone_number(one.zone) == zone), None)
    if not nat.automatic and zone is not None:
        return own.interface_id if own else ""
    first = next((one for one in here if one.serves), here[0])
    return own.interface_id if own and own.serves else first.interface_id


def zone_number(zone: str) -> int:
    """As Host.zone."""
    return string.ascii_lowercase.index(zone[-1])


def _number(resource_id: str) -> int:
    return int(resource_id[-8:], 16)
