"""The tour of the cell, which fails when something is not as it says; and what it leaves behind: nothing that a cell works for."""

from __future__ import annotations

import pytest

from rookery.tour.hyperplane import AWS_REGION
from tests.balancing.street import Street
from tests.faults.size import only_if_asked

pytestmark = [pytest.mark.real_packets, only_if_asked]


def test_the_tour_of_the_cell_holds_and_leaves_nothing_at_it(whole_street: Street):
    region = whole_street.region
    done = region.rookery("tour", "hyperplane", timeout=110)
    assert done.returncode == 0, done.stdout.decode()[-2000:] + done.stderr.decode()[-500:]
    ec2, elb = (region.client(service, AWS_REGION) for service in ("ec2", "elbv2"))
    assert {one["State"] for one in ec2.describe_nat_gateways()["NatGateways"]} <= {"deleted"}
    assert elb.describe_load_balancers()["LoadBalancers"] == elb.describe_target_groups()["TargetGroups"] == []
    assert ec2.describe_vpc_endpoints()["VpcEndpoints"] == ec2.describe_vpc_endpoint_service_configurations()["ServiceConfigurations"] == []
    assert ec2.describe_addresses()["Addresses"] == []
