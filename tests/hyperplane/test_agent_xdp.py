"""A node whose agent attaches XDP (`attach: xdp`), over veth in the place of a network card. No mapping service speaks, and there is no file.

    rookery-t...-node-1  u0 100.64.1.31 --veth-- end
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from rookery.dataplane.attach import AttachMode
from rookery.dataplane.cell import CellDataplane
from rookery.host.control import GetStatus, StatusReply
from rookery.host.instances import namespace
from rookery.hyperplane.config import CellNodeConfig
from rookery.region import agents
from tests.dataplane.objects import built_objects
from tests.netns.two_hosts import CHECKOUT, run
from tests.waiting import until

pytestmark = pytest.mark.real_packets


class OneNode:
    def __init__(self, folder: Path):
        self.folder = folder
        self.netns = f"rookery-t{secrets.token_hex(3)}-node-1"
        self.pins = Path("/sys/fs/bpf") / self.netns
        self.process: subprocess.Popen[bytes] | None = None

    def config(self, attach: AttachMode | None) -> CellNodeConfig:
        return CellNodeConfig(
            region_name="t", name="node-1", address="100.64.1.31", network="100.64.0.0/16", ca_certificate="", certificate="", private_key="",
            pins=str(self.pins), state_directory=str(self.folder), run_directory=str(self.folder), bpf_objects=str(built_objects()),
            max_mappings=256, flows=1 << 12, directives=1 << 12, cell="cell-1", objects=str(self.folder / "objects"),
            checks_namespace=f"{self.netns}-checks", heal_seconds=0.3, attach=attach,
        )  # fmt: skip

    def lay(self) -> None:
        (self.folder / "objects").mkdir()
        namespace.prepare()
        namespace.create(self.netns)
        inside = ("ip", "-netns", self.netns)
        run(*inside, "link", "add", "u0", "mtu", "1700", "type", "veth", "peer", "name", "end", "mtu", "1700")
        run(*inside, "address", "add", "100.64.1.31/16", "dev", "u0")
        for device in ("lo", "u0", "end"):
            run(*inside, "link", "set", device, "up")

    def start(self, attach: AttachMode | None) -> StatusReply:
        file = self.folder / "node.json"
        file.write_bytes(msgspec.json.encode(self.config(attach)))
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                ("nsenter", f"--net=/run/netns/{self.netns}", "--", sys.executable, "-m", "rookery.hyperplane", "--config", str(file)),
                env=os.environ | {"PYTHONPATH": str(CHECKOUT / "src")}, stderr=log, start_new_session=True,
            )  # fmt: skip
        found: list[StatusReply] = []

        def answers() -> bool:
            with suppress(Exception):
                found.append(agents.ask(self.config(attach).control_socket, GetStatus(), StatusReply))
            return bool(found)

        until(answers, self.log)
        return found[0]

    def end(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(20) == 0

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def has_xdp(self) -> bool:
        return "prog/xdp" in run("ip", "-netns", self.netns, "link", "show", "u0")

    def remove(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
        for name in namespace.named(self.netns):
            namespace.remove(name)
        CellDataplane.remove_pins(self.pins)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[OneNode]:
    made = OneNode(tmp_path)
    try:
        made.lay()
        yield made
    finally:
        made.remove()


def test_the_configuration_says_which_build_meets_packets_and_status_tells(node: OneNode) -> None:
    """The checks' way, which is never a card, has TC alone; and the next agent may do without XDP."""
    assert (node.start("xdp").attach, node.has_xdp()) == ("xdp", True)
    assert "rx-vlan-offload: off" in run("ip", "netns", "exec", node.netns, "ethtool", "-k", "u0")
    assert "prog/xdp" not in run("ip", "-netns", node.netns, "link", "show", "chk0")
    node.end()
    assert node.has_xdp()  # packets go on
    assert node.start(None).attach in {"tcx", "clsact"}
    assert not node.has_xdp()
