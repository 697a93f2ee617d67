"""The names that follow from a private address: no one chooses them, so nobody stores them."""

from __future__ import annotations


def domain_name(region: str) -> str:
    """The private DNS domain of an AWS region; the first region is older than the rule of all others."""
    return "ec2.internal" if region == "us-east-1" else f"{region}.compute.internal"


def host_name(address: str) -> str:
    """`ip-10-0-0-5`, the "ip-name" of an IPv4 address."""
    return "ip-" + address.replace(".", "-")


def private_dns_name(address: str, region: str) -> str:
    """`ip-10-0-0-5.ec2.internal`."""
    return f"{host_name(address)}.{domain_name(region)}"
