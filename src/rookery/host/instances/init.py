"""The init process of an instance: started in namespaces of its own, found again by whoever asks, ended.

It lives in a session of its own and is no child of the agent, whose death it does not notice. That one lives is known by a
lock that the kernel holds, its number by a file checked against the process's start time: a reused pid is never trusted.

InitError   the init cannot be started; the message is for the instance's status
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from rookery.host.instances import namespace
from rookery.host.instances.record import Places, console_file, take_lock
from rookery.intent.host import InstanceIntent

BOOT_SCRIPT = Path(__file__).with_name("boot.sh")
ALL_NAMESPACES = ("--mount", "--uts", "--ipc", "--net", "--pid")
READY_WITHIN = 10.0  # seconds; 30 ms on an idle machine, but a hundred launches share it
ASK_AGAIN_AFTER = 0.25
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# setsid --fork: an orphan of the machine's init, not a child of the agent. --kill-child: no init without its lock.
# slave: a namespace's name that goes on the machine also goes in here, instead of keeping the namespace alive.
COMMAND = (
    *("setsid", "--fork"),
    *("unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--propagation", "slave"),
    *("sh", str(BOOT_SCRIPT)),
)


class InitError(Exception):
    """The instance's init did not come up."""


def start_time(pid: int) -> int | None:
    """Of a process, in clock ticks since the machine's start; None: there is no such process, or a dead one."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])  # proc(5): fields 3 and 22, counted from 1 with the name


def find(places: Places, instance: str) -> int:
    """The init's pid in the machine's pid namespace, 0 when none lives."""
    try:
        content = places.pid_file(instance).read_text().split()
    except FileNotFoundError:
        return 0
    if len(content) != 2:
        return 0
    pid, started = map(int, content)
    return pid if start_time(pid) == started else 0


def has_run(places: Places, instance: str) -> bool:
    """An init of the current boot came up since the machine's start."""
    file = places.pid_file(instance)
    return file.exists() and file.stat().st_size > 0


def is_alive(places: Places, instance: str) -> bool:
    """True also in the moment before the pid is written."""
    if find(places, instance):
        return True
    lock = take_lock(places, instance)
    if lock is None:
        return True
    os.close(lock)
    return False


def await_known(places: Places, instance: str) -> int:
    """The init's pid, 0 when none lives. Waits for one that an agent, dead since, had only just started."""
    deadline = time.monotonic() + READY_WITHIN
    while not (pid := find(places, instance)) and is_alive(places, instance):
        if time.monotonic() > deadline:
            raise InitError("an init lives that does not say who it is")
        time.sleep(0.002)
    return pid


def open_pidfd(places: Places, instance: str) -> int | None:
    """A descriptor that becomes readable when the init ends; None: it has ended."""
    pid = find(places, instance)
    if not pid:
        return None
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    if find(places, instance) == pid:
        return descriptor
    os.close(descriptor)
    return None


def start(places: Places, intent: InstanceIntent, netns: str, asks: list[str]) -> int:
    """Returns the init's pid when it is up; user data runs on in the background. `asks`: devices that get their address by
    DHCP. Raises InitError, NamespaceError."""
    with namespace.inside(netns):
        return launch(places, intent.id, COMMAND, _environment(places, intent, asks))


def launch(places: Places, instance: str, command: tuple[str, ...], environment: dict[str, str]) -> int:
    """The pid that the command writes into the pid file before it says "ready". Raises InitError."""
    lock = take_lock(places, instance)
    if lock is None:
        raise InitError("an earlier init of the instance still lives")
    places.pid_file(instance).unlink(missing_ok=True)
    console = console_file(places, instance)
    try:
        with console.open("ab") as log:
            setsid = subprocess.Popen(
                command, stdin=lock, stdout=subprocess.PIPE, stderr=log, cwd="/", env=environment
            )
    finally:
        os.close(lock)
    with setsid:
        _await_ready(setsid, console)
    return find(places, instance)


def _environment(places: Places, intent: InstanceIntent, asks: list[str]) -> dict[str, str]:
    return {
        "PATH": PATH,
        "HOME": "/root",
        "INSTANCE_STATE": str(places.folder(intent.id)),
        "INSTANCE_PID_FILE": str(places.pid_file(intent.id)),
        "INSTANCE_HOSTNAME": intent.hostname,
        "INSTANCE_ASKS": " ".join(asks),
    }


def ask(places: Places, instance: str, device: str) -> None:
    """The address of a device that was plugged into a running instance; ask.sh goes on asking when nobody answers at once.
    Raises InitError."""
    pid = find(places, instance)
    if not pid:
        return
    console = console_file(places, instance)
    command = ("nsenter", f"--target={pid}", *ALL_NAMESPACES, "/run/instance/ask", device)
    try:
        with console.open("ab") as log:
            subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=READY_WITHIN, env={"PATH": PATH}, check=True
            )
    except (subprocess.SubprocessError, OSError) as error:
        raise InitError(f"the instance's DHCP client for {device} did not start: {error}") from error


def _await_ready(setsid: subprocess.Popen[bytes], console: Path) -> None:
    """The pipe says "ready", or closes with the last process that could have said it."""
    assert setsid.stdout is not None
    readable, _, _ = select.select([setsid.stdout], [], [], READY_WITHIN)
    if readable and setsid.stdout.readline() == b"ready\n":
        return
    said = last_words(console)
    raise InitError(f"the init did not come up{f': {said}' if said else f' within {READY_WITHIN:.0f} s'}")


def last_words(console: Path) -> str:
    """The last line."""
    return console.read_text(errors="replace").strip().rpartition("\n")[2]


def end(places: Places, instance: str, within: float) -> None:
    """Asks the processes to end, then, after `within` seconds, ends them. Returns when all are gone. Raises InitError."""
    pid = find(places, instance)
    if pid and not _ask(pid, places, instance, within):
        _signal(pid, places, instance, signal.SIGKILL, READY_WITHIN)
    _await_unlocked(places, instance)


def _ask(pid: int, places: Places, instance: str, within: float) -> bool:
    """Again and again: an init that has only just begun has no ear for it yet."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if _signal(pid, places, instance, signal.SIGTERM, ASK_AGAIN_AFTER):
            return True
    return False


def _signal(pid: int, places: Places, instance: str, sign: signal.Signals, patience: float) -> bool:
    """Whether the init is gone within `patience` seconds."""
    with suppress(ProcessLookupError):
        descriptor = os.pidfd_open(pid)
        try:
            if find(places, instance) != pid:  # it ended between the look and the hold
                return True
            signal.pidfd_send_signal(descriptor, sign)
            return bool(select.select([descriptor], [], [], patience)[0])
        finally:
            os.close(descriptor)
    return True


def _await_unlocked(places: Places, instance: str) -> None:
    """The parent of the init lets go of the lock a moment after the init."""
    deadline = time.monotonic() + READY_WITHIN
    while is_alive(places, instance):
        if time.monotonic() > deadline:
            raise InitError("a process of the instance does not end")
        time.sleep(0.002)
