"""Nodes whose programs are built twice, of the same stages (bpf/tc/hull, bpf/xdp/hull): edges, and nodes of cells.

TC alone is for veth, where super-packets and unfinished checksums survive it. On a network card XDP goes in front of it, which spares each packet its
socket buffer, and leaves to TC as it came what it cannot end itself. XDP sees one packet at a time with all its checksums: what sends to it over veth
must not leave either to a device (ethtool -K tx off), and the card must join no packets and take out no VLAN tags (ethtool -K u0 lro off gro-hw off
rxvlan off)."""

from __future__ import annotations

from pathlib import Path

from rookery.dataplane.attach import AttachMode, XdpAttachments, attachments, xdp_links
from rookery.dataplane.errors import DataplaneError
from rookery.dataplane.formats import Verdict
from rookery.dataplane.node import XDP_BUILD, LoadedPrograms, NodeDataplane, WhatIf


class TwoBuildsDataplane(NodeDataplane):
    """A program that has no second build runs under TC, whatever the mode."""

    def __init__(self, pins: Path, programs: LoadedPrograms):
        super().__init__(pins, programs)
        self._xdp: XdpAttachments | None = None  # TC alone

    @property
    def attach_mode(self) -> AttachMode:
        return "xdp" if self._xdp else super().attach_mode

    def use_attach_mode(self, mode: AttachMode) -> None:
        """Instead of what the kernel's features suggest, which never is "xdp": that is the operator's to say, who knows the devices. Before
        anything is attached. Raises DataplaneError."""
        if mode == "xdp" and not any(name.endswith(XDP_BUILD) for name in self._programs):
            raise DataplaneError("the programs' XDP build is not loaded")
        self._xdp = XdpAttachments(self.pins, self._attachments) if mode == "xdp" else None
        if mode != "xdp":
            self._attachments = attachments(mode, self.pins)

    def _attach(self, program: str, ifindex: int) -> None:
        if self._xdp and self._has_xdp_build(program):
            self._xdp.attach(self._programs[program + XDP_BUILD], self._programs[program], ifindex)
        else:
            super()._attach(program, ifindex)
            xdp_links(self.pins).detach(ifindex)  # an earlier agent's

    def detach(self, ifindex: int) -> None:
        if self._xdp:
            self._xdp.detach(ifindex)
        super().detach(ifindex)

    def runs(self, program: str, ifindex: int) -> bool:
        in_front = self.program_id(program + XDP_BUILD) if self._xdp and self._has_xdp_build(program) else 0
        return xdp_links(self.pins).program(ifindex) == in_front and super().runs(program, ifindex)

    def _has_xdp_build(self, program: str) -> bool:
        return program + XDP_BUILD in self._programs

    def _first(self, program: str) -> str:
        """The build that meets a packet first."""
        return program + XDP_BUILD if self._xdp and self._has_xdp_build(program) else program

    def what_if(self, program: str, frame: bytes, ifindex: int, trace: int) -> WhatIf:
        """As of any node. What XDP defers TC tells from the start."""
        told = super().what_if(self._first(program), frame, ifindex, trace)
        return super().what_if(program, frame, ifindex, trace) if told.verdict is Verdict.DEFERRED else told
