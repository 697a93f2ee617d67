"""The device that leads outside: is it fit, and set as the programs need it (rookery.dataplane.edge)?

UplinkError   it is not; the agent's main prints the sentence and exits with 2
"""

from __future__ import annotations

from typing import NamedTuple

from rookery.blackfoot.config import EdgeConfig
from rookery.dataplane.addresses import mac_bytes
from rookery.dataplane.formats import UplinkConfig, UplinkFlag
from rookery.host import kernel_settings
from rookery.host.netlink import IPRoute


class UplinkError(Exception):
    """What is wrong, and what to do."""


class Uplink(NamedTuple):
    ifindex: int
    mtu: int
    mac: str


def look_at(config: EdgeConfig) -> Uplink:
    """Raises UplinkError."""
    device = config.uplink_device
    with IPRoute() as route:
        indices = route.link_lookup(ifname=device)
        if not indices:
            raise UplinkError(f"there is no device {device} in this network namespace: uplink_device names it")
        link = route.link("get", index=indices[0])[0]
        addresses = [a.get_attr("IFA_ADDRESS") for a in route.get_addr(index=indices[0])]
    for address in (config.uplink_address, config.uplink_ipv6):
        if address not in addresses:
            raise UplinkError(f"{device} has not the address {address} that the configuration names")
    mtu = link.get_attr("IFLA_MTU")
    if mtu < config.uplink_mtu:
        raise UplinkError(
            f"{device} has an MTU of {mtu}, configured is {config.uplink_mtu}: ip link set {device} mtu {config.uplink_mtu}"
        )
    return Uplink(indices[0], config.uplink_mtu, link.get_attr("IFLA_ADDRESS"))


def row(link: Uplink, closing: bool, filled: bool) -> UplinkConfig:
    return UplinkConfig(ifindex=link.ifindex, mtu=link.mtu, mac=mac_bytes(link.mac), flags=_flags(closing, filled))


def no_row(filled: bool) -> UplinkConfig:
    """There is none: nothing leaves, and hosts look for other edges."""
    return UplinkConfig(ifindex=0, mtu=0, mac=bytes(6), flags=_flags(closing=True, filled=filled))


def _flags(closing: bool, filled: bool) -> int:
    return (UplinkFlag.CLOSING if closing else 0) | (UplinkFlag.FILLED if filled else 0)


def settings(config: EdgeConfig) -> dict[str, str]:
    """sysctls below net: from hosts to outside the kernel may forward; from outside nothing comes but through the programs."""
    inside, outside = config.substrate_device, config.uplink_device
    return {
        f"ipv4/conf/{inside}/forwarding": "1",
        f"ipv6/conf/{inside}/forwarding": "1",
        f"ipv4/conf/{outside}/forwarding": "0",
        f"ipv6/conf/{outside}/forwarding": "0",
        "ipv4/conf/all/rp_filter": "0",
        f"ipv4/conf/{inside}/rp_filter": "0",
    }


def open_doors(config: EdgeConfig) -> int:
    """How many settings were not so, and are now. Raises OSError."""
    return kernel_settings.hold(settings(config))
