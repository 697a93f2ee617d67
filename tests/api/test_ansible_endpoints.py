"""Ansible's amazon.aws.ec2_vpc_endpoint connects to an endpoint service, finds nothing to change the second time, and goes away again.

ansible-playbook --> front, handlers --> MemoryStore <-- a thread that does what hosts and cells are asked to
"""

from __future__ import annotations

import pytest

from tests.api.endpoint_scene import arn, balancer, stand_in
from tests.api.test_balancers_ansible import HEAD, play

__all__ = ["play"]  # a fixture

PLAY = (
    HEAD
    + """
    - amazon.aws.ec2_vpc_endpoint_service_info: {filters: {owner: "123456789012"}}
      register: services
    - amazon.aws.ec2_security_group_info: {filters: {vpc-id: "{{ vpc }}", group-name: default}}
      register: found
    - amazon.aws.ec2_vpc_endpoint:
        vpc_id: "{{ vpc }}"
        vpc_endpoint_type: Interface
        service: "{{ services.service_names[0] }}"
        vpc_endpoint_subnets: ["{{ subnet_a }}", "{{ subnet_b }}"]
        vpc_endpoint_security_groups: ["{{ found.security_groups[0].group_id }}"]
        tags: {Name: web}
        wait: true
        state: present
"""
)
AWAY = (
    HEAD
    + """
    - amazon.aws.ec2_vpc_endpoint_info: {filters: {"tag:Name": web}}
      register: endpoints
    - amazon.aws.ec2_vpc_endpoint:
        vpc_endpoint_id: "{{ endpoints.vpc_endpoints[0].vpc_endpoint_id }}"
        wait: true
        state: absent
"""
)


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("obedient_hosts")
def test_ansible_connects_once_and_goes_away(ec2, play, monkeypatch):  # noqa: F811
    zones = {f"us-east-1{letter}": f"eni-000000000000{letter * 5}" for letter in "ab"}
    stand_in(monkeypatch, balancer("web", "vpc-0", zones))
    ec2.create_vpc_endpoint_service_configuration(
        NetworkLoadBalancerArns=[arn("web")], AcceptanceRequired=False
    )
    assert play(PLAY) == 1
    assert play(PLAY) == 0
    (endpoint,) = ec2.describe_vpc_endpoints()["VpcEndpoints"]
    assert (endpoint["State"], len(endpoint["SubnetIds"])) == ("available", 2)
    assert play(AWAY) == 1
    assert ec2.describe_vpc_endpoints()["VpcEndpoints"] == []
    assert ec2.describe_network_interfaces()["NetworkInterfaces"] == []
