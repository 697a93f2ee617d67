"""The agent of a host: follows the intent, keeps the kernel and the instances to it, mends, tells.

Everything it made works on without it: maps and links are pinned, instances are nobody's children. So its end is no event,
and its start is the same as its recovery.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from pathlib import Path

from rookery.dataplane.errors import DataplaneError
from rookery.dataplane.host import HostDataplane
from rookery.host import edge_probes, substrate
from rookery.host.alarms import Alarm, AlarmBook
from rookery.host.answers import Answers
from rookery.host.config import HostConfig
from rookery.host.control_socket import ControlServer
from rookery.host.event_watch import EventWatch
from rookery.host.following import Follower
from rookery.host.instances.compute import Compute
from rookery.host.instances.consoles import Consoles
from rookery.host.instances.emulated import Emulated
from rookery.host.instances.fleet import Fleet
from rookery.host.instances.machine import Machine, StepFailed
from rookery.host.instances.namespace import NamespaceError
from rookery.host.instances.namespaced import Namespaced
from rookery.host.instances.record import Places
from rookery.host.kernel import Kernel
from rookery.host.probes import Rounds
from rookery.host.start import StartRefused
from rookery.host.state import AgentState
from rookery.host.substrate import Substrate, SubstrateError
from rookery.host.sweep import LOOK_SECONDS, FlowSweep
from rookery.host.top_probes import TopProbes
from rookery.host.wiring import DataplaneWiring
from rookery.intent.host import HostIntent
from rookery.mapping.client import Subscription, Update
from rookery.model.objects import GUEST, NAMESPACE, ConsoleOutput, InstanceStatus
from rookery.vm.image import image_in

CONSOLE_SECONDS = 1.0  # between two looks at what instances said
QUICK = 1000  # mappings of a delta that the loop itself may apply: more go to a thread

log = logging.getLogger("rookery.host")


def assemble(config: HostConfig) -> AgentState:
    """Loads the programs and swaps those that run; no instance and no row is touched. Raises StartRefused."""
    try:
        link = substrate.look_at(config)
        substrate.segment_udp_in_software(config.substrate_device)
        dataplane = HostDataplane.open(
            Path(config.pins), Path(config.bpf_objects), config.max_mappings, config.max_connections
        )
        state = _parts(config, link, dataplane)
        state.machine.prepare()
        dataplane.configure_substrate(substrate.row(config, link))
        state.wiring.attach_all()
        dataplane.attach_substrate(link.ifindex)
    except (SubstrateError, DataplaneError, NamespaceError, OSError, ValueError) as error:
        raise StartRefused(str(error)) from error
    return state


def _parts(config: HostConfig, link: Substrate, dataplane: HostDataplane) -> AgentState:
    kernel = Kernel(dataplane)
    wiring = DataplaneWiring(dataplane, kernel, config.services_namespace)
    places = Places(Path(config.state_directory), Path(config.run_directory))
    machine = Machine(places, wiring, _kinds(config, places))
    services = config.mapping_service
    subscription = Subscription(config.region_name, services, config.identity) if services else None

    def report(statuses: list[InstanceStatus]) -> None:
        if subscription is not None:
            subscription.report(statuses)

    def tell_consoles(outputs: list[ConsoleOutput]) -> None:
        if subscription is not None:
            subscription.tell_consoles(outputs)

    alarms, fleet = AlarmBook(config.substrate_device), Fleet(machine, report)
    consoles = Consoles(places, tell_consoles)
    return AgentState(config, link, dataplane, kernel, wiring, machine, fleet, consoles, alarms, subscription=subscription)


def _kinds(config: HostConfig, places: Places) -> dict[str, Compute]:
    has_services = bool(config.services_namespace)
    return {
        NAMESPACE: Namespaced(config.region_name, places, has_services),
        GUEST: Emulated(places, image_in(Path(config.guest_images)), has_services),
    }


class Agent(Follower[AgentState]):
    REFUSALS = (DataplaneError, StepFailed, ValueError)
    WRONG = "rows or devices"

    def __init__(self, state: AgentState):
        super().__init__(state, state.config.heal_seconds, log)
        self._watch = EventWatch(
            name=state.config.name,
            dataplane=state.dataplane,
            substrate=state.substrate.ifindex,
            alarms=state.alarms,
            watchers=state.watchers,
            names=state.names,
            device_name=state.device_name,
            program_of=_program_of,
            said=state.kernel.book.said,
        )
        self._control = ControlServer(state.config.name, Answers(state), state.watchers)

    async def run(self) -> None:
        """Until cancelled."""
        state = self._state
        async with AsyncExitStack() as stack:
            stack.push_async_callback(state.fleet.close)
            if state.subscription is not None:
                await stack.enter_async_context(state.subscription)
            await stack.enter_async_context(self._control.at(state.config.control_socket))
            await stack.enter_async_context(state.services.at(state.config.feed_socket))
            stack.callback(self._watch.follow())
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._follow())
                tasks.create_task(self._keep_healing())
                tasks.create_task(self._watch.keep_looking())
                tasks.create_task(self._keep_sweeping())
                tasks.create_task(self._keep_listening())
                tasks.create_task(self._keep_probing())

    async def take(self, update: Update) -> None:
        """The services first: a guest asks them as soon as it runs. The instances last."""
        state, first = self._state, self._state.intent is None
        state.services.publish(update)
        await super().take(update)
        state.fleet.want(update.intent.instances)
        if first:
            await state.fleet.look_again()

    async def _become(self, intent: HostIntent) -> None:
        await asyncio.to_thread(self._state.kernel.become, intent, self._state.machine.devices())

    async def _change(self, update: Update) -> None:
        """A delta of few rows is quicker than a thread; everything else must not hold up the loop, and rules are compiled."""
        kernel, delta = self._state.kernel, update.delta
        assert delta is not None
        if delta.put_rules or len(delta.put_mappings) + len(delta.delete_mappings) > QUICK:
            await asyncio.to_thread(kernel.change, delta, update.intent.instances)
        else:
            kernel.change(delta, update.intent.instances)

    def _applied(self, generation: int) -> None:
        self._tell_refused()
        super()._applied(generation)

    def _tell_refused(self) -> None:
        """Rules that cannot be kept: the interfaces concerned are shut, the rest of the intent holds."""
        refused = list(self._state.kernel.book.faults.values())
        for fault in set(refused) - set(self._state.refused):
            log.error("%s", fault)
        self._state.refused = refused

    async def _keep_sweeping(self) -> None:
        """The programs do not count a flow whose time is over; its row goes here."""
        state, dataplane = self._state, self._state.dataplane
        sweep = FlowSweep(dataplane.allowances, dataplane.sweep_connections, dataplane.connections.max_rows)
        while True:
            try:
                state.connections = await asyncio.to_thread(sweep.look)
            except DataplaneError as error:
                log.error("sweep of the tracked flows: %s", error)
            await asyncio.sleep(LOOK_SECONDS)

    async def _keep_probing(self) -> None:
        """Edges, and nodes of cells where this host may send to any."""
        state = self._state
        rounds, tops = Rounds(state.config.address), state.kernel.ways.tops
        rounds.add(edge_probes.of_an_agent(state.dataplane, lambda: state.kernel.edges, lambda: state.generation > 0))
        rounds.add(TopProbes(lambda: tops.nodes, tops.turn_to, tops.living))
        await rounds.run()

    async def _keep_listening(self) -> None:
        """To what the instances say on their consoles."""
        while True:
            try:
                await asyncio.to_thread(self._state.consoles.look, self._state.fleet.statuses)
            except OSError as error:
                log.error("consoles of the instances: %s", error)
            await asyncio.sleep(CONSOLE_SECONDS)

    async def heal(self) -> bool:
        """The instances, too."""
        if not await super().heal():
            return False
        await self._state.fleet.look_again()
        return True

    def _mend(self) -> int:
        state = self._state
        strays = state.machine.unplug_strays()
        state.dataplane.configure_substrate(substrate.row(state.config, state.substrate))
        return state.kernel.heal() + state.wiring.heal(state.substrate.ifindex) + len(strays)


def _program_of(alarm: Alarm) -> str:
    leaves = alarm.device.startswith("eni-") and alarm.verdict in ("drop_source_address", "drop_source_mac")
    return "host_egress" if leaves else "host_ingress"
