"""tour: the demonstration."""

from __future__ import annotations

import typer

from rookery.cli.options import Name
from rookery.cli.output import progress


def register(app: typer.Typer) -> None:
    app.command()(tour)


def tour(name: Name = "dev") -> None:
    """Walk through a region: two VPCs with the same addresses, kept apart by the machine, and how one can see it."""
    from rookery.tour.walk import take  # noqa: PLC0415

    take(name, progress())
