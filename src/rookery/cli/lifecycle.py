"""up, down, status, wait."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rookery.cli.options import AsJson, Name
from rookery.cli.output import ago, print_json, print_table, progress
from rookery.region.called import COMMAND

if TYPE_CHECKING:
    from rookery.region.status import Status

Hosts = Annotated[int | None, typer.Option(help="How many physical hosts. A new region: 4.")]
Zones = Annotated[int | None, typer.Option(help="In how many zones. A new region: 2.")]
Port = Annotated[int | None, typer.Option(help="Of the API on 127.0.0.1. A new region: 4580.")]
Upstreams = Annotated[
    list[str] | None,
    typer.Option(
        "--dns-upstream",
        metavar="ADDRESS",
        help="A resolver for public names that the hosts can reach; repeat for more; 'none' for none. A new region with edges: the internet's that it emulates.",
    ),
]
Edges = Annotated[int | None, typer.Option(help="How many edges lead outside; 0: nothing does. A new region: 2.")]
Cells = Annotated[
    int | None,
    typer.Option(help="How many cells of Hyperplane there are (NAT gateways, balancers); 0: none. A new region: 1. To add one to a running region: cell add."),
]
Nodes = Annotated[int | None, typer.Option(help="How many nodes a cell has; 0: there is no cell. A new region: 4.")]
Pools = Annotated[
    list[str] | None,
    typer.Option(
        "--public-pool", metavar="CIDR", help="Public IPv4 addresses to give out; repeat for more. A new region: 203.0.113.0/24."
    ),
]
Jumbo = Annotated[bool | None, typer.Option("--jumbo", help="Instances see an MTU of 9001, not 1500.")]


def register(app: typer.Typer) -> None:
    for command in (up, down, status):
        app.command()(command)
    app.command("wait")(wait_for)


def up(
    *,
    name: Name = "dev",
    hosts: Hosts = None,
    zones: Zones = None,
    port: Port = None,
    jumbo: Jumbo = None,
    edges: Edges = None,
    cells: Cells = None,
    nodes: Nodes = None,
    public_pool: Pools = None,
    dns_upstream: Upstreams = None,
) -> None:
    """Start the region; on a running one, do nothing."""
    from rookery.region.start import bring_up  # noqa: PLC0415

    asked = {"hosts": hosts, "zones": zones, "port": port, "jumbo": jumbo, "edges": edges, "cells": cells, "nodes": nodes,
             "public_pools": tuple(public_pool) if public_pool else None, "dns_upstreams": _upstreams(dns_upstream)}  # fmt: skip
    shape = bring_up(name, {key: value for key, value in asked.items() if value is not None}, progress())
    print(f"The region {name} answers on http://127.0.0.1:{shape.port}")
    print(f'To use it: eval "$({COMMAND} env{"" if name == "dev" else f" --name {name}"})"')


def _upstreams(said: list[str] | None) -> tuple[str, ...] | None:
    """None: nothing was said."""
    return tuple(one for one in said if one != "none") if said else None


def down(
    name: Name = "dev",
    keep_data: Annotated[
        bool, typer.Option("--keep-data", help="Keep its state: `up` brings it back.")
    ] = False,
) -> None:
    """End the region and remove all of it, after a crash too."""
    from rookery.region import layout, settings, stop  # noqa: PLC0415

    if not stop.exists(layout.Layout(settings.check_name(name))):
        print(f"There is no region {name} on this machine.")
        return
    stop.tear_down(name, keep_data, progress())
    print(
        f"The region {name} is gone." if not keep_data else f"The region {name} is down; its state is kept."
    )


def status(name: Name = "dev", as_json: AsJson = False) -> None:
    """Show parts, hosts, generations and health. Exit code 1 when something is wrong."""
    from rookery.region.status import look  # noqa: PLC0415

    found = look(name)
    if as_json:
        print_json(found)
    else:
        _print_status(found)
    sys.exit(0 if found.healthy else 1)


def wait_for(
    generation: Annotated[int, typer.Argument(help="A revision of the store, as `status` shows it.")],
    name: Name = "dev",
    timeout: Annotated[float, typer.Option(help="Seconds.", min=0.0)] = 60.0,
) -> None:
    """Wait until every host concerned has applied the state up to GENERATION."""
    from rookery.region.status import held_up, live_generation  # noqa: PLC0415

    deadline = time.monotonic() + timeout
    while (live := live_generation(name)) < generation:
        if not time.monotonic() < deadline:  # also when it is no number
            print(
                f"rookery: the hosts are at {live} after {timeout:g} s, not at {generation}", file=sys.stderr
            )
            for reason in held_up(name, generation):
                print(f"rookery: {reason}", file=sys.stderr)
            sys.exit(1)
        time.sleep(0.02)
    print(live)


def _print_status(found: Status) -> None:
    print(
        f"Region {found.name}, {found.endpoint}, store at {found.revision}, live everywhere up to {found.live}"
    )
    print_table(
        "", ("part", "pid", "up for", "restarts", "health"), [_part_row(part) for part in found.parts]
    )
    hosts = ("host", "zone", "address", "applied", "instances", "mappings", "hook", "healed", "health")
    print_table("", hosts, [_host_row(host) for host in found.hosts])
    if found.edges:
        edges = ("edge", "zone", "address", "applied", "announces", "sessions", "mappings", "hook", "healed", "health")
        print_table("", edges, [_edge_row(edge) for edge in found.edges])
    if found.nodes:
        nodes = ("node", "cell", "zone", "address", "applied", "mappings", "hook", "healed", "health")
        print_table("", nodes, [_node_row(node) for node in found.nodes])
    for name, problem in found.troubles.items():
        print(f"{name}: {problem}")
    for host in (*found.hosts, *found.edges, *found.nodes):
        for alarm in host.status.alarms if host.status else []:
            print(f"ALARM at {host.name}: {alarm}")
        if host.refused:
            words = "packets that bore addresses of others"
            print(f"ALARM at the substrate: the port of {host.name} refused {host.refused} {words}")


def _part_row(part: Any) -> tuple[str, ...]:
    return part.name, str(part.pid or "-"), ago(part.since), str(part.restarts), _health(part)


def _host_row(host: Any) -> tuple[str, ...]:
    zone = "abcdef"[host.zone]
    if host.status is None:
        return host.name, zone, host.address, "-", "-", "-", "-", "-", _health(host)
    told = host.status
    counts = (str(number) for number in (told.generation, told.instances, told.mappings))
    return host.name, zone, host.address, *counts, told.attach, str(told.healed), _health(host)


def _edge_row(edge: Any) -> tuple[str, ...]:
    place: tuple[str, ...] = (edge.name, "abcdef"[edge.zone], edge.address)
    if edge.status is None or edge.edge is None:
        return (*place, *(["-"] * 6), _health(edge))
    told, outside = edge.status, edge.edge
    announces = "draining" if outside.draining else str(len(outside.announced))
    sessions = f"{sum(one.state == 'Established' for one in outside.sessions)}/{len(outside.sessions)}"
    return *place, str(told.generation), announces, sessions, str(told.mappings), told.attach, str(told.healed), _health(edge)


def _node_row(node: Any) -> tuple[str, ...]:
    """The rest: rookery cell."""
    place: tuple[str, ...] = (node.name, node.cell, "abcdef"[node.zone], node.address)
    if node.status is None:
        return (*place, *(["-"] * 4), _health(node))
    told = node.status
    return *place, str(told.generation), str(told.mappings), told.attach, str(told.healed), _health(node)


def _health(one: Any) -> str:
    return "TROUBLE" if one.problem else "ok"
