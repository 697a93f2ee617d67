"""edge: what leads outside."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from rookery.cli.options import AsJson, Name
from rookery.cli.output import print_json, print_table, progress

Which = Annotated[str, typer.Argument(help="edge-1, ...")]


def register(app: typer.Typer) -> None:
    edge = typer.Typer(help="The edges between the region's VPCs and the internet.", invoke_without_command=True)
    edge.callback()(_list_by_default)
    edge.command("list")(list_edges)
    edge.command()(drain)
    edge.command()(undrain)
    edge.command()(add)
    edge.command()(remove)
    app.add_typer(edge, name="edge")


def _list_by_default(context: typer.Context, name: Name = "dev", as_json: AsJson = False) -> None:
    """Without another word: list."""
    if context.invoked_subcommand is None:
        list_edges(name, as_json)


def list_edges(name: Name = "dev", as_json: AsJson = False) -> None:
    """Show edges: what they announce, their BGP sessions, what passed. Exit code 1 when something is wrong with one."""
    from rookery.region.edges import states  # noqa: PLC0415

    found = states(name)
    if as_json:
        print_json(found)
    else:
        _print_edges(found)
    sys.exit(1 if any(edge.problem for edge in found) else 0)


def drain(edge: Which, name: Name = "dev") -> None:
    """Take an edge out of use without losing a packet: hosts and the outside turn to the others."""
    from rookery.region.edges import drain as tell  # noqa: PLC0415

    tell(name, edge, draining=True)
    print(f"{edge} announces nothing any more and hosts turn to others; what still comes passes as ever")


def undrain(edge: Which, name: Name = "dev") -> None:
    """Take a drained edge into use again."""
    from rookery.region.edges import drain as tell  # noqa: PLC0415

    told = tell(name, edge, draining=False)
    print(f"{edge} is in use again{f'; but: {told.problem}' if told.problem else ''}")


def add(name: Name = "dev") -> None:
    """Add an edge to the running region; returns when it is in use."""
    from rookery.region.edge_fleet import add as grow  # noqa: PLC0415

    print(f"{grow(name, progress())} is in use")


def remove(name: Name = "dev") -> None:
    """Take the newest edge away, after it has drained: no packet is lost."""
    from rookery.region.edge_fleet import remove as shrink  # noqa: PLC0415

    print(f"{shrink(name, progress())} is gone")


def _print_edges(found: list[Any]) -> None:
    if not found:
        print("The region has no edges: nothing leads outside.")
        return
    columns = ("edge", "address", "use", "public", "IPv6 blocks", "out", "in", "dropped", "health")
    print_table("", columns, [_row(edge) for edge in found])
    heads = ("edge", "session", "neighbour", "state", "since", "BFD", "announced")
    print_table("", heads, [row for edge in found if edge.edge for row in _sessions(edge.edge)])
    drops = [row for edge in found if edge.edge for row in _drops(edge.edge)]
    if drops:
        print_table("", ("edge", "from", "dropped", "packets"), drops)
    for edge in found:
        if edge.problem:
            print(f"{edge.name}: {edge.problem}")


def _row(edge: Any) -> tuple[str, ...]:
    health = "TROUBLE" if edge.problem else "ok"
    place: tuple[str, ...] = (edge.name, edge.address)
    if edge.edge is None:
        return (*place, *(["-"] * 6), health)
    told = edge.edge
    use = "draining" if told.draining else "in use"
    passed = (_packets(told.outward, "sent"), _packets(told.inward, "sent"))
    dropped = sum(_packets(side, verdict) for side in (told.outward, told.inward) for verdict in side if "drop_" in verdict)
    counts = [told.publics, told.blocks, *passed, dropped]
    return (*place, use, *map(str, counts), health)


def _packets(side: dict[str, dict[str, int]], verdict: str) -> int:
    return side.get(verdict, {}).get("packets", 0)


def _sessions(told: Any) -> list[tuple[str, ...]]:
    announced = " ".join(told.announced) or "-"
    return [(told.edge, one.name, one.neighbour, one.state, one.since, one.bfd or "-", announced) for one in told.sessions]


def _drops(told: Any) -> list[tuple[str, ...]]:
    sides = (("hosts", told.outward), ("outside", told.inward))
    return [
        (told.edge, side, verdict.removeprefix("drop_").replace("_", " "), str(row["packets"]))
        for side, counted in sides
        for verdict, row in sorted(counted.items())
        if verdict.startswith("drop_")
    ]
