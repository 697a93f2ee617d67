"""The path with rules: security groups of 1 and of many rules, beside nftables with as many on kernel VXLAN, and plain veth.

    python -m bench.rules [--rounds 7] [--seconds 1] [--json]

The same rules everywhere: all but the last are for other sources and ports, the last admits the traffic, which is tracked. The
topologies take turns as in bench/path.py. `nft-N` and `rookery-N` have N rules.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager

from bench.path import measure, ratios
from bench.region import as_topology, ec2_client, launch_pair, make_places, running_region
from bench.topology import Topology, build_filtered, build_plain

SIZES = (1, 250)
RULES_PER_GROUP = 50  # the quota is 60


def permissions(count: int) -> list[dict]:
    """As bench.topology.filter_text."""
    others = [
        {
            "IpProtocol": "tcp",
            "FromPort": 1000 + n,
            "ToPort": 1000 + n,
            "IpRanges": [{"CidrIp": f"203.0.{n}.0/24"}],
        }
        for n in range(count - 1)
    ]
    return [*others, {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}]


def groups_of(ec2, vpc: str, count: int) -> list[str]:
    """Security groups of `count` rules together, both ways."""
    wanted, made = permissions(count), []
    for number in range(0, count, RULES_PER_GROUP):
        name = f"{count} rules, {number}"
        group = ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc)["GroupId"]
        everything = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
        ec2.revoke_security_group_egress(GroupId=group, IpPermissions=everything)
        part = wanted[number : number + RULES_PER_GROUP]
        ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=part)
        ec2.authorize_security_group_egress(GroupId=group, IpPermissions=part)
        made.append(group)
    return made


@contextmanager
def rookery_pairs() -> Iterator[list[Topology]]:
    """One region of two hosts, a pair of instances for each size."""
    with running_region(hosts=2):
        ec2 = ec2_client()
        places = make_places(ec2)
        vpc = ec2.describe_subnets(SubnetIds=places)["Subnets"][0]["VpcId"]
        made = []
        for count in SIZES:
            pair = launch_pair(ec2, places, SecurityGroupIds=groups_of(ec2, vpc, count))
            made.append(as_topology(f"rookery-{count}", *pair))
        yield made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=1, help="of each load; iperf3 takes whole ones")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    built: list[Topology] = []
    try:
        built += [build_plain(), *map(build_filtered, SIZES)]
        with rookery_pairs() as pairs:
            figures = measure([*built, *pairs], options.rounds, options.seconds)
    finally:
        for topology in built:
            topology.remove()
    found = {f"against_{base}": ratios(figures, base) for base in figures if not base.startswith("rookery")}
    print(json.dumps({"figures": figures} | found) if options.json else table(found["against_plain"]))


def table(against_plain: dict) -> str:
    lines = [f"{'figure':<26}" + "".join(f"{name:>24}" for name in against_plain)]
    for key in against_plain["plain"]:
        cells = (f"{row[key]['median']:>14.4g} ({row[key]['ratio']:>5.2f}) " for row in against_plain.values())
        lines.append(f"{key:<26}" + "".join(f"{cell:>24}" for cell in cells))
    return "\n".join(lines)


if __name__ == "__main__":
    main()
