"""An IpPermission of EC2, said in few words."""

from __future__ import annotations

from typing import Any

ANYWHERE = "0.0.0.0/0"


def rule(protocol: str, first: int = -1, last: int | None = None, source: str = ANYWHERE) -> dict[str, Any]:
    """`first`, `last`: ports, or type and code of ICMP; without `last` just the one. `source` (of egress: the destination):
    a CIDR of either family, a group or a prefix list."""
    made: dict[str, Any] = {"IpProtocol": protocol}
    if protocol != "-1":
        made |= {"FromPort": first, "ToPort": first if last is None else last}
    if source.startswith("sg-"):
        return made | {"UserIdGroupPairs": [{"GroupId": source}]}
    if source.startswith("pl-"):
        return made | {"PrefixListIds": [{"PrefixListId": source}]}
    if ":" in source:
        return made | {"Ipv6Ranges": [{"CidrIpv6": source}]}
    return made | {"IpRanges": [{"CidrIp": source}]}
