"""The public addresses of a network interface: those of Elastic IPs, and the one that its primary address got by itself.

That one is drawn when its instance starts and given back when it stops or ends, or when an Elastic IP takes its place; a reboot
keeps it. An interface that should have one and finds an Elastic IP, or an interface beside it at its start, gets none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from msgspec.structs import replace

from rookery.api.filters import Value, Values
from rookery.api.handlers.instance_interfaces import attachment_of
from rookery.api.handlers.public_pools import FreeAddresses, free_addresses
from rookery.api.lookup import find
from rookery.api.operation import View
from rookery.intent.names import public_dns_name
from rookery.model.objects import Instance, NetworkInterface, Vpc

AMAZON = "amazon"  # owns what nobody allocated


class Association(NamedTuple):
    """Of a public address with a private one. Ids: of an Elastic IP's."""

    public: str
    owner: str
    dns_name: str
    allocation_id: str = ""
    association_id: str = ""


def associations_of(view: View, interface: NetworkInterface) -> dict[str, Association]:
    """By private address."""
    found: dict[str, Association] = {}
    if interface.public_address:
        name = dns_name(view, interface, interface.public_address)
        found[interface.primary] = Association(interface.public_address, AMAZON, name)
    for one in view.elastic_ips_of(interface.id):
        name = dns_name(view, interface, one.address)
        found[one.private_address] = Association(one.address, one.account, name, one.id, one.association_id)
    return found


def primary_association(view: View, interface: NetworkInterface) -> Association | None:
    return associations_of(view, interface).get(interface.primary)


def dns_name(view: View, interface: NetworkInterface, address: str) -> str:
    """Empty where the VPC gives its instances no such names."""
    vpc = view.get(Vpc, interface.vpc_id)
    return public_dns_name(address, interface.region) if vpc and vpc.enable_dns_hostnames else ""


def instance_association_shape(association: Association) -> dict[str, Any]:
    """`InstanceNetworkInterfaceAssociation`."""
    return {
        "IpOwnerId": association.owner,
        "PublicDnsName": association.dns_name,
        "PublicIp": association.public,
    }


def association_shape(association: Association) -> dict[str, Any]:
    """`NetworkInterfaceAssociation`."""
    shape = instance_association_shape(association)
    if association.allocation_id:
        shape["AllocationId"] = association.allocation_id
        shape["AssociationId"] = association.association_id
    return shape


def _of_primary(value: Callable[[Association], Value]) -> Callable[[NetworkInterface, View], Value]:
    def values(found: NetworkInterface, view: View) -> Value:
        association = primary_association(view, found)
        return (value(association) or None) if association else None

    return values


def _of_each(value: Callable[[Association], Value]) -> Callable[[NetworkInterface, View], Values]:
    return lambda found, view: [value(one) or None for one in associations_of(view, found).values()]


# Of DescribeNetworkInterfaces.
ASSOCIATION_FILTERS: dict[str, Callable[[NetworkInterface, View], Values]] = {
    "addresses.association.allocation-id": _of_each(lambda one: one.allocation_id),
    "addresses.association.association-id": _of_each(lambda one: one.association_id),
    "addresses.association.owner-id": _of_each(lambda one: one.owner),
    "addresses.association.public-dns-name": _of_each(lambda one: one.dns_name),
    "addresses.association.public-ip": _of_each(lambda one: one.public),
    "association.allocation-id": _of_primary(lambda one: one.allocation_id),
    "association.association-id": _of_primary(lambda one: one.association_id),
    "association.ip-owner-id": _of_primary(lambda one: one.owner),
    "association.public-dns-name": _of_primary(lambda one: one.dns_name),
    "association.public-ip": _of_primary(lambda one: one.public),
}


# ------------------------------------------------------------------------------------ the address that came by itself


def with_addresses(
    view: View, interfaces: Sequence[NetworkInterface], free: FreeAddresses
) -> list[NetworkInterface]:
    """The interfaces of one instance that starts, by device index. Raises InsufficientAddressCapacity; where there are no
    public addresses at all, nobody waits for one."""
    if len(interfaces) != 1 or not free.exist or not is_due(view, interfaces[0]):
        return list(interfaces)
    return [with_address(view, interfaces[0], free)]


def with_address(view: View, interface: NetworkInterface, free: FreeAddresses) -> NetworkInterface:
    """Raises InsufficientAddressCapacity."""
    return replace(interface, public_address=free.draw_one(f"{interface.id} {view.revision}"))


def is_due(view: View, interface: NetworkInterface, besides: str = "") -> bool:
    """It should have an address of its own, and nothing stands for its primary one. `besides`: an Elastic IP that no
    longer counts."""
    if not interface.wants_public_address or interface.public_address:
        return False
    return not any(
        one.private_address == interface.primary and one.id != besides
        for one in view.elastic_ips_of(interface.id)
    )


def without_address(interface: NetworkInterface) -> NetworkInterface:
    """The same object where it has none."""
    return replace(interface, public_address="") if interface.public_address else interface


def without_addresses(interfaces: Iterable[NetworkInterface]) -> list[NetworkInterface]:
    """Those that had one."""
    return [without_address(each) for each in interfaces if each.public_address]


def with_address_again(view: View, interface: NetworkInterface, lost: str) -> NetworkInterface:
    """After it lost the Elastic IP `lost`: a running instance with one interface gets an address as at its start, where one is
    free. (AWS takes some minutes for it.)"""
    if not is_due(view, interface, besides=lost) or not _is_alone_and_runs(view, interface):
        return interface
    drawn = free_addresses(view).draw(1, f"{interface.id} {view.revision}")
    return replace(interface, public_address=drawn[0]) if drawn else interface


def _is_alone_and_runs(view: View, interface: NetworkInterface) -> bool:
    if not interface.attachment:
        return False
    instance = find(view, Instance, attachment_of(interface).instance_id)
    return instance.wanted == "running" and instance.interface_ids == (interface.id,)
