"""Where a region's parts lie on one machine: names, addresses, paths. Pure; nothing here touches the machine.

Everything a region makes carries its name, so that several run side by side and `down` finds what a crash left.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[3]
BPF_OBJECTS = CHECKOUT / "build" / "bpf"
GUEST_IMAGES = CHECKOUT / "build" / "guests"
SUBSTRATE = ipaddress.ip_network("100.64.0.0/16")  # RFC 6598; only inside the region's own namespaces
MAPPING_SERVICE_ADDRESS = "100.64.0.2"
DEFAULT_ACCOUNT = "123456789012"
DEFAULT_AWS_REGION = "us-east-1"


@dataclass(frozen=True)
class Layout:
    """Of the region `name`."""

    name: str

    @property
    def state(self) -> Path:
        return Path("/var/lib/rookery") / self.name

    @property
    def run(self) -> Path:
        return Path("/run/rookery") / self.name

    @property
    def pins(self) -> Path:
        return Path("/sys/fs/bpf/rookery") / self.name

    @property
    def database(self) -> Path:
        return self.state / "store.db"

    @property
    def sealing_key(self) -> Path:
        return self.state / "sealing.key"

    @property
    def certificates(self) -> Path:
        return self.state / "certificates"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def supervisor_pid(self) -> Path:
        return self.run / "supervisor.pid"

    @property
    def namespace_prefix(self) -> str:
        """Of all the region's, those of instances too (rookery.host.instances.machine)."""
        return f"rookery-{self.name}-"

    @property
    def substrate_namespace(self) -> str:
        return f"{self.namespace_prefix}substrate"

    @property
    def control_namespace(self) -> str:
        """Of the mapping service."""
        return f"{self.namespace_prefix}control"

    def host_namespace(self, host: str) -> str:
        return f"{self.namespace_prefix}{host}"

    def services_namespace(self, host: str) -> str:
        """In which the host's services listen; its agent makes it."""
        return f"{self.host_namespace(host)}-services"

    def instance_namespace(self, instance_id: str) -> str:
        return f"{self.namespace_prefix}{instance_id}"

    def host_run(self, host: str) -> Path:
        return self.run / host

    def control_socket(self, host: str) -> Path:
        return self.host_run(host) / "control.sock"


def host_name(index: int) -> str:
    """`index` from 0."""
    return f"host-{index + 1}"


def host_address(zone: int, index: int) -> str:
    """100.64.<zone + 1>.<host>: the third octet tells a reader of a capture the zone."""
    return f"100.64.{zone + 1}.{index + 10}"
