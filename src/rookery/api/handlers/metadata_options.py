"""How an instance's metadata may be asked for: given at launch, changed later, shown with the instance."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from msgspec.structs import replace

from rookery.api.errors import invalid_parameter, invalid_value
from rookery.api.handlers.instance_state import PENDING, state_in
from rookery.api.handlers.unbuilt import honour_only
from rookery.api.lookup import find
from rookery.api.operation import ApiError, Outcome, Request, View, operation
from rookery.model.objects import Instance, MetadataOptions

MOST_HOPS = 64
_TAG_KEY = re.compile(r"[0-9a-zA-Z\-_+=,.@:]{1,255}\Z")  # it becomes a part of a path
_RESERVED = (".", "..", "_index")

MEMBERS = {
    "HttpTokens": "tokens",
    "HttpPutResponseHopLimit": "hop_limit",
    "HttpEndpoint": "endpoint",
    "HttpProtocolIpv6": "ipv6",
    "InstanceMetadataTags": "tags",
}


def changed_options(before: MetadataOptions, given: Mapping[str, Any]) -> MetadataOptions:
    """`given` as MetadataOptions of RunInstances. Raises InvalidParameterValue, UnsupportedOperation."""
    honour_only(given, MEMBERS)
    if given.get("HttpPutResponseHopLimit") is not None:
        check_hop_limit(given["HttpPutResponseHopLimit"])
    return replace(before, **{MEMBERS[name]: given[name] for name in MEMBERS if given.get(name) is not None})


def check_hop_limit(hops: int) -> None:
    """Raises InvalidParameterValue."""
    if not 1 <= hops <= MOST_HOPS:
        raise invalid_value("HttpPutResponseHopLimit", hops, f"It lies between 1 and {MOST_HOPS}.")


def check_shown_tags(options: MetadataOptions, tags: Collection[str]) -> None:
    """Raises InvalidParameterValue: metadata shall show the tags, and a key could not be in its path."""
    for key in sorted(tags) if options.tags == "enabled" else ():
        if not _TAG_KEY.match(key) or key in _RESERVED:
            raise invalid_parameter(
                f"'{key}' is not a valid tag key. Tag keys must match pattern "
                "([0-9a-zA-Z\\-_+=,.@:]{1,255}), and must not be a reserved name ('.', '..', '_index')"
            )


def metadata_shape(options: MetadataOptions, state: str) -> dict[str, Any]:
    return {"State": state, **{name: getattr(options, field) for name, field in MEMBERS.items()}}


def metadata_state(view: View, instance: Instance) -> str:
    """Its host answers by what the instance was last told to be, once it runs and that is live."""
    is_live = view.live >= view.changed_at(instance) and state_in(view, instance) is not PENDING
    return "applied" if is_live else "pending"


@operation("ModifyInstanceMetadataOptions")
def modify_instance_metadata_options(request: Request, view: View) -> Outcome:
    found = find(view, Instance, request.parameters["InstanceId"])
    if found.wanted == "terminated":
        raise ApiError("IncorrectInstanceState", f"The instance '{found.id}' is terminated.")
    given = {
        name: value for name, value in request.parameters.items() if name not in ("InstanceId", "DryRun")
    }
    if not given:
        raise ApiError("MissingParameter", "The request must contain at least one option to modify")
    options = changed_options(found.metadata, given)
    check_shown_tags(options, found.tags)
    shape = {"InstanceId": found.id, "InstanceMetadataOptions": metadata_shape(options, "pending")}
    if options == found.metadata:
        return Outcome(result=shape)
    return Outcome(result=shape, puts=(replace(found, metadata=options),))


def _of(field: str) -> Callable[[Instance, View], str | int]:
    return lambda instance, _view: getattr(instance.metadata, field)


METADATA_FILTERS = {
    "metadata-options.http-tokens": _of("tokens"),
    "metadata-options.http-put-response-hop-limit": _of("hop_limit"),
    "metadata-options.http-endpoint": _of("endpoint"),
    "metadata-options.http-protocol-ipv4": _of("endpoint"),
    "metadata-options.http-protocol-ipv6": _of("ipv6"),
    "metadata-options.instance-metadata-tags": _of("tags"),
    "metadata-options.state": lambda instance, view: metadata_state(view, instance),
}
