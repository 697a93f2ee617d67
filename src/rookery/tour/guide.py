"""Who leads through a tour: does things with a region's instances and parts, and prints traces."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from typing import Any

from rookery.region import namespaces
from rookery.region.layout import NAMES_SUBSTRATE_ADDRESS, PAGE_ADDRESSES, PAGE_NAME, Layout
from rookery.region.processes import Process
from rookery.region.status import current, live_generation
from rookery.region.supervisor import read_records
from rookery.tour import twins
from rookery.tour.walk import run, suffix
from rookery.trace.journey import travel
from rookery.trace.packet import Probe
from rookery.trace.telling import tell

PAGE = PAGE_ADDRESSES[0]


class Guide:
    """`instances`: ids by name; filled by whoever makes the stage."""

    def __init__(self, name: str):
        self.name = name
        self.instances: dict[str, str] = {}
        shape = current(name)
        self.plan: Layout = shape.layout
        self.page = PAGE_NAME if NAMES_SUBSTRATE_ADDRESS in shape.asked_for_names else PAGE  # how instances call it

    def wait(self, answer: Any) -> None:
        """Until every host, edge and node has applied what an answer of the API says."""
        generation = answer["ResponseMetadata"]["HTTPHeaders"].get("x-rookery-generation")
        if generation:
            twins.wait_until(lambda: live_generation(self.name) >= int(generation), lambda: "the hosts do not follow")

    def curl(self, one: str, url: str) -> str:
        """From an instance; empty: no answer."""
        done = run(self.name, self.instances[one], "curl", "-s", "-m2", url)
        return done.stdout.strip() if done.returncode == 0 else ""

    def outside(self, *words: str) -> tuple[str, ...]:
        """The command line at the server outside."""
        return namespaces.inside(self.plan.page_namespace, *words)

    def curl_from_outside(self, url: str) -> str:
        command = self.outside("curl", "-s", "-m2", url)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    def trace(self, one: str, destination: str, probe: Probe, option: str, last: int = 0) -> Sequence[str]:
        """Its words. Printed; of a long one so many of the last lines."""
        print(f"    $ ./rookery trace{suffix(self.name)} {one} {destination} {option}")
        found = self.instances.get(one, one)
        told = list(tell(travel(self.name, found, destination, probe)))
        for line in told[-last:]:
            print(f"      {line}")
        return told

    def process(self, part: str) -> Process:
        record = next(one for one in read_records(self.plan) if one.name == part)
        return Process(record.pid, record.started)
