"""The servers of the emulated internet, each in a namespace of its own behind the router.

    rookery-dev-internet   page  192.0.2.81 -- x0 192.0.2.80  rookery-dev-page    http://www.example.com/
                           names 192.0.2.52 -- x0 192.0.2.53  rookery-dev-names   DNS
                                  substrate -- u0 100.64.0.53

The one that knows public names has a leg on the substrate, where the hosts' services ask it for their instances, as a provider's resolver
has one in each world; it forwards no packet between them. It knows the page, itself, and the public names of the region's public
addresses, as they are told outside (inside a VPC its own are told otherwise); nothing else exists.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import NamedTuple

from rookery.api.handlers.places import REGIONS
from rookery.files import write_whole
from rookery.intent.names import public_domain
from rookery.region import namespaces, router_link
from rookery.region.layout import (
    NAMES_ADDRESSES,
    NAMES_SUBSTRATE_ADDRESS,
    OLD_PAGE_NAME,
    PAGE_ADDRESSES,
    PAGE_NAME,
)
from rookery.region.settings import Settings

DEVICE = "x0"
NAMES_NAME = "ns.example.com"
NAT64_NAME, NAT64_ADDRESSES = "ipv4only.arpa", ("192.0.0.170", "192.0.0.171")  # RFC 7050: by what is made of it guests learn the prefix


class Server(NamedTuple):
    port: str  # the router's
    namespace: str
    addresses: tuple[str, str]  # IPv4, IPv6
    router: tuple[str, str]  # its end: IPv4 of the same /31 (RFC 3021), IPv6 of the same /64


def servers(settings: Settings) -> tuple[Server, ...]:
    plan = settings.layout
    return (
        Server("page", plan.page_namespace, PAGE_ADDRESSES, _router(PAGE_ADDRESSES)),
        Server("names", plan.names_namespace, NAMES_ADDRESSES, _router(NAMES_ADDRESSES)),
    )


def _router(server: tuple[str, str]) -> tuple[str, str]:
    ipv4, ipv6 = server
    link = ipaddress.ip_network(f"{ipv6}/64", strict=False)
    return str(ipaddress.ip_address(int(ipaddress.ip_address(ipv4)) ^ 1)), str(link[1])


def write_files(settings: Settings) -> None:
    if settings.edges:
        write_whole(settings.layout.names_config, "".join(f"{line}\n" for line in names_config(settings)).encode())


def names_config(settings: Settings) -> Iterator[str]:
    """dnsmasq's, of which nothing of the machine's own is read."""
    yield from ("no-resolv", "no-hosts", "bind-dynamic", "except-interface=lo", "log-facility=-", "pid-file=")
    yield from (f"listen-address={address}" for address in (*NAMES_ADDRESSES, NAMES_SUBSTRATE_ADDRESS))
    yield "local=/#/"  # what it does not know does not exist
    yield f"host-record={PAGE_NAME},{','.join(PAGE_ADDRESSES)}"
    yield f"host-record={OLD_PAGE_NAME},{PAGE_ADDRESSES[0]}"
    yield from (f"host-record={NAT64_NAME},{address}" for address in NAT64_ADDRESSES)
    yield f"host-record={NAMES_NAME},{','.join(NAMES_ADDRESSES)}"
    for region in REGIONS:
        yield from (f"synth-domain={public_domain(region)},{pool},ec2-" for pool in settings.public_pools)


def lay(settings: Settings) -> None:
    """Makes what is missing, leaves what is there alone. The router's namespace is there, and that of the server of names, which is a
    member of the substrate."""
    if not settings.edges:
        return
    for server in servers(settings):
        if namespaces.ensure(server.namespace):
            namespaces.batch(server.namespace, ["link set lo up"])
        if DEVICE not in namespaces.devices(server.namespace):
            _plug(settings.layout.internet_namespace, server)


def _plug(centre: str, server: Server) -> None:
    router_link.plug(centre, server.port, server.namespace, DEVICE)
    device = f"net.ipv6.conf.{DEVICE}"
    still = ("net.ipv4.ip_forward=0", "net.ipv6.conf.all.forwarding=0")
    own = (f"{device}.accept_dad=0", f"{device}.disable_ipv6=0", f"{device}.accept_ra=0")
    namespaces.run(*namespaces.inside(server.namespace, "sysctl", "-q", "-w", *still, *own))
    namespaces.batch(centre, router_link.up(server.port, server.router))
    ways = (f"route add default via {address}" for address in server.router)
    namespaces.batch(server.namespace, [*router_link.up(DEVICE, server.addresses), *ways])
