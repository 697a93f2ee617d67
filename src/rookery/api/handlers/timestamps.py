"""A time as text: what filters on times compare."""

from __future__ import annotations

from datetime import UTC, datetime


def iso(seconds: float) -> str:
    """2026-11-23T04:05:06.000Z of unix seconds."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
