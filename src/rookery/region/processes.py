"""Processes, told apart from later ones that got the same number by the time they started."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from rookery.host.instances.init import start_time

PROC = Path("/proc")


class Process(NamedTuple):
    pid: int
    started: int  # clock ticks after boot


def identify(pid: int) -> Process | None:
    """None: there is none, or it is a zombie."""
    started = start_time(pid)
    return None if started is None else Process(pid, started)


def is_alive(process: Process) -> bool:
    return identify(process.pid) == process


def arguments(pid: int) -> tuple[str, ...]:
    """Empty for kernel threads and for what is gone."""
    try:
        raw = (PROC / str(pid) / "cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return ()
    return tuple(raw.decode(errors="replace").rstrip("\0").split("\0")) if raw else ()


def network_namespace(pid: int) -> int:
    """Its inode; 0 when the process is gone."""
    try:
        return (PROC / str(pid) / "ns/net").stat().st_ino
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return 0


def all_pids() -> Iterator[int]:
    return (int(entry) for entry in os.listdir(PROC) if entry.isdigit())


def send(process: Process, number: signal.Signals) -> None:
    """To this process or to none."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    try:
        if is_alive(process):
            signal.pidfd_send_signal(descriptor, number)
    except ProcessLookupError:
        return
    finally:
        os.close(descriptor)


def end(processes: Iterable[Process], grace: float) -> None:
    """SIGTERM, `grace` seconds, SIGKILL; returns when all are gone."""
    processes = list(processes)
    for process in processes:
        send(process, signal.SIGTERM)
    left = wait_gone(processes, grace)
    for process in left:
        send(process, signal.SIGKILL)
    wait_gone(left, 10.0)


def wait_gone(processes: Iterable[Process], seconds: float) -> list[Process]:
    """Those still alive after at most `seconds`."""
    deadline = time.monotonic() + seconds
    left = list(processes)
    for process in left:
        _wait_one(process, deadline)
    return [process for process in left if is_alive(process)]


def _wait_one(process: Process, deadline: float) -> None:
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        if is_alive(process):
            poll.poll(max(0.0, deadline - time.monotonic()) * 1000)
    finally:
        os.close(descriptor)
