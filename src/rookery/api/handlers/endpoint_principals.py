"""Who may connect to an endpoint service: everybody, or whole accounts. There are no users and no roles."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from rookery.api.errors import invalid_parameter, unsupported
from rookery.model.objects import AllowedPrincipal, VpcEndpointService

EVERYBODY = "*"
_ACCOUNT = re.compile(r"arn:aws:iam::(\d{12}):root\Z")
_SOMEBODY = re.compile(r"arn:aws:iam::\d{12}:(?:user|role)/.+\Z")


def checked_principals(given: Iterable[str]) -> list[str]:
    """Each once. Raises InvalidParameterValue, UnsupportedOperation."""
    wanted = list(dict.fromkeys(given))
    for one in wanted:
        if _SOMEBODY.match(one):
            raise unsupported(f"The principal {one[:200]}: Rookery has accounts, but no users and no roles yet.")
        if one != EVERYBODY and not _ACCOUNT.match(one):
            raise invalid_parameter(f"Invalid Principal: '{one[:200]}'")
    return wanted


def is_permitted(account: str, service: VpcEndpointService) -> bool:
    """Whether the account may know of the service. Its owner may."""
    arns = {one.arn for one in service.principals}
    return account == service.account or bool(arns & {EVERYBODY, f"arn:aws:iam::{account}:root"})


def render_principal(one: AllowedPrincipal, service_id: str) -> dict[str, Any]:
    """`AddedPrincipal`, and nearly `AllowedPrincipal`."""
    return {
        "PrincipalType": "All" if one.arn == EVERYBODY else "Account",
        "Principal": one.arn,
        "ServicePermissionId": one.id,
        "ServiceId": service_id,
        "PermissionType": "vpc-endpoint",
    }
