"""Which interfaces a launch gives to each of its instances: those it names, or new ones where the request says.

The same plan serves every instance of the launch; only a plan without existing interfaces and chosen addresses can be used
more than once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from rookery.api.errors import invalid_combination, invalid_parameter, missing_parameter
from rookery.api.handlers.addresses import SubnetAddresses, subnet_full
from rookery.api.handlers.instance_type_catalogue import InstanceType
from rookery.api.handlers.interface_groups import GUARD_PARAMETERS, groups_in, launch_groups
from rookery.api.handlers.interface_tracking import tracking_with
from rookery.api.handlers.managed_interfaces import is_managed
from rookery.api.handlers.unbuilt import honour_only
from rookery.api.handlers.wanted_addresses import (
    ADDRESS_PARAMETERS,
    WantedAddresses,
    wanted_addresses,
    wanted_at_instance_level,
)
from rookery.api.handlers.wanted_addresses import AT_INSTANCE_LEVEL as ADDRESSES_AT_INSTANCE_LEVEL
from rookery.api.held import ipv4_units, ipv6_units
from rookery.api.lookup import find
from rookery.api.operation import ApiError, View
from rookery.model.objects import ConnectionTracking, NetworkInterface, Subnet, Vpc

ONLY_FOR_NEW = (
    "SubnetId",
    "Description",
    "PrimaryIpv6",
    "AssociatePublicIpAddress",
    *sorted(ADDRESS_PARAMETERS),
    *GUARD_PARAMETERS,
)
AT_INSTANCE_LEVEL = ("SubnetId", *ADDRESSES_AT_INSTANCE_LEVEL)


class InterfacePlan(msgspec.Struct, frozen=True, kw_only=True):
    """One device of every instance of the launch. `existing`: that interface; else a new one in `subnet`."""

    device_index: int
    subnet: Subnet
    existing: NetworkInterface | None = None
    wanted: WantedAddresses = WantedAddresses()
    groups: tuple[str, ...] = ()
    tracking: ConnectionTracking = ConnectionTracking()
    description: str = ""
    delete_on_termination: bool = True
    wants_public_address: bool = False  # only of a launch's one interface
    insists_on_it: bool = False  # the request said so, not the subnet

    @property
    def once(self) -> bool:
        """Only one instance can have it."""
        return self.existing is not None or self.wanted.chosen

    @property
    def count(self) -> int:
        """Of addresses, of the family that has more."""
        if self.existing:
            return max(ipv4_units(self.existing), ipv6_units(self.existing))
        return max(self.wanted.count, self.wanted.ipv6_count)


def plan_interfaces(
    view: View, parameters: Mapping[str, Any], kind: InstanceType
) -> tuple[InterfacePlan, ...]:
    """By device index, all in one zone."""
    specifications = parameters.get("NetworkInterfaces") or []
    if specifications:
        refuse_both_levels(parameters)
        plans = tuple(sorted((plan_of(view, each, specifications) for each in specifications), key=_index))
    else:
        home = launch_subnet(view, parameters)
        plans = (
            InterfacePlan(
                device_index=0,
                subnet=home,
                groups=groups_in(view, home, launch_groups(view, parameters)),
                wanted=wanted_at_instance_level(parameters),
                wants_public_address=home.map_public_ip_on_launch,
            ),
        )
    check_plans(plans, kind)
    check_zone(plans, parameters.get("Placement") or {})
    return plans


def _index(plan: InterfacePlan) -> int:
    return plan.device_index


def refuse_both_levels(parameters: Mapping[str, Any]) -> None:
    if any(parameters.get(name) for name in AT_INSTANCE_LEVEL):
        raise invalid_combination(
            "Network interfaces and an instance-level subnet ID or private IP address may not be specified on the same request"
        )
    if parameters.get("SecurityGroupIds") or parameters.get("SecurityGroups"):
        raise invalid_combination(
            "Network interfaces and an instance-level security groups may not be specified on the same request"
        )


def plan_of(view: View, specification: Mapping[str, Any], all_of_them: Sequence[Any]) -> InterfacePlan:
    """Of one entry of NetworkInterfaces."""
    if specification.get("AssociatePublicIpAddress") and len(all_of_them) > 1:
        raise invalid_combination(
            "The associatePublicIPAddress parameter cannot be specified when launching with multiple network interfaces."
        )
    honour_only(
        specification,
        {"NetworkInterfaceId", "DeviceIndex", "DeleteOnTermination", *ONLY_FOR_NEW},
        {
            "AssociateCarrierIpAddress": (False,),
            "InterfaceType": ("interface",),
            "NetworkCardIndex": (0,),
        },
    )
    if specification.get("NetworkInterfaceId"):
        return plan_existing(view, specification)
    planned = plan_new(view, specification)
    return planned if len(all_of_them) > 1 else with_public_address(planned, specification)


def with_public_address(plan: InterfacePlan, specification: Mapping[str, Any]) -> InterfacePlan:
    """As the request says of the launch's one interface, else as its subnet does."""
    asked = specification.get("AssociatePublicIpAddress")
    wants = plan.subnet.map_public_ip_on_launch if asked is None else asked
    return replace(plan, wants_public_address=wants, insists_on_it=bool(asked))


def plan_existing(view: View, specification: Mapping[str, Any]) -> InterfacePlan:
    for name in ONLY_FOR_NEW:
        if specification.get(name):
            raise invalid_combination(
                f"A network interface may not specify both a network interface ID and {name}"
            )
    if specification.get("DeleteOnTermination"):
        raise invalid_combination(
            "A network interface may not specify a network interface ID and delete on termination as true"
        )
    found = find(view, NetworkInterface, specification["NetworkInterfaceId"])
    if found.attachment or is_managed(found):
        raise ApiError("InvalidNetworkInterface.InUse", f"Interface: [{found.id}] in use.")
    return InterfacePlan(
        device_index=device_index(specification),
        subnet=find(view, Subnet, found.subnet_id),
        existing=found,
        delete_on_termination=False,
    )


def plan_new(view: View, specification: Mapping[str, Any]) -> InterfacePlan:
    delete = specification.get("DeleteOnTermination")
    home = launch_subnet(view, specification)
    return InterfacePlan(
        device_index=device_index(specification),
        subnet=home,
        groups=groups_in(view, home, specification.get("Groups") or ()),
        tracking=tracking_with(ConnectionTracking(), specification.get("ConnectionTrackingSpecification")),
        wanted=wanted_addresses(specification),
        description=specification.get("Description") or "",
        delete_on_termination=True if delete is None else delete,
    )


def device_index(specification: Mapping[str, Any]) -> int:
    index = specification.get("DeviceIndex")
    if index is None:
        raise missing_parameter("DeviceIndex")
    if index < 0:
        raise invalid_parameter("The device index must not be negative")
    return index


def launch_subnet(view: View, parameters: Mapping[str, Any]) -> Subnet:
    """The one that is named, or a default one. Raises VPCIdNotSpecified, MissingInput."""
    if parameters.get("SubnetId"):
        return find(view, Subnet, parameters["SubnetId"])
    default = next((vpc for vpc in view.all(Vpc) if vpc.is_default), None)
    if default is None:
        raise ApiError(
            "VPCIdNotSpecified",
            "No default VPC for this user. GroupName is only supported for EC2-Classic and default VPC.",
        )
    zone = (parameters.get("Placement") or {}).get("AvailabilityZone")
    candidates = [
        each
        for each in view.in_vpc(Subnet, default.id)
        if each.default_for_zone and zone in (None, "", each.zone)
    ]
    if not candidates:
        raise ApiError(
            "MissingInput", f"No subnets found for the default VPC '{default.id}'. Please specify a subnet."
        )
    return min(candidates, key=lambda each: (view.held_addresses(each.id).ipv4, each.zone))


def check_plans(plans: Sequence[InterfacePlan], kind: InstanceType) -> None:
    indexes = [plan.device_index for plan in plans]
    if indexes[0] != 0:
        raise invalid_combination("The request must contain a network interface with device index 0")
    if len(set(indexes)) < len(indexes):
        raise invalid_parameter("Each network interface must have a device index of its own")
    if len(plans) > kind.interfaces:
        raise ApiError(
            "AttachmentLimitExceeded", f"Interface count {len(plans)} exceeds the limit for {kind.name}"
        )
    existing = [plan.existing.id for plan in plans if plan.existing]
    if len(set(existing)) < len(existing):
        raise invalid_parameter("The same network interface is given twice")
    if any(plan.count > kind.addresses for plan in plans):
        raise ApiError(
            "InvalidInterface.IpAddressLimitExceeded",
            f"Number of private addresses exceeds the limit of {kind.addresses} per interface of {kind.name}",
        )


def check_zone(plans: Sequence[InterfacePlan], placement: Mapping[str, Any]) -> None:
    zones = {plan.subnet.zone for plan in plans}
    if len(zones) > 1:
        raise invalid_combination(
            "You may not attach a network interface to an instance if they are not in the same availability zone"
        )
    asked = placement.get("AvailabilityZone")
    if asked and asked not in zones:
        raise invalid_parameter(
            f"The availability zone '{asked}' is not that of subnet '{plans[0].subnet.id}', {plans[0].subnet.zone}"
        )


def how_many_fit(plans: Sequence[InterfacePlan], pools: Mapping[str, SubnetAddresses]) -> int:
    """Instances that the free addresses of the plans' subnets allow."""
    per_subnet: Counter[str] = Counter()
    for plan in plans:
        if not plan.existing:
            per_subnet[plan.subnet.id] += plan.wanted.size
    return min((pools[subnet_id].free // each for subnet_id, each in per_subnet.items()), default=1)


def first_full(plans: Sequence[InterfacePlan], pools: Mapping[str, SubnetAddresses]) -> ApiError:
    fewest = min((plan for plan in plans if not plan.existing), key=lambda plan: pools[plan.subnet.id].free)
    return subnet_full(fewest.subnet)
