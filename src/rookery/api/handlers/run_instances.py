"""RunInstances: everything is checked and chosen first, then instances and interfaces are written in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from rookery.api.errors import invalid_combination, invalid_parameter, missing_parameter
from rookery.api.handlers.addresses import SubnetAddresses, addresses_of
from rookery.api.handlers.image_catalogue import Image, known_image
from rookery.api.handlers.instance_shape import instance_shape, reservation_shape
from rookery.api.handlers.instance_state import PENDING
from rookery.api.handlers.instance_type_catalogue import DEFAULT_TYPE, InstanceType, offered_type
from rookery.api.handlers.key_pairs import key_pair_named
from rookery.api.handlers.launch_interfaces import InterfacePlan, first_full, how_many_fit, plan_interfaces
from rookery.api.handlers.metadata_defaults import launch_options
from rookery.api.handlers.metadata_options import changed_options, check_shown_tags
from rookery.api.handlers.network_interfaces import check_interface_quota, new_interface
from rookery.api.handlers.placement import hosts_in, no_capacity, place
from rookery.api.handlers.private_names import launched_names
from rookery.api.handlers.public_pools import free_addresses, no_addresses
from rookery.api.handlers.unbuilt import honour_only
from rookery.api.handlers.user_data import checked_user_data
from rookery.api.handlers.wanted_addresses import AT_INSTANCE_LEVEL
from rookery.api.operation import ApiError, Outcome, Request, View, operation
from rookery.api.tags import tags_for
from rookery.intent.zones import zone_id
from rookery.model.objects import (
    Attachment,
    Instance,
    KeyPair,
    MetadataOptions,
    NetworkInterface,
    PrivateNameOptions,
    Subnet,
)

HONOURED = frozenset(
    {
        "ImageId",
        "InstanceType",
        "MinCount",
        "MaxCount",
        "SubnetId",
        *AT_INSTANCE_LEVEL,
        "NetworkInterfaces",
        "SecurityGroupIds",
        "SecurityGroups",
        "UserData",
        "KeyName",
        "TagSpecifications",
        "DisableApiTermination",
        "DisableApiStop",
        "InstanceInitiatedShutdownBehavior",
        "MetadataOptions",
        "PrivateDnsNameOptions",
    }
)

TRUE_ANYWAY: dict[str, Sequence[Any]] = {
    "Placement.AvailabilityZone": (),  # checked against the subnet
    "Placement.Tenancy": ("default",),
    "Monitoring.Enabled": (False,),
    "EbsOptimized": (False,),
    "HibernationOptions.Configured": (False,),
    "EnclaveOptions.Enabled": (False,),
    "CreditSpecification.CpuCredits": ("unlimited",),  # nobody throttles a processor
    "CapacityReservationSpecification.CapacityReservationPreference": ("none", "open"),
    "MaintenanceOptions.AutoRecovery": ("disabled",),
    "NetworkPerformanceOptions.BandwidthWeighting": ("default",),
    "InstanceMarketOptions.MarketType": ("on-demand",),
}

# Clients tag an instance's volumes without asking whether its image has any; ours have none to tag.
TAGGED = ("instance", "network-interface", "volume")


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """What every instance of a request is to be."""

    image: Image
    kind: InstanceType
    plans: tuple[InterfacePlan, ...]
    least: int
    most: int
    user_data: str
    key: KeyPair | None
    metadata: MetadataOptions
    names: PrivateNameOptions
    instance_tags: dict[str, str]
    interface_tags: dict[str, str]
    options: Mapping[str, Any]

    @property
    def zone(self) -> str:
        return self.plans[0].subnet.zone


@operation("RunInstances")
def run_instances(request: Request, view: View) -> Outcome:
    launch = checked_launch(request, view)
    subnets = {plan.subnet.id: plan.subnet for plan in launch.plans}
    pools = {subnet_id: addresses_of(view, subnet) for subnet_id, subnet in subnets.items()}
    reservation = request.ids.new("r")
    public = public_addresses(launch, view, reservation)
    hosts = choose_hosts(launch, view, pools, public)
    check_instance_quota(request, view, len(hosts))
    check_interface_quota(request, view, len(hosts) * sum(plan.existing is None for plan in launch.plans))
    builder = Builder(request, launch, pools, reservation, public)
    built = [builder.build(index, host) for index, host in enumerate(hosts)]
    instances = [instance for instance, _ in built]
    shapes = [instance_shape(view, instance, interfaces, PENDING) for instance, interfaces in built]
    return Outcome(
        result=reservation_shape(instances, shapes),
        puts=tuple(each for instance, interfaces in built for each in (instance, *interfaces)),
    )


def checked_launch(request: Request, view: View) -> Launch:
    parameters = request.parameters
    least, most = checked_counts(parameters)
    kind = offered_type(parameters.get("InstanceType") or DEFAULT_TYPE)
    if not parameters.get("ImageId"):
        raise missing_parameter("ImageId")
    image = known_image(parameters["ImageId"])
    plans = plan_interfaces(view, parameters, kind)
    if most > 1 and any(plan.once for plan in plans):
        raise invalid_combination(
            "A private IP address or an existing network interface can be given to one instance only: MaxCount must be 1"
        )
    zone = placed_in(plans[0].subnet)
    honour_only(parameters, HONOURED, {**TRUE_ANYWAY, **zone})
    metadata = changed_options(launch_options(view), parameters.get("MetadataOptions") or {})
    instance_tags = tags_for(request, "instance", TAGGED)
    check_shown_tags(metadata, instance_tags)
    return Launch(
        image=image,
        kind=kind,
        plans=plans,
        least=least,
        most=most,
        user_data=checked_user_data(parameters.get("UserData") or ""),
        key=given_key(parameters.get("KeyName") or "", view),
        metadata=metadata,
        names=launched_names(plans[0].subnet, parameters.get("PrivateDnsNameOptions") or {}),
        instance_tags=instance_tags,
        interface_tags=tags_for(request, "network-interface", TAGGED),
        options=parameters,
    )


def placed_in(subnet: Subnet) -> dict[str, Sequence[str]]:
    """Where a launch may ask to be: nowhere else."""
    return {
        "Placement.AvailabilityZone": (subnet.zone,),
        "Placement.AvailabilityZoneId": (zone_id(subnet.region, subnet.zone),),
    }


def checked_counts(parameters: Mapping[str, Any]) -> tuple[int, int]:
    least, most = parameters["MinCount"], parameters["MaxCount"]
    if least < 1 or most < 1:
        raise invalid_parameter("MinCount and MaxCount must be at least 1")
    if least > most:
        raise invalid_parameter(f"MinCount {least} is larger than MaxCount {most}")
    return least, most


def given_key(name: str, view: View) -> KeyPair | None:
    return key_pair_named(view, name) if name else None


def check_instance_quota(request: Request, view: View, more: int) -> None:
    held = sum(instance.wanted != "terminated" for instance in view.all(Instance))
    if held + more > request.quotas.instances:
        raise ApiError(
            "InstanceLimitExceeded",
            f"Your quota allows for {request.quotas.instances} instances; {held} of them are in use.",
        )


def public_addresses(launch: Launch, view: View, seed: str) -> list[str] | None:
    """One for each instance that could be launched; None: none is to have one. Where the region has no public addresses at all,
    a subnet that would give them gives none: only a request that insists is refused."""
    first, free = launch.plans[0], free_addresses(view)
    if not first.wants_public_address or not (free.exist or first.insists_on_it):
        return None
    return free.draw(launch.most, seed)


def choose_hosts(
    launch: Launch, view: View, pools: Mapping[str, SubnetAddresses], public: list[str] | None
) -> list[str]:
    """One for each instance that fits: between `least` and `most` of them."""
    room = how_many_fit(launch.plans, pools)
    if room < launch.least:
        raise first_full(launch.plans, pools)
    if public is not None:
        room = min(room, len(public))
    if room < launch.least:
        raise no_addresses()
    hosts = place(hosts_in(view.hosts(), launch.zone), view.instances_on, min(launch.most, room))
    if len(hosts) < launch.least:
        raise no_capacity(launch.zone)
    return hosts


class Builder:
    """Makes the instances of one launch."""

    def __init__(
        self,
        request: Request,
        launch: Launch,
        pools: Mapping[str, SubnetAddresses],
        reservation: str,
        public: list[str] | None,
    ):
        self._request = request
        self._launch = launch
        self._pools = pools
        self._reservation = reservation
        self._public = public

    def build(self, index: int, host: str) -> tuple[Instance, list[NetworkInterface]]:
        """The `index`th instance, and its interfaces by device index."""
        instance_id = self._request.ids.new(Instance.PREFIX)
        plans = self._launch.plans
        built = {
            plan.device_index: self._interface(plan, instance_id, host, index)
            for plan in sorted(
                plans, key=lambda plan: not plan.wanted.chosen
            )  # chance must not draw a chosen one
        }
        interfaces = [built[plan.device_index] for plan in plans]
        return self._instance(instance_id, index, host, interfaces), interfaces

    def _instance(
        self, instance_id: str, index: int, host: str, interfaces: Sequence[NetworkInterface]
    ) -> Instance:
        request, launch = self._request, self._launch
        return Instance(
            account=request.account,
            region=request.region,
            id=instance_id,
            created=request.now,
            tags=launch.instance_tags,
            image_id=launch.image.id,
            instance_type=launch.kind.name,
            subnet_id=interfaces[0].subnet_id,
            vpc_id=interfaces[0].vpc_id,
            zone=launch.zone,
            host=host,
            interface_ids=tuple(interface.id for interface in interfaces),
            wanted_since=request.now,
            launched=request.now,
            user_data=launch.user_data,
            key_name=launch.key.name if launch.key else "",
            public_key=launch.key.public_key if launch.key else "",
            metadata=launch.metadata,
            private_names=launch.names,
            reservation_id=self._reservation,
            launch_index=index,
            client_token=launch.options.get("ClientToken") or "",
            disable_api_termination=bool(launch.options.get("DisableApiTermination")),
            disable_api_stop=bool(launch.options.get("DisableApiStop")),
            shutdown_behavior=launch.options.get("InstanceInitiatedShutdownBehavior") or "stop",
        )

    def _interface(self, plan: InterfacePlan, instance_id: str, host: str, index: int) -> NetworkInterface:
        attachment = Attachment(
            id=self._request.ids.new("eni-attach"),
            instance_id=instance_id,
            host=host,
            device_index=plan.device_index,
            attached=self._request.now,
            delete_on_termination=plan.delete_on_termination,
        )
        interface = plan.existing or self._new_interface(plan)
        return replace(interface, attachment=attachment, **self._public_address(plan, index))

    def _public_address(self, plan: InterfacePlan, index: int) -> dict[str, Any]:
        if not plan.wants_public_address:
            return {}
        given = {"public_address": self._public[index]} if self._public is not None else {}
        return {"wants_public_address": True, **given}

    def _new_interface(self, plan: InterfacePlan) -> NetworkInterface:
        return new_interface(
            self._request,
            plan.subnet,
            self._pools[plan.subnet.id],
            plan.wanted,
            groups=plan.groups,
            tracking=plan.tracking,
            description=plan.description,
            tags=self._launch.interface_tags,
        )
