"""An edge by itself: its tables filled, nothing attached, and the packets of the instances that it knows.

    10.0.0.0 + n (20.0.0.0 + n outside) -- host -- substrate -- u0 [this edge] x0 -- 192.0.2.1

Its namespace has both devices, with nobody at their other ends, for the programs ask its kernel for the way out."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bench.bare_host import THERE, VPC, udp_packet
from bench.topology import inside, ip
from rookery.dataplane import formats
from rookery.dataplane.addresses import IPV4_PREFIX, substrate_bytes
from rookery.dataplane.edge import EdgeDataplane
from rookery.dataplane.formats import GatewayFlag, MappingKey, PublicKey, VpcNumber
from rookery.intent.host import GatewayIntent, HostIntent, MappingIntent, PublicIntent

HERE, ROUTER, UPLINK = "100.64.1.20", "192.0.2.1", "192.0.2.20"
SERVER, PRIVATE, PUBLIC = bytes((198, 51, 100, 9)), 10 << 24, 20 << 24
PORTS = (1111, 2222)
STEP = 100_000
SYSCTLS = ("ipv4.conf.u0.forwarding=1", "ipv6.conf.u0.forwarding=1", "ipv4.conf.all.rp_filter=0", "ipv4.conf.u0.rp_filter=0")


@contextmanager
def devices(namespace: str) -> Iterator[None]:
    ip("netns", "add", namespace)
    try:
        for device, address in (("u0", f"{HERE}/16"), ("x0", f"{UPLINK}/24")):
            ip("-n", namespace, "link", "add", device, "type", "veth", "peer", "name", f"{device}-end")
            for end in (device, f"{device}-end"):
                ip("-n", namespace, "link", "set", end, "up")
            ip("-n", namespace, "address", "add", address, "dev", device)
        for neighbour, device in ((ROUTER, "x0"), (THERE, "u0")):
            ip("-n", namespace, "neighbour", "add", neighbour, "lladdr", "02:00:00:00:00:01", "dev", device, "nud", "permanent")
        ip("-n", namespace, "route", "add", "default", "via", ROUTER)
        for setting in SYSCTLS:
            inside(namespace, "sysctl", "-qw", f"net.{setting}")
        yield
    finally:
        ip("netns", "delete", namespace)


def configure(real: EdgeDataplane, substrate: int, uplink: int) -> None:
    """`substrate`, `uplink`: ifindex."""
    network, netmask = bytes((100, 64, 0, 0)), bytes((255, 255, 0, 0))
    real.configure_substrate(formats.SubstrateConfig(substrate_bytes(HERE), network, netmask, bytes(4), substrate, 1700))
    real.configure_uplink(formats.UplinkConfig(uplink, 1500, bytes(6), flags=0))
    for device in (substrate, uplink):
        real.reserve_counters(device)
    real.gateways.put_many({VpcNumber(VPC): formats.Gateway(GatewayFlag.INTERNET, route_table=0)})


def _mapped(word: int) -> bytes:
    return IPV4_PREFIX + word.to_bytes(4, "big")


def know(real: EdgeDataplane, first: int, last: int) -> float:
    """So many public addresses, and who has them. Seconds of CPU that the tables took, without what it takes to think of the rows."""
    place, seconds = formats.Mapping(substrate_bytes(THERE), 6, 1, bytes(6), 1, 1, 0, 1, group_set=0), 0.0
    for start in range(first, last, STEP):
        numbers = range(start, min(start + STEP, last))
        places = {MappingKey(VPC, _mapped(PRIVATE + n)): place for n in numbers}
        outward = {MappingKey(VPC, _mapped(PRIVATE + n)): formats.Translation(_mapped(PUBLIC + n), 6) for n in numbers}
        inward = {PublicKey(_mapped(PUBLIC + n)): formats.Public(VPC, 6, _mapped(PRIVATE + n)) for n in numbers}
        begun = time.process_time()
        real.mappings.put_many(places)
        real.translations.put_many(outward)
        real.publics.put_many(inward)
        seconds += time.process_time() - begun
    return seconds


def intent(addresses: int) -> HostIntent:
    """The same, as the mapping service says it to an agent."""
    told = HostIntent(host="edge-1", generation=1)
    for n in range(addresses):
        private, public = (socket.inet_ntoa((word + n).to_bytes(4, "big")) for word in (PRIVATE, PUBLIC))
        place = MappingIntent(vni=VPC, address=private, host=THERE, interface=6, subnet=1, mac="02:00:00:00:00:06",
                              source_dest_check=True, group_set=0, generation=1, issued=0)  # fmt: skip
        address = PublicIntent(address=public, vni=VPC, interface=6, private=private)
        told.mappings[place.key], told.rules[address.key] = place, address
    gateway = GatewayIntent(vni=VPC, internet=True, egress_only=False)
    told.rules[gateway.key] = gateway
    return told


def leaving(number: int) -> bytes:
    inner = bytes(12) + b"\x08\x00" + udp_packet((PRIVATE + number).to_bytes(4, "big"), SERVER, PORTS)
    geneve = struct.pack("!BBHI", 4, 0, 0x6558, VPC << 8) + struct.pack("!HBBIII", 0xFF52, 1, 3, 6, VPC << 8, 0)
    udp = struct.pack("!HHHH", 50000, 6081, 8 + len(geneve) + len(inner), 0)
    ends = substrate_bytes(THERE), substrate_bytes(HERE)
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp + geneve + inner), 0, 0x4000, 64, 17, 0, *ends)
    return bytes(12) + b"\x08\x00" + head + udp + geneve + inner


def arriving(number: int) -> bytes:
    return bytes(12) + b"\x08\x00" + udp_packet(SERVER, (PUBLIC + number).to_bytes(4, "big"), PORTS)


def turning(number: int) -> bytes:
    """To the next one's public address."""
    packet = leaving(number)
    return packet[:96] + (PUBLIC + number + 1).to_bytes(4, "big") + packet[100:]
