"""The images an instance can be made of: the namespace on a host's own file system, and a guest with a kernel of its own."""

from __future__ import annotations

import re

import msgspec

from rookery.api.operation import ApiError
from rookery.model.objects import GUEST, NAMESPACE

OWNER = "000000000000"  # no customer's account: the images come with Rookery
OWNER_ALIAS = "rookery"
MALFORMED = "InvalidAMIID.Malformed"
_AMI_ID = re.compile(r"ami-(?:[0-9a-f]{8}|[0-9a-f]{17})")


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """The same id in every region."""

    id: str
    name: str
    description: str
    architecture: str
    created: str  # ISO 8601, as AWS sends it
    kind: str  # what runs its instances: rookery.model.objects.Instance.kind
    virtualization: str = ""  # as AWS calls it; empty: none of AWS's
    tags: dict[str, str] = {}


# The digits of the id spell "Rookery" and a number.
NAMESPACE_IMAGE = Image(
    id="ami-0526f6f6b65727901",
    name="rookery-namespace-debian-12-x86_64",
    description="A network, process and mount namespace on the host's Debian 12; runs user data as a script",
    architecture="x86_64",
    created="2026-11-23T00:00:00.000Z",
    kind=NAMESPACE,
)
GUEST_IMAGE = Image(
    id="ami-0526f6f6b65727902",
    name="rookery-guest-debian-12-x86_64",
    description="A virtual machine with Debian 12's cloud kernel and busybox, in memory; runs user data as a script",
    architecture="x86_64",
    created="2026-11-22T00:00:00.000Z",  # older than the namespace: a client's most recent image stays what it was
    kind=GUEST,
    virtualization="hvm",
)
IMAGES: dict[str, Image] = {image.id: image for image in (NAMESPACE_IMAGE, GUEST_IMAGE)}


def virtualization(image: Image) -> dict[str, str]:
    """In a shape: said of what AWS has a word for, of guests and not of namespaces."""
    return {"VirtualizationType": image.virtualization} if image.virtualization else {}


def known_image(image_id: str) -> Image:
    """Raises InvalidAMIID.Malformed, InvalidAMIID.NotFound."""
    if not _AMI_ID.fullmatch(image_id):
        raise ApiError(MALFORMED, f'Invalid id: "{image_id}" (expecting "ami-...")')
    try:
        return IMAGES[image_id]
    except KeyError:
        raise ApiError("InvalidAMIID.NotFound", f"The image id '[{image_id}]' does not exist") from None
