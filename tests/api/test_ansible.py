"""Ansible's amazon.aws modules build a VPC that leads to the internet, find nothing to change the second time, and take it away again.

Three modules wait for seconds by themselves. Two of them go on beside other tasks (`async`), whose changes are counted when they are asked
about; the third one would look at an instance every 15 seconds, so it does not wait, and the playbook does.

ansible-playbook --> front, handlers --> MemoryStore <-- a thread that does what hosts are asked to
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.api.ansible_nat import NAT_AWAY, NAT_PLAY
from tests.api.ansible_runs import in_folder

PLAY = """
- hosts: localhost
  gather_facts: false
  vars: {ansible_python_interpreter: "{{ python }}", ansible_async_dir: "{{ jobs }}"}
  module_defaults:
    group/amazon.aws.aws: {region: us-east-1}
  tasks:
    - amazon.aws.ec2_vpc_net: {name: main, cidr_block: 10.0.0.0/16, ipv6_cidr: true, dns_support: true, dns_hostnames: true, tags: {team: net}}
      register: vpc
    - amazon.aws.ec2_vpc_dhcp_option:
        vpc_id: "{{ vpc.vpc.id }}"
        domain_name: example.org
        dns_servers: [AmazonProvidedDNS]
        ntp_servers: [169.254.169.123]
        netbios_name_servers: [10.0.1.9]
        inherit_existing: false
        delete_old: true
        tags: {Name: main}
      register: options
    - amazon.aws.ec2_vpc_net: {name: partner, cidr_block: 10.1.0.0/16}
      register: partner
    - amazon.aws.ec2_vpc_subnet: {vpc_id: "{{ vpc.vpc.id }}", cidr: 10.0.1.0/24, az: us-east-1a, tags: {Name: web}}
      register: web
    - amazon.aws.ec2_vpc_subnet: {vpc_id: "{{ vpc.vpc.id }}", cidr: 10.0.2.0/24, az: us-east-1b, tags: {Name: data}}
      register: data
    - amazon.aws.ec2_security_group:
        name: web
        description: the web servers
        vpc_id: "{{ vpc.vpc.id }}"
        rules:
          - {proto: tcp, ports: [80, 443], cidr_ip: 0.0.0.0/0, cidr_ipv6: "::/0", rule_desc: everybody}
          - {proto: icmp, icmp_type: 8, icmp_code: -1, cidr_ip: 10.0.0.0/8}
      register: group
    - amazon.aws.ec2_security_group:
        name: data
        description: the databases
        vpc_id: "{{ vpc.vpc.id }}"
        rules:
          - {proto: tcp, ports: 5432, group_id: "{{ group.group_id }}"}
        rules_egress: []
        purge_rules_egress: true
      async: 60
      poll: 0
      changed_when: false
      register: data_group
    - amazon.aws.ec2_vpc_igw: {vpc_id: "{{ vpc.vpc.id }}", tags: {Name: main}}
      register: igw
    - amazon.aws.ec2_vpc_egress_igw: {vpc_id: "{{ vpc.vpc.id }}"}
      register: eigw
    - amazon.aws.ec2_vpc_nacl:
        vpc_id: "{{ vpc.vpc.id }}"
        name: data
        subnets: ["{{ data.subnet.id }}"]
        ingress:
          - [100, tcp, allow, 10.0.0.0/16, null, null, 5432, 5432]
          - [200, icmp, allow, 0.0.0.0/0, 8, -1]
        egress:
          - [100, all, allow, 0.0.0.0/0, null, null, null, null]
    - amazon.aws.ec2_vpc_peering:
        vpc_id: "{{ vpc.vpc.id }}"
        peer_vpc_id: "{{ partner.vpc.id }}"
        state: present
      register: pcx
    - amazon.aws.ec2_vpc_peering: {peering_id: "{{ pcx.peering_id }}", state: accept}
    - amazon.aws.ec2_eni:
        subnet_id: "{{ web.subnet.id }}"
        private_ip_address: 10.0.1.50
        description: spare
        security_groups: ["{{ group.group_id }}"]
      register: spare
    - amazon.aws.ec2_vpc_route_table:
        vpc_id: "{{ vpc.vpc.id }}"
        tags: {Name: web}
        subnets: ["{{ web.subnet.id }}"]
        routes:
          - {dest: 10.1.0.0/16, vpc_peering_connection_id: "{{ pcx.peering_id }}"}
          - {dest: 0.0.0.0/0, gateway_id: "{{ igw.gateway_id }}"}
          - {dest: "::/0", egress_only_internet_gateway_id: "{{ eigw.gateway_id }}"}
      async: 60
      poll: 0
      changed_when: false
      register: table
    - amazon.aws.ec2_instance:
        name: web
        image_id: "{{ image }}"
        instance_type: t3.micro
        vpc_subnet_id: "{{ web.subnet.id }}"
        security_group: "{{ group.group_id }}"
        metadata_options: {http_tokens: required, http_put_response_hop_limit: 2, instance_metadata_tags: enabled}
        state: present
        wait: true
      register: instance
    - amazon.aws.ec2_eip:
        device_id: "{{ instance.instance_ids[0] }}"
        in_vpc: true
        tags: {Name: web}
    - ansible.builtin.async_status: {jid: "{{ item.ansible_job_id }}"}
      loop: ["{{ data_group }}", "{{ table }}"]
      register: job
      until: job.finished
      retries: 100
      delay: 0.2
"""

AWAY = """
- hosts: localhost
  gather_facts: false
  vars: {ansible_python_interpreter: "{{ python }}"}
  module_defaults:
    group/amazon.aws.aws: {region: us-east-1}
  tasks:
    - amazon.aws.ec2_eip_info: {filters: {"tag:Name": web}}
      register: eips
    - amazon.aws.ec2_eip:
        device_id: "{{ eips.addresses[0].instance_id }}"
        ip: "{{ eips.addresses[0].public_ip }}"
        state: absent
        release_on_disassociation: true
    - amazon.aws.ec2_instance: {filters: {"tag:Name": web}, state: absent, wait: false}
    - amazon.aws.ec2_vpc_net_info: {filters: {"tag:Name": [main, partner]}}
      register: vpcs
    - set_fact: {vpc: "{{ (vpcs.vpcs | selectattr('cidr_block', 'equalto', '10.0.0.0/16') | first).vpc_id }}"}
    - amazon.aws.ec2_vpc_peering_info: {filters: {status-code: active}}
      register: peerings
    - amazon.aws.ec2_vpc_peering: {peering_id: "{{ peerings.vpc_peering_connections[0].vpc_peering_connection_id }}", state: absent}
    - amazon.aws.ec2_eni_info: {filters: {description: spare}}
      register: spare
    - amazon.aws.ec2_eni: {eni_id: "{{ spare.network_interfaces[0].id }}", state: absent}
    - amazon.aws.ec2_vpc_igw: {vpc_id: "{{ vpc }}", state: absent}
    - amazon.aws.ec2_vpc_egress_igw: {vpc_id: "{{ vpc }}", state: absent}
    - amazon.aws.ec2_instance_info: {filters: {"tag:Name": web}}
      register: ended
      until: ended.instances[0].state.name == "terminated"
      retries: 60
      delay: 0.2
    - amazon.aws.ec2_vpc_route_table: {vpc_id: "{{ vpc }}", tags: {Name: web}, lookup: tag, state: absent}
    - amazon.aws.ec2_vpc_nacl: {vpc_id: "{{ vpc }}", name: data, state: absent}
    - amazon.aws.ec2_vpc_subnet: {vpc_id: "{{ vpc }}", cidr: "{{ item }}", state: absent}
      loop: [10.0.1.0/24, 10.0.2.0/24]
    - amazon.aws.ec2_security_group: {name: "{{ item }}", vpc_id: "{{ vpc }}", state: absent}
      loop: [data, web]
    - amazon.aws.ec2_vpc_net: {vpc_id: "{{ item.vpc_id }}", state: absent}
      loop: "{{ vpcs.vpcs }}"
    - amazon.aws.ec2_vpc_dhcp_option_info: {filters: {"tag:Name": main}}
      register: options
    - amazon.aws.ec2_vpc_dhcp_option: {dhcp_options_id: "{{ options.dhcp_options[0].dhcp_options_id }}", state: absent}
"""


@pytest.fixture
def play(api, ec2, tmp_path: Path):
    api.add_pool()
    image = ec2.describe_images()["Images"][0]["ImageId"]
    return in_folder(tmp_path, api, image=image, jobs=f"{tmp_path}/jobs")


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("obedient_hosts")
def test_ansible_changes_nothing_the_second_time_and_leaves_nothing(api, ec2, play):
    api.add_cells()
    assert play(PLAY + NAT_PLAY) > 14
    assert play(PLAY + NAT_PLAY) == 0
    (instance,) = ec2.describe_instances()["Reservations"][0]["Instances"]
    assert instance["MetadataOptions"]["HttpTokens"] == "required"
    held = {address.get("InstanceId") for address in ec2.describe_addresses()["Addresses"]}
    assert instance["InstanceId"] in held
    (gateway,) = ec2.describe_egress_only_internet_gateways()["EgressOnlyInternetGateways"]
    web = [{"Name": "tag:Name", "Values": ["web"]}]
    (table,) = ec2.describe_route_tables(Filters=web)["RouteTables"]
    assert gateway["EgressOnlyInternetGatewayId"] in {route.get("EgressOnlyInternetGatewayId") for route in table["Routes"]}
    play(NAT_AWAY + AWAY)
    assert ec2.describe_addresses()["Addresses"] == []
    assert len(ec2.describe_internet_gateways()["InternetGateways"]) == 1  # the default VPC's
    assert ec2.describe_egress_only_internet_gateways()["EgressOnlyInternetGateways"] == []
    assert len(ec2.describe_dhcp_options()["DhcpOptions"]) <= 1
    assert [vpc["IsDefault"] for vpc in ec2.describe_vpcs()["Vpcs"]] == [True]
    assert [group["GroupName"] for group in ec2.describe_security_groups()["SecurityGroups"]] == ["default"]
