"""ModifyInstanceAttribute, DescribeInstanceAttribute, ResetInstanceAttribute."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from rookery.api.errors import invalid_parameter, unsupported
from rookery.api.handlers.instance_interfaces import interfaces_of
from rookery.api.handlers.instance_state import STOPPED, state_in
from rookery.api.handlers.instance_type_catalogue import offered_type
from rookery.api.handlers.interface_groups import groups_instead, groups_shape
from rookery.api.handlers.network_interfaces import too_many_addresses
from rookery.api.handlers.unbuilt import honour_only
from rookery.api.handlers.user_data import checked_user_data
from rookery.api.lookup import find
from rookery.api.operation import ApiError, Outcome, Request, View, operation
from rookery.model.objects import Instance, NetworkInterface, Resource

SHUTDOWN_BEHAVIORS = ("stop", "terminate")


@operation("ModifyInstanceAttribute")
def modify_instance_attribute(request: Request, view: View) -> Outcome:
    """Exactly one attribute, as a member of its own or by Attribute and Value."""
    parameters = request.parameters
    found = find(view, Instance, parameters["InstanceId"])
    if found.wanted == "terminated":
        raise ApiError("IncorrectInstanceState", f"The instance '{found.id}' is terminated.")
    attribute, value = only_change(parameters)
    return Outcome(puts=CHANGES[attribute](view, found, value))


def only_change(parameters: dict[str, Any]) -> tuple[str, Any]:
    members = {"InstanceId", "Attribute", "Value", "Groups", *MEMBERS.values()}
    honour_only(parameters, members, {"EbsOptimized.Value": (False,), "EnclaveOptions.Enabled": (False,)})
    given = {
        name: parameters[member].get("Value")
        for name, member in MEMBERS.items()
        if parameters.get(member) is not None
    }
    if parameters.get("Groups"):
        given["groupSet"] = parameters["Groups"]
    if parameters.get("Attribute"):
        given[parameters["Attribute"]] = parameters.get("Value")
    if len(given) != 1:
        code = "InvalidParameterCombination" if given else "MissingParameter"
        raise ApiError(code, "The request must contain exactly one attribute to modify")
    attribute, value = given.popitem()
    if attribute not in CHANGES:
        raise unsupported(f"The attribute '{attribute}' cannot be modified.")
    if value is None:
        raise ApiError("MissingParameter", f"The request must contain a value for the attribute {attribute}")
    return attribute, value


def as_boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if value.lower() not in ("true", "false"):
        raise invalid_parameter(f"Invalid boolean value: '{value}'")
    return value.lower() == "true"


def set_termination_protection(view: View, found: Instance, value: Any) -> tuple[Resource, ...]:
    return (replace(found, disable_api_termination=as_boolean(value)),)


def set_stop_protection(view: View, found: Instance, value: Any) -> tuple[Resource, ...]:
    return (replace(found, disable_api_stop=as_boolean(value)),)


def set_shutdown_behavior(view: View, found: Instance, value: Any) -> tuple[Resource, ...]:
    if value not in SHUTDOWN_BEHAVIORS:
        raise invalid_parameter(f"Invalid value '{value}' for InstanceInitiatedShutdownBehavior.")
    return (replace(found, shutdown_behavior=value),)


def set_user_data(view: View, found: Instance, value: Any) -> tuple[Resource, ...]:
    """A blob arrives decoded as a member of its own, and as base64 text by Attribute and Value."""
    require_stopped(view, found)
    text = base64.b64encode(value).decode() if isinstance(value, bytes) else value
    return (replace(found, user_data=checked_user_data(text)),)


def set_type(view: View, found: Instance, value: Any) -> tuple[Resource, ...]:
    require_stopped(view, found)
    kind = offered_type(value)
    if len(found.interface_ids) > kind.interfaces:
        raise ApiError(
            "AttachmentLimitExceeded",
            f"Interface count {len(found.interface_ids)} exceeds the limit for {kind.name}",
        )
    if any(len(each.addresses) > kind.addresses for each in interfaces_of(view, found)):
        raise too_many_addresses(kind.addresses)
    return (replace(found, instance_type=kind.name),)


def set_source_dest_check(view: View, found: Instance, value: Any) -> tuple[Resource, ...]:
    return (replace(only_interface(view, found), source_dest_check=as_boolean(value)),)


def set_groups(view: View, found: Instance, value: Any) -> tuple[Resource, ...]:
    """By Attribute and Value it is one group."""
    interface = only_interface(view, found)
    asked = [value] if isinstance(value, str) else value
    return (replace(interface, groups=groups_instead(view, interface, asked)),)


def only_interface(view: View, found: Instance) -> NetworkInterface:
    """With several, which one is meant is for ModifyNetworkInterfaceAttribute to say."""
    interfaces = interfaces_of(view, found)
    if len(interfaces) != 1:
        raise ApiError(
            "InvalidInstanceID", f"There are multiple interfaces attached to instance '{found.id}'."
        )
    return interfaces[0]


def require_stopped(view: View, found: Instance) -> None:
    if state_in(view, found) is not STOPPED:
        raise ApiError("IncorrectInstanceState", f"The instance '{found.id}' is not in the 'stopped' state.")


MEMBERS = {
    "disableApiTermination": "DisableApiTermination",
    "disableApiStop": "DisableApiStop",
    "instanceInitiatedShutdownBehavior": "InstanceInitiatedShutdownBehavior",
    "userData": "UserData",
    "instanceType": "InstanceType",
    "sourceDestCheck": "SourceDestCheck",
}

CHANGES: dict[str, Callable[[View, Instance, Any], tuple[Resource, ...]]] = {
    "disableApiTermination": set_termination_protection,
    "disableApiStop": set_stop_protection,
    "instanceInitiatedShutdownBehavior": set_shutdown_behavior,
    "userData": set_user_data,
    "instanceType": set_type,
    "sourceDestCheck": set_source_dest_check,
    "groupSet": set_groups,
}


@operation("DescribeInstanceAttribute")
def describe_instance_attribute(request: Request, view: View) -> Outcome:
    found = find(view, Instance, request.parameters["InstanceId"])
    attribute = request.parameters["Attribute"]
    return Outcome(result={"InstanceId": found.id, **attribute_shape(view, found, attribute)})


def attribute_shape(view: View, found: Instance, attribute: str) -> dict[str, Any]:
    if attribute in UNSET:
        return UNSET[attribute]
    if attribute == "sourceDestCheck":
        return {"SourceDestCheck": {"Value": first_source_dest_check(view, found)}}
    if attribute == "groupSet":
        return {"Groups": groups_shape(view, primary_groups(view, found))}
    if attribute == "userData":
        return {"UserData": {"Value": found.user_data} if found.user_data else {}}
    if attribute not in STORED:
        raise unsupported(f"The attribute '{attribute}' is not supported.")
    return {MEMBERS[attribute]: {"Value": getattr(found, STORED[attribute])}}


def first_source_dest_check(view: View, found: Instance) -> bool:
    """True of a terminated one, as of every new interface."""
    return next((each.source_dest_check for each in interfaces_of(view, found)), True)


def primary_groups(view: View, found: Instance) -> tuple[str, ...]:
    """None of a terminated one."""
    return next((each.groups for each in interfaces_of(view, found)), ())


STORED = {
    "disableApiTermination": "disable_api_termination",
    "disableApiStop": "disable_api_stop",
    "instanceInitiatedShutdownBehavior": "shutdown_behavior",
    "instanceType": "instance_type",
}

# What no instance here has.
UNSET: dict[str, dict[str, Any]] = {
    "blockDeviceMapping": {"BlockDeviceMappings": []},
    "productCodes": {"ProductCodes": []},
    "ebsOptimized": {"EbsOptimized": {"Value": False}},
    "enclaveOptions": {"EnclaveOptions": {"Enabled": False}},
    "enaSupport": {"EnaSupport": {"Value": False}},
    "kernel": {"KernelId": {}},
    "ramdisk": {"RamdiskId": {}},
    "rootDeviceName": {"RootDeviceName": {}},
    "sriovNetSupport": {"SriovNetSupport": {}},
}


@operation("ResetInstanceAttribute")
def reset_instance_attribute(request: Request, view: View) -> Outcome:
    """Kernel and RAM disk, which AWS resets too, do not exist here."""
    found = find(view, Instance, request.parameters["InstanceId"])
    if request.parameters["Attribute"] != "sourceDestCheck":
        raise unsupported(f"The attribute '{request.parameters['Attribute']}' cannot be reset.")
    return Outcome(puts=set_source_dest_check(view, found, True))
