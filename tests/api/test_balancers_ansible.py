"""Ansible's community.aws modules build a network load balancer and its target group, find nothing to change the second time, and take
them away again.

ansible-playbook --> front, handlers --> MemoryStore <-- a thread that does what hosts and cells are asked to
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.api.ansible_runs import in_folder

HEAD = """
- hosts: localhost
  gather_facts: false
  vars: {ansible_python_interpreter: "{{ python }}"}
  tasks:
"""
PLAY = (
    HEAD
    + """
    - community.aws.elb_target_group:
        name: web
        protocol: tcp
        port: 80
        vpc_id: "{{ vpc }}"
        target_type: ip
        health_check_interval: 30
        deregistration_delay_timeout: 60
        targets: [{Id: 10.0.1.9, Port: 80}]
        wait: false
        state: present
    - community.aws.elb_network_lb:
        name: web
        scheme: internal
        subnets: ["{{ subnet_a }}", "{{ subnet_b }}"]
        cross_zone_load_balancing: true
        tags: {team: net}
        listeners:
          - {Protocol: TCP, Port: 80, DefaultActions: [{Type: forward, TargetGroupName: web}]}
        state: present
"""
)
AWAY = (
    HEAD
    + """
    - community.aws.elb_network_lb: {name: web, state: absent}
    - community.aws.elb_target_group: {name: web, state: absent}
"""
)


@pytest.fixture
def play(api, ec2, tmp_path: Path):
    """Runs a playbook; how many tasks changed something."""
    api.add_cells()
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    places = {"vpc": vpc}
    for n, zone in ((1, "a"), (2, "b")):
        made = ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"us-east-1{zone}")
        places[f"subnet_{zone}"] = made["Subnet"]["SubnetId"]
    return in_folder(tmp_path, api, **places)


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("obedient_hosts")
def test_ansible_changes_nothing_the_second_time_and_takes_a_balancer_away(api, ec2, play):
    elb = api.client("elbv2")
    assert play(PLAY) == 2
    assert play(PLAY) == 0
    (balancer,) = elb.describe_load_balancers()["LoadBalancers"]
    (listener,) = elb.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
    assert (listener["Port"], listener["Protocol"]) == (80, "TCP")
    play(AWAY)
    assert elb.describe_load_balancers()["LoadBalancers"] == []
    assert elb.describe_target_groups()["TargetGroups"] == []
    assert ec2.describe_network_interfaces()["NetworkInterfaces"] == []
