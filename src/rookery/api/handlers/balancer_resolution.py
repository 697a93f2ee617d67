"""What a load balancer's names lead to, as its targets come and go: a private zone of every VPC that its owner has in the region.

At AWS all the world resolves these names; here the resolvers of VPCs do, and nobody else."""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType

from rookery.api.handlers.balancer_shape import Fronts, interface_in
from rookery.api.handlers.public_addresses import primary_association
from rookery.api.operation import View
from rookery.intent.balanced_targets import Found, healthy_zones, placed_targets
from rookery.intent.balancer_names import records_of, zone_name
from rookery.model.balancers import BalancerZone, Listener, LoadBalancer, TargetGroup
from rookery.model.objects import ElasticIp, Instance, NetworkInterface, PrivateZone, Subnet, Vpc


def names_id(balancer: LoadBalancer) -> str:
    """One for each balancer: it follows from the balancer's."""
    return f"{PrivateZone.PREFIX}-0{balancer.digits}"


def names_of(
    view: View, balancer: LoadBalancer, fronts: Fronts = MappingProxyType({}), without: str = ""
) -> PrivateZone:
    """`without`: a VPC that goes."""
    addresses = {zone.zone: address_in(view, balancer, zone, fronts) for zone in balancer.zones}
    ipv6 = {zone.zone: address for zone in balancer.zones if (address := interface_in(view, zone, fronts).first_ipv6)}
    answering = _answering(view, balancer)
    return PrivateZone(
        account=balancer.account,
        region=balancer.region,
        id=names_id(balancer),
        created=balancer.created,
        name=zone_name(balancer),
        vpc_ids=tuple(sorted(vpc.id for vpc in view.all(Vpc) if vpc.id != without)),
        records=records_of(balancer, addresses, ipv6, answering),
        of=balancer.id,
        is_public=True,
    )


def address_in(view: View, balancer: LoadBalancer, zone: BalancerZone, fronts: Fronts) -> str:
    """To which its name leads: the public one of a balancer that faces the internet, from inside the VPC too."""
    interface = interface_in(view, zone, fronts)
    if balancer.is_internal:
        return interface.primary
    if zone.interface_id in fronts:
        return interface.public_address or _elastic_ip(view, zone)
    association = primary_association(view, interface)
    return association.public if association else interface.primary


def _elastic_ip(view: View, zone: BalancerZone) -> str:
    """Of an association that the same request makes."""
    found = view.get(ElasticIp, zone.allocation_id)
    return found.address if found else ""


def _answering(view: View, balancer: LoadBalancer) -> list[str]:
    """Its zones in which every group has healthy targets."""
    lookup = ViewLookup(view)
    groups = [
        (group, placed_targets(balancer, group, lookup, Found(group, view.target_health())))
        for group in groups_of(view, balancer)
    ]
    return healthy_zones(balancer, groups)


def groups_of(view: View, balancer: LoadBalancer) -> list[TargetGroup]:
    """Those to which its listeners send, each once."""
    listeners = (one for one in view.all(Listener) if one.balancer_id == balancer.id)
    used = dict.fromkeys(forward.group_id for one in listeners for forward in one.forwards)
    return [group for group_id in used if (group := view.get(TargetGroup, group_id))]


def stale_names(view: View) -> Iterable[PrivateZone]:
    """Those of balancers whose records or VPCs are others by now."""
    for balancer in view.all(LoadBalancer):
        names = names_of(view, balancer)
        if names != view.get(PrivateZone, names.id):
            yield names


def names_without_vpc(view: View, vpc_id: str) -> list[PrivateZone]:
    """Of balancers in other VPCs, when this one goes."""
    return [names_of(view, balancer, without=vpc_id) for balancer in view.all(LoadBalancer)]


class ViewLookup:
    """rookery.intent.balanced_targets.Lookup of one account."""

    def __init__(self, view: View):
        self._view = view

    def instance(self, instance_id: str) -> Instance | None:
        return self._view.get(Instance, instance_id)

    def interface(self, interface_id: str) -> NetworkInterface | None:
        return self._view.get(NetworkInterface, interface_id)

    def holder(self, vpc_id: str, address: str) -> NetworkInterface | None:
        for subnet in self._view.in_vpc(Subnet, vpc_id):
            holder = self._view.held_addresses(subnet.id).get(address)
            if holder:
                return self._view.get(NetworkInterface, holder)
        return None
