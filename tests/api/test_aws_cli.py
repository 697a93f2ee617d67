"""The AWS CLI builds a VPC with everything that this service guards it with.

aws ec2 --> front, handlers --> MemoryStore
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rookery.testing.running_api import ACCESS_KEY, SECRET

AWS_CLI = Path(sys.executable).with_name("aws")


def cli(url: str, service: str = "ec2"):
    """What runs `aws <service> <line>`."""
    environment = {
        "PATH": os.environ["PATH"],
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }

    def run(line: str) -> str:
        """The answer: JSON, or the text that --query chose."""
        command = [str(AWS_CLI), service, *line.split()]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, f"{line}: {done.stderr}"
        return done.stdout.strip()

    return run


@pytest.fixture
def aws(api):
    return cli(api.url)


def test_the_aws_cli_builds_a_guarded_vpc(aws, ec2):
    """A process of its takes half a second: what is only looked at afterwards, boto3 looks at."""
    vpc = aws("create-vpc --cidr-block 10.0.0.0/16 --query Vpc.VpcId --output text")
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    web = aws(
        f"create-security-group --group-name web --description web --vpc-id {vpc} --query GroupId --output text"
    )
    aws(
        f"authorize-security-group-ingress --group-id {web} --protocol tcp --port 443 --cidr 0.0.0.0/0 --output json"
    )
    guard(aws, ec2, vpc, subnet)
    eni = "NetworkInterface.NetworkInterfaceId --output text"
    box = aws(f"create-network-interface --subnet-id {subnet} --groups {web} --query {eni}")
    route(aws, ec2, vpc, box)
    (group,) = json.loads(aws(f"describe-security-groups --group-ids {web} --output json"))["SecurityGroups"]
    (permission,) = group["IpPermissions"]
    assert (permission["FromPort"], permission["IpRanges"]) == (443, [{"CidrIp": "0.0.0.0/0"}])


def test_the_aws_cli_says_what_dhcp_says(aws, ec2):
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    options = aws(
        "create-dhcp-options --dhcp-configurations Key=domain-name,Values=example.org"
        " Key=domain-name-servers,Values=10.0.0.53,AmazonProvidedDNS"
        " --query DhcpOptions.DhcpOptionsId --output text"
    )
    aws(f"associate-dhcp-options --dhcp-options-id {options} --vpc-id {vpc}")
    used = f"describe-vpcs --vpc-ids {vpc} --query Vpcs[0].DhcpOptionsId --output text"
    assert ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"][0]["DhcpOptionsId"] == options
    servers = "DhcpOptions[0].DhcpConfigurations[?Key=='domain-name-servers'].Values[].Value --output text"
    shown = aws(f"describe-dhcp-options --dhcp-options-ids {options} --query {servers}")
    assert shown.split() == ["10.0.0.53", "AmazonProvidedDNS"]
    aws(f"associate-dhcp-options --dhcp-options-id default --vpc-id {vpc}")
    assert aws(used) == "default"
    aws(f"delete-dhcp-options --dhcp-options-id {options}")


def guard(aws, ec2, vpc, subnet):
    acl = ec2.create_network_acl(VpcId=vpc)["NetworkAcl"]["NetworkAclId"]
    aws(
        f"create-network-acl-entry --network-acl-id {acl} --ingress --rule-number 100 --protocol tcp"
        " --port-range From=443,To=443 --cidr-block 0.0.0.0/0 --rule-action allow"
    )
    association = f"NetworkAcls[].Associations[?SubnetId=='{subnet}'].NetworkAclAssociationId[] --output text"
    before = aws(f"describe-network-acls --query {association}")
    aws(f"replace-network-acl-association --association-id {before} --network-acl-id {acl}")
    (found,) = ec2.describe_network_acls(NetworkAclIds=[acl])["NetworkAcls"]
    assert [one["SubnetId"] for one in found["Associations"]] == [subnet]
    assert {entry["RuleNumber"] for entry in found["Entries"]} == {100, 32767}


def route(aws, ec2, vpc, box):
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    aws(f"create-route --route-table-id {table} --destination-cidr-block 10.77.0.0/16 --network-interface-id {box}")
    (found,) = ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"]
    assert [one["DestinationCidrBlock"] for one in found["Routes"]] == ["10.0.0.0/16", "10.77.0.0/16"]
