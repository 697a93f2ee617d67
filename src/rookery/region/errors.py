"""What can go wrong with a region, in words for the person at the terminal. The CLI catches RegionError: message, exit 1.

RegionError
 +- BadName          a region's name that its namespaces and paths could not carry
 +- NotRunning       the region is not up
 +- CannotStart      `up` gave up; says what is missing or what died
 +- DifferentRegion  `up` asks for another shape than the region has
 +- NoAnswer         a part does not answer on its socket, or refused
 +- NotFound         no such instance, VPC, host
 +- Ambiguous        a name that several have
 +- StillInUse       an edge that should go is still sent packets, or a cell that should go serves somebody
"""

from __future__ import annotations

from rookery.region.called import COMMAND


class RegionError(Exception):
    """Root; its text is meant to be read by the user."""


class BadName(RegionError):
    pass


class NotRunning(RegionError):
    def __init__(self, name: str):
        super().__init__(f"the region {name} is not running; start it with: {COMMAND} up --name {name}")


class CannotStart(RegionError):
    pass


class DifferentRegion(RegionError):
    pass


class NoAnswer(RegionError):
    pass


class NotFound(RegionError):
    pass


class Ambiguous(RegionError):
    pass


class StillInUse(RegionError):
    pass
