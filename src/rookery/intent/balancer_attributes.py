"""The attributes of balancers, target groups and listeners: what holds where nobody said anything, and what is said of them."""

from __future__ import annotations

from rookery.model.balancers import Listener, LoadBalancer, TargetGroup

OFF = "off"
OF_BALANCER = "use_load_balancer_configuration"

CROSS_ZONE = "load_balancing.cross_zone.enabled"
DELETION_PROTECTION = "deletion_protection.enabled"
IPV6_BLOCKED = "ipv6.deny_all_igw_traffic"
IDLE_SECONDS = "tcp.idle_timeout.seconds"
UDP_IDLE_SECONDS = 120  # nobody can change it
DRAIN_SECONDS = "deregistration_delay.timeout_seconds"
DRAINED_ARE_CUT = "deregistration_delay.connection_termination.enabled"
UNHEALTHY_ARE_CUT = "target_health_state.unhealthy.connection_termination.enabled"
UNHEALTHY_DRAIN_SECONDS = "target_health_state.unhealthy.draining_interval_seconds"
PRESERVE_CLIENT = "preserve_client_ip.enabled"
PROXY_PROTOCOL = "proxy_protocol_v2.enabled"
STICKY = "stickiness.enabled"
LEAST_FOR_NAMES = "target_group_health.dns_failover.minimum_healthy_targets"  # .count, .percentage
LEAST_FOR_ROUTING = "target_group_health.unhealthy_state_routing.minimum_healthy_targets"

_OF_BALANCERS = {
    "access_logs.s3.enabled": "false",
    "access_logs.s3.bucket": "",
    "access_logs.s3.prefix": "",
    DELETION_PROTECTION: "false",
    CROSS_ZONE: "false",
    "dns_record.client_routing_policy": "any_availability_zone",
    "secondary_ips.auto_assigned.per_subnet": "0",
    "zonal_shift.config.enabled": "false",
}


def balancer_attributes(balancer: LoadBalancer) -> dict[str, str]:
    blocked = {IPV6_BLOCKED: "true" if balancer.is_internal else "false"}
    return {**_OF_BALANCERS, **blocked, **balancer.attributes}


def group_attributes(group: TargetGroup) -> dict[str, str]:
    return {**_defaults_of(group), **group.attributes}


def _defaults_of(group: TargetGroup) -> dict[str, str]:
    """A client of TCP is preserved only for instances, one of UDP always."""
    has_udp = group.protocol != "TCP"
    return {
        DRAIN_SECONDS: "300",
        DRAINED_ARE_CUT: "true" if has_udp else "false",
        PRESERVE_CLIENT: "true" if has_udp or group.target_type == "instance" else "false",
        PROXY_PROTOCOL: "false",
        STICKY: "false",
        "stickiness.type": "source_ip",
        CROSS_ZONE: OF_BALANCER,
        f"{LEAST_FOR_NAMES}.count": "1",
        f"{LEAST_FOR_NAMES}.percentage": OFF,
        f"{LEAST_FOR_ROUTING}.count": "1",
        f"{LEAST_FOR_ROUTING}.percentage": OFF,
        UNHEALTHY_ARE_CUT: "true",
        UNHEALTHY_DRAIN_SECONDS: "0",
    }


def listener_attributes(listener: Listener) -> dict[str, str]:
    """One of UDP alone has none."""
    return {IDLE_SECONDS: "350", **listener.attributes} if listener.protocol != "UDP" else {}


def is_on(attributes: dict[str, str], name: str) -> bool:
    return attributes[name] == "true"


def drain_seconds(group: TargetGroup) -> float:
    return float(group_attributes(group)[DRAIN_SECONDS])


def crosses_zones(balancer: LoadBalancer, group: TargetGroup) -> bool:
    said = group_attributes(group)[CROSS_ZONE]
    return is_on(balancer_attributes(balancer), CROSS_ZONE) if said == OF_BALANCER else said == "true"


def are_enough(attributes: dict[str, str], least: str, healthy: int, among: int) -> bool:
    """`least`: LEAST_FOR_NAMES or LEAST_FOR_ROUTING."""
    count, percentage = attributes[f"{least}.count"], attributes[f"{least}.percentage"]
    by_count = count == OFF or healthy >= int(count)
    return by_count and (percentage == OFF or healthy * 100 >= int(percentage) * among)
