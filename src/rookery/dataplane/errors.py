"""What can go wrong between Python and the kernel.

DataplaneError            the kernel or libbpf refused; the agent logs the sentence and tries again at its next pass
 +- LoadFailed            an object does not load: `rookery doctor` and the agent's main print the sentence
 +- IncompatiblePins      a pinned map has another shape: the agent's main says how to start afresh, and stops
 +- TableFull             a table has no room: the agent reports an alarm
"""

from __future__ import annotations


class DataplaneError(Exception):
    """Root of what rookery.dataplane raises, beside ValueError for bad text and numbers."""


class LoadFailed(DataplaneError):
    """libbpf or the verifier refused an object; the message ends with the verifier's last lines."""


class IncompatiblePins(DataplaneError):
    """A pinned map was made by a version with other formats.

    Nothing was changed. Packets go on through the pinned programs; `HostDataplane.remove_pins(pins)` starts afresh."""


class TableFull(DataplaneError):
    """The map holds as many rows as it was made for."""
