"""Terraform's AWS provider applies, sees no drift, changes in place and destroys network load balancers: one that is internal, with
groups, one that faces the internet with an Elastic IP, target groups of both types, attachments, listeners, an endpoint service and its endpoint.

The provider waits a minute, whatever happens, for a balancer.

terraform --> provider --> front, handlers --> MemoryStore <-- a thread that does what hosts and cells are asked to
"""

from __future__ import annotations

import pytest

from tests.api.terraform_endpoints import (
    ENDPOINT_CONFIGURATION,
    check_endpoints,
    check_endpoints_are_gone,
)
from tests.api.terraform_runs import in_folder, needs_terraform

CONFIGURATION = """
variable "url" {}
variable "interval" { default = 30 }
terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}
provider "aws" {
  region                  = "us-east-1"
  skip_metadata_api_check = true
  endpoints {
    ec2   = var.url
    sts   = var.url
    elbv2 = var.url
  }
}
resource "aws_vpc" "main" {
  cidr_block = "10.0.0.0/16"
}
resource "aws_internet_gateway" "main" {
  vpc_id = aws_vpc.main.id
}
resource "aws_subnet" "web" {
  for_each          = { a = "10.0.1.0/24", b = "10.0.2.0/24" }
  vpc_id            = aws_vpc.main.id
  cidr_block        = each.value
  availability_zone = "us-east-1${each.key}"
}
resource "aws_security_group" "web" {
  name   = "web"
  vpc_id = aws_vpc.main.id
}
resource "aws_lb" "inside" {
  name                             = "inside"
  load_balancer_type               = "network"
  internal                         = true
  security_groups                  = [aws_security_group.web.id]
  enable_cross_zone_load_balancing = true
  tags                             = { Name = "inside" }
  subnet_mapping {
    subnet_id            = aws_subnet.web["a"].id
    private_ipv4_address = "10.0.1.77"
  }
  subnet_mapping {
    subnet_id = aws_subnet.web["b"].id
  }
}
resource "aws_eip" "outside" {
  domain = "vpc"
}
resource "aws_lb" "outside" {
  name               = "outside"
  load_balancer_type = "network"
  subnet_mapping {
    subnet_id     = aws_subnet.web["a"].id
    allocation_id = aws_eip.outside.id
  }
  depends_on = [aws_internet_gateway.main]
}
resource "aws_lb_target_group" "web" {
  name                              = "web"
  port                              = 80
  protocol                          = "TCP"
  vpc_id                            = aws_vpc.main.id
  deregistration_delay              = 60
  preserve_client_ip                = false
  load_balancing_cross_zone_enabled = true
  health_check {
    protocol = "HTTP"
    path     = "/up"
    matcher  = "200-299"
    interval = var.interval
  }
  stickiness {
    type    = "source_ip"
    enabled = true
  }
}
resource "aws_lb_target_group" "dns" {
  name        = "dns"
  port        = 53
  protocol    = "TCP_UDP"
  target_type = "ip"
  vpc_id      = aws_vpc.main.id
}
resource "aws_lb_listener" "web" {
  load_balancer_arn        = aws_lb.inside.arn
  port                     = 80
  protocol                 = "TCP"
  tcp_idle_timeout_seconds = 600
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.web.arn
  }
}
resource "aws_lb_listener" "dns" {
  load_balancer_arn = aws_lb.outside.arn
  port              = 53
  protocol          = "UDP"
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.dns.arn
  }
}
data "aws_ami" "namespace" {
  owners      = ["rookery"]
  most_recent = true
}
resource "aws_instance" "web" {
  ami           = data.aws_ami.namespace.id
  instance_type = "t3.micro"
  subnet_id     = aws_subnet.web["a"].id
}
resource "aws_lb_target_group_attachment" "web" {
  target_group_arn = aws_lb_target_group.web.arn
  target_id        = aws_instance.web.id
}
resource "aws_lb_target_group_attachment" "dns" {
  target_group_arn = aws_lb_target_group.dns.arn
  target_id        = "10.0.1.53"
  port             = 5353
}
"""


@pytest.fixture
def terraform(api, tmp_path, refusals):
    api.add_pool()
    api.add_cells()
    return in_folder(tmp_path, api, refusals, {"main.tf": CONFIGURATION, "endpoints.tf": ENDPOINT_CONFIGURATION})


@pytest.mark.timeout(400)
@needs_terraform
@pytest.mark.usefixtures("obedient_hosts")
def test_terraform_keeps_load_balancers_without_drift_and_takes_them_away(api, ec2, terraform):
    elb = api.client("elbv2")
    terraform("apply", "-auto-approve", "-parallelism=30")
    assert {one["State"]["Code"] for one in elb.describe_load_balancers()["LoadBalancers"]} == {"active"}
    check_endpoints(ec2)
    said = terraform("apply", "-auto-approve", "-var", "interval=60")  # looks at everything first
    assert "Plan: 0 to add, 1 to change, 0 to destroy." in said  # a second change would be drift
    (web,) = elb.describe_target_groups(Names=["web"])["TargetGroups"]
    assert web["HealthCheckIntervalSeconds"] == 60
    terraform("destroy", "-auto-approve", "-refresh=false", "-var", "interval=60")
    check_endpoints_are_gone(ec2)
    assert elb.describe_load_balancers()["LoadBalancers"] == []
    assert elb.describe_target_groups()["TargetGroups"] == []
    assert ec2.describe_network_interfaces()["NetworkInterfaces"] == []
    assert ec2.describe_addresses()["Addresses"] == []
    assert [vpc["IsDefault"] for vpc in ec2.describe_vpcs()["Vpcs"]] == [True]
