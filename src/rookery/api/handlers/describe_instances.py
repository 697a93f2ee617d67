"""DescribeInstances and DescribeInstanceStatus."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rookery.api.describe import select, select_page
from rookery.api.filters import Filters, Value, Values
from rookery.api.handlers.describe_interfaces import FILTERS as INTERFACE_FILTERS
from rookery.api.handlers.image_catalogue import IMAGES
from rookery.api.handlers.instance_interfaces import interfaces_of
from rookery.api.handlers.instance_shape import (
    described_instance,
    reservation_shape,
    state_reason,
    status_shape,
)
from rookery.api.handlers.instance_state import RUNNING, state_in
from rookery.api.handlers.interface_groups import GROUP_FILTERS
from rookery.api.handlers.metadata_options import METADATA_FILTERS
from rookery.api.handlers.private_names import NAME_FILTERS, shown_name
from rookery.api.handlers.timestamps import iso
from rookery.api.idempotency import redescribes
from rookery.api.operation import Outcome, Request, View, operation
from rookery.api.pages import page
from rookery.intent.zones import zone_id
from rookery.model.objects import Instance, NetworkInterface, Resource

InstanceValue = Callable[[Instance, View], Values]


def _none(instance: Instance, view: View) -> None:
    """Of what no instance has."""


def _of_first(value: Callable[[NetworkInterface], Value]) -> InstanceValue:
    """Of the interface at device index 0."""
    return lambda instance, view: [value(interface) for interface in interfaces_of(view, instance)[:1]]


def _of_primary(value: Callable[[NetworkInterface, View], Values]) -> InstanceValue:
    """A filter of network interfaces, asked of the one at device index 0."""

    def values(instance: Instance, view: View) -> Values:
        first = interfaces_of(view, instance)[:1]
        return value(first[0], view) if first else None

    return values


def _of_all(value: Callable[[NetworkInterface, View], Values]) -> InstanceValue:
    """A filter of network interfaces, asked of every interface of the instance."""

    def values(instance: Instance, view: View) -> Iterable[Value]:
        for interface in interfaces_of(view, instance):
            answer = value(interface, view)
            yield from answer if isinstance(answer, list | tuple) else (answer,)

    return values


# Of these, `network-interface.<name>` asks the instance's interfaces what DescribeNetworkInterfaces asks of one.
THROUGH_INTERFACES = (
    "addresses.association.allocation-id",
    "addresses.association.association-id",
    "addresses.association.public-ip",
    "addresses.primary",
    "addresses.private-ip-address",
    "association.allocation-id",
    "association.association-id",
    "association.ip-owner-id",
    "association.public-dns-name",
    "association.public-ip",
    "attachment.attach-time",
    "attachment.attachment-id",
    "attachment.delete-on-termination",
    "attachment.device-index",
    "attachment.instance-id",
    "attachment.instance-owner-id",
    "attachment.status",
    "availability-zone",
    "description",
    "group-id",
    "group-name",
    "ipv6-addresses.ipv6-address",
    "mac-address",
    "network-interface-id",
    "owner-id",
    "private-dns-name",
    "private-ip-address",
    "requester-id",
    "requester-managed",
    "source-dest-check",
    "status",
    "subnet-id",
    "vpc-id",
)

FILTERS: Filters = {
    "affinity": _none,
    "architecture": lambda instance, view: IMAGES[instance.image_id].architecture,
    "availability-zone": lambda instance, view: instance.zone,
    "availability-zone-id": lambda instance, view: zone_id(instance.region, instance.zone),
    "client-token": lambda instance, view: instance.client_token or None,
    "dns-name": _of_primary(INTERFACE_FILTERS["association.public-dns-name"]),
    "iam-instance-profile.arn": _none,
    "image-id": lambda instance, view: instance.image_id,
    "instance-id": lambda instance, view: instance.id,
    "instance-lifecycle": _none,
    "instance-state-code": lambda instance, view: state_in(view, instance).code,
    "instance-state-name": lambda instance, view: state_in(view, instance).name,
    "instance-type": lambda instance, view: instance.instance_type,
    "ip-address": _of_primary(INTERFACE_FILTERS["association.public-ip"]),
    "ipv6-address": lambda instance, view: [
        address for found in interfaces_of(view, instance) for address in found.ipv6_addresses
    ],
    "kernel-id": _none,
    "key-name": lambda instance, view: instance.key_name or None,
    "launch-index": lambda instance, view: instance.launch_index,
    "launch-time": lambda instance, view: iso(instance.launched),
    "monitoring-state": lambda instance, view: "disabled",
    "owner-id": lambda instance, view: instance.account,
    "placement-group-name": _none,
    "platform": _none,
    "private-dns-name": lambda instance, view: [
        shown_name(instance, found) for found in interfaces_of(view, instance)[:1]
    ],
    "private-ip-address": _of_first(lambda found: found.primary),
    "ramdisk-id": _none,
    "reservation-id": lambda instance, view: instance.reservation_id,
    "root-device-type": lambda instance, view: "instance-store",
    "source-dest-check": _of_first(lambda found: found.source_dest_check),
    "spot-instance-request-id": _none,
    "state-reason-code": lambda instance, view: state_reason(instance, view.status(instance.id))[0] or None,
    "subnet-id": _of_first(lambda found: found.subnet_id),
    "tenancy": lambda instance, view: "default",
    "vpc-id": _of_first(lambda found: found.vpc_id),
    **METADATA_FILTERS,
    **NAME_FILTERS,
    **{name: _of_primary(value) for name, value in GROUP_FILTERS.items()},
    **{f"instance.{name}": _of_primary(value) for name, value in GROUP_FILTERS.items()},
    **{f"network-interface.{name}": _of_all(INTERFACE_FILTERS[name]) for name in THROUGH_INTERFACES},
}


def health(instance: Instance, view: View) -> str:
    return "ok" if state_in(view, instance) is RUNNING else "not-applicable"


def reachability(instance: Instance, view: View) -> str | None:
    return "passed" if state_in(view, instance) is RUNNING else None


STATUS_FILTERS: Filters = {
    "availability-zone": FILTERS["availability-zone"],
    "availability-zone-id": FILTERS["availability-zone-id"],
    "event.code": _none,
    "event.description": _none,
    "instance-state-code": FILTERS["instance-state-code"],
    "instance-state-name": FILTERS["instance-state-name"],
    "instance-status.reachability": reachability,
    "instance-status.status": health,
    "system-status.reachability": reachability,
    "system-status.status": health,
}


@operation("DescribeInstances")
def describe_instances(request: Request, view: View) -> Outcome:
    """Pages count instances; a reservation is cut where a page ends."""
    chosen = select_page(request, view, Instance, "InstanceIds", FILTERS)
    return Outcome(result=chosen.result("Reservations", reservations(chosen.items, view)))


def reservations(instances: Sequence[Instance], view: View) -> list[dict[str, Any]]:
    members: dict[str, list[Instance]] = {}
    for instance in instances:
        members.setdefault(instance.reservation_id, []).append(instance)
    return [
        reservation_shape(each, [described_instance(view, instance) for instance in each])
        for each in members.values()
    ]


@redescribes("RunInstances")
def launched_before(request: Request, view: View, made: Sequence[Resource]) -> dict[str, Any]:
    instances = [each for each in made if isinstance(each, Instance)]
    return reservations(sorted(instances, key=lambda each: each.launch_index), view)[0]


@operation("DescribeInstanceStatus")
def describe_instance_status(request: Request, view: View) -> Outcome:
    """Running ones only, unless IncludeAllInstances."""
    instances = select(request, view, Instance, "InstanceIds", STATUS_FILTERS)
    if not request.parameters.get("IncludeAllInstances"):
        instances = [instance for instance in instances if state_in(view, instance) is RUNNING]
    chosen = page(request, instances, "InstanceIds")
    shapes = [status_shape(instance, state_in(view, instance)) for instance in chosen.items]
    return Outcome(result=chosen.result("InstanceStatuses", shapes))
