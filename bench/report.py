"""The results as docs/performance.md: every table from the data that the measurements left, and nothing by hand."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

INTRODUCTION = """# Performance

Measured by `make bench` on {machine}, kernel {kernel}; written by `python -m bench` from the data in bench/results. Ratios are medians of
interleaved rounds. The CPU figures are the stable ones; single throughputs vary with the machine's mood.
"""
# figure -> (what it is, target against plain, target against VXLAN); "" where there is none. Targets: what we promised ourselves.
PATH_FIGURES = {
    "tcp_gbit": ("TCP, one stream, Gbit/s", ">= 0.95", ""),
    "tcp_cpu_s_per_gb": ("TCP, CPU seconds per GB", "<= 1.10", ""),
    "udp_pps": ("UDP, 64-byte frames per second", ">= 0.95", ">= 1.7"),
    "udp_cpu_us_per_packet": ("UDP, CPU us per packet", "<= 1.10", "<= 0.65"),
    "udp_sender_us": ("UDP, CPU us per packet of the sending process", "", ""),
    "rr_p50_us": ("TCP request/response, p50 us", "<= 1.05", ""),
    "connections_per_second": ("TCP connections per second", ">= 0.95", ""),
}
THROUGH_EDGE = {key: words for key, (words, _, _) in PATH_FIGURES.items()} | {
    "tcp_gbit": "TCP out, one stream, Gbit/s",
    "tcp_cpu_s_per_gb": "TCP out, CPU seconds per GB",
    "tcp_in_gbit": "TCP in, one stream, Gbit/s",
    "tcp_in_cpu_s_per_gb": "TCP in, CPU seconds per GB",
}


# As path: without targets. Beside dnsmasq where it has the service.
SERVICE_FIGURES = {
    "dns_per_second": "DNS, answers per second",
    "dns_per_core_second": "DNS under load, answers per second of CPU",
    "dns_cpu_us": "DNS under load, CPU us per answer",
    "dns_alone_cpu_us": "DNS, a question at a time, CPU us per answer",
    "dns_p50_us": "DNS, a question at a time, p50 us",
    "dhcp_p50_ms": "udhcpc started to its lease applied, p50 ms",
    "dhcp_cpu_us": "DHCP, CPU us per lease",
    "metadata_per_second": "metadata, answers per second",
    "metadata_per_core_second": "metadata under load, answers per second of CPU",
    "metadata_cpu_us": "metadata under load, CPU us per answer",
    "metadata_token_and_value_p50_us": "metadata, a token and a value on two connections, p50 us",
    "run_instances_s": "100 instances: RunInstances, seconds",
    "reachable_p50_s": "100 instances: answered to reachable by name, p50 seconds",
    "all_reachable_s": "100 instances: ... until all are",
    "recovered_s": "the process killed to its first answer, p50 seconds",
}


def row(*cells: object) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def head(*cells: str) -> list[str]:
    return [row(*cells), "|" + "---|" * len(cells)]


def met(value: float, target: str) -> str:
    """'yes', 'missed', or nothing where there is no target ('>= 0.95')."""
    if not target:
        return ""
    sign, bound = target.split()
    good = value >= float(bound) if sign == ">=" else value <= float(bound)
    return f"{target}: {'met' if good else '**missed**'}"


def path_table(data: dict[str, Any]) -> list[str]:
    plain, vxlan = data["against_plain"], data["against_vxlan"]
    lines = ["## The path between two instances on two hosts", ""]
    lines += head(
        "figure", "routed veth", "VXLAN + bridge", "Rookery", "/ veth", "target", "/ VXLAN", "target"
    )
    for key in plain["rookery"]:
        words, to_plain, to_vxlan = PATH_FIGURES[key]
        values = [f"{plain[name][key]['median']:.3g}" for name in ("plain", "vxlan", "rookery")]
        one, other = plain["rookery"][key]["ratio"], vxlan["rookery"][key]["ratio"]
        lines.append(
            row(words, *values, f"{one:.2f}", met(one, to_plain), f"{other:.2f}", met(other, to_vxlan))
        )
    rounds = len(next(iter(data["figures"].values())))
    return [
        *lines,
        "",
        f"{rounds} rounds, in each every load on every topology, alternating order (bench/path.py).",
    ]


def cases_table(title: str, data: dict[str, Any], note: str) -> list[str]:
    lines = [f"## {title}", "", note, ""]
    lines += head("case", "figure", "routed veth", "VXLAN + nftables", "Rookery", "/ veth", "target", "/ nftables")
    for name, figures in data["cases"].items():
        for key, one in figures.items():
            words, target, _ = PATH_FIGURES[key]
            values = [f"{one[who]:.3g}" for who in ("veth", "nft", "rookery")]
            ratios = f"{one['to_veth']:.2f}", met(one["to_veth"], target), f"{one['to_nft']:.2f}"
            lines.append(row(name, words, *values, *ratios))
    rounds = len(next(iter(data["figures"].values())))
    return [*lines, "", f"{rounds} rounds, alternating order (bench/rules.py)."]


def rules_table(data: dict[str, Any]) -> list[str]:
    note = "Security groups of so many rules, of which the last one fits; the traffic is tracked. nftables has the same rules."
    return cases_table("The path with rules", data, note)


def shapes_table(data: dict[str, Any]) -> list[str]:
    note = (
        "IPv6 with the same 22 bytes of data in a datagram; a route table of 500 routes besides the local one; network ACLs of 1 and of "
        "40 entries each way (20 of each family: the quota), of which the last one fits. nftables and the kernel's own routes do the "
        "same. Elsewhere in this page the ACL is the one that a VPC begins with, which admits all and is not asked."
    )
    return cases_table("IPv6, many routes, network ACLs", data, note)


def programs_table(data: dict[str, Any]) -> list[str]:
    columns = list(data["rows"][0])
    lines = ["## The programs by themselves", "", f"{data['unit']} (bench/programs.py).", "", *head(*columns)]
    lines += [row(*("" if one[c] is None else one[c] for c in columns)) for one in data["rows"]]
    return [*lines, "", f"A tracked flow takes {data['bytes_a_flow']} bytes of memory, beside the table as it is when empty."]


def nodes_table(data: dict[str, Any]) -> list[str]:
    columns = list(data["rows"][0])
    lines = ["## The program of a cell's node", "", f"{data['unit']} (bench/nodes.py).", "", *head(*columns)]
    lines += [row(*("" if one[c] is None else one[c] for c in columns)) for one in data["rows"]]
    told = f"A flow takes {data['bytes_a_flow']} bytes at a tracker that keeps both of its directions, each of which two nodes keep"
    return [*lines, "", f"{told}; the cache of a top is as large as it was made, {data['bytes_a_directive']} bytes a row."]


CELL_PEERS = {"plain": "plain routing", "vxlan-snat": "VXLAN + nftables SNAT"}
THROUGH_CELL = THROUGH_EDGE | {
    "new_flows_per_second": "new UDP flows per second",
    "new_flow_sender_us": "new UDP flow, CPU us of the sending process",
    "new_flow_cpu_us": "new UDP flow, CPU us",
    "first_p50_us": "a flow's first datagram there and back, p50 us",
    "later_p50_us": "a later one, p50 us",
}


def _beside_peers(against: dict[str, Any], figures: list[str], peers: dict[str, str] = CELL_PEERS) -> list[str]:
    lines = head("figure", *peers.values(), "Rookery", *(f"/ {words}" for words in peers.values()))
    for key in figures:
        values = [f"{against['plain'][name][key]['median']:.3g}" for name in (*peers, "rookery")]
        lines.append(row(THROUGH_CELL[key], *values, *(f"{against[base]['rookery'][key]['ratio']:.2f}" for base in peers)))
    return lines


def cell_path_table(data: dict[str, Any]) -> list[str]:
    title = ["## From a private subnet through a NAT gateway to a server outside", ""]
    note = (
        f"{len(data['figures']['plain'])} rounds, alternating order; a cell of {data['nodes']} nodes (bench/cell_path.py). In Rookery a node is on the way that "
        "the others have not, and up to four more for a flow's first packet; CPU is that of the whole machine, the agents' included."
    )
    return [*title, *_beside_peers(data["against"], [key for key in THROUGH_CELL if key in data["against"]["plain"]["rookery"]]), "", note]


BALANCER_PEERS = {"plain": "plain routing", "vxlan-dnat": "VXLAN + nftables DNAT", "vxlan-ipvs": "VXLAN + IPVS"}


def balancer_path_table(data: dict[str, Any]) -> list[str]:
    peers = {name: words for name, words in BALANCER_PEERS.items() if name in data["peers"]}
    lines = ["## From a client through a network load balancer to its target", ""]
    lines += _beside_peers(data["against"], [key for key in THROUGH_CELL if key in data["against"]["plain"]["rookery"]], peers)
    without = "" if "vxlan-ipvs" in peers else " This kernel has no IPVS."
    note = (
        f"{len(data['figures']['plain'])} rounds, alternating order; a cell of {data['nodes']} nodes (bench/balancer_path.py). Two hosts, and a box on the "
        f"substrate between them, or the cell; the target sees its client's address, and answers go back through the balancer.{without}"
    )
    return [*lines, "", note]


PACED = {
    "old_p50_us": "an old flow's datagram there and back, p50 us",
    "old_p99_us": "..., p99 us",
    "old_lost": "..., share that was lost",
    "new_p50_us": "a new flow's first datagram there and back, p50 us",
    "new_p99_us": "..., p99 us",
    "new_lost": "..., share that was lost",
}
WHO = {"outside": "of an account outside the shard", "inside": "of one that shares a node with it"}


def noisy_tenant_table(data: dict[str, Any]) -> list[str]:
    lines = ["## An account at its limit", ""]
    columns = list(next(iter(data["summary"]["outside"].values())))
    for who, figures in data["summary"].items():
        rows = [row(PACED[figure], *(f"{values[column]:.3g}" for column in columns)) for figure, values in figures.items()]
        lines += [f"**{WHO[who]}**", "", *head("figure", *columns), *rows, ""]
    held = ", ".join(f"{share:.0%}" for share in data["held_of_allowed"])
    note = (
        f"{data['rounds']} rounds of each kind, in turn (bench/noisy_tenant.py). `flood`: an account begins {data['rate']:,} flows a second through its NAT gateway, and "
        f"holds as many as it may (at the nodes {held} of it); `elsewhere`: it sends the same to nobody, and its host drops it: two cores do everything here, and "
        "what the sender and its host cost is no cell's."
    )
    return [*lines, note]


def cell_sizes_table(data: dict[str, Any]) -> list[str]:
    lines = ["## New flows, by the size of the cell", ""]
    for size, against in data["against"].items():
        kept = ["new_flows_per_second", "new_flow_sender_us", "new_flow_cpu_us"]
        lines += [f"**{size} node{'s' if size != '1' else ''}**", "", *_beside_peers(against, kept), ""]
    return [*lines, "Every datagram is a flow's first (bench/cell_path.py sizes). The machine has two cores, whatever the cell's size."]


def cell_tick_table(data: dict[str, Any]) -> list[str]:
    rows = data["rows"]
    note = (
        f"CPU of a node's agent for one file, every two seconds, with {rows['attachments']} attachments, {rows['services']} services and "
        f"{rows['targets']} targets (bench/cell_tick.py). Target: a ratio of 0.95 to 1.05."
    )
    return plain_table("A cell's file is taken", {"a tick": data["tick"]}, note)


def edges_table(data: dict[str, Any]) -> list[str]:
    columns, loading = list(data["rows"][0]), data["load_seconds"]
    lines = ["## The programs of an edge", "", f"{data['unit']} (bench/edges.py).", "", *head(*columns)]
    lines += [row(*("" if one[c] is None else one[c] for c in columns)) for one in data["rows"]]
    took = f"{loading['tables']} seconds of CPU, and an agent that begins {loading['agent']} from the mapping service's words to the kernel's rows"
    return [*lines, "", f"To fill the three tables of {loading['addresses']:,} addresses takes {took}."]


def running_table(data: dict[str, Any]) -> list[str]:
    note = (
        "Nanoseconds a run while real packets flow, the kernel's own two clock reads included; a TCP super-packet is one run "
        "(bench/running.py). Targets: host_egress <= 800, host_ingress <= 400."
    )
    return plain_table("The programs while packets flow", data, note)


def plain_table(title: str, data: dict[str, dict[str, Any]], note: str) -> list[str]:
    """Rows by name; the columns are all that any row has."""
    columns = list(dict.fromkeys(column for values in data.values() for column in values))
    lines = [f"## {title}", "", note, "", *head("", *columns)]
    return lines + [
        row(name, *(values.get(column, "") for column in columns)) for name, values in data.items()
    ]


def live_table(data: dict[str, Any]) -> list[str]:
    note = "Four hosts; target: p99 <= 100 ms (bench/live.py)."
    return plain_table("From the API call to every host's kernel map", data, note)


def edge_path_table(data: dict[str, Any]) -> list[str]:
    peers = {"plain": "routed veth", "nat": "nftables, stateless", "vxlan-nat": "VXLAN + nftables NAT"}
    lines = ["## From an instance through an edge to a server outside", ""]
    lines += head("figure", *peers.values(), "Rookery", *(f"/ {words}" for words in peers.values()))
    for key, words in THROUGH_EDGE.items():
        values = [f"{data['against']['plain'][name][key]['median']:.3g}" for name in (*peers, "rookery")]
        ratios = [f"{data['against'][base]['rookery'][key]['ratio']:.2f}" for base in peers]
        lines.append(row(words, *values, *ratios))
    note = (
        f"{len(data['figures']['plain'])} rounds, alternating order; instance, host, substrate, edge, router and server in a row, for each of them "
        "(bench/edge_topology.py). The stateless peer has no overlay: instances' addresses are the substrate's own. CPU is that of all parts together; "
        "Rookery's counts its agents, its probes and its BGP."
    )
    return [*lines, "", note]


def edge_moves_table(data: dict[str, Any]) -> list[str]:
    note = "A datagram a millisecond comes from outside while AssociateAddress moves the address to an instance of another host (bench/edge_moves.py)."
    return plain_table("An Elastic IP moves", data["summary"], note)


def target_changes_table(data: dict[str, Any]) -> list[str]:
    note = (
        "RegisterTargets and DeregisterTargets while a client begins a connection every ten milliseconds; a registered target has to pass its first health "
        f"check, too (bench/target_changes.py). Of {data['connections']:,} connections {data['failed']} were not answered. Target: 5 s at worst."
    )
    return plain_table("A balancer's targets come and go", data["summary"], note)


def services_table(data: dict[str, Any]) -> list[str]:
    lines = ["## What instances find on their wire", "", *head("figure", "Rookery", "dnsmasq", "ratio")]
    for key, words in SERVICE_FIGURES.items():
        values = data["summary"][key]
        told = [f"{values[name]:.3g}" if name in values else "" for name in ("rookery", "dnsmasq")]
        lines.append(row(words, *told, f"{values['ratio']:.2f}" if "ratio" in values else ""))
    rounds = (
        f"{data['rounds']} rounds in alternating order, {data['guests']} guests of one host, {len(data['launches'])} launches; "
        "dnsmasq on a plain veth without a data path (bench/services.py). One process asks for all guests, and is what limits "
        "answers per second. CPU is the answering process's, its part of the packets' way included."
    )
    return [*lines, "", rounds, "", *_services_memory(data["memory"])]


def _services_memory(memory: dict[str, Any]) -> list[str]:
    told, lived = memory["told_of"], memory["in_the_region"]
    rows = {f"told of {count} interfaces": values for count, values in told.items()} | lived
    lines = [row(words, *(f"{values[kind] / 1024:.1f}" for kind in ("rss_kb", "pss_kb"))) for words, values in rows.items()]
    (few, least), (many, most) = list(told.items())[0], list(told.items())[-1]
    each = (most["pss_kb"] - least["pss_kb"]) / (int(many) - int(few))
    head_lines = head("a host's services, megabytes", "RSS", "PSS")
    return [*head_lines, *lines, "", f"An interface with its names: {each:.1f} kB."]


def propagation_table(data: dict[str, Any]) -> list[str]:
    lines = [
        "## The mapping service by itself",
        "",
        "Subscribers without a kernel behind them (bench/propagation.py).",
    ]
    for name, values in data.items():
        lines += [
            "",
            f"**{name}**",
            "",
            *head("figure", "value"),
            *(row(key, value) for key, value in values.items()),
        ]
    return lines


DEATHS = {
    "processes": "agent and BIRD killed, programs off",
    "namespace": "its namespace deleted, with all in it",
    "silent": "agent and BIRD stand still, programs off: no goodbye, no cut cable",
}


def edge_failover_table(data: dict[str, Any]) -> list[str]:
    columns = [f"{figure}, {way}: {what}" for figure in ("gap", "latest") for way in ("out", "in") for what in ("p50", "max")]
    lines = ["## An edge dies", "", *head("milliseconds", *columns)]
    for how, told in data["deaths"].items():
        cells = [told[column.partition(":")[0]][column.rpartition(" ")[2]] for column in columns]
        lines.append(row(DEATHS[how], *cells))
    note = (
        f"{data['kills']} of each kind, of either edge of two in turn (bench/edge_failover.py). The gap is the longest silence of one of 16 flows of "
        f"datagrams, one each five milliseconds. Meanwhile {data['connections']} TCP connections sent {data['blocks']:,} checked blocks: {data['broken']} broke, "
        f"{data['blocks_lost']} blocks were lost; the latest block was so late, TCP's 200 ms before it sends again included. Target: 500 ms."
    )
    return [*lines, "", note]


def api_table(data: dict[str, Any]) -> list[str]:
    return plain_table("Signed API requests", data, "One API process, loopback (bench/api_requests.py).")


TABLES: dict[str, Callable[[dict[str, Any]], list[str]]] = {
    "path": path_table,
    "rules": rules_table,
    "shapes": shapes_table,
    "programs": programs_table,
    "edges": edges_table,
    "nodes": nodes_table,
    "running": running_table,
    "live": live_table,
    "edge_path": edge_path_table,
    "edge_moves": edge_moves_table,
    "target_changes": target_changes_table,
    "services": services_table,
    "propagation": propagation_table,
    "api_requests": api_table,
    "edge_failover": edge_failover_table,
    "cell_path": cell_path_table,
    "cell_sizes": cell_sizes_table,
    "balancer_path": balancer_path_table,
    "noisy_tenant": noisy_tenant_table,
    "cell_tick": cell_tick_table,
}


def write_report(results: Path, page: Path) -> str:
    """Returns what it wrote. A measurement that was never taken has no table."""
    lines = [INTRODUCTION.format(machine=f"{os.cpu_count()} cores", kernel=platform.release().split("-")[0])]
    for name, render in TABLES.items():
        kept = results / f"{name}.json"
        if kept.exists():
            lines += [*render(json.loads(kept.read_text())), ""]
    notes = page.with_name("performance-notes.md")
    if notes.exists():
        lines.append(notes.read_text())
    text = "\n".join(lines).rstrip() + "\n"
    page.write_text(text)
    return text
