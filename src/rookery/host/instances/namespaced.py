"""An instance that is a network, process and mount namespace on the host's own file system."""

from __future__ import annotations

from rookery.host.instances import guest, init, namespace, network
from rookery.host.instances.compute import Entrance
from rookery.host.instances.network import Device
from rookery.host.instances.record import Places
from rookery.intent.host import InstanceIntent, InterfaceIntent


class Namespaced:
    """rookery.host.instances.compute.Compute."""

    stop_within = 8.0  # boot.sh gives its processes five

    def __init__(self, region: str, places: Places, has_services: bool):
        """`has_services`: instances get their addresses and user data from the host's services, by asking."""
        self._region = region
        self._places = places
        self._has_services = has_services

    def netns(self, instance: str) -> str:
        return f"rookery-{self._region}-{instance}"

    def make(self, instance: str) -> None:
        network.create_namespace(self.netns(instance))

    def plug(self, instance: str, interface: InterfaceIntent) -> Device:
        return network.plug(self.netns(instance), interface)

    def open_device(self, instance: str, interface: InterfaceIntent, ifindex: int) -> None:
        network.open_device(self.netns(instance), interface, ifindex, self._has_services)

    def start(self, wanted: InstanceIntent) -> None:
        asks = [network.inside_name(interface) for interface in wanted.interfaces] if self._has_services else []
        guest.write_files(self._places, wanted, self._places.state, self._has_services)
        init.start(self._places, wanted, self.netns(wanted.id), asks)

    def plugged(self, instance: str, interface: InterfaceIntent) -> None:
        if self._has_services:
            init.ask(self._places, instance, network.inside_name(interface))

    def readdress(self, instance: str, interface: InterfaceIntent) -> None:
        network.readdress(self.netns(instance), interface)

    def let_go(self, instance: str, device: str) -> None:
        """The kernel takes both ends."""

    def end(self, instance: str, within: float) -> None:
        init.end(self._places, instance, within)

    def remove(self, instance: str) -> None:
        """A namespace without processes would still answer pings: what does not run has none."""
        namespace.remove(self.netns(instance))

    def entrance(self, instance: str) -> Entrance:
        return Entrance(netns=str(namespace.NAMED / self.netns(instance)))
