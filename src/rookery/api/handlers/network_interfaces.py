"""CreateNetworkInterface, DeleteNetworkInterface."""

from __future__ import annotations

from rookery.api.errors import invalid_parameter
from rookery.api.handlers.addresses import SubnetAddresses, addresses_of
from rookery.api.handlers.elastic_ip_associations import all_disassociated
from rookery.api.handlers.instance_type_catalogue import MOST_ADDRESSES
from rookery.api.handlers.interface_groups import GUARD_PARAMETERS, groups_in
from rookery.api.handlers.interface_shape import interface_shape
from rookery.api.handlers.interface_tracking import tracking_with
from rookery.api.handlers.managed_interfaces import is_managed
from rookery.api.handlers.unbuilt import honour_only
from rookery.api.handlers.wanted_addresses import ADDRESS_PARAMETERS, WantedAddresses, wanted_addresses
from rookery.api.lookup import find
from rookery.api.operation import ApiError, Outcome, Request, View, operation
from rookery.api.tags import tags_for
from rookery.model.objects import ConnectionTracking, NetworkInterface, Subnet


@operation("CreateNetworkInterface")
def create_network_interface(request: Request, view: View) -> Outcome:
    parameters = request.parameters
    honour_only(
        parameters,
        {
            "SubnetId",
            "Description",
            "TagSpecifications",
            "EnablePrimaryIpv6",
            *ADDRESS_PARAMETERS,
            *GUARD_PARAMETERS,
        },
    )
    check_interface_quota(request, view, 1)
    home = find(view, Subnet, parameters["SubnetId"])
    wanted = wanted_addresses(parameters)
    if max(wanted.count, wanted.ipv6_count) > MOST_ADDRESSES:
        raise too_many_addresses(MOST_ADDRESSES)
    created = new_interface(
        request,
        home,
        addresses_of(view, home),
        wanted,
        groups=groups_in(view, home, parameters.get("Groups") or ()),
        tracking=tracking_with(ConnectionTracking(), parameters.get("ConnectionTrackingSpecification")),
        description=parameters.get("Description", ""),
        tags=tags_for(request, "network-interface"),
    )
    return Outcome(result={"NetworkInterface": interface_shape(view, created)}, puts=(created,))


def new_interface(
    request: Request,
    home: Subnet,
    addresses: SubnetAddresses,
    wanted: WantedAddresses,
    *,
    groups: tuple[str, ...],
    tracking: ConnectionTracking,
    description: str,
    tags: dict[str, str],
) -> NetworkInterface:
    """Not attached to anything. `addresses` remembers what it was given."""
    new_id = request.ids.new(NetworkInterface.PREFIX)
    given = wanted.allocate(addresses, seed=new_id)
    return NetworkInterface(
        account=request.account,
        region=request.region,
        id=new_id,
        created=request.now,
        tags=tags,
        vpc_id=home.vpc_id,
        subnet_id=home.id,
        zone=home.zone,
        mac=request.ids.mac(),
        addresses=given.addresses,
        ipv6_addresses=given.ipv6_addresses,
        prefixes=given.prefixes,
        primary_ipv6=wanted.primary_ipv6,
        groups=groups,
        tracking=tracking,
        description=description,
    )


def check_interface_quota(request: Request, view: View, more: int) -> None:
    """Those that are in a subnet: of a regional NAT gateway's nobody is told."""
    if sum(bool(one.subnet_id) for one in view.all(NetworkInterface)) + more > request.quotas.network_interfaces:
        raise ApiError(
            "NetworkInterfaceLimitExceeded",
            f"The maximum number of network interfaces ({request.quotas.network_interfaces}) would be exceeded.",
        )


def too_many_addresses(limit: int) -> ApiError:
    return ApiError(
        "PrivateIpAddressLimitExceeded",
        f"The network interface may not have more than {limit} private IP addresses.",
    )


@operation("DeleteNetworkInterface")
def delete_network_interface(request: Request, view: View) -> Outcome:
    found = find(view, NetworkInterface, request.parameters["NetworkInterfaceId"])
    if found.attachment or is_managed(found):
        raise invalid_parameter(f"Network interface '{found.id}' is currently in use.")
    return Outcome(puts=tuple(all_disassociated(view, [found])), deletes=(found,))
