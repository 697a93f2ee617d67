"""The DHCP options set that a VPC has from its first moment: the default one of its account and AWS region.

It is made with the first VPC that needs it. Its owner may delete it, as at AWS, once no VPC has it; the next VPC makes another.
"""

from __future__ import annotations

from rookery.api.operation import Ids, Request, View
from rookery.intent.dhcp import AMAZON_PROVIDED_DNS
from rookery.intent.names import domain_name
from rookery.model.objects import DhcpOptions


def default_options(view: View) -> DhcpOptions | None:
    return next((one for one in view.all(DhcpOptions) if one.is_default), None)


def needed_options(request: Request, view: View) -> tuple[DhcpOptions, tuple[DhcpOptions, ...]]:
    """The set for a new VPC, and what of it must be made."""
    found = default_options(view)
    if found is not None:
        return found, ()
    made = new_default_options(request.account, request.region, request.now, request.ids)
    return made, (made,)


def new_default_options(account: str, region: str, now: float, ids: Ids) -> DhcpOptions:
    return DhcpOptions(
        account=account,
        region=region,
        id=ids.new(DhcpOptions.PREFIX),
        created=now,
        is_default=True,
        configurations=(
            ("domain-name", (domain_name(region),)),
            ("domain-name-servers", (AMAZON_PROVIDED_DNS,)),
        ),
    )
