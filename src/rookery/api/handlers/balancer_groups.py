"""Security groups of a load balancer: SetSecurityGroups."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from rookery.api.handlers.balancer_arns import find_balancer
from rookery.api.handlers.balancer_shape import consumers_shape, interface_in
from rookery.api.handlers.balancer_zones import wrong_configuration
from rookery.api.handlers.interface_groups import MOST_GROUPS
from rookery.api.operation import ApiError, Outcome, Request, View, balancing_operation
from rookery.model.objects import SecurityGroup


def checked_groups(view: View, asked: Sequence[str], vpc_id: str) -> tuple[str, ...]:
    """Each once, in the order asked for. Raises InvalidSecurityGroup, InvalidConfigurationRequest."""
    groups = tuple(dict.fromkeys(asked))
    for group_id in groups:
        group = view.get(SecurityGroup, group_id)
        if group is None:
            raise ApiError("InvalidSecurityGroup", f"The security group '{group_id[:80]}' does not exist")
        if group.vpc_id != vpc_id:
            why = f"The security group '{group_id}' does not belong to the VPC '{vpc_id}'"
            raise ApiError("InvalidSecurityGroup", why)
    if len(groups) > MOST_GROUPS:
        raise wrong_configuration(f"A load balancer has at most {MOST_GROUPS} security groups")
    return groups


@balancing_operation("SetSecurityGroups")
def set_security_groups(request: Request, view: View) -> Outcome:
    """Other ones; never the first ones, and never none."""
    parameters = request.parameters
    balancer = find_balancer(view, parameters["LoadBalancerArn"])
    if not balancer.groups:
        why = "Security groups cannot be set on a network load balancer that was created without any"
        raise wrong_configuration(why)
    groups = checked_groups(view, parameters["SecurityGroups"], balancer.vpc_id)
    if not groups:
        raise wrong_configuration("All security groups of a network load balancer cannot be removed")
    said = parameters.get("EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic")
    seen = balancer.groups_see_consumers if said is None else said == "on"
    changed = replace(balancer, groups=groups, groups_see_consumers=seen)
    interfaces = [replace(interface_in(view, zone), groups=groups) for zone in balancer.zones]
    return Outcome(
        result={"SecurityGroupIds": list(groups), **consumers_shape(changed)},
        puts=(changed, *interfaces) if changed != balancer else (),
    )
