"""The zones of a load balancer: in each one subnet, one interface at a cell, one address for life."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from msgspec.structs import replace

from rookery.api.errors import unsupported
from rookery.api.handlers.addresses import addresses_of
from rookery.api.handlers.cells import Place, Placing
from rookery.api.handlers.elastic_ip_associations import disassociated
from rookery.api.handlers.managed_interfaces import new_managed_interface
from rookery.api.handlers.public_pools import free_addresses
from rookery.api.handlers.vpc_gateways import internet_gateway_of
from rookery.api.operation import ApiError, Request, View
from rookery.model.balancers import DUALSTACK, BalancerZone, LoadBalancer
from rookery.model.objects import (
    CellAttachment,
    ElasticIp,
    NetworkInterface,
    Resource,
    Shard,
    Subnet,
)

FREE_ADDRESSES = 8  # that a subnet must have for a balancer
INTERFACE_TYPE = "network_load_balancer"


class WantedZone(NamedTuple):
    subnet: Subnet
    elastic_ip: ElasticIp | None = None
    private_address: str = ""  # empty: any
    ipv6_address: str = ""  # empty: any


class Built(NamedTuple):
    """What new zones are made of."""

    zones: tuple[BalancerZone, ...]
    puts: tuple[Resource, ...]
    shards: tuple[Shard, ...]

    @property
    def fronts(self) -> dict[str, NetworkInterface]:
        """The interfaces, by id."""
        return {one.id: one for one in self.puts if isinstance(one, NetworkInterface)}


def wanted_zones(request: Request, view: View, is_internal: bool) -> list[WantedZone]:
    """What Subnets or SubnetMappings ask for, by zone. Raises ValidationError, SubnetNotFound, InvalidSubnet,
    AllocationIdNotFound, InvalidConfigurationRequest."""
    wanted = [_wanted(view, mapping, is_internal) for mapping in _mappings(request)]
    if not wanted:
        raise ApiError("ValidationError", "At least one subnet must be specified")
    subnets = [each.subnet for each in wanted]
    if len({subnet.vpc_id for subnet in subnets}) > 1:
        raise wrong_configuration("All subnets must belong to the same VPC")
    if len({subnet.zone for subnet in subnets}) < len(subnets):
        why = "A load balancer cannot be attached to multiple subnets in the same Availability Zone"
        raise wrong_configuration(why)
    chosen = [each.elastic_ip.id for each in wanted if each.elastic_ip]
    if len(set(chosen)) < len(chosen):
        raise wrong_configuration("An allocation ID can be specified for one subnet only")
    if not is_internal and internet_gateway_of(view, subnets[0].vpc_id) is None:
        raise ApiError("InvalidSubnet", f"VPC {subnets[0].vpc_id} has no internet gateway")
    return sorted(wanted, key=lambda each: each.subnet.zone)


def _mappings(request: Request) -> Sequence[dict[str, Any]]:
    subnets, mappings = request.parameters.get("Subnets"), request.parameters.get("SubnetMappings")
    if subnets and mappings:
        raise ApiError("ValidationError", "You can specify subnets or subnet mappings, but not both")
    return mappings or [{"SubnetId": subnet_id} for subnet_id in subnets or ()]


def _wanted(view: View, mapping: dict[str, Any], is_internal: bool) -> WantedZone:
    if mapping.get("SourceNatIpv6Prefix"):
        raise unsupported("The parameter SourceNatIpv6Prefix is not supported by Rookery yet.")
    subnet_id = mapping.get("SubnetId") or ""
    subnet = view.get(Subnet, subnet_id)
    if subnet is None:
        raise ApiError("SubnetNotFound", f"The subnet ID '{subnet_id[:80]}' does not exist")
    allocation_id, private = mapping.get("AllocationId"), mapping.get("PrivateIPv4Address") or ""
    if allocation_id and is_internal:
        raise wrong_configuration("An internal load balancer cannot have Elastic IP addresses")
    if private and not is_internal:
        raise wrong_configuration(
            "Private IPv4 addresses can only be specified for an internal load balancer"
        )
    elastic_ip = view.get(ElasticIp, allocation_id) if allocation_id else None
    if allocation_id and elastic_ip is None:
        raise ApiError("AllocationIdNotFound", f"The allocation ID '{allocation_id[:80]}' does not exist")
    return WantedZone(subnet, elastic_ip, private, mapping.get("IPv6Address") or "")


def wrong_configuration(why: str) -> ApiError:
    return ApiError("InvalidConfigurationRequest", why)


def build_zones(request: Request, view: View, balancer: LoadBalancer, wanted: Sequence[WantedZone]) -> Built:
    """New ones, of which the balancer has none yet."""
    free = free_addresses(view)
    zones: list[BalancerZone] = []
    puts: list[Resource] = []
    shards: dict[str, Shard] = {}
    placing = Placing(request, view, "Load balancing")
    for each in wanted:
        place = _place(placing, each.subnet)
        shards |= {shard.cell: shard for shard in place.shards}
        interface = _interface(request, view, balancer, each, place.cell.name)
        if each.elastic_ip:
            puts.append(_associated(request, each.elastic_ip, interface))
        elif not balancer.is_internal:
            interface = replace(interface, public_address=free.draw_one(f"{interface.id} {view.revision}"))
        puts.append(interface)
        zones.append(_zone(each, interface))
    return Built(tuple(zones), tuple(puts), tuple(shards.values()))


def _zone(wanted: WantedZone, interface: NetworkInterface) -> BalancerZone:
    return BalancerZone(
        zone=wanted.subnet.zone,
        subnet_id=wanted.subnet.id,
        interface_id=interface.id,
        allocation_id=wanted.elastic_ip.id if wanted.elastic_ip else "",
        private_address=interface.primary if wanted.private_address else "",
        ipv6_address=interface.first_ipv6 if wanted.ipv6_address else "",
    )


def _place(placing: Placing, subnet: Subnet) -> Place:
    """Raises AvailabilityZoneNotSupported, InsufficientCapacity."""
    try:
        return placing.place(subnet.zone)
    except ApiError as error:
        raise ApiError("AvailabilityZoneNotSupported", error.message) from error


def _interface(
    request: Request, view: View, balancer: LoadBalancer, wanted: WantedZone, cell: str
) -> NetworkInterface:
    interface_id = request.ids.new(NetworkInterface.PREFIX)
    return new_managed_interface(
        request,
        wanted.subnet,
        interface_id=interface_id,
        addresses=(_address(view, wanted, interface_id),),
        interface_type=INTERFACE_TYPE,
        attachment=CellAttachment(cell=cell, of=balancer.id),
        description=f"ELB {balancer.path}",
        groups=balancer.groups,
        ipv6_addresses=ipv6_addresses(view, balancer, wanted, interface_id),
    )


def ipv6_addresses(view: View, balancer: LoadBalancer, wanted: WantedZone, seed: str) -> tuple[str, ...]:
    """One where the balancer is to have both families. Raises InvalidConfigurationRequest, InvalidSubnet."""
    if balancer.address_type != DUALSTACK:
        if wanted.ipv6_address:
            raise wrong_configuration("IPv6 addresses can only be specified for a dualstack load balancer")
        return ()
    if not wanted.subnet.ipv6_cidr_associations:
        why = f"The subnet '{wanted.subnet.id}' has no IPv6 CIDR block, which a dualstack load balancer needs"
        raise ApiError("InvalidSubnet", why)
    addresses = addresses_of(view, wanted.subnet).ipv6
    if not wanted.ipv6_address:
        return tuple(addresses.draw(1, seed))
    try:
        return (addresses.take(wanted.ipv6_address),)
    except ApiError as error:  # in the words of EC2
        raise wrong_configuration(error.message) from error


def _address(view: View, wanted: WantedZone, seed: str) -> str:
    addresses = addresses_of(view, wanted.subnet)
    if addresses.free < FREE_ADDRESSES:
        why = f"Not enough IP space available in {wanted.subnet.id}. ELB requires at least {FREE_ADDRESSES} free IP addresses in each subnet"
        raise ApiError("InvalidSubnet", why)
    if not wanted.private_address:
        return addresses.draw(1, seed)[0]
    try:
        return addresses.take(wanted.private_address)
    except ApiError as error:  # in the words of EC2
        raise wrong_configuration(error.message) from error


def _associated(request: Request, elastic_ip: ElasticIp, interface: NetworkInterface) -> ElasticIp:
    if elastic_ip.association_id:
        raise ApiError("ResourceInUse", f"The allocation ID '{elastic_ip.id}' is already in use")
    return replace(
        elastic_ip,
        association_id=request.ids.new("eipassoc"),
        interface_id=interface.id,
        private_address=interface.primary,
    )


def left_by(view: View, zones: Sequence[BalancerZone]) -> tuple[list[Resource], list[Resource]]:
    """(what changes, what goes) with zones that a balancer gives up: the Elastic IPs of its owner stay his."""
    interfaces = [one for zone in zones if (one := view.get(NetworkInterface, zone.interface_id))]
    kept = [disassociated(one) for each in interfaces for one in view.elastic_ips_of(each.id)]
    return list(kept), list(interfaces)
