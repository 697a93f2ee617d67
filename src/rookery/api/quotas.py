"""AWS's default quotas. A Rookery region may set others (ServerSettings.quotas)."""

from __future__ import annotations

import msgspec


class Quotas(msgspec.Struct, frozen=True, kw_only=True):
    """Per AWS region of an account, unless the name says otherwise."""

    vpcs: int = 5
    subnets_per_vpc: int = 200
    cidrs_per_vpc: int = 5
    route_tables_per_vpc: int = 200
    routes_per_table: int = 500  # of each family, local ones aside
    ipv6_cidrs_per_vpc: int = 5
    prefix_lists: int = 100
    network_acls_per_vpc: int = 200
    network_acl_entries: int = 20  # per direction and family
    security_groups: int = 2500
    security_group_rules: int = 60  # per group, direction and family
    network_interfaces: int = 5000
    internet_gateways: int = 5
    egress_only_gateways: int = 5
    elastic_ips: int = 5
    nat_gateways: int = 5  # per availability zone
    nat_elastic_ips: int = 2  # of one public NAT gateway; AWS raises it to 8
    nat_zone_elastic_ips: int = 32  # of one regional NAT gateway in one availability zone
    nat_private_addresses: int = 8  # of one private NAT gateway
    interface_endpoints: int = 50  # of one VPC
    endpoint_services: int = 20
    instances: int = 1000
    key_pairs: int = 5000
    peerings_per_vpc: int = 50  # active ones
    outstanding_peerings: int = 25  # of the requester
    load_balancers: int = 50
    target_groups: int = 3000
    listeners_per_balancer: int = 50
    cell_share: int = 50  # percent of the room of one cell of Hyperplane; not AWS's
    targets_per_group: int = 1000
    targets_per_balancer: int = 3000
    targets_per_zone: int = 500  # of a balancer; of the whole balancer where its zones are crossed
    registrations_per_target: int = 1000  # of one instance or address, with one balancer
