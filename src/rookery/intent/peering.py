"""Which VPCs are each other's peers: an active peering connection joins them, and both exist."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from rookery.intent.host import PeeringIntent
from rookery.intent.things import PeeringThing, VpcThing

V = TypeVar("V", bound=VpcThing)

ACTIVE = "active"


def joined(peering: PeeringThing) -> frozenset[str]:
    """The ids of the two VPCs; empty: no packet passes."""
    sides = frozenset((peering.requester.vpc_id, peering.accepter.vpc_id))
    return sides if peering.status == ACTIVE and len(sides) == 2 else frozenset()


def peer_of(vpc: VpcThing, peering: PeeringThing, vpcs: Mapping[str, V]) -> V | None:
    """The VPC at the other end; None: packets of `vpc` do not get there."""
    sides = joined(peering)
    if vpc.id not in sides:
        return None
    (other,) = sides - {vpc.id}
    return vpcs.get(other)


def peers_of(vpc: VpcThing, peerings: Iterable[PeeringThing], vpcs: Mapping[str, V]) -> list[V]:
    return [peer for peering in peerings if (peer := peer_of(vpc, peering, vpcs))]


def peering_intents(vpc: VpcThing, peer: VpcThing) -> tuple[PeeringIntent, PeeringIntent]:
    """Each admits the other."""
    return PeeringIntent(vni=vpc.vni, peer=peer.vni), PeeringIntent(vni=peer.vni, peer=vpc.vni)
