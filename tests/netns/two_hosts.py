"""Two hosts on one machine, each with its real agent, and a mapping service that says what the test wants.

    rookery-t...-wire      bridge 100.64.0.2 (the mapping service listens here)
                             |                    |
    rookery-t...-host-1    u0 100.64.1.10       u0 100.64.1.11    rookery-t...-host-2
                             |                    |
    instances               10.7.1.x, twins in VPC 7 and in VPC 8
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from rookery.dataplane.host import HostDataplane
from rookery.host.config import HostConfig
from rookery.host.instances import namespace
from rookery.intent.groups import group_set
from rookery.intent.host import (
    AclEntryIntent,
    AclIntent,
    GroupRuleIntent,
    InstanceIntent,
    InterfaceIntent,
    MappingIntent,
    PolicyIntent,
    RouteIntent,
    RuleIntent,
)
from rookery.mapping.authority import issue, make_authority
from rookery.mapping.certificates import HOST, MAPPING
from rookery.model.objects import NAMESPACE
from tests.netns.fake_mapping_service import FakeMappingService
from tests.waiting import until

CHECKOUT = Path(__file__).resolve().parents[2]
OBJECTS = CHECKOUT / "build" / "bpf"
GUEST_IMAGES = CHECKOUT / "build" / "guests"
ROUTER_MAC = "02:07:01:00:00:01"
ADDRESSES = {"host-1": "100.64.1.10", "host-2": "100.64.1.11"}
SERVICE = ("100.64.0.2", 4581)


def run(*command: str, given: str | None = None) -> str:
    done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


@dataclass
class Guest:
    """An instance of the plan: 10.7.1.<last> in VPC `vpc` on `host`."""

    vpc: int
    last: int
    host: str
    user_data: str = ""
    boot: int = 1
    kind: str = NAMESPACE
    token: int = field(default_factory=lambda: secrets.randbits(30))

    @property
    def id(self) -> str:
        return f"i-000000000{self.token:08x}"

    @property
    def address(self) -> str:
        return f"10.7.1.{self.last}"

    def intent(self, wanted: str = "running") -> InstanceIntent:
        interface = InterfaceIntent(
            id=f"eni-000000000{self.token:08x}", vni=self.vpc, number=self.token, subnet=self.vpc << 8,
            route_table=self.vpc << 9, router="10.7.1.1", primary=self.address, addresses=(self.address,),
            prefix_length=24, mac=self.mac, router_mac=ROUTER_MAC, mtu=1500, source_dest_check=True,
            device_index=0, group_set=self.policy.group_set, acl=self.acl.number,
        )  # fmt: skip
        return InstanceIntent(
            id=self.id, wanted=wanted, boot=self.boot, hostname=f"ip-10-7-1-{self.last}",
            domain="ec2.internal", user_data=base64.b64encode(self.user_data.encode()).decode(),
            interfaces=(interface,), kind=self.kind,
        )  # fmt: skip

    @property
    def mac(self) -> str:
        return f"02:07:01:{self.vpc:02x}:00:{self.last:02x}"

    @property
    def mapping(self) -> MappingIntent:
        return MappingIntent(
            vni=self.vpc, address=self.address, host=ADDRESSES[self.host], interface=self.token,
            subnet=self.vpc << 8, mac=self.mac, source_dest_check=True, generation=2, issued=int(time.time()),
            group_set=self.policy.group_set,
        )  # fmt: skip

    @property
    def route(self) -> RouteIntent:
        return RouteIntent(table=self.vpc << 9, destination="10.7.0.0/16", kind="local")

    @property
    def policy(self) -> PolicyIntent:
        """Everything within the VPC, both ways, and tracked."""
        groups = (f"sg-{self.vpc:017x}",)
        rules = tuple(
            GroupRuleIntent(
                id=f"sgr-{self.vpc:08x}{egress:d}", of=groups[0], egress=egress, protocol=-1, from_port=-1, to_port=-1,
                cidrs=("10.7.0.0/16",),
            )
            for egress in (False, True)
        )
        return PolicyIntent(vni=self.vpc, group_set=group_set(groups), groups=groups, rules=rules)

    @property
    def acl(self) -> AclIntent:
        entries = tuple(
            AclEntryIntent(
                number=100, egress=egress, allow=True, protocol=-1, cidr="0.0.0.0/0", from_port=-1, to_port=-1
            )
            for egress in (False, True)
        )
        return AclIntent(number=self.vpc, id=f"acl-{self.vpc:017x}", vni=self.vpc, entries=entries)

    @property
    def rules(self) -> tuple[RuleIntent, ...]:
        return (self.policy, self.acl)


class TwoHosts:
    def __init__(self, folder: Path, with_services: bool = False):
        """With services there is a way to them: guests ask for their addresses, and who is to answer the test brings along."""
        self.with_services = with_services
        self.region = f"t{secrets.token_hex(3)}"
        self.folder = folder
        self.pins = Path("/sys/fs/bpf") / f"rookery-{self.region}"
        self.agents: dict[str, subprocess.Popen[bytes]] = {}
        self.started: list[Guest] = []
        self._built: list[str] = []

    def netns(self, name: str) -> str:
        return f"rookery-{self.region}-{name}"

    def services(self, host: str) -> str:
        return self.netns(f"{host}-services")

    def build(self) -> None:
        run("make", "-C", str(CHECKOUT / "bpf"), f"OUT={OBJECTS}")
        certificates = self.folder / "certificates"
        make_authority(certificates, self.region)
        self._wire()
        self.service = FakeMappingService(issue(certificates, MAPPING), self.netns("wire"), SERVICE)
        for host in ADDRESSES:
            issue(certificates, HOST, host)
            self.start_agent(host)

    def _wire(self) -> None:
        namespace.prepare()
        wire = self.netns("wire")
        for name in ("wire", *ADDRESSES):
            namespace.create(self.netns(name))
            run("ip", "-netns", self.netns(name), "link", "set", "lo", "up")
        run("ip", "-netns", wire, "link", "add", "bridge", "mtu", "1700", "type", "bridge", "mcast_snooping", "0")
        run("ip", "-netns", wire, "link", "set", "bridge", "up")
        run("ip", "-netns", wire, "address", "add", f"{SERVICE[0]}/16", "dev", "bridge")
        for host, address in ADDRESSES.items():
            here = ("ip", "-netns", self.netns(host))
            run(*here, "link", "add", "u0", "mtu", "1700", "type", "veth", "peer", host, "mtu", "1700", "netns", wire)
            run("ip", "-netns", wire, "link", "set", host, "master", "bridge", "up")
            run(*here, "address", "add", f"{address}/16", "dev", "u0")
            run(*here, "link", "set", "u0", "up")

    def config(self, host: str) -> HostConfig:
        certificates = self.folder / "certificates"
        return HostConfig(
            region_name=self.region,
            name=host,
            address=ADDRESSES[host],
            network="100.64.0.0/16",
            mapping_service=[f"{SERVICE[0]}:{SERVICE[1]}"],
            ca_certificate=str(certificates / "authority.pem"),
            certificate=str(certificates / f"host-{host}.pem"),
            private_key=str(certificates / f"host-{host}.key"),
            pins=str(self.pins / host),
            state_directory=str(self.folder / "state" / host),
            run_directory=str(self.folder / "run" / host),
            bpf_objects=str(OBJECTS),
            guest_images=str(GUEST_IMAGES),
            max_mappings=4096,
            services_namespace=self.services(host) if self.with_services else "",
            heal_seconds=0.5,
        )

    def start_agent(self, host: str) -> None:
        config = self.folder / f"{host}.json"
        config.write_bytes(msgspec.json.encode(self.config(host)))
        command = (sys.executable, "-m", "rookery.host", "--config", str(config))
        with (self.folder / f"{host}.log").open("ab") as log:
            self.agents[host] = subprocess.Popen(
                ("nsenter", f"--net=/run/netns/{self.netns(host)}", "--", *command),
                env=os.environ | {"PYTHONPATH": str(CHECKOUT / "src")},
                stderr=log,
                start_new_session=True,
            )

    def log(self, host: str) -> str:
        return (self.folder / f"{host}.log").read_text()

    def kill_agent(self, host: str) -> None:
        self.agents[host].kill()
        self.agents[host].wait()

    def stop_agent(self, host: str) -> int:
        self.agents[host].send_signal(signal.SIGTERM)
        return self.agents[host].wait(10)

    def launch(self, *guests: Guest) -> None:
        """Mappings of a VPC go to every host that has it, as the mapping service would send them."""
        self.started += guests
        for host in ADDRESSES:
            here = {g.vpc for g in self.started if g.host == host}
            generation = self.service.change(
                host,
                mappings=tuple(g.mapping for g in self.started if g.vpc in here),
                routes=tuple(g.route for g in self.started if g.vpc in here),
                instances=tuple(g.intent() for g in guests if g.host == host),
                rules=tuple(rule for g in self.started if g.vpc in here for rule in g.rules),
            )
            self.wait_applied(host, generation)
        for guest in guests:
            self.wait_state(guest, "running")

    def wait_applied(self, host: str, generation: int) -> None:
        until(lambda: self.service.applied.get(host, 0) >= generation, lambda: f"{host} at {generation}: {self.log(host)}")

    def wait_state(self, guest: Guest, state: str) -> None:
        def reached() -> bool:
            status = self.service.statuses.get(guest.id)
            return status is not None and (status.state, status.boot) == (state, guest.boot)

        until(reached, lambda: f"{guest.id} {state} ({self.service.statuses}): {self.log(guest.host)}")

    def ask(self, host: str, **request: Any) -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(10)
            client.connect(str(self.config(host).control_socket))
            client.sendall(json.dumps(request).encode() + b"\n")
            with client.makefile("rb") as answers:
                return json.loads(answers.readline())

    def answers(self, host: str) -> bool:
        """Whether its agent does."""
        try:
            return bool(self.ask(host, type="status")["connected"])
        except OSError:
            return False

    def pid(self, guest: Guest) -> int:
        return self.ask(guest.host, type="instance", id=guest.id)["pid"]

    def inside(self, guest: Guest, *command: str) -> tuple[str, ...]:
        """The command line that runs `command` in the instance, as `rookery exec` does."""
        return ("nsenter", f"--target={self.pid(guest)}", "--all", "--wd=/", *command)

    def pings(self, source: Guest, destination: Guest) -> bool:
        command = self.inside(source, "ping", "-n", "-c", "1", "-W", "1", destination.address)
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def open_dataplane(self, host: str) -> HostDataplane:
        """A second hand on the host's pinned tables: to look, and to do harm."""
        return HostDataplane.open(self.pins / host, OBJECTS, 4096)

    def remove(self) -> None:
        """All of it, however far it came."""
        for agent in self.agents.values():
            agent.kill()
            agent.wait()
        self._kill_instances()
        if hasattr(self, "service"):
            self.service.close()
        for name in namespace.named(f"rookery-{self.region}-"):
            namespace.remove(name)
        for host in ADDRESSES:
            HostDataplane.remove_pins(self.pins / host)
        with suppress(FileNotFoundError):
            self.pins.rmdir()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _kill_instances(self) -> None:
        for file in (self.folder / "run").glob("*/instances/*.pid"):
            pid = int(file.read_text().split()[0])
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@contextmanager
def built(folder: Path, with_services: bool = False) -> Iterator[TwoHosts]:
    """Gone at the end of the block, however it ends."""
    hosts = TwoHosts(folder, with_services)
    try:
        hosts.build()
        yield hosts
    finally:
        hosts.remove()
