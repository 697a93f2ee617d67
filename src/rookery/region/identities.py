"""The region's certificate authority and the certificates of its parts."""

from __future__ import annotations

from rookery.mapping.certificates import HOST, MAPPING
from rookery.region.settings import Settings


def issue_certificates(settings: Settings) -> list[str]:
    """The authority once; parts' certificates where they are missing or about to run out. The parts that got new ones."""
    from rookery.mapping.authority import make_authority, renew  # noqa: PLC0415 - X.509 is a sixth of a command that issues nothing

    plan = settings.layout
    make_authority(plan.certificates, plan.name)
    renewed = ["mapping"] if renew(plan.certificates, MAPPING) else []
    for name in settings.host_edge_and_node_names:
        if renew(plan.certificates, HOST, name):
            renewed.append(name)
    return renewed
