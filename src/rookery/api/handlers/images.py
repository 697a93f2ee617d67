"""DescribeImages."""

from __future__ import annotations

from typing import Any

from rookery.api.filters import Filters, apply_filters, matcher
from rookery.api.handlers.image_catalogue import (
    IMAGES,
    OWNER,
    OWNER_ALIAS,
    Image,
    known_image,
    virtualization,
)
from rookery.api.operation import Outcome, Request, View, operation
from rookery.api.pages import page
from rookery.api.tags import render_tags

FILTERS: Filters = {
    "architecture": lambda image, view: image.architecture,
    "creation-date": lambda image, view: image.created,
    "description": lambda image, view: image.description,
    "ena-support": lambda image, view: False,
    "hypervisor": lambda image, view: None,
    "image-id": lambda image, view: image.id,
    "image-type": lambda image, view: "machine",
    "is-public": lambda image, view: True,
    "name": lambda image, view: image.name,
    "owner-alias": lambda image, view: OWNER_ALIAS,
    "owner-id": lambda image, view: OWNER,
    "platform": lambda image, view: None,
    "root-device-type": lambda image, view: "instance-store",
    "state": lambda image, view: "available",
    "virtualization-type": lambda image, view: image.virtualization or None,
}


@operation("DescribeImages")
def describe_images(request: Request, view: View) -> Outcome:
    ids = request.parameters.get("ImageIds")
    images = [known_image(each) for each in dict.fromkeys(ids)] if ids else list(IMAGES.values())
    images = [image for image in images if is_asked_for(request)]
    chosen = page(
        request,
        apply_filters(images, request.parameters.get("Filters"), FILTERS, view),
        "ImageIds",
        position=lambda image: (0.0, image.id),
    )
    return Outcome(result=chosen.result("Images", [shape(image) for image in chosen.items]))


def is_asked_for(request: Request) -> bool:
    """By owner, and by who may launch it: everybody."""
    owners = request.parameters.get("Owners") or [OWNER]
    users = request.parameters.get("ExecutableUsers") or ["all"]
    return any(matcher(owner)(name) for owner in owners for name in (OWNER, OWNER_ALIAS)) and "all" in users


def shape(image: Image) -> dict[str, Any]:
    return {
        "ImageId": image.id,
        "Name": image.name,
        "Description": image.description,
        "Architecture": image.architecture,
        "CreationDate": image.created,
        "ImageLocation": f"{OWNER_ALIAS}/{image.name}",
        "ImageOwnerAlias": OWNER_ALIAS,
        "ImageType": "machine",
        "OwnerId": OWNER,
        "PlatformDetails": "Linux/UNIX",
        "Public": True,
        "RootDeviceType": "instance-store",
        "State": "available",
        "EnaSupport": False,
        "BlockDeviceMappings": [],
        "ProductCodes": [],
        "Tags": render_tags(image.tags),
        **virtualization(image),
    }
