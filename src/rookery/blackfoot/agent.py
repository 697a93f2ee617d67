"""The agent of an edge: follows the intent, keeps the kernel to it, tells BIRD what to announce, mends, tells.

Towards the mapping service an edge is a host (its certificate names it as one: what makes it an edge is its row in the store, which
only the operator writes). Everything it made works on without it: maps and links are pinned, BIRD is a process of its own. So its end is
no event, and its start is the same as its recovery.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from rookery.blackfoot import uplink
from rookery.blackfoot.announcer import Announcer
from rookery.blackfoot.answers import Answers
from rookery.blackfoot.config import EdgeConfig
from rookery.blackfoot.kernel import EdgeKernel
from rookery.blackfoot.outage import Outage, has_carrier
from rookery.blackfoot.state import EdgeState
from rookery.blackfoot.uplink import UplinkError
from rookery.dataplane.attach import AttachMode
from rookery.dataplane.edge import EdgeDataplane
from rookery.dataplane.errors import DataplaneError
from rookery.dataplane.formats import UplinkConfig, UplinkFlag
from rookery.host import card, substrate
from rookery.host.alarms import Alarm, AlarmBook
from rookery.host.card import CardError
from rookery.host.control_socket import ControlServer
from rookery.host.event_watch import EventWatch
from rookery.host.following import Follower
from rookery.host.probes import Rounds
from rookery.host.start import DeviceLost, StartRefused
from rookery.host.substrate import SubstrateError
from rookery.host.top_probes import TopProbes
from rookery.intent.host import BlockIntent, HostIntent
from rookery.mapping.client import Subscription, Update
from rookery.mapping.protocol import Delta

LOOK_SECONDS = 0.2  # at devices, and at the uplink's carrier
LOOKS_A_SESSION = 3  # BIRD is asked less often: it costs more
QUICK = 1000  # rows that the loop itself may apply: more go to a thread

log = logging.getLogger("rookery.blackfoot")


def assemble(config: EdgeConfig) -> EdgeState:
    """Loads the programs and swaps those that run; no row is touched. Raises StartRefused."""
    try:
        link, outside = substrate.look_at(config), _outside(config)
        substrate.segment_udp_in_software(config.substrate_device)
        uplink.open_doors(config)
        dataplane = EdgeDataplane.open(
            Path(config.pins), Path(config.bpf_objects), config.max_mappings, config.max_public_addresses
        )
        if config.attach:
            _attach_by(config, dataplane, config.attach)
        state = _parts(config, link, outside, dataplane)
        dataplane.configure_substrate(substrate.row(config, link))
        dataplane.configure_uplink(_uplink_row(state))
        dataplane.attach_uplink(outside.ifindex)
        dataplane.attach_substrate(link.ifindex)
    except (SubstrateError, UplinkError, CardError, DataplaneError, OSError, ValueError) as error:
        raise StartRefused(str(error)) from error
    return state


def _outside(config: EdgeConfig) -> uplink.Uplink:
    """Hosts look for other edges when this one has lost its uplink while no agent lived. Raises UplinkError, DataplaneError."""
    try:
        return uplink.look_at(config)
    except UplinkError:
        dataplane = EdgeDataplane.open(
            Path(config.pins), Path(config.bpf_objects), config.max_mappings, config.max_public_addresses
        )
        dataplane.configure_uplink(uplink.no_row(_was_filled(dataplane)))
        dataplane.close()
        raise


def _was_filled(dataplane: EdgeDataplane) -> bool:
    return bool(dataplane.uplink.flags & UplinkFlag.FILLED)


def _attach_by(config: EdgeConfig, dataplane: EdgeDataplane, mode: AttachMode) -> None:
    """Before anything is attached."""
    if mode == "xdp":
        for device in (config.substrate_device, config.uplink_device):
            card.hand_over_as_received(device)
    dataplane.use_attach_mode(mode)


def _parts(config: EdgeConfig, link: substrate.Substrate, outside: uplink.Uplink, dataplane: EdgeDataplane) -> EdgeState:
    """Of an edge that begins hosts hear when its tables are filled. One whose agent only comes back stays as open as it was."""
    services, draining = config.mapping_service, config.draining_mark.exists()
    filled, closing = _was_filled(dataplane), bool(dataplane.uplink.flags & UplinkFlag.CLOSING)
    return EdgeState(
        config=config,
        substrate=link,
        uplink=outside,
        dataplane=dataplane,
        kernel=EdgeKernel(dataplane),
        announcer=Announcer(config),
        subscription=Subscription(config.region_name, services, config.identity) if services else None,
        alarms=AlarmBook(config.substrate_device),
        draining=draining,
        filled=filled,
        outage=Outage(already=filled and closing and not draining),
    )


def _uplink_row(state: EdgeState) -> UplinkConfig:
    if state.leaving:
        return uplink.no_row(state.filled)
    return uplink.row(state.uplink, closing=state.closed(), filled=state.filled)


def _rows_of(delta: Delta) -> int:
    mappings = len(delta.put_mappings) + len(delta.delete_mappings)
    return mappings + len(delta.put_rules) + len(delta.delete_rules) + len(delta.put_routes)


def _changes_blocks(update: Update) -> bool:
    """Of what is announced all else is configured."""
    if update.delta is None:
        return True
    put = any(isinstance(rule, BlockIntent) for rule in update.delta.put_rules)
    return put or any(kind == "block" for kind, _, _ in update.delta.delete_rules)


class Agent(Follower[EdgeState]):
    WRONG = "rows, programs or settings"

    def __init__(self, state: EdgeState):
        super().__init__(state, state.config.heal_seconds, log)
        self._announcing = asyncio.Lock()
        self._watch = EventWatch(
            name=state.config.name,
            dataplane=state.dataplane,
            substrate=state.substrate.ifindex,
            alarms=state.alarms,
            watchers=state.watchers,
            names=state.names,
            device_name=state.device_name,
            program_of=self._program_of,
        )
        answers = Answers(state, self.drain)
        self._control = ControlServer(state.config.name, answers, state.watchers)

    async def run(self) -> None:
        """Until cancelled."""
        state = self._state
        async with AsyncExitStack() as stack:
            if state.subscription is not None:
                await stack.enter_async_context(state.subscription)
            await stack.enter_async_context(self._control.at(state.config.control_socket))
            stack.callback(self._watch.follow())
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._follow())
                tasks.create_task(self._keep_healing())
                tasks.create_task(self._watch.keep_looking())
                tasks.create_task(self._keep_looking_at_devices())
                tasks.create_task(self._keep_looking_outside())
                tasks.create_task(self._keep_probing_cells())

    def _program_of(self, alarm: Alarm) -> str:
        return "blackfoot_inward" if alarm.device == self._state.config.uplink_device else "blackfoot_outward"

    async def take(self, update: Update) -> None:
        """What the kernel holds is announced, too."""
        await super().take(update)
        if _changes_blocks(update):
            await self.announce()

    async def _become(self, intent: HostIntent) -> None:
        await asyncio.to_thread(self._state.kernel.become, intent)

    async def _change(self, update: Update) -> None:
        assert update.delta is not None
        if _rows_of(update.delta) > QUICK:
            await asyncio.to_thread(self._state.kernel.change, update.delta)
        else:
            self._state.kernel.change(update.delta)

    def _applied(self, generation: int) -> None:
        self._state.filled = True
        super()._applied(generation)

    async def announce(self) -> None:
        """To hosts and to the outside: that it is here, or that it goes. Nothing before the tables are filled."""
        state = self._state
        if not state.generation:
            return
        async with self._announcing:
            await self._tell_both_sides()

    async def _tell_both_sides(self) -> None:
        state = self._state
        hidden = state.draining or state.leaving
        blocks = [] if hidden else [*state.config.public_pools, *state.kernel.announced_blocks]
        state.dataplane.configure_uplink(_uplink_row(state))
        await asyncio.to_thread(state.announcer.announce, blocks)

    async def drain(self, draining: bool) -> None:
        """Hosts and the outside turn to other edges, or come back; packets that still come are handled as ever."""
        state = self._state
        if draining:
            state.config.draining_mark.touch()
        else:
            state.config.draining_mark.unlink(missing_ok=True)
        state.draining = draining
        log.info("draining" if draining else "drains no more")
        await self.announce()

    def _may_mend(self) -> bool:
        """Programs and settings are known while no mapping service answers."""
        return True

    async def _mend_beside(self) -> None:
        async with self._announcing:
            await asyncio.to_thread(self._state.announcer.keep)

    async def _try_again(self) -> None:
        await super()._try_again()
        await self.announce()

    async def _keep_probing_cells(self) -> None:
        """Their nodes, to which this edge may send."""
        tops = self._state.kernel.ways.tops
        rounds = Rounds(self._state.config.address)
        rounds.add(TopProbes(lambda: tops.nodes, tops.turn_to, tops.living))
        await rounds.run()

    async def _keep_looking_at_devices(self) -> None:
        """And at their programs: the outside sends to a device without one, for BIRD announces on. Nothing is announced before the next agent
        has given its program to what takes a lost device's place. Raises DeviceLost."""
        while not (lost := self._state.lost_device()):
            self._mend_programs()
            await asyncio.sleep(LOOK_SECONDS)
        self._state.leaving = True
        async with self._announcing:
            await self._tell_both_sides()
        raise DeviceLost(f"the device {lost} that this agent knew is gone")

    async def _keep_looking_outside(self) -> None:
        """Hosts look for other edges while the uplink leads nowhere. What is announced stays: nobody hears it."""
        state, session = self._state, True
        for turn in itertools.count():
            if turn % LOOKS_A_SESSION == 0:
                session = await asyncio.to_thread(state.announcer.has_session)
            if state.outage.look(has_carrier(state.config.uplink_device), session):
                log.warning("%s", state.outage.reason or "the uplink leads outside again")
                await self._shut_or_open()
            await asyncio.sleep(LOOK_SECONDS)

    async def _shut_or_open(self) -> None:
        """The kernel refuses: the next full pass tries again."""
        async with self._announcing:
            try:
                self._state.dataplane.configure_uplink(_uplink_row(self._state))
            except DataplaneError as error:
                log.error("uplink: %s", error)

    def _mend(self) -> int:
        state = self._state
        state.dataplane.configure_substrate(substrate.row(state.config, state.substrate))
        return state.kernel.heal() + self._mend_uplink() + uplink.open_doors(state.config)

    def _mend_uplink(self) -> int:
        dataplane, wanted = self._state.dataplane, _uplink_row(self._state)
        if dataplane.uplink == wanted:
            return 0
        dataplane.configure_uplink(wanted)
        return 1

    def _mend_programs(self) -> None:
        state, dataplane = self._state, self._state.dataplane
        for program, hold in (
            ("blackfoot_outward", partial(dataplane.attach_substrate, state.substrate.ifindex)),
            ("blackfoot_inward", partial(dataplane.attach_uplink, state.uplink.ifindex)),
        ):
            try:
                if hold():
                    state.healed += 1
                    log.warning("%s was gone from its device and is there again", program)
            except DataplaneError as error:  # the device goes: the next look finds that
                log.error("%s: %s", program, error)
