"""The provider's side of PrivateLink: endpoint services and who may use them.

A private DNS name counts as verified when it is said: a region has no public DNS in which a provider could prove that it is his, and
no consumer has it before it asks for it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from msgspec.structs import replace

from rookery.api.describe import describe
from rookery.api.filters import apply_filters
from rookery.api.handlers.endpoint_balancers import find_balancer
from rookery.api.handlers.endpoint_names import given_name
from rookery.api.handlers.endpoint_principals import checked_principals, render_principal
from rookery.api.handlers.endpoint_service_shape import (
    CONFIGURATION_FILTERS,
    render_configuration,
)
from rookery.api.handlers.unbuilt import honour_only
from rookery.api.handlers.unsuccessful import item, unsuccessful
from rookery.api.idempotency import redescribes
from rookery.api.lookup import find
from rookery.api.operation import ApiError, Outcome, Request, View, operation
from rookery.api.pages import page
from rookery.api.tags import tags_for
from rookery.model.balancers import DUALSTACK, IPV4, IPV6
from rookery.model.objects import AllowedPrincipal, VpcEndpointService

SERVICE_TYPES = (IPV4, IPV6)


@operation("CreateVpcEndpointServiceConfiguration")
def create_vpc_endpoint_service_configuration(request: Request, view: View) -> Outcome:
    parameters = request.parameters
    _refuse_gateway_balancers(parameters)
    honour_only(
        parameters,
        {"AcceptanceRequired", "NetworkLoadBalancerArns", "PrivateDnsName", "TagSpecifications", "SupportedIpAddressTypes"},
        {"SupportedRegions": (request.region,)},
    )
    if len(view.all(VpcEndpointService)) >= request.quotas.endpoint_services:
        why = "The maximum number of VPC endpoint services has been reached."
        raise ApiError("VpcEndpointServiceLimitExceeded", why)
    arns = _free_balancers(view, parameters.get("NetworkLoadBalancerArns") or [])
    if not arns:
        raise _needs_a_balancer()
    named = parameters.get("PrivateDnsName")
    types = checked_types(parameters.get("SupportedIpAddressTypes") or (IPV4,))
    _check_carried(view, types, arns)
    made = VpcEndpointService(
        account=request.account,
        region=request.region,
        id=request.ids.new(VpcEndpointService.PREFIX),
        created=request.now,
        tags=tags_for(request, "vpc-endpoint-service"),
        balancers=tuple(arns),
        acceptance_required=parameters.get("AcceptanceRequired", True),
        private_dns_name=given_name(named) if named else "",
        address_types=types,
    )
    return Outcome(result=_created(request, made, view), puts=(made,))


def checked_types(asked: Iterable[str]) -> tuple[str, ...]:
    """Each once. Raises InvalidParameter."""
    given = set(asked)
    if wrong := sorted(given - set(SERVICE_TYPES)):
        why = f"Invalid supported IP address type: '{wrong[0][:80]}'. Valid values are ipv4 and ipv6."
        raise ApiError("InvalidParameter", why)
    return tuple(one for one in SERVICE_TYPES if one in given)


def _check_carried(view: View, types: Collection[str], arns: Iterable[str]) -> None:
    """Endpoints get as many families as all of the balancers take. Raises InvalidParameter."""
    if not types:
        raise ApiError("InvalidParameter", "At least one supported IP address type is required.")
    narrow = [arn for arn in arns if find_balancer(view, arn).address_type != DUALSTACK]
    if IPV6 in types and narrow:
        why = f"The network load balancer '{narrow[0]}' must have the IP address type dualstack for a service that supports ipv6"
        raise ApiError("InvalidParameter", why)


def _types_after(view: View, found: VpcEndpointService, parameters: dict[str, Any]) -> tuple[str, ...]:
    """Raises InvalidParameter, ExistingVpcEndpointConnections."""
    removed = set(checked_types(parameters.get("RemoveSupportedIpAddressTypes") or ()))
    added = checked_types(parameters.get("AddSupportedIpAddressTypes") or ())
    after = checked_types([one for one in (*found.address_types, *added) if one not in removed])
    if set(found.address_types) - set(after) and any(not one.takes(after) for one in view.endpoints_of(found.id)):
        why = f"Service {found.id} has existing active VPC Endpoint connections"
        raise ApiError("ExistingVpcEndpointConnections", why)
    return after


def _refuse_gateway_balancers(parameters: dict[str, Any]) -> None:
    both = parameters.get("NetworkLoadBalancerArns") and parameters.get("GatewayLoadBalancerArns")
    if both:
        raise _needs_a_balancer()


def _needs_a_balancer() -> ApiError:
    why = "exactly one of network_load_balancer_arn or gateway_load_balancer_arn is a required member"
    return ApiError("InvalidParameter", why)


def _free_balancers(view: View, arns: Iterable[str], besides: str = "") -> list[str]:
    """Each once. A balancer serves one service. Raises InvalidNetworkLoadBalancerArn, InvalidParameter."""
    wanted = [find_balancer(view, arn).arn for arn in dict.fromkeys(arns)]
    taken = {arn for one in view.all(VpcEndpointService) if one.id != besides for arn in one.balancers}
    busy = next((arn for arn in wanted if arn in taken), None)
    if busy is not None:
        why = f"The network load balancer '{busy}' is already associated with a VPC endpoint service"
        raise ApiError("InvalidParameter", why)
    return wanted


def _created(request: Request, made: VpcEndpointService, view: View) -> dict[str, Any]:
    return {
        "ServiceConfiguration": render_configuration(made, view),
        "ClientToken": request.parameters.get("ClientToken"),
    }


@redescribes("CreateVpcEndpointServiceConfiguration")
def created_before(request: Request, view: View, made: Any) -> dict[str, Any]:
    return _created(request, made[0], view)


@operation("DescribeVpcEndpointServiceConfigurations")
def describe_vpc_endpoint_service_configurations(request: Request, view: View) -> Outcome:
    return describe(
        request,
        view,
        VpcEndpointService,
        "ServiceIds",
        "ServiceConfigurations",
        render_configuration,
        CONFIGURATION_FILTERS,
    )


@operation("ModifyVpcEndpointServiceConfiguration")
def modify_vpc_endpoint_service_configuration(request: Request, view: View) -> Outcome:
    """Endpoints that wait go on waiting when acceptance is no longer required; those to come do not."""
    parameters = request.parameters
    honour_only(
        parameters,
        {
            "ServiceId",
            "AcceptanceRequired",
            "AddNetworkLoadBalancerArns",
            "RemoveNetworkLoadBalancerArns",
            "PrivateDnsName",
            "RemovePrivateDnsName",
            "AddSupportedIpAddressTypes",
            "RemoveSupportedIpAddressTypes",
        },
        {"AddSupportedRegions": (request.region,)},
    )
    found = find(view, VpcEndpointService, parameters["ServiceId"])
    removed = set(parameters.get("RemoveNetworkLoadBalancerArns") or [])
    added = _free_balancers(view, parameters.get("AddNetworkLoadBalancerArns") or [], besides=found.id)
    kept = [arn for arn in found.balancers if arn not in removed]
    balancers = tuple(dict.fromkeys([*kept, *added]))
    if not balancers:
        raise _needs_a_balancer()
    _check_unused(view, found, removed & set(found.balancers))
    types = _types_after(view, found, parameters)
    _check_carried(view, types, balancers)
    changed = replace(
        found,
        balancers=balancers,
        acceptance_required=parameters.get("AcceptanceRequired", found.acceptance_required),
        private_dns_name=_name_after(view, found, parameters),
        address_types=types,
    )
    return Outcome(result={"Return": True}, puts=(changed,) if changed != found else ())


def _check_unused(view: View, service: VpcEndpointService, removed: Collection[str]) -> None:
    if removed and any(True for _ in view.endpoints_of(service.id)):
        why = f"Service {service.id} has existing active VPC Endpoint connections"
        raise ApiError("ExistingVpcEndpointConnections", why)


def _name_after(view: View, found: VpcEndpointService, parameters: dict[str, Any]) -> str:
    """Raises InvalidParameter where some endpoint answers to the name that would go."""
    named = parameters.get("PrivateDnsName")
    if named and parameters.get("RemovePrivateDnsName"):
        why = "Only one of PrivateDnsName, RemovePrivateDnsName may be specified"
        raise ApiError("InvalidParameter", why)
    if not named and not parameters.get("RemovePrivateDnsName"):
        return found.private_dns_name
    after = given_name(named) if named else ""
    if after != found.private_dns_name and any(one.private_dns for one in view.endpoints_of(found.id)):
        why = f"Endpoints of {found.id} have its private DNS name enabled"
        raise ApiError("InvalidParameter", why)
    return after


@operation("StartVpcEndpointServicePrivateDnsVerification")
def start_vpc_endpoint_service_private_dns_verification(request: Request, view: View) -> Outcome:
    """There is nothing left to verify of a name (see above). Raises InvalidParameter: the service has none."""
    honour_only(request.parameters, {"ServiceId"})
    found = find(view, VpcEndpointService, request.parameters["ServiceId"])
    if not found.private_dns_name:
        raise ApiError("InvalidParameter", f"The service {found.id} has no private DNS name")
    return Outcome(result={"ReturnValue": True})


@operation("DeleteVpcEndpointServiceConfigurations")
def delete_vpc_endpoint_service_configurations(request: Request, view: View) -> Outcome:
    """Each for itself: what cannot be deleted is told in the answer."""
    honour_only(request.parameters, {"ServiceIds"})
    deletes: list[VpcEndpointService] = []
    failed: list[dict[str, Any]] = []
    for service_id in dict.fromkeys(request.parameters["ServiceIds"]):
        try:
            found = find(view, VpcEndpointService, service_id)
        except ApiError as error:
            failed.append(item(service_id, error.code, error.message))
            continue
        if any(True for _ in view.endpoints_of(found.id)):
            why = f"Service {found.id} has existing active VPC Endpoint connections"
            failed.append(item(found.id, "ExistingVpcEndpointConnections", why))
        else:
            deletes.append(found)
    return Outcome(result=unsuccessful(failed), deletes=tuple(deletes))


# --------------------------------------------------------------------------------------------------------- permissions


PRINCIPAL_FILTERS = {
    "permission-type": lambda _one, _view: "vpc-endpoint",
    "principal": lambda one, _view: one.arn,
    "principal-type": lambda one, _view: render_principal(one, "")["PrincipalType"],
}


@operation("ModifyVpcEndpointServicePermissions")
def modify_vpc_endpoint_service_permissions(request: Request, view: View) -> Outcome:
    """Endpoints that exist keep their connection when their owner loses his permission, as at AWS."""
    parameters = request.parameters
    honour_only(
        parameters,
        {"ServiceId", "AddAllowedPrincipals", "RemoveAllowedPrincipals"},
        {"PermissionType": ("vpc-endpoint",)},
    )
    found = find(view, VpcEndpointService, parameters["ServiceId"])
    wanted = checked_principals(parameters.get("AddAllowedPrincipals") or [])
    unwanted = set(parameters.get("RemoveAllowedPrincipals") or [])
    known = {one.arn for one in found.principals}
    added = [
        AllowedPrincipal(request.ids.new("vpce-svc-perm"), arn) for arn in wanted if arn not in known
    ]
    kept = [one for one in found.principals if one.arn not in unwanted]
    after = replace(found, principals=(*kept, *added))
    return Outcome(
        result={
            "ReturnValue": True,
            "AddedPrincipals": [render_principal(one, found.id) for one in added],
        },
        puts=(after,) if after != found else (),
    )


@operation("DescribeVpcEndpointServicePermissions")
def describe_vpc_endpoint_service_permissions(request: Request, view: View) -> Outcome:
    found = find(view, VpcEndpointService, request.parameters["ServiceId"])
    chosen = apply_filters(found.principals, request.parameters.get("Filters"), PRINCIPAL_FILTERS, view)
    shown = page(request, chosen, position=lambda one: (0.0, one.id))
    rendered = [{**render_principal(one, found.id), "Tags": []} for one in shown.items]
    return Outcome(result=shown.result("AllowedPrincipals", rendered))
