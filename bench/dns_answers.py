"""Answers a second of the resolver on one core, without sockets: a name asked for again, and names nobody asked for before.

    PYTHONPATH=src python -m bench.dns_answers [--json] [--names 10000]

CPU time, so that neighbours on the machine do not count. "again" is met by an answer made before; "first" works it out."""

from __future__ import annotations

import argparse
import json
import struct
import time
from collections.abc import Callable

from rookery.host.services.dns.server import DnsServer
from rookery.host.services.dns.wire_name import wire_of
from rookery.host.services.view import Guest, View
from rookery.intent.host import (
    InstanceIntent,
    InstanceMetadata,
    InterfaceIntent,
    InterfaceServices,
    NameIntent,
)

A, PTR, AAAA = 1, 12, 28
ROUNDS = 5


def guest() -> Guest:
    services = InterfaceServices(
        vpc_cidrs=("10.1.0.0/16",), vpc_ipv6_cidrs=("2600:1f18:0:100::/56",), dns_hostnames=True
    )
    interface = InterfaceIntent(
        id="eni-1",
        vni=1,
        number=1,
        subnet=1,
        route_table=1,
        router="10.1.0.1",
        primary="10.1.0.5",
        addresses=("10.1.0.5",),
        prefix_length=16,
        mac="02:00:00:00:00:05",
        router_mac="02:00:00:00:00:01",
        mtu=1500,
        source_dest_check=True,
        device_index=0,
        services=services,
    )
    instance = InstanceIntent(
        id="i-1",
        wanted="running",
        boot=1,
        hostname="ip-10-1-0-5",
        domain="ec2.internal",
        user_data="",
        interfaces=(interface,),
        metadata=InstanceMetadata(region="us-east-1"),
    )
    return Guest(instance, interface)


def resource_name(n: int) -> str:
    return f"i-{n:017x}.ec2.internal"


def question(name: str, rtype: int, identifier: int) -> bytes:
    return (
        struct.pack("!HHHHHH", identifier & 0xFFFF, 0x100, 1, 0, 0, 0)
        + wire_of(name)
        + struct.pack("!HH", rtype, 1)
    )


def questions(count: int) -> dict[str, list[bytes]]:
    one = "ip-10-1-0-5.ec2.internal"
    firsts: dict[str, Callable[[int], tuple[str, int]]] = {
        "ip-name, first": lambda n: (f"ip-10-{n >> 16}-{n >> 8 & 255}-{n & 255}.ec2.internal", A),
        "resource name, first": lambda n: (resource_name(n), AAAA),
        "reverse, first": lambda n: (f"{n & 255}.{n >> 8 & 255}.1.10.in-addr.arpa", PTR),
        "no such name, first": lambda n: (f"nothing-{n}.ec2.internal", A),
    }
    asked = {name: [question(*make(n), n) for n in range(count)] for name, make in firsts.items()}
    return {"ip-name, again": [question(one, A, n) for n in range(count)], **asked}


def rate(view: View, asked: list[bytes]) -> float:
    """Answers a second of CPU time; the best of some rounds, each with a resolver that knows nothing yet."""
    who, best = guest(), 0.0
    for _ in range(ROUNDS):
        resolver = DnsServer(view, [])
        began = time.process_time()
        for query in asked:
            resolver.quick(who, query, False)
        best = max(best, len(asked) / (time.process_time() - began))
    return best


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--names", type=int, default=10_000)
    arguments = parser.parse_args()
    view = View()
    names = (
        NameIntent(vni=1, name=resource_name(n), addresses=(f"2600:1f18:0:100::{n:x}",))
        for n in range(arguments.names)
    )
    view.replace([], names)
    found = {name: round(rate(view, asked)) for name, asked in questions(arguments.names).items()}
    print(
        json.dumps(found)
        if arguments.json
        else "\n".join(f"{name:24}{count:>12,}/s" for name, count in found.items())
    )


if __name__ == "__main__":
    main()
