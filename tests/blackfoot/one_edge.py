"""An edge with its real agent and its BIRD, a mapping service that says what the test wants, and a router outside.

    rookery-t...-wire  bridge 100.64.0.2 (the mapping service)
                          |
                        u0 100.64.1.230   rookery-t...-edge-1   x0 198.51.100.1  --  edge-1 198.51.100.0   rookery-t...-outside
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from rookery.blackfoot.announcer import speaker
from rookery.blackfoot.bird import Peer, Speaker, configuration
from rookery.blackfoot.config import EdgeConfig, Neighbour
from rookery.dataplane.attach import AttachMode
from rookery.dataplane.edge import EdgeDataplane
from rookery.host.control import Drain, EdgeReply, GetEdge, GetStatus, StatusReply, WhatIf, WhatIfReply
from rookery.host.instances import namespace
from rookery.mapping.authority import issue, make_authority
from rookery.mapping.certificates import HOST, MAPPING
from rookery.region import agents
from tests.netns.fake_mapping_service import FakeMappingService
from tests.netns.two_hosts import CHECKOUT, OBJECTS, SERVICE, run
from tests.waiting import until

EDGE = "edge-1"
POOL = "203.0.113.0/24"


class OneEdge:
    def __init__(self, folder: Path, attach: AttachMode | None = None):
        self.attach: AttachMode | None = attach
        self.region = f"t{secrets.token_hex(3)}"
        self.folder = folder
        self.pins = Path("/sys/fs/bpf") / f"rookery-{self.region}"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def netns(self, name: str) -> str:
        return f"rookery-{self.region}-{name}"

    @property
    def config(self) -> EdgeConfig:
        certificates = self.folder / "certificates"
        return EdgeConfig(
            region_name=self.region,
            name=EDGE,
            address="100.64.1.230",
            network="100.64.0.0/16",
            mapping_service=[f"{SERVICE[0]}:{SERVICE[1]}"],
            ca_certificate=str(certificates / "authority.pem"),
            certificate=str(certificates / f"host-{EDGE}.pem"),
            private_key=str(certificates / f"host-{EDGE}.key"),
            pins=str(self.pins),
            state_directory=str(self.folder / "state"),
            run_directory=str(self.folder / "run"),
            bpf_objects=str(OBJECTS),
            max_mappings=256,
            max_public_addresses=256,
            heal_seconds=0.3,
            uplink_address="198.51.100.1",
            uplink_ipv6="2001:db8:fe:1::2",
            asn=64512,
            neighbours=[Neighbour(address="198.51.100.0", asn=64496)],
            public_pools=[POOL],
            attach=self.attach,
        )

    def build(self) -> None:
        for name in ("state", "run", "outside"):
            (self.folder / name).mkdir(parents=True)
        run("make", "-C", str(CHECKOUT / "bpf"), f"OUT={OBJECTS}")
        self._lay()
        certificates = self.folder / "certificates"
        make_authority(certificates, self.region)
        self.service = FakeMappingService(issue(certificates, MAPPING), self.netns("wire"), SERVICE)
        issue(certificates, HOST, EDGE)
        peer = Peer("edge1", EDGE, "198.51.100.0", "2001:db8:fe:1::1", "198.51.100.1", 64512, passive=True)
        outside = Speaker("198.51.100.0", 64496, (peer,), ("0.0.0.0/0", "::/0"))
        (self.folder / "outside" / "bird.conf").write_text(configuration(outside))
        self.config.bird_config.write_text(configuration(speaker(self.config, ())))
        self.start_bird("router", "outside", self.folder / "outside")
        self.start_bird("bird", EDGE, self.folder / "run")
        self.start_agent()

    def _lay(self) -> None:
        namespace.prepare()
        for name in ("wire", EDGE, "outside"):
            namespace.create(self.netns(name))
            run("ip", "-netns", self.netns(name), "link", "set", "lo", "up")
        self._cable(("u0", 1700), ("wire", "edge"), ("100.64.1.230/16",), (f"{SERVICE[0]}/16",))
        self.plug_uplink()

    def plug_uplink(self) -> None:
        here, there = ("198.51.100.1/31", "2001:db8:fe:1::2/64"), ("198.51.100.0/31", "2001:db8:fe:1::1/64")
        self._cable(("x0", 1500), ("outside", EDGE), here, there)

    def _cable(
        self, inner: tuple[str, int], outer: tuple[str, str], here: tuple[str, ...], there: tuple[str, ...]
    ) -> None:
        """`inner`: device and MTU at the edge; `outer`: namespace and device at the other end."""
        (device, mtu), (other, port) = inner, outer
        size = ("mtu", str(mtu))
        run("ip", "link", "add", device, "netns", self.netns(EDGE), *size, "type", "veth",
            "peer", "name", port, "netns", self.netns(other), *size)  # fmt: skip
        for name, one, addresses in ((EDGE, device, here), (other, port, there)):
            for address in addresses:
                nodad = ("nodad",) if ":" in address else ()
                run("ip", "-netns", self.netns(name), "address", "add", address, "dev", one, *nodad)
            run("ip", "-netns", self.netns(name), "link", "set", one, "up")

    def _start(self, what: str, where: str, *command: str) -> None:
        with (self.folder / f"{what}.log").open("ab") as log:
            self.processes[what] = subprocess.Popen(
                ("nsenter", f"--net=/run/netns/{self.netns(where)}", "--", *command),
                env=os.environ | {"PYTHONPATH": str(CHECKOUT / "src")},
                stderr=log,
                start_new_session=True,
            )

    def start_bird(self, what: str, where: str, folder: Path) -> None:
        files = (word for pair in (("-c", "bird.conf"), ("-s", "bird.ctl"), ("-P", "bird.pid")) for word in (pair[0], str(folder / pair[1])))
        self._start(what, where, "/usr/sbin/bird", "-f", *files)

    def start_agent(self) -> None:
        file = self.folder / "edge.json"
        file.write_bytes(msgspec.json.encode(self.config))
        self._start("agent", EDGE, sys.executable, "-m", "rookery.blackfoot", "--config", str(file))

    def kill(self, what: str) -> None:
        self.processes[what].kill()
        self.processes[what].wait()

    def end_agent(self) -> int:
        self.processes["agent"].send_signal(signal.SIGTERM)
        return self.processes["agent"].wait(10)

    def log(self, what: str = "agent") -> str:
        return (self.folder / f"{what}.log").read_text()

    def change(self, **what: object) -> None:
        """Said by the mapping service, and in the kernel when this returns."""
        generation = self.service.change(EDGE, **what)
        until(lambda: self.service.applied.get(EDGE, 0) >= generation, lambda: f"generation {generation}: {self.log()}")

    def status(self) -> StatusReply:
        return agents.ask(self.config.control_socket, GetStatus(), StatusReply)

    def told(self) -> EdgeReply:
        return agents.ask(self.config.control_socket, GetEdge(), EdgeReply)

    def drain(self, draining: bool) -> EdgeReply:
        return agents.ask(self.config.control_socket, Drain(draining=draining), EdgeReply)

    def what_if(self, program: str, frame: bytes) -> WhatIfReply:
        return agents.ask(self.config.control_socket, WhatIf(program=program, frame=frame, trace=3), WhatIfReply)

    def routes_outside(self) -> set[str]:
        """Blocks that the router outside leads to the edge now."""
        tables = (run("ip", "-netns", self.netns("outside"), family, "route", "show", "proto", "bird") for family in ("-4", "-6"))
        return {line.split()[0] for table in tables for line in table.splitlines()}

    def wait_outside(self, *blocks: str) -> None:
        until(lambda: self.routes_outside() == set(blocks), lambda: f"{self.routes_outside()}: {self.log()} {self.log('bird')}")

    def tables(self) -> EdgeDataplane:
        """A second hand on the pinned tables: to look, and to do harm."""
        return EdgeDataplane.open(self.pins, OBJECTS, 256, 256)

    def remove(self) -> None:
        for process in self.processes.values():
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()
        if hasattr(self, "service"):
            self.service.close()
        for name in namespace.named(f"rookery-{self.region}-"):
            namespace.remove(name)
        EdgeDataplane.remove_pins(self.pins)
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def built(folder: Path, attach: AttachMode | None = None) -> Iterator[OneEdge]:
    """Gone at the end of the block, however it ends."""
    edge = OneEdge(folder, attach)
    try:
        edge.build()
        yield edge
    finally:
        edge.remove()
