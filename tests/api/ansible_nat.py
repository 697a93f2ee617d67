"""NAT gateways in the plays of tests/api/test_ansible.py: a play of their own after the first, and one before the last."""

from __future__ import annotations

_HEAD = """
- hosts: localhost
  gather_facts: false
  vars: {ansible_python_interpreter: "{{ python }}"}
  module_defaults:
    group/amazon.aws.aws: {region: us-east-1}
  tasks:
    - amazon.aws.ec2_vpc_subnet_info: {filters: {"tag:Name": data}}
      register: data
"""

NAT_PLAY = (
    _HEAD
    + """
    - amazon.aws.ec2_vpc_nat_gateway:
        subnet_id: "{{ data.subnets[0].subnet_id }}"
        if_exist_do_not_create: true
        wait: true
        tags: {Name: out}
      register: nat
    - amazon.aws.ec2_vpc_route_table:
        vpc_id: "{{ data.subnets[0].vpc_id }}"
        tags: {Name: behind}
        routes:
          - {dest: 0.0.0.0/0, gateway_id: "{{ nat.nat_gateway_id }}"}
"""
)

NAT_AWAY = (
    _HEAD
    + """
    - amazon.aws.ec2_vpc_route_table: {vpc_id: "{{ data.subnets[0].vpc_id }}", tags: {Name: behind}, lookup: tag, state: absent}
    - amazon.aws.ec2_vpc_nat_gateway_info: {filters: {state: [available]}}
      register: nats
    - amazon.aws.ec2_vpc_nat_gateway:
        nat_gateway_id: "{{ nats.result[0].nat_gateway_id }}"
        release_eip: true
        wait: true
        state: absent
"""
)
