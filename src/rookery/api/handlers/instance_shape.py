"""An instance in the words of the API."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rookery.api.handlers.image_catalogue import IMAGES
from rookery.api.handlers.instance_interfaces import interfaces_of
from rookery.api.handlers.instance_state import (
    GUEST_SHUTDOWN,
    USER_SHUTDOWN,
    State,
    failure,
    state_in,
    went_down_by_itself,
)
from rookery.api.handlers.interface_groups import groups_shape
from rookery.api.handlers.interface_shape import instance_interface_shape
from rookery.api.handlers.metadata_options import metadata_shape, metadata_state
from rookery.api.handlers.private_names import names_shape, shown_name
from rookery.api.handlers.public_addresses import primary_association
from rookery.api.operation import View
from rookery.api.tags import render_tags
from rookery.intent.zones import zone_id
from rookery.model.objects import Instance, InstanceStatus, NetworkInterface

STATE_REASONS = {
    USER_SHUTDOWN: "User initiated shutdown",
    GUEST_SHUTDOWN: "Instance initiated shutdown",
}


def reservation_shape(instances: Sequence[Instance], shapes: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Of instances of one reservation."""
    return {
        "ReservationId": instances[0].reservation_id,
        "OwnerId": instances[0].account,
        "Groups": [],
        "Instances": list(shapes),
    }


def described_instance(view: View, instance: Instance) -> dict[str, Any]:
    interfaces, state = interfaces_of(view, instance), state_in(view, instance)
    return instance_shape(view, instance, interfaces, state, metadata_state(view, instance))


def instance_shape(
    view: View,
    instance: Instance,
    interfaces: Sequence[NetworkInterface],
    state: State,
    metadata: str = "pending",
) -> dict[str, Any]:
    """`interfaces` by device index; none of a terminated instance, which then shows no network data. `metadata`: whether its
    options are applied."""
    return {
        **_identity(instance),
        **_nature(instance),
        "MetadataOptions": metadata_shape(instance.metadata, metadata),
        **_network(view, instance, interfaces),
        **_reason(instance, view.status(instance.id)),
        "State": state.shape(),
        "Tags": render_tags(instance.tags),
    }


def _identity(instance: Instance) -> dict[str, Any]:
    shape = {
        "InstanceId": instance.id,
        "ImageId": instance.image_id,
        "InstanceType": instance.instance_type,
        "AmiLaunchIndex": instance.launch_index,
        "LaunchTime": instance.launched,
        "Placement": _placement(instance),
        "Monitoring": {"State": "disabled"},
        "ClientToken": instance.client_token,
    }
    if instance.key_name:
        shape["KeyName"] = instance.key_name
    return shape


def _placement(instance: Instance) -> dict[str, str]:
    return {
        "AvailabilityZone": instance.zone,
        "AvailabilityZoneId": zone_id(instance.region, instance.zone),
        "Tenancy": "default",
        "GroupName": "",
    }


def _nature(instance: Instance) -> dict[str, Any]:
    return {
        "Architecture": IMAGES[instance.image_id].architecture,
        "RootDeviceType": "instance-store",
        "BlockDeviceMappings": [],
        "EbsOptimized": False,
        "EnclaveOptions": {"Enabled": False},
        "HibernationOptions": {"Configured": False},
        "MaintenanceOptions": {"AutoRecovery": "disabled"},
        "CapacityReservationSpecification": {"CapacityReservationPreference": "none"},
        "PlatformDetails": "Linux/UNIX",
        "ProductCodes": [],
    }


def _network(view: View, instance: Instance, interfaces: Sequence[NetworkInterface]) -> dict[str, Any]:
    if instance.wanted == "terminated" or not interfaces:
        return {"NetworkInterfaces": [], "SecurityGroups": [], "PrivateDnsName": "", "PublicDnsName": ""}
    first = interfaces[0]
    public = primary_association(view, first)
    return {
        "NetworkInterfaces": [instance_interface_shape(view, each) for each in interfaces],
        "SecurityGroups": groups_shape(view, first.groups),
        "SubnetId": instance.subnet_id,
        "VpcId": instance.vpc_id,
        "PrivateIpAddress": first.primary,
        **({"Ipv6Address": first.ipv6_addresses[0]} if first.ipv6_addresses else {}),
        "PrivateDnsName": shown_name(instance, first),
        "PublicDnsName": public.dns_name if public else "",
        **({"PublicIpAddress": public.public} if public else {}),
        "SourceDestCheck": first.source_dest_check,
        "PrivateDnsNameOptions": names_shape(instance.private_names),
    }


def _reason(instance: Instance, status: InstanceStatus | None) -> dict[str, Any]:
    code, message, since = state_reason(instance, status)
    if not code:
        return {"StateTransitionReason": ""}
    return {
        "StateReason": {"Code": code, "Message": f"{code}: {message}"},
        "StateTransitionReason": transition_reason(code, since),
    }


def state_reason(instance: Instance, status: InstanceStatus | None) -> tuple[str, str, float]:
    """(code, message, since), or an empty code: nothing but what its owner asked for happened to it."""
    if instance.state_reason:
        return instance.state_reason, STATE_REASONS[instance.state_reason], instance.wanted_since
    if status and (reason := failure(instance, status)):
        return "Server.InternalError", reason, status.since
    if status and went_down_by_itself(instance, status):
        return GUEST_SHUTDOWN, STATE_REASONS[GUEST_SHUTDOWN], status.since
    return "", "", 0.0


def transition_reason(code: str, since: float) -> str:
    """As AWS words it: who, and when."""
    if code != USER_SHUTDOWN:
        return code
    return f"User initiated ({datetime.fromtimestamp(since, UTC):%Y-%m-%d %H:%M:%S} GMT)"


def status_shape(instance: Instance, state: State) -> dict[str, Any]:
    """`InstanceStatus` of DescribeInstanceStatus: a running one is one that its host runs and every host can reach."""
    summary: dict[str, Any] = {"Status": "not-applicable"}
    if state.name == "running":
        summary = {"Status": "ok", "Details": [{"Name": "reachability", "Status": "passed"}]}
    return {
        "InstanceId": instance.id,
        "AvailabilityZone": instance.zone,
        "AvailabilityZoneId": zone_id(instance.region, instance.zone),
        "InstanceState": state.shape(),
        "InstanceStatus": summary,
        "SystemStatus": summary,
        "Events": [],
    }
