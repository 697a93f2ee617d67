"""User data as a client may give it: base64 of at most 16 KiB."""

from __future__ import annotations

import base64
import binascii

from rookery.api.errors import invalid_parameter
from rookery.api.operation import ApiError

LARGEST = 16 * 1024


def checked_user_data(text: str) -> str:
    """As given, or empty. Raises InvalidUserData.Malformed, InvalidParameterValue."""
    try:
        data = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise ApiError("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data.") from None
    if len(data) > LARGEST:
        raise invalid_parameter(f"User data is limited to {LARGEST} bytes")
    return "".join(text.split())
