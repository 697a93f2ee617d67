"""Which checks a node makes: of every target, by every attachment that may send to it. All nodes of a cell make the same. Pure."""

from __future__ import annotations

from typing import NamedTuple

from rookery.intent.cell import CellIntent, HealthCheckIntent


class Way(NamedTuple):
    """From an attachment to a target's address."""

    vni: int
    interface: int  # the attachment's
    address: str


class CheckKey(NamedTuple):
    """What stays while settings change."""

    group: str
    way: Way
    target_port: int


class Check(NamedTuple):
    key: CheckKey
    settings: HealthCheckIntent
    front: str  # the attachment's own address in the target's family, as a Host header has it

    @property
    def port(self) -> int:
        return self.settings.port or self.key.target_port

    @property
    def host(self) -> str:
        """Of the Host header: the balancer's address, and its listener's port."""
        return f"{self.front}:{self.settings.listener}"


def wanted_checks(intent: CellIntent) -> dict[CheckKey, Check]:
    fronts = {one.key: one for one in intent.attachments}
    found = {}
    for one in intent.targets:
        for interface in one.checked_by:
            front = fronts.get((one.vni, interface))
            if front is not None:
                key = CheckKey(one.group, Way(one.vni, interface, one.address), one.port)
                found[key] = Check(key, one.check, f"[{front.primary_ipv6}]" if ":" in one.address else front.primary)
    return found
