"""What a DHCP options set says, read. The only place that knows its keys' meaning; rookery.api checks what it is given."""

from __future__ import annotations

from functools import lru_cache

from rookery.intent.host import DhcpIntent

AMAZON_PROVIDED_DNS = "AmazonProvidedDNS"  # among name servers: the VPC's own resolver

Configurations = tuple[tuple[str, tuple[str, ...]], ...]

NOTHING = DhcpIntent()  # of a VPC that has no set


@lru_cache(maxsize=4096)  # an interface is derived again and again, a set never changes
def dhcp_intent(configurations: Configurations) -> DhcpIntent:
    """`configurations` as in rookery.model.objects.DhcpOptions. Raises ValueError: a number is none."""
    said = dict(configurations)
    return DhcpIntent(
        domain_name=" ".join(said.get("domain-name", ())),
        name_servers=said.get("domain-name-servers", ()),
        ntp_servers=said.get("ntp-servers", ()),
        netbios_name_servers=said.get("netbios-name-servers", ()),
        netbios_node_type=_number(said, "netbios-node-type", NOTHING.netbios_node_type),
        ipv6_preferred_seconds=_number(
            said, "ipv6-address-preferred-lease-time", NOTHING.ipv6_preferred_seconds
        ),
    )


def _number(said: dict[str, tuple[str, ...]], key: str, unsaid: int) -> int:
    values = said.get(key, ())
    return int(values[0]) if values else unsaid
