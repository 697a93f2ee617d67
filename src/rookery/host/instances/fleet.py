"""All instances of a host, each brought to what is wanted of it, a few at a time.

One task per instance that has something to do: find, take one step (plan.py), find again. A nudge carries no data.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from rookery.host.instances import init, plan
from rookery.host.instances.machine import Machine, StepFailed
from rookery.host.instances.plan import Found, Phase, Step
from rookery.intent.host import InstanceIntent
from rookery.model.objects import InstanceStatus

BOOTS_AT_ONCE = 4  # more only makes each of them later
THREADS = 16  # an instance that is slow to stop holds one for seconds
RETRY_SECONDS = 1.0
LONGEST_RETRY = 30.0
R = TypeVar("R")
log = logging.getLogger("rookery.host.instances")


class Fleet:
    """`report` is told what may be said of an instance, whenever that changed."""

    def __init__(self, machine: Machine, report: Callable[[list[InstanceStatus]], None]):
        self._machine = machine
        self._report = report
        self._wanted: Mapping[str, InstanceIntent] = {}
        self._said: dict[str, InstanceStatus] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._again: set[str] = set()
        self._watched: dict[str, int] = {}  # instance -> pidfd of its init
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="instances")
        self._room = asyncio.Semaphore(BOOTS_AT_ONCE)

    def want(self, instances: Mapping[str, InstanceIntent]) -> None:
        """All that the host shall have. Those that differ from before are looked at; `look_again` looks at all."""
        before, self._wanted = self._wanted, dict(instances)
        self._said = {instance: status for instance, status in self._said.items() if instance in instances}
        for instance in before.keys() | self._wanted.keys():
            if before.get(instance) != self._wanted.get(instance):
                self._nudge(instance)

    async def look_again(self) -> None:
        """At everything wanted or found here, as a restart of the agent or a full pass does."""
        for instance in {*await self._blocking(self._machine.known), *self._wanted}:
            self._nudge(instance)

    def _nudge(self, instance: str) -> None:
        if instance in self._tasks:
            self._again.add(instance)
        else:
            self._tasks[instance] = asyncio.create_task(self._converge(instance))

    async def _converge(self, instance: str) -> None:
        try:
            while True:
                self._again.discard(instance)
                await self._reach(instance)
                if instance not in self._again:
                    return
        finally:
            del self._tasks[instance]

    async def _reach(self, instance: str) -> None:
        retry = RETRY_SECONDS
        while True:
            try:
                done = await self._one_step(instance)
            except StepFailed as error:
                log.error("instance %s: %s", instance, error)
                await asyncio.sleep(retry)
                retry = min(retry * 2, LONGEST_RETRY)
                continue
            if done:
                return

    async def _one_step(self, instance: str) -> bool:
        wanted = self._wanted.get(instance)
        found = await self._blocking(self._machine.find, instance)
        step = plan.next_step(wanted, found)
        self._watch(instance, found)
        if wanted is not None:
            self._say(plan.status_of(wanted, found, time.time()))
        if step is Step.BOOT:
            async with self._room:
                await self._take(step, instance)
        elif step is not Step.NOTHING:
            await self._take(step, instance)
        return step is Step.NOTHING

    async def _take(self, step: Step, instance: str) -> None:
        """What is wanted may have changed while the step waited for its turn: then the next look sees it."""
        started = time.monotonic()
        await self._blocking(self._machine.take, step, instance, self._wanted.get(instance))
        log.info("instance %s: %s in %.0f ms", instance, step.value, 1000 * (time.monotonic() - started))

    def _say(self, status: InstanceStatus | None) -> None:
        if status is None:
            return
        old = self._said.get(status.id)
        if old is None or _news(old) != _news(status):
            self._said[status.id] = status
            self._report([status])

    def _watch(self, instance: str, found: Found | None) -> None:
        """A pidfd says at once when an init ends, and is not fooled by a reused pid."""
        running = found is not None and found.phase is Phase.RUNNING
        if running and instance not in self._watched:
            descriptor = init.open_pidfd(self._machine.places, instance)
            if descriptor is None:
                self._again.add(instance)
                return
            self._watched[instance] = descriptor
            asyncio.get_running_loop().add_reader(descriptor, self._init_ended, instance)

    def _init_ended(self, instance: str) -> None:
        descriptor = self._watched.pop(instance)
        asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)
        self._nudge(instance)

    async def _blocking(self, work: Callable[..., R], *arguments: Any) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)

    @property
    def statuses(self) -> list[InstanceStatus]:
        """What was said last of each."""
        return list(self._said.values())

    async def idle(self) -> None:
        """Until nothing is under way."""
        while self._tasks:
            await asyncio.wait(set(self._tasks.values()))

    async def close(self) -> None:
        """Stops looking after them; the instances live on."""
        for task in list(self._tasks.values()):
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        for instance in list(self._watched):
            descriptor = self._watched.pop(instance)
            asyncio.get_running_loop().remove_reader(descriptor)
            os.close(descriptor)
        self._pool.shutdown(wait=True)


def _news(status: InstanceStatus) -> tuple[str, int, str, tuple[str, ...]]:
    """What is worth a report when it differs; the time is not."""
    return status.state, status.boot, status.message, status.interfaces
