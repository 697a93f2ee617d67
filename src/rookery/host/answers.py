"""What the control socket answers, from the agent's parts."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping

import msgspec

from rookery.dataplane import formats
from rookery.dataplane.addresses import address_text, mac_text, substrate_text
from rookery.dataplane.errors import DataplaneError
from rookery.dataplane.formats import DelegatedKey, MappingKey, RouteConstant
from rookery.dataplane.host import PROGRAMS, ProgramName
from rookery.host.control import (
    GetInstance,
    GetMappings,
    GetStatus,
    InstanceReply,
    MappingRow,
    MappingsReply,
    Request,
    StatusReply,
    WhatIf,
    WhatIfReply,
)
from rookery.host.control_socket import CannotAnswer
from rookery.host.instances import init
from rookery.host.instances.compute import Entrance
from rookery.host.lines import line_of
from rookery.host.rows import VPC_BITS
from rookery.host.state import AgentState

Mapped = MappingKey | DelegatedKey


def monotonic_zero() -> float:
    """Unix time at which CLOCK_MONOTONIC, the clock of events, was 0."""
    return time.time() - time.monotonic()


class Answers:
    def __init__(self, state: AgentState):
        self._state = state

    async def __call__(self, request: Request) -> msgspec.Struct:
        """Raises CannotAnswer."""
        if isinstance(request, GetStatus):
            return self._status()
        if isinstance(request, GetMappings):
            return await self._mappings(request.vni)
        if isinstance(request, GetInstance):
            return await asyncio.to_thread(self._instance, request.id)
        if isinstance(request, WhatIf):
            return self._what_if(request)
        raise CannotAnswer(f"no answer to {type(request).__name__}")

    def _status(self) -> StatusReply:
        state = self._state
        return StatusReply(
            host=state.config.name,
            pid=os.getpid(),
            generation=state.generation,
            connected=state.connected(),
            instances=len(state.machine.known()),
            mappings=len(state.kernel.mappings.wanted),
            attach=state.dataplane.attach_mode,
            counters=counters_by_verdict(state.dataplane.counters()),
            alarms=[*map(str, state.alarms.all), *([state.fault] if state.fault else []), *state.refused],
            healed=state.healed,
            connections=state.connections,
            max_connections=state.dataplane.connections.max_rows,
            services=state.services.problem if state.config.services_namespace else "",
        )

    async def _mappings(self, vni: int) -> MappingsReply:
        """The intent's rows as they are now; the kernel's a moment later, for a dump may take a second."""
        kernel = self._state.kernel
        intended: dict[Mapped, formats.Mapping] = {**kernel.mappings.wanted, **kernel.delegated.wanted}
        found = await asyncio.to_thread(self._kernel_mappings)
        keys = [key for key in intended.keys() | found.keys() if vni in (0, key.vni)]
        ordered = sorted(keys, key=lambda key: (key.vni, key.address, key))
        return MappingsReply(rows=[_row(key, intended.get(key), found.get(key)) for key in ordered])

    def _kernel_mappings(self) -> dict[Mapped, formats.Mapping]:
        dataplane = self._state.dataplane
        return {**dict(dataplane.mappings.items()), **dict(dataplane.delegated.items())}

    def _instance(self, instance: str) -> InstanceReply:
        state = self._state
        try:
            found = state.machine.find(instance)
        except ValueError as error:
            raise CannotAnswer(str(error)) from error
        if found is None:
            raise CannotAnswer(f"{instance} is not on {state.config.name}")
        pid = init.find(state.machine.places, instance)
        way = state.machine.entrance(instance) if pid else Entrance()
        return InstanceReply(id=instance, state=found.phase.value, pid=pid, netns=way.netns, commands=way.commands)

    def _what_if(self, request: WhatIf) -> WhatIfReply:
        state, names = self._state, self._state.names()
        program = _program(request.program)
        ifindex = self._device(request.interface, names) if program == "host_egress" else state.substrate.ifindex
        try:
            told = state.dataplane.what_if(program, request.frame, ifindex, request.trace)
        except (DataplaneError, ValueError) as error:
            raise CannotAnswer(str(error)) from error
        zero, said = monotonic_zero(), state.kernel.book.said
        return WhatIfReply(
            verdict=told.verdict.name.lower(),
            frame=told.frame,
            steps=[line_of(event, state.config.name, names, zero, said) for event in told.events],
            delivered_to=names.get(told.target, ""),
        )

    def _device(self, interface: str, names: Mapping[int, str]) -> int:
        for ifindex, eni in names.items():
            if eni == interface:
                return ifindex
        raise CannotAnswer(f"{interface or 'no interface'} has no device on {self._state.config.name}")


def _program(name: str) -> ProgramName:
    for known in PROGRAMS:
        if name == known:
            return known
    raise CannotAnswer(f"there is no program {name!r}")


def _row(key: Mapped, intended: formats.Mapping | None, found: formats.Mapping | None) -> MappingRow:
    one = found or intended
    assert one is not None
    return MappingRow(
        vni=key.vni,
        address=mapped_text(key),
        intended_host=substrate_text(intended.host) if intended else "",
        kernel_host=substrate_text(found.host) if found else "",
        interface=one.interface,
        mac=mac_text(one.mac),
        generation=one.generation,
        issued=one.issued,
    )


def mapped_text(key: Mapped) -> str:
    """An address, or a delegated prefix."""
    address = address_text(key.address)
    if isinstance(key, MappingKey):
        return address
    bits = key.prefix_length - VPC_BITS
    return f"{address}/{bits if ':' in address else bits - RouteConstant.IPV4_BITS}"


def counters_by_verdict(
    counters: Mapping[formats.CounterKey, formats.Traffic],
) -> dict[str, dict[str, int]]:
    """Added up over devices: verdict -> {"packets": ..., "bytes": ...}."""
    total: dict[str, dict[str, int]] = {}
    for key, traffic in counters.items():
        row = total.setdefault(formats.Verdict(key.verdict).name.lower(), {"packets": 0, "bytes": 0})
        row["packets"] += traffic.packets
        row["bytes"] += traffic.bytes
    return total
