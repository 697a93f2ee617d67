"""The agent of a node: follows the intent as hosts and edges do, and the file of its cell; probes, sweeps, has flows copied,
mends, checks targets, reports.
It never sees a packet of others, and packets go on without it: maps and links are pinned.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec

from rookery.dataplane.cell import CellDataplane, CellSizes
from rookery.dataplane.errors import DataplaneError
from rookery.host import card, edge_probes, kernel_settings, substrate
from rookery.host.alarms import AlarmBook
from rookery.host.card import CardError
from rookery.host.control import EventLine
from rookery.host.control_socket import ControlServer
from rookery.host.event_watch import EventWatch
from rookery.host.following import Follower
from rookery.host.probes import PROBE_SECONDS, Rounds
from rookery.host.start import DeviceLost, StartRefused
from rookery.host.substrate import SubstrateError
from rookery.host.top_probes import TopProbes
from rookery.hyperplane import cell_file, check_link, presence
from rookery.hyperplane.answers import PROGRAM, Answers
from rookery.hyperplane.causes import Causes
from rookery.hyperplane.cell_file import CellFile
from rookery.hyperplane.check_link import CheckLinkError
from rookery.hyperplane.check_ways import CheckWays
from rookery.hyperplane.config import CellNodeConfig
from rookery.hyperplane.copies import Copies
from rookery.hyperplane.file_loop import FileLoop
from rookery.hyperplane.kernel import NodeKernel
from rookery.hyperplane.load import LoadMeter, leaving_keys
from rookery.hyperplane.measured import AttachmentCounts, Teller
from rookery.hyperplane.node_checks import NodeChecks
from rookery.hyperplane.object_store import opened
from rookery.hyperplane.report import NodeReport
from rookery.hyperplane.state import NodeState
from rookery.intent.cell import NodeIntent
from rookery.intent.host import HostIntent
from rookery.mapping.client import Subscription, Update

DEVICE_LOOK_SECONDS = 0.2
SWEEP_SECONDS = 5.0
SWEEP_SECONDS_LEAVING = 2.0  # while somebody waits until no flow leaves by an address any more

log = logging.getLogger("rookery.hyperplane")


def assemble(config: CellNodeConfig) -> NodeState:
    """Loads the programs and swaps those that run; no row is touched. Raises StartRefused."""
    try:
        link = substrate.look_at(config)
        substrate.segment_udp_in_software(config.substrate_device)
        if config.attach == "xdp":
            card.hand_over_as_received(config.substrate_device)
        dataplane = CellDataplane.open(Path(config.pins), Path(config.bpf_objects), config.max_mappings, sizes(config), config.attach)
        state = _parts(config, link, dataplane)
        dataplane.configure_substrate(substrate.row(config, link))
        kernel_settings.hold(wanted_of_the_kernel(config))
        if config.checks_namespace:
            check_link.hold(dataplane, config.checks_namespace)
        dataplane.attach_substrate(link.ifindex)
    except (SubstrateError, CardError, CheckLinkError, DataplaneError, OSError, ValueError) as error:
        raise StartRefused(str(error)) from error
    return state


def wanted_of_the_kernel(config: CellNodeConfig) -> dict[str, str]:
    """Heartbeats ask the kernel for the other nodes' MACs, and it answers only who forwards. There is nothing to forward: the program
    leaves it what is addressed to the node itself."""
    return {f"ipv4/conf/{config.substrate_device}/forwarding": "1"}


def sizes(config: CellNodeConfig) -> CellSizes:
    """As many rows as the cell's file has, for life."""
    return CellSizes(
        attachments=cell_file.ATTACHMENTS.rows,
        nat_addresses=cell_file.ADDRESSES.rows,
        services=cell_file.SERVICES.rows,
        targets=cell_file.TARGETS.rows,
        flows=config.flows,
        directives=config.directives,
        flows_per_tenant=config.flows_per_tenant,
    )


def _parts(config: CellNodeConfig, link: substrate.Substrate, dataplane: CellDataplane) -> NodeState:
    services, kernel = config.mapping_service, NodeKernel(dataplane, config.cell_number, has_intent=bool(config.mapping_service))
    state = NodeState(
        config=config,
        substrate=link,
        dataplane=dataplane,
        kernel=kernel,
        subscription=Subscription(config.region_name, services, config.identity) if services else None,
        alarms=AlarmBook(config.substrate_device),
        causes=Causes(lambda: state.file, dataplane.tenants),
        load=LoadMeter(dataplane, link.ifindex),
        ways=CheckWays(dataplane, config.checks_namespace) if config.checks_namespace else None,
    )
    return state


class Agent(Follower[NodeState]):
    WRONG = "rows or programs"
    REFUSALS = (*Follower.REFUSALS, CheckLinkError)

    def __init__(self, state: NodeState):
        super().__init__(state, state.config.heal_seconds, log)
        config = state.config
        objects = opened(config.objects, config.object_options)
        self._measures = Teller(objects, config.cell, config.name, state.dataplane.measures.began)
        self._files = state.files = FileLoop(
            config.cell,
            config.name,
            objects,
            held_epoch=lambda: state.kernel.halves.epoch,
            take=state.kernel.take,
            taken=self._follow_file,
            tell=self._complete,
        )
        self._checks = NodeChecks(state.ways, self._files.hurry)
        self._watch = EventWatch(
            name=config.name,
            dataplane=state.dataplane,
            substrate=state.substrate.ifindex,
            alarms=state.alarms,
            watchers=state.watchers,
            names=state.names,
            device_name=state.device_name,
            program_of=lambda _: PROGRAM,
            said=state.kernel.book.said,
            explain=state.causes.why,
            note=state.causes.note,
        )
        self._control = ControlServer(config.name, Answers(state), state.watchers)
        self._rounds = Rounds(config.address)
        self._copies = Copies(state.dataplane, state.load.holds)
        self._ring_since = 0
        self._alone = False
        self._old_file = False

    async def run(self) -> None:
        """Until cancelled."""
        state = self._state
        async with AsyncExitStack() as stack:
            if state.subscription is not None:
                await stack.enter_async_context(state.subscription)
            await stack.enter_async_context(self._control.at(state.config.control_socket))
            stack.callback(self._watch.follow())
            await stack.enter_async_context(self._checks)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._follow())
                tasks.create_task(self._files.run())
                tasks.create_task(self._keep_healing())
                tasks.create_task(self._keep_sweeping())
                tasks.create_task(self._copies.run())
                tasks.create_task(self._watch.keep_looking())
                tasks.create_task(self._begin_probing_nodes())
                tasks.create_task(self._keep_probing())
                tasks.create_task(self._keep_looking_at_the_device())

    async def _become(self, intent: HostIntent) -> None:
        await asyncio.to_thread(self._state.kernel.become, intent)
        self._take_what_waited()

    async def _change(self, update: Update) -> None:
        assert update.delta is not None
        await asyncio.to_thread(self._state.kernel.change, update.delta)
        self._take_what_waited()

    def _take_what_waited(self) -> None:
        if self._state.kernel.waits:
            self._files.take_again()

    def _complete(self, report: NodeReport) -> NodeReport:
        """What only the agent's parts know."""
        state = self._state
        self._tell_old_file()
        load = state.load.look(state.file)
        living = [node.name for node in self._others() if node.address in state.living]
        return msgspec.structs.replace(
            report,
            living=tuple(sorted([state.config.name, *living])),
            flows=state.load.flows,
            resting=state.load.resting,
            directives=state.load.directives,
            packets=load.packets,
            dropped=load.dropped,
            rate=load.rate,
            fullest=load.fullest,
            leaving=state.load.leaving(state.file),
            causes=state.causes.last,
            health=self._checks.words,
        )

    def _follow_file(self, file: CellFile) -> None:
        self._checks.follow(file)
        since = self._state.dataplane.config.ring_since
        if since != self._ring_since:
            self._ring_since = since
            self._copies.hurry()

    def _tell_old_file(self) -> None:
        """Who watches hears of it when it begins; that it goes on the reports say."""
        alarm, state = self._files.alarm, self._state
        if alarm and not self._old_file:
            state.watchers.publish(EventLine(host=state.config.name, time=time.time(), program=PROGRAM, step="alarm", cause=alarm))
        self._old_file = bool(alarm)

    # Who lives

    def _others(self) -> list[NodeIntent]:
        file = self._files.file
        return [node for node in file.intent.nodes if node.name != self._state.config.name] if file else []

    async def _begin_probing_nodes(self) -> None:
        """The cell's others. Without a file nobody is known, and what is in the kernel stays."""
        while self._files.file is None:
            await asyncio.sleep(PROBE_SECONDS)
        state = self._state
        mask = state.dataplane.cell_living
        before = [node.address for node in self._others() if not mask or mask >> node.place & 1]
        self._rounds.add(TopProbes(lambda: [node.address for node in self._others()], self.note_living, before))

    def note_living(self, addresses: frozenset[str]) -> None:
        """Raises DataplaneError. When nobody answers all stay: it is likelier that this node has lost the substrate. Of two nodes that is not
        likelier than that the other one died."""
        state, file = self._state, self._files.file
        state.living = addresses
        if file is None:
            return
        me = [node.place for node in file.intent.nodes if node.name == state.config.name]
        there = [node.place for node in self._others() if node.address in addresses or not addresses]
        dataplane, living = state.dataplane, sum(1 << place for place in (*me, *there))
        before = dataplane.cell_living
        is_back = self._alone and bool(addresses)
        if me and (living != before or is_back):
            dataplane.note_presence(presence.changes(before, living, dataplane.presence, me=me[0], now=time.monotonic_ns(), alone=is_back))
            dataplane.cell_living = living
            self._copies.hurry()
        self._alone = not addresses and len(self._others()) > 1

    async def _keep_probing(self) -> None:
        """Edges, and nodes of cells, to which packets of this one may go; mostly those are the cell's others once more."""
        state, tops = self._state, self._state.kernel.ways.tops
        self._rounds.add(edge_probes.of_an_agent(state.dataplane, lambda: state.kernel.edges, lambda: state.generation > 0))
        self._rounds.add(TopProbes(lambda: tops.nodes, tops.turn_to, tops.living))
        await self._rounds.run()

    # By the clock

    async def _keep_sweeping(self) -> None:
        while True:
            try:
                await self._measures.tell(await asyncio.to_thread(self._sweep))
            except DataplaneError as error:
                log.error("sweep of the flows: %s", error)
            await asyncio.sleep(SWEEP_SECONDS_LEAVING if leaving_keys(self._state.file) else SWEEP_SECONDS)

    def _sweep(self) -> tuple[AttachmentCounts, ...]:
        """Raises DataplaneError. Blocks."""
        state, measured = self._state, self._state.kernel.measured
        state.dataplane.measures.forget_held(measured.given)
        state.load.sweep(state.file)
        return measured.read()

    def _mend(self) -> int:
        state, dataplane = self._state, self._state.dataplane
        dataplane.configure_substrate(substrate.row(state.config, state.substrate))
        mended = state.kernel.heal() + kernel_settings.hold(wanted_of_the_kernel(state.config))
        mended += dataplane.attach_substrate(state.substrate.ifindex)
        if state.ways is not None:
            mended += check_link.hold(dataplane, state.config.checks_namespace) + state.ways.heal()
        return mended

    async def _keep_looking_at_the_device(self) -> None:
        """Raises DeviceLost."""
        while not self._state.device_is_lost():
            await asyncio.sleep(DEVICE_LOOK_SECONDS)
        raise DeviceLost(f"the device {self._state.config.substrate_device} that this agent knew is gone")
