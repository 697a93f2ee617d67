"""Out of a VPC and back, from an instance to a server outside: a Rookery region beside plain routing and two kinds of nftables NAT.

    python -m bench.edge_path [--rounds 7] [--seconds 1] [--json]

The topologies (bench/edge_topology.py) take turns as in bench/path.py, with its loads, and a stream that the server sends. The machine
does the work of all parts on the way, so the CPU figures are of host, edge and router together."""

from __future__ import annotations

import argparse
import json

from bench.edge_topology import built
from bench.path import LOADS, Figures, busy_seconds, measure, output_of, ratios, spawn, wait_for_listener
from bench.topology import Topology

BASES = ("plain", "nat", "vxlan-nat")


def tcp_stream_in(topology: Topology, seconds: float) -> Figures:
    """As bench.path.tcp_stream; the server sends."""
    server = spawn(topology.server.namespace, "iperf3", "-s", "-1", "-J", "-B", topology.server.address)
    wait_for_listener(topology.server.namespace, 5201, "t")
    before = busy_seconds()
    client = spawn(topology.client.namespace, "iperf3", "-R", "-c", topology.server.address, "-t", str(seconds), "-J")
    received = output_of(client)["end"]["sum_received"]
    busy = busy_seconds() - before
    server.communicate(timeout=20)
    return {"tcp_in_gbit": received["bits_per_second"] / 1e9, "tcp_in_cpu_s_per_gb": busy / (received["bytes"] / 1e9)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=1, help="of each load; iperf3 takes whole ones")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with built() as topologies:
        figures = measure(topologies, options.rounds, options.seconds, (*LOADS, tcp_stream_in))
    summary = {base: ratios(figures, base) for base in BASES}
    print(json.dumps({"figures": figures, "against": summary}) if options.json else table(summary))


def table(summary: dict) -> str:
    names = (*BASES, "rookery")
    lines = [f"{'figure':<26}" + "".join(f"{name:>12}" for name in (*names, *(f"/{base}" for base in BASES)))]
    for key in summary[BASES[0]]["rookery"]:
        values = [summary[BASES[0]][name][key]["median"] for name in names]
        values += [summary[base]["rookery"][key]["ratio"] for base in BASES]
        lines.append(f"{key:<26}" + "".join(f"{value:>12.4g}" for value in values))
    return "\n".join(lines)


if __name__ == "__main__":
    main()
