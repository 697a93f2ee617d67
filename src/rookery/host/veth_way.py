"""A veth pair that leads from here into a network namespace of its own: found whole, made in the place of what is left of an older one, its
ends judged and opened. Addresses and routes at the other end are its owner's.

Every function blocks for some milliseconds, in a thread that is in the namespace of the near end. Raises NamespaceError, NetworkError,
NetlinkError, WayGone."""

from __future__ import annotations

from typing import Any, NamedTuple

from rookery.host.instances import namespace, network
from rookery.host.netlink import IPRoute

IFF_UP, IFF_NOARP = 0x1, 0x80


class WayGone(Exception):
    """Somebody else takes it away as soon as it is made."""


class Pair(NamedTuple):
    """ifindex of both ends, each in its namespace."""

    here: int
    there: int


class VethWay(NamedTuple):
    """Names, MACs and MTU of the ends. The far one asks nobody for a MAC and joins no groups (RFC 3810): they are
    two, who know each other."""

    here: str
    there: str
    here_mac: str
    there_mac: str
    mtu: int

    def found_or_made(self, name: str) -> tuple[Pair, bool]:
        """`name`: of the far end's namespace. True: it was missing."""
        pair = self._found(name)
        return (pair, False) if pair else (self._made(name), True)

    def _found(self, name: str) -> Pair | None:
        """None: an end is missing, or belongs to another pair."""
        with IPRoute() as route:
            here = _link(route, self.here)
        with namespace.inside(name), IPRoute() as route:
            there = _link(route, self.there)
        if here is None or there is None or here.get_attr("IFLA_LINK") != there["index"]:
            return None
        return Pair(here["index"], there["index"])

    def _made(self, name: str) -> Pair:
        with namespace.inside(name):
            network.unplug(self.there)
        network.unplug(self.here)
        inner = {"ifname": self.there, "address": self.there_mac, "mtu": self.mtu, "net_ns_fd": name}
        with IPRoute() as route:
            route.link("add", ifname=self.here, kind="veth", address=self.here_mac, mtu=self.mtu, peer=inner)
        pair = self._found(name)
        if pair is None:
            raise WayGone(f"{self.here} and {self.there} in {name} are gone as soon as they are made")
        return pair

    def open_here(self, pair: Pair) -> bool:
        """Whether something was wrong with it. The kernel speaks no IPv6 there."""
        with IPRoute() as route:
            if self._is_open(route, pair.here, self.here_mac, IFF_UP):
                return False
            network.without_ipv6(self.here)
            route.link("set", index=pair.here, address=self.here_mac, mtu=self.mtu, state="up")
        return True

    def is_open_there(self, route: IPRoute, pair: Pair) -> bool:
        """`route`: of the far end's namespace."""
        return self._is_open(route, pair.there, self.there_mac, IFF_UP | IFF_NOARP)

    def open_there(self, route: IPRoute, pair: Pair) -> None:
        """`route`: of the far end's namespace."""
        route.link("set", index=pair.there, address=self.there_mac, mtu=self.mtu, state="up", arp=False)

    def _is_open(self, route: IPRoute, index: int, mac: str, flags: int) -> bool:
        link = route.link("get", index=index)[0]
        found = (link.get_attr("IFLA_ADDRESS"), link.get_attr("IFLA_MTU"), link["flags"] & flags)
        return found == (mac, self.mtu, flags)


def _link(route: IPRoute, device: str) -> Any:
    indices = route.link_lookup(ifname=device)
    return route.link("get", index=indices[0])[0] if indices else None
