"""All that an instance may ask about itself: a pure function of its intent."""

from __future__ import annotations

import base64

from rookery.host.services.metadata.directory import Directory
from rookery.host.services.metadata.identity_document import identity_document
from rookery.host.services.metadata.network import group_names, interfaces, local_hostname
from rookery.intent.host import InstanceIntent, InterfaceIntent

ENABLED = "enabled"
NOTHING_PLANNED = "[]"  # events: a region here announces none
WITHOUT_SLASHES = {"dynamic": "dynamic", "meta-data": "meta-data"}  # so AWS lists them


def contents(instance: InstanceIntent) -> Directory:
    """What lies under /latest/, and under every other version: none is narrower than another."""
    document = Directory({"document": identity_document(instance)})
    return Directory(
        {
            "dynamic": Directory({"instance-identity": document}),
            "meta-data": _metadata(instance),
            "user-data": base64.b64decode(instance.user_data),
        },
        WITHOUT_SLASHES,
    )


def _metadata(instance: InstanceIntent) -> Directory:
    metadata = instance.metadata
    return Directory(
        {
            "ami-id": metadata.image,
            "ami-launch-index": str(metadata.launch_index),
            "ami-manifest-path": "(unknown)",  # AWS's word for an image that no manifest describes
            "events": Directory(
                {"maintenance": Directory({"history": NOTHING_PLANNED, "scheduled": NOTHING_PLANNED})}
            ),
            "instance-action": "none",
            "instance-id": instance.id,
            "instance-life-cycle": "on-demand",
            "instance-type": metadata.instance_type,
            "network": interfaces(instance),
            "placement": _placement(instance),
            "profile": "default-hvm",
            "public-keys": _public_keys(instance),
            "reservation-id": metadata.reservation,
            "services": Directory({"domain": "amazonaws.com", "partition": "aws"}),
            "tags": _tags(instance),
            **(_of_primary(instance, instance.interfaces[0]) if instance.interfaces else {}),
        }
    )


def _of_primary(instance: InstanceIntent, primary: InterfaceIntent) -> dict[str, str]:
    """An interface's items that are the instance's too."""
    hostname = local_hostname(instance, primary)
    return {
        "hostname": hostname,
        "ipv6": primary.ipv6_addresses[0] if primary.ipv6_addresses else "",
        "local-hostname": hostname,
        "local-ipv4": primary.primary,
        "mac": primary.mac.lower(),
        "security-groups": group_names(primary),
    }


def _placement(instance: InstanceIntent) -> Directory:
    metadata = instance.metadata
    return Directory(
        {
            "availability-zone": metadata.zone,
            "availability-zone-id": metadata.zone_id,
            "region": metadata.region,
        }
    )


def _public_keys(instance: InstanceIntent) -> Directory:
    metadata = instance.metadata
    key = Directory({"openssh-key": metadata.public_key})
    return Directory({"0": key}, {"0": f"0={metadata.key_name}"})


def _tags(instance: InstanceIntent) -> Directory:
    shown = instance.metadata.tags if instance.metadata.options.tags == ENABLED else ()
    return Directory({"instance": Directory(dict(shown), empty=True)})  # a tag without a value is there
