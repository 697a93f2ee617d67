"""From an id in a request to the thing itself, or to AWS's error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from rookery.api.errors import check_id, not_found
from rookery.api.operation import View
from rookery.model.objects import Resource

R = TypeVar("R", bound=Resource)


def find(view: View, kind: type[R], resource_id: str) -> R:
    """Raises ApiError: Malformed or NotFound, as AWS spells it for the kind."""
    check_id(kind.PREFIX, resource_id)
    found = view.get(kind, resource_id)
    if found is None:
        raise not_found(kind.PREFIX, resource_id)
    return found


def find_all(view: View, kind: type[R], resource_ids: Sequence[str]) -> list[R]:
    """Each once, in the order asked. Raises like `find`; NotFound names all that are missing."""
    wanted = list(dict.fromkeys(resource_ids))
    for resource_id in wanted:
        check_id(kind.PREFIX, resource_id)
    found = [view.get(kind, resource_id) for resource_id in wanted]
    missing = [name for name, resource in zip(wanted, found, strict=True) if resource is None]
    if missing:
        raise not_found(kind.PREFIX, *missing)
    return [resource for resource in found if resource is not None]
