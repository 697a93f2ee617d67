"""How a process of a node begins, and ends with its devices: one of its kind. Agents of hosts and edges share it, and services.

StartRefused   the node is not fit for it; begin() prints the sentence and returns 2
DeviceLost     a device was taken away; ends_with_its_devices() makes it a StartRefused, and the supervisor starts the next agent
"""

from __future__ import annotations

import argparse
import fcntl
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec

from rookery.host.config import NodeConfig

REFUSED = 2
C = TypeVar("C", bound=NodeConfig)


class StartRefused(Exception):
    """What is wrong, and what to do."""


class DeviceLost(Exception):
    """A device was taken away: this agent knows it by its number only, and ends. The next one finds what is there then."""


def begin(program: str, what: str, read: Callable[[Path], C], run: Callable[[C], int], *, refusals: tuple[type[Exception], ...] = ()) -> int:
    """The main of `python -m PROGRAM --config FILE`; what to exit with. `what`: it is, in a sentence; `read`: of its package's config module;
    `refusals`: what is told in a sentence beside StartRefused and a file that cannot be read."""
    parser = argparse.ArgumentParser(prog=program, description=what)
    described = f"{read.__module__.replace('.', '/')}.py"
    parser.add_argument("--config", type=Path, required=True, help=f"JSON: {described}")
    arguments = parser.parse_args()
    told: tuple[type[Exception], ...] = (StartRefused, msgspec.DecodeError, OSError, *refusals)
    try:
        return run(read(arguments.config))
    except told as error:
        print(f"{program}: {error}", file=sys.stderr)
        return REFUSED


@contextmanager
def ends_with_its_devices() -> Iterator[None]:
    """Around a group of tasks one of which may raise DeviceLost. Raises StartRefused for that."""
    try:
        yield
    except ExceptionGroup as ended:
        lost = ended.subgroup(DeviceLost)
        if lost is None:
            raise
        raise StartRefused(str(lost.exceptions[0])) from lost


@contextmanager
def only_one(config: NodeConfig, lock_name: str, refusal: str) -> Iterator[None]:
    """`lock_name`: a file in the run directory; `refusal`: the sentence when another process has it. The kernel lets go of the lock
    however the process ends. Raises StartRefused."""
    folder = Path(config.run_directory)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / lock_name).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StartRefused(refusal) from error
        yield


@contextmanager
def only_agent(config: NodeConfig) -> Iterator[None]:
    """Two agents would start everything twice."""
    with only_one(config, "agent.lock", f"another agent of {config.name} is running"):
        yield
