"""The agent's configuration file: JSON, one per node, the same on a real machine and in a namespace."""

from __future__ import annotations

from pathlib import Path

import msgspec

from rookery.mapping.certificates import Identity
from rookery.model.defaults import INSTANCE_MTU, SUBSTRATE_MTU


class NodeConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What hosts and edges have in common."""

    region_name: str  # the Rookery region: "dev"
    name: str  # "host-1", "edge-1"
    address: str  # on the substrate
    network: str  # CIDR of the substrate
    gateway: str = ""
    substrate_device: str = "u0"
    substrate_mtu: int = SUBSTRATE_MTU
    instance_mtu: int = INSTANCE_MTU  # largest inner packet; the substrate must carry 66 bytes more
    mapping_service: list[str] = []  # "100.64.0.2:4581"
    ca_certificate: str  # paths
    certificate: str
    private_key: str
    pins: str  # /sys/fs/bpf/rookery/dev/host-1
    state_directory: str  # /var/lib/rookery/dev/host-1: survives the agent
    run_directory: str  # /run/rookery/dev/host-1: control.sock, instances' pids
    bpf_objects: str  # folder of *.bpf.o
    guest_images: str = ""  # folder of what instances with a kernel of their own boot (rookery.vm.image); empty: there are none
    max_mappings: int = 1 << 20
    heal_seconds: float = 5.0  # between two full passes over the kernel's maps

    @property
    def identity(self) -> Identity:
        return Identity(Path(self.ca_certificate), Path(self.certificate), Path(self.private_key))

    @property
    def control_socket(self) -> Path:
        return Path(self.run_directory) / "control.sock"


class HostConfig(NodeConfig, frozen=True, kw_only=True):
    max_connections: int = 1 << 20  # flows that all interfaces of the host may track
    services_namespace: str = ""  # of DHCP, DNS, metadata and time, in /run/netns; empty: instances have none
    dns_upstreams: list[str] = []  # resolvers for public names, asked from the host's namespace: "192.0.2.53", "[2001:db8::1]:5353"

    @property
    def feed_socket(self) -> Path:
        """Where the agent tells the services what they must know."""
        return Path(self.run_directory) / "services.sock"


def read_config(path: Path) -> HostConfig:
    """Raises msgspec.ValidationError (caught by the agent's main: a sentence and exit 2)."""
    return msgspec.json.decode(path.read_bytes(), type=HostConfig)
