"""What the host itself can say to a question: private zones and names of instances first, the most specific one; what is
left is the world's."""

from __future__ import annotations

import socket
from typing import NamedTuple

import dns.rcode
import dns.rdatatype
from dns.edns import EDECode

from rookery.host.services.dns import dns64, instance_names, reverse_names
from rookery.host.services.dns.answer import Answer, Record
from rookery.host.services.dns.found import Found, start_of_authority
from rookery.host.services.dns.wire_name import depth, is_within, text_of
from rookery.host.services.dns.zone_names import Zone
from rookery.host.services.view import Guest, View
from rookery.intent.host import ZoneIntent

LONGEST_CHAIN = 16  # aliases
CIRCLE = (EDECode.OTHER, "aliases lead in a circle, or too far")


class Onward(NamedTuple):
    """The world must be asked for `name` (on the wire); `chain` is how the name asked for leads there."""

    chain: tuple[Record, ...]
    name: bytes


class Names:
    """Of all VPCs of the host. What is worked out from the view is kept until the view changes."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._version = view.version
        self._zones: dict[tuple[int, str], Zone] = {}
        self._ipv6: dict[int, dict[str, str]] | None = None

    def resolve(self, guest: Guest, name: bytes, rtype: int) -> Answer | Onward:
        """`name` on the wire, lower case."""
        self._forget_what_is_stale()
        chain: tuple[Record, ...] = ()
        for _ in range(LONGEST_CHAIN):
            found = self._find(guest, name)
            if found is None:
                return Onward(chain, name)
            matching = _matching(found, name, rtype)
            if matching or not found.alias:
                return _answer(found, chain, matching)
            chain += _matching(found, name, dns.rdatatype.CNAME)
            name = found.alias
        return Answer(dns.rcode.SERVFAIL, explanation=CIRCLE)

    def _find(self, guest: Guest, wire: bytes) -> Found | None:
        name = text_of(wire)
        ipv6_names = self._ipv6_names(guest) if is_within(name, "ip6.arpa") else {}
        found = dns64.find_reverse(guest, name) or reverse_names.find(guest, ipv6_names, name) or instance_names.find(self._view, guest, name)
        zone = self._zone(guest, name)
        if zone and (found is None or depth(zone.name) >= depth(found.zone)):
            return zone.find(wire)
        return found

    def _zone(self, guest: Guest, name: str) -> Zone | None:
        """AWS: private zones need enableDnsHostnames."""
        intent = self._view.zone(guest.interface.vni, name)
        if intent is None or not (intent.is_public or guest.interface.services.dns_hostnames):
            return None
        return self._made(intent)

    def _made(self, intent: ZoneIntent) -> Zone:
        key = (intent.vni, intent.name)
        if key not in self._zones:
            self._zones[key] = Zone(intent)
        return self._zones[key]

    def _ipv6_names(self, guest: Guest) -> dict[str, str]:
        if self._ipv6 is None:
            self._ipv6 = _names_by_ipv6_address(self._view)
        return self._ipv6.get(guest.interface.vni, {})

    def _forget_what_is_stale(self) -> None:
        if self._version != self._view.version:
            self._version = self._view.version
            self._zones.clear()
            self._ipv6 = None


def _names_by_ipv6_address(view: View) -> dict[int, dict[str, str]]:
    """By VPC. Of two names of one address the first of the alphabet."""
    found: dict[int, dict[str, str]] = {}
    for row in sorted(view.names(), key=lambda row: row.name, reverse=True):
        for address in row.addresses:
            if ":" in address:
                found.setdefault(row.vni, {})[_as_written(address)] = row.name
    return found


def _as_written(address: str) -> str:
    """In the one way in which reverse names are turned into text."""
    return socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, address))


def _matching(found: Found, name: bytes, rtype: int) -> tuple[Record, ...]:
    if rtype == dns.rdatatype.SOA and (authority := start_of_authority(found.zone)).owner == name:
        return (authority,)
    return tuple(record for record in found.records if rtype in (record.rtype, dns.rdatatype.ANY))


def _answer(found: Found, chain: tuple[Record, ...], matching: tuple[Record, ...]) -> Answer:
    rcode = dns.rcode.NOERROR if found.exists else dns.rcode.NXDOMAIN
    authority = () if matching else (start_of_authority(found.zone),)
    return Answer(rcode, chain + matching, authority, authoritative=True)
