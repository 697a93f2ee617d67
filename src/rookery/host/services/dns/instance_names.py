"""The names of instances, and those that no resolver may ask the world for.

Most follow from an address and are worked out, whether or not anybody lives there; the others are rows of the view."""

from __future__ import annotations

import socket

from rookery.host.services.dns.block import blocks, one
from rookery.host.services.dns.found import Found, addresses, nothing
from rookery.host.services.dns.wire_name import is_within
from rookery.host.services.view import Guest, View
from rookery.intent.names import domain_name, public_domain

INTERNAL = ("ec2.internal", "compute.internal")  # with those of all regions below
LOCALHOST = "localhost"
LOOPBACK = ("127.0.0.1", "::1")
NEVER_EXIST = ("invalid", "onion")  # RFC 6761, 7686
EVERYWHERE = blocks(("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
NEVER_PUBLIC = EVERYWHERE + blocks(("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3"))

# Whether enableDnsHostnames must be on for ip-10-0-0-5.ec2.internal to resolve. AWS's guide says so, observers differ.
PRIVATE_NAMES_NEED_HOSTNAMES = False


def find(view: View, guest: Guest, name: str) -> Found | None:
    """None: not a name of an instance, nor of those."""
    zone = _zone(name, region(guest))
    if row := view.name(guest.interface.vni, name):
        return addresses(zone or name.partition(".")[2], name, row.addresses)
    return _worked_out(guest, zone, name) if zone else None


def _worked_out(guest: Guest, zone: str, name: str) -> Found:
    private = domain_name(region(guest))
    if zone == private:
        return _private(guest, zone, name)
    if zone == public_domain(region(guest)):
        return _public(zone, name)
    if zone == LOCALHOST:
        return addresses(zone, name, LOOPBACK)
    lies_above = is_within(private, name)  # compute.internal exists, since something below it does
    return addresses(zone, name, ()) if lies_above else nothing(zone)


def region(guest: Guest) -> str:
    return guest.instance.metadata.region


def _zone(name: str, region: str) -> str:
    """The most specific one of ours in which the name lies; empty: none."""
    ours = (domain_name(region), public_domain(region), *INTERNAL, LOCALHOST, *NEVER_EXIST)
    return next((zone for zone in ours if is_within(name, zone)), "")


def _private(guest: Guest, zone: str, name: str) -> Found:
    if name == zone:
        return addresses(zone, name, ())
    if PRIVATE_NAMES_NEED_HOSTNAMES and not guest.interface.services.dns_hostnames:
        return nothing(zone)
    address = _address_in(name, "ip-", zone)
    if address and _is_known(guest, address):
        return addresses(zone, name, (address,))
    return nothing(zone)


def _is_known(guest: Guest, address: str) -> bool:
    """Private addresses are known to all VPCs of the region, others in their own only."""
    asked = one(socket.inet_aton(address))
    return any(block.contains(asked) for block in EVERYWHERE + blocks(guest.interface.services.vpc_cidrs))


def _public(zone: str, name: str) -> Found:
    """As the world sees it: that of the VPC's own instances leads to private addresses and is a row."""
    if name == zone:
        return addresses(zone, name, ())
    address = _address_in(name, "ec2-", zone)
    if address and not any(block.contains(one(socket.inet_aton(address))) for block in NEVER_PUBLIC):
        return addresses(zone, name, (address,))
    return nothing(zone)


def _address_in(name: str, prefix: str, zone: str) -> str:
    """Of ip-10-0-0-5.ec2.internal. Empty: none, or not as addresses are written."""
    label = name.removesuffix(f".{zone}")
    if not label.startswith(prefix) or "." in label:
        return ""
    address = label.removeprefix(prefix).replace("-", ".")
    try:
        return address if socket.inet_ntoa(socket.inet_pton(socket.AF_INET, address)) == address else ""
    except OSError:
        return ""
