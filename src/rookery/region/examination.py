"""`rookery doctor`: all that can be said of this machine, from the kernel to the port."""

from __future__ import annotations

import os
from collections.abc import Iterator

from rookery.region import owned, requirements, settings
from rookery.region.parts import parts_of
from rookery.region.requirements import Finding
from rookery.region.settings import Settings


def examine(name: str) -> Iterator[Finding]:
    shape = settings.read(settings.check_name(name)) or Settings(name=name)
    yield from requirements.machine()
    yield requirements.guests()
    yield _port(shape)


def _port(shape: Settings) -> Finding:
    """The region's own API may have it."""
    api = next(part for part in parts_of(shape) if part.name == "api")
    if os.geteuid() == 0 and (process := owned.find(api.identity)):
        return Finding(
            what="port", ok=True, sentence=f"{shape.port}: the region's own API, pid {process.pid}"
        )
    return requirements.port(shape.port)
