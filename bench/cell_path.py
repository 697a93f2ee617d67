"""Out of a private subnet and back, through a NAT gateway at a cell: a Rookery region beside plain routing and nftables' NAT.

    python -m bench.cell_path [--rounds 7] [--seconds 1] [--nodes 4] [--json]
    python -m bench.cell_path sizes [--rounds 7] [--json]                           new flows a second at cells of 1, 2, 3 and 4 nodes

`plain`       everybody routes, nothing is translated: what the kernel can do at best (bench/edge_topology.py)
`vxlan-snat`  host and edge are at the ends of a kernel VXLAN, and the edge gives all of them one address and a port each by nftables
`rookery`     an instance in a private subnet; its host, one or more nodes of the cell and an edge are on the way

They take turns as in bench/path.py. A Rookery packet is handled once more than the others, by the node, and a flow's first one by up to
four more; CPU is that of the whole machine, agents included. "new flows": each datagram is a flow's first.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from typing import Any

from bench.edge_path import tcp_stream_in
from bench.edge_topology import SERVER, plain, shaped, vxlan_snat
from bench.load import FLOW_PORT, FLOWS
from bench.path import (
    LOADS,
    PATIENCE,
    Figures,
    busy_seconds,
    load,
    measure,
    output_of,
    ratios,
    wait_for_listener,
)
from bench.region import LAUNCHER, NAME, ec2_client, namespace_of, rookery, running_region, wait_for_ping
from bench.topology import Endpoint, Topology
from rookery.region.layout import Layout

PEERS: dict[str, Callable] = {"plain": plain, "vxlan-snat": vxlan_snat}
SIZES = (1, 2, 3, 4)
WAIT = {"Delay": 1, "MaxAttempts": 60}
SETTLES = 60.0  # seconds; a ring is young for half of that
_next_flow = count(0, FLOWS)


def new_flows(topology: Topology, seconds: float) -> Figures:
    """Of flows that nobody has seen; what is lost does not count."""
    server = load(topology.server.namespace, "flow-sink", topology.server.own, str(PATIENCE))
    wait_for_listener(topology.server.namespace, FLOW_PORT, "u")
    before = busy_seconds()
    sent = output_of(load(topology.client.namespace, "new-flows", topology.server.address, str(seconds), str(next(_next_flow))))
    server.terminate()
    received = output_of(server)["received"]
    busy = busy_seconds() - before
    if not received:
        raise RuntimeError(f"no flow arrived in {topology.name}")
    return {
        "new_flows_per_second": sent["per_second"] * received / sent["sent"],
        "new_flow_sender_us": sent["cpu_seconds"] / received * 1e6,
        "new_flow_cpu_us": busy / received * 1e6,
        "new_flows_arrived": received / sent["sent"],
    }


def first_packets(topology: Topology, seconds: float) -> Figures:
    """Microseconds there and back, of a flow's first datagram and of a later one."""
    server = load(topology.server.namespace, "udp-echo", topology.server.own, str(seconds + PATIENCE))
    wait_for_listener(topology.server.namespace, 5301, "u")
    found = output_of(load(topology.client.namespace, "first-packets", topology.server.address, str(seconds)))
    server.terminate()
    output_of(server)
    return {"first_p50_us": found["first_p50_us"], "later_p50_us": found["later_p50_us"]}


def private_instance(ec2: Any) -> dict:
    """It reaches the internet through a NAT gateway in another subnet."""
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    outer, inner = _subnet(ec2, vpc, 0), _subnet(ec2, vpc, 1)
    _lead(ec2, vpc, outer, GatewayId=gateway)
    allocation = ec2.allocate_address(Domain="vpc")["AllocationId"]
    nat = ec2.create_nat_gateway(SubnetId=outer, AllocationId=allocation)["NatGateway"]["NatGatewayId"]
    ec2.get_waiter("nat_gateway_available").wait(NatGatewayIds=[nat], WaiterConfig=WAIT)
    _lead(ec2, vpc, inner, NatGatewayId=nat)
    image = ec2.describe_images()["Images"][0]["ImageId"]
    asked = {"ImageId": image, "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1, "SubnetId": inner}
    identity = ec2.run_instances(**asked)["Instances"][0]["InstanceId"]
    ec2.get_waiter("instance_running").wait(InstanceIds=[identity], WaiterConfig=WAIT)
    return ec2.describe_instances(InstanceIds=[identity])["Reservations"][0]["Instances"][0]


def _subnet(ec2: Any, vpc: str, number: int) -> str:
    return ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{number}.0/24")["Subnet"]["SubnetId"]


def _lead(ec2: Any, vpc: str, subnet: str, **target: str) -> None:
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", **target)


@contextmanager
def built(nodes: int) -> Iterator[list[Topology]]:
    """The peers, and a region whose cell has so many nodes."""
    with ExitStack() as kept:
        topologies = [kept.enter_context(shaped(f"cell-{name}", finish)) for name, finish in PEERS.items()]
        topologies = [Topology(name, one.client, one.server) for name, one in zip(PEERS, topologies, strict=True)]
        kept.enter_context(running_region(hosts=1, edges=1, nodes=nodes))
        client = private_instance(ec2_client())
        wait_for_ping(namespace_of(client), SERVER)
        ends = Endpoint(namespace_of(client), client["PrivateIpAddress"]), Endpoint(Layout(NAME).page_namespace, SERVER)
        wait_until_settled(nodes)
        yield [*topologies, Topology("rookery", *ends)]


def wait_until_settled(nodes: int) -> None:
    """Until every node is in the ring, by every node's own word; and then until the ring before is not asked any more."""
    deadline = time.monotonic() + SETTLES
    while not _in_ring(nodes):
        if time.monotonic() > deadline:
            raise RuntimeError(f"the cell of {nodes} nodes does not settle")
        time.sleep(0.2)
    time.sleep(31)  # CELL_YOUNG_SECONDS


def _in_ring(nodes: int) -> bool:
    told = subprocess.run([LAUNCHER, "cell", "--json", "--name", NAME], check=False, stdout=subprocess.PIPE, text=True).stdout
    rows = json.loads(told)["nodes"]
    return len(rows) == nodes and all(row["in_ring"] and not row["problem"] for row in rows)


def by_size(rounds: int) -> dict[str, dict]:
    """At each size the peers are measured again."""
    found = {}
    with built(SIZES[0]) as topologies:
        for size in SIZES:
            if size != SIZES[0]:
                rookery("cell", "scale", str(size))
                wait_until_settled(size)
            found[str(size)] = measure(topologies, rounds, 1, (new_flows,))
            print(f"{size} nodes done", file=sys.stderr, flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=("path", "sizes"), default="path")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=1, help="of each load; iperf3 takes whole ones")
    parser.add_argument("--nodes", type=int, default=4)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.what == "sizes":
        found = by_size(options.rounds)
        summary = {size: {base: ratios(figures, base) for base in PEERS} for size, figures in found.items()}
        told = {"sizes": found, "against": summary}
        print(json.dumps(told) if options.json else "\n\n".join(f"{size} nodes\n{table(one, PEERS)}" for size, one in summary.items()))
        return
    with built(options.nodes) as topologies:
        figures = measure(topologies, options.rounds, options.seconds, (*LOADS, tcp_stream_in, new_flows, first_packets))
    against = {base: ratios(figures, base) for base in PEERS}
    print(json.dumps({"nodes": options.nodes, "figures": figures, "against": against}) if options.json else table(against, PEERS))


def table(summary: dict[str, Any], peers: Iterable[str]) -> str:
    names = (*peers, "rookery")
    lines = [f"{'figure':<26}" + "".join(f"{name:>14}" for name in (*names, *(f"/{base}" for base in peers)))]
    for key in summary["plain"]["rookery"]:
        values = [summary["plain"][name][key]["median"] for name in names]
        values += [summary[base]["rookery"][key]["ratio"] for base in peers]
        lines.append(f"{key:<26}" + "".join(f"{value:>14.4g}" for value in values))
    return "\n".join(lines)


if __name__ == "__main__":
    main()
