"""DescribeAddressesAttribute, ModifyAddressAttribute, ResetAddressAttribute: the reverse name that an Elastic IP should have.

No public DNS is part of a Rookery region: the wish is kept and shown as what it is, an update that is pending.
"""

from __future__ import annotations

import re
from typing import Any

from msgspec.structs import replace

from rookery.api.describe import select
from rookery.api.errors import invalid_value, missing_parameter
from rookery.api.handlers.unbuilt import honour_only
from rookery.api.lookup import find
from rookery.api.operation import Outcome, Request, View, operation
from rookery.api.pages import page
from rookery.model.objects import ElasticIp

DOMAIN_NAME = "domain-name"
LONGEST = 253
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})+\.?\Z")


@operation("DescribeAddressesAttribute")
def describe_addresses_attribute(request: Request, view: View) -> Outcome:
    """Of every address that is named; of all that should have a reverse name when none is."""
    honour_only(request.parameters, {"AllocationIds"}, {"Attribute": (DOMAIN_NAME,)})
    found = select(request, view, ElasticIp, "AllocationIds", {})
    if not request.parameters.get("AllocationIds"):
        found = [one for one in found if one.domain_name]
    chosen = page(request, found, least=1)
    return Outcome(result=chosen.result("Addresses", [attribute_shape(one) for one in chosen.items]))


def attribute_shape(one: ElasticIp) -> dict[str, Any]:
    """`AddressAttribute`. PtrRecord, the name in force, has none."""
    shape: dict[str, Any] = {"PublicIp": one.address, "AllocationId": one.id}
    if one.domain_name:
        shape["PtrRecordUpdate"] = {
            "Value": one.domain_name,
            "Status": "PENDING",
            "Reason": "Rookery does not serve public reverse DNS.",
        }
    return shape


@operation("ModifyAddressAttribute")
def modify_address_attribute(request: Request, view: View) -> Outcome:
    honour_only(request.parameters, {"AllocationId", "DomainName"})
    found = find(view, ElasticIp, request.parameters["AllocationId"])
    name = request.parameters.get("DomainName")
    if not name:
        raise missing_parameter("domainName")
    if len(name) > LONGEST + 1 or not _NAME.match(name):
        raise invalid_value("domainName", name[:80], "This is not a valid domain name.")
    return _changed(found, f"{name.rstrip('.').lower()}.")


@operation("ResetAddressAttribute")
def reset_address_attribute(request: Request, view: View) -> Outcome:
    honour_only(request.parameters, {"AllocationId"}, {"Attribute": (DOMAIN_NAME,)})
    return _changed(find(view, ElasticIp, request.parameters["AllocationId"]), "")


def _changed(found: ElasticIp, domain_name: str) -> Outcome:
    changed = replace(found, domain_name=domain_name)
    return Outcome(result={"Address": attribute_shape(changed)}, puts=(changed,) if changed != found else ())
