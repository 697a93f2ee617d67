"""Ansible's community.aws modules build a network load balancer and its target group, find nothing to change the second time, and take
them away again.

ansible-playbook --> front, handlers --> MemoryStore <-- a thread that does what hosts and cells are asked to
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rookery.testing.running_api import ACCESS_KEY, SECRET

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
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.json",
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "AWS_ENDPOINT_URL": api.url,
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_EC2_METADATA_DISABLED": "true",
    }

    def run(text: str) -> int:
        (tmp_path / "play.yml").write_text(text)
        command = [Path(sys.executable).with_name("ansible-playbook"), "-i", "localhost,", "-c", "local"]
        command += ["-e", json.dumps({"python": sys.executable, **places}), tmp_path / "play.yml"]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=300
        )
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        return json.loads(done.stdout)["stats"]["localhost"]["changed"]

    return run


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
