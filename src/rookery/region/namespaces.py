"""Network namespaces by name, and iproute2 in them."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable

from rookery.host.instances.namespace import NAMED
from rookery.region.errors import CannotStart


def run(*command: str) -> str:
    """Its output. Raises CannotStart with what the program said."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    except FileNotFoundError as missing:
        raise CannotStart(f"the program {command[0]} is missing; run: make setup") from missing
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise CannotStart(f"`{' '.join(command)}` failed: {said or f'exit {done.returncode}'}")
    return done.stdout


def batch(name: str, commands: Iterable[str]) -> None:
    """Many words to `ip` in the namespace `name`, in one process. Raises CannotStart."""
    lines = "".join(f"{command}\n" for command in commands)
    done = subprocess.run(
        ("ip", "-netns", name, "-batch", "-"), input=lines, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise CannotStart(f"ip in {name}: {done.stderr.strip()}")


def inode(name: str) -> int:
    """0: it is gone, or no namespace is mounted there."""
    try:
        return (NAMED / name).stat().st_ino
    except FileNotFoundError:
        return 0


def is_sound(name: str) -> bool:
    """A file left behind without its mount, as after a crash between the two, is no namespace."""
    return (NAMED / name).exists() and os.stat(NAMED / name).st_dev != os.stat(NAMED).st_dev


def ensure(name: str) -> bool:
    """True: it was made now."""
    if (NAMED / name).exists():
        if is_sound(name):
            return False
        (NAMED / name).unlink()
    run("ip", "netns", "add", name)
    return True


def remove(name: str) -> None:
    if is_sound(name):
        run("ip", "netns", "delete", name)
    else:
        (NAMED / name).unlink(missing_ok=True)


def inside(name: str, *command: str) -> tuple[str, ...]:
    """The command line that runs `command` there. Not `ip netns exec`: its private /sys hides the pins."""
    return ("nsenter", f"--net={NAMED / name}", "--", *command)


def devices(name: str) -> set[str]:
    return {link["ifname"] for link in json.loads(run("ip", "-json", "-netns", name, "link", "show"))}
