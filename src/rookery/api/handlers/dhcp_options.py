"""DHCP options sets: what DHCP says in a VPC beside addresses. A set never changes; a VPC gets another one, or none."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from rookery.api.describe import describe
from rookery.api.errors import dependency_violation
from rookery.api.handlers.dhcp_configurations import checked_configurations
from rookery.api.lookup import find
from rookery.api.operation import Outcome, Request, View, operation
from rookery.api.tags import render_tags, tags_for
from rookery.model.objects import NO_OPTIONS, DhcpOptions, Vpc

NO_SET = "default"  # as AWS calls it: the VPC's instances get no options, and so no DNS server

FILTERS = {
    "dhcp-options-id": lambda options, _view: options.id,
    "key": lambda options, _view: [key for key, _ in options.configurations],
    "value": lambda options, _view: [value for _, values in options.configurations for value in values],
    "owner-id": lambda options, _view: options.account,
}


def shown_id(vpc: Vpc) -> str:
    """The set of the VPC, as the API names it."""
    return NO_SET if vpc.dhcp_options_id == NO_OPTIONS else vpc.dhcp_options_id


@operation("CreateDhcpOptions")
def create_dhcp_options(request: Request, view: View) -> Outcome:
    options = DhcpOptions(
        account=request.account,
        region=request.region,
        id=request.ids.new(DhcpOptions.PREFIX),
        created=request.now,
        tags=tags_for(request, "dhcp-options"),
        configurations=checked_configurations(request.parameters["DhcpConfigurations"]),
    )
    return Outcome(result={"DhcpOptions": render_dhcp_options(options, view)}, puts=(options,))


@operation("DescribeDhcpOptions")
def describe_dhcp_options(request: Request, view: View) -> Outcome:
    return describe(request, view, DhcpOptions, "DhcpOptionsIds", "DhcpOptions", render_dhcp_options, FILTERS)


def render_dhcp_options(options: DhcpOptions, _view: View) -> dict[str, Any]:
    return {
        "DhcpOptionsId": options.id,
        "OwnerId": options.account,
        "DhcpConfigurations": [
            {"Key": key, "Values": [{"Value": value} for value in values]}
            for key, values in options.configurations
        ],
        "Tags": render_tags(options.tags),
    }


@operation("DeleteDhcpOptions")
def delete_dhcp_options(request: Request, view: View) -> Outcome:
    options = find(view, DhcpOptions, request.parameters["DhcpOptionsId"])
    if any(vpc.dhcp_options_id == options.id for vpc in view.all(Vpc)):
        raise dependency_violation("dhcpOptions", options.id)
    return Outcome(deletes=(options,))


@operation("AssociateDhcpOptions")
def associate_dhcp_options(request: Request, view: View) -> Outcome:
    asked = request.parameters["DhcpOptionsId"]
    chosen = NO_OPTIONS if asked == NO_SET else find(view, DhcpOptions, asked).id
    vpc = find(view, Vpc, request.parameters["VpcId"])
    if vpc.dhcp_options_id == chosen:
        return Outcome()
    return Outcome(puts=(replace(vpc, dhcp_options_id=chosen),))
