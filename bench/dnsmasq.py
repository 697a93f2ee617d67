"""The peer of the services' measurement: dnsmasq, who answers DNS and DHCP on a plain veth.

    peer-of-bench-client eth0 ---veth--- eth0 10.9.0.1 peer-of-bench-dnsmasq: dnsmasq, the names in memory
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from bench.region import NAME
from bench.topology import ip

CLIENT, SERVER = (f"peer-of-{NAME}-{end}" for end in ("client", "dnsmasq"))  # not rookery-: those end with the region
ADDRESS = "10.9.0.1"
OWN_ADDRESS = "10.9.0.2"  # of the client, while it does not ask for one


class Peer(NamedTuple):
    pid: int
    namespace: str  # of the client
    address: str  # of dnsmasq


@contextmanager
def running_dnsmasq(names: dict[str, str]) -> Iterator[Peer]:
    """`names`: what it answers, name -> address. Taken away whatever happens."""
    try:
        _wire()
        with tempfile.TemporaryDirectory() as folder:
            process = subprocess.Popen(["ip", "netns", "exec", SERVER, *_command(Path(folder), names)])
            try:
                yield Peer(process.pid, CLIENT, ADDRESS)
            finally:
                process.kill()
                process.wait()
    finally:
        for namespace in (CLIENT, SERVER):
            subprocess.run(["ip", "netns", "del", namespace], check=False, stderr=subprocess.DEVNULL)


def _wire() -> None:
    for namespace in (CLIENT, SERVER):
        ip("netns", "add", namespace)
    ip("-n", CLIENT, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", SERVER)
    for namespace, address in ((CLIENT, OWN_ADDRESS), (SERVER, ADDRESS)):
        ip("-n", namespace, "address", "add", f"{address}/24", "dev", "eth0")
        ip("-n", namespace, "link", "set", "eth0", "up")


def _command(folder: Path, names: dict[str, str]) -> list[str]:
    """Nothing of the machine's configuration; `--no-ping`: without it every new lease waits seconds for a ping's answer."""
    hosts = folder / "hosts"
    hosts.write_text("".join(f"{address} {name}\n" for name, address in names.items()))
    return [
        "dnsmasq",
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--no-resolv",
        "--no-hosts",
        f"--addn-hosts={hosts}",
        "--interface=eth0",
        "--bind-interfaces",
        "--user=root",
        f"--pid-file={folder / 'pid'}",
        f"--dhcp-leasefile={folder / 'leases'}",
        "--dhcp-range=10.9.0.10,10.9.0.200,1h",
        "--dhcp-authoritative",
        "--no-ping",
        "--quiet-dhcp",
        "--log-facility=/dev/null",
    ]
