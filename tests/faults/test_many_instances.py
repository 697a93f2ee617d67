"""A hundred instances in one call, and none of them left afterwards; and how soon one answers.

host-1 .. host-4, one subnet in each zone: half of the instances in each
"""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from rookery.region import owned
from rookery.region.layout import Layout, host_name
from rookery.region.status import look
from rookery.testing.invariants import broken
from tests.faults.harm import Program, stored, until

pytestmark = pytest.mark.faults

MANY = 100
SOON = 0.6  # seconds; 0.05 on an idle machine, 1.03 when the first ARP request of the new guest is lost


class Fleet:
    def __init__(self, region: Any):
        self.region, self._ec2 = region, region.client()
        vpc = self._ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
        self.subnets = [self._subnet(vpc, number, zone) for number, zone in enumerate("ab")]
        self._image = self._ec2.describe_images()["Images"][0]["ImageId"]

    def _subnet(self, vpc: str, number: int, zone: str) -> str:
        made = self._ec2.create_subnet(
            VpcId=vpc, CidrBlock=f"10.7.{number}.0/24", AvailabilityZone=f"us-east-1{zone}"
        )
        return made["Subnet"]["SubnetId"]

    def launch(self, count: int, subnet: str) -> dict[str, str]:
        """Addresses by id."""
        made = self._ec2.run_instances(ImageId=self._image, MinCount=count, MaxCount=count, SubnetId=subnet)
        return {one["InstanceId"]: one["PrivateIpAddress"] for one in made["Instances"]}

    def states(self) -> dict[str, int]:
        """How many are in each."""
        counted: dict[str, int] = {}
        for page in self._ec2.get_paginator("describe_instances").paginate():
            for one in (one for each in page["Reservations"] for one in each["Instances"]):
                counted[one["State"]["Name"]] = counted.get(one["State"]["Name"], 0) + 1
        return counted

    def terminate(self, instances: list[str]) -> None:
        self._ec2.terminate_instances(InstanceIds=instances)


@pytest.fixture
def fleet(fresh_region):
    return Fleet(fresh_region(4, 2))


def test_an_instance_answers_its_first_ping_soon_after_the_call(fleet):
    (pinger,) = fleet.launch(1, fleet.subnets[0])
    until(lambda: fleet.states() == {"running": 1}, "the first runs")
    assert statistics.median(first_answer(fleet, pinger, n) for n in range(5)) < SOON


def first_answer(fleet: Fleet, pinger: str, number: int) -> float:
    """Seconds after the API's answer. The pings begin before the instance is there."""
    (address,) = fleet.launch(1, fleet.subnets[number % 2]).values()
    began = time.monotonic()
    pings = Program(fleet.region, pinger, "ping", "-n", "-i0.005", address)
    pings.wait_line("bytes from")
    taken = time.monotonic() - began
    pings.interrupt()
    pings.end()
    return taken


def test_a_hundred_instances_start_answer_and_go_without_a_trace(fleet):
    before = processes_of(fleet)
    instances = fleet.launch(MANY // 2, fleet.subnets[0]) | fleet.launch(MANY - MANY // 2, fleet.subnets[1])
    until(lambda: fleet.states() == {"running": MANY}, lambda: str(fleet.states()), within=60)
    pinged = "; ".join(f"ping -n -q -c1 -W2 {address} || echo lost {address}" for address in instances.values())
    said = fleet.region.rookery("exec", next(iter(instances)), "--", "sh", "-c", pinged)
    assert b"lost" not in said.stdout, said.stdout
    fleet.terminate(list(instances))
    until(lambda: fleet.states() == {"terminated": MANY}, lambda: str(fleet.states()), within=60)
    assert left_of(fleet.region.name) == []
    assert processes_of(fleet) == before
    assert broken(stored(fleet.region)) == []
    assert [host.status.healed for host in look(fleet.region.name).hosts] == [0, 0, 0, 0]


def processes_of(fleet: Fleet) -> list[int]:
    return sorted(process.pid for process in owned.region_processes(Layout(fleet.region.name)))


def left_of(name: str) -> list[str]:
    """Whatever instances had: namespaces, devices, pins, files, rows."""
    plan = Layout(name)
    left = [one for one in os.listdir("/run/netns") if one.startswith(plan.instance_namespace("i-"))]
    for host in map(host_name, range(4)):
        left += [f"{host}: {one}" for one in _left_at(plan, host)]
    return left


LINKS_OF_A_HOST = 2  # of the substrate and of the services: their devices came first


def _left_at(plan: Layout, host: str) -> list[str]:
    links = subprocess.run(
        ["ip", "-n", plan.host_namespace(host), "-o", "link"], capture_output=True, text=True, check=True
    )
    left = [line for line in links.stdout.splitlines() if ": eni" in line]
    for folder in (plan.state / host / "instances", plan.host_run(host) / "instances"):
        left += os.listdir(folder)
    pins = plan.pins / host
    links_of_instances = sorted(os.listdir(pins / "links"), key=int)[LINKS_OF_A_HOST:] if (pins / "links").exists() else []
    left += links_of_instances
    for table in ("interfaces", "local_interfaces", "mappings", "routes"):
        left += [f"{table}: {rows}" for rows in [_rows(pins / "maps" / table)] if rows]
    return left


def _rows(pin: Path) -> int:
    keys = ["bpftool", "-j", "map", "dump", "pinned", str(pin)]
    return subprocess.run(keys, capture_output=True, text=True, check=True).stdout.count('"key"')
