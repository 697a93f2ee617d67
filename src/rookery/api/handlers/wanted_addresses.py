"""What a request says of the addresses and prefixes of a new interface, and which it gets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from rookery.api.errors import invalid_combination, invalid_parameter, missing_parameter
from rookery.api.handlers.addresses import SubnetAddresses
from rookery.api.handlers.delegated_prefixes import SubnetPrefixes
from rookery.api.held import IPV4_PER_PREFIX

ADDRESS_PARAMETERS = frozenset(
    {
        "PrivateIpAddress",
        "PrivateIpAddresses",
        "SecondaryPrivateIpAddressCount",
        "Ipv4Prefixes",
        "Ipv4PrefixCount",
        "Ipv6Addresses",
        "Ipv6AddressCount",
        "Ipv6Prefixes",
        "Ipv6PrefixCount",
    }
)
# Of a launch without NetworkInterfaces.
AT_INSTANCE_LEVEL = ("PrivateIpAddress", "Ipv6Addresses", "Ipv6AddressCount", "EnablePrimaryIpv6")


class Given(NamedTuple):
    """As NetworkInterface has them."""

    addresses: tuple[str, ...]
    ipv6_addresses: tuple[str, ...]
    prefixes: tuple[str, ...]


class Wanted(msgspec.Struct, frozen=True):
    """Addresses or prefixes: these ones, or so many. At most one of the two."""

    chosen: tuple[str, ...] = ()
    automatic: int | None = None  # None: nothing was said

    @property
    def count(self) -> int:
        return len(self.chosen) + (self.automatic or 0)


class WantedAddresses(msgspec.Struct, frozen=True, kw_only=True):
    """`primary` empty: any."""

    primary: str = ""
    secondaries: Wanted = Wanted()
    ipv4_prefixes: Wanted = Wanted()
    ipv6: Wanted = Wanted()
    ipv6_prefixes: Wanted = Wanted()
    primary_ipv6: bool = False

    @property
    def count(self) -> int:
        """Of IPv4, as the limits of instance types count."""
        return 1 + self.secondaries.count + self.ipv4_prefixes.count

    @property
    def ipv6_count(self) -> int:
        return self.ipv6.count + self.ipv6_prefixes.count

    @property
    def size(self) -> int:
        """Addresses that are gone from the subnet."""
        return 1 + self.secondaries.count + IPV4_PER_PREFIX * self.ipv4_prefixes.count

    @property
    def chosen(self) -> bool:
        """Something is asked for by number, so that only one interface can have it."""
        several = (self.secondaries, self.ipv4_prefixes, self.ipv6, self.ipv6_prefixes)
        return bool(self.primary or any(one.chosen for one in several))

    def allocate(self, addresses: SubnetAddresses, seed: str) -> Given:
        """Primary first. Chosen ones are taken before any is drawn, and prefixes are drawn before addresses break their
        blocks up."""
        primary = [addresses.take(self.primary)] if self.primary else []
        secondaries = [addresses.take(address) for address in self.secondaries.chosen]
        ipv6 = [addresses.ipv6.take(address) for address in self.ipv6.chosen]
        prefixes = self._prefixes(addresses.prefixes, seed)
        drawn = addresses.draw((self.secondaries.automatic or 0) + (not primary), seed)
        if not primary:
            primary = [drawn.pop(0)]
        ipv6 += addresses.ipv6.draw(self._automatic_ipv6(addresses), seed)
        if self.primary_ipv6 and not ipv6:
            raise invalid_parameter("A primary IPv6 address needs an IPv6 address")
        return Given((*primary, *secondaries, *drawn), tuple(ipv6), tuple(prefixes))

    def _prefixes(self, prefixes: SubnetPrefixes, seed: str) -> list[str]:
        families = ((4, self.ipv4_prefixes), (6, self.ipv6_prefixes))
        taken = [prefixes.take(one, version) for version, each in families for one in each.chosen]
        for version, each in families:
            taken += prefixes.draw(each.automatic or 0, version, seed)
        return taken

    def _automatic_ipv6(self, addresses: SubnetAddresses) -> int:
        """The subnet decides where the request says nothing."""
        if self.ipv6.automatic is None and not self.ipv6.chosen:
            return addresses.ipv6.on_creation
        return self.ipv6.automatic or 0


def wanted_addresses(parameters: Mapping[str, Any]) -> WantedAddresses:
    """Raises InvalidParameterValue, InvalidParameterCombination, MissingParameter."""
    listed = parameters.get("PrivateIpAddresses") or []
    if any(not entry.get("PrivateIpAddress") for entry in listed):
        raise missing_parameter("PrivateIpAddress")
    primaries = [entry["PrivateIpAddress"] for entry in listed if entry.get("Primary")]
    secondaries = tuple(entry["PrivateIpAddress"] for entry in listed if not entry.get("Primary"))
    return WantedAddresses(
        primary=only_primary(parameters.get("PrivateIpAddress"), primaries),
        secondaries=_either(secondaries, parameters, "SecondaryPrivateIpAddressCount"),
        ipv4_prefixes=_listed_or_counted(parameters, "Ipv4Prefixes", "Ipv4Prefix", "Ipv4PrefixCount"),
        ipv6=_listed_or_counted(parameters, "Ipv6Addresses", "Ipv6Address", "Ipv6AddressCount"),
        ipv6_prefixes=_listed_or_counted(parameters, "Ipv6Prefixes", "Ipv6Prefix", "Ipv6PrefixCount"),
        primary_ipv6=bool(parameters.get("EnablePrimaryIpv6") or parameters.get("PrimaryIpv6")),
    )


def _listed_or_counted(parameters: Mapping[str, Any], members: str, member: str, count: str) -> Wanted:
    listed = parameters.get(members) or []
    if any(not entry.get(member) for entry in listed):
        raise missing_parameter(member)
    return _either(tuple(entry[member] for entry in listed), parameters, count)


def _either(chosen: tuple[str, ...], parameters: Mapping[str, Any], count: str) -> Wanted:
    automatic = parameters.get(count)
    if automatic is not None and automatic < 0:
        raise invalid_parameter(f"{count} must not be negative")
    if chosen and automatic:
        raise invalid_combination(f"Only one of a list of them and {count} may be specified")
    return Wanted(chosen, automatic)


def only_primary(alone: str | None, listed: list[str]) -> str:
    if alone and listed:
        raise invalid_combination(
            "Only one of PrivateIpAddress and a primary in PrivateIpAddresses may be specified"
        )
    if len(listed) > 1:
        raise invalid_parameter("Only one private IP address may be designated as primary")
    return alone or (listed[0] if listed else "")


def wanted_at_instance_level(parameters: Mapping[str, Any]) -> WantedAddresses:
    """Of the one interface of a launch that names none."""
    return wanted_addresses({name: parameters.get(name) for name in AT_INSTANCE_LEVEL})
