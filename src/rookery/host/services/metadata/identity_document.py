"""/dynamic/instance-identity/document: who an instance is, in JSON. Nobody signs it, so there is no signature beside it."""

from __future__ import annotations

import json
import os
import time

from rookery.intent.host import InstanceIntent

VERSION = "2017-09-30"
AWS_NAMES = {"aarch64": "arm64"}
MACHINE = os.uname().machine  # instances run on their host's processor
ARCHITECTURE = AWS_NAMES.get(MACHINE, MACHINE)


def identity_document(instance: InstanceIntent) -> str:
    """Laid out as AWS lays it out: some readers are regular expressions."""
    metadata = instance.metadata
    document = {
        "accountId": metadata.account,
        "architecture": ARCHITECTURE,
        "availabilityZone": metadata.zone,
        "billingProducts": None,
        "devpayProductCodes": None,
        "marketplaceProductCodes": None,
        "imageId": metadata.image,
        "instanceId": instance.id,
        "instanceType": metadata.instance_type,
        "kernelId": None,
        "pendingTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(metadata.launched)),
        "privateIp": instance.interfaces[0].primary if instance.interfaces else None,
        "ramdiskId": None,
        "region": metadata.region,
        "version": VERSION,
    }
    return json.dumps(document, indent=2, separators=(",", " : "))
