"""libbpf.so.1 through ctypes: open and load objects, read BTF, read ring buffers, attach where tcx is missing.

Everything else is asked of the kernel directly (rookery.dataplane.syscall)."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rookery.dataplane.errors import DataplaneError, LoadFailed

EEXIST = 17
ENOENT = 2
WARNING = 0  # LIBBPF_WARN
LOG_BYTES_KEPT = 1 << 13  # a verifier's log may have tens of millions; what was refused stands at its end
LOG_LINES_SHOWN = 16
SUMMARY = 4  # BPF_LOG_STATS
SUMMARY_BYTES = 1 << 16
TC_INGRESS = 1
TC_REPLACE = 1
TC_HANDLE = 1
TC_PRIORITY = 1

Pointer = ctypes.c_void_p
Sample = ctypes.CFUNCTYPE(ctypes.c_int, Pointer, Pointer, ctypes.c_size_t)
Print = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_char_p, Pointer)

SIGNATURES: dict[str, tuple[object, tuple[object, ...]]] = {
    "libbpf_set_print": (Pointer, (Print,)),
    "libbpf_version_string": (ctypes.c_char_p, ()),
    "bpf_object__open_file": (Pointer, (ctypes.c_char_p, Pointer)),
    "bpf_object__load": (ctypes.c_int, (Pointer,)),
    "bpf_object__close": (None, (Pointer,)),
    "bpf_object__next_map": (Pointer, (Pointer, Pointer)),
    "bpf_object__find_program_by_name": (Pointer, (Pointer, ctypes.c_char_p)),
    "bpf_map__name": (ctypes.c_char_p, (Pointer,)),
    "bpf_map__fd": (ctypes.c_int, (Pointer,)),
    "bpf_map__reuse_fd": (ctypes.c_int, (Pointer, ctypes.c_int)),
    "bpf_map__set_max_entries": (ctypes.c_int, (Pointer, ctypes.c_uint32)),
    "bpf_map__type": (ctypes.c_int, (Pointer,)),
    "bpf_map__key_size": (ctypes.c_uint32, (Pointer,)),
    "bpf_map__value_size": (ctypes.c_uint32, (Pointer,)),
    "bpf_map__max_entries": (ctypes.c_uint32, (Pointer,)),
    "bpf_map__map_flags": (ctypes.c_uint32, (Pointer,)),
    "bpf_program__fd": (ctypes.c_int, (Pointer,)),
    "bpf_program__insns": (Pointer, (Pointer,)),
    "bpf_program__insn_cnt": (ctypes.c_size_t, (Pointer,)),
    "bpf_program__set_log_buf": (ctypes.c_int, (Pointer, ctypes.c_char_p, ctypes.c_size_t)),
    "bpf_program__set_log_level": (ctypes.c_int, (Pointer, ctypes.c_uint32)),
    "ring_buffer__new": (Pointer, (ctypes.c_int, Sample, Pointer, Pointer)),
    "ring_buffer__consume": (ctypes.c_int, (Pointer,)),
    "ring_buffer__epoll_fd": (ctypes.c_int, (Pointer,)),
    "ring_buffer__free": (None, (Pointer,)),
    "bpf_tc_hook_create": (ctypes.c_int, (Pointer,)),
    "bpf_tc_attach": (ctypes.c_int, (Pointer, Pointer)),
    "bpf_tc_detach": (ctypes.c_int, (Pointer, Pointer)),
    "bpf_tc_query": (ctypes.c_int, (Pointer, Pointer)),
    "btf__parse": (Pointer, (ctypes.c_char_p, Pointer)),
    "btf__free": (None, (Pointer,)),
    "btf__type_cnt": (ctypes.c_uint32, (Pointer,)),
    "btf__type_by_id": (Pointer, (Pointer, ctypes.c_uint32)),
    "btf__name_by_offset": (ctypes.c_char_p, (Pointer, ctypes.c_uint32)),
}


class TcHook(ctypes.Structure):
    _fields_ = [
        ("size", ctypes.c_size_t),
        ("ifindex", ctypes.c_int),
        ("point", ctypes.c_int),
        ("parent", ctypes.c_uint32),
        ("padding", ctypes.c_uint32),
    ]


class TcOptions(ctypes.Structure):
    _fields_ = [
        ("size", ctypes.c_size_t),
        ("program_fd", ctypes.c_int),
        ("flags", ctypes.c_uint32),
        ("program_id", ctypes.c_uint32),
        ("handle", ctypes.c_uint32),
        ("priority", ctypes.c_uint32),
        ("padding", ctypes.c_uint32),
    ]


_c = ctypes.CDLL(None)
_c.vasprintf.argtypes = [ctypes.POINTER(Pointer), ctypes.c_char_p, Pointer]
_c.free.argtypes = [Pointer]
_heard = threading.local()  # .warnings: of the load that this thread is in


def _hear(level: int, form: bytes, arguments: int) -> int:
    """Warnings are part of the error that is raised; libbpf's own prints would go to the agent's stderr."""
    warnings = getattr(_heard, "warnings", None)
    if level == WARNING and warnings is not None:
        warnings.append(_tail_of(form, arguments))
    return 0


def _tail_of(form: bytes, arguments: int) -> str:
    """The end of a formatted text. `arguments`: a va_list, which all our processors hand over as a pointer."""
    text = Pointer()
    length = _c.vasprintf(ctypes.byref(text), form, arguments)
    if length < 0 or text.value is None:
        return ""
    kept = min(length, LOG_BYTES_KEPT)
    try:
        return ctypes.string_at(text.value + length - kept, kept).decode(errors="replace")
    finally:
        _c.free(text)


@contextmanager
def _warnings() -> Iterator[list[str]]:
    """What libbpf warns of in this thread, the ends of long ones: the verifier's whole log comes as one warning."""
    _heard.warnings = []
    try:
        yield _heard.warnings
    finally:
        del _heard.warnings


_PRINT = Print(_hear)  # the library keeps a pointer to it


def _open_library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL("libbpf.so.1", use_errno=True)
    except OSError as error:
        raise LoadFailed("libbpf.so.1 is missing: apt-get install libbpf1") from error
    for name, (result, arguments) in SIGNATURES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, list(arguments)
    library.libbpf_set_print(_PRINT)
    return library


_library: ctypes.CDLL | None = None


def library() -> ctypes.CDLL:
    """The library, opened once. Raises LoadFailed where it is missing."""
    global _library  # noqa: PLW0603 - one handle a process, made at first use so that doctor can say what is missing
    if _library is None:
        _library = _open_library()
    return _library


def version() -> str:
    """ "v1.1"."""
    return library().libbpf_version_string().decode()


class MapShape(ctypes.Structure):
    """Of a map as an object declares it, or as the kernel holds it."""

    _fields_ = [
        ("type", ctypes.c_uint32),
        ("key_size", ctypes.c_uint32),
        ("value_size", ctypes.c_uint32),
        ("max_entries", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
    ]

    def words(self) -> tuple[int, ...]:
        """All but the size: a map may be made of any size, but of one form."""
        return (self.type, self.key_size, self.value_size, self.flags)


class BpfObject:
    """One object file. Open, choose its maps, load; closing it keeps what is pinned or attached."""

    def __init__(self, path: Path):
        """Raises LoadFailed when the file is missing or no BPF object."""
        self.path = path
        self.handle = library().bpf_object__open_file(os.fsencode(path), None)
        if not self.handle:
            reason = os.strerror(ctypes.get_errno())
            raise LoadFailed(f"cannot open {path}: {reason} (make -C bpf builds it)")
        self.maps = self._find_maps()

    def _find_maps(self) -> dict[str, int]:
        found = {}
        handle = library().bpf_object__next_map(self.handle, None)
        while handle:
            found[library().bpf_map__name(handle).decode()] = handle
            handle = library().bpf_object__next_map(self.handle, handle)
        return found

    def shape(self, name: str) -> MapShape:
        bpf, handle = library(), self.maps[name]
        return MapShape(
            bpf.bpf_map__type(handle),
            bpf.bpf_map__key_size(handle),
            bpf.bpf_map__value_size(handle),
            bpf.bpf_map__max_entries(handle),
            bpf.bpf_map__map_flags(handle),
        )

    def resize(self, name: str, rows: int) -> None:
        _check(library().bpf_map__set_max_entries(self.maps[name], rows), f"size of map {name}")

    def reuse(self, fds: Mapping[str, int]) -> None:
        """Take these maps instead of making new ones. The descriptors are duplicated."""
        for name, handle in self.maps.items():
            if name in fds:
                _check(library().bpf_map__reuse_fd(handle, fds[name]), f"reuse of map {name}")

    def has(self, program: str) -> bool:
        return bool(library().bpf_object__find_program_by_name(self.handle, program.encode()))

    def _find(self, program: str) -> int:
        handle: int | None = library().bpf_object__find_program_by_name(self.handle, program.encode())
        if not handle:
            raise LoadFailed(f"{self.path} has no program {program}")
        return handle

    def load(self, program: str) -> int:
        """Load everything. Returns the descriptor of `program`, valid until close().

        Raises LoadFailed. libbpf asks for the verifier's log when a load fails, with as much room as it turns out to need."""
        handle = self._find(program)
        with _warnings() as said:
            error = library().bpf_object__load(self.handle)
        if error:
            lines = "".join(said).splitlines()[-LOG_LINES_SHOWN:]
            raise LoadFailed("\n".join((f"{self.path} does not load: {os.strerror(-error)}", *lines)))
        return library().bpf_program__fd(handle)

    def load_summed_up(self, program: str) -> str:
        """As `load`, for the verifier's summary of what `program` cost it. LoadFailed says less here: of libbpf's the log is not."""
        handle, summary = self._find(program), ctypes.create_string_buffer(SUMMARY_BYTES)
        library().bpf_program__set_log_buf(handle, summary, SUMMARY_BYTES)
        library().bpf_program__set_log_level(handle, SUMMARY)
        self.load(program)
        library().bpf_program__set_log_buf(handle, None, 0)
        return summary.value.decode()

    def program_fd(self, program: str) -> int:
        return library().bpf_program__fd(self._find(program))

    def instructions(self, program: str) -> bytes:
        """As they were loaded, eight bytes each, what it calls behind it."""
        handle = self._find(program)
        return ctypes.string_at(library().bpf_program__insns(handle), 8 * library().bpf_program__insn_cnt(handle))

    def map_fd(self, name: str) -> int:
        return library().bpf_map__fd(self.maps[name])

    def close(self) -> None:
        if self.handle:
            library().bpf_object__close(self.handle)
            self.handle = None


def _check(error: int, what: str) -> None:
    if error < 0:
        raise DataplaneError(f"{what}: {os.strerror(-error)}")


class RingBuffer:
    """Reads one ring buffer map. Not for two threads at once."""

    def __init__(self, fd: int, take: Callable[[bytes], None]):
        def sample(_context: int, data: int, size: int) -> int:
            take(ctypes.string_at(data, size))
            return 0

        self._sample = Sample(sample)
        self._handle = library().ring_buffer__new(fd, self._sample, None, None)
        if not self._handle:
            raise DataplaneError(f"ring buffer: {os.strerror(ctypes.get_errno())}")

    @property
    def epoll_fd(self) -> int:
        """Readable when there is something to consume."""
        return library().ring_buffer__epoll_fd(self._handle)

    def consume(self) -> int:
        """Number of records taken; never waits."""
        taken = library().ring_buffer__consume(self._handle)
        _check(taken, "ring buffer")
        return taken

    def close(self) -> None:
        if self._handle:
            library().ring_buffer__free(self._handle)
            self._handle = None


def _hook(ifindex: int) -> TcHook:
    return TcHook(size=ctypes.sizeof(TcHook), ifindex=ifindex, point=TC_INGRESS)


def _filter(**fields: int) -> TcOptions:
    return TcOptions(size=ctypes.sizeof(TcOptions), handle=TC_HANDLE, priority=TC_PRIORITY, **fields)


def clsact_attach(program_fd: int, ifindex: int) -> None:
    """Attach to ingress, or replace in one step what is attached there."""
    hook = _hook(ifindex)
    error = library().bpf_tc_hook_create(ctypes.byref(hook))
    if error != -EEXIST:
        _check(error, f"clsact on device {ifindex}")
    options = _filter(program_fd=program_fd, flags=TC_REPLACE)
    _check(library().bpf_tc_attach(ctypes.byref(hook), ctypes.byref(options)), f"filter on device {ifindex}")


def clsact_detach(ifindex: int) -> None:
    """Nothing attached, or no device: nothing to do."""
    hook, options = _hook(ifindex), _filter()
    error = library().bpf_tc_detach(ctypes.byref(hook), ctypes.byref(options))
    if -error not in (ENOENT, 19, 22):  # ENODEV; EINVAL: no clsact there
        _check(error, f"filter on device {ifindex}")


def clsact_program(ifindex: int) -> int:
    """Id of the attached program; 0: none."""
    hook, options = _hook(ifindex), _filter()
    error = library().bpf_tc_query(ctypes.byref(hook), ctypes.byref(options))
    return 0 if error else options.program_id
