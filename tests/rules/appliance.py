"""Routes to interfaces, and the guest behind one of them that passes packets on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.rules.conftest import Stage

# A guest that forwards IPv6 forgets what routers advertise, unless accept_ra says that it means it.
FORWARDING = ("net.ipv4.ip_forward=1", "net.ipv6.conf.all.accept_ra=2", "net.ipv6.conf.eth0.accept_ra=2",
              "net.ipv6.conf.all.forwarding=1")  # fmt: skip
SILENT = ("net.ipv4.ip_forward=0", "net.ipv6.conf.all.forwarding=0")


class Tables:
    """A route table for each of two subnets, with nothing but the local routes."""

    def __init__(self, stage: Stage):
        self.stage = stage
        self.of: dict[str, str] = {}
        self._associations: list[str] = []
        for name in ("left", "right"):
            made = stage.ec2.create_route_table(VpcId=stage.vpc)["RouteTable"]["RouteTableId"]
            answer = stage.ec2.associate_route_table(RouteTableId=made, SubnetId=stage.subnets[name])
            self.of[name] = made
            self._associations.append(stage.now(answer)["AssociationId"])

    def route(self, name: str, destination: str, target: str) -> None:
        """`destination`: of either address family; `target`: an interface or a peering."""
        where = "DestinationIpv6CidrBlock" if ":" in destination else "DestinationCidrBlock"
        kind = "VpcPeeringConnectionId" if target.startswith("pcx-") else "NetworkInterfaceId"
        asked = {"RouteTableId": self.of[name], where: destination, kind: target}
        self.stage.now(self.stage.ec2.create_route(**asked))

    def state(self, name: str, destination: str) -> str:
        table = self.stage.ec2.describe_route_tables(RouteTableIds=[self.of[name]])["RouteTables"][0]
        return next(r["State"] for r in table["Routes"] if r.get("DestinationCidrBlock") == destination)

    def go(self) -> None:
        for association in self._associations:
            self.stage.now(self.stage.ec2.disassociate_route_table(AssociationId=association))
        for table in self.of.values():
            self.stage.ec2.delete_route_table(RouteTableId=table)


def check(stage: Stage, name: str, on: bool) -> None:
    """Its source/destination check."""
    stage.now(
        stage.ec2.modify_network_interface_attribute(
            NetworkInterfaceId=stage.interfaces[name], SourceDestCheck={"Value": on}
        )
    )


@contextmanager
def forwarding(stage: Stage, name: str) -> Iterator[str]:
    """Its interface. It counts what it forwards of each address family in its own kernel."""
    check(stage, name, on=False)
    stage.run(name, "sysctl", "-qw", *FORWARDING)
    yield stage.interfaces[name]
    stage.run(name, "sysctl", "-qw", *SILENT)
    check(stage, name, on=True)


def forwarded(stage: Stage, name: str = "box", ipv6: bool = False) -> int:
    """Packets of one address family that the guest has passed on."""
    if ipv6:
        rows = stage.run(name, "cat", "/proc/net/snmp6").stdout.decode().split()
        return int(rows[rows.index("Ip6OutForwDatagrams") + 1])
    said = stage.run(name, "grep", "-h", "^Ip:", "/proc/net/snmp").stdout.decode().splitlines()
    return int(dict(zip(said[0].split(), said[1].split(), strict=True))["ForwDatagrams"])
