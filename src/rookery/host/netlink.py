"""pyroute2's routes and links without its front door, which opens all it has: a database, Wi-Fi, IPVS, 9P; 5 MB and 45 ms in every agent."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

PACKAGE = "pyroute2"


@contextmanager
def _by_the_side_door() -> Iterator[None]:
    """A package that stands in while parts of it are imported, and is gone then: who asks for the whole one gets it."""
    found = importlib.util.find_spec(PACKAGE)
    if PACKAGE in sys.modules or found is None:
        yield
        return
    stand_in = ModuleType(PACKAGE)
    stand_in.__path__ = list(found.submodule_search_locations or ())
    sys.modules[PACKAGE] = stand_in
    try:
        yield
    finally:
        del sys.modules[PACKAGE]


with _by_the_side_door():
    from pyroute2.iproute import IPRoute
    from pyroute2.netlink.exceptions import NetlinkError

__all__ = ["IPRoute", "NetlinkError"]
