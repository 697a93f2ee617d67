"""cell: the cells of nodes behind NAT gateways, balancers and endpoints."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from rookery.cli.options import AsJson, Name
from rookery.cli.output import ago, print_json, print_table, progress

LOAD = ("packets/s", "flows", "resting", "directives", "fullest share", "packets", "dropped")
LAST_CAUSES = 10
Which = Annotated[str, typer.Argument(help="node-1, ...; cell-2-node-1, ...")]
CellName = Annotated[str, typer.Argument(metavar="CELL", help="cell-1, ...")]
OneCell = Annotated[str, typer.Option("--cell", metavar="CELL", help="Which cell, where there are several.")]


def register(app: typer.Typer) -> None:
    cell = typer.Typer(help="The cells of nodes behind NAT gateways, balancers and endpoints.", invoke_without_command=True)
    cell.callback()(_list_by_default)
    cell.command("list")(list_nodes)
    cell.command()(scale)
    cell.command()(drain)
    cell.command()(undrain)
    cell.command()(add)
    cell.command()(remove)
    cell.command()(close)
    cell.command("open")(open_again)
    app.add_typer(cell, name="cell")


def _list_by_default(context: typer.Context, name: Name = "dev", as_json: AsJson = False, cell: OneCell = "") -> None:
    """Without another word: list."""
    if context.invoked_subcommand is None:
        list_nodes(name, as_json, cell)


def list_nodes(name: Name = "dev", as_json: AsJson = False, cell: OneCell = "") -> None:
    """Show cells: their files, their nodes, what they hold. Exit code 1 when something is wrong with one. As JSON: the cell; a list where there
    are several and none is named."""
    from rookery.region.cells import look, look_at_all  # noqa: PLC0415

    named = look(name, cell) if cell else None
    found = [named] if named else look_at_all(name)
    if as_json:
        print_json(found[0] if len(found) == 1 else found or None)
    elif not found:
        print("The region has no cell: NAT gateways and balancers have nobody to work for them.")
    else:
        for one in found:
            _print_cell(one)
    sys.exit(1 if any(one.problem or any(node.problem for node in one.nodes) for one in found) else 0)


def scale(
    nodes: Annotated[int, typer.Argument(help="How many nodes the cell shall have.")], cell: OneCell = "", name: Name = "dev"
) -> None:
    """Add nodes to a running cell, or take the last ones out of it; no flow breaks."""
    from rookery.region.scale import scale as change  # noqa: PLC0415

    change(name, nodes, progress(), cell)


def add(
    nodes: Annotated[int | None, typer.Option(help="How many nodes it has; without a word as many as a cell of this region.")] = None,
    name: Name = "dev",
) -> None:
    """Add a cell to the running region; returns when it is in use. What is placed from now on goes to the emptiest."""
    from rookery.region.cell_fleet import add as grow  # noqa: PLC0415

    print(f"{grow(name, nodes, progress())} is in use")


def remove(cell: CellName, name: Name = "dev") -> None:
    """Take a cell that serves nothing out of the running region."""
    from rookery.region.cell_fleet import remove as shrink  # noqa: PLC0415

    shrink(name, cell, progress())
    print(f"{cell} is gone")


def close(cell: CellName, name: Name = "dev") -> None:
    """Place nothing new in a cell; what it serves it goes on to serve."""
    from rookery.region.cells import set_closed  # noqa: PLC0415
    from rookery.region.status import current  # noqa: PLC0415

    set_closed(current(name), cell, True)
    print(f"{cell} takes nothing new")


def open_again(cell: CellName, name: Name = "dev") -> None:
    """Place new things in a closed cell again."""
    from rookery.region.cells import set_closed  # noqa: PLC0415
    from rookery.region.status import current  # noqa: PLC0415

    set_closed(current(name), cell, False)
    print(f"{cell} takes new things again")


def drain(
    node: Which,
    wait: Annotated[bool, typer.Option("--wait", help="Return when no flow is left: nothing is kept there, and no packet passes.")] = False,
    name: Name = "dev",
) -> None:
    """Take a node out of use: it takes no new flows, and others take over those that it keeps."""
    from rookery.region.cells import drain as tell  # noqa: PLC0415
    from rookery.region.cells import wait_until_unused  # noqa: PLC0415

    tell(name, node, draining=True)
    if not wait:
        print(f"{node} takes no new flows; it is out of use when `rookery cell` shows it in no ring")
        return
    wait_until_unused(name, node, progress())
    print(f"{node} is out of use: no flow is left")


def undrain(node: Which, name: Name = "dev") -> None:
    """Take a drained node into use again."""
    from rookery.region.cells import drain as tell  # noqa: PLC0415

    tell(name, node, draining=False)
    print(f"{node} is in use again")


def _print_cell(found: Any) -> None:
    rings = "" if found.rings_settled else ", rings changing"
    closed = ", closed: nothing new is placed there" if found.closed else ""
    print(f"Cell {found.name}: file {found.epoch} ({found.hash[:12]}) of the state at {found.generation}{rings}{closed}")
    print(f"{found.attachments} attachments of {found.accounts} accounts, {found.services} services, {found.targets} targets")
    heads = ("node", "address", "use", "ring", "accounts", "epoch", "hash", "file age", *LOAD, "health")
    print_table("", heads, [_row(node) for node in found.nodes])
    for alarm in [*([f"{found.name}: {found.problem}"] if found.problem else []), *found.alarms]:
        print(f"ALARM  {alarm}")
    if found.causes:
        rows = [(f"{ago(one.last)} ago", one.node, one.what, str(one.seen), one.cause) for one in found.causes[:LAST_CAUSES]]
        print_table("", ("last", "node", "what", "seen", "cause"), rows)


def _row(node: Any) -> tuple[str, ...]:
    use, ring = "draining" if node.draining else "in use", "yes" if node.in_ring else "no"
    health = "TROUBLE" if node.problem else "ok"
    said = node.report
    if said is None:
        return (node.name, node.address, use, ring, str(node.shards), *(["-"] * (3 + len(LOAD))), health)
    file = (str(said.epoch), said.hash[:12], f"{said.file_age:.0f} s")
    load = (f"{said.rate:.0f}", str(said.flows), str(said.resting), str(said.directives), _fullest(said.fullest), str(said.packets), str(said.dropped))
    return (node.name, node.address, use, ring, str(node.shards), *file, *load, health)


def _fullest(share: Any) -> str:
    """Of the account that has the least room left there."""
    return f"{100 * share.flows / share.allowed:.1f}% of {share.account}'s" if share else "-"
