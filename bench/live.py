"""From an API call to the kernel map of every host: a running region of four hosts, secondary addresses assigned one by one, then
rules of a security group that every instance has.

    python -m bench.live [--changes 200] [--json]

The clock starts before the request is sent and stops when the last of the four pinned kernel maps holds the new mapping; the
maps are asked in turn, a few microseconds each. Nothing else is believed: neither the agents' word nor the store's.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

from bench.region import NAME, ec2_client, running_region
from rookery.dataplane import formats
from rookery.dataplane.addresses import address_bytes
from rookery.dataplane.pins import open_pinned
from rookery.dataplane.table import Table
from rookery.region.layout import Layout, host_name

HOSTS = 4
PATIENCE_SECONDS = 10.0


def kernel_maps(name: str, key: type, value: type) -> list[Table]:
    """Of every host, as the programs read them."""
    paths = [Layout(NAME).pins / host_name(index) / "maps" / name for index in range(HOSTS)]
    opened = [open_pinned(path) for path in paths]
    return [Table(name, fd, key, value) for fd in opened if fd is not None]


def launch_on_all(ec2: Any) -> tuple[int, str]:
    """One instance on each host. (VNI, interface of the first)."""
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    image = ec2.describe_images()["Images"][0]["ImageId"]
    zones = [z["ZoneName"] for z in ec2.describe_availability_zones()["AvailabilityZones"]]
    made = []
    for number, zone in enumerate(zones):
        asked = {"VpcId": vpc, "CidrBlock": f"10.0.{number * 16}.0/20", "AvailabilityZone": zone}
        subnet = ec2.create_subnet(**asked)["Subnet"]["SubnetId"]
        each = HOSTS // len(zones)
        run = {
            "ImageId": image,
            "InstanceType": "m5.4xlarge",
            "MinCount": each,
            "MaxCount": each,
            "SubnetId": subnet,
        }
        made += ec2.run_instances(**run)["Instances"]
    ids = [one["InstanceId"] for one in made]
    ec2.get_waiter("instance_running").wait(InstanceIds=ids, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    return int(vpc[-6:], 16), made[0]["NetworkInterfaces"][0]["NetworkInterfaceId"]


def wait_in_kernels(tables: list[Table], follows: Callable[[Table], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    waiting = list(tables)
    while waiting:
        waiting = [table for table in waiting if not follows(table)]
        if time.monotonic() > deadline:
            raise RuntimeError(f"{len(waiting)} hosts have not followed in {PATIENCE_SECONDS} s")


def measure(changes: int) -> dict[str, dict[str, float]]:
    """Milliseconds."""
    ec2 = ec2_client()
    vni, interface = launch_on_all(ec2)
    return measure_addresses(ec2, vni, interface, changes) | measure_rules(ec2, changes)


def policies(table: Table) -> set[int]:
    """The lists of rules that the host's interfaces go by."""
    return {row.policy for _, row in table.items()}


def _are_others_than(before: dict[int, set[int]]) -> Callable[[Table], bool]:
    return lambda table: policies(table).isdisjoint(before[id(table)])


def _has(key: object, wanted: bool) -> Callable[[Table], bool]:
    return lambda table: (table.get(key) is not None) == wanted


def measure_rules(ec2: Any, changes: int) -> dict[str, dict[str, float]]:
    """A list of rules is named by its content: when an interface's configuration names another one, that one is enforced."""
    tables = kernel_maps("local_interfaces", formats.LocalInterfaceKey, formats.LocalInterface)
    vpc = ec2.describe_instances()["Reservations"][0]["Instances"][0]["VpcId"]
    filters = [{"Name": "vpc-id", "Values": [vpc]}]
    group = ec2.describe_security_groups(Filters=filters)["SecurityGroups"][0]["GroupId"]
    times: dict[str, list[float]] = {"authorize": [], "revoke": []}
    for number in range(changes):
        ranges = [{"CidrIp": "198.51.100.0/24"}]
        rule = {"IpProtocol": "tcp", "FromPort": number, "ToPort": number, "IpRanges": ranges}
        for name, taken in times.items():
            call = getattr(ec2, f"{name}_security_group_ingress")
            changed = _are_others_than({id(table): policies(table) for table in tables})
            began = time.perf_counter()
            call(GroupId=group, IpPermissions=[rule])
            wait_in_kernels(tables, changed)
            taken.append((time.perf_counter() - began) * 1000)
    return {f"{name} a rule": figures(values) for name, values in times.items()}


def measure_addresses(ec2: Any, vni: int, interface: str, changes: int) -> dict[str, dict[str, float]]:
    tables = kernel_maps("mappings", formats.MappingKey, formats.Mapping)
    times: dict[str, list[float]] = {"assign": [], "unassign": []}
    for number in range(changes):
        address = f"10.0.{1 + number // 200}.{10 + number % 200}"
        key = formats.MappingKey(vni, address_bytes(address))
        for name, call in (
            ("assign", ec2.assign_private_ip_addresses),
            ("unassign", ec2.unassign_private_ip_addresses),
        ):
            began = time.perf_counter()
            call(NetworkInterfaceId=interface, PrivateIpAddresses=[address])
            wait_in_kernels(tables, _has(key, name == "assign"))
            times[name].append((time.perf_counter() - began) * 1000)
    return {f"{name} an address": figures(values) for name, values in times.items()}


def figures(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {
        "changes": len(ordered),
        "p50_ms": round(statistics.median(ordered), 2),
        "p99_ms": round(ordered[len(ordered) * 99 // 100], 2),
        "max_ms": round(ordered[-1], 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--changes", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with running_region(hosts=HOSTS):
        found = measure(options.changes)
    print(json.dumps(found) if options.json else found)


if __name__ == "__main__":
    main()
