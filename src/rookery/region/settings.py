"""The shape of a region, as `up` was asked for it; kept in its state, so that it is the same after a reboot."""

from __future__ import annotations

import re

import msgspec

from rookery.files import write_whole
from rookery.model import defaults
from rookery.region import layout
from rookery.region.called import COMMAND
from rookery.region.errors import BadName, CannotStart

NAME = re.compile(r"[a-z][a-z0-9]{0,15}")
MOST_HOSTS = 200
MOST_ZONES = 6


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    hosts: int = 4
    zones: int = 2
    port: int = defaults.API_PORT
    jumbo: bool = False
    dns_upstreams: tuple[str, ...] = ()  # resolvers for public names, asked from the hosts' namespaces; none: nobody is asked

    @property
    def layout(self) -> layout.Layout:
        return layout.Layout(self.name)

    @property
    def upstream_addresses(self) -> list[str]:
        """Of dns_upstreams, without their ports. Raises CannotStart: one is no address."""
        return [_upstream_address(text) for text in self.dns_upstreams]

    @property
    def substrate_mtu(self) -> int:
        return defaults.JUMBO_SUBSTRATE_MTU if self.jumbo else defaults.SUBSTRATE_MTU

    @property
    def instance_mtu(self) -> int:
        return defaults.JUMBO_INSTANCE_MTU if self.jumbo else defaults.INSTANCE_MTU

    def zone_of(self, index: int) -> int:
        """Hosts take turns, so that every zone has one as long as there are enough."""
        return index % self.zones

    def address_of(self, index: int) -> str:
        return layout.host_address(self.zone_of(index), index)


def check_name(name: str) -> str:
    """The name itself. No hyphen: 'rookery-dev-' must not be the beginning of another region's things."""
    if not NAME.fullmatch(name):
        raise BadName(f"{name!r} cannot name a region: a lower-case letter, then up to 15 letters and digits")
    return name


def check(settings: Settings) -> None:
    """Raises CannotStart on numbers that make no region."""
    if not 1 <= settings.hosts <= MOST_HOSTS:
        raise CannotStart(f"{settings.hosts} hosts: a region has 1 to {MOST_HOSTS}")
    if not 1 <= settings.zones <= min(MOST_ZONES, settings.hosts):
        raise CannotStart(
            f"{settings.zones} zones: 1 to {MOST_ZONES}, and each needs a host (there are {settings.hosts})"
        )
    if not 1 <= settings.port <= 65535:
        raise CannotStart(f"port {settings.port}: 1 to 65535")
    _ = settings.upstream_addresses


def _upstream_address(text: str) -> str:
    from rookery.host.services.dns.upstream import upstream  # noqa: PLC0415 - a DNS library, which few starts need

    try:
        return upstream(text).address
    except ValueError as error:
        raise CannotStart(f"DNS upstream {text}: {error}") from error


def read(name: str) -> Settings | None:
    """None: the region has no state on this machine."""
    path = layout.Layout(name).state / "region.json"
    if not path.exists():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=Settings)
    except msgspec.DecodeError as broken:
        raise CannotStart(
            f"{path} is damaged ({broken}); `{COMMAND} down --name {name}` removes the region"
        ) from broken


def write(settings: Settings) -> None:
    write_whole(settings.layout.state / "region.json", msgspec.json.format(msgspec.json.encode(settings)))
