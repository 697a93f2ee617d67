"""An endpoint service on the internal balancer of tests/api/test_balancers_terraform.py, and an endpoint in another VPC of the same
addresses that it accepts, with a private name."""

from __future__ import annotations

ENDPOINT_CONFIGURATION = """
variable "principals" { default = ["*"] }
resource "aws_vpc_endpoint_service" "inside" {
  network_load_balancer_arns = [aws_lb.inside.arn]
  acceptance_required        = true
  allowed_principals         = var.principals
  private_dns_name           = "inside.example.com"
  tags                       = { Name = "inside" }
}
resource "aws_vpc" "consumer" {
  cidr_block           = "10.0.0.0/16"
  enable_dns_hostnames = true
}
resource "aws_subnet" "consumer" {
  vpc_id            = aws_vpc.consumer.id
  cidr_block        = "10.0.1.0/24"
  availability_zone = "us-east-1a"
}
resource "aws_security_group" "endpoint" {
  name   = "endpoint"
  vpc_id = aws_vpc.consumer.id
}
resource "aws_vpc_endpoint" "inside" {
  vpc_id             = aws_vpc.consumer.id
  vpc_endpoint_type  = "Interface"
  service_name       = aws_vpc_endpoint_service.inside.service_name
  subnet_ids         = [aws_subnet.consumer.id]
  security_group_ids = [aws_security_group.endpoint.id]
  tags               = { Name = "inside" }
}
resource "aws_vpc_endpoint_connection_accepter" "inside" {
  vpc_endpoint_service_id = aws_vpc_endpoint_service.inside.id
  vpc_endpoint_id         = aws_vpc_endpoint.inside.id
}
resource "aws_vpc_endpoint_private_dns" "inside" {
  vpc_endpoint_id     = aws_vpc_endpoint_connection_accepter.inside.vpc_endpoint_id
  private_dns_enabled = true
}
"""


def check_endpoints(ec2):
    """After the configuration was applied."""
    (endpoint,) = ec2.describe_vpc_endpoints()["VpcEndpoints"]
    assert (endpoint["State"], endpoint["PrivateDnsEnabled"]) == ("available", True)
    names = [one["DnsName"] for one in endpoint["DnsEntries"]]
    assert names[-1] == "inside.example.com"
    (allowed,) = ec2.describe_vpc_endpoint_service_permissions(
        ServiceId=endpoint["ServiceName"].rpartition(".")[2]
    )["AllowedPrincipals"]
    assert allowed["Principal"] == "*"


def check_endpoints_are_gone(ec2):
    assert ec2.describe_vpc_endpoints()["VpcEndpoints"] == []
    assert ec2.describe_vpc_endpoint_service_configurations()["ServiceConfigurations"] == []
