"""DescribeInstanceTypes, DescribeInstanceTypeOfferings, DescribeInstanceCreditSpecifications."""

from __future__ import annotations

from typing import Any, NamedTuple

from rookery.api.describe import select_page
from rookery.api.errors import invalid_value
from rookery.api.filters import Filters, apply_filters
from rookery.api.handlers.instance_type_catalogue import CATALOGUE, InstanceType
from rookery.api.operation import ApiError, Outcome, Request, View, operation
from rookery.api.pages import page
from rookery.api.zones import zones
from rookery.model.objects import Instance

ARCHITECTURE = "x86_64"

FILTERS: Filters = {
    "auto-recovery-supported": lambda kind, view: False,
    "bare-metal": lambda kind, view: False,
    "burstable-performance-supported": lambda kind, view: kind.burstable,
    "current-generation": lambda kind, view: True,
    "dedicated-hosts-supported": lambda kind, view: False,
    "ebs-info.ebs-optimized-support": lambda kind, view: "unsupported",
    "free-tier-eligible": lambda kind, view: False,
    "hibernation-supported": lambda kind, view: False,
    "instance-storage-supported": lambda kind, view: False,
    "instance-type": lambda kind, view: kind.name,
    "memory-info.size-in-mib": lambda kind, view: kind.memory_mib,
    "network-info.ipv4-addresses-per-interface": lambda kind, view: kind.addresses,
    "network-info.ipv6-addresses-per-interface": lambda kind, view: kind.addresses,
    "network-info.ipv6-supported": lambda kind, view: True,
    "network-info.maximum-network-interfaces": lambda kind, view: kind.interfaces,
    "network-info.network-performance": lambda kind, view: kind.network_performance,
    "processor-info.supported-architecture": lambda kind, view: ARCHITECTURE,
    "supported-root-device-type": lambda kind, view: "instance-store",
    "supported-usage-class": lambda kind, view: "on-demand",
    "vcpu-info.default-vcpus": lambda kind, view: kind.vcpus,
}


def by_name(kind: InstanceType) -> tuple[float, str]:
    """Where a page of types ends."""
    return (0.0, kind.name)


@operation("DescribeInstanceTypes")
def describe_instance_types(request: Request, view: View) -> Outcome:
    names = request.parameters.get("InstanceTypes")
    kinds = [known_type(name) for name in dict.fromkeys(names)] if names else list(CATALOGUE.values())
    chosen = page(
        request,
        apply_filters(kinds, request.parameters.get("Filters"), FILTERS, view),
        "InstanceTypes",
        position=by_name,
    )
    return Outcome(result=chosen.result("InstanceTypes", [shape(kind) for kind in chosen.items]))


def known_type(name: str) -> InstanceType:
    if name not in CATALOGUE:
        raise ApiError("InvalidInstanceType", f"The following supplied instance types do not exist: [{name}]")
    return CATALOGUE[name]


def shape(kind: InstanceType) -> dict[str, Any]:
    return {
        "InstanceType": kind.name,
        "CurrentGeneration": True,
        "FreeTierEligible": False,
        "SupportedUsageClasses": ["on-demand"],
        "SupportedRootDeviceTypes": ["instance-store"],
        "BareMetal": False,
        "ProcessorInfo": {"SupportedArchitectures": [ARCHITECTURE]},
        "VCpuInfo": {"DefaultVCpus": kind.vcpus},
        "MemoryInfo": {"SizeInMiB": kind.memory_mib},
        "InstanceStorageSupported": False,
        "EbsInfo": {"EbsOptimizedSupport": "unsupported", "EncryptionSupport": "unsupported"},
        "NetworkInfo": network_shape(kind),
        "HibernationSupported": False,
        "BurstablePerformanceSupported": kind.burstable,
        "DedicatedHostsSupported": False,
        "AutoRecoverySupported": False,
    }


def network_shape(kind: InstanceType) -> dict[str, Any]:
    return {
        "NetworkPerformance": kind.network_performance,
        "MaximumNetworkInterfaces": kind.interfaces,
        "MaximumNetworkCards": 1,
        "DefaultNetworkCardIndex": 0,
        "Ipv4AddressesPerInterface": kind.addresses,
        "Ipv6AddressesPerInterface": kind.addresses,
        "Ipv6Supported": True,
        "EnaSupport": "unsupported",
        "EfaSupported": False,
    }


class Offering(NamedTuple):
    type: str
    location_type: str
    location: str


OFFERING_FILTERS: Filters = {
    "instance-type": lambda offering, view: offering.type,
    "location": lambda offering, view: offering.location,
}


@operation("DescribeInstanceTypeOfferings")
def describe_instance_type_offerings(request: Request, view: View) -> Outcome:
    location_type = request.parameters.get("LocationType") or "region"
    offerings = [
        Offering(name, location_type, location)
        for location in locations(request, view, location_type)
        for name in CATALOGUE
    ]
    chosen = page(
        request,
        apply_filters(offerings, request.parameters.get("Filters"), OFFERING_FILTERS, view),
        position=lambda offering: (0.0, f"{offering.location} {offering.type}"),
    )
    shapes = [
        {"InstanceType": each.type, "LocationType": each.location_type, "Location": each.location}
        for each in chosen.items
    ]
    return Outcome(result=chosen.result("InstanceTypeOfferings", shapes))


def locations(request: Request, view: View, location_type: str) -> list[str]:
    known = {
        "region": [request.region],
        "availability-zone": [zone.name for zone in zones(request, view)],
        "availability-zone-id": [zone.id for zone in zones(request, view)],
        "outpost": [],
    }
    if location_type not in known:
        raise invalid_value("LocationType", location_type, "This is not a type of location.")
    return known[location_type]


CREDIT_FILTERS: Filters = {"instance-id": lambda instance, view: instance.id}


@operation("DescribeInstanceCreditSpecifications")
def describe_instance_credit_specifications(request: Request, view: View) -> Outcome:
    """Unlimited is the truth: nobody throttles a processor. Only burstable types have the option."""
    chosen = select_page(request, view, Instance, "InstanceIds", CREDIT_FILTERS)
    shapes = [
        {"InstanceId": instance.id, "CpuCredits": "unlimited"}
        for instance in chosen.items
        if CATALOGUE[instance.instance_type].burstable and instance.wanted != "terminated"
    ]
    return Outcome(result=chosen.result("InstanceCreditSpecifications", shapes))
