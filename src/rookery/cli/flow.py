"""flow: where the state of a flow through a cell lives."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from rookery.cli.options import AsJson, Name
from rookery.cli.output import print_json, print_table


def register(app: typer.Typer) -> None:
    app.command()(flow)


def flow(
    end: Annotated[str, typer.Argument(metavar="ADDRESS[:PORT]", help="Where the flow begins or ends, or an instance; before or after translation.")],
    vpc: Annotated[str | None, typer.Option("--vpc", help="Only in this VPC: id, or Name tag.")] = None,
    cell: Annotated[str, typer.Option("--cell", metavar="CELL", help="Ask only this cell.")] = "",
    name: Name = "dev",
    as_json: AsJson = False,
) -> None:
    """Show which nodes of a cell keep a flow, in both directions, and what they do with it. Exit code 1: none does, or a node is silent."""
    from rookery.region.flows import find  # noqa: PLC0415

    found = find(name, end, vpc or "", cell)
    if as_json:
        print_json(found)
    else:
        for one in found.flows:
            _print_flow(one, found.several_cells)
    for node in found.cut:
        print(f"{node} has more rows: name a port", file=sys.stderr)
    for why in found.silent.values():
        print(f"not asked: {why}", file=sys.stderr)
    sys.exit(1 if found.silent else 0)


def _print_flow(one: Any, several_cells: bool) -> None:
    for line in lines(one, several_cells):
        print(line)
    print_table("", ("direction", "node", "role", "state", "version", "last seen", "time left"), [_row(keeper) for keeper in one.keepers])
    print()


def lines(one: Any, several_cells: bool = False) -> list[str]:
    """What the flow is, and what becomes of it; its cell, too, where there are others."""
    from rookery.trace.packet import PROTOCOLS  # noqa: PLC0415

    ends = (_end(one.source, one.source_port), _end(one.destination, one.destination_port))
    told = [f"{PROTOCOLS.get(one.protocol, one.protocol)} {ends[0]} -> {ends[1]} in {one.vpc}, at {one.attachment}{f' ({one.cell})' if several_cells else ''}"]
    if not one.new_source:
        return [*told, f"  not decided yet; {one.decided_by or 'nobody'} was asked"]
    new = (_end(one.new_source, one.new_source_port), _end(one.new_destination, one.new_destination_port))
    outside = f", seen outside as {_end(one.public_source, one.new_source_port)}" if one.public_source else ""
    name = f" in {one.new_vpc}, in the name of {one.new_attachment}" if one.new_attachment != one.attachment else ""
    told.append(f"  becomes {new[0]} -> {new[1]}{name}{outside}")
    if one.target:
        told.append(f"  its target is {one.target}{': no longer, its next packet ends the flow' if one.target_gone else ''}")
    age = "" if one.age is None else f", {_seconds(one.age)} ago"
    return [*told, f"  decided by {one.decided_by or 'a node that is gone'}{age}"]


def _end(address: str, port: int) -> str:
    if not port:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _row(keeper: Any) -> tuple[str, ...]:
    left = _seconds(keeper.left) if keeper.left > 0 else "-"
    return (keeper.direction, keeper.node, keeper.role, keeper.state, str(keeper.version or "-"), f"{_seconds(keeper.seen)} ago", left)


def _seconds(number: float) -> str:
    return f"{max(number, 0.0):.1f} s" if number < 10 else f"{number:.0f} s"
