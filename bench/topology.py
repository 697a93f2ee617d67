"""The peers of the path measurement, built on one machine in namespaces, all of the same shape:

    instance-a --veth-- host-a --veth-- [bridge: substrate] --veth-- host-b --veth-- instance-b

`plain`   the hosts route (no overlay at all): what the kernel can do at best
`vxlan`   the hosts bridge into a kernel VXLAN device: the usual way to build an overlay
`nft-X`   the hosts route into a kernel VXLAN device, and nftables does what case X asks for: rules, ACL, routes
`rookery` a running region of two hosts (bench/region.py starts it): not built here
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_network

from bench.switch import lead_straight

INSTANCE_MTU = 1500
SUBSTRATE_MTU = 1700
ENTRIES_PER_FAMILY = 20  # of an ACL, each way: AWS's quota


@dataclass(frozen=True)
class Family:
    """How the addresses of a topology look. Braces stand for the number of a host."""

    version: int
    instance: str
    router: str
    length: int
    substrate: str
    tunnel: str
    everybody: str  # all instances of any topology
    stranger: str  # braces: 0 to 255
    elsewhere: str  # braces: 0 to 65535 in two octets, or in one hexadecimal word
    sysctl: str

    def network(self, number: int) -> str:
        return str(ip_network(f"{self.router.format(number)}/{self.length}", strict=False))


IPV4 = Family(
    4, "10.{}.0.5", "10.{}.0.1", 24, "100.64.0.{}", "192.0.2.{}", "10.0.0.0/8", "203.0.{}.0/24", "172.{}.{}.0/24",
    "net.ipv4.ip_forward",
)  # fmt: skip
IPV6 = Family(
    6, "2001:db8:{}::5", "2001:db8:{}::1", 64, "2001:db8:64::{}", "2001:db8:92::{}", "2000::/3", "fd03:{}::/64", "fd72:{:x}:{:x}::/64",
    "net.ipv6.conf.all.forwarding",
)  # fmt: skip
OTHER = {IPV4: IPV6, IPV6: IPV4}


@dataclass(frozen=True)
class Case:
    """What a packet meets on its path."""

    family: Family = IPV4
    rules: int = 1  # of security groups, each way, of which the last one fits; the flow is tracked
    acl: int = 0  # entries of the network ACL, each way, of which the last one fits; 0: an ACL as it is from the beginning
    routes: int = 0  # besides the one that is taken

    def strangers(self) -> list[tuple[str, int]]:
        """(source, TCP port) of the rules that do not fit."""
        return list(_strangers(self.family, self.rules - 1))

    def denied(self) -> list[tuple[Family, str, int]]:
        """(family, source, TCP port) of the ACL's entries that do not fit. What one family has no room for, the other takes."""
        own = min(self.acl, ENTRIES_PER_FAMILY) - 1
        parts = ((self.family, own), (OTHER[self.family], self.acl - 1 - own))
        return [(family, *one) for family, count in parts for one in _strangers(family, count)]

    def elsewhere(self) -> list[str]:
        """Where the routes lead that are not taken."""
        return [self.family.elsewhere.format(16 + number // 256, number % 256) for number in range(self.routes)]


def _strangers(family: Family, count: int) -> Iterator[tuple[str, int]]:
    return ((family.stranger.format(number), 1000 + number) for number in range(count))


@dataclass(frozen=True)
class Endpoint:
    """Where a program runs to be an instance: a namespace and the address of its peer."""

    namespace: str
    address: str
    behind: str = ""  # its own address, where `address` is that of what stands in front of it

    @property
    def own(self) -> str:
        return self.behind or self.address


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


def bypass_netfilter(namespace: str) -> None:
    """As a region's substrate does (rookery.region.substrate): of a namespace with a bridge that is a switch, and nothing else."""
    hooks = [f"net.bridge.bridge-nf-call-{tables}=0" for tables in ("iptables", "ip6tables", "arptables")]
    inside(namespace, "sysctl", "-e", "-q", "-w", *hooks)


def _names(prefix: str) -> dict[str, str]:
    return {part: f"rookery-bench-{prefix}-{part}" for part in ("a", "ha", "s", "hb", "b")}


def _substrate(names: dict[str, str]) -> None:
    """Namespaces, the bridge, and u0 of both hosts with 100.64.0.1 and .2."""
    for namespace in names.values():
        ip("netns", "add", namespace)
    bypass_netfilter(names["s"])
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
    lead_straight(names["s"], {host: (names[host], f"100.64.0.{number}") for host, number in (("ha", 1), ("hb", 2))})


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


def _address(namespace: str, address: str, length: int, device: str) -> None:
    """At once: no IPv6 address waits until nobody else has it."""
    ip("-n", namespace, "addr", "add", f"{address}/{length}", "dev", device, *(["nodad"] if ":" in address else []))


def _behind_router(names: dict[str, str], family: Family, instance: str, host: str, number: int) -> None:
    """The instance `number` and its host, which routes."""
    _instance(names, instance, host)
    _address(names[instance], family.instance.format(number), family.length, "eth0")
    _address(names[host], family.router.format(number), family.length, "inst")
    ip("-n", names[instance], "route", "add", "default", "via", family.router.format(number))
    inside(names[host], "sysctl", "-qw", f"{family.sysctl}=1")


def build_plain(family: Family = IPV4) -> Topology:
    """Routed veth, no overlay."""
    name = "plain" if family is IPV4 else f"plain-ipv{family.version}"
    names = _names(name)
    _substrate(names)
    for instance, host, number in (("a", "ha", 1), ("b", "hb", 2)):
        _behind_router(names, family, instance, host, number)
        if family is IPV6:
            _address(names[host], family.substrate.format(number), family.length, "u0")
        other = 3 - number
        ip("-n", names[host], "route", "add", family.network(other), "via", family.substrate.format(other))
    return _finish(name, names, family.instance.format(1), family.instance.format(2))


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


def build_filtered(name: str, case: Case) -> Topology:
    """Hosts route over kernel VXLAN, which carries Ethernet over IPv4 as Rookery does; nftables on both tracks connections and
    walks the rules and the ACL's entries."""
    names = _names(f"nft-{name}")
    family = case.family
    _substrate(names)
    for instance, host, number in (("a", "ha", 1), ("b", "hb", 2)):
        _behind_router(names, family, instance, host, number)
        _vxlan(names[host], number)
        _address(names[host], family.tunnel.format(number), family.length, "vx0")
        ip("-n", names[host], "link", "set", "vx0", "up")
        other = family.tunnel.format(3 - number)
        _routes(names[host], [family.network(3 - number), *case.elsewhere()], other)
        inside(names[host], "nft", filter_text(case))
    return _finish(f"nft-{name}", names, family.instance.format(1), family.instance.format(2))


def _routes(namespace: str, networks: list[str], via: str) -> None:
    text = "".join(f"route add {network} via {via}\n" for network in networks)
    subprocess.run(["ip", "-n", namespace, "-batch", "-"], input=text, text=True, check=True)


def filter_text(case: Case) -> str:
    """One chain is the ACL, which remembers nothing, the other one the security groups."""
    everybody = f"{_keyword(case.family)} saddr {case.family.everybody} accept;"
    denied = (f"{_keyword(family)} saddr {source} tcp dport {port} drop;" for family, source, port in case.denied())
    admitted = (f"{_keyword(case.family)} saddr {source} tcp dport {port} accept;" for source, port in case.strangers())
    groups = ["ct state established,related accept;", *admitted, everybody]
    acl = _chain("acl", -1, [*denied, everybody]) if case.acl else ""
    return f"table inet filter {{ {acl} {_chain('groups', 0, groups)} }}; "


def _chain(name: str, priority: int, rules: list[str]) -> str:
    return f"chain {name} {{ type filter hook forward priority {priority}; policy drop; {' '.join(rules)} }}; "


def _keyword(family: Family) -> str:
    return "ip" if family is IPV4 else "ip6"
