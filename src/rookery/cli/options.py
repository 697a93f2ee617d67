"""Options that several commands have, spelled once."""

from __future__ import annotations

from typing import Annotated

import typer

Name = Annotated[
    str, typer.Option("--name", metavar="REGION", envvar="ROOKERY_NAME", help="Which Rookery region.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print data for programs.")]
