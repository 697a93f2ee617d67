"""What the API does by itself to intended state: rules of time, of guests that went down, of unplugged interfaces.

`housekeeping` is pure like a handler and is committed like one, for each account and region, every few
seconds, and `finished_detachments` whenever a host has said something.
"""

from __future__ import annotations

from collections.abc import Iterable

from rookery.api.handlers.attach_interfaces import released
from rookery.api.handlers.attachment_state import is_unplugged
from rookery.api.handlers.balancer_state import balancers_proceed
from rookery.api.handlers.elastic_ip_associations import all_disassociated
from rookery.api.handlers.endpoint_state import endpoints_proceed
from rookery.api.handlers.instance_interfaces import attachment_of, interfaces_of
from rookery.api.handlers.instance_lifecycle import released_interfaces, stopped, terminated
from rookery.api.handlers.instance_state import GUEST_SHUTDOWN, went_down_by_itself
from rookery.api.handlers.nat_gateway_state import gateways_proceed
from rookery.api.handlers.peering_state import is_forgotten
from rookery.api.handlers.public_addresses import without_addresses
from rookery.api.lookup import find
from rookery.api.operation import Outcome, View
from rookery.model.objects import Instance, InstanceStatus, NetworkInterface, Resource, VpcPeering

KEPT_SECONDS = 3600.0  # a terminated instance stays describable for about an hour


def housekeeping(view: View, now: float) -> Outcome:
    """`deletes`: instances to forget, and interfaces of instances that terminated themselves. With an instance,
    `observed/instance/<id>` and `observed/console/<id>` should go too."""
    hosts = {host.name for host in view.hosts()}
    puts: list[Resource] = []
    deletes: list[Resource] = [*forgotten_peerings(view, now)]
    for instance in view.all(Instance):
        status = view.status(instance.id)
        if may_forget(instance, status, hosts, now):
            deletes.append(instance)
        elif went_down_by_itself(instance, status):
            put, deleted = after_shutdown(view, instance, now)
            puts += put
            deletes += deleted
    gateways = gateways_proceed(view, now)  # their interfaces and Elastic IPs are nobody else's
    endpoints = endpoints_proceed(view)
    deletes += [*gateways.deletes, *endpoints.deletes]
    if not puts:  # an instance is put once; what is left waits for the next pass
        puts += finished_detachments(view).puts
    puts += [*gateways.puts, *endpoints.puts, *balancers_proceed(view, now).puts]
    return Outcome(puts=tuple(puts), deletes=tuple(deletes), beside=endpoints.beside)


def forgotten_peerings(view: View, now: float) -> list[VpcPeering]:
    """Those that lie with this account and that neither side sees any more."""
    return [one for one in view.all(VpcPeering) if one.account == view.account and is_forgotten(one, now)]


def may_forget(instance: Instance, status: InstanceStatus | None, hosts: Iterable[str], now: float) -> bool:
    """An hour after the end that its host confirmed. A host that left the region confirms nothing any more."""
    if instance.wanted != "terminated":
        return False
    if status is not None and status.state == "terminated":
        return now - max(status.since, instance.wanted_since) >= KEPT_SECONDS
    return instance.host not in hosts and now - instance.wanted_since >= KEPT_SECONDS


def after_shutdown(view: View, instance: Instance, now: float) -> tuple[list[Resource], list[Resource]]:
    """A guest that shut itself down stays down, or ends, as its owner said (InstanceInitiatedShutdownBehavior)."""
    if instance.shutdown_behavior == "stop":
        interfaces = without_addresses(interfaces_of(view, instance))
        return [stopped(instance, now, GUEST_SHUTDOWN), *interfaces], []
    freed, deleted = released_interfaces(view, instance)
    elastic_ips = all_disassociated(view, deleted)
    return [terminated(instance, now, GUEST_SHUTDOWN), *freed, *elastic_ips], list(deleted)


def finished_detachments(view: View) -> Outcome:
    """Interfaces that no packet reaches and no host holds any more become available."""
    unplugged: dict[str, list[NetworkInterface]] = {}
    for interface in view.detaching():
        attachment = attachment_of(interface)
        if is_unplugged(view, interface, attachment):
            unplugged.setdefault(attachment.instance_id, []).append(interface)
    puts: list[Resource] = []
    for instance_id, interfaces in unplugged.items():
        puts += released(view, find(view, Instance, instance_id), interfaces)
    return Outcome(puts=tuple(puts))
