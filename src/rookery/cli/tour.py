"""tour: the demonstrations."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from rookery.cli.options import Name
from rookery.cli.output import progress


class Part(StrEnum):
    """What there is to be seen."""

    region = "region"
    rules = "rules"
    services = "services"
    edge = "edge"
    hyperplane = "hyperplane"


def register(app: typer.Typer) -> None:
    app.command()(tour)


def tour(
    part: Annotated[Part, typer.Argument(help="region: VPCs kept apart; rules: what a VPC lets through; services: what instances find on their wire; edge: out to the internet and back in; hyperplane: NAT gateways, balancers and PrivateLink by a cell of nodes")] = Part.region,
    name: Name = "dev",
) -> None:
    """Walk through a region, on real packets: two VPCs kept apart, the rules that people get wrong most often, the services, the edge, or
    the cell behind NAT gateways, balancers and PrivateLink."""
    from rookery.tour import edge, hyperplane, rules, services, walk  # noqa: PLC0415

    tours = {Part.region: walk, Part.rules: rules, Part.services: services, Part.edge: edge, Part.hyperplane: hyperplane}
    tours[part].take(name, progress())
