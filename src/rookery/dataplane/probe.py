"""What this machine's kernel offers to the data plane. Each probe answers (ok, a sentence a person can act on).

Probes load tiny programs and make tiny maps, attach nothing and leave nothing behind. They need root."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Callable
from typing import NamedTuple

from rookery.dataplane import libbpf, pins, syscall
from rookery.dataplane.attach import NO_SUCH_DEVICE
from rookery.dataplane.errors import DataplaneError
from rookery.dataplane.syscall import Buffer

MAP_CREATE, PROGRAM_LOAD = 0, 5
RING_BUFFER = 27
SCHED_CLS = 3
REDIRECT_PEER, REDIRECT_NEIGH = 155, 152
MOV_IMMEDIATE, CALL, EXIT = 0xB7, 0x85, 0x95
OLDEST_LIBBPF = (1, 0)


class Probe(NamedTuple):
    ok: bool
    sentence: str


def _instruction(code: int, register: int = 0, immediate: int = 0) -> bytes:
    return struct.pack("=BBhi", code, register, 0, immediate)


def _load(*instructions: bytes) -> int:
    """A TC program's descriptor. Raises OSError."""
    code, license_name = Buffer(b"".join(instructions)), Buffer(b"GPL\0")
    attribute = struct.pack("=IIQQ", SCHED_CLS, len(instructions), code.address, license_name.address)
    return syscall.call(PROGRAM_LOAD, bytearray(attribute.ljust(syscall.ATTRIBUTE_BYTES, b"\0")))


def _has_helper(helper: int) -> bool:
    arguments = [_instruction(MOV_IMMEDIATE, register) for register in (1, 2, 3, 4)]
    try:
        os.close(_load(*arguments, _instruction(CALL, 0, helper), _instruction(EXIT)))
    except OSError:
        return False
    return True


def program_load() -> Probe:
    try:
        os.close(_load(_instruction(MOV_IMMEDIATE), _instruction(EXIT)))
    except OSError as error:
        return Probe(False, f"the kernel refuses BPF programs ({error.strerror}): run as root, with CAP_BPF and CAP_NET_ADMIN")
    return Probe(True, "the kernel loads TC programs")


def tcx() -> Probe:
    program = _load(_instruction(MOV_IMMEDIATE), _instruction(EXIT))
    try:
        os.close(syscall.tcx_link(program, NO_SUCH_DEVICE))
    except OSError as error:
        if error.errno == errno.ENODEV:
            return Probe(True, "the kernel attaches by tcx")
    finally:
        os.close(program)
    return Probe(False, "the kernel has no tcx (Linux 6.6): clsact is used, which is as good")


def clsact() -> Probe:
    """Asked of a device that does not exist: a kernel with clsact misses the device."""
    hook = libbpf.TcHook(size=24, ifindex=NO_SUCH_DEVICE, point=libbpf.TC_INGRESS)
    error = libbpf.library().bpf_tc_hook_create(ctypes.byref(hook))
    if error == -errno.ENODEV:
        return Probe(True, "the kernel speaks of traffic control")
    return Probe(False, f"the kernel has no traffic control ({os.strerror(-error)}): CONFIG_NET_SCH_INGRESS is needed")


def redirect_peer() -> Probe:
    if _has_helper(REDIRECT_PEER):
        return Probe(True, "bpf_redirect_peer is there")
    return Probe(False, "the kernel has no bpf_redirect_peer: Linux 5.10 or newer is needed")


def redirect_neigh() -> Probe:
    if _has_helper(REDIRECT_NEIGH):
        return Probe(True, "bpf_redirect_neigh is there")
    return Probe(False, "the kernel has no bpf_redirect_neigh: Linux 5.10 or newer is needed")


def ring_buffer() -> Probe:
    attribute = struct.pack("=IIII", RING_BUFFER, 0, 0, os.sysconf("SC_PAGE_SIZE"))
    try:
        os.close(syscall.call(MAP_CREATE, bytearray(attribute.ljust(syscall.ATTRIBUTE_BYTES, b"\0"))))
    except OSError as error:
        return Probe(False, f"the kernel makes no BPF ring buffer ({error.strerror}): Linux 5.8 or newer is needed")
    return Probe(True, "BPF ring buffers are there")


def library_version() -> Probe:
    try:
        found = libbpf.version()
    except DataplaneError as error:
        return Probe(False, str(error))
    numbers = tuple(int(part) for part in found.lstrip("v").split(".")[:2])
    if numbers < OLDEST_LIBBPF:
        return Probe(False, f"libbpf {found} is too old: 1.0 is needed (apt-get install libbpf1)")
    return Probe(True, f"libbpf {found}")


def bpf_filesystem() -> Probe:
    try:
        pins.mount_bpffs()
    except DataplaneError as error:
        return Probe(False, str(error))
    return Probe(True, f"a BPF filesystem is mounted at {pins.BPFFS}")


def memory_lock() -> Probe:
    """Since Linux 5.11 maps are charged to the memory cgroup; a limit of locked memory no longer counts."""
    release = tuple(int(part) for part in os.uname().release.split("-")[0].split(".")[:2])
    if release >= (5, 11):
        return Probe(True, "maps count against the memory cgroup, not against locked memory")
    return Probe(False, f"Linux {os.uname().release} limits maps by locked memory: 5.11 or newer is needed")


PROBES: dict[str, Callable[[], Probe]] = {
    "libbpf": library_version,
    "bpf filesystem": bpf_filesystem,
    "programs": program_load,
    "tcx": tcx,
    "clsact": clsact,
    "redirect_peer": redirect_peer,
    "redirect_neigh": redirect_neigh,
    "ring buffer": ring_buffer,
    "memory": memory_lock,
}


def probe_all() -> dict[str, Probe]:
    """By name. `tcx` may fail where `clsact` does not."""
    return {name: probe() for name, probe in PROBES.items()}
