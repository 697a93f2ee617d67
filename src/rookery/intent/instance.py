"""What follows from an instance and its network interfaces."""

from __future__ import annotations

from collections.abc import Iterable

from rookery.intent.host import InstanceIntent, InterfaceIntent, MappingIntent
from rookery.intent.names import domain_name, host_name
from rookery.intent.things import InstanceThing, InterfaceThing, SubnetThing, VpcThing
from rookery.intent.vpc import prefix_length, router_address, router_mac
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
    """One row per address of an interface that is attached to an instance which shall run.

    While the instance is stopped it keeps its addresses, but packets to them lead nowhere: the caller asks for none.
    `host_address` is that of the attachment's host; `generation` the revision that last changed the interface and
    `issued` when that was."""
    return [
        MappingIntent(
            vni=vpc.vni,
            address=address,
            host=host_address,
            interface=interface.number,
            subnet=subnet.number,
            mac=interface.mac,
            source_dest_check=interface.source_dest_check,
            generation=generation,
            issued=issued,
        )
        for address in dict.fromkeys(interface.addresses)
    ]


def rank(mapping: MappingIntent) -> tuple[int, int]:
    """Should two interfaces claim one address of a VPC, the later change wins."""
    return mapping.generation, mapping.interface


def interface_intent(
    interface: InterfaceThing, vpc: VpcThing, subnet: SubnetThing, route_table: int, mtu: int
) -> InterfaceIntent:
    """Of an attached interface. `mtu` is the largest inner IP packet; `route_table` a number, see effective_table."""
    return InterfaceIntent(
        id=interface.id,
        vni=vpc.vni,
        number=interface.number,
        subnet=subnet.number,
        route_table=route_table,
        router=router_address(subnet),
        primary=interface.primary,
        addresses=tuple(interface.addresses),
        prefix_length=prefix_length(subnet),
        mac=interface.mac,
        router_mac=router_mac(subnet.number),
        mtu=mtu,
        source_dest_check=interface.source_dest_check,
        device_index=interface.attachment.device_index if interface.attachment else 0,
    )


def instance_intent(instance: InstanceThing, interfaces: Iterable[InterfaceIntent]) -> InstanceIntent:
    """An instance without interfaces (they went when it was terminated) is named by its id."""
    ordered = tuple(sorted(interfaces, key=lambda interface: (interface.device_index, interface.id)))
    return InstanceIntent(
        id=instance.id,
        wanted=instance.wanted,
        boot=instance.boot,
        hostname=host_name(ordered[0].primary) if ordered else instance.id,
        domain=domain_name(instance.region),
        user_data=instance.user_data,
        interfaces=ordered,
    )
