"""The network cards of an edge, or of a cell's node, that runs XDP: do they hand over every frame as it was on the wire?

CardError   one does not, and will not; the agent's main prints the sentence and exits with 2
"""

from __future__ import annotations

from rookery.host.ethtool import EthtoolError, switch_off

# XDP sees neither a tag that was taken out nor what packets were joined from.
JOINS_OR_HIDES = ("rx-vlan-offload", "large-receive-offload", "rx-gro-hw")


class CardError(Exception):
    """What the card does to frames."""


def hand_over_as_received(device: str) -> None:
    """Raises CardError."""
    try:
        left = switch_off(device, *JOINS_OR_HIDES)
    except EthtoolError as error:
        raise CardError(str(error)) from error
    if left:
        raise CardError(f"{device} will not switch off {', '.join(left)}, which XDP needs: another card, or attach it by tcx")
