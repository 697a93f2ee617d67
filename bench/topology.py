"""The peers of the path measurement, built on one machine in namespaces, all of the same shape:

    instance-a --veth-- host-a --veth-- [bridge: substrate] --veth-- host-b --veth-- instance-b

`plain`   the hosts route (no overlay at all): what the kernel can do at best
`vxlan`   the hosts bridge into a kernel VXLAN device: the usual way to build an overlay
`nft-N`   the hosts route into a kernel VXLAN device, and nftables admits by connection tracking and N rules in a list
`rookery` a running region of two hosts (bench/path.py starts it): not built here
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field

INSTANCE_MTU = 1500
SUBSTRATE_MTU = 1700


@dataclass(frozen=True)
class Endpoint:
    """Where a program runs to be an instance: a namespace and the address of its peer."""

    namespace: str
    address: str


@dataclass
class Topology:
    """Two endpoints and how to take everything down again."""

    name: str
    client: Endpoint
    server: Endpoint
    namespaces: list[str] = field(default_factory=list)

    def remove(self) -> None:
        for namespace in self.namespaces:
            subprocess.run(["ip", "netns", "del", namespace], check=False, stderr=subprocess.DEVNULL)


def ip(*words: str) -> None:
    """Raises CalledProcessError with ip's own words on stderr."""
    subprocess.run(["ip", *words], check=True)


def inside(namespace: str, *command: str) -> None:
    ip("netns", "exec", namespace, *command)


def _names(prefix: str) -> dict[str, str]:
    return {part: f"rookery-bench-{prefix}-{part}" for part in ("a", "ha", "s", "hb", "b")}


def _substrate(names: dict[str, str]) -> None:
    """Namespaces, the bridge, and u0 of both hosts with 100.64.0.1 and .2."""
    for namespace in names.values():
        ip("netns", "add", namespace)
    ip("-n", names["s"], "link", "add", "br0", "mtu", str(SUBSTRATE_MTU), "type", "bridge")
    ip("-n", names["s"], "link", "set", "br0", "up")
    for host, number in (("ha", 1), ("hb", 2)):
        ip(
            "-n",
            names[host],
            "link",
            "add",
            "u0",
            "mtu",
            str(SUBSTRATE_MTU),
            "type",
            "veth",
            "peer",
            "name",
            host,
            "mtu",
            str(SUBSTRATE_MTU),
            "netns",
            names["s"],
        )
        ip("-n", names["s"], "link", "set", host, "master", "br0", "up")
        ip("-n", names[host], "addr", "add", f"100.64.0.{number}/24", "dev", "u0")
        ip("-n", names[host], "link", "set", "u0", "up")


def _instance(names: dict[str, str], instance: str, host: str) -> None:
    ip(
        "-n",
        names[instance],
        "link",
        "add",
        "eth0",
        "mtu",
        str(INSTANCE_MTU),
        "type",
        "veth",
        "peer",
        "name",
        "inst",
        "mtu",
        str(INSTANCE_MTU),
        "netns",
        names[host],
    )
    ip("-n", names[instance], "link", "set", "lo", "up")
    ip("-n", names[instance], "link", "set", "eth0", "up")
    ip("-n", names[host], "link", "set", "inst", "up")


def _finish(name: str, names: dict[str, str], client: str, server: str) -> Topology:
    return Topology(name, Endpoint(names["a"], client), Endpoint(names["b"], server), list(names.values()))


def build_plain() -> Topology:
    """Routed veth, no overlay."""
    names = _names("plain")
    _substrate(names)
    for instance, host, number in (("a", "ha", 1), ("b", "hb", 2)):
        _instance(names, instance, host)
        other = 3 - number
        ip("-n", names[instance], "addr", "add", f"10.{number}.0.5/24", "dev", "eth0")
        ip("-n", names[instance], "route", "add", "default", "via", f"10.{number}.0.1")
        ip("-n", names[host], "addr", "add", f"10.{number}.0.1/24", "dev", "inst")
        inside(names[host], "sysctl", "-qw", "net.ipv4.ip_forward=1")
        ip("-n", names[host], "route", "add", f"10.{other}.0.0/24", "via", f"100.64.0.{other}")
    return _finish("plain", names, "10.1.0.5", "10.2.0.5")


def _vxlan(host: str, number: int) -> None:
    ends = ("local", f"100.64.0.{number}", "remote", f"100.64.0.{3 - number}", "dstport", "4789", "dev", "u0")
    ip("-n", host, "link", "add", "vx0", "mtu", str(INSTANCE_MTU), "type", "vxlan", "id", "100", *ends)


def build_vxlan() -> Topology:
    """Kernel VXLAN and a bridge on each host."""
    names = _names("vxlan")
    _substrate(names)
    for instance, host, number in (("a", "ha", 1), ("b", "hb", 2)):
        _instance(names, instance, host)
        ip("-n", names[instance], "addr", "add", f"10.3.0.{number}/24", "dev", "eth0")
        ip("-n", names[host], "link", "add", "br0", "type", "bridge")
        _vxlan(names[host], number)
        for port in ("inst", "vx0"):
            ip("-n", names[host], "link", "set", port, "master", "br0", "up")
        ip("-n", names[host], "link", "set", "br0", "up")
    return _finish("vxlan", names, "10.3.0.1", "10.3.0.2")


def build_filtered(rules: int) -> Topology:
    """Hosts route over kernel VXLAN; nftables on both tracks connections and walks `rules` rules, of which the last fits."""
    names = _names(f"nft{rules}")
    _substrate(names)
    for instance, host, number in (("a", "ha", 1), ("b", "hb", 2)):
        _instance(names, instance, host)
        ip("-n", names[instance], "addr", "add", f"10.{number}.0.5/24", "dev", "eth0")
        ip("-n", names[instance], "route", "add", "default", "via", f"10.{number}.0.1")
        ip("-n", names[host], "addr", "add", f"10.{number}.0.1/24", "dev", "inst")
        _vxlan(names[host], number)
        ip("-n", names[host], "addr", "add", f"192.0.2.{number}/24", "dev", "vx0")
        ip("-n", names[host], "link", "set", "vx0", "up")
        ip("-n", names[host], "route", "add", f"10.{3 - number}.0.0/24", "via", f"192.0.2.{3 - number}")
        inside(names[host], "sysctl", "-qw", "net.ipv4.ip_forward=1")
        inside(names[host], "nft", filter_text(rules))
    return _finish(f"nft-{rules}", names, "10.1.0.5", "10.2.0.5")


def filter_text(rules: int) -> str:
    others = (f"ip saddr 203.0.{n}.0/24 tcp dport {1000 + n} accept;" for n in range(rules - 1))
    chain = " ".join(["ct state established,related accept;", *others, "ip saddr 10.0.0.0/8 accept;"])
    head = "type filter hook forward priority 0; policy drop;"
    return f"table inet filter {{ chain forward {{ {head} {chain} }}; }}"
