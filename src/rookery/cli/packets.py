"""mappings, trace, watch: where things are, and what becomes of packets."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from rookery.cli.options import AsJson, Name
from rookery.cli.output import ago, print_json, print_table

TcpPort = Annotated[int | None, typer.Option("--tcp", metavar="PORT", help="A TCP SYN to this port.")]
UdpPort = Annotated[int | None, typer.Option("--udp", metavar="PORT", help="A UDP packet to this port.")]
Icmp = Annotated[bool, typer.Option("--icmp", help="An ICMP echo request (the default).")]


def register(app: typer.Typer) -> None:
    for command in (mappings, trace, watch):
        app.command()(command)


def mappings(
    name: Name = "dev",
    vpc: Annotated[str | None, typer.Option("--vpc", help="Only this VPC: id, or Name tag.")] = None,
    host: Annotated[str | None, typer.Option("--host", help="Only what this host holds.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what the Mapping Service gave each host beside what its kernel map holds. Exit code 1: they differ."""
    from rookery.region.mappings import compare  # noqa: PLC0415

    rows = compare(name, vpc or "", host or "")
    if as_json:
        print_json(rows)
    else:
        _print_mappings(rows)
    sys.exit(1 if any(row.difference for row in rows) else 0)


def trace(
    instance: Annotated[str, typer.Argument(help="Where the packet begins: instance id, or Name tag; or an address outside.")],
    destination: Annotated[str, typer.Argument(help="Address, instance id, or Name tag.")],
    *,
    tcp: TcpPort = None,
    udp: UdpPort = None,
    icmp: Icmp = False,
    name: Name = "dev",
    as_json: AsJson = False,
) -> None:
    """Run a made packet through the real programs and maps and tell every step. It leaves no mark.

    Exit code 0: delivered, given to a service of the host, or sent outside; 1: dropped.
    """
    from rookery.trace.journey import travel  # noqa: PLC0415
    from rookery.trace.packet import Probe  # noqa: PLC0415
    from rookery.trace.telling import tell  # noqa: PLC0415

    if (tcp is not None) + (udp is not None) + icmp > 1:
        raise typer.BadParameter("one of --tcp, --udp and --icmp")
    journey = travel(name, instance, destination, Probe.of(tcp, udp))
    if as_json:
        print_json(journey)
    else:
        for line in tell(journey):
            print(line)
    sys.exit(0 if journey.delivered or journey.served or journey.left_at else 1)


def watch(name: Name = "dev", as_json: AsJson = False) -> None:
    """Print drops and resets, live, from all hosts, edges and nodes, each with its reason and cause. Ends with Ctrl-C."""
    from rookery.trace.drops import watch_region  # noqa: PLC0415
    from rookery.trace.telling import drop_line  # noqa: PLC0415

    try:
        for event, directory in watch_region(name, _say_listening(name)):
            print(_json_line(event) if as_json else drop_line(event, directory), flush=True)
    except KeyboardInterrupt:
        return


def _say_listening(name: str) -> Callable[[str], None]:
    """Says on stderr when no drop of any host or edge is missed any more."""
    from rookery.region.status import current  # noqa: PLC0415

    shape, heard = current(name), set[str]()
    others = ((shape.edges, "edges"), (len(shape.node_names), "nodes of cells" if len(shape.the_cells) > 1 else "nodes of the cell"))
    *most, last = [f"all {shape.hosts} hosts", *(f"{count} {what}" for count, what in others if count)]
    told = f"{', '.join(most)} and {last}" if most else last

    def listening(host: str) -> None:
        heard.add(host)
        if len(heard) == len(shape.host_edge_and_node_names):
            print(f"listening on {told}", file=sys.stderr, flush=True)

    return listening


def _json_line(event: Any) -> str:
    import msgspec  # noqa: PLC0415

    return msgspec.json.encode(event).decode()


def _print_mappings(rows: Sequence[Any]) -> None:
    """A table for each VPC: the rows then fit into 80 columns."""
    columns = ("held by", "address", "interface", "intended", "kernel", "gen.", "age", "")
    for vpc in sorted({row.vpc for row in rows}):
        print_table(vpc, columns, [_mapping_row(row) for row in rows if row.vpc == vpc])
    if not rows:
        print("No host holds any mapping: they come with the first instance of a VPC.")


def _mapping_row(row: Any) -> tuple[str, ...]:
    told = (row.intended_host or "-", row.kernel_host or "-", str(row.generation), ago(row.issued))
    return row.holder, row.address, row.interface, *told, row.difference
