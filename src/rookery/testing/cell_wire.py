"""What enters and leaves a cell, off the substrate's wire (docs/wire-format.md), for rookery.testing.history.

    hosts, edges --enters--> nodes --leaves--> hosts, edges            between nodes, probes, bare acknowledgements: not looked at
"""

from __future__ import annotations

import shutil
import signal
import struct
import subprocess
import time
from collections.abc import Iterator, Set
from ipaddress import IPv4Address
from pathlib import Path

from rookery.dataplane.formats import CellConstant
from rookery.region import namespaces
from rookery.testing.history import TCP, UDP, Ends, Seen

RECORD = struct.Struct("<IIII")  # pcap: seconds, microseconds, bytes here, bytes on the wire
FILE_HEAD = 24
SNAPPED = 202  # bytes: heads, and a datagram's first words
# Geneve's flags: no critical option, no control bit; and of the connections no acknowledgement that carries nothing: half of all packets.
LOOKED_AT = "inbound and udp port 6081 and udp[9] & 0xc0 = 0 and not (udp[55] = 6 and udp[48:2] <= 52 and udp[79] = 0x10)"
COOKED = 16  # bytes in the place of Ethernet's (libpcap: LINKTYPE_LINUX_SLL)
OUTER, GENEVE = COOKED, COOKED + 20 + 8
ADDRESSES, PORTS, STREAM = struct.Struct("!II"), struct.Struct("!HH"), struct.Struct("!HHIIBB")
MARKED = 16  # bytes of a datagram: whose it is, flow, number
KILOBYTES = 32 << 10  # of a file
START_SECONDS = 10.0


class Capture:
    """Where members' frames come in at the substrate's ports, for few of them get as far as the bridge; into files of the new folder `folder`, each of
    which goes when it has been read. Close it."""

    def __init__(self, substrate_namespace: str, folder: Path):
        folder.mkdir()
        self._folder, self._log = folder, folder / "log"
        self._at = FILE_HEAD
        words = ("dumpcap", "-P", "-q", "-i", "any", "-y", "LINUX_SLL", "-B", "64", "-s", str(SNAPPED), "-f", LOOKED_AT, "-b", f"filesize:{KILOBYTES}", "-w", str(folder / "pcap"))
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(namespaces.inside(substrate_namespace, *words), stderr=log)
        self._await_start()

    def _await_start(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while "File:" not in self._log.read_text():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.close()
                raise RuntimeError(f"no capture: {self._log.read_text()}")
            time.sleep(0.01)

    def finish(self) -> int:
        """Returns how many packets it missed."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(10)
        told = next(line for line in self._log.read_text().splitlines() if "received/dropped" in line)
        return int(told.rpartition(": ")[2].partition("/")[2].split()[0])

    def frames(self) -> Iterator[tuple[float, bytes]]:
        """What has come since it was asked last."""
        while len(files := sorted(self._folder.glob("pcap*"))) > 1:
            yield from self._rest_of(files[0])
            files[0].unlink()
            self._at = FILE_HEAD
        yield from self._rest_of(files[0])

    def _rest_of(self, file: Path) -> Iterator[tuple[float, bytes]]:
        with file.open("rb") as opened_file:
            opened_file.seek(self._at)
            content = opened_file.read()
        at = 0
        while at + RECORD.size <= len(content):
            seconds, micros, here, _ = RECORD.unpack_from(content, at)
            if at + RECORD.size + here > len(content):
                break
            yield seconds + micros / 1e6, content[at + RECORD.size : at + RECORD.size + here]
            at += RECORD.size + here
        self._at += at

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._folder)


def is_of_check(port: int) -> bool:
    """A port of a balancer's own address from which nodes check targets."""
    return CellConstant.CHECK_PORT_FIRST <= port < CellConstant.CHECK_PORT_FIRST + CellConstant.NODES_MAX * CellConstant.CHECK_PORTS


class Reader:
    """`nodes`: addresses of the cell's, living or not; `balancers`: (VNI, address) of their interfaces, by which nodes check targets."""

    def __init__(self, nodes: Set[str], balancers: Set[tuple[int, int]]):
        self._nodes = {int(IPv4Address(node)) for node in nodes}
        self._balancers = balancers

    def read(self, when: float, frame: bytes) -> Iterator[Seen]:
        """None, but for the TCP and UDP of instances; twice what goes from node to node unchained. Checks are the cell's own."""
        sender, receiver = ADDRESSES.unpack_from(frame, OUTER + 12)
        found = opened(frame)
        if found is None:
            return
        ends, flags, sequence, mark = found
        if self._checks(ends.vni, ends.source, ends.source_port) or self._checks(ends.vni, ends.destination, ends.destination_port):
            return
        if sender in self._nodes:
            yield Seen(when, True, ends, flags, sequence, mark, sender)
        if receiver in self._nodes:
            yield Seen(when, False, ends, flags, sequence, mark, receiver)

    def _checks(self, vni: int, address: int, port: int) -> bool:
        return (vni, address) in self._balancers and is_of_check(port)


def opened(frame: bytes) -> tuple[Ends, int, int, tuple] | None:
    """Ends, TCP's flags and sequence number, and the mark by which it is known again."""
    ip = GENEVE + 8 + 4 * (frame[GENEVE] & 0x3F) + 14
    if len(frame) < ip + 28 or frame[ip - 2 : ip] != b"\x08\x00":
        return None
    protocol, transport = frame[ip + 9], ip + 4 * (frame[ip] & 0x0F)
    if protocol not in (TCP, UDP) or int.from_bytes(frame[ip + 6 : ip + 8], "big") & 0x1FFF:
        return None
    vni = int.from_bytes(frame[GENEVE + 4 : GENEVE + 7], "big")
    source, destination = ADDRESSES.unpack_from(frame, ip + 12)
    length = int.from_bytes(frame[ip + 2 : ip + 4], "big")
    if protocol == UDP:
        source_port, destination_port = PORTS.unpack_from(frame, transport)
        flags, sequence = 0, 0
        mark: tuple = (UDP, length, frame[transport + 8 : transport + 8 + MARKED])
    else:
        source_port, destination_port, sequence, acknowledged, _, flags = STREAM.unpack_from(frame, transport)
        mark = (TCP, length, frame[ip + 4 : ip + 6], sequence, acknowledged, flags)
    return Ends(vni, protocol, source, source_port, destination, destination_port), flags, sequence, mark
