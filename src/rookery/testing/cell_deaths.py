"""Ways in which a node of a cell dies, and how it comes back.

    cable      its device is down: packets to and from it are lost. It keeps what it knows.
    program    its agent is killed, and its program is off its device. The supervisor starts the agent, which attaches the program again:
               it keeps what it knows.
    memory     the same, and its tables are gone: it comes back and knows no flow, as a machine does that was switched off
"""

from __future__ import annotations

import shutil
import signal
import socket
from collections.abc import Callable

from rookery.dataplane.cell import CellDataplane
from rookery.host.instances.namespace import inside
from rookery.hyperplane.agent import sizes
from rookery.hyperplane.config import read_config
from rookery.region import namespaces, processes
from rookery.region.layout import BPF_OBJECTS, Layout
from rookery.region.processes import Process
from rookery.region.substrate import DEVICE
from rookery.region.supervisor import read_records
from rookery.testing.cell_flows import pins

DIES_WITHIN = 5.0


def process_of(region: str, part: str) -> Process:
    record = next(one for one in read_records(Layout(region)) if one.name == part)
    return Process(record.pid, record.started)


def set_cable(region: str, node: str, state: str) -> None:
    """`state`: up, down."""
    namespaces.run("ip", "-netns", Layout(region).host_namespace(node), "link", "set", DEVICE, state)


def cable_is_cut(region: str, node: str) -> None:
    set_cable(region, node, "down")


def program_dies(region: str, node: str) -> None:
    plan = Layout(region)
    config = read_config(plan.host_run(node) / "node.json")
    dataplane = CellDataplane.open(pins(region, node), BPF_OBJECTS, config.max_mappings, sizes(config))
    try:
        with inside(plan.host_namespace(node)):
            device = socket.if_nametoindex(DEVICE)
            processes.send(process_of(region, node), signal.SIGKILL)
            dataplane.detach(device)
    finally:
        dataplane.close()


def memory_is_lost(region: str, node: str) -> None:
    """A kernel that loses a pinned link takes the program off the device."""
    agent = process_of(region, node)
    processes.send(agent, signal.SIGKILL)
    processes.wait_gone([agent], DIES_WITHIN)
    shutil.rmtree(pins(region, node))


DEATHS: dict[str, Callable[[str, str], None]] = {
    "cable": cable_is_cut,
    "program": program_dies,
    "memory": memory_is_lost,
}


def revive(region: str, node: str) -> None:
    """What does not come back by itself."""
    set_cable(region, node, "up")
