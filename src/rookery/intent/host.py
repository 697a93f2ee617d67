"""What a host must hold: plain data, computed by pure functions from the state, streamed by the mapping service,
reconciled by the host's agent. Addresses are text here; bytes are made at the host (rookery.dataplane)."""

from __future__ import annotations

import msgspec


class MappingIntent(msgspec.Struct, frozen=True, kw_only=True):
    """(vni, address) lives at `host`. Key: `key`."""

    vni: int
    address: str
    host: str  # substrate address
    interface: int
    subnet: int
    mac: str
    source_dest_check: bool
    generation: int  # store revision that last changed it
    issued: int  # unix seconds

    @property
    def key(self) -> tuple[int, str]:
        return (self.vni, self.address)


class RouteIntent(msgspec.Struct, frozen=True, kw_only=True):
    """A route of a table that some local interface uses. Key: (table, destination)."""

    table: int
    destination: str  # CIDR
    kind: str  # local, blackhole

    @property
    def key(self) -> tuple[int, str]:
        return (self.table, self.destination)


class InterfaceIntent(msgspec.Struct, frozen=True, kw_only=True):
    """An interface on an instance of this host."""

    id: str  # eni-...
    vni: int
    number: int
    subnet: int
    route_table: int
    router: str
    primary: str
    addresses: tuple[str, ...]
    prefix_length: int  # of the subnet
    mac: str
    router_mac: str
    mtu: int
    source_dest_check: bool
    device_index: int

    @property
    def key(self) -> str:
        return self.id


class InstanceIntent(msgspec.Struct, frozen=True, kw_only=True):
    """An instance of this host. Boot `boot` must run (or, stopped, none)."""

    id: str
    wanted: str  # running, stopped, terminated
    boot: int
    hostname: str  # ip-10-0-0-5
    domain: str  # ec2.internal
    user_data: str  # base64, run as a script on the first boot
    interfaces: tuple[InterfaceIntent, ...]

    @property
    def key(self) -> str:
        return self.id


class HostIntent(msgspec.Struct, frozen=True, kw_only=True):
    """All of it, at one generation."""

    host: str
    generation: int
    instances: dict[str, InstanceIntent] = {}
    mappings: dict[tuple[int, str], MappingIntent] = {}
    routes: dict[tuple[int, str], RouteIntent] = {}
