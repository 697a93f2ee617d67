"""AWS's error codes, spelled once: clients compare them byte for byte (reference: the EC2 API's "Error codes" page).

Functions make the errors that many handlers raise; a code that only one handler knows stands in that handler.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from rookery.api.operation import ApiError


class IdErrors(NamedTuple):
    """How AWS speaks of the ids of one kind. `noun` stands in "The <noun> ID 'x' does not exist"."""

    prefix: str
    noun: str
    not_found: str
    malformed: str
    id_word: str = " ID"  # "The security group 'x' does not exist" has none


# "ID" or "Id": not systematic at AWS, hence a table.
ID_ERRORS: dict[str, IdErrors] = {
    row.prefix: row
    for row in (
        IdErrors("vpc", "vpc", "InvalidVpcID.NotFound", "InvalidVpcID.Malformed"),
        IdErrors(
            "dopt", "dhcpOption", "InvalidDhcpOptionID.NotFound", "InvalidDhcpOptionsId.Malformed"
        ),
        IdErrors("subnet", "subnet", "InvalidSubnetID.NotFound", "InvalidSubnetID.Malformed"),
        IdErrors("rtb", "routeTable", "InvalidRouteTableID.NotFound", "InvalidRouteTableId.Malformed"),
        IdErrors(
            "eni",
            "networkInterface",
            "InvalidNetworkInterfaceID.NotFound",
            "InvalidNetworkInterfaceId.Malformed",
        ),
        IdErrors("i", "instance", "InvalidInstanceID.NotFound", "InvalidInstanceID.Malformed"),
        IdErrors("key", "key pair", "InvalidKeyPair.NotFound", "InvalidParameterValue"),
        IdErrors("ami", "image", "InvalidAMIID.NotFound", "InvalidAMIID.Malformed"),
        IdErrors("rtbassoc", "association", "InvalidAssociationID.NotFound", "InvalidParameterValue"),
        IdErrors("sg", "security group", "InvalidGroup.NotFound", "InvalidGroupId.Malformed", ""),
        IdErrors(
            "sgr",
            "security group rule",
            "InvalidSecurityGroupRuleId.NotFound",
            "InvalidSecurityGroupRuleId.Malformed",
        ),
        IdErrors("pl", "prefix list", "InvalidPrefixListID.NotFound", "InvalidPrefixListId.Malformed"),
        IdErrors("acl", "networkAcl", "InvalidNetworkAclID.NotFound", "InvalidNetworkAclId.Malformed"),
        IdErrors("aclassoc", "association", "InvalidAssociationID.NotFound", "InvalidParameterValue"),
        IdErrors(
            "vpc-cidr-assoc",
            "CIDR block association",
            "InvalidVpcCidrBlockAssociationID.NotFound",
            "InvalidParameterValue",
        ),
        IdErrors(
            "subnet-cidr-assoc",
            "CIDR block association",
            "InvalidSubnetCidrBlockAssociationID.NotFound",
            "InvalidParameterValue",
        ),
        IdErrors(
            "scr",
            "subnet CIDR reservation",
            "InvalidSubnetCidrReservationID.NotFound",
            "InvalidParameterValue",
        ),
        IdErrors(
            "pcx",
            "vpcPeeringConnection",
            "InvalidVpcPeeringConnectionID.NotFound",
            "InvalidVpcPeeringConnectionId.Malformed",
        ),
        IdErrors(
            "igw",
            "internetGateway",
            "InvalidInternetGatewayID.NotFound",
            "InvalidInternetGatewayId.Malformed",
        ),
        IdErrors(
            "eigw",
            "egressOnlyInternetGateway",
            "InvalidEgressOnlyInternetGatewayId.NotFound",
            "InvalidEgressOnlyInternetGatewayId.Malformed",
        ),
        IdErrors("nat", "NAT gateway", "NatGatewayNotFound", "NatGatewayMalformed"),
        IdErrors("vpce", "Vpc Endpoint", "InvalidVpcEndpointId.NotFound", "InvalidVpcEndpointId.Malformed"),
        IdErrors(
            "vpce-svc",
            "Vpc Endpoint Service",
            "InvalidVpcEndpointServiceId.NotFound",
            "InvalidVpcEndpointServiceId.Malformed",
        ),
        IdErrors("eipalloc", "allocation", "InvalidAllocationID.NotFound", "InvalidParameterValue"),
        IdErrors("eipassoc", "association", "InvalidAssociationID.NotFound", "InvalidParameterValue"),
        IdErrors(
            "eni-attach",
            "attachment",
            "InvalidAttachmentID.NotFound",
            "InvalidNetworkInterfaceAttachmentId.Malformed",
        ),
    )
}

_ID_DIGITS = re.compile(r"(?:[0-9a-f]{8}|[0-9a-f]{17})\Z")


def is_well_formed(prefix: str, resource_id: str) -> bool:
    """Ids have 17 hex digits, or 8 as AWS's did until 2018."""
    return resource_id.startswith(f"{prefix}-") and bool(_ID_DIGITS.match(resource_id[len(prefix) + 1 :]))


def check_id(prefix: str, resource_id: str) -> None:
    """Raises the kind's Malformed."""
    if not is_well_formed(prefix, resource_id):
        code = ID_ERRORS[prefix].malformed
        raise ApiError(code, f'Invalid id: "{resource_id}" (expecting "{prefix}-...")')


def not_found(prefix: str, *resource_ids: str) -> ApiError:
    row = ID_ERRORS[prefix]
    if len(resource_ids) == 1:
        return ApiError(row.not_found, f"The {row.noun}{row.id_word} '{resource_ids[0]}' does not exist")
    return ApiError(row.not_found, f"The {row.noun}{row.id_word}s '{', '.join(resource_ids)}' do not exist")


def missing_parameter(name: str) -> ApiError:
    return ApiError("MissingParameter", f"The request must contain the parameter {name}")


def invalid_value(parameter: str, value: object, why: str) -> ApiError:
    """`why` is a sentence: "This is not a valid CIDR block."."""
    return ApiError("InvalidParameterValue", f"Value ({value}) for parameter {parameter} is invalid. {why}")


def invalid_parameter(message: str) -> ApiError:
    """InvalidParameterValue with a message of its own."""
    return ApiError("InvalidParameterValue", message)


def invalid_combination(message: str) -> ApiError:
    return ApiError("InvalidParameterCombination", message)


def not_permitted(message: str) -> ApiError:
    return ApiError("OperationNotPermitted", message)


def dependency_violation(noun: str, resource_id: str) -> ApiError:
    return ApiError(
        "DependencyViolation", f"The {noun} '{resource_id}' has dependencies and cannot be deleted."
    )


def unsupported(message: str) -> ApiError:
    """What AWS has and Rookery does not: said, never ignored."""
    return ApiError("UnsupportedOperation", message)


def refuse_unbuilt(parameters: dict[str, object], *names: str) -> None:
    """Raises UnsupportedOperation when one of these parameters is given: accepting it would be a lie."""
    for name in names:
        if parameters.get(name) not in (None, False, [], {}):
            raise unsupported(f"The parameter {name} is not supported by Rookery yet.")
