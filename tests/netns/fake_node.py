"""A node of a cell for hosts' agents and real packets: answers probes, and carries pings through a balancer that keeps its clients'
addresses. Python on a socket in place of programs on a device: slow, and all that hosts can tell apart."""

from __future__ import annotations

import contextlib
import socket
import threading

from scapy.layers.inet import IP
from scapy.layers.l2 import Ether

from rookery.host.instances import namespace
from tests.dataplane.packets import RookeryGeneve

GENEVE_PORT, CONTROL = 6081, 0x80
SO_NO_CHECK = 11  # asm-generic/socket.h; Python has no name for it
LARGEST, LOOK_SECONDS = 9000, 0.05


class FakeNode:
    """In the namespace `netns`, which has `address`. A balancer at `front`, interface number `attachment`; its only target is at `target`,
    on the host `targets_host`, and clients are on `clients_host`."""

    def __init__(self, netns: str, address: str, *, front: str, attachment: int, target: str, targets_host: str, clients_host: str):
        self.address, self.front, self.attachment, self.target = address, front, attachment, target
        self.targets_host, self.clients_host = targets_host, clients_host
        self.carried: list[tuple[str, str, int]] = []  # source, destination, target of what came
        with namespace.inside(netns):
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._socket.bind((address, GENEVE_PORT))
        self._socket.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, 1)
        self._socket.settimeout(LOOK_SECONDS)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def die(self) -> None:
        self._ended.set()
        self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        while not self._ended.is_set():
            with contextlib.suppress(TimeoutError):
                data, sender = self._socket.recvfrom(LARGEST)
                if data[1] & CONTROL:
                    self._socket.sendto(data, sender)
                else:
                    self._carry(RookeryGeneve(data))

    def _carry(self, came: RookeryGeneve) -> None:
        packet = came[IP]
        self.carried.append((packet.src, packet.dst, came.target))
        if packet.dst == self.front:
            packet.dst, host = self.target, self.targets_host
        else:
            packet.src, host = self.front, self.clients_host
        del packet.chksum
        claim = RookeryGeneve(vni=came.vni, origin_vni=came.vni, interface=self.attachment)
        self._socket.sendto(bytes(claim / Ether(src=came[Ether].dst, dst=came[Ether].src) / packet), (host, GENEVE_PORT))
