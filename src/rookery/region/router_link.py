"""Cables between the router outside and what hangs on it: edges, and servers."""

from __future__ import annotations

from rookery.region import namespaces


def plug(centre: str, port: str, namespace: str, device: str) -> None:
    """`port`: the router's end, in the namespace `centre`; `device`: the other one. Neither is up. Raises CannotStart."""
    if port in namespaces.devices(centre):  # half a cable of a crash
        namespaces.batch(centre, [f"link delete {port}"])
    peer = ("peer", "name", port, "netns", centre)
    namespaces.run("ip", "link", "add", device, "netns", namespace, "type", "veth", *peer)


def up(device: str, addresses: tuple[str, str]) -> list[str]:
    """For namespaces.batch(). `addresses`: IPv4, IPv6."""
    ipv4, ipv6 = addresses
    return [
        f"address add {ipv4}/31 dev {device}",
        f"address add {ipv6}/64 dev {device} nodad",
        f"link set {device} up",
    ]
