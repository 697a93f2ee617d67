"""What nodes said, made up."""

from __future__ import annotations

from rookery.dataplane.formats import FlowsHeld, Measure, MeasureProtocol, MeasureWay
from rookery.hyperplane.measured import AttachmentCounts, NodeMeasures
from rookery.metrics import catalogue
from rookery.metrics.resources import Measured

T = 1_800_000_000  # a minute's first second
NAT = Measured("123456789012", "us-east-1", catalogue.NATS, (("NatGatewayId", "nat-1"),))
OTHER_NAT = NAT._replace(account="210987654321", dimensions=(("NatGatewayId", "nat-2"),))
BALANCER = Measured("123456789012", "us-east-1", catalogue.BALANCERS, (("LoadBalancer", "net/web/1"),))
WAYS = {"outward": MeasureWay.OUTWARD, "inward": MeasureWay.INWARD}
PASSED = ("in", "bytes_in", "out", "bytes_out")


def place(name: str) -> int:
    """Of "dropped", "flows_tcp", "tcp_outward_bytes_in"."""
    first, _, rest = name.partition("_")
    if first.upper() in MeasureProtocol.__members__:
        way, _, what = rest.partition("_")
        protocol = MeasureProtocol[first.upper()]
        return Measure.PASSED + (WAYS[way] * MeasureProtocol.PROTOCOLS + protocol) * 4 + PASSED.index(what)
    kind, _, protocol_name = name.rpartition("_")
    if protocol_name.upper() in MeasureProtocol.__members__:
        return Measure[kind.upper()] + MeasureProtocol[protocol_name.upper()]
    return Measure[name.upper()]


def counts(**named: int) -> tuple[int, ...]:
    found = [0] * Measure.COUNTS
    for name, value in named.items():
        found[place(name)] = value
    return tuple(found)


def attachment(interface: int, held: tuple[int, int, int, int] = (0, 0, 0, 0), **named: int) -> AttachmentCounts:
    return AttachmentCounts(1, interface, counts(**named), FlowsHeld(*held))


def node(*attachments: AttachmentCounts, name: str = "node-1", began: str = "boot.1", time: float = T) -> NodeMeasures:
    return NodeMeasures(node=name, began=began, time=time, attachments=attachments)
