"""The device that leads to the other hosts: is it fit, and set as the overlay needs it?

SubstrateError   it is not; the agent's main prints the sentence and exits with 2
"""

from __future__ import annotations

import ipaddress
from typing import NamedTuple

from rookery.dataplane.addresses import substrate_bytes
from rookery.dataplane.formats import SubstrateConfig
from rookery.host.config import NodeConfig
from rookery.host.ethtool import EthtoolError, switch_off
from rookery.host.netlink import IPRoute

OVERHEAD = 66  # outer IPv4 20, UDP 8, Geneve 8, option "origin" 16, inner Ethernet 14
UDP_SEGMENTATION = "tx-udp-segmentation"


class SubstrateError(Exception):
    """What is wrong, and what to do."""


class Substrate(NamedTuple):
    ifindex: int
    mtu: int


def look_at(config: NodeConfig) -> Substrate:
    """Raises SubstrateError."""
    device = config.substrate_device
    with IPRoute() as route:
        indices = route.link_lookup(ifname=device)
        if not indices:
            raise SubstrateError(f"there is no device {device} in this network namespace: substrate_device names it")
        mtu = route.link("get", index=indices[0])[0].get_attr("IFLA_MTU")
        addresses = [a.get_attr("IFA_ADDRESS") for a in route.get_addr(index=indices[0])]
    if config.address not in addresses:
        raise SubstrateError(f"{device} has not the address {config.address} that the configuration names")
    if ipaddress.ip_address(config.address) not in ipaddress.ip_network(config.network):
        raise SubstrateError(f"address {config.address} is not in the substrate's network {config.network}")
    _check_mtu(config, mtu)
    return Substrate(indices[0], config.substrate_mtu)


def _check_mtu(config: NodeConfig, mtu: int) -> None:
    needed = config.instance_mtu + OVERHEAD
    if config.substrate_mtu < needed:
        raise SubstrateError(
            f"substrate MTU {config.substrate_mtu} cannot carry instances' packets of {config.instance_mtu} bytes:"
            f" it takes {needed}; raise substrate_mtu or lower instance_mtu"
        )
    if mtu < config.substrate_mtu:
        device = config.substrate_device
        raise SubstrateError(
            f"{device} has an MTU of {mtu}, configured is {config.substrate_mtu}:"
            f" ip link set {device} mtu {config.substrate_mtu}"
        )


def row(config: NodeConfig, link: Substrate) -> SubstrateConfig:
    """For the programs."""
    network = ipaddress.ip_network(config.network)
    return SubstrateConfig(
        address=substrate_bytes(config.address),
        network=network.network_address.packed,
        netmask=network.netmask.packed,
        gateway=substrate_bytes(config.gateway or "0.0.0.0"),
        ifindex=link.ifindex,
        mtu=link.mtu,
    )


def segment_udp_in_software(device: str) -> None:
    """A tenant's UDP_SEGMENT packet that left in one piece inside a tunnel would be lost whole, silently.
    Raises SubstrateError when the device goes on doing it."""
    try:
        left = switch_off(device, UDP_SEGMENTATION)
    except EthtoolError as error:
        raise SubstrateError(str(error)) from error
    if left:
        raise SubstrateError(f"{device} will not switch {UDP_SEGMENTATION} off: {left[UDP_SEGMENTATION]}")
