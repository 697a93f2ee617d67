"""What one kind of instance must know: how its devices are plugged in, how it starts and ends. Everything else (what to do
next, what is remembered, the data plane's part) is the same for all kinds: plan.py, record.py, fleet.py, machine.py.

namespaced.py   a network, process and mount namespace on the host's own file system
emulated.py     a kernel of its own in an emulator
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from rookery.host.instances.network import Device
from rookery.intent.host import InstanceIntent, InterfaceIntent


class Entrance(NamedTuple):
    """Where a command gets into a running instance; empty: not that way."""

    netns: str = ""  # path of its network namespace; the other namespaces are those of its init
    commands: str = ""  # path of a socket that takes commands (rookery.vm.execute)


class Compute(Protocol):
    """Blocking; one thread at a time for one instance. Every method may be called again after half of it was done.

    All raise NamespaceError, NetworkError, InitError, UserDataError. Its process is found by init.py, whatever it is."""

    stop_within: float  # seconds for an instance to end on request

    def make(self, instance: str) -> None:
        """Whatever its devices are plugged into."""

    def plug(self, instance: str, interface: InterfaceIntent) -> Device:
        """Makes the device, down: nothing passes before `open_device`."""

    def open_device(self, instance: str, interface: InterfaceIntent, ifindex: int) -> None:
        """Lets packets pass: the programs are attached."""

    def start(self, wanted: InstanceIntent) -> None:
        """Its devices are open. Returns when it runs."""

    def plugged(self, instance: str, interface: InterfaceIntent) -> None:
        """A device was opened while the instance runs."""

    def readdress(self, instance: str, interface: InterfaceIntent) -> None:
        """IPv6 addresses came or went while the instance runs."""

    def let_go(self, instance: str, device: str) -> None:
        """A device of a running instance, which is down, is about to be removed."""

    def end(self, instance: str, within: float) -> None:
        """Asks it to end, and ends it after so many seconds. Returns when it is gone."""

    def remove(self, instance: str) -> None:
        """What `make` made. The instance has ended."""

    def entrance(self, instance: str) -> Entrance:
        """Of a running one."""
