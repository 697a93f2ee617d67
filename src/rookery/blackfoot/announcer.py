"""What an edge announces, kept in BIRD's configuration file. BIRD itself is a process of its own: it goes on as it was told when this
one dies, and starts with what the file says."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from rookery.blackfoot import birdc
from rookery.blackfoot.bird import Peer, Speaker, configuration
from rookery.blackfoot.birdc import BirdRefused, BirdSilent
from rookery.blackfoot.config import EdgeConfig
from rookery.files import write_whole
from rookery.host.control import SessionRow

log = logging.getLogger("rookery.blackfoot")


def speaker(config: EdgeConfig, announced: Iterable[str]) -> Speaker:
    peers = tuple(
        Peer(
            name=f"outside{number}",
            device=config.uplink_device,
            local=config.uplink_address,
            local_ipv6=config.uplink_ipv6,
            remote=one.address,
            asn=one.asn,
        )
        for number, one in enumerate(config.neighbours, 1)
    )
    return Speaker(config.uplink_address, config.asn, peers, tuple(announced))


class Announcer:
    """Blocks for milliseconds: its callers use a thread."""

    def __init__(self, config: EdgeConfig):
        self._config = config
        self._wanted: str | None = None  # None: as BIRD was told by an earlier agent
        self._told = ""
        self.problem = ""  # why BIRD does not do what it should

    def announce(self, blocks: Iterable[str]) -> None:
        """These and no others."""
        self._wanted = configuration(speaker(self._config, blocks))
        self.keep()

    def keep(self) -> None:
        """The file as it should be, and BIRD told of it; again when it could not be told."""
        if self._wanted is None or (self._told == self._wanted and self._written() == self._wanted):
            return
        if self._written() != self._wanted:
            write_whole(self._config.bird_config, self._wanted.encode())
        self.problem = self._tell(self._wanted)

    def _written(self) -> str:
        try:
            return self._config.bird_config.read_text()
        except FileNotFoundError:
            return ""

    def _tell(self, wanted: str) -> str:
        try:
            birdc.reconfigure(self._config.bird_socket)
        except (BirdSilent, BirdRefused) as error:
            log.warning("BIRD: %s", error)
            return f"BIRD: {error}"
        self._told = wanted
        return ""

    def sessions(self) -> list[SessionRow]:
        """Raises BirdSilent, BirdRefused."""
        socket = self._config.bird_socket
        bfd = birdc.bfd_states(socket)
        return [
            SessionRow(name=one.name, neighbour=one.neighbour, state=one.state, since=one.since, bfd=bfd.get(one.neighbour, ""))
            for one in birdc.sessions(socket)
        ]

    def has_session(self) -> bool:
        """With any neighbour; also when there is nobody to have one with."""
        if not self._config.neighbours:
            return True
        try:
            return any(one.state == "Established" for one in birdc.sessions(self._config.bird_socket))
        except (BirdSilent, BirdRefused):
            return False

    def announced(self) -> list[str]:
        """What goes to every neighbour that is there. Raises BirdSilent, BirdRefused."""
        up = [one.name for one in self.sessions() if one.state == "Established"]
        told = [set(birdc.exported(self._config.bird_socket, name)) for name in up]
        return sorted(set.intersection(*told)) if told else []
