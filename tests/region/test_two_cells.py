"""Two cells of one region: each works for what was placed there, and neither knows of the other's end.

    left  10.64.2.10 -- host-1 --+-- node-1 (cell-1) ---------+-- edge-1 -- router -- page 192.0.2.80
    right 10.64.4.10 -- host-1 --+-- cell-2-node-1 (cell-2) --+
      left:  0.0.0.0/0 -> its gateway in 10.64.1.0/24
      right: 0.0.0.0/0 -> its gateway in 10.64.1.0/24, made after left's
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from cryptography import x509

from rookery.host.instances.namespace import named
from rookery.hyperplane.object_store import file_key
from rookery.mapping.certificates import CLOCK_SKEW, HOST, identity_of
from rookery.model.codec import decode
from rookery.model.keys import revocation_key
from rookery.model.objects import Revocation
from rookery.region import cells, flows, namespaces, owned
from rookery.region.errors import NotFound
from rookery.region.inside import entering
from rookery.region.layout import CHECKOUT, PAGE_ADDRESSES, Layout
from rookery.region.parts import CONTROLLER
from rookery.region.processes import arguments
from rookery.region.status import live_generation
from rookery.region.supervisor import read_records
from rookery.store.sqlite import opened
from rookery.trace.journey import travel
from rookery.trace.packet import Probe
from tests.conftest import RunningRegion
from tests.region.gateway_stage import printed
from tests.waiting import until

pytestmark = pytest.mark.real_packets
PAGE = PAGE_ADDRESSES[0]
WAIT = {"Delay": 0.2, "MaxAttempts": 200}
FIRST, SECOND = ("node-1",), ("cell-2-node-1",)
KILLED = """
import os, signal, sys
from rookery.region import cells, namespaces, scale, settings, supervisor
def die(*_): os.kill(os.getpid(), signal.SIGKILL)
setattr({"cells": cells, "namespaces": namespaces, "scale": scale, "settings": settings, "supervisor": supervisor}[sys.argv[1]], sys.argv[2], die)
from rookery.region.cell_fleet import remove
remove(sys.argv[3], "cell-2", lambda _: None)
"""
STEPS = ["settings write", "scale prepare", "supervisor launch", "namespaces remove", "cells forget_cell"]  # what it would do next


class Stage:
    """Ids by "left" and "right"; `public`: of their gateways."""

    def __init__(self, region: RunningRegion):
        self.region, self.ec2, self.plan = region, region.client(), Layout(region.name)
        self.vpc = self.ec2.create_vpc(CidrBlock="10.64.0.0/16")["Vpc"]["VpcId"]
        gateway = self.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        self.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=self.vpc)
        self.outer, table = self.subnet(1)
        self.lead(table, GatewayId=gateway)
        self.nat: dict[str, str] = {}
        self.public: dict[str, str] = {}
        self.instances: dict[str, str] = {}
        self.tables: dict[str, str] = {}
        for number, side in ((2, "left"), (4, "right")):
            self.make_nat(side)
            subnet, self.tables[side] = self.subnet(number)
            self.instances[side] = self.launch(subnet, f"10.64.{number}.10")
            self.now(self.lead(self.tables[side], NatGatewayId=self.nat[side]))

    def subnet(self, number: int) -> tuple[str, str]:
        """And its route table."""
        made = self.ec2.create_subnet(VpcId=self.vpc, CidrBlock=f"10.64.{number}.0/24", AvailabilityZone="us-east-1a")
        table = self.ec2.create_route_table(VpcId=self.vpc)["RouteTable"]["RouteTableId"]
        self.ec2.associate_route_table(RouteTableId=table, SubnetId=made["Subnet"]["SubnetId"])
        return made["Subnet"]["SubnetId"], table

    def lead(self, table: str, **target: str) -> Any:
        return self.ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", **target)

    def make_nat(self, side: str) -> None:
        address = self.ec2.allocate_address(Domain="vpc")
        made = self.ec2.create_nat_gateway(SubnetId=self.outer, AllocationId=address["AllocationId"])["NatGateway"]
        self.nat[side], self.public[side] = made["NatGatewayId"], address["PublicIp"]
        self.ec2.get_waiter("nat_gateway_available").wait(NatGatewayIds=[made["NatGatewayId"]], WaiterConfig=WAIT)

    def delete_nat(self, side: str) -> None:
        self.delete(self.nat[side])

    def make_private(self) -> str:
        made = self.ec2.create_nat_gateway(SubnetId=self.outer, ConnectivityType="private")["NatGateway"]["NatGatewayId"]
        self.ec2.get_waiter("nat_gateway_available").wait(NatGatewayIds=[made], WaiterConfig=WAIT)
        return made

    def delete(self, gateway: str) -> None:
        self.ec2.delete_nat_gateway(NatGatewayId=gateway)
        self.ec2.get_waiter("nat_gateway_deleted").wait(NatGatewayIds=[gateway], WaiterConfig=WAIT)

    def launch(self, subnet: str, address: str) -> str:
        image = self.ec2.describe_images()["Images"][0]["ImageId"]
        (made,) = self.ec2.run_instances(ImageId=image, SubnetId=subnet, PrivateIpAddress=address, MinCount=1, MaxCount=1)["Instances"]
        self.ec2.get_waiter("instance_running").wait(InstanceIds=[made["InstanceId"]], WaiterConfig=WAIT)
        return made["InstanceId"]

    def now(self, answer: Any) -> None:
        generation = int(answer["ResponseMetadata"]["HTTPHeaders"]["x-rookery-generation"])
        until(lambda: live_generation(self.region.name) >= generation, "hosts, edges and nodes follow")

    def told(self, side: str) -> str:
        """By the page, of who asks; empty: nothing."""
        enter, environment = entering(self.region.name, self.instances[side], ["curl", "-s", "-m", "2", f"http://{PAGE}/"])
        return printed(enter, environment)

    def expected(self, side: str) -> str:
        return f"{PAGE} sees you as {self.public[side]}\n"

    def cells(self) -> dict[str, cells.CellRow]:
        return {one.name: one for one in cells.look_at_all(self.region.name)}

    def problems(self, cell: str) -> list[str]:
        """Of its nodes; empty strings of those that have none."""
        return [node.problem for node in self.cells()[cell].nodes]

    def pids(self, *parts: str) -> dict[str, int]:
        return {one.name: one.pid for one in read_records(self.plan) if one.name in parts}

    def hang(self, *nodes: str) -> None:
        """As machines that have stopped: no packet passes, nobody says anything."""
        for pid in self.pids(*nodes).values():
            os.kill(pid, signal.SIGSTOP)
        self.set_cables(nodes, "down")

    def go_on(self, *nodes: str) -> None:
        self.set_cables(nodes, "up")
        for pid in self.pids(*nodes).values():
            os.kill(pid, signal.SIGCONT)

    def set_cables(self, nodes: Iterable[str], state: str) -> None:
        for node in nodes:
            namespaces.run("ip", "-n", self.plan.host_namespace(node), "link", "set", "u0", state)


@pytest.fixture(scope="module")
def stage(module_region: Callable[..., RunningRegion]) -> Stage:
    return Stage(module_region(1, 1, "--edges", "1", "--cells", "2", "--nodes", "1"))


def test_gateways_go_to_the_emptiest_cell_and_both_cells_pass_packets(stage: Stage):
    assert [stage.told(side) for side in ("left", "right")] == [stage.expected(side) for side in ("left", "right")]
    found = {name: (one.attachments, tuple(node.name for node in one.nodes)) for name, one in stage.cells().items()}
    assert found == {"cell-1": (1, FIRST), "cell-2": (1, SECOND)}


def test_a_flow_and_a_trace_name_the_cell(stage: Stage):
    name, right = stage.region.name, stage.instances["right"]
    (flow,) = [one for one in flows.find(name, right).flows if one.destination_port == 80]
    assert (flow.cell, flow.attachment) == ("cell-2", stage.nat["right"])
    assert {keeper.node for keeper in flow.keepers} <= set(SECOND)
    with pytest.raises(NotFound, match="no node keeps a flow"):
        flows.find(name, right, cell="cell-1")
    for side, cell in (("left", "cell-1"), ("right", "cell-2")):
        legs = travel(name, stage.instances[side], PAGE, Probe.of(80, None)).legs
        assert {leg.cell for leg in legs if leg.program == "hyperplane"} == {cell}


def test_a_cell_that_dies_takes_nothing_of_the_other_with_it(stage: Stage):
    spare = [stage.make_private() for _ in range(2)]  # the second one at the second cell
    before, epoch = stage.pids(*FIRST, CONTROLLER), stage.cells()["cell-1"].epoch
    ping = ["ping", "-n", "-q", "-c", "200", "-i", "0.02", "-W", "2", PAGE]
    enter, environment = entering(stage.region.name, stage.instances["left"], ping)
    pings = subprocess.Popen(enter, env=environment, stdout=subprocess.PIPE, text=True)
    stage.hang(*SECOND)
    try:
        assert stage.told("right") == ""
        assert stage.told("left") == stage.expected("left")
        assert " 0% packet loss" in pings.communicate(timeout=30)[0]
        until(lambda: all(stage.problems("cell-2")), "the second cell is known to be dead", 30)
        assert not any(stage.problems("cell-1"))
        assert stage.cells()["cell-1"].epoch > epoch + 1
        assert stage.cells()["cell-2"].attachments == 2
        stage.delete(spare[1])
        until(lambda: stage.cells()["cell-2"].attachments == 1, "its file is without what is gone")
        without = stage.cells()["cell-2"].epoch
        for _ in range(2):
            stage.ec2.create_nat_gateway(SubnetId=stage.outer, ConnectivityType="private")
        until(lambda: stage.cells()["cell-1"].attachments == 4, "what is new goes to the first, though the other has fewer")
        assert stage.pids(*FIRST, CONTROLLER) == before
    finally:
        stage.go_on(*SECOND)
    until(lambda: stage.told("right") == stage.expected("right"), "the second cell is back", 30)
    until(lambda: all(node.report and node.report.epoch >= without for node in stage.cells()["cell-2"].nodes), "and works by that file")


def test_a_cell_leaves_when_it_serves_nothing_and_another_comes(stage: Stage):
    until(lambda: not any(stage.problems("cell-2")), "the second cell is whole", 30)
    before = stage.pids(*FIRST, CONTROLLER)
    refused = stage.region.rookery("cell", "remove", "cell-2")
    assert (refused.returncode, f"cell-2 serves {stage.nat['right']} of 123456789012" in refused.stderr.decode()) == (1, True)
    assert not stage.cells()["cell-2"].closed
    assert stage.told("right") == stage.expected("right")
    stage.delete_nat("right")
    copied = certificate(stage.plan, *SECOND)
    done = stage.region.rookery("cell", "remove", "cell-2", timeout=60)
    assert (done.returncode, done.stdout) == (0, b"cell-2 is gone\n"), done.stderr.decode()
    assert list(stage.cells()) == ["cell-1"]
    assert [name for name in named(stage.plan.namespace_prefix) if "cell-2" in name] == []
    assert not (stage.plan.objects / file_key("cell-2")).exists()
    assert stage.region.rookery("status").returncode == 0
    assert (stage.pids(*FIRST, CONTROLLER), stage.told("left")) == (before, stage.expected("left"))
    done = stage.region.rookery("cell", "add", timeout=100)
    assert (done.returncode, done.stdout) == (0, b"cell-2 is in use\n"), done.stderr.decode()
    before_which = revoked(stage.plan, *SECOND)
    assert issued(copied) < before_which <= issued(certificate(stage.plan, *SECOND))
    stage.make_nat("right")
    replaced = {"RouteTableId": stage.tables["right"], "DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": stage.nat["right"]}
    stage.now(stage.ec2.replace_route(**replaced))
    assert stage.told("right") == stage.expected("right")
    assert stage.cells()["cell-2"].attachments == 1
    assert stage.pids(*FIRST, CONTROLLER) == before


def test_a_command_that_is_killed_while_it_removes_a_cell_is_shown_and_the_next_goes_on(stage: Stage):
    """Killed at one step after the other. `up` does the rest."""
    stage.delete_nat("right")
    for step in STEPS:
        command = [sys.executable, "-c", KILLED, *step.split(), stage.region.name]
        killed = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(CHECKOUT / "src")}, capture_output=True, timeout=60, check=False)
        assert killed.returncode == -signal.SIGKILL, (step, killed.stderr.decode())
        told = stage.region.rookery("status").stdout.decode()
        assert ("cell-2: " in told and "cell remove cell-2" in told) is (step != STEPS[0]), (step, told)
    assert stage.told("left") == stage.expected("left")
    assert stage.region.rookery("up").returncode == 0
    assert stage.region.rookery("status").returncode == 0
    assert left_of(stage.plan, "cell-2") == []
    assert stage.told("left") == stage.expected("left")


def certificate(plan: Layout, node: str) -> bytes:
    return identity_of(plan.certificates, HOST, node).certificate.read_bytes()


def issued(pem: bytes) -> int:
    return int(x509.load_pem_x509_certificate(pem).not_valid_before_utc.timestamp()) + CLOCK_SKEW


def revoked(plan: Layout, node: str) -> int:
    async def work() -> int:
        async with opened(plan.database) as store:
            entry = await store.get(revocation_key(node))
            assert entry
            return decode(Revocation, entry.value).before

    return asyncio.run(work())


def left_of(plan: Layout, cell: str) -> list[str]:
    """Of its nodes, wherever anything of a node is; and of itself."""
    folders = (plan.run, plan.state, plan.pins, plan.pins / "substrate", plan.certificates, plan.objects, plan.objects / "cells")
    files = [str(found) for folder in folders if folder.exists() for found in folder.iterdir() if cell in found.name]
    processes = [str(one) for one in owned.region_processes(plan) if any(f"/{cell}-" in word for word in arguments(one.pid))]
    return [*files, *processes, *(name for name in named(plan.namespace_prefix) if cell in name)]
