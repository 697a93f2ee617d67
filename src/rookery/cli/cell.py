"""cell: the nodes behind NAT gateways, balancers and endpoints."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from rookery.cli.options import AsJson, Name
from rookery.cli.output import ago, print_json, print_table, progress

LOAD = ("packets/s", "flows", "resting", "directives", "fullest share", "packets", "dropped")
LAST_CAUSES = 10
Which = Annotated[str, typer.Argument(help="node-1, ...")]


def register(app: typer.Typer) -> None:
    cell = typer.Typer(help="The cell of nodes behind NAT gateways, balancers and endpoints.", invoke_without_command=True)
    cell.callback()(_list_by_default)
    cell.command("list")(list_nodes)
    cell.command()(scale)
    cell.command()(drain)
    cell.command()(undrain)
    app.add_typer(cell, name="cell")


def _list_by_default(context: typer.Context, name: Name = "dev", as_json: AsJson = False) -> None:
    """Without another word: list."""
    if context.invoked_subcommand is None:
        list_nodes(name, as_json)


def list_nodes(name: Name = "dev", as_json: AsJson = False) -> None:
    """Show the cell: its file, its nodes, what they hold. Exit code 1 when something is wrong with one."""
    from rookery.region.cells import look  # noqa: PLC0415

    found = look(name)
    if as_json:
        print_json(found)
    elif found is None:
        print("The region has no cell: NAT gateways and balancers have nobody to work for them.")
    else:
        _print_cell(found)
    sys.exit(1 if found and (found.problem or any(node.problem for node in found.nodes)) else 0)


def scale(nodes: Annotated[int, typer.Argument(help="How many nodes the cell shall have.")], name: Name = "dev") -> None:
    """Add nodes to the running cell, or take the last ones out of it; no flow breaks."""
    from rookery.region.scale import scale as change  # noqa: PLC0415

    change(name, nodes, progress())


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
    print(f"Cell {found.name}: file {found.epoch} ({found.hash[:12]}) of the state at {found.generation}{rings}")
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
