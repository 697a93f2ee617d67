"""ModifyNetworkInterfaceAttribute, DescribeNetworkInterfaceAttribute, ResetNetworkInterfaceAttribute."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from rookery.api.errors import invalid_combination, invalid_parameter, missing_parameter, not_permitted
from rookery.api.handlers.interface_groups import groups_instead, groups_shape
from rookery.api.handlers.interface_shape import any_attachment
from rookery.api.handlers.interface_tracking import tracking_with
from rookery.api.handlers.managed_interfaces import check_own
from rookery.api.handlers.public_addresses import is_due, with_address, without_address
from rookery.api.handlers.public_pools import free_addresses
from rookery.api.handlers.unbuilt import honour_only, leaves
from rookery.api.lookup import find
from rookery.api.operation import ApiError, Outcome, Request, View, operation
from rookery.model.objects import Instance, NetworkInterface


@operation("ModifyNetworkInterfaceAttribute")
def modify_network_interface_attribute(request: Request, view: View) -> Outcome:
    parameters = request.parameters
    honour_only(parameters, {"NetworkInterfaceId", *CHANGES})
    honour_only(parameters.get("Attachment") or {}, {"AttachmentId", "DeleteOnTermination"})
    found = check_own(find(view, NetworkInterface, parameters["NetworkInterfaceId"]))
    attribute = only_attribute(parameters)
    return Outcome(puts=(CHANGES[attribute](view, found, parameters[attribute]),))


def only_attribute(parameters: dict[str, Any]) -> str:
    given = [name for name in CHANGES if parameters.get(name) is not None]
    if not given:
        raise missing_parameter(", ".join(CHANGES))
    if len(given) > 1:
        raise invalid_combination(f"Fields for multiple attribute types specified: {', '.join(given)}")
    return given[0]


def set_description(view: View, found: NetworkInterface, value: dict[str, Any]) -> NetworkInterface:
    return replace(found, description=value.get("Value") or "")


def set_source_dest_check(view: View, found: NetworkInterface, value: dict[str, Any]) -> NetworkInterface:
    if value.get("Value") is None:
        raise missing_parameter("SourceDestCheck.Value")
    return replace(found, source_dest_check=value["Value"])


def set_groups(view: View, found: NetworkInterface, value: list[str]) -> NetworkInterface:
    return replace(found, groups=groups_instead(view, found, value))


def set_tracking(view: View, found: NetworkInterface, value: dict[str, Any]) -> NetworkInterface:
    return replace(found, tracking=tracking_with(found.tracking, value))


def set_delete_on_termination(view: View, found: NetworkInterface, value: dict[str, Any]) -> NetworkInterface:
    attachment_id = value.get("AttachmentId")
    if not attachment_id or value.get("DeleteOnTermination") is None:
        raise missing_parameter("Attachment.AttachmentId and Attachment.DeleteOnTermination")
    if not found.attachment or found.attachment.id != attachment_id:
        raise ApiError("InvalidAttachmentID.NotFound", f"The attachment '{attachment_id}' does not exist")
    return replace(
        found, attachment=replace(found.attachment, delete_on_termination=value["DeleteOnTermination"])
    )


def set_primary_ipv6(_view: View, found: NetworkInterface, value: bool) -> NetworkInterface:
    """For good: whatever was told the address may rely on it."""
    if found.primary_ipv6 and not value:
        raise invalid_parameter(f"The primary IPv6 address of {found.id} cannot be disabled")
    if value and not found.ipv6_addresses:
        raise invalid_parameter(f"{found.id} has no IPv6 address that could be the primary one")
    return replace(found, primary_ipv6=value)


def set_public_address(view: View, found: NetworkInterface, value: bool) -> NetworkInterface:
    """While its instance runs it has one at once, else from its next start."""
    if not value:
        return replace(without_address(found), wants_public_address=False)
    if not found.attachment or found.attachment.device_index != 0:
        raise not_permitted(
            f"Only the network interface at device index 0 of an instance can be given a public IP address, and {found.id} is not."
        )
    wanting = replace(found, wants_public_address=True)
    runs = find(view, Instance, found.attachment.instance_id).wanted == "running"
    return with_address(view, wanting, free_addresses(view)) if runs and is_due(view, wanting) else wanting


CHANGES: dict[str, Callable[[View, NetworkInterface, Any], NetworkInterface]] = {
    "Description": set_description,
    "Groups": set_groups,
    "ConnectionTrackingSpecification": set_tracking,
    "SourceDestCheck": set_source_dest_check,
    "Attachment": set_delete_on_termination,
    "EnablePrimaryIpv6": set_primary_ipv6,
    "AssociatePublicIpAddress": set_public_address,
}


@operation("DescribeNetworkInterfaceAttribute")
def describe_network_interface_attribute(request: Request, view: View) -> Outcome:
    found = find(view, NetworkInterface, request.parameters["NetworkInterfaceId"])
    attribute = request.parameters.get("Attribute")
    if not attribute:
        raise missing_parameter("Attribute")
    return Outcome(result={"NetworkInterfaceId": found.id, **attribute_shape(view, found, attribute)})


def attribute_shape(view: View, found: NetworkInterface, attribute: str) -> dict[str, Any]:
    if attribute == "description":
        return {"Description": {"Value": found.description}}
    if attribute == "sourceDestCheck":
        return {"SourceDestCheck": {"Value": found.source_dest_check}}
    if attribute == "attachment":
        return any_attachment(view, found)
    if attribute == "groupSet":
        return {"Groups": groups_shape(view, found.groups)}
    if attribute == "associatePublicIpAddress":
        return {"AssociatePublicIpAddress": found.wants_public_address}
    raise invalid_parameter(f"Value ({attribute}) for parameter Attribute is invalid.")


@operation("ResetNetworkInterfaceAttribute")
def reset_network_interface_attribute(request: Request, view: View) -> Outcome:
    """The source/destination check is all there is to reset."""
    found = check_own(find(view, NetworkInterface, request.parameters["NetworkInterfaceId"]))
    if not any(path == "SourceDestCheck" for path, _ in leaves(request.parameters)):
        raise missing_parameter("SourceDestCheck")
    return Outcome(puts=(replace(found, source_dest_check=True),))
