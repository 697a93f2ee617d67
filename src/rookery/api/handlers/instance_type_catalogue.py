"""The instance types that can be launched, with AWS's own figures.

What is enforced of them: how many interfaces an instance has and how many addresses an interface has. Memory, processors
and bandwidth are those AWS states for the type, so that clients can choose by them; a namespace instance shares its host's.
"""

from __future__ import annotations

import msgspec

from rookery.api.operation import ApiError

DEFAULT_TYPE = "t3.micro"  # EC2's own default, m1.small, is of a generation that nobody offers any more
MOST_ADDRESSES = (
    50  # per interface, of the largest types: all that is asked of one that is not on an instance
)


class InstanceType(msgspec.Struct, frozen=True):
    name: str
    vcpus: int
    memory_mib: int
    interfaces: int
    addresses: int  # IPv4, per interface, primary included
    network_performance: str

    @property
    def burstable(self) -> bool:
        return self.name.startswith("t")


# AWS's EC2 guide, "Maximum IP addresses per network interface" and the types' pages.
CATALOGUE: dict[str, InstanceType] = {
    entry.name: entry
    for entry in (
        InstanceType("t3.nano", 2, 512, 2, 2, "Up to 5 Gigabit"),
        InstanceType("t3.micro", 2, 1024, 2, 2, "Up to 5 Gigabit"),
        InstanceType("t3.small", 2, 2048, 3, 4, "Up to 5 Gigabit"),
        InstanceType("t3.medium", 2, 4096, 3, 6, "Up to 5 Gigabit"),
        InstanceType("t3.large", 2, 8192, 3, 12, "Up to 5 Gigabit"),
        InstanceType("m5.large", 2, 8192, 3, 10, "Up to 10 Gigabit"),
        InstanceType("m5.xlarge", 4, 16384, 4, 15, "Up to 10 Gigabit"),
        InstanceType("m5.2xlarge", 8, 32768, 4, 15, "Up to 10 Gigabit"),
        InstanceType("m5.4xlarge", 16, 65536, 8, 30, "Up to 10 Gigabit"),
        InstanceType("m5.16xlarge", 64, 262144, 15, 50, "20 Gigabit"),
    )
}


def offered_type(name: str) -> InstanceType:
    """Raises Unsupported: the front has refused what no AWS knows."""
    try:
        return CATALOGUE[name]
    except KeyError:
        raise ApiError(
            "Unsupported",
            f"The instance type '{name}' is not offered here. Offered are: {', '.join(CATALOGUE)}.",
        ) from None
