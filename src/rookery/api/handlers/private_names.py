"""By which private names an instance is known: as its subnet has it at launch, or as the launch says; changed later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from rookery.api.handlers.unbuilt import honour_only
from rookery.api.lookup import find
from rookery.api.operation import ApiError, Outcome, Request, View, operation
from rookery.intent.names import RESOURCE_NAME, private_dns_name, resource_name
from rookery.model.objects import Instance, NetworkInterface, PrivateNameOptions, Subnet

_MEMBERS = {
    "HostnameType": "hostname_type",
    "EnableResourceNameDnsARecord": "resource_name_a",
    "EnableResourceNameDnsAAAARecord": "resource_name_aaaa",
}


def launched_names(subnet: Subnet, given: Mapping[str, Any]) -> PrivateNameOptions:
    """`given`: PrivateDnsNameOptions of RunInstances. What it leaves open the subnet says. Raises UnsupportedOperation."""
    honour_only(given, _MEMBERS)
    of_subnet = PrivateNameOptions(
        hostname_type=subnet.private_dns_hostname_type,
        resource_name_a=subnet.resource_name_dns_a,
        resource_name_aaaa=subnet.resource_name_dns_aaaa,
    )
    return _changed(of_subnet, given)


def _changed(before: PrivateNameOptions, given: Mapping[str, Any]) -> PrivateNameOptions:
    said = {field: given[name] for name, field in _MEMBERS.items() if given.get(name) is not None}
    return replace(before, **said)


def names_shape(options: PrivateNameOptions) -> dict[str, Any]:
    return {name: getattr(options, field) for name, field in _MEMBERS.items()}


def shown_name(instance: Instance, primary: NetworkInterface) -> str:
    """PrivateDnsName: that of its host name. `primary`: its interface at device index 0."""
    if instance.private_names.hostname_type == RESOURCE_NAME:
        return resource_name(instance.id, instance.region)
    return private_dns_name(primary.primary, instance.region)


@operation("ModifyPrivateDnsNameOptions")
def modify_private_dns_name_options(request: Request, view: View) -> Outcome:
    """The records follow at once; a guest learns another host name when it asks for it: at boot, or from DHCP."""
    found = find(view, Instance, request.parameters["InstanceId"])
    if found.wanted == "terminated":
        raise ApiError("IncorrectInstanceState", f"The instance '{found.id}' is terminated.")
    given = {**request.parameters, "HostnameType": request.parameters.get("PrivateDnsHostnameType")}
    if all(given.get(name) is None for name in _MEMBERS):
        raise ApiError("MissingParameter", "The request must contain at least one option to modify")
    options = _changed(found.private_names, given)
    changed = () if options == found.private_names else (replace(found, private_names=options),)
    return Outcome(result={"Return": True}, puts=changed)


NAME_FILTERS = {
    "private-dns-name-options.hostname-type": lambda instance, _view: instance.private_names.hostname_type,
    "private-dns-name-options.enable-resource-name-dns-a-record": lambda instance, _view: (
        instance.private_names.resource_name_a
    ),
    "private-dns-name-options.enable-resource-name-dns-aaaa-record": lambda instance, _view: (
        instance.private_names.resource_name_aaaa
    ),
}
