"""The consumer's side of PrivateLink: interface endpoints to endpoint services, and which services there are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from msgspec.structs import replace

from rookery.api.describe import describe
from rookery.api.errors import unsupported
from rookery.api.filters import Filters, apply_filters
from rookery.api.handlers.addresses import addresses_of
from rookery.api.handlers.cells import Placing
from rookery.api.handlers.endpoint_address_types import RECORD_TYPES, address_types, ipv6_addresses
from rookery.api.handlers.endpoint_balancers import cells_of as cells_of_service
from rookery.api.handlers.endpoint_balancers import zones_of as zones_of_service
from rookery.api.handlers.endpoint_names import check_private_dns, wanted_names, zones_for
from rookery.api.handlers.endpoint_principals import is_permitted
from rookery.api.handlers.endpoint_service_shape import SERVICE_FILTERS, render_service
from rookery.api.handlers.endpoint_state import (
    AVAILABLE,
    PENDING,
    PENDING_ACCEPTANCE,
    endpoint_state,
    interfaces_of,
    zones_of,
)
from rookery.api.handlers.interface_groups import chosen_groups, default_groups, groups_shape
from rookery.api.handlers.managed_interfaces import new_managed_interface
from rookery.api.handlers.network_interfaces import check_interface_quota
from rookery.api.handlers.unbuilt import honour_only
from rookery.api.handlers.unsuccessful import item, unsuccessful
from rookery.api.idempotency import redescribes
from rookery.api.lookup import find, find_all
from rookery.api.operation import ApiError, Outcome, Request, View, operation
from rookery.api.pages import page
from rookery.api.tags import render_tags, tags_for
from rookery.model.balancers import DUALSTACK
from rookery.model.objects import (
    CellAttachment,
    NetworkInterface,
    PrivateZone,
    Shard,
    Subnet,
    Vpc,
    VpcEndpoint,
    VpcEndpointService,
)

INTERFACE, GATEWAY = "Interface", "Gateway"
INTERFACE_TYPE = "vpc_endpoint"

FILTERS: Filters = {
    "ip-address-type": lambda one, _view: one.address_type,
    "service-name": lambda one, _view: one.service_name,
    "service-region": lambda one, _view: one.region,
    "vpc-endpoint-id": lambda one, _view: one.id,
    "vpc-endpoint-state": lambda one, view: endpoint_state(view, one),
    "vpc-endpoint-type": lambda _one, _view: INTERFACE,
    "vpc-id": lambda one, _view: one.vpc_id,
}


class Joined(NamedTuple):
    """What subnets that join an endpoint bring along."""

    interfaces: list[NetworkInterface]
    shards: list[Shard]


@operation("CreateVpcEndpoint")
def create_vpc_endpoint(request: Request, view: View) -> Outcome:
    parameters = request.parameters
    _check_type(parameters.get("VpcEndpointType") or GATEWAY)
    honour_only(
        parameters,
        {
            "VpcEndpointType",
            "VpcId",
            "ServiceName",
            "SubnetIds",
            "SecurityGroupIds",
            "PrivateDnsEnabled",
            "TagSpecifications",
            "IpAddressType",
        },
        {"DnsOptions.DnsRecordIpType": RECORD_TYPES, "ServiceRegion": (request.region,)},
    )
    vpc = find(view, Vpc, parameters["VpcId"])
    service = _service_named(view, parameters.get("ServiceName") or "")
    held = [one for one in view.in_vpc(VpcEndpoint, vpc.id)]
    if len(held) >= request.quotas.interface_endpoints:
        why = "The maximum number of VPC endpoints has been reached."
        raise ApiError("VpcEndpointLimitExceeded", why)
    private_dns = parameters.get("PrivateDnsEnabled", False)
    if private_dns:
        check_private_dns(view, vpc, service)
    types = address_types(parameters, service)
    new_id = request.ids.new(VpcEndpoint.PREFIX)
    groups = parameters.get("SecurityGroupIds") or []
    asked = VpcEndpoint(
        account=request.account,
        region=request.region,
        id=new_id,
        created=request.now,
        tags=tags_for(request, "vpc-endpoint"),
        vpc_id=vpc.id,
        service_id=service.id,
        service_account=service.account,
        service_name=service.name,
        groups=chosen_groups(view, groups, vpc.id, f"endpoint {new_id}")
        if groups
        else default_groups(view, vpc.id),
        name=f"{new_id}-{request.ids.new('x')[-8:]}",
        private_dns=private_dns,
        accepted=not service.acceptance_required,
        address_type=types.interfaces,
        dns_record_type=types.names,
    )
    joined = _joined(request, view, asked, service, parameters.get("SubnetIds") or [])
    made = replace(asked, interfaces={one.subnet_id: one.id for one in joined.interfaces})
    zones, _ = zones_for(request, made, wanted_names(made, service, joined.interfaces), [])
    return Outcome(
        result=_created(request, made, view, joined.interfaces),
        puts=(made, *joined.interfaces, *zones),
        shards=tuple(joined.shards),
    )


def _check_type(kind: str) -> None:
    if kind != INTERFACE:
        raise unsupported(f"VPC endpoints of the type {kind} are not supported by Rookery yet.")


def _service_named(view: View, name: str) -> VpcEndpointService:
    """Raises InvalidServiceName: also where it exists, for somebody else."""
    for one in view.endpoint_services():
        if one.name == name and is_permitted(view.account, one):
            return one
    raise ApiError("InvalidServiceName", f"The Vpc Endpoint Service '{name[:200]}' does not exist")


def _joined(
    request: Request, view: View, endpoint: VpcEndpoint, service: VpcEndpointService, subnet_ids: Sequence[str]
) -> Joined:
    """An interface in each of the subnets. Raises InvalidParameter, DuplicateSubnetsInSameZone, NotAvailableInZone."""
    homes = find_all(view, Subnet, subnet_ids)
    _check_subnets(view, endpoint, service, homes)
    check_interface_quota(request, view, len(homes))
    joined = Joined([], [])
    placing = Placing(request, view, f"The VPC endpoint service {service.name}")
    for home in homes:
        place = placing.place(home.zone, cells_of_service(view, service, home.zone))
        interface_id = request.ids.new(NetworkInterface.PREFIX)
        made = new_managed_interface(
            request,
            home,
            interface_id=interface_id,
            addresses=tuple(addresses_of(view, home).draw(1, interface_id)),
            interface_type=INTERFACE_TYPE,
            attachment=CellAttachment(cell=place.cell.name, of=endpoint.id),
            description=f"VPC Endpoint Interface {endpoint.id}",
            groups=endpoint.groups,
            source_dest_check=True,
            ipv6_addresses=ipv6_addresses(view, endpoint, home, interface_id),
        )
        joined.interfaces.append(made)
        joined.shards.extend(one for one in place.shards if one not in joined.shards)
    return joined


def _check_subnets(
    view: View, endpoint: VpcEndpoint, service: VpcEndpointService, homes: Iterable[Subnet]
) -> None:
    offered = zones_of_service(view, service)
    taken = {one.zone for one in interfaces_of(view, endpoint)}
    for home in homes:
        if home.vpc_id != endpoint.vpc_id:
            why = f"The subnet {home.id} does not belong to the VPC {endpoint.vpc_id}"
            raise ApiError("InvalidParameter", why)
        if home.zone not in offered:
            why = f"The VPC endpoint service {service.name} does not support the availability zone of the subnet: {home.id}"
            raise ApiError("InvalidParameter", why)
        if home.zone in taken:
            why = f"Found another VPC endpoint subnet in the availability zone of {home.id}"
            raise ApiError("DuplicateSubnetsInSameZone", why)
        taken.add(home.zone)


def _created(
    request: Request, made: VpcEndpoint, view: View, interfaces: Sequence[NetworkInterface]
) -> dict[str, Any]:
    return {
        "VpcEndpoint": _shape(made, view, interfaces),
        "ClientToken": request.parameters.get("ClientToken"),
    }


@redescribes("CreateVpcEndpoint")
def created_before(request: Request, view: View, made: Sequence[Any]) -> dict[str, Any]:
    return _created(request, made[0], view, interfaces_of(view, made[0]))


def render_endpoint(one: VpcEndpoint, view: View) -> dict[str, Any]:
    return _shape(one, view, interfaces_of(view, one))


def _shape(one: VpcEndpoint, view: View, interfaces: Sequence[NetworkInterface]) -> dict[str, Any]:
    service = view.endpoint_service(one.service_account, one.service_id)
    names = wanted_names(one, service, interfaces) if service else ()
    return {
        "VpcEndpointId": one.id,
        "VpcEndpointType": INTERFACE,
        "VpcId": one.vpc_id,
        "ServiceName": one.service_name,
        "ServiceRegion": one.region,
        "State": endpoint_state(view, one),
        "RouteTableIds": [],
        "SubnetIds": list(one.interfaces),
        "Groups": groups_shape(view, one.groups),
        "IpAddressType": one.address_type,
        "DnsOptions": {"DnsRecordIpType": one.dns_record_type},
        "PrivateDnsEnabled": one.private_dns,
        "RequesterManaged": False,
        "NetworkInterfaceIds": list(one.interfaces.values()),
        "DnsEntries": [{"DnsName": name} for name in names],
        "CreationTimestamp": one.created,
        "OwnerId": one.account,
        "Tags": render_tags(one.tags),
    }


@operation("DescribeVpcEndpoints")
def describe_vpc_endpoints(request: Request, view: View) -> Outcome:
    return describe(
        request, view, VpcEndpoint, "VpcEndpointIds", "VpcEndpoints", render_endpoint, FILTERS
    )


@operation("ModifyVpcEndpoint")
def modify_vpc_endpoint(request: Request, view: View) -> Outcome:
    """An interface in a subnet that leaves is gone at once."""
    parameters = request.parameters
    honour_only(
        parameters,
        {
            "VpcEndpointId",
            "AddSubnetIds",
            "RemoveSubnetIds",
            "AddSecurityGroupIds",
            "RemoveSecurityGroupIds",
            "PrivateDnsEnabled",
            "IpAddressType",
        },
        {"DnsOptions.DnsRecordIpType": RECORD_TYPES, "ResetPolicy": (False,)},
    )
    found = find(view, VpcEndpoint, parameters["VpcEndpointId"])
    service = view.endpoint_service(found.service_account, found.service_id)
    state = endpoint_state(view, found)
    if service is None or state not in (PENDING_ACCEPTANCE, PENDING, AVAILABLE):
        raise ApiError("IncorrectState", f"The VPC endpoint {found.id} is {state}.")
    types = address_types(parameters, service, found)
    changed = replace(
        found,
        groups=_groups_after(view, found, parameters),
        private_dns=parameters.get("PrivateDnsEnabled", found.private_dns),
        address_type=types.interfaces,
        dns_record_type=types.names,
    )
    if changed.private_dns and not found.private_dns:
        check_private_dns(view, find(view, Vpc, found.vpc_id), service, besides=found.id)
    leaving = set(parameters.get("RemoveSubnetIds") or [])
    staying = {subnet: eni for subnet, eni in found.interfaces.items() if subnet not in leaving}
    more = [one for one in dict.fromkeys(parameters.get("AddSubnetIds") or []) if one not in staying]
    joined = _joined(request, view, replace(changed, interfaces=staying), service, more)
    after = replace(changed, interfaces={**staying, **{one.subnet_id: one.id for one in joined.interfaces}})
    kept = [
        replace(one, groups=after.groups, ipv6_addresses=_ipv6_after(view, after, one))
        for one in interfaces_of(view, found)
        if one.subnet_id in staying
    ]
    gone = [one for one in interfaces_of(view, found) if one.subnet_id not in staying]
    names = wanted_names(after, service, [*kept, *joined.interfaces])
    zones, old_zones = zones_for(request, after, names, zones_of(view, found))
    regrouped = [one for one in kept if one != view.get(NetworkInterface, one.id)]
    return Outcome(
        result={"Return": True},
        puts=(*([after] if after != found else []), *regrouped, *joined.interfaces, *zones),
        deletes=(*gone, *old_zones),
        shards=tuple(joined.shards),
        beside=frozenset({found.service_account}),
    )


def _ipv6_after(view: View, endpoint: VpcEndpoint, interface: NetworkInterface) -> tuple[str, ...]:
    if interface.ipv6_addresses and endpoint.address_type == DUALSTACK:
        return interface.ipv6_addresses
    return ipv6_addresses(view, endpoint, find(view, Subnet, interface.subnet_id), interface.id)


def _groups_after(view: View, found: VpcEndpoint, parameters: dict[str, Any]) -> tuple[str, ...]:
    removed = set(parameters.get("RemoveSecurityGroupIds") or [])
    added = parameters.get("AddSecurityGroupIds") or []
    wanted = list(dict.fromkeys([*(one for one in found.groups if one not in removed), *added]))
    if not wanted:
        raise ApiError("InvalidParameter", f"The VPC endpoint {found.id} needs a security group")
    return chosen_groups(view, wanted, found.vpc_id, f"endpoint {found.id}")


@operation("DeleteVpcEndpoints")
def delete_vpc_endpoints(request: Request, view: View) -> Outcome:
    """Each for itself. Its names are gone at once, its interfaces when its cells have let it go (endpoint_state)."""
    honour_only(request.parameters, {"VpcEndpointIds"})
    puts: list[VpcEndpoint] = []
    zones: list[PrivateZone] = []
    failed: list[dict[str, Any]] = []
    for endpoint_id in dict.fromkeys(request.parameters["VpcEndpointIds"]):
        try:
            found = find(view, VpcEndpoint, endpoint_id)
        except ApiError as error:
            failed.append(item(endpoint_id, error.code, error.message))
            continue
        if not found.deleted:
            puts.append(replace(found, deleted=request.now))
            zones += zones_of(view, found)
    return Outcome(result=unsuccessful(failed), puts=tuple(puts), deletes=tuple(zones))


@operation("DescribeVpcEndpointServices")
def describe_vpc_endpoint_services(request: Request, view: View) -> Outcome:
    """Those that the account may use. AWS's own are none of them."""
    permitted = [one for one in view.endpoint_services() if is_permitted(view.account, one)]
    names = request.parameters.get("ServiceNames") or []
    known = {one.name: one for one in permitted}
    for name in names:
        if name not in known:
            raise ApiError("InvalidServiceName", f"The Vpc Endpoint Service '{name[:200]}' does not exist")
    asked = [known[name] for name in dict.fromkeys(names)] if names else permitted
    shown_to = [one if one.account == view.account else replace(one, tags={}) for one in asked]
    chosen = apply_filters(shown_to, request.parameters.get("Filters"), SERVICE_FILTERS, view)
    shown = page(request, chosen)
    details = [render_service(one, view) for one in shown.items]
    return Outcome(
        result={
            **shown.result("ServiceDetails", details),
            "ServiceNames": [one.name for one in shown.items],
        }
    )
