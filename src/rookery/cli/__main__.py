"""`rookery`: the command line. What a command needs is imported when it runs, so that `--help` answers at once."""

from __future__ import annotations

import os
import sys

import typer

from rookery.cli import access, cell, edge, flow, inside, lifecycle, machine, packets, tour
from rookery.region.errors import RegionError
from rookery.store.interface import StoreError

app = typer.Typer(
    name="rookery",
    help="A self-hosted VPC on this machine: AWS's own API in front, real packets behind.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for part in (lifecycle, access, inside, packets, edge, cell, flow, machine, tour):
    part.register(app)


def main() -> None:
    try:
        app(prog_name="rookery")
    except (RegionError, StoreError) as refused:
        print(f"rookery: {refused}", file=sys.stderr)
        sys.exit(1)
    except PermissionError as refused:
        if os.geteuid() == 0:
            raise
        print(f"rookery: {refused.filename}: {refused.strerror}; run it as root, or with sudo", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
