"""Guests that ask, and what they hear.

    VPC 1  10.1.0.0/16 + 203.0.113.0/24, 2600:1f18::/56   guest 10.1.0.5
    VPC 2  10.1.0.0/16 (the same)                         guest 10.1.0.5

Answers are read by dnspython, which had no part in writing them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import dns.flags
import dns.message
import msgspec

from rookery.host.services.dns.server import DnsServer
from rookery.host.services.view import Guest, View
from rookery.intent.host import (
    InstanceIntent,
    InstanceMetadata,
    InterfaceIntent,
    InterfaceServices,
    NameIntent,
    ZoneIntent,
)
from rookery.intent.names import domain_name

IPV6 = "2600:1f18:0:1::5"


def guest(vni: int = 1, *, region: str = "us-east-1", mtu: int = 1500, **services) -> Guest:
    """`services`: fields of InterfaceServices; its hostnames are on unless said otherwise."""
    known = {
        "vpc_cidrs": ("10.1.0.0/16", "203.0.113.0/24"),
        "vpc_ipv6_cidrs": ("2600:1f18:0:1::/64",),
        "dns_hostnames": True,
    }
    interface = InterfaceIntent(
        id=f"eni-{vni}",
        vni=vni,
        number=vni,
        subnet=vni,
        route_table=1,
        router="10.1.0.1",
        primary="10.1.0.5",
        addresses=("10.1.0.5",),
        prefix_length=24,
        mac="02:00:00:00:00:05",
        router_mac="02:00:00:00:00:01",
        mtu=mtu,
        source_dest_check=True,
        device_index=0,
        services=InterfaceServices(**{**known, **services}),
    )
    instance = InstanceIntent(
        id=f"i-{vni}",
        wanted="running",
        boot=1,
        hostname="ip-10-1-0-5",
        domain=domain_name(region),
        user_data="",
        interfaces=(interface,),
        metadata=InstanceMetadata(region=region),
    )
    return Guest(instance, interface)


def with_number(one: Guest, number: int) -> Guest:
    """Another guest of the same VPC."""
    return one._replace(interface=msgspec.structs.replace(one.interface, number=number))


def view(*rows: NameIntent | ZoneIntent) -> View:
    made = View()
    made.replace([], rows)
    return made


def server(*rows: NameIntent | ZoneIntent, upstreams: Iterable[str] = ()) -> DnsServer:
    return DnsServer(view(*rows), list(upstreams))


def question(name: str, kind: str = "A", **how) -> bytes:
    return dns.message.make_query(name, kind, **how).to_wire()


def ask(resolver: DnsServer, who: Guest, name: str, kind: str = "A", **how) -> dns.message.Message:
    """What can be said at once."""
    heard = resolver.quick(who, question(name, kind, **how), over_tcp=False)
    assert heard is not None, f"{name} would be asked of the world"
    return dns.message.from_wire(heard)


def ask_whole(resolver: DnsServer, who: Guest, query: bytes, over_tcp: bool = False) -> bytes | None:
    """At once or not."""
    return resolver.quick(who, query, over_tcp) or asyncio.run(resolver.slow(who, query, over_tcp))


def said(message: dns.message.Message) -> list[str]:
    """The answer section, a line a record: name, TTL, class, type, value."""
    return [line for rrset in message.answer for line in rrset.to_text().splitlines()]


def explanation(message: dns.message.Message) -> str:
    """Of an Extended DNS Error."""
    return next(option.text for option in message.options)
