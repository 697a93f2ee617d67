"""What instances find on their wire: a running region of two hosts, beside dnsmasq on a plain veth.

    python -m bench.services [--rounds 7] [--json]

A hundred instances are launched and must be reachable by name; then the guests of one host ask its services as fast as they may
(an interface may send 1,024 packets a second), and one guest asks slowly. Every round has every load on Rookery and its peer, in
alternating order. Answers are checked. CPU is what the kernel counts for the answering process, its part of the path included.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from bench import services_memory
from bench.dnsmasq import running_dnsmasq
from bench.reach import RESOLVER, reachable
from bench.region import NAME, ec2_client, make_places, running_region
from bench.service_loads import question, refuse_bad
from rookery.host.instances import namespace
from rookery.region import owned
from rookery.region.layout import Layout, host_name
from rookery.region.supervisor import STEADY

MANY = 100
DOMAIN = "ec2.internal"
FIRST_PLACE = "10.0.0."  # whose instances live on the first host
BUDGET = 1000  # the data path refuses more than 1,024
UNLIMITED = 1_000_000
PEERS_SOCKETS = 24  # more questions under way than these ask would overrun its one socket's queue
LEASES = 10  # a round
DEATHS_TOGETHER = 2  # of one process: the supervisor waits ever longer for who goes on dying, until it lived STEADY seconds
PATIENCE = 60.0
# Applies the lease as an instance does, but for resolv.conf, which the peer's client has not for itself.
SCRIPT = """#!/bin/sh
[ "$1" = bound ] || exit 0
ip address replace "$ip/$mask" dev "$interface"
[ -z "$router" ] || ip route replace default via "${router%% *}" dev "$interface"
"""
Figures = dict[str, float]


class Subject(NamedTuple):
    """Who is asked, and by whom."""

    name: str
    pid: int
    namespaces: list[str]  # of guests
    resolver: str
    budget: int  # packets to the services, of each guest in a second


def processor_seconds(pid: int) -> float:
    """Of all threads, to the nanosecond; /proc/<pid>/stat counts in hundredths."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(one.read_text().split()[0]) for one in threads) / 1e9


def run_load(subject: Subject, kind: str, names: list[str], seconds: float) -> tuple[Figures, float]:
    """What the load says, and the seconds of CPU of who answered."""
    asked = {"namespaces": subject.namespaces, "server": subject.resolver, "names": names, "budget": subject.budget}
    before = processor_seconds(subject.pid)
    command = [sys.executable, "-m", "bench.service_loads", kind, str(seconds)]
    done = subprocess.run(command, input=json.dumps(asked), stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout), processor_seconds(subject.pid) - before


def dns(subject: Subject, names: list[str], seconds: float) -> Figures:
    many, spent = run_load(subject, "dns", names, seconds)
    one, spent_on_one = run_load(subject, "dns-one", names, seconds)
    return {
        "dns_per_second": many["per_second"],
        "dns_answered": many["answered"] / (many["answered"] + many["lost"]),
        "dns_per_core_second": many["answered"] / spent,
        "dns_cpu_us": spent / many["answered"] * 1e6,
        "dns_alone_cpu_us": spent_on_one / one["count"] * 1e6,
        "dns_p50_us": one["p50_us"],
        "dns_p99_us": one["p99_us"],
    }


def metadata(subject: Subject, names: list[str], seconds: float) -> Figures:
    many, spent = run_load(subject, "metadata", names, seconds)
    one, _ = run_load(subject, "metadata-one", names, seconds)
    return {
        "metadata_per_second": many["per_second"],
        "metadata_per_core_second": many["answered"] / spent,
        "metadata_cpu_us": spent / many["answered"] * 1e6,
        "metadata_token_and_value_p50_us": one["p50_us"],
    }


def dhcp(subject: Subject, script: str) -> Figures:
    """udhcpc started -> the lease is applied and udhcpc ends."""
    times, before = [], processor_seconds(subject.pid)
    for number in range(LEASES):
        inside = f"--net=/run/netns/{subject.namespaces[number % len(subject.namespaces)]}"
        client = ["busybox", "udhcpc", "-f", "-q", "-n", "-i", "eth0", "-t", "5", "-T", "1", "-s", script]
        began = time.perf_counter()
        subprocess.run(["nsenter", inside, "--", *client], check=True, stderr=subprocess.DEVNULL)
        times.append((time.perf_counter() - began) * 1000)
    spent = processor_seconds(subject.pid) - before
    return {"dhcp_p50_ms": statistics.median(times), "dhcp_cpu_us": spent / LEASES * 1e6}


def measure_loads(subjects: list[Subject], names: list[str], rounds: int, seconds: float) -> dict[str, list[Figures]]:
    """By subject, one entry a round."""
    found: dict[str, list[Figures]] = {subject.name: [] for subject in subjects}
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "lease"
        script.write_text(SCRIPT)
        script.chmod(0o755)
        for number in range(rounds):
            for subject in subjects if number % 2 == 0 else subjects[::-1]:
                figures = dns(subject, names, seconds) | dhcp(subject, str(script))
                if subject is subjects[0]:
                    figures |= metadata(subject, names, seconds)
                found[subject.name].append(figures)
            print(f"round {number + 1} of {rounds} done", file=sys.stderr, flush=True)
    return found


class Fleet:
    """Instances of one VPC in two subnets, one for each host; the first looks for the others."""

    def __init__(self) -> None:
        self._ec2 = ec2_client()
        self._places = make_places(self._ec2)
        self._image = self._ec2.describe_images()["Images"][0]["ImageId"]
        ((self.seeker, _),) = self._run(self._places[0], 1).items()
        self.wait({"running": 1})

    def _run(self, place: str, count: int) -> dict[str, str]:
        """Addresses by id."""
        made = self._ec2.run_instances(
            ImageId=self._image,
            InstanceType="t3.micro",
            MinCount=count,
            MaxCount=count,
            SubnetId=place,
            PrivateDnsNameOptions={"EnableResourceNameDnsARecord": True},
        )
        return {one["InstanceId"]: one["PrivateIpAddress"] for one in made["Instances"]}

    def launch(self) -> tuple[dict[str, str], Figures]:
        """Half of them in each place. Their addresses, and seconds."""
        asked = time.monotonic()
        made = self._run(self._places[0], MANY // 2) | self._run(self._places[1], MANY - MANY // 2)
        answered = time.monotonic()
        times = sorted(reachable(namespace_of(self.seeker), made, DOMAIN, answered).values())
        return made, {
            "run_instances_s": answered - asked,
            "reachable_p50_s": statistics.median(times),
            "all_reachable_s": times[-1],
        }

    def terminate(self, instances: list[str]) -> None:
        self._ec2.terminate_instances(InstanceIds=instances)
        self.wait({"running": 1})

    def wait(self, wanted: dict[str, int]) -> None:
        """How many are in each state, those terminated left out. Raises TimeoutError."""
        deadline = time.monotonic() + PATIENCE
        while (seen := self._states()) != wanted:
            if time.monotonic() > deadline:
                raise TimeoutError(f"instances are {seen}, not {wanted}")
            time.sleep(0.1)

    def _states(self) -> dict[str, int]:
        pages = self._ec2.get_paginator("describe_instances").paginate()
        names = [one["State"]["Name"] for page in pages for each in page["Reservations"] for one in each["Instances"]]
        return {name: names.count(name) for name in set(names) - {"terminated"}}


def namespace_of(instance: str) -> str:
    return Layout(NAME).instance_namespace(instance)


def services_pid(host: str) -> int:
    """Raises RuntimeError."""
    found = owned.find(("-m", "rookery.host.services", "--config", str(Layout(NAME).host_run(host) / "host.json")))
    if found is None:
        raise RuntimeError(f"{host} has no services")
    return found.pid


def measure_launches(fleet: Fleet, count: int) -> tuple[dict[str, str], list[Figures]]:
    """The instances of the last launch live."""
    found: list[Figures] = []
    while True:
        made, figures = fleet.launch()
        found.append(figures)
        print(f"launch {len(found)} of {count} done", file=sys.stderr, flush=True)
        if len(found) == count:
            return made, found
        fleet.terminate(list(made))


def first_answer(guest: str, name: str, resolver: str = RESOLVER) -> float:
    """Seconds until it answers the guest."""
    with namespace.inside(guest):
        asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with asking:
        asking.settimeout(0.005)
        asking.connect((resolver, 53))
        began = time.monotonic()
        while time.monotonic() - began < PATIENCE:
            asking.send(question(name, 1))
            try:
                refuse_bad(asking.recv(512))
            except (TimeoutError, ConnectionRefusedError):  # nobody listens yet
                continue
            return time.monotonic() - began
    raise TimeoutError(f"{resolver} does not answer {guest}")


def measure_recovery(guests: dict[str, str], name: str, rounds: int) -> list[float]:
    """Seconds from the sudden death of a host's services to their first answer. `guests`: one of each host's."""
    found: list[float] = []
    while True:
        for _ in range(DEATHS_TOGETHER):
            for host, guest in guests.items():
                os.kill(services_pid(host), signal.SIGKILL)
                found.append(first_answer(guest, name))
        if len(found) >= rounds:
            return found
        time.sleep(STEADY + 1)


def measure(rounds: int, launches: int, seconds: float) -> dict[str, Any]:
    host = host_name(0)
    with running_region(hosts=2):
        empty = services_memory.memory(services_pid(host))
        fleet = Fleet()
        made, launched = measure_launches(fleet, launches)
        fleet.wait({"running": MANY + 1})
        here = {identity: address for identity, address in made.items() if address.startswith(FIRST_PLACE)}
        guests, others = ([namespace_of(identity) for identity in half] for half in (here, made.keys() - here.keys()))
        names = {f"ip-{address.replace('.', '-')}.{DOMAIN}": address for address in here.values()}
        with running_dnsmasq(names) as peer:
            first_answer(peer.namespace, next(iter(names)), peer.address)
            subjects = [
                Subject("rookery", services_pid(host), guests, RESOLVER, BUDGET),
                Subject("dnsmasq", peer.pid, [peer.namespace] * PEERS_SOCKETS, peer.address, UNLIMITED),
            ]
            loads = measure_loads(subjects, list(names), rounds, seconds)
        used = services_memory.memory(services_pid(host))
        recovered = measure_recovery({host: guests[0], host_name(1): others[0]}, next(iter(names)), rounds)
    return {
        "rounds": rounds,
        "guests": len(guests),
        "loads": loads,
        "launches": launched,
        "recovered_s": recovered,
        "memory": {
            "told_of": services_memory.measure(),
            "in_the_region": {"in a new region": empty, f"{len(guests)} guests, after all loads": used},
        },
    }


def summary(data: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Medians by figure: of ours, of the peer's, and of the ratio round by round."""
    ours, peers = data["loads"]["rookery"], data["loads"]["dnsmasq"]
    found: dict[str, dict[str, float]] = {}
    for key in ours[0]:
        found[key] = {"rookery": statistics.median(one[key] for one in ours)}
        if key in peers[0]:
            found[key]["dnsmasq"] = statistics.median(one[key] for one in peers)
            found[key]["ratio"] = statistics.median(a[key] / b[key] for a, b in zip(ours, peers, strict=True))
    for key in data["launches"][0]:
        found[key] = {"rookery": statistics.median(one[key] for one in data["launches"])}
    found["recovered_s"] = {"rookery": statistics.median(data["recovered_s"])}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--launches", type=int, default=5, help="of a hundred instances each")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each load")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    data = measure(options.rounds, options.launches, options.seconds)
    data["summary"] = summary(data)
    print(json.dumps(data) if options.json else json.dumps(data["summary"] | data["memory"], indent=1))


if __name__ == "__main__":
    main()
