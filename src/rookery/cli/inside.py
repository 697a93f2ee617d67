"""exec: a command inside an instance."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from rookery.cli.options import Name


def register(app: typer.Typer) -> None:
    app.command("exec", context_settings={"ignore_unknown_options": True})(execute)


def execute(
    instance: Annotated[str, typer.Argument(help="Id, or Name tag.")],
    command: Annotated[list[str], typer.Argument(help="What to run, behind --.", metavar="-- COMMAND...")],
    name: Name = "dev",
) -> None:
    """Run a command inside an instance: with this stdin and stdout, and its exit code as ours."""
    from rookery.region.inside import entering  # noqa: PLC0415

    enter, environment = entering(name, instance, command)
    os.execvpe(enter[0], enter, environment)
