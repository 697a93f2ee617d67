"""What an interface costs in the memory of a host's services: they are told of ever more, as their agent tells them, and
have no sockets.

An interface comes with all that a service must know of it, and with its instance's name as every host of the VPC hears it.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

import msgspec

from rookery.host.config import HostConfig
from rookery.host.services_feed import ServicesFeed
from rookery.intent.host import (
    DhcpIntent,
    HostIntent,
    InstanceIntent,
    InstanceMetadata,
    InterfaceIntent,
    InterfaceServices,
    NameIntent,
    RuleIntent,
    RuleKey,
)
from rookery.mapping.client import Update

COUNTS = (0, 100, 500)
TAGS = (("Name", "one of many"), ("project", "penguins"))
PATIENCE = 20.0
SETTLED = 0.2  # seconds after the last word of it


def instance(number: int) -> InstanceIntent:
    address = f"10.0.{number >> 8}.{number & 255}"
    services = InterfaceServices(
        account="123456789012",
        vpc="vpc-0123456789abcdef0",
        subnet="subnet-0123456789abcdef0",
        subnet_cidr="10.0.0.0/16",
        vpc_cidrs=("10.0.0.0/16",),
        groups=(("sg-0123456789abcdef0", "default"),),
        dns_hostnames=True,
        dhcp=DhcpIntent(domain_name="ec2.internal", name_servers=("AmazonProvidedDNS",)),
    )
    interface = InterfaceIntent(
        id=f"eni-{number:017x}",
        vni=1,
        number=number,
        subnet=1,
        route_table=1,
        router="10.0.0.1",
        primary=address,
        addresses=(address,),
        prefix_length=16,
        mac=f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}",
        router_mac="02:00:00:00:00:01",
        mtu=9001,
        source_dest_check=True,
        device_index=0,
        resolver="10.0.0.2",
        services=services,
    )
    return InstanceIntent(
        id=f"i-{number:017x}",
        wanted="running",
        boot=1,
        hostname=f"ip-{address.replace('.', '-')}",
        domain="ec2.internal",
        user_data="IyEvYmluL3NoCmVjaG8gaGVsbG8K",
        interfaces=(interface,),
        metadata=InstanceMetadata(region="us-east-1", tags=TAGS),
    )


def name_of(one: InstanceIntent) -> NameIntent:
    return NameIntent(vni=1, name=f"{one.id}.ec2.internal", addresses=(one.interfaces[0].primary,))


def intent(count: int) -> HostIntent:
    made = [instance(number) for number in range(10, 10 + count)]
    rules: dict[RuleKey, RuleIntent] = {row.key: row for row in map(name_of, made)}
    return HostIntent(host="host-1", generation=1 + count, instances={one.id: one for one in made}, rules=rules)


def memory(pid: int) -> dict[str, int]:
    """Kilobytes. PSS shares what other processes have mapped as well, Python itself for one."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    found = {words[0].rstrip(":").lower(): int(words[1]) for words in map(str.split, lines[1:])}
    return {"rss_kb": found["rss"], "pss_kb": found["pss"]}


def config(folder: Path) -> HostConfig:
    return HostConfig(
        region_name="bench",
        name="host-1",
        address="100.64.1.10",
        network="100.64.0.0/16",
        ca_certificate="",
        certificate="",
        private_key="",
        pins="",
        state_directory=str(folder / "state"),
        run_directory=str(folder / "run"),
        bpf_objects="",
        services_namespace="rookery-bench-no-such-namespace",
    )


async def _watch(folder: Path) -> dict[int, dict[str, int]]:
    described, feed = config(folder), ServicesFeed()
    (folder / "host.json").write_bytes(msgspec.json.encode(described))
    feed.publish(Update(intent(0), None))
    async with feed.at(described.feed_socket):
        command = (sys.executable, "-m", "rookery.host.services", "--config", str(folder / "host.json"))
        process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
        try:
            assert process.stderr is not None
            found = {}
            for count in COUNTS:
                feed.publish(Update(intent(count), None))
                await asyncio.wait_for(_told_of(count, process.stderr), PATIENCE)
                await asyncio.sleep(SETTLED)
                found[count] = memory(process.pid)
            return found
        finally:
            process.kill()
            await process.wait()


async def _told_of(count: int, log: asyncio.StreamReader) -> None:
    """The process says so. Raises EOFError when it ended."""
    while f"snapshot: {count} instances".encode() not in (line := await log.readline()):
        if not line:
            raise EOFError("the services ended")


def measure() -> dict[int, dict[str, int]]:
    """Kilobytes by the number of interfaces."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_watch(Path(folder)))


if __name__ == "__main__":
    print(measure())
