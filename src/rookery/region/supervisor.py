"""Keeps a region's parts running: `python -m rookery.region.supervisor --name dev`, started by `up`.

Its parts do not share its fate: each has a session of its own, and a new supervisor finds the living ones by their command
line and takes them over. SIGTERM ends the supervisor alone; ending the parts is `down`'s work (rookery.region.stop).
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from rookery.ending import until_told
from rookery.files import open_log, write_whole
from rookery.log import log_to_stderr
from rookery.region import owned, processes, settings
from rookery.region.errors import CannotStart, NotRunning, RegionError
from rookery.region.identities import issue_certificates
from rookery.region.layout import Layout
from rookery.region.parts import Part, environment, parts_of
from rookery.region.processes import Process

FIRST_DELAY = 0.1  # seconds before a dead part starts again, doubled by every death in a row
LONGEST_DELAY = 10.0
LOOK_AT_CERTIFICATES = 3600.0  # seconds
GRACE = 3.0  # seconds to end in
STEADY = 30.0  # a part that lived so long has earned the first delay again

log = logging.getLogger("rookery.supervisor")


class PartRecord(msgspec.Struct, kw_only=True):
    """What the supervisor tells of a part (<run>/parts.json)."""

    name: str
    pid: int = 0  # 0: waits to be started again
    started: int = 0  # with the pid, who it is (processes.Process)
    since: float = 0.0  # unix seconds
    restarts: int = 0
    last_end: str = ""  # "exit 1", "killed by SIGKILL"


class Keeper:
    """Of one part."""

    def __init__(self, part: Part, record: PartRecord, changed: asyncio.Event):
        self.part = part
        self.record = record
        self.changed = changed
        self.deaths_in_a_row = 0

    async def keep(self) -> None:
        process = owned.find(self.part.identity)
        while True:
            process = process or self._start()
            self._note(process)
            await _gone(process)
            self.record.last_end = _how_it_ended(process)
            log.warning("%s (pid %d) is gone: %s", self.part.name, process.pid, self.record.last_end)
            await self._wait_a_little()
            process = None

    def _start(self) -> Process:
        child = _spawn(self.part.command, self.part.log)
        child.returncode = 0  # reaped by us (_how_it_ended), not by Popen's own
        log.info("%s started, pid %d", self.part.name, child.pid)
        return processes.identify(child.pid) or Process(child.pid, 0)

    def _note(self, process: Process) -> None:
        self.record.pid, self.record.started = process
        self.record.since = time.time()
        self.changed.set()

    async def _wait_a_little(self) -> None:
        lived = time.time() - self.record.since
        self.deaths_in_a_row = 0 if lived > STEADY else self.deaths_in_a_row + 1
        self.record.pid = 0
        self.record.restarts += 1
        self.changed.set()
        await asyncio.sleep(delay_after(self.deaths_in_a_row))


def _spawn(command: tuple[str, ...], log_file: Path) -> subprocess.Popen[bytes]:
    """In a session of its own, so that nobody's Ctrl-C reaches it."""
    output = open_log(log_file)
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment(),
            cwd="/",
            start_new_session=True,
        )
    finally:
        os.close(output)


def delay_after(deaths_in_a_row: int) -> float:
    """Seconds."""
    return min(LONGEST_DELAY, FIRST_DELAY * 2 ** max(0, deaths_in_a_row - 1))


async def _gone(process: Process) -> None:
    """Returns when it has ended; it need not be a child of ours."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(descriptor, ended.set)
    try:
        if processes.is_alive(process) or process.started == 0:
            await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def _how_it_ended(process: Process) -> str:
    try:
        _, status = os.waitpid(process.pid, 0)
    except ChildProcessError:  # taken over from the supervisor before: its exit status went to init
        return "ended (started by an earlier supervisor)"
    code = os.waitstatus_to_exitcode(status)
    return f"exit {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"


async def supervise(parts: list[Part], plan: Layout) -> None:
    """Until cancelled. Only the list of parts is told; counts of restarts survive the supervisor."""
    changed = asyncio.Event()
    known = {record.name: record for record in read_records(plan)}
    keepers = [Keeper(part, known.get(part.name) or PartRecord(name=part.name), changed) for part in parts]
    async with asyncio.TaskGroup() as group:
        for keeper in keepers:
            group.create_task(keeper.keep())
        while True:
            await changed.wait()
            changed.clear()
            write_whole(plan.run / "parts.json", msgspec.json.encode([keeper.record for keeper in keepers]))


async def renew_certificates(shape: settings.Settings) -> None:
    """For ever. Agents read theirs at each connection; the mapping service reads its own at its start alone."""
    while True:
        await asyncio.sleep(LOOK_AT_CERTIFICATES)
        renewed = issue_certificates(shape)
        if renewed:
            log.info("new certificates for %s", ", ".join(renewed))
        for record in read_records(shape.layout):
            if record.name == "mapping" and record.name in renewed and record.pid:
                processes.send(Process(record.pid, record.started), signal.SIGTERM)


def read_records(plan: Layout) -> list[PartRecord]:
    try:
        return msgspec.json.decode((plan.run / "parts.json").read_bytes(), type=list[PartRecord])
    except (FileNotFoundError, msgspec.DecodeError):  # none yet, or another version's: counts begin again
        return []


def running(plan: Layout) -> Process | None:
    """The supervisor of this region, if one lives."""
    try:
        pid, started = plan.supervisor_pid.read_text().split()
    except (FileNotFoundError, ValueError):
        return owned.find(identity(plan))
    process = Process(int(pid), int(started))
    return process if processes.is_alive(process) else owned.find(identity(plan))


def identity(plan: Layout) -> tuple[str, ...]:
    return ("-m", "rookery.region.supervisor", "--name", plan.name)


def launch(plan: Layout) -> None:
    """In a session of its own; returns when it supervises. Raises CannotStart when it ends instead."""
    child = _spawn((sys.executable, *identity(plan)), plan.logs / "supervisor.log")
    while _written_pid(plan) != child.pid:
        if child.poll() is not None:
            raise CannotStart(f"the supervisor ended at once; see {plan.logs / 'supervisor.log'}")
        time.sleep(0.01)
    child.returncode = 0  # it outlives us: nobody is to warn that it was not waited for


def replace(plan: Layout) -> None:
    """Another in its place, which reads the shape as it is written now and takes over what lives. Raises CannotStart."""
    before = running(plan)
    if before:
        processes.end([before], GRACE)
    launch(plan)


def _written_pid(plan: Layout) -> int:
    try:
        return int(plan.supervisor_pid.read_text().split()[0])
    except (FileNotFoundError, ValueError, IndexError):
        return 0


async def _main(shape: settings.Settings) -> None:
    me = processes.identify(os.getpid())
    assert me is not None
    write_whole(shape.layout.supervisor_pid, f"{me.pid} {me.started}\n".encode())
    async with asyncio.TaskGroup() as group:
        group.create_task(renew_certificates(shape))
        group.create_task(supervise(parts_of(shape), shape.layout))


def main() -> int:
    parser = argparse.ArgumentParser(description="Keeps a region's parts running.")
    parser.add_argument("--name", required=True)
    name = parser.parse_args().name
    log_to_stderr(region_name=name)
    try:
        shape = settings.read(settings.check_name(name))
        if shape is None:
            raise NotRunning(name)
    except RegionError as refused:
        log.error("%s", refused)
        return 2
    asyncio.run(until_told(_main(shape), log, "told to end; the parts run on"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
