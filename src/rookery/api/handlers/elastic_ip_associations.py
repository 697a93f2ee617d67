"""Which private address an Elastic IP stands for, and how that ends: its address goes, moves, or its interface goes."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from msgspec.structs import replace

from rookery.api.operation import View
from rookery.model.objects import ElasticIp, NatAddress, NetworkInterface


def disassociated(elastic_ip: ElasticIp) -> ElasticIp:
    """Still allocated."""
    return replace(
        elastic_ip,
        association_id="",
        interface_id="",
        private_address="",
        ended_association_id=elastic_ip.association_id,
    )


def all_disassociated(view: View, interfaces: Iterable[NetworkInterface]) -> list[ElasticIp]:
    """Of interfaces that go."""
    return [disassociated(one) for each in interfaces for one in view.elastic_ips_of(each.id)]


def disassociated_from(
    view: View, interface: NetworkInterface, addresses: Collection[str]
) -> list[ElasticIp]:
    """Of private addresses that leave the interface for good."""
    return [disassociated(one) for one in standing_for(view, interface, addresses)]


def moved_along(
    view: View, losers: Iterable[NetworkInterface], gainer: NetworkInterface, addresses: Collection[str]
) -> list[ElasticIp]:
    """Of private addresses that move to another interface: the associations go with them."""
    return [
        replace(one, interface_id=gainer.id)
        for loser in losers
        for one in standing_for(view, loser, addresses)
    ]


def standing_for(view: View, interface: NetworkInterface, addresses: Collection[str]) -> list[ElasticIp]:
    return [one for one in view.elastic_ips_of(interface.id) if one.private_address in addresses]


def bound_to(elastic_ips: Iterable[ElasticIp], addresses: Iterable[NatAddress], interface_id: str) -> list[ElasticIp]:
    """Associated with a NAT gateway's addresses, one each; there are none of a private gateway."""
    return [
        replace(one, association_id=address.association_id, interface_id=interface_id, private_address=address.private_address)
        for one, address in zip(elastic_ips, addresses, strict=False)
    ]
