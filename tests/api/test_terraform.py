"""Terraform's AWS provider applies, sees no drift, changes in place and destroys a realistic VPC: both address families,
subnets, route tables with an appliance and a peering, security groups in all the ways the provider has, default ones too, network
ACLs, a prefix list, DHCP options, NAT gateways, instances.

The provider waits ten seconds, whatever happens, for an IPv6 block, for names of a VPC, for an instance: so no such thing here stands on
another. No other test tries this client.

terraform --> provider --> front, handlers --> MemoryStore <-- a thread that does what hosts are asked to
"""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import serialization as forms
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.api.terraform_nat import NAT_CONFIGURATION, check_nat_gateways, check_nat_gateways_are_gone
from tests.api.terraform_runs import in_folder, needs_terraform

CONFIGURATION = """
variable "url" {}
variable "public_key" {}
variable "office" { default = "10.9.0.0/16" }
variable "hops" { default = 2 }
terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}
provider "aws" {
  region                  = "us-east-1"
  skip_metadata_api_check = true
  endpoints {
    ec2 = var.url
    sts = var.url
  }
}
resource "aws_vpc" "main" {
  cidr_block                       = "10.0.0.0/16"
  assign_generated_ipv6_cidr_block = true
  tags                             = { Name = "main" }
}
resource "aws_vpc_dhcp_options" "main" {
  domain_name                       = "example.org"
  domain_name_servers               = ["AmazonProvidedDNS"]
  ntp_servers                       = ["169.254.169.123"]
  netbios_node_type                 = 2
  ipv6_address_preferred_lease_time = 300
  tags                              = { Name = "main" }
}
resource "aws_vpc_dhcp_options_association" "main" {
  vpc_id          = aws_vpc.main.id
  dhcp_options_id = aws_vpc_dhcp_options.main.id
}
resource "aws_vpc_ipv4_cidr_block_association" "second" {
  vpc_id     = aws_vpc.main.id
  cidr_block = "10.9.0.0/16"
}
resource "aws_subnet" "web" {
  vpc_id            = aws_vpc.main.id
  cidr_block        = "10.0.1.0/24"
  availability_zone = "us-east-1a"
  tags              = { Name = "web" }
}
resource "aws_subnet" "data" {
  vpc_id                          = aws_vpc.main.id
  cidr_block                      = "10.0.2.0/24"
  availability_zone               = "us-east-1b"
  ipv6_cidr_block                 = cidrsubnet(aws_vpc.main.ipv6_cidr_block, 8, 1)
  assign_ipv6_address_on_creation = true
}
resource "aws_subnet" "box" {
  vpc_id            = aws_vpc.main.id
  cidr_block        = "10.0.3.0/24"
  availability_zone = "us-east-1a"
}
resource "aws_ec2_subnet_cidr_reservation" "kept" {
  subnet_id        = aws_subnet.data.id
  cidr_block       = "10.0.2.64/26"
  reservation_type = "explicit"
}
resource "aws_ec2_managed_prefix_list" "offices" {
  name           = "offices"
  address_family = "IPv4"
  max_entries    = 5
  entry {
    cidr        = "198.51.100.0/24"
    description = "north"
  }
  entry {
    cidr = "203.0.113.0/24"
  }
}
resource "aws_security_group" "web" {
  name        = "web"
  description = "the web servers"
  vpc_id      = aws_vpc.main.id
  ingress {
    description      = "everybody"
    protocol         = "tcp"
    from_port        = 443
    to_port          = 443
    cidr_blocks      = ["0.0.0.0/0", var.office]
    ipv6_cidr_blocks = ["::/0"]
  }
  ingress {
    protocol  = "icmp"
    from_port = 8
    to_port   = 0
    self      = true
  }
  ingress {
    protocol        = "tcp"
    from_port       = 22
    to_port         = 22
    prefix_list_ids = [aws_ec2_managed_prefix_list.offices.id]
  }
  egress {
    protocol        = "icmp"
    from_port       = 8
    to_port         = -1
    security_groups = [aws_security_group.data.id]
  }
}
resource "aws_security_group" "data" {
  name_prefix = "data"
  vpc_id      = aws_vpc.main.id
}
resource "aws_default_security_group" "closed" {
  vpc_id = aws_vpc.main.id
}
resource "aws_vpc_security_group_ingress_rule" "from_web" {
  security_group_id            = aws_security_group.data.id
  referenced_security_group_id = aws_security_group.web.id
  ip_protocol                  = "tcp"
  from_port                    = 5432
  to_port                      = 5432
  tags                         = { Name = "database" }
}
resource "aws_vpc_security_group_ingress_rule" "office" {
  security_group_id = aws_security_group.data.id
  ip_protocol       = "tcp"
  from_port         = 22
  to_port           = 22
  cidr_ipv4         = var.office
  description       = "ssh from ${var.office}"
}
resource "aws_vpc_security_group_egress_rule" "ipv6" {
  security_group_id = aws_security_group.data.id
  cidr_ipv6         = "::/0"
  ip_protocol       = "-1"
}
resource "aws_vpc_security_group_egress_rule" "gre" {
  security_group_id = aws_security_group.data.id
  cidr_ipv4         = "10.0.0.0/16"
  ip_protocol       = "47"
}
resource "aws_security_group_rule" "old_way" {
  security_group_id = aws_security_group.data.id
  type              = "ingress"
  protocol          = "udp"
  from_port         = 53
  to_port           = 53
  cidr_blocks       = ["10.0.0.0/16"]
}
resource "aws_network_acl" "data" {
  vpc_id     = aws_vpc.main.id
  subnet_ids = [aws_subnet.data.id]
  ingress {
    rule_no    = 100
    action     = "allow"
    protocol   = "tcp"
    from_port  = 5432
    to_port    = 5432
    cidr_block = var.office
  }
  ingress {
    rule_no    = 110
    action     = "deny"
    protocol   = "icmp"
    from_port  = 0
    to_port    = 0
    icmp_type  = 8
    icmp_code  = -1
    cidr_block = "0.0.0.0/0"
  }
  egress {
    rule_no         = 90
    action          = "allow"
    protocol        = "-1"
    from_port       = 0
    to_port         = 0
    ipv6_cidr_block = "::/0"
  }
  egress {
    rule_no    = 100
    action     = "allow"
    protocol   = "tcp"
    from_port  = 1024
    to_port    = 65535
    cidr_block = "10.0.0.0/16"
  }
}
resource "aws_network_acl_rule" "ping" {
  network_acl_id = aws_network_acl.extra.id
  rule_number    = 200
  rule_action    = "allow"
  protocol       = "icmp"
  icmp_type      = -1
  icmp_code      = -1
  cidr_block     = "0.0.0.0/0"
}
resource "aws_network_acl" "extra" {
  vpc_id = aws_vpc.main.id
  lifecycle {
    ignore_changes = [ingress, egress]
  }
}
resource "aws_default_network_acl" "closed" {
  default_network_acl_id = aws_vpc.main.default_network_acl_id
  lifecycle {
    ignore_changes = [subnet_ids]
  }
}
resource "aws_internet_gateway" "main" {
  vpc_id = aws_vpc.main.id
  tags   = { Name = "main" }
}
resource "aws_egress_only_internet_gateway" "main" {
  vpc_id = aws_vpc.main.id
}
resource "aws_route" "out" {
  route_table_id         = aws_route_table.data.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.main.id
}
resource "aws_route" "out_ipv6" {
  route_table_id              = aws_route_table.data.id
  destination_ipv6_cidr_block = "::/0"
  egress_only_gateway_id      = aws_egress_only_internet_gateway.main.id
}
resource "aws_eip" "web" {
  domain     = "vpc"
  tags       = { Name = "web" }
  depends_on = [aws_internet_gateway.main]
}
resource "aws_eip_association" "web" {
  allocation_id = aws_eip.web.id
  instance_id   = aws_instance.web.id
}
resource "aws_vpc" "partner" {
  cidr_block           = "10.1.0.0/16"
  enable_dns_hostnames = true
}
resource "aws_vpc_peering_connection" "partner" {
  vpc_id      = aws_vpc.main.id
  peer_vpc_id = aws_vpc.partner.id
  auto_accept = true
  # While its own request waits for an answer, no block can be added to a VPC.
  depends_on = [aws_vpc_ipv4_cidr_block_association.second]
}
resource "aws_route_table" "web" {
  vpc_id = aws_vpc.main.id
  route {
    cidr_block           = "10.77.0.0/16"
    network_interface_id = aws_network_interface.spare.id
  }
}
resource "aws_route" "partner" {
  route_table_id            = aws_route_table.data.id
  destination_cidr_block    = "10.1.0.0/16"
  vpc_peering_connection_id = aws_vpc_peering_connection.partner.id
}
resource "aws_route_table" "data" {
  vpc_id = aws_vpc.main.id
}
resource "aws_route" "through_the_box" {
  route_table_id         = aws_route_table.data.id
  destination_cidr_block = "10.0.1.0/24"
  network_interface_id   = aws_network_interface.spare.id
}
resource "aws_route_table_association" "data" {
  subnet_id      = aws_subnet.data.id
  route_table_id = aws_route_table.data.id
}
resource "aws_key_pair" "me" {
  key_name   = "me"
  public_key = var.public_key
}
resource "aws_network_interface" "spare" {
  subnet_id         = aws_subnet.box.id
  private_ips       = ["10.0.3.50", "10.0.3.51"]
  description       = "spare"
  source_dest_check = false
  security_groups   = [aws_security_group.web.id, aws_security_group.data.id]
  tags              = { Name = "spare" }
}
data "aws_ami" "namespace" {
  owners      = ["rookery"]
  most_recent = true
}
resource "aws_instance" "web" {
  ami                    = data.aws_ami.namespace.id
  instance_type          = "t3.micro"
  subnet_id              = aws_subnet.web.id
  private_ip             = "10.0.1.20"
  vpc_security_group_ids = [aws_security_group.web.id]
  key_name               = aws_key_pair.me.key_name
  user_data              = "#!/bin/sh\\necho hello\\n"
  tags                   = { Name = "web" }
  metadata_options {
    http_tokens                 = "required"
    http_put_response_hop_limit = var.hops
    instance_metadata_tags      = "enabled"
  }
  private_dns_name_options {
    hostname_type                     = "resource-name"
    enable_resource_name_dns_a_record = true
  }
}
resource "aws_instance" "router" {
  ami           = data.aws_ami.namespace.id
  instance_type = "t3.nano"
  network_interface {
    network_interface_id = aws_network_interface.spare.id
    device_index         = 0
  }
}
"""


def public_key():
    key = Ed25519PrivateKey.generate().public_key()
    return key.public_bytes(forms.Encoding.OpenSSH, forms.PublicFormat.OpenSSH).decode()


def default_groups(ec2):
    """Of the VPC with the /16 of the configuration."""
    (vpc,) = ec2.describe_vpcs(Filters=[{"Name": "cidr", "Values": ["10.0.0.0/16"]}])["Vpcs"]
    chosen = [{"Name": "vpc-id", "Values": [vpc["VpcId"]]}, {"Name": "group-name", "Values": ["default"]}]
    return ec2.describe_security_groups(Filters=chosen)["SecurityGroups"]


def hop_limit(ec2):
    chosen = [{"Name": "tag:Name", "Values": ["web"]}, {"Name": "instance-state-name", "Values": ["running"]}]
    (found,) = ec2.describe_instances(Filters=chosen)["Reservations"]
    return found["Instances"][0]["MetadataOptions"]["HttpPutResponseHopLimit"]


@pytest.fixture
def terraform(api, tmp_path, refusals):
    api.add_pool()
    api.add_cells()
    files = {"main.tf": CONFIGURATION, "nat.tf": NAT_CONFIGURATION}
    return in_folder(tmp_path, api, refusals, files, public_key=public_key())


@pytest.mark.timeout(400)
@needs_terraform
@pytest.mark.usefixtures("obedient_hosts")
def test_terraform_applies_without_drift_changes_in_place_and_destroys(ec2, terraform):
    terraform("apply", "-auto-approve", "-parallelism=30")
    states = [
        each["State"]["Name"]
        for group in ec2.describe_instances()["Reservations"]
        for each in group["Instances"]
    ]
    assert states == ["running", "running"]
    assert [rule for group in default_groups(ec2) for rule in group["IpPermissions"]] == []
    check_nat_gateways(ec2)
    (chosen,) = ec2.describe_vpcs(Filters=[{"Name": "cidr", "Values": ["10.0.0.0/16"]}])["Vpcs"]
    (options,) = ec2.describe_dhcp_options(Filters=[{"Name": "tag:Name", "Values": ["main"]}])["DhcpOptions"]
    assert chosen["DhcpOptionsId"] == options["DhcpOptionsId"]
    elsewhere = ("-var", "office=10.8.0.0/16", "-var", "hops=3")
    said = terraform("apply", "-auto-approve", *elsewhere)  # looks at everything first
    assert "Plan: 0 to add, 4 to change, 0 to destroy." in said  # a group, a rule, an ACL, an instance; a fifth would be drift
    terraform("plan", "-detailed-exitcode", *elsewhere)  # 2 would mean that it sees a difference
    assert hop_limit(ec2) == 3
    terraform("destroy", "-auto-approve", "-refresh=false", *elsewhere)  # the plan before has just looked
    check_nat_gateways_are_gone(ec2)
    assert len(ec2.describe_dhcp_options()["DhcpOptions"]) == 1
    assert ec2.describe_network_interfaces()["NetworkInterfaces"] == []
    assert ec2.describe_key_pairs()["KeyPairs"] == []
    assert ec2.describe_addresses()["Addresses"] == []
    assert len(ec2.describe_internet_gateways()["InternetGateways"]) == 1  # the default VPC's
    assert ec2.describe_egress_only_internet_gateways()["EgressOnlyInternetGateways"] == []
    assert [vpc["IsDefault"] for vpc in ec2.describe_vpcs()["Vpcs"]] == [True]
    assert [group["GroupName"] for group in ec2.describe_security_groups()["SecurityGroups"]] == ["default"]
    assert ec2.describe_managed_prefix_lists()["PrefixLists"] == []
