"""Features of a network device, by ethtool: those that change frames are switched off where programs must see them as they are."""

from __future__ import annotations

import subprocess


class EthtoolError(Exception):
    """The tool is missing, or the device refuses to be asked."""


def switch_off(device: str, *features: str) -> dict[str, str]:
    """Those that the device goes on doing, and how it says so. Raises EthtoolError."""
    _ethtool("-K", device, *(word for feature in features for word in (feature, "off")))
    states = dict(line.strip().split(": ", 1) for line in _ethtool("-k", device).splitlines() if ": " in line)
    return {feature: states[feature] for feature in features if states.get(feature, "off").split()[0] != "off"}


def _ethtool(*arguments: str) -> str:
    try:
        done = subprocess.run(("ethtool", *arguments), capture_output=True, text=True, timeout=10, check=False)
    except FileNotFoundError as error:
        raise EthtoolError("ethtool is missing: apt install ethtool") from error
    if done.returncode != 0:
        raise EthtoolError(f"ethtool {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout
