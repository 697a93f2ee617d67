"""Guests for the services: two VPCs, twins in them, addresses as everywhere (10.<vpc>.<subnet>.<instance>)."""

from __future__ import annotations

from typing import Any

import msgspec

from rookery.host.services.view import Guest
from rookery.intent.host import (
    DhcpIntent,
    InstanceIntent,
    InstanceMetadata,
    InterfaceIntent,
    InterfaceServices,
)

AWS_DEFAULT = DhcpIntent(domain_name="ec2.internal", name_servers=("AmazonProvidedDNS",))


def guest(vpc: int = 7, number: int = 5, dhcp: DhcpIntent = AWS_DEFAULT, dns_support: bool = True, **interface: Any) -> Guest:
    """The instance 10.<vpc>.1.<number>, and 2001:db8:<vpc>:1::<number>."""
    services = InterfaceServices(
        vpc=f"vpc-{vpc}",
        vpc_cidrs=(f"10.{vpc}.0.0/16",),
        subnet_cidr=f"10.{vpc}.1.0/24",
        subnet_ipv6_cidrs=(f"2001:db8:{vpc}:1::/64",),
        dns_support=dns_support,
        dhcp=dhcp,
    )
    made = InterfaceIntent(
        id=f"eni-{vpc}-{number}",
        vni=vpc,
        number=vpc << 16 | number,
        subnet=vpc << 8 | 1,
        route_table=vpc,
        router=f"10.{vpc}.1.1",
        primary=f"10.{vpc}.1.{number}",
        addresses=(f"10.{vpc}.1.{number}",),
        prefix_length=24,
        mac=f"02:{vpc:02x}:01:00:00:{number:02x}",
        router_mac=f"02:{vpc:02x}:01:00:00:01",
        mtu=9001,
        source_dest_check=True,
        device_index=0,
        resolver=f"10.{vpc}.0.2",
        router_ipv6=f"2001:db8:{vpc}:1::1",
        ipv6_addresses=(f"2001:db8:{vpc}:1::{number:x}",),
        services=services,
    )
    made = msgspec.structs.replace(made, **interface)
    instance = InstanceIntent(
        id=f"i-{vpc}-{number}",
        wanted="running",
        boot=1,
        hostname=f"ip-10-{vpc}-1-{number}",
        domain="ec2.internal",
        user_data="",
        interfaces=(made,),
        metadata=InstanceMetadata(region="us-east-1"),
    )
    return Guest(instance, made)
