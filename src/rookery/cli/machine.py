"""doctor: what this machine offers and lacks."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

from rookery.cli.options import AsJson, Name
from rookery.cli.output import print_json, print_table

if TYPE_CHECKING:
    from rookery.region.requirements import Finding


def register(app: typer.Typer) -> None:
    app.command()(doctor)


def doctor(name: Name = "dev", as_json: AsJson = False) -> None:
    """Say what this machine's kernel and packages offer, and what to do about what is missing. Exit code 1: no region can start."""
    from rookery.region.examination import examine  # noqa: PLC0415

    findings = list(examine(name))
    if as_json:
        print_json(findings)
    else:
        print_table(
            "", ("", "what", ""), [(_mark(finding), finding.what, finding.sentence) for finding in findings]
        )
    sys.exit(1 if any(f.required and not f.ok for f in findings) else 0)


def _mark(finding: Finding) -> str:
    if finding.ok:
        return "ok"
    return "MISSING" if finding.required else "without"
