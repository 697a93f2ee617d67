"""/network/interfaces/macs/: what an instance may ask about each of its interfaces."""

from __future__ import annotations

from rookery.host.services.metadata.directory import Directory
from rookery.intent.host import InstanceIntent, InterfaceIntent
from rookery.intent.names import host_name

NETWORK_CARD = "0"  # instance types here have one
PRIMARY = 0  # device index


def interfaces(instance: InstanceIntent) -> Directory:
    macs = {interface.mac.lower(): _items(instance, interface) for interface in instance.interfaces}
    return Directory({"interfaces": Directory({"macs": Directory(macs)})})


def lines(values: tuple[str, ...]) -> str:
    return "\n".join(values)


def local_hostname(instance: InstanceIntent, interface: InterfaceIntent) -> str:
    """With the domain that DHCP gives, and with none when it gives none: so AWS does, however many names that is."""
    name = instance.hostname if interface.device_index == PRIMARY else host_name(interface.primary)
    domain = interface.services.dhcp.domain_name
    return f"{name}.{domain}" if domain else name


def group_names(interface: InterfaceIntent) -> str:
    return lines(tuple(name for _, name in interface.services.groups))


def _items(instance: InstanceIntent, interface: InterfaceIntent) -> Directory:
    services = interface.services
    return Directory(
        {
            "device-number": str(interface.device_index),
            "interface-id": interface.id,
            "ipv4-prefix": lines(tuple(prefix for prefix in services.prefixes if ":" not in prefix)),
            "ipv6-prefix": lines(tuple(prefix for prefix in services.prefixes if ":" in prefix)),
            "ipv6s": lines(interface.ipv6_addresses),
            "local-hostname": local_hostname(instance, interface),
            "local-ipv4s": lines(interface.addresses),
            "mac": interface.mac.lower(),
            "network-card": NETWORK_CARD,
            "owner-id": services.account,
            "security-group-ids": lines(tuple(identity for identity, _ in services.groups)),
            "security-groups": group_names(interface),
            "subnet-id": services.subnet,
            "subnet-ipv4-cidr-block": services.subnet_cidr,
            "subnet-ipv6-cidr-blocks": lines(services.subnet_ipv6_cidrs),
            "vpc-id": services.vpc,
            "vpc-ipv4-cidr-block": services.vpc_cidrs[0] if services.vpc_cidrs else "",
            "vpc-ipv4-cidr-blocks": lines(services.vpc_cidrs),
            "vpc-ipv6-cidr-blocks": lines(services.vpc_ipv6_cidrs),
        }
    )
