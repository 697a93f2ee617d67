"""Terraform's AWS provider applies, sees no drift, and destroys: an instance, an interface, a key pair, by an image it looks up.

It takes a minute, most of it in `apply`, where the API waits for the provider and not the other way round; no other test tries
this client.

terraform --> front, handlers --> MemoryStore <-- a thread that does what hosts are asked to
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization as forms
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from rookery.testing.running_api import ACCESS_KEY, SECRET

MIRROR = Path("/opt/tf-plugins")  # a filesystem mirror of the provider
TERRAFORM = shutil.which("terraform")

CONFIGURATION = """
variable "url" {}
variable "subnet" {}
variable "public_key" {}
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
resource "aws_key_pair" "me" {
  key_name   = "me"
  public_key = var.public_key
}
resource "aws_network_interface" "spare" {
  subnet_id   = var.subnet
  private_ips = ["10.0.1.50", "10.0.1.51"]
  description = "spare"
  tags        = { Name = "spare" }
}
data "aws_ami" "namespace" {
  owners      = ["rookery"]
  most_recent = true
}
resource "aws_instance" "web" {
  ami           = data.aws_ami.namespace.id
  instance_type = "t3.micro"
  subnet_id     = var.subnet
  private_ip    = "10.0.1.20"
  key_name      = aws_key_pair.me.key_name
  user_data     = "#!/bin/sh\\necho hello\\n"
  tags          = { Name = "web" }
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


@pytest.fixture
def obedient_hosts(api):
    """Every instance becomes what it is wanted to be, twenty times a second."""
    ended = threading.Event()

    def obey():
        while not ended.wait(0.05):
            api.hosts_obey()

    thread = threading.Thread(target=obey)
    thread.start()
    yield
    ended.set()
    thread.join()


def public_key():
    key = Ed25519PrivateKey.generate().public_key()
    return key.public_bytes(forms.Encoding.OpenSSH, forms.PublicFormat.OpenSSH).decode()


@pytest.mark.timeout(400)
@pytest.mark.skipif(not TERRAFORM, reason="no program terraform on PATH: this client is not tried")
@pytest.mark.skipif(not MIRROR.is_dir(), reason=f"no AWS provider in {MIRROR}: a test downloads nothing")
@pytest.mark.usefixtures("obedient_hosts")
def test_terraform_applies_without_drift_and_destroys(api, ec2, tmp_path):
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    (tmp_path / "main.tf").write_text(CONFIGURATION)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_EC2_METADATA_DISABLED": "true",
        "CHECKPOINT_DISABLE": "1",
        "TF_VAR_url": api.url,
        "TF_VAR_subnet": subnet,
        "TF_VAR_public_key": public_key(),
    }

    def terraform(*arguments):
        command = [TERRAFORM, *arguments, "-no-color"]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=300
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]

    terraform("init", f"-plugin-dir={MIRROR}")
    terraform("apply", "-auto-approve")
    states = [
        each["State"]["Name"]
        for group in ec2.describe_instances()["Reservations"]
        for each in group["Instances"]
    ]
    assert states == ["running", "running"]
    terraform("plan", "-detailed-exitcode")  # 2 would mean that it sees a difference
    terraform("destroy", "-auto-approve")
    assert ec2.describe_network_interfaces()["NetworkInterfaces"] == []
    assert ec2.describe_key_pairs()["KeyPairs"] == []
