"""The configuration of a BIRD 2: of an edge's, and of the router's outside. Pure.

One IPv4 session a neighbour carries both families (RFC 4760). BFD (RFC 5880) looks ten times a second whether the neighbour lives:
three times in a row without an answer, and its routes are gone.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import NamedTuple

BFD_MS = 50
BFD_MULTIPLIER = 4
WAYS = 16  # equal ones that are used at once
OURS = "announced"  # of the static protocols: announced4, announced6


class Peer(NamedTuple):
    """A neighbour on a point-to-point link."""

    name: str  # of the session
    device: str
    local: str
    local_ipv6: str
    remote: str
    asn: int
    passive: bool = False  # waits to be called


class Speaker(NamedTuple):
    router_id: str
    asn: int
    peers: tuple[Peer, ...]
    announced: tuple[str, ...] = ()  # CIDRs of both families


def configuration(speaker: Speaker) -> str:
    """The whole file. Raises ValueError: an announced block is no CIDR."""
    devices = sorted({peer.device for peer in speaker.peers})
    parts = (
        f"# Written by Rookery, anew whenever something changes.\n"
        f"log stderr {{ info, remote, warning, error, auth, fatal, bug }};\n"
        f"router id {speaker.router_id};\n"
        f"protocol device {{ scan time 10; }}\n",
        *map(_kernel, (4, 6)),
        *(_announced(version, speaker.announced) for version in (4, 6)),
        _bfd(devices),
        *(_session(speaker.asn, peer) for peer in speaker.peers),
    )
    return "\n".join(parts)


def _kernel(version: int) -> str:
    """What neighbours announce goes into the kernel, and stays there while BIRD is away: packets do not wait for it."""
    return f"""protocol kernel kernel{version} {{
	ipv{version} {{ import none; export where source = RTS_BGP; }};
	merge paths yes limit {WAYS};
	persist;
}}
"""


def _announced(version: int, blocks: Iterable[str]) -> str:
    mine = sorted({block for block in map(ipaddress.ip_network, blocks) if block.version == version})
    routes = "".join(f"\troute {block} blackhole;\n" for block in mine)
    return f"protocol static {OURS}{version} {{\n\tipv{version};\n{routes}}}\n"


def _bfd(devices: Iterable[str]) -> str:
    interfaces = "".join(
        f'\tinterface "{device}" {{ interval {BFD_MS} ms; idle tx interval {BFD_MS} ms; multiplier {BFD_MULTIPLIER}; }};\n'
        for device in devices
    )
    return f"protocol bfd liveness {{\n{interfaces}}}\n"


def _session(asn: int, peer: Peer) -> str:
    """Attempts follow each other quickly: a neighbour that is back is used again within a second."""
    return f"""protocol bgp {peer.name} {{
	local {peer.local} as {asn};
	neighbor {peer.remote} as {peer.asn};
	interface "{peer.device}";
	direct;
	passive {"yes" if peer.passive else "no"};
	bfd yes;
	hold time 9;
	connect delay time 0;
	connect retry time 1;
	error wait time 1, 2;
	ipv4 {{ import all; export where proto = "{OURS}4"; next hop self; }};
	ipv6 {{ import all; export where proto = "{OURS}6"; next hop address {peer.local_ipv6}; }};
}}
"""
