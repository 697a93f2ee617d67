"""NAT gateways beside the VPC of tests/api/test_terraform.py: a public one with two addresses, a private one, and routes to both."""

from __future__ import annotations

NAT_CONFIGURATION = """
resource "aws_eip" "nat" {
  count      = 2
  domain     = "vpc"
  depends_on = [aws_internet_gateway.main]
}
resource "aws_nat_gateway" "public" {
  subnet_id                = aws_subnet.web.id
  private_ip               = "10.0.1.21"
  allocation_id            = aws_eip.nat[0].id
  secondary_allocation_ids = [aws_eip.nat[1].id]
  tags                     = { Name = "public" }
  depends_on               = [aws_internet_gateway.main]
}
resource "aws_nat_gateway" "private" {
  subnet_id                          = aws_subnet.data.id
  connectivity_type                  = "private"
  private_ip                         = "10.0.2.20"
  secondary_private_ip_address_count = 2
  tags                               = { Name = "private" }
}
resource "aws_route_table" "behind" {
  vpc_id = aws_vpc.main.id
  route {
    cidr_block     = "0.0.0.0/0"
    nat_gateway_id = aws_nat_gateway.public.id
  }
  route {
    cidr_block     = "10.50.0.0/16"
    nat_gateway_id = aws_nat_gateway.private.id
  }
}
resource "aws_route" "by_the_private_one" {
  route_table_id         = aws_route_table.data.id
  destination_cidr_block = "10.51.0.0/16"
  nat_gateway_id         = aws_nat_gateway.private.id
}
resource "aws_route" "nat64" {
  route_table_id              = aws_route_table.data.id
  destination_ipv6_cidr_block = "64:ff9b::/96"
  nat_gateway_id              = aws_nat_gateway.public.id
}
resource "aws_route_table_association" "behind" {
  subnet_id      = aws_subnet.box.id
  route_table_id = aws_route_table.behind.id
}
"""


def check_nat_gateways(ec2):
    """After the configuration was applied."""
    found = ec2.describe_nat_gateways(Filter=[{"Name": "state", "Values": ["available"]}])["NatGateways"]
    counts = {one["ConnectivityType"]: len(one["NatGatewayAddresses"]) for one in found}
    assert counts == {"public": 2, "private": 3}
    routed = [{"Name": "route.nat-gateway-id", "Values": [one["NatGatewayId"] for one in found]}]
    tables = ec2.describe_route_tables(Filters=routed)["RouteTables"]
    states = [route["State"] for table in tables for route in table["Routes"] if "NatGatewayId" in route]
    assert states == ["active"] * 4


def check_nat_gateways_are_gone(ec2):
    """After it was destroyed: their records stay for an hour."""
    assert {one["State"] for one in ec2.describe_nat_gateways()["NatGateways"]} == {"deleted"}
