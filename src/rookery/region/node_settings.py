"""What the configuration files of hosts, edges and nodes of cells say alike."""

from __future__ import annotations

from typing import Any

from rookery.mapping.certificates import HOST, identity_of
from rookery.mapping.protocol import PORT as MAPPING_PORT
from rookery.region import substrate
from rookery.region.layout import BPF_OBJECTS, MAPPING_SERVICE_ADDRESS, SUBSTRATE
from rookery.region.settings import Settings


def node_settings(settings: Settings, name: str, address: str) -> dict[str, Any]:
    """The members of rookery.host.config.NodeConfig, of the node `name` at `address` on the substrate."""
    plan = settings.layout
    files = identity_of(plan.certificates, HOST, name)
    return {
        "region_name": plan.name,
        "name": name,
        "address": address,
        "network": str(SUBSTRATE),
        "substrate_device": substrate.DEVICE,
        "substrate_mtu": settings.substrate_mtu,
        "instance_mtu": settings.instance_mtu,
        "mapping_service": [f"{MAPPING_SERVICE_ADDRESS}:{MAPPING_PORT}"],
        "ca_certificate": str(files.authority),
        "certificate": str(files.certificate),
        "private_key": str(files.key),
        "pins": str(plan.pins / name),
        "state_directory": str(plan.state / name),
        "run_directory": str(plan.host_run(name)),
        "bpf_objects": str(BPF_OBJECTS),
    }
