"""What the services on an instance's wire must know of an interface and of an instance."""

from __future__ import annotations

from collections.abc import Iterable

from rookery.intent.dhcp import NOTHING, dhcp_intent
from rookery.intent.gateways import public_addresses
from rookery.intent.host import DhcpIntent, InstanceMetadata, InterfaceServices
from rookery.intent.things import InstanceThing, InterfaceThing, SubnetThing, Things, VpcThing
from rookery.intent.zones import zone_id
from rookery.model.objects import CidrAssociation

ENABLED = "enabled"


def interface_services(
    interface: InterfaceThing, vpc: VpcThing, subnet: SubnetThing, things: Things
) -> InterfaceServices:
    """Subnets are not shared between accounts: who owns the VPC owns the interface."""
    return InterfaceServices(
        account=vpc.account,
        vpc=vpc.id,
        subnet=subnet.id,
        subnet_cidr=subnet.cidr,
        subnet_ipv6_cidrs=_cidrs(subnet.ipv6_cidr_associations),
        vpc_cidrs=_cidrs(vpc.cidr_associations),
        vpc_ipv6_cidrs=_cidrs(vpc.ipv6_cidr_associations),
        prefixes=tuple(interface.prefixes),
        groups=_named(interface.groups, things),
        dns_support=vpc.enable_dns_support,
        dns_hostnames=vpc.enable_dns_hostnames,
        dns64=subnet.enable_dns64,
        dhcp=_dhcp(vpc, things),
        public=public_addresses(interface, things.elastic_ips_of(interface.id)),
    )


def _cidrs(associations: Iterable[CidrAssociation]) -> tuple[str, ...]:
    return tuple([association.cidr for association in associations])


def _named(groups: Iterable[str], things: Things) -> tuple[tuple[str, str], ...]:
    """One that is gone has no name."""
    found = ((group, things.security_groups.get(group)) for group in dict.fromkeys(groups))
    return tuple((identity, group.name if group else "") for identity, group in found)


def _dhcp(vpc: VpcThing, things: Things) -> DhcpIntent:
    options = things.dhcp_options.get(vpc.dhcp_options_id)
    return dhcp_intent(options.configurations) if options else NOTHING


def instance_metadata(instance: InstanceThing) -> InstanceMetadata:
    shown = instance.tags if instance.metadata.tags == ENABLED else {}
    return InstanceMetadata(
        account=instance.account,
        region=instance.region,
        zone=instance.zone,
        zone_id=zone_id(instance.region, instance.zone),
        image=instance.image_id,
        instance_type=instance.instance_type,
        reservation=instance.reservation_id,
        launch_index=instance.launch_index,
        launched=instance.launched,
        key_name=instance.key_name,
        public_key=instance.public_key,
        tags=tuple(sorted(shown.items())),
        options=instance.metadata,
    )
