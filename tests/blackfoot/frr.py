"""A router outside that is FRR: zebra, bfdd and bgpd in a namespace, with files of their own; nothing of the machine's FRR is touched."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from rookery.blackfoot.bird import BFD_MS, BFD_MULTIPLIER, WAYS
from tests.netns.two_hosts import run
from tests.waiting import until

PROGRAMS = Path("/usr/lib/frr")
BFD = f"""bfd
 profile quick
  detect-multiplier {BFD_MULTIPLIER}
  receive-interval {BFD_MS}
  transmit-interval {BFD_MS}
"""


class Edge(NamedTuple):
    address: str
    asn: int


def bgp(asn: int, router_id: str, edges: list[Edge]) -> str:
    """Both families over one session with each edge, and the way to everywhere."""
    lines = [
        f"router bgp {asn}",
        f" bgp router-id {router_id}",
        " no bgp ebgp-requires-policy",  # RFC 8212
        " no bgp default ipv4-unicast",
    ]
    for edge in edges:
        one = f" neighbor {edge.address}"
        lines += [f"{one} remote-as {edge.asn}", f"{one} bfd profile quick", f"{one} timers 3 9", f"{one} timers connect 1"]
    for family in ("ipv4", "ipv6"):
        lines.append(f" address-family {family} unicast")
        for edge in edges:
            lines += [f"  neighbor {edge.address} activate", f"  neighbor {edge.address} default-originate"]
        lines += [f"  maximum-paths {WAYS}", " exit-address-family"]
    return "\n".join(lines) + "\n"


class Frr:
    """Its programs run as the user `frr`, who needs a folder. Close it."""

    def __init__(self, namespace: str, bgpd: str):
        self._namespace, self._folder = namespace, Path(tempfile.mkdtemp(prefix="rookery-frr-"))
        shutil.chown(self._folder, "frr", "frr")
        self._processes: list[subprocess.Popen[bytes]] = []
        for daemon, text in (("zebra", ""), ("bfdd", BFD), ("bgpd", bgpd)):
            (self._folder / f"{daemon}.conf").write_text(text)
            self._start(daemon)
            until((self._folder / f"{daemon}.vty").exists, self.log)  # who finds no zebra asks again ten seconds later

    def _start(self, daemon: str) -> None:
        files = {"-f": f"{daemon}.conf", "-i": f"{daemon}.pid", "-z": "zserv.api", "--vty_socket": "."}
        if daemon == "bfdd":
            files["--bfdctl"] = "bfdd.sock"
        words = (word for option, file in files.items() for word in (option, str(self._folder / file)))
        command = (str(PROGRAMS / daemon), "-P", "0", *words)
        with (self._folder / f"{daemon}.log").open("ab") as log:
            self._processes.append(
                subprocess.Popen(("nsenter", f"--net=/run/netns/{self._namespace}", "--", *command), stdout=log, stderr=log)
            )

    def asked(self, command: str) -> Any:
        """`command` of vtysh, answered in JSON."""
        return json.loads(run("vtysh", "--vty_socket", str(self._folder), "-c", f"{command} json"))

    def log(self) -> str:
        return "\n".join(file.read_text() for file in self._folder.glob("*.log"))

    def close(self) -> None:
        for process in reversed(self._processes):
            process.kill()
            process.wait()
        shutil.rmtree(self._folder)
