"""Who asks in these tests: three instances, two of which have one address in two VPCs."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from rookery.dataplane.formats import AskedAt, CallerSource
from rookery.host.services.caller import Caller, address_of
from rookery.host.services.metadata.answers import Answer, Asker, Request, answer
from rookery.host.services.metadata.contents import contents
from rookery.host.services.view import View
from rookery.intent.host import (
    DhcpIntent,
    InstanceIntent,
    InstanceMetadata,
    InterfaceIntent,
    InterfaceServices,
)
from rookery.model.objects import MetadataOptions

KEY = bytes(range(32))
NOW = 1_764_230_400.0
OPEN = MetadataOptions()


def interface(number: int, vpc: int, last: int, index: int = 0, **more: Any) -> InterfaceIntent:
    """10.7.1.`last` of the VPC `vpc`, with nothing of IPv6."""
    services = InterfaceServices(
        account="111111111111",
        vpc=f"vpc-{vpc}",
        subnet=f"subnet-{vpc}1",
        subnet_cidr="10.7.1.0/24",
        vpc_cidrs=("10.7.0.0/16", "10.9.0.0/16"),
        groups=((f"sg-{vpc}1", "web"), (f"sg-{vpc}2", "ssh")),
        dhcp=DhcpIntent(domain_name="ec2.internal"),
    )
    return InterfaceIntent(
        id=f"eni-{number}", vni=vpc, number=number, subnet=vpc << 8, route_table=vpc << 9, router="10.7.1.1",
        primary=f"10.7.1.{last}", addresses=(f"10.7.1.{last}",), prefix_length=24, mac=f"02:07:01:{vpc:02X}:00:{last:02X}",
        router_mac="02:07:01:00:00:01", mtu=1500, source_dest_check=True, device_index=index, services=services, **more,
    )  # fmt: skip


def instance(identity: str, *interfaces: InterfaceIntent, **more: Any) -> InstanceIntent:
    """`more`: of its metadata."""
    metadata = InstanceMetadata(
        account="111111111111", region="us-east-1", zone="us-east-1a", zone_id="use1-az1", image="ami-1",
        instance_type="t3.micro", reservation="r-1", launched=NOW, **more,
    )  # fmt: skip
    return InstanceIntent(
        id=identity, wanted="running", boot=1, hostname="ip-" + interfaces[0].primary.replace(".", "-"),
        domain="ec2.internal", user_data="", interfaces=interfaces, metadata=metadata,
    )  # fmt: skip


A = instance("i-a", interface(11, 7, 5))
B = instance("i-b", interface(21, 8, 5))  # A's address, in another VPC
C = instance("i-c", interface(31, 7, 6))


def with_options(who: InstanceIntent, **options: Any) -> InstanceIntent:
    return replace(who, metadata=replace(who.metadata, options=MetadataOptions(**options)))


def with_user_data(who: InstanceIntent, data: bytes) -> InstanceIntent:
    return replace(who, user_data=base64.b64encode(data).decode())


def view_of(*instances: InstanceIntent) -> View:
    view = View()
    view.replace(instances, ())
    return view


def address(who: InstanceIntent, last: int = 5) -> str:
    """From which the services see who asks from 10.7.1.`last`."""
    identifier = bytes([0, 0, 0, 0, 10, 7, 1, last])
    return address_of(Caller(who.interfaces[0].number, CallerSource.IPV4, AskedAt.SERVICE, identifier))


def ipv6_address(who: InstanceIntent) -> str:
    identifier = bytes([0, 0, 0, 0, 0, 0, 0, 5])
    return address_of(Caller(who.interfaces[0].number, CallerSource.IPV6, AskedAt.SERVICE, identifier))


def ask(
    who: InstanceIntent,
    target: str,
    method: str = "GET",
    now: float = NOW,
    source: CallerSource = CallerSource.IPV4,
    **headers: str,
) -> Answer:
    """Without a wire. `headers`: x_forwarded_for for X-Forwarded-For."""
    given = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    return answer(Request(method, target.encode(), given), Asker(who, contents(who), source), KEY, now)


def token_of(
    who: InstanceIntent, seconds: int = 60, now: float = NOW, ask: Callable[..., Answer] = ask
) -> str:
    made = ask(who, "/latest/api/token", "PUT", now, x_aws_ec2_metadata_token_ttl_seconds=str(seconds))
    assert made.status == 200
    return made.body.decode()
