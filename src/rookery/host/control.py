"""What an agent answers on its control socket (unix, mode 0600, newline-delimited JSON; one request a connection).

The CLI on the same machine is the client: `rookery trace`, `watch`, `mappings`, `status`, `exec`. A request is answered by
one Reply line; `WatchDrops` by a WatchReply and then Event lines until the client goes away.
"""

from __future__ import annotations

import msgspec


class GetStatus(msgspec.Struct, frozen=True, tag="status"):
    pass


class GetMappings(msgspec.Struct, frozen=True, tag="mappings"):
    """The kernel's rows beside the intent's."""

    vni: int = 0  # 0: all


class GetInstance(msgspec.Struct, frozen=True, tag="instance"):
    """Where an instance runs, to enter its namespaces."""

    id: str


class WhatIf(msgspec.Struct, frozen=True, tag="what-if", kw_only=True):
    """Run `frame` through the loaded program, leaving no mark.

    `program` is host_egress (then `interface` is the eni id whose device it leaves from) or host_ingress; at an edge
    blackfoot_outward (from the substrate) or blackfoot_inward (from outside)."""

    program: str
    frame: bytes
    trace: int
    interface: str = ""


class WatchDrops(msgspec.Struct, frozen=True, tag="watch"):
    pass


class GetEdge(msgspec.Struct, frozen=True, tag="edge"):
    """What an edge announces, to whom, and what passed it."""


class Drain(msgspec.Struct, frozen=True, tag="drain"):
    """An edge: hosts and the outside shall turn to others, or may come back. Kept over its agent's life. Answered by an EdgeReply."""

    draining: bool


class FlowEnd(msgspec.Struct, frozen=True, kw_only=True):
    """Where a flow begins or ends, as it arrives at a cell or as it leaves it."""

    address: str
    port: int = 0  # 0: any; ICMP echo: the identifier
    vni: int = 0  # 0: of any VPC


class FindFlows(msgspec.Struct, frozen=True, tag="flows", kw_only=True):
    """A node of a cell: what it keeps of flows with one of these ends. Answered by a FlowsReply."""

    ends: tuple[FlowEnd, ...]


Request = GetStatus | GetMappings | GetInstance | WhatIf | WatchDrops | GetEdge | Drain | FindFlows


class EventLine(msgspec.Struct, frozen=True, kw_only=True):
    """A decoded `struct event` (bpf/formats/verdict.h) in words."""

    host: str
    time: float  # unix seconds
    program: str  # host_egress, host_ingress, blackfoot_outward, blackfoot_inward
    step: str  # enum step, lower case without STEP_
    verdict: str = ""  # enum verdict, lower case
    trace: int = 0
    interface: str = ""  # eni-..., when the device is known
    vni: int = 0
    source: str = ""
    destination: str = ""
    outer_source: str = ""
    outer_destination: str = ""
    protocol: int = 0
    source_port: int = 0
    destination_port: int = 0
    length: int = 0
    detail: int = 0
    direction: str = ""  # egress, ingress: of a gate
    rule: str = ""  # the rule that counted there, or that none did, in words
    of: str = ""  # nat-..., lb-..., vpce-...: at a node of a cell, in whose name
    cause: str = ""  # why it ended there, beyond the verdict: towards where, whose share


class WatchReply(msgspec.Struct, frozen=True, kw_only=True):
    """The watcher is heard: every line from now on is for it."""

    watching: str  # the host


class MappingRow(msgspec.Struct, frozen=True, kw_only=True):
    vni: int
    address: str
    intended_host: str = ""  # substrate address, or "cell:" and the number of a set of nodes; empty: not intended
    kernel_host: str = ""  # empty: not in the kernel's map
    interface: int = 0
    mac: str = ""
    generation: int = 0  # the kernel's, else the intent's
    issued: int = 0


class MappingsReply(msgspec.Struct, frozen=True, kw_only=True):
    rows: list[MappingRow]


class InstanceReply(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    state: str
    pid: int = 0  # of the instance's init, in the machine's pid namespace; 0: does not run
    netns: str = ""  # path
    commands: str = ""  # path of the socket that takes a guest's commands; empty: its namespaces can be entered


class WhatIfReply(msgspec.Struct, frozen=True, kw_only=True):
    verdict: str
    frame: bytes
    steps: list[EventLine]
    delivered_to: str = ""  # eni-..., when delivered or answered


class StatusReply(msgspec.Struct, frozen=True, kw_only=True):
    host: str
    pid: int
    generation: int
    connected: bool  # to a mapping service
    instances: int
    mappings: int
    attach: str  # tcx or clsact; xdp in front of one of both
    counters: dict[str, dict[str, int]] = {}  # verdict -> packets, bytes
    alarms: list[str] = []
    healed: int = 0  # rows that a full pass had to mend
    connections: int = 0  # tracked flows; drop_connections_full and drop_allowance_exceeded are among the counters
    max_connections: int = 0
    services: str = ""  # why instances cannot reach DHCP, DNS, metadata and time; empty: they can


class SessionRow(msgspec.Struct, frozen=True, kw_only=True):
    """A BGP session of an edge."""

    name: str
    neighbour: str  # address
    state: str  # Established, Active, ...
    since: str
    bfd: str = ""  # Up, Down; empty: none


class EdgeReply(msgspec.Struct, frozen=True, kw_only=True):
    edge: str
    draining: bool
    announced: list[str]  # CIDRs that every session exports now
    sessions: list[SessionRow]
    publics: int  # rows
    blocks: int
    outward: dict[str, dict[str, int]]  # verdict -> packets, bytes: what came from hosts
    inward: dict[str, dict[str, int]]  # what came from outside
    problem: str = ""  # why it does not do its work; empty: it does


class FlowRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A row of a node's `trackers` or `directives` (bpf/formats/cell.h). Times are seconds, by this node's clock."""

    table: str  # trackers, directives
    role: str  # primary, secondary, decider, former (by the ring before), other; top: of `directives`
    state: str  # pending, provisional, established, closing, over
    outward: bool  # of the flow's first packet; else of the answers
    vni: int  # as it arrives ...
    interface: int  # the attachment's number
    protocol: int
    source: str
    source_port: int
    destination: str
    destination_port: int
    new_vni: int = 0  # ... and as it goes on; while it is pending nobody knows
    new_interface: int = 0
    new_source: str = ""
    new_source_port: int = 0
    new_destination: str = ""
    new_destination_port: int = 0
    has_target: bool = False
    target_gone: bool = False  # the next packet ends the flow
    version: int = 0
    decided_by: str = ""  # substrate address of the node that did, or that was asked to
    age: float | None = None  # since the decision: only who took it knows
    seen: float  # since its last packet was heard of
    left: float  # until it is over; of `directives`: until its trackers are asked again


class FlowsReply(msgspec.Struct, frozen=True, kw_only=True):
    node: str
    rows: list[FlowRow]
    more: bool = False  # there are others, which were left out


class ErrorReply(msgspec.Struct, frozen=True, kw_only=True):
    error: str
