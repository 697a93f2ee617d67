"""The network cards of an edge, or of a cell's node, that runs XDP: do they hand over every frame as it was on the wire?

CardError   one does not, and will not; the agent's main prints the sentence and exits with 2
"""

from __future__ import annotations

import subprocess

# XDP sees neither a tag that was taken out nor what packets were joined from.
JOINS_OR_HIDES = ("rx-vlan-offload", "large-receive-offload", "rx-gro-hw")


class CardError(Exception):
    """What the card does to frames."""


def hand_over_as_received(device: str) -> None:
    """Raises CardError."""
    _ethtool("-K", device, *(word for feature in JOINS_OR_HIDES for word in (feature, "off")))
    states = dict(line.strip().split(": ", 1) for line in _ethtool("-k", device).splitlines() if ": " in line)
    left = [feature for feature in JOINS_OR_HIDES if states.get(feature, "off").split()[0] != "off"]
    if left:
        raise CardError(f"{device} will not switch off {', '.join(left)}, which XDP needs: another card, or attach it by tcx")


def _ethtool(*arguments: str) -> str:
    try:
        done = subprocess.run(("ethtool", *arguments), capture_output=True, text=True, timeout=10, check=False)
    except FileNotFoundError as error:
        raise CardError("ethtool is missing: apt install ethtool") from error
    if done.returncode != 0:
        raise CardError(f"ethtool {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout
