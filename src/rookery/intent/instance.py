"""What follows from an instance and its network interfaces."""

from __future__ import annotations

from collections.abc import Iterable

from rookery.intent.groups import group_set
from rookery.intent.host import ForwarderIntent, InstanceIntent, InterfaceIntent, MappingIntent
from rookery.intent.names import RESOURCE_NAME, domain_name, host_name
from rookery.intent.services import instance_metadata, interface_services
from rookery.intent.things import InstanceThing, InterfaceThing, SubnetThing, Things, VpcThing
from rookery.intent.tops import tops_of
from rookery.intent.vpc import (
    InEffect,
    ipv6_prefix_length,
    prefix_length,
    resolver_address,
    router_address,
    router_ipv6_address,
    router_mac,
)
from rookery.model.objects import Attachment, NetworkInterface

RUNNING = "running"


def held_attachment(interface: NetworkInterface) -> Attachment | None:
    """None: no host shall hold it. One that is being detached counts for nothing from the moment that was asked for."""
    attachment = interface.attachment
    return attachment if attachment and not attachment.detaching else None


def interface_mappings(
    interface: InterfaceThing,
    vpc: VpcThing,
    subnet: SubnetThing,
    host_address: str,
    *,
    generation: int,
    issued: int,
) -> list[MappingIntent]:
    """One row per address and delegated prefix of an interface that is attached to an instance which shall run, or that lives at a
    cell.

    While the instance is stopped it keeps its addresses, but packets to them lead nowhere: the caller asks for none.
    `host_address` is that of the attachment's host, empty at a cell; `generation` the revision that last changed the interface and
    `issued` when that was."""
    groups, tops = group_set(interface.groups), tops_of(interface)
    return [
        MappingIntent(
            vni=vpc.vni,
            address=address,
            host=host_address,
            interface=interface.number,
            subnet=subnet.number,
            mac=interface.mac,
            source_dest_check=interface.source_dest_check,
            group_set=groups,
            generation=generation,
            issued=issued,
            tops=tops,
        )
        for address in dict.fromkeys((*interface.addresses, *interface.ipv6_addresses, *interface.prefixes))
    ]


def forwarder_intent(mapping: MappingIntent) -> ForwarderIntent:
    """Of the interface whose row this is, should a route lead to it or its source/destination check be off."""
    return ForwarderIntent(
        vni=mapping.vni,
        interface=mapping.interface,
        host=mapping.host,
        subnet=mapping.subnet,
        mac=mapping.mac,
        source_dest_check=mapping.source_dest_check,
        tops=mapping.tops,
        group_set=mapping.group_set if mapping.tops else 0,
    )


def rank(mapping: MappingIntent) -> tuple[int, int]:
    """Should two interfaces claim one address of a VPC, the later change wins."""
    return mapping.generation, mapping.interface


def interface_intent(
    interface: InterfaceThing,
    vpc: VpcThing,
    subnet: SubnetThing,
    in_effect: InEffect,
    *,
    mtu: int,
    things: Things,
) -> InterfaceIntent:
    """Of an attached interface. `mtu` is the largest inner IP packet; `in_effect`: in its subnet."""
    return InterfaceIntent(
        id=interface.id,
        vni=vpc.vni,
        number=interface.number,
        subnet=subnet.number,
        route_table=in_effect.table,
        router=router_address(subnet),
        primary=interface.primary,
        addresses=tuple(interface.addresses),
        prefix_length=prefix_length(subnet),
        mac=interface.mac,
        router_mac=router_mac(subnet.number),
        mtu=mtu,
        source_dest_check=interface.source_dest_check,
        device_index=interface.attachment.device_index if interface.attachment else 0,
        group_set=group_set(interface.groups),
        acl=in_effect.acl,
        resolver=resolver_address(vpc),
        router_ipv6=router_ipv6_address(subnet),
        ipv6_addresses=tuple(interface.ipv6_addresses),
        ipv6_prefix_length=ipv6_prefix_length(subnet),
        tcp_established_seconds=interface.tracking.tcp_established,
        udp_stream_seconds=interface.tracking.udp_stream,
        udp_seconds=interface.tracking.udp,
        services=interface_services(interface, vpc, subnet, things),
    )


def instance_intent(instance: InstanceThing, interfaces: Iterable[InterfaceIntent]) -> InstanceIntent:
    """An instance without interfaces (they went when it was terminated) is named by its id."""
    ordered = tuple(sorted(interfaces, key=lambda interface: (interface.device_index, interface.id)))
    return InstanceIntent(
        id=instance.id,
        wanted=instance.wanted,
        boot=instance.boot,
        hostname=_host_name(instance, ordered),
        domain=domain_name(instance.region),
        user_data=instance.user_data,
        interfaces=ordered,
        kind=instance.kind,
        metadata=instance_metadata(instance),
    )


def _host_name(instance: InstanceThing, interfaces: tuple[InterfaceIntent, ...]) -> str:
    if not interfaces or instance.private_names.hostname_type == RESOURCE_NAME:
        return instance.id
    return host_name(interfaces[0].primary)
