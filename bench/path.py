"""The path between two instances on two hosts: a Rookery region beside plain routed veth and kernel VXLAN.

    python -m bench.path [--rounds 7] [--seconds 2] [--json]

Every round runs every load on every topology, one after the other, and in the next round in the opposite order, so that
the machine's mood meets all of them alike; what is reported is the median of the rounds' ratios to plain. CPU is the
machine's busy time (user, system, interrupts) during the load, so nothing else may run beside. What the sender of datagrams pays
is its own process's time, in which the kernel takes them as far as the receiver's socket: that stays true on a busy machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bench.region import measured_region
from bench.topology import Topology, build_plain, build_vxlan

PATIENCE = 30  # seconds that a server waits for its client's beginning and end
CHECKOUT = Path(__file__).resolve().parents[1]
Figures = dict[str, float]


def busy_seconds() -> float:
    """CPU seconds that this machine's cores have spent on anything but idling (proc(5), /proc/stat)."""
    fields = [int(f) for f in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    user, nice, system, _idle, _iowait, irq, softirq = fields[:7]
    return (user + nice + system + irq + softirq) / 100


def spawn(namespace: str, *command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["ip", "netns", "exec", namespace, *command], stdout=subprocess.PIPE, text=True, cwd=CHECKOUT
    )


def load(namespace: str, *words: str) -> subprocess.Popen:
    return spawn(namespace, sys.executable, "-m", "bench.load", *words)


def output_of(process: subprocess.Popen) -> dict:
    """Raises RuntimeError when the load failed: a figure of a broken run is worse than none."""
    text, _ = process.communicate(timeout=60)
    if process.returncode:
        raise RuntimeError(f"{process.args!r} ended with {process.returncode}: {text[-300:]}")
    return json.loads(text)


def wait_for_listener(namespace: str, port: int, kind: str) -> None:
    """Until a socket of `kind` (-t TCP, -u UDP) is bound to `port` in the namespace."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        seen = subprocess.run(
            ["ip", "netns", "exec", namespace, "ss", "-Hnl" + kind, f"sport = :{port}"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        if seen.strip():
            return
        time.sleep(0.02)
    raise RuntimeError(f"nothing listens on {port} in {namespace}")


def tcp_stream(topology: Topology, seconds: float) -> Figures:
    server = spawn(topology.server.namespace, "iperf3", "-s", "-1", "-J", "-B", topology.server.own)
    wait_for_listener(topology.server.namespace, 5201, "t")
    before = busy_seconds()
    client = spawn(
        topology.client.namespace, "iperf3", "-c", topology.server.address, "-t", str(seconds), "-J"
    )
    report = output_of(client)
    busy = busy_seconds() - before
    server.communicate(timeout=20)
    received = report["end"]["sum_received"]
    return {
        "tcp_gbit": received["bits_per_second"] / 1e9,
        "tcp_cpu_s_per_gb": busy / (received["bytes"] / 1e9),
    }


def udp_packets(topology: Topology, seconds: float) -> Figures:
    """64-byte frames: 22 bytes of data behind Ethernet, IP and UDP."""
    server = load(topology.server.namespace, "udp-sink", topology.server.own, str(seconds + PATIENCE))
    wait_for_listener(topology.server.namespace, 5301, "u")
    before = busy_seconds()
    client = load(topology.client.namespace, "udp-blast", topology.server.address, str(seconds), "22")
    blast = output_of(client)
    busy = busy_seconds() - before
    server.terminate()
    sink = output_of(server)
    return {
        "udp_pps": sink["per_second"],
        "udp_cpu_us_per_packet": busy / sink["received"] * 1e6,
        "udp_sender_us": blast["cpu_seconds"] / blast["sent"] * 1e6,
    }


def _against_echo(topology: Topology, seconds: float, kind: str) -> dict:
    server = load(topology.server.namespace, "echo", topology.server.own, str(seconds + PATIENCE))
    wait_for_listener(topology.server.namespace, 5301, "t")
    figures = output_of(load(topology.client.namespace, kind, topology.server.address, str(seconds)))
    server.terminate()
    output_of(server)
    return figures


def tcp_request_response(topology: Topology, seconds: float) -> Figures:
    return {"rr_p50_us": _against_echo(topology, seconds, "request-response")["p50_us"]}


def tcp_connections(topology: Topology, seconds: float) -> Figures:
    return {"connections_per_second": _against_echo(topology, seconds, "connect")["per_second"]}


Load = Callable[[Topology, float], Figures]
LOADS: tuple[Load, ...] = (
    tcp_stream, udp_packets, tcp_request_response, tcp_connections,
)  # fmt: skip


def measure(topologies: list[Topology], rounds: int, seconds: float, loads: tuple[Load, ...] = LOADS) -> dict[str, list[Figures]]:
    """Figures by topology, one entry a round."""
    figures: dict[str, list[Figures]] = {t.name: [] for t in topologies}
    for number in range(rounds):
        order = topologies if number % 2 == 0 else topologies[::-1]
        found: dict[str, Figures] = {t.name: {} for t in order}
        for one_load in loads:
            for topology in order:
                found[topology.name] |= one_load(topology, seconds)
        for name, values in found.items():
            figures[name].append(values)
        print(f"round {number + 1} of {rounds} done", file=sys.stderr, flush=True)
    return figures


def ratios(figures: dict[str, list[Figures]], base: str) -> dict[str, dict[str, dict[str, float]]]:
    """Per topology and figure: medians of the value and of the round-by-round ratio to `base`."""
    return {
        name: {
            key: {
                "median": statistics.median(r[key] for r in rounds),
                "ratio": statistics.median(
                    r[key] / b[key] for r, b in zip(rounds, figures[base], strict=True)
                ),
            }
            for key in rounds[0]
        }
        for name, rounds in figures.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=2, help="of each load; iperf3 takes whole ones")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    built: list[Topology] = []
    try:
        built += [build_plain(), build_vxlan()]
        with measured_region() as rookery:
            figures = measure([*built, rookery], options.rounds, options.seconds)
    finally:
        for topology in built:
            topology.remove()
    summary = {"against_plain": ratios(figures, "plain"), "against_vxlan": ratios(figures, "vxlan")}
    print(json.dumps({"figures": figures} | summary) if options.json else table(summary))


def table(summary: dict) -> str:
    plain = summary["against_plain"]
    lines = [f"{'figure':<26}{'plain':>12}{'vxlan':>12}{'rookery':>12}{'/plain':>9}{'/vxlan':>9}"]
    for key in plain["plain"]:
        values = "".join(f"{plain[name][key]['median']:>12.4g}" for name in ("plain", "vxlan", "rookery"))
        against = (plain["rookery"][key]["ratio"], summary["against_vxlan"]["rookery"][key]["ratio"])
        lines.append(f"{key:<26}{values}{against[0]:>9.2f}{against[1]:>9.2f}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
