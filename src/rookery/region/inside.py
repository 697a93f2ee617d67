"""The way into an instance, without the network: into its namespaces, or over a guest's serial line."""

from __future__ import annotations

import os
import sys

from rookery.host.control import GetInstance, InstanceReply
from rookery.region import agents, directory
from rookery.region.errors import NoAnswer
from rookery.region.layout import CHECKOUT
from rookery.region.status import current

NAMESPACES = ("--mount", "--uts", "--ipc", "--net", "--pid")


def entering(name: str, instance: str, command: list[str]) -> tuple[list[str], dict[str, str]]:
    """The command line that runs `command` there, and its environment. Raises NotFound, NoAnswer."""
    plan = current(name).layout
    found = directory.read(plan).instance(instance)
    told = agents.ask(plan.control_socket(found.host), GetInstance(id=found.id), InstanceReply)
    if not told.pid:
        raise NoAnswer(f"{found.id} on {found.host} does not run: it is {told.state or 'unknown there'}")
    if told.commands:
        return [sys.executable, "-m", "rookery.vm.execute", told.commands, *command], _ours()
    enter = ["nsenter", f"--target={told.pid}", *NAMESPACES, "--wd=/", "--", *command]
    return enter, _environment()


def _ours() -> dict[str, str]:
    """Of a program of our own."""
    return {**os.environ, "PYTHONPATH": str(CHECKOUT / "src")}


def _environment() -> dict[str, str]:
    """As on a machine one has logged in to: nothing of the caller's shell but its terminal."""
    inherited = {key: os.environ[key] for key in ("TERM", "LANG") if key in os.environ}
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return {"PATH": path, "HOME": "/root", "USER": "root", **inherited}
