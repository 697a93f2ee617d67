"""What lies beyond the edges: a router in a namespace of its own, and servers behind it (rookery.region.servers).

    rookery-dev-edge-1   x0 198.51.100.1  --  edge-1 198.51.100.0 \
    rookery-dev-edge-2   x0 198.51.100.3  --  edge-2 198.51.100.2  rookery-dev-internet  --  servers

An edge and the router speak BGP over the uplink (BIRD at both ends): the edge announces the public pools and the IPv6 blocks of
VPCs, the router the way to everything else, and it spreads what comes back over all edges that announce (ECMP). Nothing of it is ever
seen in the machine's own namespace. On a real machine the same edge takes a real uplink.
"""

from __future__ import annotations

from contextlib import suppress

import msgspec

from rookery.blackfoot import birdc
from rookery.blackfoot.announcer import speaker
from rookery.blackfoot.bird import Peer, Speaker, configuration
from rookery.blackfoot.birdc import BirdRefused, BirdSilent
from rookery.blackfoot.config import EdgeConfig, Neighbour
from rookery.files import private_folder, write_whole
from rookery.region import namespaces, router_link
from rookery.region.layout import (
    EDGE_ASN,
    OUTSIDE_ASN,
    ROUTER_ADDRESS,
    edge_name,
    uplink_addresses,
)
from rookery.region.node_settings import node_settings
from rookery.region.settings import Settings

UPLINK = "x0"
EVERYWHERE = ("0.0.0.0/0", "::/0")
LAST_RESORT = 4096  # metric of the way out while BGP knows none: BIRD may be restarting


def edge_config(settings: Settings, index: int) -> EdgeConfig:
    (router, _), (own, own_ipv6) = uplink_addresses(index)
    return EdgeConfig(
        **node_settings(settings, edge_name(index), settings.edge_address_of(index)),
        uplink_device=UPLINK,
        uplink_address=own,
        uplink_ipv6=own_ipv6,
        asn=EDGE_ASN,
        neighbours=[Neighbour(address=router, asn=OUTSIDE_ASN)],
        public_pools=list(settings.public_pools),
    )


def router(settings: Settings) -> Speaker:
    peers = []
    for index, name in enumerate(settings.edge_names):
        (own, own_ipv6), (edge, _) = uplink_addresses(index)
        peers.append(Peer(name.replace("-", ""), name, own, own_ipv6, edge, EDGE_ASN, passive=True))
    return Speaker(ROUTER_ADDRESS, OUTSIDE_ASN, tuple(peers), EVERYWHERE)


def write_files(settings: Settings) -> None:
    """Of an edge that begins BIRD announces nothing: its agent will, when the tables are filled."""
    if not settings.edges:
        return
    for index in range(settings.edges):
        config = edge_config(settings, index)
        folder = settings.layout.host_run(config.name)
        write_whole(folder / "edge.json", msgspec.json.format(msgspec.json.encode(config)))
        if not config.bird_config.exists():
            write_whole(config.bird_config, configuration(speaker(config, ())).encode())
    private_folder(settings.layout.internet_run)
    write_whole(settings.layout.internet_run / "bird.conf", configuration(router(settings)).encode())


def tell_router(settings: Settings) -> None:
    """Of its file. A router that is only about to start reads it then."""
    with suppress(BirdSilent, BirdRefused):
        birdc.reconfigure(settings.layout.internet_run / "bird.ctl")


def lay(settings: Settings) -> None:
    """Makes what is missing, leaves what is there alone. The edges' namespaces are there (rookery.region.substrate)."""
    if not settings.edges:
        return
    centre = settings.layout.internet_namespace
    if namespaces.ensure(centre):
        _open(centre)
    for index, name in enumerate(settings.edge_names):
        if UPLINK not in namespaces.devices(settings.layout.host_namespace(name)):
            _hush(settings, index)
            _plug(settings, index)


def _hush(settings: Settings, index: int) -> None:
    """On a new device there is no program yet: the edge announces nothing until an agent has attached one and says so."""
    config = edge_config(settings, index)
    write_whole(config.bird_config, configuration(speaker(config, ())).encode())
    with suppress(BirdSilent, BirdRefused):  # nobody there to be told
        birdc.reconfigure(config.bird_socket)


def _open(centre: str) -> None:
    spread = ("net.ipv4.fib_multipath_hash_policy=1", "net.ipv6.fib_multipath_hash_policy=1")  # by ports, too
    forward = ("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
    # Neighbours are asked from the link-local address, and for a second after a cable is plugged it would be in doubt.
    sure = ("net.ipv6.conf.default.accept_dad=0",)
    namespaces.run(*namespaces.inside(centre, "sysctl", "-q", "-w", *spread, *forward, *sure))
    namespaces.batch(centre, ("link set lo up", f"address add {ROUTER_ADDRESS} dev lo"))


def _plug(settings: Settings, index: int) -> None:
    centre, port = settings.layout.internet_namespace, edge_name(index)
    here = settings.layout.host_namespace(port)
    outer, inner = uplink_addresses(index)
    router_link.plug(centre, port, here, UPLINK)
    device = f"net.ipv6.conf.{UPLINK}"
    namespaces.run(*namespaces.inside(here, "sysctl", "-q", "-w", f"{device}.accept_dad=0", f"{device}.disable_ipv6=0"))
    namespaces.batch(centre, router_link.up(port, outer))
    ways = (f"route add default via {address} metric {LAST_RESORT}" for address in outer)
    namespaces.batch(here, [*router_link.up(UPLINK, inner), *ways])
