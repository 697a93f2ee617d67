"""The names of instances in private DNS: no one chooses them, so nobody stores them. And the private zones of VPCs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rookery.intent.host import InstanceIntent, NameIntent, ZoneIntent
from rookery.intent.things import InstanceThing, PrivateZoneThing, VpcThing

RESOURCE_NAME = "resource-name"  # as a host name: the instance's id


def domain_name(region: str) -> str:
    """The private DNS domain of an AWS region; the first region is older than the rule of all others."""
    return "ec2.internal" if region == "us-east-1" else f"{region}.compute.internal"


def host_name(address: str) -> str:
    """`ip-10-0-0-5`, the "ip-name" of an IPv4 address."""
    return "ip-" + address.replace(".", "-")


def private_dns_name(address: str, region: str) -> str:
    """`ip-10-0-0-5.ec2.internal`."""
    return f"{host_name(address)}.{domain_name(region)}"


def resource_name(instance_id: str, region: str) -> str:
    """`i-0123456789abcdef0.ec2.internal`."""
    return f"{instance_id}.{domain_name(region)}"


def has_resource_name(instance: InstanceThing) -> bool:
    """Stopped too, as long as it has its addresses."""
    options = instance.private_names
    return instance.wanted != "terminated" and (options.resource_name_a or options.resource_name_aaaa)


def public_domain(region: str) -> str:
    """Of `ec2-203-0-113-25`; the first region is older than the rule here, too."""
    return "compute-1.amazonaws.com" if region == "us-east-1" else f"{region}.compute.amazonaws.com"


def public_dns_name(address: str, region: str) -> str:
    """`ec2-203-0-113-25.compute-1.amazonaws.com`."""
    return f"ec2-{address.replace('.', '-')}.{public_domain(region)}"


def names_of(instance: InstanceThing, intent: InstanceIntent) -> tuple[NameIntent, ...]:
    """`intent` is the instance's."""
    return (*_resource_names(instance, intent), *_public_names(instance, intent))


def _public_names(instance: InstanceThing, intent: InstanceIntent) -> Iterator[NameIntent]:
    """Inside its VPC a public name leads to the private address, where the VPC gives its instances such names."""
    if instance.wanted == "terminated":
        return
    for interface in intent.interfaces:
        for private, public in interface.services.public if interface.services.dns_hostnames else ():
            name = public_dns_name(public, instance.region)
            yield NameIntent(vni=interface.vni, name=name, addresses=(private,))


def _resource_names(instance: InstanceThing, intent: InstanceIntent) -> tuple[NameIntent, ...]:
    """The resource name, which leads to the primary address of the primary interface and to its first IPv6 address, as far
    as the instance's options say."""
    if not has_resource_name(instance) or not intent.interfaces:
        return ()
    primary = intent.interfaces[0]
    ipv4 = (primary.primary,) if instance.private_names.resource_name_a else ()
    ipv6 = primary.ipv6_addresses[:1] if instance.private_names.resource_name_aaaa else ()
    if not (ipv4 or ipv6):
        return ()
    name = resource_name(instance.id, instance.region)
    return (NameIntent(vni=primary.vni, name=name, addresses=(*ipv4, *ipv6)),)


def zone_intents(vpc: VpcThing, zones: Iterable[PrivateZoneThing]) -> list[ZoneIntent]:
    """Those of `zones` that the VPC has. Should a fault give it two of one name, the smaller id wins."""
    mine = sorted((zone for zone in zones if vpc.id in zone.vpc_ids), key=lambda zone: zone.id)
    found: dict[str, ZoneIntent] = {}
    for zone in mine:
        found.setdefault(zone.name, ZoneIntent(vni=vpc.vni, name=zone.name, records=zone.records, is_public=zone.is_public))
    return list(found.values())
