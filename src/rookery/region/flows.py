"""Where does a flow's state live? Every node of the region's cells is asked for its rows, and rows of one flow, in both directions, are
put together. A flow lives in one cell: two flows that follow each other, as from one cell's gateway to another's balancer, are two."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import msgspec

from rookery.host.control import FindFlows, FlowEnd, FlowRow, FlowsReply
from rookery.model.objects import ElasticIp, Instance, NetworkInterface, Vpc
from rookery.region import agents, directory
from rookery.region.directory import Directory
from rookery.region.errors import NoAnswer, NotFound
from rookery.region.status import current

PORT_MAX = 0xFFFF


class Keeper(msgspec.Struct, kw_only=True):
    """One node's row."""

    node: str
    direction: str  # outward, answers
    role: str
    state: str
    version: int
    age: float | None  # seconds since the decision, by whoever took it
    seen: float
    left: float


class Flow(msgspec.Struct, kw_only=True):
    """As its first packet came to the attachment, and as it went on; empty while that is not decided."""

    protocol: int
    vpc: str  # id; "vni 0x0a1b2c" when no VPC has it
    attachment: str  # nat-... (its Name), the balancer's path, vpce-...; the interface's id where nobody knows more
    interface: str  # eni-...
    cell: str = ""  # that works for the attachment
    source: str
    source_port: int
    destination: str
    destination_port: int
    new_vpc: str = ""
    new_attachment: str = ""
    new_source: str = ""
    new_source_port: int = 0
    new_destination: str = ""
    new_destination_port: int = 0
    public_source: str = ""  # that stands for `new_source` outside
    target: str = ""  # the instance or interface that has it; "-" where nobody has
    target_gone: bool = False
    decided_by: str = ""  # node
    age: float | None = None
    keepers: list[Keeper] = []


class Flows(msgspec.Struct, kw_only=True):
    asked: list[FlowEnd]
    flows: list[Flow]
    several_cells: bool = False
    silent: dict[str, str] = {}  # nodes that do not answer, and why
    cut: list[str] = []  # nodes that have more rows than they told


def find(name: str, end: str, vpc: str = "", cell: str = "") -> Flows:
    """`end`: ADDRESS[:PORT], or an instance; `cell`: only its nodes are asked. Raises NotRunning, NotFound, Ambiguous, NoAnswer: no node
    answers."""
    shape = current(name)
    if not shape.the_cells:
        raise NotFound("the region has no cell: no flow has state anywhere but at the hosts of its ends")
    known = directory.read(shape.layout)
    ends = ends_of(known, end, vpc)
    nodes = shape.cell(cell).node_names if cell else shape.node_names
    sockets = {node: shape.layout.control_socket(node) for node in nodes}
    replies, silent = asked(sockets, FindFlows(ends=tuple(ends)))
    if not replies:
        raise NoAnswer("; ".join(silent.values()))
    found = Flows(
        asked=ends,
        flows=together(known, replies),
        several_cells=len(shape.the_cells) > 1,
        silent=silent,
        cut=[reply.node for reply in replies if reply.more],
    )
    if not found.flows:
        raise NotFound(_nothing(end, vpc, silent))
    return found


def _nothing(end: str, vpc: str, silent: dict[str, str]) -> str:
    where = f" in {vpc}" if vpc else ""
    others = f"; but not all were asked: {'; '.join(silent.values())}" if silent else ""
    return f"no node keeps a flow that begins or ends at {end}{where}{others}"


def asked(sockets: Mapping[str, Path], request: FindFlows) -> tuple[list[FlowsReply], dict[str, str]]:
    """What they answer, and why who does not. At once: one that is stuck keeps no other waiting."""
    replies, silent = [], {}
    with ThreadPoolExecutor(len(sockets)) as asking:
        answers = {node: asking.submit(agents.ask, path, request, FlowsReply) for node, path in sockets.items()}
    for node, answer in answers.items():
        try:
            replies.append(answer.result())
        except NoAnswer as refused:
            silent[node] = str(refused)
    return replies, silent


# What was asked for


def ends_of(known: Directory, word: str, vpc: str) -> list[FlowEnd]:
    """A public address of the region stands for the private one that has it: nodes see that. Raises NotFound, Ambiguous."""
    place, port = split_port(word)
    vni = known.vpc(vpc).vni if vpc else 0
    try:
        address = str(ipaddress.ip_address(place))
    except ValueError:
        return _ends_of_instance(known, place, port)
    private = [FlowEnd(address=one, port=port, vni=number) for one, number in _behind(known, address) if vni in (0, number)]
    return [FlowEnd(address=address, port=port, vni=vni), *private]


def split_port(word: str) -> tuple[str, int]:
    """ADDRESS, ADDRESS:PORT or [IPV6]:PORT; 0: no port was named. Raises NotFound."""
    if word.count(":") > 1 and not word.startswith("["):
        return word, 0
    place, _, port = word.rpartition(":") if "]:" in word or not word.endswith("]") and ":" in word else (word, "", "")
    place = place.removeprefix("[").removesuffix("]")
    if port and not (port.isascii() and port.isdigit() and 0 < int(port) <= PORT_MAX):
        raise NotFound(f"{port!r} is no port: 1 to {PORT_MAX}")
    return place, int(port or 0)


def _ends_of_instance(known: Directory, word: str, port: int) -> list[FlowEnd]:
    """Of both families: what a NAT gateway translates begins at an address of IPv6."""
    found: Instance = known.instance(word)
    vpc, interface = known.resources.get(found.vpc_id), known.interface(found.interface_ids[0])
    vni = vpc.vni if isinstance(vpc, Vpc) else 0
    return [FlowEnd(address=one, port=port, vni=vni) for one in (interface.primary, *interface.ipv6_addresses)]


def _behind(known: Directory, public: str) -> Iterator[tuple[str, int]]:
    """Private addresses, each with its VPC's number."""
    for one in known.all(NetworkInterface):
        vpc = known.resources.get(one.vpc_id)
        vni = vpc.vni if isinstance(vpc, Vpc) else 0
        elastic = [ip.private_address for ip in known.all(ElasticIp) if ip.address == public and ip.interface_id == one.id]
        yield from ((address, vni) for address in elastic)
        if one.public_address == public:
            yield one.primary, vni


# What was found


class _Ends(NamedTuple):
    """A packet's, and the attachment that it comes to or leaves from."""

    vni: int
    interface: int
    source: str
    source_port: int
    destination: str
    destination_port: int

    def turned(self) -> _Ends:
        return self._replace(
            source=self.destination, source_port=self.destination_port, destination=self.source, destination_port=self.source_port
        )


def _first(row: FlowRow) -> _Ends:
    """The flow's first packet as it came: what becomes of the answers, turned round."""
    return _arrives(row) if row.outward else _goes_on(row).turned()


def _became(row: FlowRow) -> _Ends:
    """... and as it went on: the answers, turned round."""
    return _goes_on(row) if row.outward else _arrives(row).turned()


def _arrives(row: FlowRow) -> _Ends:
    return _Ends(row.vni, row.interface, row.source, row.source_port, row.destination, row.destination_port)


def _goes_on(row: FlowRow) -> _Ends:
    new = (row.new_source, row.new_source_port, row.new_destination, row.new_destination_port)
    return _Ends(row.new_vni, row.new_interface, *new)


def together(known: Directory, replies: Iterable[FlowsReply]) -> list[Flow]:
    """By flow: the attachment at which its first packet came, and the ends that that had."""
    names, flows = _Names(known), dict[tuple[int, _Ends], Flow]()
    for reply in replies:
        for row in reply.rows:
            flow = flows.setdefault((row.protocol, _first(row)), names.flow(row))
            names.fill(flow, row)
            flow.keepers.append(_keeper(reply.node, row))
    for flow in flows.values():
        flow.keepers.sort(key=lambda one: (one.direction != "outward", one.role == "top", one.role != "primary", one.role, one.node))
    return [flows[key] for key in sorted(flows)]


def _keeper(node: str, row: FlowRow) -> Keeper:
    return Keeper(
        node=node,
        direction="outward" if row.outward else "answers",
        role=row.role,
        state="target gone" if row.target_gone else row.state,
        version=row.version,
        age=row.age,
        seen=row.seen,
        left=row.left,
    )


class _Names:
    """Numbers back into ids."""

    def __init__(self, known: Directory):
        self._known = known
        self._vpcs = {vpc.vni: vpc.id for vpc in known.all(Vpc)}
        self._interfaces = {one.number: one for one in known.all(NetworkInterface)}
        self._public = {
            (one.interface_id, one.private_address): one.address for one in known.all(ElasticIp) if one.interface_id
        }

    def flow(self, row: FlowRow) -> Flow:
        first = _first(row)
        return Flow(
            protocol=row.protocol,
            vpc=self._vpc(first.vni),
            attachment=self._attachment(first.interface),
            interface=self._interface(first.interface),
            cell=self._cell(first.interface),
            source=first.source,
            source_port=first.source_port,
            destination=first.destination,
            destination_port=first.destination_port,
        )

    def fill(self, flow: Flow, row: FlowRow) -> None:
        """What this row knows beyond its flow's first packet: of two decisions the later counts, as it does at the nodes."""
        newest = max((one.version for one in flow.keepers), default=0)
        if row.version < newest:
            return
        flow.decided_by = self._known.host_at(row.decided_by) if row.decided_by else ""
        flow.age = row.age if row.age is not None or row.version > newest else flow.age
        if row.version:
            self._fill_decision(flow, row)

    def _fill_decision(self, flow: Flow, row: FlowRow) -> None:
        new = _became(row)
        flow.new_vpc, flow.new_attachment = self._vpc(new.vni), self._attachment(new.interface)
        flow.new_source, flow.new_source_port = new.source, new.source_port
        flow.new_destination, flow.new_destination_port = new.destination, new.destination_port
        flow.public_source = self._public.get((self._interface(new.interface), new.source), "")
        flow.target = self._owner(new.vni, new.destination) if row.has_target else ""
        flow.target_gone |= row.target_gone

    def _vpc(self, vni: int) -> str:
        return self._vpcs.get(vni, f"vni {vni:#08x}")

    def _interface(self, number: int) -> str:
        found = self._interfaces.get(number)
        return found.id if found else f"{number:#010x}"

    def _cell(self, number: int) -> str:
        found = self._interfaces.get(number)
        return found.cell_attachment.cell if found and found.cell_attachment else ""

    def _attachment(self, number: int) -> str:
        found = self._interfaces.get(number)
        if found is None or found.cell_attachment is None:
            return self._interface(number)
        owner = self._known.resources.get(found.cell_attachment.of)
        return str(getattr(owner, "path", "")) or self._known.name_of(found.cell_attachment.of)

    def _owner(self, vni: int, address: str) -> str:
        """Of a target's address."""
        for one in self._interfaces.values():
            if address in one.addresses and self._vpcs.get(vni) == one.vpc_id:
                return self._known.name_of(self._known.instance_of(one.id) or one.id)
        return "-"
