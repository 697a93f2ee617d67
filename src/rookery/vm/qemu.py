"""The emulator: whether it is there, how it runs here, and the part of its command line that every machine shares."""

from __future__ import annotations

import functools
import os
import select
import shutil
import subprocess
from pathlib import Path
from typing import Literal

PROGRAM = "qemu-system-x86_64"
FIRST_WORD_WITHIN = 5.0  # seconds; a processor that runs says it in some 50 ms
# q35 and not microvm: without HPET and PM timer one boot in four stops on a busy machine, unable to measure its clock.
# The program's own devices and files would make the machine depend on who starts it.
MACHINE = ("-machine", "q35", "-nodefaults", "-no-user-config", "-display", "none")
# no_timer_check: under load an emulated timer is late, which the kernel takes for a broken one, and panics.
KERNEL_WORDS = "console=ttyS0 panic=-1 reboot=t no_timer_check mitigations=off"

Accelerator = Literal["kvm", "tcg"]


class EmulatorMissing(Exception):
    """The emulator is not installed."""


def program() -> str:
    """Its path. Raises EmulatorMissing."""
    found = shutil.which(PROGRAM)
    if found is None:
        raise EmulatorMissing(f"{PROGRAM} is missing: run make guests")
    return found


def processor(accelerator: Accelerator) -> tuple[str, ...]:
    if accelerator == "kvm":
        return ("-accel", "kvm", "-cpu", "host")
    return ("-accel", "tcg,thread=multi", "-cpu", "max")


@functools.cache
def accelerator() -> Accelerator:
    """KVM where it really runs a processor; there are machines whose /dev/kvm opens, and then runs nothing.

    Starts one without a kernel and listens for the firmware's first word. Asked once in a process. Raises
    EmulatorMissing."""
    return "kvm" if Path("/dev/kvm").exists() and says_a_word(processor("kvm"), FIRST_WORD_WITHIN) else "tcg"


def says_a_word(processor: tuple[str, ...], within: float) -> bool:
    """Whether its firmware does, in so many seconds."""
    listening = ("-chardev", "stdio,id=firmware", "-device", "isa-debugcon,iobase=0x402,chardev=firmware")
    with subprocess.Popen(
        (program(), *MACHINE, *processor, "-m", "64", *listening),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as machine:
        assert machine.stdout is not None
        try:
            readable, _, _ = select.select([machine.stdout], [], [], within)
            return bool(readable and os.read(machine.stdout.fileno(), 1))
        finally:
            machine.kill()
