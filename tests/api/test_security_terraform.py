"""Terraform's AWS provider applies, sees no drift, changes in place and destroys: groups, their rules, and network ACLs.

terraform --> front, handlers --> MemoryStore
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from rookery.testing.running_api import ACCESS_KEY, SECRET
from tests.api.security_scene import default_group, make_vpc, rules_of

MIRROR = Path("/opt/tf-plugins")  # a filesystem mirror of the provider
TERRAFORM = shutil.which("terraform")

CONFIGURATION = """
variable "url" {}
variable "vpc" {}
variable "subnet" {}
variable "default_acl" {}
variable "office" { default = "10.9.0.0/16" }
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
resource "aws_security_group" "inline" {
  name        = "inline"
  description = "rules in the group"
  vpc_id      = var.vpc
  tags        = { Name = "inline" }
  ingress {
    description      = "web"
    protocol         = "tcp"
    from_port        = 443
    to_port          = 443
    cidr_blocks      = ["0.0.0.0/0", var.office]
    ipv6_cidr_blocks = ["::/0"]
  }
  ingress {
    protocol  = "-1"
    from_port = 0
    to_port   = 0
    self      = true
  }
  ingress {
    protocol    = "47"
    from_port   = 0
    to_port     = 0
    cidr_blocks = [var.office]
  }
  egress {
    protocol        = "icmp"
    from_port       = 8
    to_port         = -1
    security_groups = [aws_security_group.apart.id]
  }
}
resource "aws_security_group" "apart" {
  name_prefix = "apart"
  vpc_id      = var.vpc
}
resource "aws_security_group_rule" "old" {
  security_group_id = aws_security_group.apart.id
  type              = "ingress"
  protocol          = "udp"
  from_port         = 53
  to_port           = 53
  cidr_blocks       = ["10.0.0.0/8"]
  description       = "dns"
}
resource "aws_vpc_security_group_ingress_rule" "new" {
  security_group_id = aws_security_group.apart.id
  ip_protocol       = "tcp"
  from_port         = 22
  to_port           = 22
  cidr_ipv4         = var.office
  description       = "ssh from ${var.office}"
  tags              = { Name = "ssh" }
}
resource "aws_vpc_security_group_egress_rule" "new" {
  security_group_id = aws_security_group.apart.id
  ip_protocol       = "-1"
  cidr_ipv6         = "::/0"
}
resource "aws_default_security_group" "mine" {
  vpc_id = var.vpc
}
resource "aws_network_acl" "mine" {
  vpc_id     = var.vpc
  subnet_ids = [var.subnet]
  tags       = { Name = "mine" }
  ingress {
    rule_no    = 100
    action     = "allow"
    protocol   = "tcp"
    from_port  = 443
    to_port    = 443
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
    rule_no         = 100
    action          = "allow"
    protocol        = "-1"
    from_port       = 0
    to_port         = 0
    ipv6_cidr_block = "::/0"
  }
}
resource "aws_network_acl" "apart" {
  vpc_id = var.vpc
}
resource "aws_network_acl_rule" "one" {
  network_acl_id = aws_network_acl.apart.id
  rule_number    = 200
  egress         = true
  rule_action    = "allow"
  protocol       = "udp"
  from_port      = 1024
  to_port        = 65535
  cidr_block     = "10.0.0.0/8"
}
resource "aws_default_network_acl" "default" {
  default_network_acl_id = var.default_acl
}
"""


def in_vpc(vpc_id):
    return [{"Name": "vpc-id", "Values": [vpc_id]}]


@pytest.mark.timeout(600)
@pytest.mark.skipif(not TERRAFORM, reason="no program terraform on PATH: this client is not tried")
@pytest.mark.skipif(not MIRROR.is_dir(), reason=f"no AWS provider in {MIRROR}: a test downloads nothing")
def test_terraform_applies_without_drift_changes_in_place_and_destroys(api, ec2, tmp_path):
    vpc_id = make_vpc(ec2)
    subnet_id = ec2.create_subnet(VpcId=vpc_id, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    (default,) = ec2.describe_network_acls(Filters=in_vpc(vpc_id))["NetworkAcls"]
    (tmp_path / "main.tf").write_text(CONFIGURATION)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_EC2_METADATA_DISABLED": "true",
        "CHECKPOINT_DISABLE": "1",
        "TF_VAR_url": api.url,
        "TF_VAR_vpc": vpc_id,
        "TF_VAR_subnet": subnet_id,
        "TF_VAR_default_acl": default["NetworkAclId"],
    }

    def terraform(*arguments):
        command = [TERRAFORM, *arguments, "-no-color"]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=300
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]

    terraform("init", f"-plugin-dir={MIRROR}")
    terraform("apply", "-auto-approve")
    terraform("plan", "-detailed-exitcode")  # 2 would mean that it sees a difference
    assert rules_of(ec2, default_group(ec2, vpc_id)["GroupId"]) == []  # that resource takes all rules away
    elsewhere = ("-var", "office=10.8.0.0/16")
    terraform("apply", "-auto-approve", *elsewhere)
    terraform("plan", "-detailed-exitcode", *elsewhere)
    terraform("destroy", "-auto-approve", *elsewhere)
    groups = ec2.describe_security_groups(Filters=in_vpc(vpc_id))["SecurityGroups"]
    assert [group["GroupName"] for group in groups] == ["default"]
    (acl,) = ec2.describe_network_acls(Filters=in_vpc(vpc_id))["NetworkAcls"]
    assert [one["SubnetId"] for one in acl["Associations"]] == [subnet_id]
