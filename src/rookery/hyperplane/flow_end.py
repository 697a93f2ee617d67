"""By what somebody asks a node for a flow."""

from __future__ import annotations

from typing import NamedTuple


class End(NamedTuple):
    """Of a flow, as somebody who asks knows it."""

    address: str
    port: int = 0  # 0: any
    vni: int = 0  # 0: of any VPC
